/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns all state of the physical console, under one lock that nothing is called with but plat's
 * output functions. The pump moves bytes as far as the serial line takes them and never waits; who
 * else moves them on is the UART's interrupt. What takes longer, drawing above all, is done later
 * and without the lock, see "later" below. See console.h for who may call what.
 */
#include "hv/monitor/console.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/command.h"
#include "hv/monitor/grid.h"
#include "hv/monitor/later.h"
#include "hv/monitor/term.h"
#include "hv/monitor/typed.h"
#include "hv/vm/devices.h"
#include "hv/vm/plat.h"

#define NOTICE_SIZE 1024u
#define PROMPT_SIZE 128u
#define TEXT_SIZE   512u
#define MAX_VIEWS   (1 + CONFIG_MAX_GUESTS)
/* Bytes of room before a guest that waits may go on: it may spin meanwhile, so 3 ms of line. */
#define ROOM        32u
#define KEYS        "then 0 log, 1-9 guest, n next"
#define LETTER      0x40 /* of a control character: Ctrl-A is 1 */

#define OUT_SIZE  (2 * SEQ_BYTES)
/* Bytes in one go: a banner fits in, and no neighbour on this CPU waits long. */
#define PUMP_MOST 320u
#define DRAW_MOST 64u /* cells in one go, 30 us on a fast screen, 300 us on a slow one */

/* A terminal on a serial line is taken for one of this size: its own is not known. */
#define LINE_COLUMNS 80
#define LINE_ROWS    24

#define PATIENCE_SECONDS 5 /* with a guest that hardly reads, while the terminal is stopped */

/*
 * Out of whatever a guest has left the admin's terminal in: sequence begun, modes, colours,
 * character sets, alternate screen, margins, keys, mouse, pasting; then to the bottom, so that
 * nothing is overwritten.
 */
#define TERMINAL_RESET                                                                             \
    "\x18\x1b[!p\x1b[0m\x1b(B\x1b)B\x0f\x1b[?1049l\x1b[?47l\x1b[r\x1b[?5;6l\x1b[?7;12;25h"         \
    "\x1b[4;20l\x1b[?1;66l\x1b>\x1b[?1000;1002;1003;1004;1005;1006;1015;2004l\x1b[0 q"             \
    "\x1b[999;1H"

struct console_view {
    struct vm *vm; /* NULL for the log, whose keys are the operator's */
    const char *name;
    uint64_t written; /* bytes ever; byte i is at ring[i % size] */
    uint64_t cursor;  /* next byte for the physical console, while in focus */
    bool waiting;     /* the guest was told to wait; vm_console_ready() is owed */
    uint8_t ring[CONSOLE_RING_SIZE];
};

static struct console {
    struct lock lock;
    char escape_key; /* the control character that is ours */
    bool escape;     /* it was typed: the next key is a command */
    unsigned count, focus;
    unsigned focus_next; /* the view to show once the log has gone out, 0 = none */
    struct console_view log;
    struct console_view *views[MAX_VIEWS];
    /* Text of our own that goes out before the next byte of the view. */
    uint8_t notice[NOTICE_SIZE];
    uint64_t notice_at, notice_end;
    size_t line_only; /* so many bytes of it are for the serial line's terminal alone */
    /* The operator's line as it should stand below an idle log, and as it stands there. */
    char prompt[PROMPT_SIZE], shown[PROMPT_SIZE];
    size_t before_end, shown_before_end; /* the cursor, so many characters before it */
    /* What is cut into sequences: the view, and our own text, which may come in the middle of it.
     */
    struct seq seq, own;
    uint64_t answer_from; /* questions before this byte of the view are old */
    /* What the serial line gets next. */
    uint8_t out[OUT_SIZE];
    size_t out_at, out_end;
    bool pump_more; /* stopped at PUMP_MOST */
    struct typed typed;
    bool typing;       /* some CPU hands typed on, or does a command's work, without the lock */
    bool command_busy; /* a command of the operator has more to show */
    struct later later;
} console = {.count = 1, .views = {&console.log}};

static uint64_t backlog(const struct console_view *v) {
    return v->written - v->cursor;
}

static struct console_view *focused(void) {
    return console.views[console.focus];
}

/* All or nothing: half a message helps nobody, and everything of weight is in the log as well. */
static PRINTF_LIKE(1, 2) void notice(const char *format, ...) {
    char text[TEXT_SIZE];
    FMT_ARGUMENTS(text, format);
    size_t n = strlen(text);
    if (console.notice_at == console.notice_end) {
        console.notice_at = console.notice_end = 0;
    }
    if (n <= NOTICE_SIZE - console.notice_end) {
        memcpy(console.notice + console.notice_end, text, n);
        console.notice_end += n;
    }
}

static void ring_append(struct console_view *v, uint8_t byte) {
    v->ring[v->written++ % CONSOLE_RING_SIZE] = byte;
}

/* ---- views ---- */

static void update_status(void) {
    char text[GRID_MAX_COLUMNS + 1];
    size_t n = fmt_print(text, sizeof(text), " %u/%u %s | keys: Ctrl-%c then ? |", console.focus,
                         console.count - 1, focused()->name, console.escape_key | LETTER);
    for (unsigned i = 1; i < console.count && n < sizeof(text); i++) {
        const struct console_view *v = console.views[i];
        n += fmt_print(text + n, sizeof(text) - n, "%s %s %s", i == 1 ? "" : ",", v->name,
                       vm_state_name(v->vm->state));
    }
    grid_set_status(text);
}

/* The last quarter of the ring, from the beginning of a line if there is one near. */
static uint64_t replay_start(const struct console_view *v) {
    uint64_t start = v->written - min_u64(v->written, CONSOLE_RING_SIZE / 4);
    uint64_t end = start + CONSOLE_RING_SIZE / 16, i = start;
    while (i != 0 && i < end && v->ring[(i - 1) % CONSOLE_RING_SIZE] != '\n') {
        i++;
    }
    return i < end ? i : start;
}

/* The line that only a key brings: a guest can imitate it, but does not know when. */
static void say_view(const char *help) {
    char letter = (char)(console.escape_key | LETTER);
    notice("\r\n[bulkhead] console %u/%u: %s - Ctrl-%c " KEYS ", %s\r\n", console.focus,
           console.count - 1, focused()->name, letter, help);
    console.shown[0] = '\0';
}

static void say_lost(unsigned lost, const char *why) {
    if (lost != 0) {
        notice("\r\n[bulkhead] %u typed bytes lost: %s\r\n", lost, why);
    }
}

static void switch_to(unsigned index) {
    const char *left = focused()->name;
    console.focus = index;
    console.focus_next = 0;

    struct console_view *v = focused();
    v->cursor = replay_start(v);
    console.answer_from = v->written;
    seq_reset(&console.seq);
    term_reset();
    console.out_at = console.out_end = 0;
    console.notice_at = console.notice_end;

    unsigned lost = typed_reset(&console.typed);
    notice(TERMINAL_RESET);
    console.line_only = strlen(TERMINAL_RESET);
    if (lost != 0) {
        notice("\r\n[bulkhead] %u typed bytes lost: %s had not read them", lost, left);
    }
    say_view("? help");
    update_status();
}

/* ---- the pump ---- */

/* A question that was just put, but for one that is only replayed. */
static void answer(const struct console_view *v) {
    char text[TERM_ANSWER_MAX];
    bool line = plat_serial_present();
    int columns = line ? LINE_COLUMNS : GRID_MAX_COLUMNS;
    int rows = line ? LINE_ROWS : GRID_MAX_ROWS;
    size_t n = term_answer(text, columns, rows);
    bool wanted = v->vm != NULL && v->cursor >= console.answer_from;
    wanted = wanted && typed_is_short(&console.typed);
    for (size_t i = 0; wanted && i < n; i++) {
        (void)typed_put(&console.typed, (uint8_t)text[i], plat_tsc());
    }
}

/* One byte of a view; what it completes goes to the screen, and to the line if it may. */
static void feed_view(const struct console_view *v, uint8_t byte) {
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

/* Does what has to come before the next byte of the view; false if there is nothing. */
static bool prepare(struct console_view *v) {
    bool log_idle = v == &console.log && backlog(v) == 0;
    const char *prompt = log_idle ? console.prompt : "";
    size_t before_end = log_idle ? console.before_end : 0;
    if (backlog(v) > CONSOLE_RING_SIZE) {
        uint64_t cursor = v->written - CONSOLE_RING_SIZE / 2;
        notice("\r\n[bulkhead] %llu bytes skipped\r\n", (ull)(cursor - v->cursor));
        v->cursor = cursor;
        seq_reset(&console.seq);
    } else if (log_idle && focus_is_due()) {
        switch_to(console.focus_next);
    } else if (!str_equal(prompt, console.shown) || before_end != console.shown_before_end) {
        notice("\r%s\x1b[K", prompt);
        if (before_end != 0) {
            notice("\x1b[%lluD", (ull)before_end);
        }
        (void)str_copy_n(console.shown, PROMPT_SIZE, prompt, strlen(prompt));
        console.shown_before_end = before_end;
    } else {
        return false;
    }
    return true;
}

/* Fills out, which is empty; returns the bytes taken from where they waited, 0 if none did. */
static unsigned refill(void) {
    unsigned taken = 0;
    console.out_at = console.out_end = 0;
    if (console.typed.flow != 0) {
        console.out[console.out_end++] = console.typed.flow;
        console.typed.flow = 0;
        return 1;
    }
    while (console.notice_at == console.notice_end && prepare(focused())) {
    }
    while (console.notice_at != console.notice_end && console.out_end < OUT_SIZE) {
        feed_own(console.notice[console.notice_at++]);
        taken++;
    }
    struct console_view *v = focused();
    while (console.notice_at == console.notice_end && backlog(v) != 0 &&
           OUT_SIZE - console.out_end > SEQ_BYTES) {
        feed_view(v, v->ring[v->cursor % CONSOLE_RING_SIZE]);
        v->cursor++;
        taken++;
    }
    return taken;
}

/*
 * While a guest waits for room only the callers that may call it back pump, so that it is not left
 * waiting for an interrupt that does not come.
 */
static void pump(bool may_call_back) {
    if (focused()->waiting && !may_call_back) {
        return;
    }
    for (unsigned pumped = 0; pumped < PUMP_MOST;) {
        if (console.out_at == console.out_end) {
            unsigned taken = refill();
            if (taken == 0) {
                console.pump_more = false;
                return;
            }
            pumped += taken;
        }
        console.out_at +=
            plat_serial_write(console.out + console.out_at, console.out_end - console.out_at);
        if (console.out_at != console.out_end) {
            console.pump_more = false; /* the line's interrupt goes on */
            return;
        }
    }
    console.pump_more = true;
}

/* ---- later ---- */

static enum later_left work_left(void) {
    bool typed = console.typed.count != 0 && !console.typing;

    if (console.command_busy || (typed && focused()->vm == NULL)) {
        return LATER_COMMAND;
    }
    if (console.pump_more || grid_is_dirty()) {
        return LATER_SOON;
    }
    return typed ? LATER_SLOWLY : LATER_NOTHING;
}

static void draw(const struct grid_change *changes, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        plat_screen_draw(changes[i].column, changes[i].row, changes[i].cell);
    }
}

/* Before guests run nobody waits, and what is shown may be the last that is seen of a machine. */
static void work_at_once(void) {
    struct grid_change changes[DRAW_MOST];
    while (console.pump_more) {
        pump(true);
    }
    while (grid_is_dirty()) {
        draw(changes, grid_take(changes, DRAW_MOST));
    }
}

/* The one way to release the lock: what others wrote may have gone through this CPU. */
static void leave(void) {
    if (!console.later.live) {
        work_at_once();
    } else if (work_left() != LATER_NOTHING) {
        later_want(&console.later, focused()->vm);
    }
    plat_clear_traces(); /* views of other guests, and what they left on the screen */
    lock_release(&console.lock);
}

/*
 * Pumps, releases the lock and calls back the view that had the focus before, if it was told to
 * wait and has room now or is out of focus.
 */
static void finish(struct console_view *before) {
    pump(true);
    bool room = before != focused() || backlog(before) <= CONSOLE_RING_SIZE / 2 - ROOM;
    bool owed = before->waiting && room;
    before->waiting = before->waiting && !room;
    leave();
    if (owed) {
        vm_console_ready(before->vm);
    }
}

/*
 * Without the lock: the operator's next piece of work. A line of what a command shows, or else the
 * first of the keys in the log view. Returns how many keys were taken.
 */
static unsigned operate(const uint8_t *keys, unsigned n) {
    if (command_is_busy()) {
        command_work();
        return 0;
    }
    if (n == 0) {
        return 0;
    }
    command_key(keys[0]);
    return 1;
}

/* Without the lock: returns how many keys the guest has taken. */
static unsigned give(struct vm *vm, const uint8_t *keys, unsigned n) {
    unsigned taken = 0;
    while (taken < n && vm_console_input(vm, keys[taken])) {
        taken++;
    }
    return taken;
}

/*
 * With the lock: what was typed goes to the guest as far as it takes it, or to the operator, whose
 * command goes on in any view. Without the lock meanwhile.
 */
static void type(void) {
    uint8_t bytes[TYPED_MOVE];
    struct typed *t = &console.typed;
    struct console_view *v = focused();
    uint64_t epoch = t->epoch;
    unsigned n = typed_peek(t, bytes);
    if (console.typing || (n == 0 && !console.command_busy)) {
        return;
    }
    console.typing = true;
    bool command = console.command_busy;
    lock_release(&console.lock);
    unsigned taken = v->vm != NULL ? give(v->vm, bytes, n) : 0;
    if (v->vm == NULL || command) {
        taken += operate(bytes, v->vm == NULL ? n : 0);
    }
    command = command_is_busy();
    lock_acquire(&console.lock);
    console.typing = false;
    console.command_busy = command;
    if (t->epoch == epoch && n != 0) {
        bool said = t->given_up;
        unsigned lost = typed_taken(t, taken, plat_tsc(), PATIENCE_SECONDS * plat_tsc_hz());
        say_lost(said ? 0 : lost,
                 v->vm != NULL ? "the guest does not read them" : "a command takes too long");
    }
}

/*
 * A key is answered at once, unless there has been much to do just now: a paste, above all into the
 * operator's line, is worked off by and by.
 */
static void type_at_once(void) {
    uint64_t begin = plat_tsc();

    if (focused()->vm != NULL || !console.later.live) {
        type();
    } else if (later_is_due(&console.later)) {
        type();
        later_worked(&console.later, plat_tsc() - begin, LATER_COMMAND);
    }
}

void hv_console_work(void) {
    struct grid_change changes[DRAW_MOST];
    lock_acquire(&console.lock);
    if (!later_begin(&console.later)) {
        lock_release(&console.lock);
        return;
    }
    uint64_t begin = plat_tsc();
    type();
    struct console_view *before = focused();
    pump(true);
    unsigned count = grid_take(changes, DRAW_MOST);
    lock_release(&console.lock);

    draw(changes, count);

    lock_acquire(&console.lock);
    later_end(&console.later, plat_tsc() - begin, work_left());
    finish(before);
}

/* ---- what others call ---- */

/* A byte from the guest's UART, with the VM's lock held. False while the line is far behind. */
bool vm_transmit(struct vm *vm, uint8_t byte) {
    struct console_view *v = vm->console;
    lock_acquire(&console.lock);
    if (v == focused() && backlog(v) > CONSOLE_RING_SIZE / 2) {
        pump(false);
        v->waiting = backlog(v) > CONSOLE_RING_SIZE / 2;
    }
    bool taken = !v->waiting;
    if (taken) {
        ring_append(v, byte);
    }
    if (v != focused()) { /* it has no part in what is shown, nor in the work of showing it */
        lock_release(&console.lock);
        return taken;
    }
    if (taken) {
        pump(false);
    }
    leave();
    return taken;
}

void console_init(char escape_key) {
    memset(&console, 0, sizeof(console));
    console.escape_key = escape_key;
    console.log.name = "log";
    console.views[console.count++] = &console.log;
    later_init(&console.later);
    term_init();
    update_status();
}

void console_add_vm(struct vm *vm) {
    struct console_view *v = pool_alloc(&vm->pool, sizeof(*v));
    ASSERT(v != NULL && console.count < MAX_VIEWS); /* plan_budget_size() counts it in */
    v->vm = vm;
    v->name = vm->name;
    vm->console = v;
    console.views[console.count++] = v;
    update_status();
}

void console_start(unsigned index) {
    lock_acquire(&console.lock);
    console.focus_next = index;
    pump(false);
    leave(); /* the last that is drawn at once */
    later_go_live(&console.later);
}

void hv_console_log(enum log_level level, const char *line, size_t n) {
    lock_acquire(&console.lock);
    for (size_t i = 0; i < n; i++) { /* lines end "\n" inside and "\r\n" on the wire */
        if (line[i] == '\n') {
            ring_append(&console.log, '\r');
        }
        ring_append(&console.log, (uint8_t)line[i]);
    }
    if (focused() != &console.log && level <= LOG_WARN) {
        notice("\r\n[bulkhead] %.*s\r\n", (int)(n - 1), line);
    }
    pump(false);
    leave();
}

void vm_state_changed(struct vm *vm) {
    (void)vm; /* the status row shows all */
    lock_acquire(&console.lock);
    update_status();
    pump(false);
    leave();
}

void console_print(const char *format, ...) {
    char text[TEXT_SIZE];
    FMT_ARGUMENTS(text, format);
    hv_console_log(LOG_INFO, text, strlen(text));
}

void console_set_prompt(const char *prompt, const char *line, size_t before_end) {
    lock_acquire(&console.lock);
    console.before_end = before_end;
    (void)fmt_print(console.prompt, sizeof(console.prompt), "%s%s", prompt, line);
    pump(false);
    leave();
}

/* The key after the escape key; true if it goes to the guest itself. */
static bool escape_command(uint8_t byte) {
    unsigned view = byte == 'n' ? (console.focus + 1) % console.count : byte - (unsigned)'0';
    if (view < console.count) {
        switch_to(view);
    } else if (byte != console.escape_key) {
        say_view("? help, twice the key itself");
    }
    return byte == console.escape_key;
}

void hv_console_input(uint8_t byte) {
    lock_acquire(&console.lock);
    struct console_view *before = focused();
    console.focus_next = 0; /* the user has a will of their own */
    bool to_view = console.escape ? escape_command(byte) : byte != console.escape_key;
    console.escape = !console.escape && byte == console.escape_key;
    if (to_view) {
        bool room = typed_put(&console.typed, byte, plat_tsc());
        say_lost(room ? 0 : 1, "the terminal did not wait");
        type_at_once();
    }
    finish(before);
}

void hv_console_writable(void) {
    lock_acquire(&console.lock);
    finish(focused());
}

void hv_console_overrun(void) {
    lock_acquire(&console.lock);
    notice("\r\n[bulkhead] typed bytes lost: the serial line brought them too fast\r\n");
    finish(focused());
}
