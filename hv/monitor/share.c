/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See share.h. */
#include "hv/monitor/share.h"

#include "hv/monitor/grid.h"
#include "hv/monitor/pen.h"
#include "hv/monitor/term_state.h"

#define LOG_ROWS   8 /* with its title, and more where they cannot be divided */
#define LEAST_ROWS 4 /* of a guest's part */

/* The rows of a view: a title, and a terminal of its own. */
struct share_part {
    unsigned view;
    int first, rows; /* of the terminal */
    struct term term;
    struct seq seq;
};

static struct share {
    int rows; /* of all of them */
    unsigned count, now;
    struct share_part parts[MAX_VIEWS];
} share;

static struct console_view *part_view(const struct share_part *part) {
    return console.views[part->view];
}

static void share_select(unsigned number) {
    struct share_part *old = &share.parts[share.now];
    struct share_part *new = &share.parts[number];

    if (number != share.now) {
        old->term = term;
        old->seq = console.seq;
        term = new->term;
        console.seq = new->seq;
    }
    grid_window(new->first, new->rows);
    share.now = number;
    console.focus = new->view;
    console.feeder_called = false;
}

static void draw_title(int row, const char *name) {
    struct screen_cell cell = pen_cell(&pen_plain);

    cell.pair = SCREEN_PAIR(SCREEN_BLACK, SCREEN_GREY);
    cell.character = ' ';
    grid_window(0, share.rows);
    grid_fill(row, 0, term.columns, cell);
    for (int column = 1; *name != '\0' && column < term.columns; column++) {
        cell.character = (uint8_t)*name;
        grid_put(row, column, cell);
        name++;
    }
}

/* The next one, of so many rows with its title; returns where the one after it begins. */
static int share_add(int first, int rows, unsigned view) {
    struct share_part *part = &share.parts[share.count];

    *part = (struct share_part){.view = view, .first = first + 1, .rows = rows - 1};
    draw_title(first, console.views[view]->name);
    grid_window(part->first, part->rows);
    term.rows = part->rows;
    term_reset();
    part->term = term;
    struct console_view *v = part_view(part);
    v->cursor = view_replay_start(v, v->written);
    share.count++;
    return first + rows;
}

/* The guests from the first on, as many as there are rows for, and below them the log. */
bool share_begin(void) {
    int rows = term.rows;
    int most = (rows - LOG_ROWS) / LEAST_ROWS;
    int guests = term_clamp((int)console.count - 1, 0, most);
    int row = 0;

    if (!console.share_wanted || guests <= 0 || plat_screen_rows == 0) {
        return false;
    }
    term_reset();
    share = (struct share){.rows = rows};
    for (int i = 1; i <= guests; i++) {
        row = share_add(row, (rows - LOG_ROWS) / guests, (unsigned)i);
    }
    (void)share_add(row, rows - row, 0);
    term = share.parts[0].term;
    seq_reset(&console.seq);
    console.shared = true;
    console.focus_next = 0;
    console.shown[0] = '\0';
    console.shown_before_end = 0;
    share_select(0);
    view_update_status();
    return true;
}

static unsigned find_part(const struct console_view *v) {
    unsigned i = 0;

    while (i < share.count && part_view(&share.parts[i]) != v) {
        i++;
    }
    return i;
}

bool share_take(struct console_view *v) {
    unsigned part = console.shared ? find_part(v) : share.count;

    if (!console.shared || part == share.count) {
        return false;
    }
    if (view_backlog(view_focused()) == 0 && !view_focused()->waiting) {
        share_select(part);
    }
    return true;
}

/* The next part after the one whose turn it is that has something to say; or that one. */
static unsigned share_next(void) {
    unsigned i = share.now;

    do {
        i = (i + 1) % share.count;
    } while (i != share.now && view_backlog(part_view(&share.parts[i])) == 0);
    return i;
}

bool share_waits(void) {
    return console.shared && share_next() != share.now;
}

void share_turn(void) {
    if (share_waits()) {
        share_select(share_next());
    }
}

void share_end(void) {
    if (!console.shared) {
        return;
    }
    console.shared = console.share_wanted = false;
    grid_window(0, share.rows);
    term.rows = share.rows;
    view_switch_to(1);
}
