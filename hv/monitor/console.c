/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may do what with the physical console, and when. Its state (views.h) has one lock, with which
 * nothing is called but plat's output functions. The pump moves bytes as far as the serial line
 * takes them and never waits; who else moves them on is the UART's interrupt. What takes longer,
 * drawing above all, is done later and without the lock, see "later" below. See console.h for who
 * may call what.
 */
#include "hv/monitor/console.h"

#include "hv/lib/fmt.h"
#include "hv/lib/message.h"
#include "hv/lib/str.h"
#include "hv/monitor/grid.h"
#include "hv/monitor/pump.h"
#include "hv/monitor/share.h"
#include "hv/monitor/term.h"
#include "hv/monitor/views.h"
#include "hv/vm/devices.h"
#include "hv/vm/plat.h"

#define TEXT_SIZE 512u
/* Bytes of room before a guest that waits may go on: it may spin meanwhile, so 3 ms of line. */
#define ROOM      32u

#define DRAW_MOST 64u /* cells in one go, 30 us on a fast screen, 300 us on a slow one */

#define RING_MARGIN 0x1000u /* bytes, which nobody prints while some others are copied */

#define PATIENCE_SECONDS 5 /* with a guest that hardly reads, while the terminal is stopped */

/* ---- later ---- */

/* Is there something typed that nobody hands on just now? */
static bool keys_wait(const struct console_view *v) {
    return v->typed.count != 0 && !v->typing;
}

static enum later_left work_left(void) {
    if (console.command_busy || keys_wait(&console.log)) {
        return LATER_COMMAND;
    }
    if (console.pump_more || grid_is_dirty() || share_waits()) {
        return LATER_SOON;
    }
    for (unsigned i = 1; i < console.count; i++) {
        if (keys_wait(console.views[i])) {
            return LATER_SLOWLY;
        }
    }
    return LATER_NOTHING;
}

static void draw(const struct grid_change *changes, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        plat_screen_draw(changes[i].column, changes[i].row, changes[i].cell);
    }
}

/* Before guests run nobody waits, and what is shown may be the last that is seen of a machine. */
static void work_at_once(void) {
    struct grid_change changes[DRAW_MOST];
    while (console.pump_more || share_waits()) {
        share_turn();
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
        later_want(&console.later, view_focused()->vm);
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
    bool room = before != view_focused() || view_backlog(before) <= CONSOLE_RING_SIZE / 2 - ROOM;
    bool owed = before->waiting && room;
    before->waiting = before->waiting && !room;
    leave();
    if (owed) {
        vcpu_request(before->vm->vcpus[0], REQUEST_ROOM);
    }
}

static bool operator_is_busy(void) {
    return console.operator!= NULL && console.operator->is_busy();
}

/*
 * Without the lock: the operator's next piece of work. A line of what a command shows, or else the
 * first of the keys in the log view. Returns how many keys were taken.
 */
static unsigned operate(const uint8_t *keys, unsigned n) {
    if (operator_is_busy()) {
        console.operator->work();
        return 0;
    }
    if (n == 0) {
        return 0;
    }
    if (console.operator!= NULL) {
        console.operator->key(keys[0]);
    }
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
 * With the lock, which is released meanwhile: what was typed for a view goes to its guest as far as
 * that takes it, or to the operator (here is NULL), whose command goes on as well.
 */
static void hand_on(struct console_view *v, struct vm *here) {
    uint8_t bytes[TYPED_MOVE];
    struct typed *t = &v->typed;
    uint64_t epoch = t->epoch;
    unsigned n = typed_peek(t, bytes);
    bool command = here == NULL && console.command_busy;
    if (v->typing || (n == 0 && !command)) {
        return;
    }
    v->typing = true;
    lock_release(&console.lock);
    unsigned taken = here != NULL ? give(here, bytes, n) : operate(bytes, n);
    command = here == NULL && operator_is_busy();
    lock_acquire(&console.lock);
    v->typing = false;
    if (here == NULL) {
        console.command_busy = command;
    }
    if (t->epoch == epoch && n != 0) {
        bool said = t->given_up;
        unsigned lost = typed_taken(t, taken, plat_tsc(), PATIENCE_SECONDS * plat_tsc_hz());
        lost = said ? 0 : lost;
        if (here != NULL) {
            view_say_lost(lost, v->name, "does not read them");
        } else {
            view_say_lost(lost, "a command", "takes long");
        }
    }
}

/*
 * The same for any view. Of a guest's records only its own CPU knows: it is asked, and goes on in
 * console_type().
 */
static void type(struct console_view *v) {
    if (v->vm == NULL) {
        hand_on(v, NULL);
    } else if (keys_wait(v)) {
        vcpu_request(v->vm->vcpus[0], REQUEST_TYPED);
    }
}

/*
 * A key is answered at once, unless there has been much to do just now: a paste, above all into the
 * operator's line, is worked off by and by.
 */
static void type_at_once(struct console_view *v) {
    uint64_t begin = plat_tsc();

    if (v->vm != NULL || !console.later.live) {
        type(v);
    } else if (later_is_due(&console.later)) {
        type(v);
        later_worked(&console.later, plat_tsc() - begin, LATER_COMMAND);
    }
}

/* With the lock, which it releases: what another CPU may not carry out goes on at once. */
static void go_on_feeding(struct console_view *before) {
    if (console.feeder_called && pump_may_feed()) {
        console.feeder_called = false;
        finish(before);
    } else {
        lock_release(&console.lock);
    }
}

void hv_console_work(void) {
    struct grid_change changes[DRAW_MOST];
    lock_acquire(&console.lock);
    struct console_view *before = view_focused();
    if (!later_begin(&console.later)) {
        go_on_feeding(before);
        return;
    }
    uint64_t begin = plat_tsc();
    for (unsigned i = 0; i < console.count; i++) {
        type(console.views[i]);
    }
    before = view_focused();
    share_turn();
    console.feeder_called = console.feeder_called && !pump_may_feed();
    pump(true);
    unsigned count = grid_take(changes, DRAW_MOST);
    lock_release(&console.lock);

    draw(changes, count);

    lock_acquire(&console.lock);
    later_end(&console.later, plat_tsc() - begin, work_left());
    finish(before);
}

/* ---- what others call ---- */

/* A byte from the guest's UART, with its console_lock held. False while the line is far behind. */
static bool console_transmit(struct vm *vm, uint8_t byte) {
    struct console_view *v = vm->public->console;
    lock_acquire(&console.lock);
    if (v == view_focused() && view_backlog(v) > CONSOLE_RING_SIZE / 2) {
        pump(false);
        v->waiting = view_backlog(v) > CONSOLE_RING_SIZE / 2;
    }
    bool taken = !v->waiting;
    if (taken) {
        view_append(v, byte);
    }
    if (v != view_focused() &&
        !share_take(v)) { /* it has no part in what is shown, nor in the work of showing it */
        lock_release(&console.lock);
        return taken;
    }
    if (taken) {
        pump(false);
    }
    leave();
    return taken;
}

static void console_type(struct vm *vm) {
    lock_acquire(&console.lock);
    struct console_view *before = view_focused();
    hand_on(vm->public->console, vm);
    finish(before);
}

static bool nobody_reads(const struct console_view *v) {
    return v->vm != NULL && vm_state_is_off(v->vm->state);
}

static void console_state_changed(struct vm_public *vm) {
    lock_acquire(&console.lock);
    if (nobody_reads(vm->console)) {
        typed_reset(&vm->console->typed); /* its next start is not to hear it */
    }
    view_update_status();
    pump(false);
    leave();
}

/*
 * Without the lock, so that who asks without end holds nobody up: the ring's bytes stay as they are
 * for long after they were written, and those that are the next to be overwritten are left out.
 */
static uint32_t console_read(const struct vm_public *vm, uint64_t *at, uint64_t *end, uint8_t *to,
                             uint32_t size) {
    const struct console_view *v = vm->console;
    uint64_t written = __atomic_load_n(&v->written, __ATOMIC_ACQUIRE);
    uint64_t oldest = written - min_u64(written, CONSOLE_RING_SIZE - RING_MARGIN);
    uint64_t from = *at == CONTROL_AT_FIRST ? view_replay_start(v, written) : *at;

    from = min_u64(max_u64(from, oldest), written);
    size = (uint32_t)min_u64(size, written - from);
    for (uint32_t i = 0; i < size; i++) {
        to[i] = view_byte(v, from + i);
    }
    *at = from;
    *end = written;
    return size;
}

/* Never so many that the operator's terminal would be told to wait. */
static uint32_t console_put(struct vm_public *vm, const uint8_t *keys, uint32_t size) {
    struct console_view *v = vm->console;
    uint32_t taken = 0;

    lock_acquire(&console.lock);
    while (taken < size && typed_is_short(&v->typed) &&
           typed_put(&v->typed, keys[taken], plat_tsc())) {
        taken++;
    }
    type(v);
    leave();
    return taken;
}

static const struct vm_console console_of_vms = {
    .transmit = console_transmit,
    .type = console_type,
    .state_changed = console_state_changed,
    .read = console_read,
    .put = console_put,
};

void console_init(char escape_key) {
    memset(&console, 0, sizeof(console));
    console.escape_key = escape_key;
    console.flow = XON;
    console.log.name = "log";
    console.views[console.count++] = &console.log;
    later_init(&console.later);
    term_init();
    view_update_status();
    vm_console = &console_of_vms;
}

void console_set_operator(const struct console_operator *operator) {
    console.operator= operator;
}

void console_add_vm(struct vm_public *vm) {
    ASSERT(console.count < MAX_VIEWS);
    struct console_view *v = &console.of_vms[console.count - 1];
    v->vm = vm;
    v->name = vm->name;
    vm->console = v;
    console.views[console.count++] = v;
    view_update_status();
}

void console_share(void) {
    console.share_wanted = true;
}

void console_start(unsigned index) {
    lock_acquire(&console.lock);
    console.focus_next = index;
    pump(false);
    leave(); /* the last that is drawn at once */
    later_go_live(&console.later);
}

/* Lines end "\n" inside and "\r\n" on the wire. */
static void append_text(struct console_view *v, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            view_append(v, '\r');
        }
        view_append(v, (uint8_t)text[i]);
    }
}

void hv_console_log(enum log_level level, const char *line, size_t n) {
    lock_acquire(&console.lock);
    append_text(&console.log, line, n);
    append_text(&console.lines, line, n);
    bool shown = view_focused() == &console.log || share_take(&console.log);
    if (!shown && level <= LOG_WARN) {
        view_notice("\r\n[bulkhead] %.*s\r\n", (int)(n - 1), line);
    }
    pump(false);
    leave();
}

void console_print(const char *format, ...) {
    char text[TEXT_SIZE];
    FMT_ARGUMENTS(text, format);
    lock_acquire(&console.lock);
    append_text(&console.log, text, strlen(text));
    (void)share_take(&console.log);
    pump(false);
    leave();
}

void console_set_prompt(const char *prompt, const char *line, size_t before_end) {
    lock_acquire(&console.lock);
    console.before_end = before_end;
    (void)fmt_print(console.prompt, sizeof(console.prompt), "%s%s", prompt, line);
    pump(false);
    leave();
}

static const struct console_view *view_of(const struct vm_public *vm) {
    return vm != NULL ? vm->console : &console.lines;
}

void console_recall_range(const struct vm_public *vm, uint64_t *from, uint64_t *end) {
    const struct console_view *v = view_of(vm);

    lock_acquire(&console.lock);
    *from = view_replay_start(v, v->written);
    *end = v->written;
    lock_release(&console.lock);
}

uint8_t console_recall(const struct vm_public *vm, uint64_t at) {
    return view_byte(view_of(vm), at);
}

bool console_interrupts(void) {
    lock_acquire(&console.lock);
    bool typed = console.log.typed.count != 0;
    bool left = view_focused() != &console.log;
    if (typed) {
        typed_reset(&console.log.typed);
    }
    lock_release(&console.lock);
    return typed || left;
}

void console_attach(const struct vm_public *vm) {
    lock_acquire(&console.lock);
    for (unsigned i = 1; i < console.count; i++) {
        if (console.views[i]->vm == vm) {
            view_switch_to(i);
        }
    }
    pump(false);
    leave();
}

/* The key after the escape key; true if it goes to the guest itself. */
static bool escape_command(uint8_t byte) {
    unsigned view = byte == 'n' ? (console.focus + 1) % console.count : byte - (unsigned)'0';
    if (view < console.count) {
        view_switch_to(view);
    } else if (byte != console.escape_key) {
        view_say("? help, twice the key itself");
    }
    return byte == console.escape_key;
}

void hv_console_input(uint8_t byte) {
    lock_acquire(&console.lock);
    struct console_view *before = view_focused();
    share_end();
    console.focus_next = 0; /* the user has chosen */
    bool to_view = console.escape ? escape_command(byte) : byte != console.escape_key;
    console.escape = !console.escape && byte == console.escape_key;
    struct console_view *v = view_focused();
    if (to_view && nobody_reads(v)) {
        if (byte == '\r') {
            view_notice("\r\n[bulkhead] %s is %s: nobody reads what is typed here" MSG(6304) "\r\n",
                        v->name, vm_state_name(v->vm->state));
        }
    } else if (to_view) {
        bool room = typed_put(&v->typed, byte, plat_tsc());
        view_say_lost(room ? 0 : 1, "the terminal", "did not wait");
        type_at_once(v);
    }
    finish(before);
}

void hv_console_writable(void) {
    lock_acquire(&console.lock);
    finish(view_focused());
}

void hv_console_overrun(void) {
    lock_acquire(&console.lock);
    view_notice(
        "\r\n[bulkhead] typed bytes lost: the serial line brought them too fast" MSG(6302) "\r\n");
    finish(view_focused());
}
