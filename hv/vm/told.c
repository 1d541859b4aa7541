/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes what a VM's devices tell from its compartment. Nothing of that is believed: it is judged as
 * if the guest had asked, and what can be no device's word ends the VM. See hv/abi/compartment.h.
 */
#include "hv/lib/fmt.h"
#include "hv/vm/limit.h"
#include "hv/vm/told_state.h"
#include "hv/vm/upcall.h"

static bool told_messages(struct vcpu *v) {
    const struct exchange *e = v->exchange;
    uint32_t count = EXCHANGE_READ(e->messages);

    if (count > EXCHANGE_MESSAGES) {
        return upcall_refuse(v, "told of more messages than there can be", "");
    }
    for (uint32_t i = 0; i < count; i++) {
        vm_send_msi(v->vm, EXCHANGE_READ(e->message[i].address), EXCHANGE_READ(e->message[i].data));
    }
    return true;
}

/* The 8259's INTR is wired to LINT0 of the first CPU; see also vcpu_pending(). */
static bool told_intr(struct vcpu *v) {
    vm_raise_lint0(v->vm);
    return true;
}

/* Clocks are timed by vCPU 0's CPU, whoever sets them. */
static bool told_clocks(struct vcpu *v) {
    vcpu_request(&v->vm->vcpus[0].public, REQUEST_CLOCKS);
    return true;
}

/* As many of the ring's bytes as the console takes; the others stay until it has room. */
static bool told_bytes(struct vcpu *v) {
    struct exchange_vm *shared = v->vm->shared;
    struct vm *vm = v->vm;

    lock_acquire(&vm->console_lock);
    uint32_t put = __atomic_load_n(&shared->put, __ATOMIC_ACQUIRE);
    bool sane = put - vm->console_taken <= EXCHANGE_RING;
    uint32_t before = vm->console_taken;
    while (
        sane && put != vm->console_taken &&
        vm_console->transmit(vm, EXCHANGE_READ(shared->ring[vm->console_taken % EXCHANGE_RING]))) {
        vm->console_taken++;
    }
    __atomic_store_n(&shared->taken, vm->console_taken, __ATOMIC_RELEASE);
    lock_release(&vm->console_lock);
    limit_console(v, vm->console_taken - before);
    return sane || upcall_refuse(v, "told of more bytes than there can be", "");
}

/* A VM hears of a channel that it has an end of, and of no other; what somebody costs it who rings
 * without end, vcpu_serve_bells() limits. */
static bool told_bells(struct vcpu *v) {
    const struct plan_vm *plan = v->vm->plan;
    uint64_t bells = EXCHANGE_READ(v->exchange->bells);

    for (; bells != 0; bells &= bells - 1) {
        unsigned channel = (unsigned)__builtin_ctzll(bells);
        if (channel >= plan->devices.channel_count) {
            return upcall_refuse(v, "rang where it has no channel", "");
        }
        vm_ring(v->vm, channel);
    }
    return true;
}

static bool told_stop(struct vcpu *v) {
    uint32_t stop = EXCHANGE_READ(v->exchange->stop);

    if (stop >= TOLD_STOPS) {
        return upcall_refuse(v, "told of an end that there is not", "");
    }
    if (stop == TOLD_POWER_OFF) {
        vm_leave(v->vm, LEAVE_POWER_OFF, "powered off by the guest" MSG(3001));
    } else {
        vm_leave(v->vm, LEAVE_RESET, "reset by the guest, starting again" MSG(3002));
    }
    return true;
}

static bool told_sleep_refused(struct vcpu *v, uint32_t type) {
    struct vm *vm = v->vm;
    uint32_t suppressed = 0;
    if (log_enabled(LOG_DEBUG) && limit_log_pass(v, &suppressed)) {
        vm_log(vm, LOG_DEBUG,
               "asked for sleep state %u, which it does not have: awake at once (%u "
               "more not shown)",
               type, suppressed);
    }
    return true;
}

static bool told_bios_called(struct vcpu *v, uint32_t word) {
    struct vm *vm = v->vm;

    __atomic_fetch_add(&vm->public->bios_calls, 1, __ATOMIC_RELAXED);
    uint32_t left = __atomic_load_n(&vm->bios_calls_left, __ATOMIC_RELAXED);
    if (left == 0) {
        return true;
    }
    __atomic_store_n(&vm->bios_calls_left, left - 1, __ATOMIC_RELAXED);
    vm_log(vm, LOG_WARN, "calls a BIOS, which guests do not have: INT %xh, AX %04xh%s" MSG(3063),
           word >> 16 & 0xff, word & 0xffff,
           left == 1 ? "; from here on they are only counted, see stats" : "");
    return true;
}

/* By a crash: on_crash says what follows. */
static bool told_watchdog(struct vcpu *v, uint32_t seconds) {
    char reason[64];

    if (v->vm->plan->devices.watchdog == 0) {
        return upcall_refuse(v, "told of a watchdog that there is not", "");
    }
    (void)fmt_print(reason, sizeof(reason), "watchdog: not fed for %u s" MSG(3043), seconds);
    vm_log(v->vm, LOG_ERROR, "stopped: %s", reason);
    vcpu_crash(v, upcall_name(v->upcall), reason);
    return true;
}

static bool told_event(struct vcpu *v) {
    static bool (*const tell[TOLD_EVENTS])(struct vcpu * v, uint32_t word) = {
        [TOLD_SLEEP_REFUSED] = told_sleep_refused,
        [TOLD_BIOS_CALLED] = told_bios_called,
        [TOLD_WATCHDOG] = told_watchdog,
    };
    uint32_t event = EXCHANGE_READ(v->exchange->event);
    uint32_t word = EXCHANGE_READ(v->exchange->word);

    if (event >= TOLD_EVENTS) {
        return upcall_refuse(v, "told of an event that there is not", "");
    }
    return tell[event](v, word);
}

static bool told_refused(struct vcpu *v) {
    const struct exchange_access *a = &v->exchange->refused;
    uint32_t space = EXCHANGE_READ(a->space);

    if (space >= BUS_SPACES) {
        return upcall_refuse(v, "told of an access that there is not", "");
    }
    vcpu_refuse_access(v, (enum bus_space)space, EXCHANGE_READ(a->write) != 0,
                       EXCHANGE_READ(a->at));
    return true;
}

/* As the guest's own instruction would write it. */
static bool told_apic(struct vcpu *v) {
    const struct exchange_access *a = &v->exchange->apic;
    uint64_t at = EXCHANGE_READ(a->at);
    uint32_t size = EXCHANGE_READ(a->size);

    if (!exchange_is_apic(v, at) || size == 0 || size > 8) {
        return upcall_refuse(v, "wrote no register of the local APIC", "");
    }
    lapic_mmio_write(&v->lapic, at, size, EXCHANGE_READ(a->value));
    return true;
}

/* By the numbers of the bits. They are done in that order: an end of the run comes last. */
static bool (*const told[])(struct vcpu *v) = {told_messages, told_intr,    told_clocks, told_bytes,
                                               told_state,    told_refused, told_apic,   told_event,
                                               told_bells,    told_stop};
_Static_assert(TOLD_ALL == BIT32(ARRAY_SIZE(told)) - 1, "one for each bit");

static __attribute__((noinline)) bool told_take_all(struct vcpu *v, uint32_t bits) {
    bool sane =
        (bits & ~(uint32_t)TOLD_ALL) == 0 || upcall_refuse(v, "told of what there is not", "");

    for (; sane && bits != 0; bits &= bits - 1) {
        sane = told[__builtin_ctz(bits)](v);
    }
    return sane;
}

/* A guest that uses the local APIC's page tells nothing else most times. */
bool told_take(struct vcpu *v, uint32_t bits) {
    return bits == TOLD_APIC ? told_apic(v) : told_take_all(v, bits);
}
