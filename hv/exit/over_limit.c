/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what follows when a guest uses more than its config gives it: on_limit. See hv/vm/limit.h.
 */
#include "hv/exit/exit.h"

#include "hv/lib/fmt.h"
#include "hv/vm/limit.h"
#include "hv/vm/plat.h"

#define TELL_AGAIN 60 /* seconds from one word about a limit to the next */

static const struct limit_word {
    const char *what, *key;
    enum event_cause cause;
} limit_words[LIMITS] = {
    [LIMIT_EXITS] = {"exits", "max_exits", EVENT_MAX_EXITS},
    [LIMIT_CONSOLE] = {"bytes on its console", "max_console", EVENT_MAX_CONSOLE},
    [LIMIT_LOG] = {"lines in the log", "max_log", EVENT_MAX_LOG},
};

/* One that is held back is so each tenth of a second: that is told once a minute. */
static void over_limit_tell(struct vm *vm, enum config_limit which) {
    static const char *const actions[] = {[ON_LIMIT_THROTTLE] = "held back",
                                          [ON_LIMIT_PAUSE] = "paused",
                                          [ON_LIMIT_RESTART] = "restarted"};
    const struct config_guest *config = vm->plan->config;
    const char *action = actions[config->on_limit];
    uint64_t now = plat_tsc();
    bool due = now >= vm->limits.tell_due[which];

    if (due || config->on_limit != ON_LIMIT_THROTTLE) {
        vm_note(vm->public, limit_words[which].cause, action);
    }
    if (due) {
        vm->limits.tell_due[which] = now + TELL_AGAIN * plat_tsc_hz();
        vm_log(vm, LOG_WARN, "over its limit of %u %s a second (%s): %s" MSG(3062),
               config->limits[which], limit_words[which].what, limit_words[which].key, action);
    }
}

static void over_limit_act(struct vm *vm, enum config_limit which) {
    enum config_on_limit action = vm->plan->config->on_limit;
    char reason[sizeof(vm->leave_reason)];

    over_limit_tell(vm, which);
    if (action == ON_LIMIT_PAUSE) {
        (void)vm_command(vm->public, VM_COMMAND_PAUSE); /* the queue is full: in the next period */
    } else if (action == ON_LIMIT_RESTART) {
        (void)fmt_print(reason, sizeof(reason), "restarted: over its limit, %s" MSG(3008),
                        limit_words[which].key);
        vm_leave(vm, LEAVE_RESET, reason);
    }
}

/* While v waits, and if it is paused meanwhile, one exit is left to it: so it comes here again. */
bool over_limit(struct vcpu *v) {
    for (;;) {
        uint32_t over;
        uint64_t until = limit_take(v, &over);

        for (; over != 0; over &= over - 1) {
            over_limit_act(v->vm, (enum config_limit)__builtin_ctz(over));
        }
        if (until == 0) {
            return true;
        }
        if (!vcpu_sit_out(v, until)) {
            return false;
        }
    }
}
