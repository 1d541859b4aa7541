/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns all state of the physical console, under one lock that nothing is called with but plat's
 * output functions. The pump moves bytes as far as the serial line takes them and never waits; who
 * else moves them on is the UART's interrupt. See console.h for who may call what.
 */
#include "hv/monitor/console.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/term.h"
#include "hv/vm/plat.h"

#define ESCAPE_KEY     0x1d /* Ctrl-] */
#define NOTICE_SIZE    1024u
#define PROMPT_SIZE    160u
#define TEXT_SIZE      320u
#define DRAWS_A_SECOND 30u
/* Bytes of room before a guest that waits may go on: it may spin meanwhile, so 3 ms of line. */
#define ROOM           32u
#define KEYS           "Ctrl-] then 0 log, 1-9 guest, n next"

static struct console {
    struct lock lock;
    bool escape;
    unsigned count, focus;
    unsigned focus_next; /* the view to show once the log has gone out, 0 = none */
    struct console_view log;
    struct console_view *views[CONSOLE_MAX_VIEWS];
    /* Text of our own that goes out before the next byte of the view. */
    uint8_t notice[NOTICE_SIZE];
    uint64_t notice_at, notice_end;
    /* The operator's line as it should stand below an idle log, and as it stands there. */
    char prompt[PROMPT_SIZE], shown[PROMPT_SIZE];
    uint64_t drawn_tsc;
} console = {.count = 1, .views = {&console.log}};

static uint64_t backlog(const struct console_view *v) {
    return v->written - v->cursor;
}

static struct console_view *focused(void) {
    return console.views[console.focus];
}

/* All or nothing: half a message helps nobody, and everything of weight is in the log as well. */
static void notice(const char *format, ...) PRINTF_LIKE(1, 2);
static void notice(const char *format, ...) {
    char text[TEXT_SIZE + 64];
    va_list args;
    va_start(args, format);
    size_t n = min_u64(fmt_vprint(text, sizeof(text), format, args), sizeof(text) - 1);
    va_end(args);
    if (console.notice_at == console.notice_end) {
        console.notice_at = console.notice_end = 0;
    }
    if (n <= NOTICE_SIZE - console.notice_end) {
        memcpy(console.notice + console.notice_end, text, n);
        console.notice_end += n;
    }
}

static void ring_append(struct console_view *v, uint8_t byte) {
    v->ring[v->written & (v->size - 1)] = byte;
    v->written++;
}

/* Lines end "\n" inside and "\r\n" on the wire. */
static void log_append(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            ring_append(&console.log, '\r');
        }
        ring_append(&console.log, (uint8_t)text[i]);
    }
}

/* ---- views ---- */

static void update_status(void) {
    char text[TERM_MAX_COLUMNS + 1];
    size_t n = fmt_print(text, sizeof(text), " %u/%u %s | keys: Ctrl-] then ? |", console.focus,
                         console.count - 1, focused()->name);
    for (unsigned i = 1; i < console.count && n < sizeof(text); i++) {
        const struct console_sink *sink = console.views[i]->sink;
        n += fmt_print(text + n, sizeof(text) - n, "%s %s %s", i == 1 ? "" : ",",
                       console.views[i]->name, sink->state(sink->ctx));
    }
    term_set_status(text);
}

/* The last quarter of the ring, from the beginning of a line if there is one near. */
static uint64_t replay_start(const struct console_view *v) {
    uint64_t start = v->written - min_u64(v->written, v->size / 4);
    for (uint64_t i = start; i != 0 && i < start + v->size / 16; i++) {
        if (v->ring[(i - 1) & (v->size - 1)] == '\n') {
            return i;
        }
    }
    return start;
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

/* Brings the operator's line up to date: what was typed at its end is echoed, else it is redrawn.
 */
static void draw_prompt(void) {
    size_t shown = strlen(console.shown);
    size_t want = strlen(console.prompt);
    if (want > shown && memcmp(console.prompt, console.shown, shown) == 0) {
        notice("%s", console.prompt + shown);
    } else if (want + 1 == shown && memcmp(console.prompt, console.shown, want) == 0) {
        notice("\b \b");
    } else {
        notice("\r\x1b[K%s", console.prompt);
    }
    memcpy(console.shown, console.prompt, sizeof(console.shown));
}

/* Does what has to come before the next byte of the view; false if there is nothing. */
static bool prepare(struct console_view *v) {
    bool log_idle = v == &console.log && backlog(v) == 0;
    if (backlog(v) > v->size) {
        uint64_t cursor = v->written - v->size / 2;
        notice("\r\n[bulkhead] %llu bytes skipped\r\n", (unsigned long long)(cursor - v->cursor));
        v->cursor = cursor;
    } else if (v == &console.log && !log_idle && console.shown[0] != '\0') {
        notice("\r\x1b[K");
        console.shown[0] = '\0';
    } else if (log_idle && console.focus_next != 0) {
        switch_to(console.focus_next);
    } else if (log_idle && !str_equal(console.prompt, console.shown)) {
        draw_prompt();
    } else {
        return false;
    }
    return true;
}

/* Drawing is slow. A line that is behind will call again, so then it can be left for later. */
static void draw_screen(bool idle) {
    uint64_t now = plat_tsc();
    if (idle || now - console.drawn_tsc > plat_tsc_hz() / DRAWS_A_SECOND) {
        console.drawn_tsc = now;
        term_flush();
    }
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
        uint64_t at = v->cursor & (v->size - 1);
        if (console.notice_at != console.notice_end) {
            room = emit(console.notice + console.notice_at, console.notice_end - console.notice_at,
                        &console.notice_at);
        } else if (!prepare(v)) {
            more = backlog(v) != 0;
            room = !more || emit(v->ring + at, min_u64(backlog(v), v->size - at), &v->cursor);
        }
    }
    draw_screen(room);
}

/*
 * Pumps, releases the lock and calls back the view that had the focus before, if it was told to
 * wait and has room now or is out of focus.
 */
static void finish(struct console_view *before) {
    pump(true);
    bool room = before != focused() || backlog(before) <= before->size / 2 - ROOM;
    bool owed = before->waiting && room;
    before->waiting = before->waiting && !room;
    lock_release(&console.lock);
    if (owed) {
        before->sink->output_room(before->sink->ctx);
    }
}

void console_init(void *log_ring, size_t size) {
    memset(&console, 0, sizeof(console));
    console.log = (struct console_view){.name = "log", .ring = log_ring, .size = size};
    console.views[console.count++] = &console.log;
    term_init();
    update_status();
}

unsigned console_add_view(struct console_view *v, const char *name, void *ring, size_t size,
                          const struct console_sink *sink) {
    *v = (struct console_view){.name = name, .sink = sink, .ring = ring, .size = size};
    lock_acquire(&console.lock);
    unsigned index = console.count++;
    console.views[index] = v;
    update_status();
    lock_release(&console.lock);
    return index;
}

void console_focus_after_log(unsigned index) {
    lock_acquire(&console.lock);
    console.focus_next = index;
    pump(false);
    lock_release(&console.lock);
}

bool console_view_write(struct console_view *v, uint8_t byte) {
    lock_acquire(&console.lock);
    if (v == focused() && backlog(v) > v->size / 2) {
        pump(false);
        v->waiting = backlog(v) > v->size / 2;
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

void hv_console_log(enum log_level level, const char *line, size_t n) {
    lock_acquire(&console.lock);
    log_append(line, n);
    if (focused() != &console.log && level <= LOG_WARN) {
        notice("\r\n[bulkhead] %.*s\r\n", (int)min_u64(n - 1, TEXT_SIZE), line);
    }
    update_status();
    pump(false);
    lock_release(&console.lock);
}

/* ---- the operator's side of the log view ---- */

void console_set_operator(const struct console_sink *sink) {
    console.log.sink = sink;
}

void console_print(const char *text) {
    lock_acquire(&console.lock);
    log_append(text, strlen(text));
    pump(false);
    lock_release(&console.lock);
}

void console_set_prompt(const char *text) {
    lock_acquire(&console.lock);
    str_copy_n(console.prompt, sizeof(console.prompt), text, strlen(text));
    pump(false);
    lock_release(&console.lock);
}

/* ---- keys ---- */

/* False if there is no room. Typed bytes have one producer, under the lock ... */
static bool put_typed(struct console_view *v, uint8_t byte) {
    uint32_t in = v->typed_in;
    if (in - __atomic_load_n(&v->typed_out, __ATOMIC_ACQUIRE) == CONSOLE_TYPED_MAX) {
        return false;
    }
    v->typed[in % CONSOLE_TYPED_MAX] = byte;
    __atomic_store_n(&v->typed_in, in + 1, __ATOMIC_RELEASE);
    return true;
}

/* ... and one consumer, under the view's own, which a VM's lock may be taken in. */
void console_input_ready(struct console_view *v) {
    uint32_t out = __atomic_load_n(&v->typed_out, __ATOMIC_RELAXED);
    if (__atomic_load_n(&v->typed_in, __ATOMIC_ACQUIRE) == out) {
        return;
    }
    lock_acquire(&v->typing);
    out = v->typed_out;
    while (out != __atomic_load_n(&v->typed_in, __ATOMIC_ACQUIRE) &&
           v->sink->input(v->sink->ctx, v->typed[out % CONSOLE_TYPED_MAX])) {
        __atomic_store_n(&v->typed_out, ++out, __ATOMIC_RELEASE);
    }
    lock_release(&v->typing);
}

/* The key after the escape key; true if it goes to the guest itself. */
static bool escape_command(uint8_t byte) {
    unsigned digit = byte - (unsigned)'0';
    if (digit < console.count && digit <= 9) {
        switch_to(digit);
    } else if (byte == 'n') {
        switch_to((console.focus + 1) % console.count);
    } else if (byte == 'p') {
        switch_to((console.focus + console.count - 1) % console.count);
    } else if (byte != ESCAPE_KEY) {
        notice("\r\n[bulkhead] " KEYS ", p previous, ? help, Ctrl-] the key itself\r\n");
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
    if (to_view && before->sink != NULL && !put_typed(before, byte)) {
        notice("\a");
    }
    update_status();
    finish(before);
    console_input_ready(before);
}

void hv_console_writable(void) {
    lock_acquire(&console.lock);
    struct console_view *v = focused();
    finish(v);
    console_input_ready(v);
}
