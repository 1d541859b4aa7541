/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns all state of the physical console, under one lock that nothing is called with but plat's
 * output functions. The pump moves bytes as far as the serial line takes them and never waits; who
 * else moves them on is the UART's interrupt. See console.h for who may call what.
 */
#include "hv/monitor/console.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/command.h"
#include "hv/monitor/term.h"
#include "hv/vm/plat.h"

#define ESCAPE_KEY     0x1d /* Ctrl-] */
#define NOTICE_SIZE    1024u
#define PROMPT_SIZE    128u
#define TEXT_SIZE      384u
#define MAX_VIEWS      (1 + CONFIG_MAX_GUESTS)
#define DRAWS_A_SECOND 30u
/* Bytes of room before a guest that waits may go on: it may spin meanwhile, so 3 ms of line. */
#define ROOM           32u
#define KEYS           "Ctrl-] then 0 log, 1-9 guest, n next"

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
    bool escape;
    unsigned count, focus;
    unsigned focus_next; /* the view to show once the log has gone out, 0 = none */
    struct console_view log;
    struct console_view *views[MAX_VIEWS];
    /* Text of our own that goes out before the next byte of the view. */
    uint8_t notice[NOTICE_SIZE];
    uint64_t notice_at, notice_end;
    /* The operator's line as it should stand below an idle log, and as it stands there. */
    char prompt[PROMPT_SIZE], shown[PROMPT_SIZE];
    size_t before_end, shown_before_end; /* the cursor, so many characters before it */
    uint64_t drawn_tsc;
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
    char text[TERM_MAX_COLUMNS + 1];
    size_t n = fmt_print(text, sizeof(text), " %u/%u %s | keys: Ctrl-] then ? |", console.focus,
                         console.count - 1, focused()->name);
    for (unsigned i = 1; i < console.count && n < sizeof(text); i++) {
        const struct console_view *v = console.views[i];
        n += fmt_print(text + n, sizeof(text) - n, "%s %s %s", i == 1 ? "" : ",", v->name,
                       vm_state_name(v->vm->state));
    }
    term_set_status(text);
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

static void switch_to(unsigned index) {
    console.focus = index;
    console.focus_next = 0;
    struct console_view *v = focused();
    v->cursor = replay_start(v);
    console.notice_at = console.notice_end;
    console.shown[0] = '\0';
    term_reset();
    notice("\r\n[bulkhead] console %u/%u: %s - " KEYS ", ? help\r\n", index, console.count - 1,
           v->name);
    update_status();
}

/* ---- the pump ---- */

/* Moves *at on by what the line takes of n bytes; false if that is not all. */
static bool emit(const uint8_t *bytes, size_t n, uint64_t *at) {
    size_t taken = plat_serial_write(bytes, n);
    term_write(bytes, taken);
    *at += taken;
    return taken == n;
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
    } else if (log_idle && console.focus_next != 0) {
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

/*
 * While a guest waits for room only the callers that may call it back pump, so that it is not left
 * waiting for an interrupt that does not come.
 */
static void pump(bool may_call_back) {
    if (focused()->waiting && !may_call_back) {
        return;
    }
    bool room = true, more = true;
    while (room && more) {
        struct console_view *v = focused();
        uint64_t at = v->cursor % CONSOLE_RING_SIZE;
        if (console.notice_at != console.notice_end) {
            room = emit(console.notice + console.notice_at, console.notice_end - console.notice_at,
                        &console.notice_at);
        } else if (!prepare(v)) {
            more = backlog(v) != 0;
            room = !more ||
                   emit(v->ring + at, min_u64(backlog(v), CONSOLE_RING_SIZE - at), &v->cursor);
        }
    }
    /* Drawing is slow. A line that is behind will call again, so then it can be left for later. */
    uint64_t now = plat_tsc();
    if (room || now - console.drawn_tsc > plat_tsc_hz() / DRAWS_A_SECOND) {
        console.drawn_tsc = now;
        term_flush();
    }
    plat_clear_traces(); /* views of other guests, and what they left on the screen */
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
    lock_release(&console.lock);
    if (owed) {
        vm_console_ready(before->vm);
    }
}

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
    if (taken && v == focused()) {
        pump(false);
    }
    lock_release(&console.lock);
    return taken;
}

void console_init(void) {
    memset(&console, 0, sizeof(console));
    console.log.name = "log";
    console.views[console.count++] = &console.log;
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

void console_focus_after_log(unsigned index) {
    console.focus_next = index;
    pump(false);
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
    update_status();
    pump(false);
    lock_release(&console.lock);
}

/* Not every change of a state comes with a log line. */
void vm_state_changed(struct vm *vm) {
    (void)vm; /* the status row shows all */
    lock_acquire(&console.lock);
    update_status();
    pump(false);
    lock_release(&console.lock);
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
    lock_release(&console.lock);
}

/* The key after the escape key; true if it goes to the guest itself. */
static bool escape_command(uint8_t byte) {
    unsigned view = byte == 'n' ? (console.focus + 1) % console.count : byte - (unsigned)'0';
    if (view < console.count) {
        switch_to(view);
    } else if (byte != ESCAPE_KEY) {
        notice("\r\n[bulkhead] " KEYS ", ? help, Ctrl-] the key itself\r\n");
        console.shown[0] = '\0';
    }
    return byte == ESCAPE_KEY;
}

void hv_console_input(uint8_t byte) {
    lock_acquire(&console.lock);
    struct console_view *before = focused();
    console.focus_next = 0; /* the user has a will of their own */
    bool to_view = console.escape ? escape_command(byte) : byte != ESCAPE_KEY;
    console.escape = !console.escape && byte == ESCAPE_KEY;
    update_status();
    finish(before);
    if (to_view && before->vm == NULL) {
        command_key(byte);
    } else if (to_view) {
        (void)vm_console_input(before->vm, byte); /* a full FIFO loses it, as a PC's would */
    }
}

void hv_console_writable(void) {
    lock_acquire(&console.lock);
    finish(focused());
}
