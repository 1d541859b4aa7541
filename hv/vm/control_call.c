/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what one guest sees of others, and asks of them: see control_call.h. */
#include "hv/vm/control_call.h"

#include "hv/lib/str.h"
#include "hv/vm/control_trace.h"
#include "hv/vm/limit.h"
#include "hv/vm/plat.h"
#include "hv/vm/upcall.h"

static uint64_t control_ms(uint64_t ticks) {
    return mul_div_u64(ticks, 1000, plat_tsc_hz());
}

static void control_add_vcpu(struct exchange_look *out, const struct vcpu_public *v) {
    for (unsigned i = 0; i < EXIT_KINDS; i++) {
        out->exits += __atomic_load_n(&v->exits[i], __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < REFUSED_KINDS; i++) {
        out->denied += __atomic_load_n(&v->refused[i], __ATOMIC_RELAXED);
    }
    out->idle_ms += control_ms(vcpu_waited(v, plat_tsc()));
}

/* Who it is, and how it fares. */
static void control_name(const struct vm_public *p, enum vm_state state,
                         struct exchange_control *c) {
    const char *name = vm_state_name(state);

    (void)str_copy_n(c->name, sizeof(c->name), p->name, strlen(p->name));
    (void)str_copy_n(c->state, sizeof(c->state), name, strlen(name));
}

/* Of what other CPUs may know of a VM, and no more. */
static enum control_done control_look(UNUSED struct vcpu *v, struct vm_public *p,
                                      struct exchange_control *c) {
    enum vm_state state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
    struct exchange_look *out = &c->look;

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
    return CONTROL_DONE;
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

static enum control_done control_order(struct vcpu *v, struct vm_public *p,
                                       struct exchange_control *c) {
    static const enum control_done dones[VM_ASKED_KINDS] = {
        [VM_ASKED] = CONTROL_DONE,
        [VM_ASKED_NO_CPU] = CONTROL_NO_CPU,
        [VM_ASKED_OFF] = CONTROL_OFF,
        [VM_ASKED_TOO_MUCH] = CONTROL_TOO_MUCH,
    };
    const struct control_word *word = &control_orders[c->order];
    uint32_t withheld;

    if (limit_log_pass(v, &withheld)) {
        log_print(LOG_INFO, p->name, "%s: asked for by guest %s (%u more not shown)", word->name,
                  v->vm->name, withheld);
    }
    return dones[vm_ask(p, word->command, word->then)];
}

/* ---- what has become of it, and its console ---- */

static enum control_done control_event(UNUSED struct vcpu *v, struct vm_public *p,
                                       struct exchange_control *c) {
    struct vm_event event = {.cause = EVENT_CONFIG};

    c->at = c->at == CONTROL_AT_FIRST ? 0 : c->at;
    c->size = vm_event_after(p, &c->at, &c->end, &event) ? 1 : 0;
    c->event.us = event.us;
    c->event.unix_seconds = event.unix_seconds;
    c->event.cause = event.cause;
    memcpy(c->event.why, event.why, sizeof(c->event.why));
    control_name(p, event.state, c);
    return CONTROL_DONE;
}

static enum control_done control_read(UNUSED struct vcpu *v, struct vm_public *p,
                                      struct exchange_control *c) {
    c->size = vm_console->read(p, &c->at, &c->end, c->bytes, sizeof(c->bytes));
    return CONTROL_DONE;
}

/* At the prompt one is told as well that nobody reads it. */
static enum control_done control_type(struct vcpu *v, struct vm_public *p,
                                      struct exchange_control *c) {
    uint8_t keys[CONTROL_BYTES];

    if (vm_state_is_off(__atomic_load_n(&p->state, __ATOMIC_ACQUIRE))) {
        return CONTROL_OFF;
    }
    exchange_copy(keys, v->exchange->control.bytes, sizeof(keys));
    c->size = vm_console->put(p, keys, c->size);
    return CONTROL_DONE;
}

static enum control_done (*const control_calls[CONTROL_CALLS])(struct vcpu *v, struct vm_public *p,
                                                               struct exchange_control *c) = {
    [CONTROL_CALL_LOOK] = control_look,   [CONTROL_CALL_ORDER] = control_order,
    [CONTROL_CALL_EVENT] = control_event, [CONTROL_CALL_READ] = control_read,
    [CONTROL_CALL_TYPE] = control_type,   [CONTROL_CALL_TRACE] = control_trace,
};

/* What other guests are, have said and are typed has gone through this CPU. */
bool vm_control_call(struct vcpu *v) {
    const struct plan_vm *plan = v->vm->plan;
    const struct exchange_control *asked = &v->exchange->control;
    struct exchange_control c = {.call = EXCHANGE_READ(asked->call),
                                 .guest = EXCHANGE_READ(asked->guest),
                                 .order = EXCHANGE_READ(asked->order),
                                 .at = EXCHANGE_READ(asked->at),
                                 .size = EXCHANGE_READ(asked->size)};

    if (plan->control_count == 0) {
        return upcall_refuse(v, "wants to control guests, which the config does not let it", "");
    }
    if (c.call >= CONTROL_CALLS || c.order >= CONTROL_ORDERS || c.size > CONTROL_BYTES) {
        return upcall_refuse(v, "asked of a guest what there is not", "");
    }
    if (c.guest < plan->control_count) {
        struct vm_public *p = vm_of_cpu[plan->control_cpus[c.guest]];

        control_name(p, __atomic_load_n(&p->state, __ATOMIC_ACQUIRE), &c);
        c.done = control_calls[c.call](v, p, &c);
        plat_clear_traces();
    }
    memcpy(&v->exchange->control, &c, sizeof(c));
    return true;
}
