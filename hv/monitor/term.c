/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the cell grid, the parser of terminal sequences and the shadow of the screen. Must not call
 * anything but the drawing function, nor trust the bytes: they are a guest's. See term.h.
 */
#include "hv/monitor/term.h"

#include "hv/lib/str.h"
#include "hv/vm/plat.h"

#define CELL_INVERSE 0x100u

#define MAX_PARAMETERS  4
#define PARAMETER_LIMIT 9999u
#define TAB_WIDTH       8u

enum parser { PARSE_TEXT, PARSE_ESCAPE, PARSE_CSI, PARSE_STRING, PARSE_SKIP };

/*
 * Rows are numbered from the top of the screen; row r of the text is stored at (top + r) % rows,
 * the status row, number rows, at its own place.
 */
static struct term {
    unsigned columns, rows; /* of the text, without the status row; 0 = no screen */
    unsigned column, row, top;
    bool wrap; /* the last column is filled: the next character goes to the next row */
    uint16_t attribute;
    enum parser parser;
    unsigned parameter_count;
    unsigned parameters[MAX_PARAMETERS];
    bool dirty[TERM_MAX_ROWS];
    uint16_t cells[TERM_MAX_ROWS][TERM_MAX_COLUMNS];
    uint16_t drawn[TERM_MAX_ROWS][TERM_MAX_COLUMNS];
} term;

static uint16_t *row_cells(unsigned row) {
    return term.cells[row == term.rows ? row : (term.top + row) % term.rows];
}

static void erase(unsigned row, unsigned from, unsigned to) {
    uint16_t *cells = row_cells(row);
    for (unsigned i = from; i < to; i++) {
        cells[i] = ' ';
    }
    term.dirty[row] = true;
}

void term_init(void) {
    unsigned columns = 0, rows = 0;
    plat_screen_size(&columns, &rows);
    memset(&term, 0, sizeof(term));
    if (columns == 0 || rows < 2) {
        return;
    }
    term.columns = (unsigned)min_u64(columns, TERM_MAX_COLUMNS);
    term.rows = (unsigned)min_u64(rows, TERM_MAX_ROWS) - 1;
    memset(term.drawn, 0xff, sizeof(term.drawn)); /* differs from every cell */
    for (unsigned r = 0; r < term.rows; r++) {
        erase(r, 0, term.columns);
    }
    term_set_status("");
}

void term_reset(void) {
    term.parser = PARSE_TEXT;
    term.attribute = 0;
}

static void line_feed(void) {
    if (term.row + 1 < term.rows) {
        term.row++;
        return;
    }
    term.top = (term.top + 1) % term.rows;
    erase(term.rows - 1, 0, term.columns);
    memset(term.dirty, true, term.rows);
}

static void put_character(uint8_t character) {
    if (term.wrap) {
        term.column = 0;
        term.wrap = false;
        line_feed();
    }
    row_cells(term.row)[term.column] = (uint16_t)(character | term.attribute);
    term.dirty[term.row] = true;
    if (term.column + 1 < term.columns) {
        term.column++;
    } else {
        term.wrap = true;
    }
}

static void move_to(unsigned column, unsigned row) {
    term.column = (unsigned)min_u64(column, term.columns - 1);
    term.row = (unsigned)min_u64(row, term.rows - 1);
    term.wrap = false;
}

static void put_control(uint8_t byte) {
    switch (byte) {
    case '\r':
        move_to(0, term.row);
        break;
    case '\n':
        term.wrap = false;
        line_feed();
        break;
    case '\b':
        move_to(term.column == 0 ? 0 : term.column - 1, term.row);
        break;
    case '\t':
        move_to((term.column / TAB_WIDTH + 1) * TAB_WIDTH, term.row);
        break;
    case 0x1b:
        term.parser = PARSE_ESCAPE;
        break;
    default:
        break;
    }
}

/* 0 = from the cursor to the end, 1 = from the start through the cursor, 2 = all. */
static void erase_in_line(unsigned part) {
    erase(term.row, part == 0 ? term.column : 0, part == 1 ? term.column + 1 : term.columns);
}

static void erase_in_display(unsigned part) {
    unsigned from = part == 0 ? term.row + 1 : 0;
    unsigned to = part == 1 ? term.row : term.rows;
    for (unsigned r = from; r < to; r++) {
        erase(r, 0, term.columns);
    }
    if (part < 2) {
        erase_in_line(part);
    }
}

static void set_attributes(void) {
    for (unsigned i = 0; i <= term.parameter_count; i++) {
        if (term.parameters[i] == 7) {
            term.attribute = CELL_INVERSE;
        } else if (term.parameters[i] == 0 || term.parameters[i] == 27) {
            term.attribute = 0;
        }
    }
}

static void end_csi(uint8_t final) {
    /* Missing is 0, and 0 is 1 where it counts or numbers. */
    unsigned n = (unsigned)max_u64(term.parameters[0], 1);
    unsigned second = (unsigned)max_u64(term.parameters[1], 1);
    term.parser = PARSE_TEXT;
    switch (final) {
    case 'A':
        move_to(term.column, term.row < n ? 0 : term.row - n);
        break;
    case 'B':
        move_to(term.column, term.row + n);
        break;
    case 'C':
        move_to(term.column + n, term.row);
        break;
    case 'D':
        move_to(term.column < n ? 0 : term.column - n, term.row);
        break;
    case 'H':
    case 'f':
        move_to(second - 1, n - 1);
        break;
    case 'J':
        erase_in_display(term.parameters[0]);
        break;
    case 'K':
        erase_in_line(term.parameters[0]);
        break;
    case 'm':
        set_attributes();
        break;
    default:
        break;
    }
}

/* '?' and the like before or after the parameters make no difference to what is known here. */
static void put_csi(uint8_t byte) {
    unsigned *p = &term.parameters[term.parameter_count];
    if (byte >= '0' && byte <= '9' && *p <= PARAMETER_LIMIT) {
        *p = *p * 10 + (byte - '0');
    } else if (byte == ';' && term.parameter_count + 1 < MAX_PARAMETERS) {
        term.parameter_count++;
    } else if (byte >= 0x40 && byte <= 0x7e) {
        end_csi(byte);
    }
}

static void put_escape(uint8_t byte) {
    term.parser = PARSE_TEXT;
    if (byte == '[') {
        term.parser = PARSE_CSI;
        term.parameter_count = 0;
        memset(term.parameters, 0, sizeof(term.parameters));
    } else if (byte == ']' || byte == 'P' || byte == '^' || byte == '_') {
        term.parser = PARSE_STRING;
    } else if (byte <= 0x2f) {
        term.parser = PARSE_SKIP; /* a character set is named next */
    }
}

static void put_byte(uint8_t byte) {
    if (term.parser == PARSE_STRING) {
        /* Titles and the like: up to BEL or ESC \. */
        term.parser = byte == 0x07 ? PARSE_TEXT : byte == 0x1b ? PARSE_SKIP : PARSE_STRING;
    } else if (byte < 0x20) {
        put_control(byte); /* inside a sequence too, which then goes on */
    } else if (term.parser == PARSE_ESCAPE) {
        put_escape(byte);
    } else if (term.parser == PARSE_CSI) {
        put_csi(byte);
    } else if (term.parser == PARSE_SKIP) {
        term.parser = PARSE_TEXT;
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
    uint16_t *cells = row_cells(term.rows);
    size_t n = strlen(text);
    for (unsigned i = 0; i < term.columns; i++) {
        unsigned c = i < n ? (uint8_t)text[i] : ' ';
        cells[i] = (uint16_t)((c >= 0x20 && c < 0x7f ? c : '?') | CELL_INVERSE);
    }
    term.dirty[term.rows] = true;
}

void term_flush(void) {
    for (unsigned r = 0; r <= term.rows; r++) {
        if (!term.dirty[r]) {
            continue;
        }
        term.dirty[r] = false;
        const uint16_t *cells = row_cells(r);
        for (unsigned c = 0; c < term.columns; c++) {
            if (cells[c] != term.drawn[r][c]) {
                term.drawn[r][c] = cells[c];
                plat_screen_draw(c, r, (uint8_t)cells[c], (cells[c] & CELL_INVERSE) != 0);
            }
        }
    }
}
