/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CSI sequences do: one table, which is also the list of what goes on to the admin's
 * terminal. Called by term.c. Sources: as there.
 */
#include "hv/lib/str.h"
#include "hv/monitor/charset.h"
#include "hv/monitor/term_state.h"

/* Parameter i, or what it is when it is missing or 0. */
static int parameter(const struct seq *s, unsigned i, int missing) {
    int value = i < s->count ? s->parameters[i] : 0;
    return value == 0 ? missing : value;
}

static int count(const struct seq *s) {
    return parameter(s, 0, 1);
}

static void do_up(const struct seq *s) {
    term_move_rows(-count(s));
}

static void do_down(const struct seq *s) {
    term_move_rows(count(s));
}

static void do_right(const struct seq *s) {
    term_move_columns(count(s));
}

static void do_left(const struct seq *s) {
    term_move_columns(-count(s));
}

static void do_next_line(const struct seq *s) {
    term_move_rows(count(s));
    term_move_to(term.at.row, 0);
}

static void do_previous_line(const struct seq *s) {
    term_move_rows(-count(s));
    term_move_to(term.at.row, 0);
}

static void do_column(const struct seq *s) {
    term_move_to(term.at.row, count(s) - 1);
}

static void do_row(const struct seq *s) {
    term_address(count(s) - 1, term.at.column);
}

static void do_address(const struct seq *s) {
    term_address(count(s) - 1, parameter(s, 1, 1) - 1);
}

static void do_tab(const struct seq *s) {
    term_next_tab(count(s));
}

static void do_back_tab(const struct seq *s) {
    term_previous_tab(count(s));
}

static void do_clear_tab(const struct seq *s) {
    if (s->parameters[0] == 0) {
        term.tabs[term.at.column] = false;
    } else if (s->parameters[0] == 3) {
        memset(term.tabs, 0, sizeof(term.tabs));
    }
}

/* 0 = from the cursor to the end, 1 = from the start through the cursor, 2 = all. */
static void do_erase_line(const struct seq *s) {
    int part = s->parameters[0];
    if (part <= 2) {
        int from = part == 0 ? term.at.column : 0;
        int to = part == 1 ? term.at.column + 1 : term.columns;
        grid_fill(term.at.row, from, to, term_blank());
        term.at.wrap = false;
    }
}

/* The same; 3 clears what has scrolled off, of which there is nothing here. */
static void do_erase_display(const struct seq *s) {
    int part = s->parameters[0];
    if (part == 0) {
        term_erase_rows(term.at.row + 1, term.rows);
    } else if (part == 1) {
        term_erase_rows(0, term.at.row);
    } else if (part == 2) {
        term_erase_rows(0, term.rows);
        term.at.wrap = false;
    }
    if (part < 2) {
        do_erase_line(s);
    }
}

static void do_erase_characters(const struct seq *s) {
    int to = term_clamp(term.at.column + count(s), 0, term.columns);
    grid_fill(term.at.row, term.at.column, to, term_blank());
    term.at.wrap = false;
}

static void do_insert_characters(const struct seq *s) {
    grid_shift(term.at.row, term.at.column, count(s), term_blank());
    term.at.wrap = false;
}

static void do_delete_characters(const struct seq *s) {
    grid_shift(term.at.row, term.at.column, -count(s), term_blank());
    term.at.wrap = false;
}

/* Both work between the cursor and the bottom margin, and outside the margins not at all. */
static void shift_lines(int n) {
    if (term.at.row >= term.top && term.at.row <= term.bottom) {
        grid_scroll(term.at.row, term.bottom, n, term_blank());
        term_move_to(term.at.row, 0);
    }
}

static void do_insert_lines(const struct seq *s) {
    shift_lines(-count(s));
}

static void do_delete_lines(const struct seq *s) {
    shift_lines(count(s));
}

static void do_scroll_up(const struct seq *s) {
    grid_scroll(term.top, term.bottom, count(s), term_blank());
}

static void do_scroll_down(const struct seq *s) {
    grid_scroll(term.top, term.bottom, -count(s), term_blank());
}

static void do_repeat(const struct seq *s) {
    int most = term_clamp(count(s), 1, term.columns);
    term_put_cells(term.last, charset_width(term.last), most);
}

static void do_margins(const struct seq *s) {
    int top = count(s) - 1;
    int bottom = term_clamp(parameter(s, 1, term.rows), 1, term.rows) - 1;
    if (top < bottom) {
        term.top = top;
        term.bottom = bottom;
        term_address(0, 0);
    }
}

static void do_colours(const struct seq *s) {
    pen_select(&term.at.pen, s);
}

static void do_save(UNUSED const struct seq *s) {
    term_save_cursor();
}

static void do_restore(UNUSED const struct seq *s) {
    term_restore_cursor();
}

static void do_soft_reset(UNUSED const struct seq *s) {
    term_reset_modes();
}

static void do_ask_kind(const struct seq *s) {
    if (s->parameters[0] == 0) {
        term.answer = TERM_ANSWER_KIND;
    }
}

static void do_ask_status(const struct seq *s) {
    if (s->parameters[0] == 5) {
        term.answer = TERM_ANSWER_READY;
    } else if (s->parameters[0] == 6) {
        term.answer = TERM_ANSWER_POSITION;
    }
}

/* ---- modes ---- */

/* Others could lock the admin's keyboard, or show twice what is typed. */
static void set_modes(const struct seq *s, bool on) {
    for (unsigned i = 0; i < s->count; i++) {
        if (s->parameters[i] == 4) {
            term.insert = on;
        } else if (s->parameters[i] == 20) {
            term.newline = on;
        } else {
            term.hold = true;
        }
    }
}

/* The alternate screen: 47 and 1047 as it is, 1049 cleared and with the cursor kept apart. */
static void set_alternate(unsigned mode, bool on) {
    if (on == term.alternate) {
        return;
    }
    if (mode == 1049 && on) {
        term_save_cursor();
    }
    if (mode == 1047 && !on) {
        term_erase_rows(0, term.rows);
    }
    term_show_alternate(on);
    if (mode == 1049 && on) {
        term_erase_rows(0, term.rows);
    } else if (mode == 1049) {
        term_restore_cursor();
    }
}

/* What only the admin's terminal knows: keys, cursor, mouse, pasting. console.c resets all these.
 */
static const uint16_t passing_modes[] = {1,    5,    12,   66,   1000, 1002,
                                         1003, 1004, 1005, 1006, 1015, 2004};

static bool mode_may_pass(unsigned mode) {
    for (unsigned i = 0; i < ARRAY_SIZE(passing_modes); i++) {
        if (mode == passing_modes[i]) {
            return true;
        }
    }
    return false;
}

static void set_private_mode(unsigned mode, bool on) {
    switch (mode) {
    case 6:
        term.at.origin = on;
        term_address(0, 0);
        break;
    case 7:
        term.autowrap = on;
        term.at.wrap = term.at.wrap && on;
        break;
    case 25:
        term.cursor = on;
        break;
    case 1048:
        if (on) {
            term_save_cursor();
        } else {
            term_restore_cursor();
        }
        break;
    case 47:
    case 1047:
    case 1049:
        set_alternate(mode, on);
        break;
    default:
        term.hold = term.hold || !mode_may_pass(mode);
        break;
    }
}

static void do_set(const struct seq *s) {
    set_modes(s, true);
}

static void do_clear(const struct seq *s) {
    set_modes(s, false);
}

static void do_set_private(const struct seq *s) {
    for (unsigned i = 0; i < s->count; i++) {
        set_private_mode(s->parameters[i], true);
    }
}

static void do_clear_private(const struct seq *s) {
    for (unsigned i = 0; i < s->count; i++) {
        set_private_mode(s->parameters[i], false);
    }
}

/* ---- the table ---- */

/*
 * All CSI sequences that are known. What has no row here is carried out nowhere; what asks is
 * answered here and not by the admin's terminal, whose answer would go to whatever view is shown
 * when it comes.
 */
static const struct csi {
    char mark, intermediate, final;
    bool asks;                        /* the admin's terminal must not have it */
    void (*run)(const struct seq *s); /* NULL = for the admin's terminal alone */
} csis[] = {
    {.final = '@', .run = do_insert_characters},
    {.final = 'A', .run = do_up},
    {.final = 'B', .run = do_down},
    {.final = 'C', .run = do_right},
    {.final = 'D', .run = do_left},
    {.final = 'E', .run = do_next_line},
    {.final = 'F', .run = do_previous_line},
    {.final = 'G', .run = do_column},
    {.final = 'H', .run = do_address},
    {.final = 'I', .run = do_tab},
    {.final = 'J', .run = do_erase_display},
    {.final = 'K', .run = do_erase_line},
    {.final = 'L', .run = do_insert_lines},
    {.final = 'M', .run = do_delete_lines},
    {.final = 'P', .run = do_delete_characters},
    {.final = 'S', .run = do_scroll_up},
    {.final = 'T', .run = do_scroll_down},
    {.final = 'X', .run = do_erase_characters},
    {.final = 'Z', .run = do_back_tab},
    {.final = '`', .run = do_column},
    {.final = 'a', .run = do_right},
    {.final = 'b', .run = do_repeat},
    {.final = 'c', .run = do_ask_kind, .asks = true},
    {.final = 'd', .run = do_row},
    {.final = 'e', .run = do_down},
    {.final = 'f', .run = do_address},
    {.final = 'g', .run = do_clear_tab},
    {.final = 'h', .run = do_set},
    {.final = 'l', .run = do_clear},
    {.final = 'm', .run = do_colours},
    {.final = 'n', .run = do_ask_status, .asks = true},
    {.final = 'r', .run = do_margins},
    {.final = 's', .run = do_save},
    {.final = 'u', .run = do_restore},
    {.mark = '?', .final = 'J', .run = do_erase_display},
    {.mark = '?', .final = 'K', .run = do_erase_line},
    {.mark = '?', .final = 'h', .run = do_set_private},
    {.mark = '?', .final = 'l', .run = do_clear_private},
    {.intermediate = '!', .final = 'p', .run = do_soft_reset},
    {.intermediate = ' ', .final = 'q', .run = NULL}, /* the cursor's shape */
};

bool term_put_csi(const struct seq *s) {
    for (size_t i = 0; i < ARRAY_SIZE(csis); i++) {
        const struct csi *csi = &csis[i];
        if (s->code == (uint8_t)csi->final && s->mark == (uint8_t)csi->mark &&
            s->intermediate == (uint8_t)csi->intermediate) {
            term.hold = csi->asks;
            if (csi->run != NULL) {
                csi->run(s);
            }
            return !term.hold;
        }
    }
    return false;
}
