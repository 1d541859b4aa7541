/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what one guest sees of others, and asks of them: see control_call.h. */
#include "hv/vm/control_call.h"

#include "hv/lib/str.h"
#include "hv/vm/limit.h"
#include "hv/vm/plat.h"
#include "hv/vm/upcall.h"

static uint64_t control_ms(uint64_t ticks) {
    return mul_div_u64(ticks, 1000, plat_tsc_hz());
}

static void control_add_vcpu(struct exchange_control *out, const struct vcpu_public *v) {
    for (unsigned i = 0; i < EXIT_KINDS; i++) {
        out->exits += __atomic_load_n(&v->exits[i], __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < REFUSED_KINDS; i++) {
        out->denied += __atomic_load_n(&v->refused[i], __ATOMIC_RELAXED);
    }
    out->idle_ms += control_ms(vcpu_waited(v, plat_tsc()));
}

/* Of what other CPUs may know of a VM, and no more. */
static void control_look(const struct vm_public *p, struct exchange_control *out) {
    enum vm_state state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
    const char *name = vm_state_name(state);

    (void)str_copy_n(out->name, sizeof(out->name), p->name, strlen(p->name));
    (void)str_copy_n(out->state, sizeof(out->state), name, strlen(name));
    out->vcpus = p->vcpu_count;
    out->memory = p->memory;
    out->up_ms = vm_state_has_vcpus(state) ? control_ms(plat_tsc() - p->started_tsc) : 0;
    for (uint32_t i = 0; i < p->vcpu_count; i++) {
        control_add_vcpu(out, p->vcpus[i]);
    }
    out->crashes = __atomic_load_n(&p->crash_count, __ATOMIC_RELAXED);
    out->over_exits = __atomic_load_n(&p->over[LIMIT_EXITS], __ATOMIC_RELAXED);
    out->over_console = __atomic_load_n(&p->over[LIMIT_CONSOLE], __ATOMIC_RELAXED);
    out->withheld = __atomic_load_n(&p->over[LIMIT_LOG], __ATOMIC_RELAXED);
}

/* As the operator's command of that name; then: what waits until it is done. */
static const struct control_word {
    const char *name;
    enum vm_command command, then;
} control_orders[CONTROL_ORDERS] = {
    [CONTROL_START] = {"start", VM_COMMAND_START, VM_COMMAND_NONE},
    [CONTROL_STOP] = {"stop", VM_COMMAND_STOP, VM_COMMAND_NONE},
    [CONTROL_RESTART] = {"restart", VM_COMMAND_STOP, VM_COMMAND_START},
    [CONTROL_RESET] = {"reset", VM_COMMAND_RESET, VM_COMMAND_NONE},
    [CONTROL_KILL] = {"kill", VM_COMMAND_KILL, VM_COMMAND_NONE},
    [CONTROL_PAUSE] = {"pause", VM_COMMAND_PAUSE, VM_COMMAND_NONE},
    [CONTROL_RESUME] = {"resume", VM_COMMAND_RESUME, VM_COMMAND_NONE},
};

static enum control_done control_order(struct vcpu *v, struct vm_public *p, uint32_t order) {
    static const enum control_done dones[VM_ASKED_KINDS] = {
        [VM_ASKED] = CONTROL_DONE,
        [VM_ASKED_NO_CPU] = CONTROL_NO_CPU,
        [VM_ASKED_OFF] = CONTROL_OFF,
        [VM_ASKED_TOO_MUCH] = CONTROL_TOO_MUCH,
    };
    const struct control_word *word = &control_orders[order];
    uint32_t withheld;

    if (limit_log_pass(v, &withheld)) {
        log_print(LOG_INFO, p->name, "%s: asked for by guest %s (%u more not shown)", word->name,
                  v->vm->name, withheld);
    }
    return dones[vm_ask(p, word->command, word->then)];
}

bool vm_control_call(struct vcpu *v) {
    const struct plan_vm *plan = v->vm->plan;
    uint32_t call = EXCHANGE_READ(v->exchange->control.call);
    uint32_t guest = EXCHANGE_READ(v->exchange->control.guest);
    uint32_t order = EXCHANGE_READ(v->exchange->control.order);
    struct exchange_control out = {.call = call, .guest = guest, .order = order};

    if (plan->control_count == 0) {
        return upcall_refuse(v, "wants to control guests, which the config does not let it", "");
    }
    if (call >= CONTROL_CALLS || order >= CONTROL_ORDERS) {
        return upcall_refuse(v, "asked of a guest what there is not", "");
    }
    if (guest < plan->control_count) {
        struct vm_public *p = vm_of_cpu[plan->control_cpus[guest]];
        if (call == CONTROL_CALL_LOOK) {
            control_look(p, &out);
            out.done = CONTROL_DONE;
        } else {
            out.done = control_order(v, p, order);
        }
    }
    memcpy(&v->exchange->control, &out, sizeof(out));
    return true;
}
