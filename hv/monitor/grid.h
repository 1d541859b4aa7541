/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cells of the text screen, and what of them is drawn already. Owns no meaning of bytes and
 * never draws: it hands out what has changed, in small pieces. Called by term.c and console.c under
 * the console's lock. Rows and columns count from 0; all positions must be inside.
 */
#pragma once

#include "hv/vm/plat.h"

#define GRID_MAX_COLUMNS 240
#define GRID_MAX_ROWS    100 /* the status row among them */

/* A cell to be drawn. */
struct grid_change {
    uint8_t column, row;
    struct screen_cell cell;
};

/* Rows of text, and below them the status row if there is a screen to show it. */
void grid_init(int columns, int rows, bool screen);

/* From here on row 0 is that one, and there are so many: what is meant by all of the grid is these.
 * The cursor is shown where they are all that there are. */
void grid_window(int first, int rows);

struct screen_cell grid_get(int row, int column);
void grid_put(int row, int column, struct screen_cell cell);
void grid_fill(int row, int from, int to, struct screen_cell cell);

/* The rows from top through bottom move up by n, or down by -n; new ones are filled. */
void grid_scroll(int top, int bottom, int n, struct screen_cell fill);

/* The cells of a row from column on move right by n, or left by -n; new ones are filled. */
void grid_shift(int row, int column, int n, struct screen_cell fill);

/* Shows the one or the other of two grids. */
void grid_show(bool alternate);

void grid_set_cursor(int row, int column, bool visible);
void grid_set_status(const char *text);

/* Cells written since the start: a measure of work. */
uint64_t grid_written(void);

/* Something may have changed since grid_take() has found nothing. */
bool grid_is_dirty(void);

/*
 * Up to max cells that changed, each once; looks at some rows only, so that it takes little time.
 * They count as drawn from now on. 0 does not mean that all is drawn: see grid_is_dirty().
 */
unsigned grid_take(struct grid_change *out, unsigned max);
