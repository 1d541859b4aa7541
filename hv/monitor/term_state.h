/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal's state, for term.c and term_csi.c, which carries out the CSI sequences, and for
 * nobody else. Rows and columns count from 0.
 */
#pragma once

#include "hv/monitor/grid.h"
#include "hv/monitor/pen.h"
#include "hv/monitor/term.h"

enum term_answer { TERM_ANSWER_NONE, TERM_ANSWER_KIND, TERM_ANSWER_READY, TERM_ANSWER_POSITION };

/* What ESC 7 keeps. */
struct term_position {
    int row, column;
    struct pen pen;
    bool wrap, origin;
    bool drawing[2], shifted;
};

extern struct term {
    int columns, rows;
    struct term_position at;
    struct term_position saved[2]; /* of both grids */
    int top, bottom;               /* the margins, both included */
    bool autowrap, insert, newline, cursor, alternate;
    bool tabs[GRID_MAX_COLUMNS];
    uint32_t last; /* the character that CSI b repeats */
    enum term_answer answer;
    bool hold; /* the admin's terminal must not have this sequence */
} term;

int term_clamp(int value, int low, int high);

/* As near as the text goes; address counts rows as a program does: in origin mode from the margin.
 */
void term_move_to(int row, int column);
void term_address(int row, int column);
/* By rows; a margin that is met on the way is the end. */
void term_move_rows(int n);
void term_move_columns(int n);
/* One row down or up; at the margin the text moves instead. */
void term_line_feed(void);
void term_reverse_line_feed(void);
void term_next_tab(int count);
void term_previous_tab(int count);
void term_save_cursor(void);
void term_restore_cursor(void);

/* What erased cells are, in the colour of the moment. */
struct screen_cell term_blank(void);
void term_erase_rows(int from, int to);
void term_show_alternate(bool alternate);

/* A character at the cursor, so many times; width is 1 or 2. */
void term_put_cells(uint32_t code, int width, int count);

/* All but what is on the screen. */
void term_reset_modes(void);

/* term_csi.c: as term_put(). */
bool term_put_csi(const struct seq *s);
