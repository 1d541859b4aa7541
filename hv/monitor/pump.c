/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of bytes from the view in focus and our own notices to the serial line and the screen's
 * cells. Sequences are cut, judged and carried out here. See pump.h.
 */
#include "hv/monitor/pump.h"

#include "hv/lib/fmt.h"
#include "hv/lib/message.h"
#include "hv/lib/str.h"
#include "hv/monitor/grid.h"
#include "hv/monitor/share.h"
#include "hv/monitor/term.h"
#include "hv/monitor/views.h"
#include "hv/vm/plat.h"

/*
 * The work of one call, in cells of the screen that are written, about 4 instructions each; a byte
 * is as much work as so many cells. No neighbour waits long, be it on this CPU or for the lock:
 * 10,000 instructions, and what one sequence can do.
 */
#define WORK_MOST    2048u
#define WORK_OF_BYTE 32u

/* A terminal on a serial line is taken for one of this size: its own is not known. */
#define LINE_COLUMNS 80
#define LINE_ROWS    24

/* A question that was just put, but for one that is only replayed. */
static void answer(struct console_view *v) {
    char text[TERM_ANSWER_MAX];
    bool line = plat_serial_present();
    int columns = line ? LINE_COLUMNS : GRID_MAX_COLUMNS;
    int rows = line ? LINE_ROWS : GRID_MAX_ROWS;
    size_t n = term_answer(text, columns, rows);
    bool wanted = v->vm != NULL && v->cursor >= console.answer_from;
    wanted = wanted && typed_is_short(&v->typed);
    for (size_t i = 0; wanted && i < n; i++) {
        (void)typed_put(&v->typed, (uint8_t)text[i], plat_tsc());
    }
}

/* One byte of a view; what it completes goes to the screen, and to the line if it may. */
static void feed_view(struct console_view *v, uint8_t byte) {
    struct seq *s = &console.seq;
    do {
        if (!seq_feed(s, byte)) {
            continue;
        }
        bool pass = term_put(s);
        if (pass && s->kind == SEQ_CONTROL) {
            console.out[console.out_end++] = (uint8_t)s->code;
        } else if (pass) {
            memcpy(console.out + console.out_end, s->bytes, s->length);
            console.out_end += s->length;
        }
        answer(v);
    } while (s->again);
}

/* One byte of our own text: it stands as it is. */
static void feed_own(uint8_t byte) {
    console.out[console.out_end++] = byte;
    if (console.line_only != 0) { /* our own terminal has been reset by other means */
        console.line_only--;
        return;
    }
    if (seq_feed(&console.own, byte)) {
        (void)term_put(&console.own);
    }
}

/* The view to come has a guest by now: a large one is scrubbed for seconds before. */
static bool focus_is_due(void) {
    if (console.focus_next == 0) {
        return false;
    }
    enum vm_state state = console.views[console.focus_next]->vm->state;
    return state != VM_STOPPED && state != VM_STARTING;
}

/* The prompt as it is to stand, the cursor so many columns before its end. What is only added at
 * the end is written alone: a slow line is not to get all of it with each key. */
static void draw_prompt(const char *prompt, size_t before_end) {
    size_t old = strlen(console.shown);
    bool added = old != 0 && before_end == 0 && console.shown_before_end == 0 &&
                 strlen(prompt) > old && memcmp(prompt, console.shown, old) == 0;

    if (added) {
        view_notice("%s", prompt + old);
    } else {
        view_notice("\r%s\x1b[K", prompt);
    }
    if (before_end != 0) {
        view_notice("\x1b[%lluD", (ull)before_end);
    }
    (void)str_copy_n(console.shown, PROMPT_SIZE, prompt, strlen(prompt));
    console.shown_before_end = before_end;
}

/* Does what has to come before the next byte of the view; false if there is nothing. */
static bool prepare(struct console_view *v) {
    bool log_idle = v == &console.log && view_backlog(v) == 0;
    const char *prompt = log_idle && !console.shared ? console.prompt : "";
    size_t before_end = log_idle ? console.before_end : 0;
    if (view_backlog(v) > CONSOLE_RING_SIZE) {
        uint64_t cursor = v->written - CONSOLE_RING_SIZE / 2;
        view_notice("\r\n[bulkhead] %llu bytes skipped" MSG(6303) "\r\n",
                    (ull)(cursor - v->cursor));
        v->cursor = cursor;
        seq_reset(&console.seq);
    } else if (log_idle && focus_is_due()) {
        if (!share_begin()) {
            view_switch_to(console.focus_next);
        }
    } else if (!str_equal(prompt, console.shown) || before_end != console.shown_before_end) {
        draw_prompt(prompt, before_end);
    } else {
        return false;
    }
    return true;
}

/* Has it work for its CPUs that must not wait? */
static bool is_live(const struct vm_public *vm) {
    enum vm_state state = vm->state;
    return state == VM_STARTING || state == VM_RUNNING || state == VM_STOPPING;
}

/* A CPU whose guest does not run has time. */
bool pump_may_feed(void) {
    const struct vm_public *vm = view_focused()->vm;
    const struct vm_public *here = vm_of_cpu[plat_cpu()];

    if (!console.later.live || vm == NULL || here == NULL || here == vm || !is_live(here)) {
        return true;
    }
    return later_cpu(&console.later, vm) == plat_cpu(); /* no CPU of its own is there */
}

/* For a CPU that may not feed: one that may is to. */
static void call_feeder(void) {
    const struct console_view *v = view_focused();

    if (view_backlog(v) != 0 && !console.feeder_called && !pump_may_feed()) {
        console.feeder_called = true;
        plat_console_call(later_cpu(&console.later, v->vm));
    }
}

/* All work since the start. */
static uint64_t work_done(void) {
    return console.fed * WORK_OF_BYTE + grid_written();
}

/*
 * Fills out, which is empty, until so much work is done; returns the bytes taken from where they
 * waited, 0 if none did.
 */
static unsigned refill(uint64_t work_end) {
    uint64_t fed = console.fed;
    console.out_at = console.out_end = 0;
    uint8_t flow = view_focused()->typed.full ? XOFF : XON;
    if (flow != console.flow) {
        console.out[console.out_end++] = flow;
        console.flow = flow;
        console.fed++;
        return 1;
    }
    while (console.notice_at == console.notice_end && prepare(view_focused())) {
    }
    while (console.notice_at != console.notice_end && console.out_end < OUT_SIZE) {
        feed_own(console.notice[console.notice_at++]);
        console.fed++;
    }
    struct console_view *v = view_focused();
    bool feed = console.notice_at == console.notice_end && pump_may_feed();
    while (feed && view_backlog(v) != 0 && OUT_SIZE - console.out_end > SEQ_BYTES &&
           work_done() < work_end) {
        feed_view(v, v->ring[v->cursor % CONSOLE_RING_SIZE]);
        v->cursor++;
        console.fed++;
    }
    return (unsigned)(console.fed - fed);
}

void pump(bool may_call_back) {
    uint64_t work_end = work_done() + WORK_MOST;

    if (view_focused()->waiting && !may_call_back) {
        return;
    }
    console.pump_more = false;
    while (work_done() < work_end) {
        if (console.out_at == console.out_end && refill(work_end) == 0) {
            call_feeder();
            return;
        }
        console.out_at +=
            plat_serial_write(console.out + console.out_at, console.out_end - console.out_at);
        if (console.out_at != console.out_end) {
            return; /* the line's interrupt goes on */
        }
    }
    console.pump_more = true;
}
