/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of each character and sequence: see term.h. Sources: ECMA-48; DEC VT102 and VT220
 * manuals; Linux console_codes(4); xterm "Control Sequences".
 */
#include "hv/monitor/term.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/charset.h"
#include "hv/monitor/term_state.h"

#define TAB_WIDTH       8
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS    24

static void put_text(uint32_t code) {
    int width = charset_width(code);
    if (width == 0) {
        return;
    }
    if (term.at.drawing[term.at.shifted]) {
        code = charset_line_drawing(code);
    }
    term.last = code;
    term_put_cells(code, width, 1);
}

static bool put_control(uint32_t code) {
    switch (code) {
    case '\a':
        return true;
    case '\b':
        term_move_columns(-1);
        return true;
    case '\t':
        term_next_tab(1);
        return true;
    case '\n':
    case '\v':
    case '\f':
        term_line_feed();
        if (term.newline) {
            term.at.column = 0;
        }
        return true;
    case '\r':
        term_move_to(term.at.row, 0);
        return true;
    case 0x0e: /* SO */
    case 0x0f: /* SI */
        term.at.shifted = code == 0x0e;
        return true;
    default: /* among them ENQ, which asks, and XON and XOFF, which hold a terminal up */
        return false;
    }
}

/* ---- start and end ---- */

static void set_tabs(void) {
    for (int column = 0; column < GRID_MAX_COLUMNS; column++) {
        term.tabs[column] = column % TAB_WIDTH == 0;
    }
}

void term_reset(void) {
    term_reset_modes();
    set_tabs();
    for (int i = 0; i < 2; i++) {
        term_show_alternate(i == 0);
        term_reset_modes();
        term_erase_rows(0, term.rows);
    }
    term_move_to(0, 0);
    term.last = ' ';
    term.answer = TERM_ANSWER_NONE;
    grid_set_cursor(0, 0, true);
}

void term_init(void) {
    bool screen = plat_screen_columns != 0 && plat_screen_rows >= 2;
    memset(&term, 0, sizeof(term));
    term.columns = DEFAULT_COLUMNS;
    term.rows = DEFAULT_ROWS;
    if (screen) {
        term.columns = (int)min_u64(plat_screen_columns, GRID_MAX_COLUMNS);
        term.rows = (int)min_u64(plat_screen_rows, GRID_MAX_ROWS) - 1;
    }
    grid_init(term.columns, term.rows, screen);
    term_reset();
}

/* ---- sequences ---- */

static void fill_with_e(void) {
    struct screen_cell cell = pen_cell(&pen_plain);
    cell.character = 'E';
    for (int row = 0; row < term.rows; row++) {
        grid_fill(row, 0, term.columns, cell);
    }
    term_move_to(0, 0);
}

static bool put_designation(const struct seq *s) {
    if (s->intermediate == '(' || s->intermediate == ')') {
        term.at.drawing[s->intermediate == ')'] = s->code == '0' || s->code == '2';
        return true;
    }
    if (s->intermediate == '#' && s->code == '8') {
        fill_with_e();
        return true;
    }
    return s->intermediate == '*' || s->intermediate == '+';
}

static bool put_escape(const struct seq *s) {
    if (s->intermediate != 0) {
        return put_designation(s);
    }
    switch (s->code) {
    case '7':
        term_save_cursor();
        return true;
    case '8':
        term_restore_cursor();
        return true;
    case 'D':
        term_line_feed();
        return true;
    case 'E':
        term_line_feed();
        term.at.column = 0;
        return true;
    case 'H':
        term.tabs[term.at.column] = true;
        return true;
    case 'M':
        term_reverse_line_feed();
        return true;
    case 'c':
        term_reset();
        return true;
    case '=': /* the keypad's modes: the admin's terminal knows them */
    case '>':
        return true;
    case 'Z':
        term.answer = TERM_ANSWER_KIND;
        return false;
    default:
        return false;
    }
}

bool term_put(const struct seq *s) {
    bool pass = true;
    if (term.columns == 0) {
        return true; /* before term_init() */
    }
    term.answer = TERM_ANSWER_NONE;
    if (s->kind == SEQ_TEXT) {
        put_text(s->code);
    } else if (s->kind == SEQ_CONTROL) {
        pass = put_control(s->code);
    } else if (s->kind == SEQ_ESCAPE) {
        pass = put_escape(s);
    } else {
        pass = term_put_csi(s);
    }
    grid_set_cursor(term.at.row, term.at.column, term.cursor);
    return pass;
}

size_t term_answer(char *out, int columns, int rows) {
    int row = term.at.row - (term.at.origin ? term.top : 0);
    enum term_answer answer = term.answer;
    term.answer = TERM_ANSWER_NONE;
    switch (answer) {
    case TERM_ANSWER_KIND: /* a VT102 */
        return fmt_print(out, TERM_ANSWER_MAX, "\x1b[?6c");
    case TERM_ANSWER_READY:
        return fmt_print(out, TERM_ANSWER_MAX, "\x1b[0n");
    case TERM_ANSWER_POSITION:
        return fmt_print(out, TERM_ANSWER_MAX, "\x1b[%u;%uR",
                         (unsigned)term_clamp(row, 0, rows - 1) + 1,
                         (unsigned)term_clamp(term.at.column, 0, columns - 1) + 1);
    case TERM_ANSWER_NONE:
    default:
        return 0;
    }
}
