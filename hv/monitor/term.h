/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal that the console is: what a VT102 and the Linux console do with the units of
 * hv/monitor/seq.h, on the cells of hv/monitor/grid.h. Without a screen it works all the same: it
 * knows what may go on to the admin's terminal, and answers the questions that may not. Called by
 * console.c alone, under its lock.
 */
#pragma once

#include "hv/monitor/seq.h"

/* For the size of plat's screen, up to the grid's limits; 80 x 24 without one. */
void term_init(void);

/* Empty, and all modes as at the start. */
void term_reset(void);

/*
 * Carries a unit out, which is guest-controlled. True if an admin's terminal may get it as well:
 * not what it would answer, nor what is not known here.
 */
bool term_put(const struct seq *unit);

/*
 * The answer to a question that has just been put, its length; 0 = none. columns and rows are what
 * it may admit to.
 */
#define TERM_ANSWER_MAX 24
size_t term_answer(char *out, int columns, int rows);
