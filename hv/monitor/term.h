/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A text terminal for the framebuffer: the same bytes that go to the serial line become a grid of
 * cells. Owns the grid and a shadow of what is drawn; never reads the framebuffer. Called by
 * console.c alone, under its lock. Does nothing when there is no screen.
 */
#pragma once

#include "hv/lib/types.h"

#define TERM_MAX_COLUMNS 240
#define TERM_MAX_ROWS    100

/* For the size of plat's screen; a larger one is used up to the limits above. */
void term_init(void);

/*
 * Text with CR LF BS TAB and the sequences CSI A-D, H, f, J, K; other CSI sequences and ESC
 * with one character are swallowed. The bytes are guest-controlled. Draws nothing
 * yet.
 */
void term_write(const uint8_t *bytes, size_t n);

/* Forgets a sequence cut in the middle; the text stays. */
void term_reset(void);

/* The bottom row, inverse, cut at the screen's width. Draws nothing yet. */
void term_set_status(const char *text);

/* Draws the cells that changed. */
void term_flush(void);
