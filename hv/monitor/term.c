/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the cell grid, the parser of terminal sequences and the shadow of the screen. Must not call
 * anything but the drawing function, nor trust the bytes: they are a guest's. See term.h.
 */
#include "hv/monitor/term.h"

#include "hv/lib/str.h"
#include "hv/vm/plat.h"

#define MAX_PARAMETERS  4
#define PARAMETER_LIMIT 9999
#define TAB_WIDTH       8

enum parser { PARSE_TEXT, PARSE_ESCAPE, PARSE_CSI };

static struct term {
    int columns, rows; /* of the text; row number rows is the status. 0 = no screen */
    int column, row;
    bool wrap; /* the last column is filled: the next character goes to the next row */
    enum parser parser;
    unsigned parameter_count;
    int parameters[MAX_PARAMETERS];
    bool dirty[TERM_MAX_ROWS];
    uint8_t cells[TERM_MAX_ROWS][TERM_MAX_COLUMNS], drawn[TERM_MAX_ROWS][TERM_MAX_COLUMNS];
} term;

static void erase(int row, int from, int to) {
    memset(&term.cells[row][from], ' ', (size_t)(to - from));
    term.dirty[row] = true;
}

void term_init(void) {
    memset(&term, 0, sizeof(term));
    if (plat_screen_columns == 0 || plat_screen_rows < 2) {
        return;
    }
    term.columns = (int)min_u64(plat_screen_columns, TERM_MAX_COLUMNS);
    term.rows = (int)min_u64(plat_screen_rows, TERM_MAX_ROWS) - 1;
    memset(term.cells, ' ', sizeof(term.cells)); /* nothing is drawn: a 0 differs from every cell */
    memset(term.dirty, true, sizeof(term.dirty));
    term_set_status("");
}

void term_reset(void) {
    term.parser = PARSE_TEXT;
}

static void line_feed(void) {
    if (term.row + 1 < term.rows) {
        term.row++;
        return;
    }
    memmove(term.cells, term.cells + 1, (size_t)(term.rows - 1) * TERM_MAX_COLUMNS);
    erase(term.rows - 1, 0, term.columns);
    memset(term.dirty, true, (size_t)term.rows);
}

static void put_character(uint8_t character) {
    if (term.wrap) {
        term.column = 0;
        term.wrap = false;
        line_feed();
    }
    term.cells[term.row][term.column] = character;
    term.dirty[term.row] = true;
    if (term.column + 1 < term.columns) {
        term.column++;
    } else {
        term.wrap = true;
    }
}

/* As near as the text goes. */
static void move_to(int column, int row) {
    term.column = column < 0 ? 0 : column < term.columns ? column : term.columns - 1;
    term.row = row < 0 ? 0 : row < term.rows ? row : term.rows - 1;
    term.wrap = false;
}

static void put_control(uint8_t byte) {
    if (byte == '\r') {
        move_to(0, term.row);
    } else if (byte == '\n') {
        term.wrap = false;
        line_feed();
    } else if (byte == '\b') {
        move_to(term.column - 1, term.row);
    } else if (byte == '\t') {
        move_to((term.column / TAB_WIDTH + 1) * TAB_WIDTH, term.row);
    } else if (byte == 0x1b) {
        term.parser = PARSE_ESCAPE;
    }
}

/* 0 = from the cursor to the end, 1 = from the start through the cursor, 2 = all. */
static void erase_in_line(int part) {
    erase(term.row, part == 0 ? term.column : 0, part == 1 ? term.column + 1 : term.columns);
}

static void erase_in_display(int part) {
    int from = part == 0 ? term.row + 1 : 0, to = part == 1 ? term.row : term.rows;
    for (int r = from; r < to; r++) {
        erase(r, 0, term.columns);
    }
    if (part < 2) {
        erase_in_line(part);
    }
}

static void end_csi(uint8_t final) {
    /* Missing is 0, and 0 is 1 where it counts or numbers. */
    int part = term.parameters[0], n = part == 0 ? 1 : part;
    term.parser = PARSE_TEXT;
    if (final >= 'A' && final <= 'D') { /* up, down, right, left */
        int right = (final == 'C') - (final == 'D'), down = (final == 'B') - (final == 'A');
        move_to(term.column + n * right, term.row + n * down);
    } else if (final == 'H' || final == 'f') {
        move_to(term.parameters[1] - (term.parameters[1] != 0), n - 1);
    } else if (final == 'J') {
        erase_in_display(part);
    } else if (final == 'K') {
        erase_in_line(part);
    }
}

/* '?' and the like before or after the parameters make no difference to what is known here. */
static void put_csi(uint8_t byte) {
    int *p = &term.parameters[term.parameter_count];
    if (byte >= '0' && byte <= '9' && *p <= PARAMETER_LIMIT) {
        *p = *p * 10 + (byte - '0');
    } else if (byte == ';' && term.parameter_count + 1 < MAX_PARAMETERS) {
        term.parameter_count++;
    } else if (byte >= 0x40 && byte <= 0x7e) {
        end_csi(byte);
    }
}

/* ESC, any number of bytes below 30h (a character set is named next), and one more. */
static void put_escape(uint8_t byte) {
    term.parser = byte == '[' ? PARSE_CSI : byte < 0x30 ? PARSE_ESCAPE : PARSE_TEXT;
    term.parameter_count = 0;
    memset(term.parameters, 0, sizeof(term.parameters));
}

static void put_byte(uint8_t byte) {
    if (byte < 0x20) {
        put_control(byte); /* inside a sequence too, which then goes on */
    } else if (term.parser == PARSE_ESCAPE) {
        put_escape(byte);
    } else if (term.parser == PARSE_CSI) {
        put_csi(byte);
    } else if (byte < 0x7f) {
        put_character(byte);
    } else if (byte >= 0xc0) {
        put_character('?'); /* the bytes that follow in the character are 80h-BFh: nothing */
    }
}

void term_write(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; term.rows != 0 && i < n; i++) {
        put_byte(bytes[i]);
    }
}

void term_set_status(const char *text) {
    for (int i = 0; i < term.columns; i++) {
        term.cells[term.rows][i] = *text != '\0' ? (uint8_t)*text++ : ' ';
    }
    term.dirty[term.rows] = true;
}

void term_flush(void) {
    for (int r = 0; r <= term.rows; r++) {
        for (int c = 0; term.dirty[r] && c < term.columns; c++) {
            uint8_t character = term.cells[r][c];
            if (character != term.drawn[r][c]) {
                term.drawn[r][c] = character;
                plat_screen_draw((unsigned)c, (unsigned)r, character, r == term.rows);
            }
        }
        term.dirty[r] = false;
    }
}
