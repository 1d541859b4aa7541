/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal's cells as text that a person can compare and a script can read:
 *
 *     cursor ROW COLUMN shown|hidden
 *     |the characters of a row, as many as it has columns|
 *       FROM-TO INK/PAPER [underlined]        for each run of cells that are not grey on black
 */
#ifndef TESTS_UNIT_GRID_TEXT_H
#define TESTS_UNIT_GRID_TEXT_H

#include "hv/monitor/grid.h"
#include "hv/monitor/term.h"
#include "hv/monitor/term_state.h"
#include "tests/unit/test.h"

static inline bool grid_text_same(struct screen_cell a, struct screen_cell b) {
    return a.pair == b.pair && a.underline == b.underline;
}

static inline void grid_text_character(FILE *out, unsigned c) {
    if (c < 0x80) {
        fputc((int)c, out);
    } else if (c < 0x800) {
        fprintf(out, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
    } else {
        fprintf(out, "%c%c%c", 0xe0 | c >> 12, 0x80 | (c >> 6 & 0x3f), 0x80 | (c & 0x3f));
    }
}

static inline void grid_text_row(FILE *out, int row) {
    static const struct screen_cell plain = {' ', SCREEN_PAIR(SCREEN_GREY, SCREEN_BLACK), false};
    fputc('|', out);
    for (int column = 0; column < term.columns; column++) {
        grid_text_character(out, grid_get(row, column).character);
    }
    fputs("|\n", out);
    for (int from = 0, to; from < term.columns; from = to) {
        struct screen_cell cell = grid_get(row, from);
        for (to = from; to < term.columns && grid_text_same(grid_get(row, to), cell); to++) {
        }
        if (!grid_text_same(cell, plain)) {
            fprintf(out, "  %d-%d %u/%u%s\n", from, to - 1, SCREEN_INK(cell.pair),
                    SCREEN_PAPER(cell.pair), cell.underline ? " underlined" : "");
        }
    }
}

static inline void grid_text(FILE *out) {
    fprintf(out, "cursor %d %d %s\n", term.at.row, term.at.column,
            term.cursor ? "shown" : "hidden");
    for (int row = 0; row < term.rows; row++) {
        grid_text_row(out, row);
    }
}

/* Feeds bytes as the console does; what an admin's terminal may get goes to line, unless NULL. */
static inline void grid_text_feed(struct seq *seq, const uint8_t *bytes, size_t n, FILE *line) {
    for (size_t i = 0; i < n; i++) {
        do {
            if (!seq_feed(seq, bytes[i]) || !term_put(seq) || line == NULL) {
                continue;
            }
            uint8_t control = (uint8_t)seq->code;
            bool is_control = seq->kind == SEQ_CONTROL;
            fwrite(is_control ? &control : seq->bytes, 1, is_control ? 1 : seq->length, line);
        } while (seq->again);
    }
}

#endif
