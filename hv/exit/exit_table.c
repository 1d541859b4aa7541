/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exit table and the handlers that are one line long. What nobody handles stops that VM with a
 * report; nothing is ever skipped.
 */
#include "hv/exit/exit.h"
#include "hv/lib/fmt.h"
#include "hv/vm/limit.h"
#include "hv/vm/mce.h"
#include "hv/vm/plat.h"

#define BUS_LOCKS_PER_SECOND 1000u

/*
 * A host interrupt waits, which the loop takes. The guest may be able to take by now what waits for
 * a window: then it need not exit once more.
 */
static enum action exit_interrupt(struct vcpu *v, UNUSED struct vmexit *x) {
    if (UNLIKELY(v->window_interrupt)) {
        __atomic_fetch_or(&v->public.requests, REQUEST_EVENT, __ATOMIC_RELAXED);
    }
    return ACTION_RETRY;
}

/* Something has changed that may let an event in: look at the pending ones again. */
static enum action exit_look_again(struct vcpu *v, UNUSED struct vmexit *x) {
    __atomic_fetch_or(&v->public.requests, REQUEST_EVENT, __ATOMIC_RELAXED);
    return ACTION_RETRY;
}

/* A single-step trap is due behind the HLT: it does not sleep. */
static enum action exit_hlt(struct vcpu *v, UNUSED struct vmexit *x) {
    return (hvm->get(v, HVM_RFLAGS) & X86_RFLAGS_TF) != 0 ? ACTION_NEXT : ACTION_HALT;
}

static enum action exit_next(UNUSED struct vcpu *v, UNUSED struct vmexit *x) {
    return ACTION_NEXT;
}

/*
 * An intercepted exception is the guest's own: it goes on to the guest's handler. A guest may raise
 * one in the delivery of another for ever, with no instruction between: the loop sees to it.
 */
static enum action exit_exception(struct vcpu *v, struct vmexit *x) {
    if (x->event.vector == X86_DB) { /* the handler may use the debug registers */
        hvm->set(v, HVM_DR7, hvm->get(v, HVM_DR7) & ~X86_DR7_GD);
    }
    vcpu_inject(v, x->event);
    return ACTION_RETRY;
}

static enum action exit_refused(struct vcpu *v, struct vmexit *x) {
    v->public.refused[REFUSED_INSTRUCTION]++;
    return exit_inject(v, x->kind == EXIT_PRIVILEGED ? X86_GP : X86_UD, 0);
}

static enum action exit_fatal(struct vcpu *v, struct vmexit *x) {
    static const char *const reasons[EXIT_KINDS] = {
        [EXIT_TRIPLE_FAULT] = VCPU_TRIPLE_FAULT,
        [EXIT_UNKNOWN] = "exit of a kind Bulkhead does not know" MSG(3031),
    };
    return exit_crash(v, x, reasons[x->kind]);
}

/* Exits other than refused entries, so far. */
static uint64_t exit_count_taken(const struct vcpu *v) {
    uint64_t count = 0;
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        count += k != EXIT_ENTRY_FAILED ? v->public.exits[k] : 0;
    }
    return count;
}

/*
 * The CPU found fault with a state that it reached itself but for what we emulated. If that was a
 * process of the guest's, it costs the process: #GP. A second refusal with no exit in between, and
 * one of a kernel, stops the VM.
 */
static enum action exit_entry_failed(struct vcpu *v, struct vmexit *x) {
    char reason[CONTROL_WHY];
    uint32_t suppressed = 0;
    uint64_t taken = exit_count_taken(v) + 1;
    const char *rule = hvm->refusal(v);
    bool again = v->refused_after == taken;
    v->refused_after = taken;
    if (!again && vcpu_cpl(v) == 3 && hvm->make_enterable(v)) {
        if (log_enabled(LOG_WARN) && limit_log_pass(v, &suppressed)) {
            vm_log(v->vm, LOG_WARN,
                   "the CPU refused the state of a process: %s (%u more not shown)" MSG(3060), rule,
                   suppressed);
        }
        v->event.type = EVENT_NONE;
        return exit_inject(v, X86_GP, 0);
    }
    (void)fmt_print(reason, sizeof(reason), "the CPU refused the guest's state: %s" MSG(3032),
                    rule);
    return exit_crash(v, x, reason);
}

static enum action exit_host_mce(struct vcpu *v, UNUSED struct vmexit *x) {
    vm_machine_check(v);
    return ACTION_RETRY;
}

/* After the instruction. */
static enum action exit_apic(struct vcpu *v, struct vmexit *x) {
    if (x->kind == EXIT_APIC_WRITE) {
        lapic_written(&v->lapic, x->apic);
    } else {
        lapic_ended(&v->lapic, (uint8_t)x->apic);
    }
    return ACTION_DONE;
}

/*
 * With a LOCK across two cache lines or on uncached memory a guest holds up every CPU's memory for
 * thousands of cycles. One is let through in a millisecond, whatever else the guest's vCPUs do
 * meanwhile: then it is no more than a nuisance.
 */
static enum action exit_bus_lock(struct vcpu *v, UNUSED struct vmexit *x) {
    const uint64_t start = plat_tsc();
    const uint64_t wait = plat_tsc_hz() / BUS_LOCKS_PER_SECOND;
    uint32_t suppressed = 0;

    if (log_enabled(LOG_WARN) && limit_log_pass(v, &suppressed)) {
        vm_log(v->vm, LOG_WARN,
               "bus lock at rip %#llx: slowed down (%u more lines not shown)" MSG(3061),
               (ull)hvm->get(v, HVM_RIP), suppressed);
    }
    while (plat_tsc() - start < wait) {
        plat_take_interrupts();
    }
    return ACTION_RETRY;
}

/*
 * WBINVD and INVD: guest memory is write-back and no device reads it behind the caches, so there is
 * nothing to write back; doing it would let a guest stall every other CPU.
 */
const exit_handler exit_table[EXIT_KINDS] = {
    [EXIT_CPUID] = exit_cpuid,
    [EXIT_HYPERCALL] = exit_hypercall,
    [EXIT_RDMSR] = exit_rdmsr,
    [EXIT_WRMSR] = exit_wrmsr,
    [EXIT_IO] = exit_io,
    [EXIT_NESTED_FAULT] = exit_nested_fault,
    [EXIT_INTERRUPT] = exit_interrupt,
    [EXIT_WINDOW] = exit_look_again,
    [EXIT_NMI_WINDOW] = exit_look_again,
    [EXIT_CHANGED] = exit_look_again,
    [EXIT_HLT] = exit_hlt,
    [EXIT_CR] = exit_cr,
    [EXIT_XSETBV] = exit_xsetbv,
    [EXIT_EXCEPTION] = exit_exception,
    [EXIT_HOST_NMI] = exit_look_again,
    [EXIT_HOST_INIT] = exit_look_again,
    [EXIT_HOST_MCE] = exit_host_mce,
    [EXIT_TRIPLE_FAULT] = exit_fatal,
    [EXIT_TASK_SWITCH] = exit_task_switch,
    [EXIT_INVALID_OPCODE] = exit_refused,
    [EXIT_PRIVILEGED] = exit_refused,
    [EXIT_CACHE] = exit_next,
    [EXIT_APIC_WRITE] = exit_apic,
    [EXIT_APIC_EOI] = exit_apic,
    [EXIT_BUS_LOCK] = exit_bus_lock,
    [EXIT_ENTRY_FAILED] = exit_entry_failed,
    [EXIT_UNKNOWN] = exit_fatal,
};

const exit_handler exit_answers[EXIT_KINDS] = {
    [EXIT_IO] = exit_io_answered,
    [EXIT_NESTED_FAULT] = exit_nested_fault_answered,
};
