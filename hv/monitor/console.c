/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns all state of the physical console, under one lock that nothing is called with but plat's
 * output functions. The pump moves bytes as far as the serial line takes them and never waits; who
 * else moves them on is the UART's interrupt. See console.h for who may call what.
 */
#include "hv/monitor/console.h"

#include "hv/lib/fmt.h"
#include "hv/lib/lock.h"
#include "hv/lib/str.h"
#include "hv/monitor/term.h"
#include "hv/vm/plat.h"

#define ESCAPE_KEY     0x1d /* Ctrl-] */
#define NOTICE_SIZE    1024u
#define PROMPT_SIZE    160u
#define TEXT_SIZE      320u
#define DRAWS_A_SECOND 30u

static struct console {
    struct lock lock;
    bool ready, serial, escape;
    unsigned count, focus;
    struct console_view log;
    struct console_view *views[CONSOLE_MAX_VIEWS];
    /* Text of our own that goes out before the next byte of the view. */
    uint8_t notice[NOTICE_SIZE];
    size_t notice_at, notice_end;
    /* The operator's line as it should stand below an idle log, and as it stands there. */
    char prompt[PROMPT_SIZE], shown[PROMPT_SIZE];
    uint64_t drawn_tsc;
} console;

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
    size_t n = fmt_vprint(text, sizeof(text), format, args);
    va_end(args);
    n = min_u64(n, sizeof(text) - 1);
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

/* ---- the pump ---- */

static size_t emit(const uint8_t *bytes, size_t n) {
    size_t taken = console.serial ? plat_serial_write(bytes, n) : n;
    term_write(bytes, taken);
    return taken;
}

/* False when the line takes no more. */
static bool pump_notice(void) {
    size_t n = console.notice_end - console.notice_at;
    size_t taken = emit(console.notice + console.notice_at, n);
    console.notice_at += taken;
    if (taken < n) {
        return false;
    }
    console.notice_at = console.notice_end = 0;
    return true;
}

static bool pump_view(struct console_view *v) {
    uint64_t at = v->cursor & (v->size - 1);
    size_t n = min_u64(backlog(v), v->size - at);
    size_t taken = emit(v->ring + at, n);
    v->cursor += taken;
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

/* Queues what has to come before the next byte of the view; false if there is nothing. */
static bool prepare_notice(struct console_view *v) {
    bool is_log = v == &console.log;
    if (backlog(v) > v->size) {
        uint64_t cursor = v->written - v->size / 2;
        notice("\r\n[bulkhead] %llu bytes skipped\r\n", (unsigned long long)(cursor - v->cursor));
        v->cursor = cursor;
    } else if (is_log && backlog(v) != 0 && console.shown[0] != '\0') {
        notice("\r\x1b[K");
        console.shown[0] = '\0';
    } else if (is_log && backlog(v) == 0 && !str_equal(console.prompt, console.shown)) {
        draw_prompt();
    } else {
        return false;
    }
    return true;
}

/* Drawing is slow. A line that is behind will call again, so then it can be left for later. */
static void draw_screen(bool idle) {
    if (!term_present()) {
        return;
    }
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
    struct console_view *v = focused();
    if (v->waiting && !may_call_back) {
        return;
    }
    bool room = true;
    while (room) {
        if (console.notice_end != 0) {
            room = pump_notice();
        } else if (prepare_notice(v)) {
            continue;
        } else if (backlog(v) != 0) {
            room = pump_view(v);
        } else {
            break;
        }
    }
    draw_screen(room);
}

/* ---- views ---- */

static void update_status(void) {
    char text[TERM_MAX_COLUMNS + 1];
    if (!term_present()) {
        return;
    }
    size_t n = fmt_print(text, sizeof(text), " %u/%u %s |", console.focus, console.count - 1,
                         focused()->name);
    for (unsigned i = 1; i < console.count && n < sizeof(text); i++) {
        const struct console_sink *sink = console.views[i]->sink;
        n += fmt_print(text + n, sizeof(text) - n, "%s %s %s", i == 1 ? "" : ",",
                       console.views[i]->name,
                       sink->state != NULL ? sink->state(sink->ctx) : "there");
    }
    if (n < sizeof(text)) {
        fmt_print(text + n, sizeof(text) - n, " | keys: Ctrl-] then ?");
    }
    term_set_status(text);
}

/* "0 log, 1-2 guest": the keys that choose a view. */
static const char *view_keys(char *buf, size_t size) {
    unsigned last = console.count - 1 < 9 ? console.count - 1 : 9;
    if (last > 1) {
        fmt_print(buf, size, "0 log, 1-%u guest", last);
    } else {
        fmt_print(buf, size, last == 1 ? "0 log, 1 guest" : "0 log");
    }
    return buf;
}

static void notice_help(void) {
    char keys[32];
    notice("\r\n[bulkhead] Ctrl-] then %s, n next, p previous, ? help, Ctrl-] the key itself\r\n",
           view_keys(keys, sizeof(keys)));
    console.shown[0] = '\0';
}

/* The oldest line that is whole; a little after the oldest byte, as the writer goes on. */
static uint64_t replay_start(const struct console_view *v) {
    if (v->written <= v->size) {
        return 0;
    }
    uint64_t start = v->written - v->size + v->size / 8;
    for (uint64_t i = start; i < start + v->size / 8; i++) {
        if (v->ring[i & (v->size - 1)] == '\n') {
            return i + 1;
        }
    }
    return start;
}

/* True if v was told to wait and has room now, or is out of focus; the caller calls it back. */
static bool take_room(struct console_view *v) {
    bool room = v != focused() || backlog(v) <= v->size / 2 - v->size / 16;
    if (!v->waiting || !room) {
        return false;
    }
    v->waiting = false;
    return true;
}

static void switch_to(unsigned index) {
    char keys[32];
    console.focus = index;
    struct console_view *v = focused();
    v->cursor = replay_start(v);
    console.notice_at = console.notice_end = 0;
    console.shown[0] = '\0';
    term_reset();
    notice("\r\n[bulkhead] console %u/%u: %s - Ctrl-] then %s, n next, ? help\r\n", index,
           console.count - 1, v->name, view_keys(keys, sizeof(keys)));
    update_status();
}

/* Pumps, releases the lock and makes the calls that are due to the view that had the focus before.
 */
static void finish(struct console_view *before) {
    pump(true);
    bool room = take_room(before);
    lock_release(&console.lock);
    if (room && before->sink->output_room != NULL) {
        before->sink->output_room(before->sink->ctx);
    }
}

void console_init(void *log_ring, size_t size) {
    ASSERT(size != 0 && (size & (size - 1)) == 0);
    memset(&console, 0, sizeof(console));
    console.log = (struct console_view){.name = "log", .ring = log_ring, .size = size};
    console.views[0] = &console.log;
    console.count = 1;
    console.serial = plat_serial_present();
    term_init();
    update_status();
    console.ready = true;
}

unsigned console_add_view(struct console_view *v, const char *name, void *ring, size_t size,
                          const struct console_sink *sink) {
    ASSERT(size != 0 && (size & (size - 1)) == 0 && sink != NULL);
    memset(v, 0, sizeof(*v));
    v->name = name;
    v->sink = sink;
    v->ring = ring;
    v->size = size;
    lock_acquire(&console.lock);
    ASSERT(console.count < CONSOLE_MAX_VIEWS);
    unsigned index = console.count++;
    console.views[index] = v;
    update_status();
    lock_release(&console.lock);
    return index;
}

bool console_focus(unsigned index) {
    lock_acquire(&console.lock);
    struct console_view *before = focused();
    bool exists = index < console.count;
    if (exists) {
        switch_to(index);
    }
    finish(before);
    return exists;
}

bool console_view_write(struct console_view *v, uint8_t byte) {
    bool taken = true;
    lock_acquire(&console.lock);
    if (v == focused() && backlog(v) > v->size / 2) {
        pump(false);
        v->waiting = backlog(v) > v->size / 2;
        taken = !v->waiting;
    }
    if (taken) {
        ring_append(v, byte);
        if (v == focused()) {
            pump(false);
        }
    }
    lock_release(&console.lock);
    return taken;
}

void hv_console_log(enum log_level level, const char *line, size_t n) {
    if (!console.ready) {
        return;
    }
    lock_acquire(&console.lock);
    log_append(line, n);
    if (focused() != &console.log && level <= LOG_WARN) {
        size_t text = n != 0 && line[n - 1] == '\n' ? n - 1 : n;
        notice("\r\n[bulkhead] %.*s\r\n", (int)min_u64(text, TEXT_SIZE), line);
    }
    update_status();
    pump(false);
    lock_release(&console.lock);
}

/* ---- the operator's side of the log view ---- */

void console_set_operator(const struct console_sink *sink) {
    lock_acquire(&console.lock);
    console.log.sink = sink;
    lock_release(&console.lock);
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

static bool put_typed(struct console_view *v, uint8_t byte) {
    if (v->sink == NULL || v->sink->input == NULL) {
        return true; /* nobody listens: not an overrun */
    }
    if (v->typed_in - v->typed_out == CONSOLE_TYPED_MAX) {
        return false;
    }
    v->typed[v->typed_in % CONSOLE_TYPED_MAX] = byte;
    __atomic_store_n(&v->typed_in, v->typed_in + 1, __ATOMIC_RELEASE);
    return true;
}

/*
 * Hands typed bytes to the sink until it has no room. One CPU at a time does it, so that they keep
 * their order; one that comes in between leaves word instead.
 */
static void deliver_typed(struct console_view *v) {
    lock_acquire(&console.lock);
    if (v->delivering) {
        v->deliver_again = true;
        lock_release(&console.lock);
        return;
    }
    v->delivering = true;
    while (v->typed_in != v->typed_out) {
        uint8_t byte = v->typed[v->typed_out % CONSOLE_TYPED_MAX];
        v->deliver_again = false;
        lock_release(&console.lock);
        bool taken = v->sink->input(v->sink->ctx, byte);
        lock_acquire(&console.lock);
        if (taken) {
            __atomic_store_n(&v->typed_out, v->typed_out + 1, __ATOMIC_RELAXED);
        } else if (!v->deliver_again) {
            break;
        }
    }
    v->delivering = false;
    lock_release(&console.lock);
}

void console_input_ready(struct console_view *v) {
    if (__atomic_load_n(&v->typed_in, __ATOMIC_ACQUIRE) !=
        __atomic_load_n(&v->typed_out, __ATOMIC_RELAXED)) {
        deliver_typed(v);
    }
}

/* The key after the escape key; true if it goes to the guest itself. */
static bool escape_command(uint8_t byte) {
    if (byte == ESCAPE_KEY) {
        return true;
    }
    if (byte >= '0' && byte <= '9' && (unsigned)(byte - '0') < console.count) {
        switch_to((unsigned)(byte - '0'));
    } else if (byte == 'n') {
        switch_to((console.focus + 1) % console.count);
    } else if (byte == 'p') {
        switch_to((console.focus + console.count - 1) % console.count);
    } else {
        notice_help();
    }
    return false;
}

void hv_console_input(uint8_t byte) {
    if (!console.ready) {
        return;
    }
    lock_acquire(&console.lock);
    struct console_view *before = focused();
    bool to_view = console.escape ? escape_command(byte) : byte != ESCAPE_KEY;
    console.escape = !console.escape && byte == ESCAPE_KEY;
    if (to_view && !put_typed(before, byte)) {
        notice("\a");
    }
    update_status();
    finish(before);
    console_input_ready(before);
}

void hv_console_writable(void) {
    if (!console.ready) {
        return;
    }
    lock_acquire(&console.lock);
    struct console_view *v = focused();
    finish(v);
    console_input_ready(v);
}
