/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a VM's state and what the operator asks of it: the table of all that moves a state, and a
 * queue that any CPU fills. The queue is emptied on the VM's own CPU alone, in the
 * order of the requests, so that no decision rests on a state that is out of date. Called by the
 * operator's commands, by the run loop and by hv/exit/life.c.
 */
#include "hv/lib/fmt.h"
#include "hv/vm/audit_turn.h"
#include "hv/vm/devices.h"
#include "hv/vm/move.h"
#include "hv/vm/pause.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

enum order_action {
    ORDER_NOTHING, /* it is so already, and that is said */
    ORDER_START,
    ORDER_PRESS,  /* the power button */
    ORDER_UNPLUG, /* ends it at once */
    ORDER_RESET,
    ORDER_PAUSE,
    ORDER_RESUME,
    ORDER_MOVE,
    ORDER_TAKE,
    ORDER_RESUME_PRESS, /* who is paused hears no power button */
    ORDER_STAY,         /* a restart that waits is called off */
    ORDER_AUDIT,
    ORDER_WAIT, /* the request stays in the queue until the state is another */
    ORDER_ACTIONS
};

/* What moves a state: the operator's commands, by their numbers, and what comes by itself. */
enum order_request {
    ORDER_BEGIN = VM_COMMANDS, /* the hypervisor has started: as the config says */
    ORDER_DUE,                 /* a restart was held back long enough */
    ORDER_READY,               /* the first instruction is next */
    ORDER_END,                 /* of the run or of its start: hv/exit/life.c decides */
};

#define IS_OFF  (BIT32(VM_STOPPED) | BIT32(VM_OFF) | BIT32(VM_CRASHED) | BIT32(VM_HALTED))
#define IS_LIVE (BIT32(VM_STARTING) | BIT32(VM_RUNNING) | BIT32(VM_STOPPING) | BIT32(VM_PAUSED))
#define IS_ANY  (BIT32(VM_STATES) - 1)
#define STOPPED "stopped by the operator" MSG(3004)
#define STAYS   VM_STATES /* the state is the same after it, too */

/* All that can happen to a state. A command that no row names changes nothing. */
static const struct transition {
    uint32_t from; /* a bit for each state */
    unsigned request;
    enum vm_state to;
    enum order_action action;
} transitions[] = {
    {IS_OFF | BIT32(VM_DELAYED), VM_COMMAND_START, VM_STARTING, ORDER_START},
    {IS_OFF | BIT32(VM_DELAYED), VM_COMMAND_RESET, VM_STARTING, ORDER_START},
    {BIT32(VM_DELAYED), VM_COMMAND_STOP, VM_STOPPED, ORDER_STAY},
    {BIT32(VM_DELAYED), VM_COMMAND_KILL, VM_STOPPED, ORDER_STAY},
    {BIT32(VM_STARTING), VM_COMMAND_STOP, STAYS, ORDER_UNPLUG},
    {BIT32(VM_RUNNING), VM_COMMAND_STOP, VM_STOPPING, ORDER_PRESS},
    {BIT32(VM_STOPPING), VM_COMMAND_STOP, STAYS, ORDER_PRESS},
    {BIT32(VM_STOPPING), VM_COMMAND_START, STAYS, ORDER_WAIT},
    {BIT32(VM_RUNNING) | BIT32(VM_STOPPING) | BIT32(VM_PAUSED), VM_COMMAND_RESET, STAYS,
     ORDER_RESET},
    {BIT32(VM_RUNNING), VM_COMMAND_PAUSE, VM_PAUSED, ORDER_PAUSE},
    {BIT32(VM_PAUSED), VM_COMMAND_RESUME, VM_RUNNING, ORDER_RESUME},
    {BIT32(VM_PAUSED), VM_COMMAND_STOP, VM_STOPPING, ORDER_RESUME_PRESS},
    {BIT32(VM_PAUSED), VM_COMMAND_MOVE, STAYS, ORDER_MOVE},
    {IS_OFF, VM_COMMAND_TAKE, VM_STARTING, ORDER_TAKE},
    {IS_LIVE, VM_COMMAND_KILL, STAYS, ORDER_UNPLUG},
    {IS_ANY, VM_COMMAND_AUDIT, STAYS, ORDER_AUDIT},
    {BIT32(VM_STOPPED), ORDER_BEGIN, VM_STARTING, ORDER_NOTHING},
    {BIT32(VM_STOPPED), ORDER_BEGIN, STAYS, ORDER_NOTHING},
    {BIT32(VM_DELAYED), ORDER_DUE, VM_STARTING, ORDER_NOTHING},
    {BIT32(VM_STARTING), ORDER_READY, VM_RUNNING, ORDER_NOTHING},
    {BIT32(VM_STARTING), ORDER_READY, VM_PAUSED, ORDER_NOTHING},
    {IS_LIVE, ORDER_END, VM_STOPPED, ORDER_NOTHING},
    {IS_LIVE, ORDER_END, VM_OFF, ORDER_NOTHING},
    {IS_LIVE, ORDER_END, VM_CRASHED, ORDER_NOTHING},
    {IS_LIVE, ORDER_END, VM_HALTED, ORDER_NOTHING},
    {IS_LIVE, ORDER_END, VM_STARTING, ORDER_NOTHING},
    {IS_LIVE, ORDER_END, VM_DELAYED, ORDER_NOTHING},
};

static const struct transition *transition_find(enum vm_state from, enum vm_command command) {
    static const struct transition nothing = {.to = STAYS, .action = ORDER_NOTHING};

    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++) {
        const struct transition *t = &transitions[i];
        if ((t->from >> from & 1) != 0 && t->request == (unsigned)command) {
            return t;
        }
    }
    return &nothing;
}

bool vm_may_become(enum vm_state from, enum vm_state to) {
    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++) {
        const struct transition *t = &transitions[i];
        bool stays = t->to == STAYS && t->action != ORDER_AUDIT && from == to;
        bool leads_there = t->to == to || stays;
        if ((t->from >> from & 1) != 0 && leads_there) {
            return true;
        }
    }
    return false;
}

void vm_set_state(struct vm *vm, enum vm_state state, enum event_cause cause, const char *why) {
    ASSERT(vm_may_become(vm->public->state, state));
    __atomic_store_n(&vm->public->state, state, __ATOMIC_RELEASE);
    vm_note(vm->public, cause, why);
    vm_console->state_changed(vm->public);
}

static void order_nothing(struct vm *vm, enum vm_command command) {
    static const char *const words[VM_COMMANDS] = {
        [VM_COMMAND_START] = "start", [VM_COMMAND_STOP] = "stop",   [VM_COMMAND_KILL] = "kill",
        [VM_COMMAND_RESET] = "reset", [VM_COMMAND_PAUSE] = "pause", [VM_COMMAND_RESUME] = "resume",
        [VM_COMMAND_MOVE] = "move",   [VM_COMMAND_TAKE] = "take",   [VM_COMMAND_AUDIT] = "audit"};
    vm_log(vm, LOG_INFO, "%s: it is %s, nothing to do", words[command],
           vm_state_name(vm->public->state));
}

/* What the operator does himself is no loop of the guest's. */
static void order_forgive(struct vm *vm) {
    vm->crashes = 0;
    vm->restarts = 0;
    vm->quiet = false;
}

static void order_start(struct vm *vm, enum vm_command command) {
    order_forgive(vm);
    vm_log(vm, LOG_INFO, "%s by the operator", command == VM_COMMAND_RESET ? "reset" : "started");
}

/* A second press within the time changes nothing of when that ends. */
static void order_press(struct vm *vm, UNUSED enum vm_command command) {
    uint32_t seconds = vm->plan->config->stop_timeout;
    bool first = vm->stop_due == 0;

    if (first) {
        vm->stop_due = plat_tsc() + seconds * plat_tsc_hz();
    }
    vm_press_power_button(vm);
    vm_log(vm, LOG_INFO, "asked to switch off (power button), has %u s for it", seconds);
    if (first) {
        vm_log(vm, LOG_INFO, "if it was asleep, that only wakes it: type \"stop %s\" again",
               vm->name);
    }
}

static void order_unplug(struct vm *vm, UNUSED enum vm_command command) {
    vm_leave(vm, LEAVE_KILL, STOPPED);
}

static void order_reset(struct vm *vm, UNUSED enum vm_command command) {
    order_forgive(vm);
    vm_leave(vm, LEAVE_OPERATOR_RESET, "reset by the operator" MSG(3005));
}

static void order_pause(struct vm *vm, UNUSED enum vm_command command) {
    vm_pause(vm);
    if (vm->leave == LEAVE_NONE) { /* one of its CPUs may have ended the run instead */
        vm_log(vm, LOG_INFO, "paused: its clocks stand still until \"resume %s\"", vm->name);
    }
}

static void order_resume(struct vm *vm, UNUSED enum vm_command command) {
    ull ms = (ull)mul_div_u64(vm_resume(vm), 1000, plat_tsc_hz());
    vm_log(vm, LOG_INFO, "resumed: its clocks are %llu.%03llu s behind", ms / 1000, ms % 1000);
}

static void order_resume_press(struct vm *vm, enum vm_command command) {
    order_resume(vm, command);
    order_press(vm, command);
}

/* While it waits for the other nothing else of it happens. */
static void order_move(struct vm *vm, UNUSED enum vm_command command) {
    struct vm_public *to = vm->public->move_to;
    char reason[sizeof(vm->leave_reason)];

    if (!vm_move_offer(vm)) {
        vm_log(vm, LOG_WARN, "not moved: another guest is on its way" MSG(3020));
        return;
    }
    bool asked = vm_command(to, VM_COMMAND_TAKE);
    if (!vm_move_wait(vm) || !asked) {
        vm_log(vm, LOG_WARN, "not moved: %s does not take it" MSG(3021), to->name);
        return;
    }
    (void)fmt_print(reason, sizeof(reason), "moved to %s" MSG(3007), to->name);
    vm_leave(vm, LEAVE_MOVED, reason);
}

static void order_take_over(struct vm *vm, UNUSED enum vm_command command) {
    order_forgive(vm);
    vm->taking = true;
}

static void order_stay(struct vm *vm, UNUSED enum vm_command command) {
    vm_log(vm, LOG_INFO, STOPPED);
}

static void order_audit(struct vm *vm, UNUSED enum vm_command command) {
    vm_audit_begin(vm);
}

static void (*const order_run[ORDER_ACTIONS])(struct vm *vm, enum vm_command command) = {
    [ORDER_NOTHING] = order_nothing, [ORDER_START] = order_start,
    [ORDER_PRESS] = order_press,     [ORDER_UNPLUG] = order_unplug,
    [ORDER_RESET] = order_reset,     [ORDER_PAUSE] = order_pause,
    [ORDER_RESUME] = order_resume,   [ORDER_RESUME_PRESS] = order_resume_press,
    [ORDER_MOVE] = order_move,       [ORDER_TAKE] = order_take_over,
    [ORDER_STAY] = order_stay,       [ORDER_AUDIT] = order_audit,
};

/* Takes the oldest request out of the queue, unless it has to wait there. */
static enum vm_command order_take(struct vm *vm) {
    uint64_t queue = __atomic_load_n(&vm->public->orders, __ATOMIC_ACQUIRE);
    enum vm_command command;

    do {
        command = (enum vm_command)(queue & ORDER_MASK);
        if (transition_find(vm->public->state, command)->action == ORDER_WAIT) {
            return VM_COMMAND_NONE;
        }
    } while (queue != 0 &&
             !__atomic_compare_exchange_n(&vm->public->orders, &queue, queue >> ORDER_BITS, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    return command;
}

static const enum event_cause order_causes[VM_COMMANDS] = {
    [VM_COMMAND_START] = EVENT_START, [VM_COMMAND_STOP] = EVENT_STOP,
    [VM_COMMAND_KILL] = EVENT_KILL,   [VM_COMMAND_RESET] = EVENT_RESET,
    [VM_COMMAND_PAUSE] = EVENT_PAUSE, [VM_COMMAND_RESUME] = EVENT_RESUME,
    [VM_COMMAND_TAKE] = EVENT_MOVE,
};

/* What follows a request that ends a run is for the state after that end. */
void vm_take_orders(struct vm *vm) {
    while (vm->leave == LEAVE_NONE) {
        enum vm_command command = order_take(vm);
        if (command == VM_COMMAND_NONE) {
            return;
        }
        const struct transition *t = transition_find(vm->public->state, command);
        if (t->to != STAYS) {
            vm_set_state(vm, t->to, order_causes[command], "");
        }
        order_run[t->action](vm, command);
    }
}

uint64_t vm_watch_stop(struct vm *vm) {
    if (vm->stop_due == 0 || plat_tsc() < vm->stop_due) {
        return vm->stop_due;
    }

    char reason[sizeof(vm->leave_reason)];
    (void)fmt_print(reason, sizeof(reason),
                    "did not switch off within %u s: stopped by force" MSG(3006),
                    vm->plan->config->stop_timeout);
    vm->stop_due = 0;
    vm_leave(vm, LEAVE_FORCE, reason);
    return 0;
}
