/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the terminal's state: cursor, colours, modes, margins, tabs; and what changes it. Knows no
 * sequences: term.c and term_csi.c do.
 */
#include "hv/monitor/term_state.h"

#include "hv/monitor/seq.h"

#define CODE_MAX 0xffffu /* of a cell */

struct term term;

/* ---- cursor ---- */

int term_clamp(int value, int low, int high) {
    if (value < low) {
        return low;
    }
    return value > high ? high : value;
}

/* As near as the text goes. */
void term_move_to(int row, int column) {
    term.at.row = term_clamp(row, 0, term.rows - 1);
    term.at.column = term_clamp(column, 0, term.columns - 1);
    term.at.wrap = false;
}

/* The same, in rows as a program counts them: in origin mode from the top margin. */
void term_address(int row, int column) {
    if (term.at.origin) {
        row = term_clamp(row + term.top, term.top, term.bottom);
    }
    term_move_to(row, column);
}

/* By rows; a margin that is met on the way is the end. */
void term_move_rows(int n) {
    int row = term.at.row;
    int low = row >= term.top ? term.top : 0;
    int high = row <= term.bottom ? term.bottom : term.rows - 1;
    term_move_to(term_clamp(row + n, low, high), term.at.column);
}

void term_move_columns(int n) {
    term_move_to(term.at.row, term.at.column + n);
}

struct screen_cell term_blank(void) {
    return pen_blank(&term.at.pen);
}

/* One row down; at the bottom margin the text moves up. */
void term_line_feed(void) {
    if (term.at.row == term.bottom) {
        grid_scroll(term.top, term.bottom, 1, term_blank());
    } else if (term.at.row + 1 < term.rows) {
        term.at.row++;
    }
    term.at.wrap = false;
}

void term_reverse_line_feed(void) {
    if (term.at.row == term.top) {
        grid_scroll(term.top, term.bottom, -1, term_blank());
    } else if (term.at.row > 0) {
        term.at.row--;
    }
    term.at.wrap = false;
}

void term_next_tab(int count) {
    int column = term.at.column;
    for (; count > 0 && column + 1 < term.columns; count--) {
        do {
            column++;
        } while (column + 1 < term.columns && !term.tabs[column]);
    }
    term_move_to(term.at.row, column);
}

void term_previous_tab(int count) {
    int column = term.at.column;
    for (; count > 0 && column > 0; count--) {
        do {
            column--;
        } while (column > 0 && !term.tabs[column]);
    }
    term_move_to(term.at.row, column);
}

void term_save_cursor(void) {
    term.saved[term.alternate] = term.at;
}

void term_restore_cursor(void) {
    term.at = term.saved[term.alternate];
}

/* ---- text ---- */

static void put_cell(uint32_t code, int width) {
    int last = term.columns - 1;
    struct screen_cell cell = pen_cell(&term.at.pen);
    cell.character = (uint16_t)(code > CODE_MAX ? SEQ_REPLACEMENT : code);
    grid_put(term.at.row, term.at.column, cell);
    if (width == 2 && term.at.column < last) {
        term.at.column++;
        cell.character = ' ';
        grid_put(term.at.row, term.at.column, cell);
    }
    if (term.at.column < last) {
        term.at.column++;
    } else {
        term.at.wrap = term.autowrap;
    }
}

/* Insertion shifts the row once for all that fit into it: one by one a repetition would cost far
 * more than the bytes that ask for it. */
void term_put_cells(uint32_t code, int width, int count) {
    while (count > 0) {
        int last = term.columns - 1;
        if (term.at.wrap || (width == 2 && term.at.column == last && term.autowrap)) {
            term.at.column = 0;
            term_line_feed();
        }
        int room = (term.columns - term.at.column) / width;
        int n = term_clamp(count, 1, room > 1 ? room : 1);
        if (term.insert) {
            grid_shift(term.at.row, term.at.column, n * width, term_blank());
        }
        for (int i = 0; i < n; i++) {
            put_cell(code, width);
        }
        count -= n;
    }
}

void term_reset_modes(void) {
    bool alternate = term.alternate;
    term.at.pen = pen_plain;
    term.at.wrap = term.at.origin = term.at.shifted = false;
    term.at.drawing[0] = term.at.drawing[1] = false;
    term.saved[alternate] = (struct term_position){.pen = pen_plain};
    term.top = 0;
    term.bottom = term.rows - 1;
    term.insert = term.newline = false;
    term.autowrap = term.cursor = true;
}

void term_erase_rows(int from, int to) {
    for (int row = from; row < to; row++) {
        grid_fill(row, 0, term.columns, term_blank());
    }
}

void term_show_alternate(bool alternate) {
    term.alternate = alternate;
    grid_show(alternate);
}
