/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a word that is being typed could go on. Pure; called by command.c.
 */
#pragma once

#include "hv/lib/types.h"

/* Does the name begin with those n characters? */
bool complete_fits(const char *name, const char *word, size_t n);

/*
 * Of the names that begin with those n characters: returns how many there are, with *first the
 * first of them (count = none) and *common the number of characters that all of them begin with.
 */
unsigned complete_word(const char *word, size_t n, const char *(*name)(unsigned), unsigned count,
                       unsigned *first, size_t *common);
