/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exit table and the handlers that are one line long. What nobody handles stops that VM with a
 * report; nothing is ever skipped.
 */
#include "hv/abi.h"
#include "hv/exit/exit.h"
#include "hv/lib/log.h"
#include "hv/vm/plat.h"

/* Out of line, so that a violation that nobody is told of saves no registers. */
static __attribute__((noinline)) void exit_report_violation(struct vcpu *v, bool stop,
                                                            const char *what, uint64_t where) {
    uint32_t suppressed = 0;
    if (!stop && !log_limit_pass(&v->vm->log_limit, &suppressed)) {
        return;
    }
    vm_log(v->vm, stop ? LOG_ERROR : LOG_DEBUG, "refused %s %#llx at rip %#llx (%u more not shown)",
           what, (unsigned long long)where, (unsigned long long)hvm->get(v, HVM_RIP), suppressed);
    if (stop) {
        vm_leave(v->vm, LEAVE_STOP, "stopped: on_violation = \"stop\"");
    }
}

void exit_violation(struct vcpu *v, uint64_t *counter, const char *what, uint64_t where) {
    (*counter)++;
    bool stop = v->vm->plan->config->on_violation == ON_VIOLATION_STOP;
    if (UNLIKELY(stop || log_enabled(LOG_DEBUG))) {
        exit_report_violation(v, stop, what, where);
    }
}

static enum action exit_hypercall(struct vcpu *v, struct vmexit *x) {
    (void)x;
    struct hvm_segment ss;
    if (LIKELY(v->regs[X86_RAX] == HYPERCALL_NOP)) {
        /* Answers at any privilege: it does nothing, and asking for the CPL would cost a VMREAD. */
        return ACTION_NEXT;
    }
    hvm->get_segment(v, HVM_SS, &ss);
    if ((ss.attr >> 5 & 3) != 0) {
        return exit_inject(v, X86_UD, 0);
    }
    v->regs[X86_RAX] = HYPERCALL_UNKNOWN;
    return ACTION_NEXT;
}

static enum action exit_interrupt(struct vcpu *v, struct vmexit *x) {
    (void)v;
    (void)x;
    plat_take_interrupts();
    return ACTION_RETRY;
}

/* A window opened, or the nested state changed: look at the pending events again. */
static enum action exit_window(struct vcpu *v, struct vmexit *x) {
    (void)x;
    __atomic_fetch_or(&v->requests, REQUEST_EVENT, __ATOMIC_RELAXED);
    return ACTION_RETRY;
}

static enum action exit_hlt(struct vcpu *v, struct vmexit *x) {
    (void)v;
    (void)x;
    return ACTION_HALT;
}

static enum action exit_next(struct vcpu *v, struct vmexit *x) {
    (void)v;
    (void)x;
    return ACTION_NEXT;
}

static enum action exit_retry(struct vcpu *v, struct vmexit *x) {
    (void)v;
    (void)x;
    return ACTION_RETRY;
}

/* An intercepted exception is the guest's own: it goes on to the guest's handler. */
static enum action exit_exception(struct vcpu *v, struct vmexit *x) {
    vcpu_inject(v, x->event);
    return ACTION_RETRY;
}

static enum action exit_host_mce(struct vcpu *v, struct vmexit *x) {
    (void)x;
    plat_panic("machine check while %s ran", v->vm->name);
}

static enum action exit_invalid_opcode(struct vcpu *v, struct vmexit *x) {
    (void)x;
    v->refused.instruction++;
    return exit_inject(v, X86_UD, 0);
}

static enum action exit_privileged(struct vcpu *v, struct vmexit *x) {
    (void)x;
    v->refused.instruction++;
    return exit_inject(v, X86_GP, 0);
}

static enum action exit_triple_fault(struct vcpu *v, struct vmexit *x) {
    return exit_crash(v, x, "triple fault");
}

static enum action exit_task_switch(struct vcpu *v, struct vmexit *x) {
    return exit_crash(v, x, "hardware task switch");
}

static enum action exit_entry_failed(struct vcpu *v, struct vmexit *x) {
    return exit_crash(v, x, "the CPU refused the guest's state");
}

static enum action exit_unknown(struct vcpu *v, struct vmexit *x) {
    return exit_crash(v, x, "exit of a kind Bulkhead does not know");
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
    [EXIT_WINDOW] = exit_window,
    [EXIT_HLT] = exit_hlt,
    [EXIT_CR] = exit_cr,
    [EXIT_XSETBV] = exit_xsetbv,
    [EXIT_EXCEPTION] = exit_exception,
    [EXIT_HOST_NMI] = exit_retry, /* the vendor's file has handled it */
    [EXIT_HOST_MCE] = exit_host_mce,
    [EXIT_TRIPLE_FAULT] = exit_triple_fault,
    [EXIT_TASK_SWITCH] = exit_task_switch,
    [EXIT_INVALID_OPCODE] = exit_invalid_opcode,
    [EXIT_PRIVILEGED] = exit_privileged,
    [EXIT_CACHE] = exit_next,
    [EXIT_PAUSE] = exit_next,
    [EXIT_ENTRY_FAILED] = exit_entry_failed,
    [EXIT_UNKNOWN] = exit_unknown,
};
