/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way into a vCPU's compartment and back, its time limit and the report of one that has
 * gone wrong. Knows neither what an upcall does nor the vendor.
 */
#include "hv/exit/compartment.h"

#include "hv/lib/fmt.h"
#include "hv/vm/plat.h"

/* On the host TSC. */
static uint64_t compartment_limit(void) {
    return UPCALL_MAX_MS * plat_tsc_hz() / 1000;
}

/* Anything it may not do: all of it in one line, which is told in every view. */
static bool compartment_crash(struct vcpu *v, const struct vmexit *x, const struct vmexit *end,
                              const char *what) {
    char detail[64] = "";
    const char *work = x->kind == EXIT_UNKNOWN ? "its start" : exit_kind_names[x->kind];

    if (end->kind == EXIT_EXCEPTION) {
        (void)fmt_print(detail, sizeof(detail), " %u, error code %#x,", end->event.vector,
                        end->event.error);
    } else if (end->kind == EXIT_NESTED_FAULT) {
        (void)fmt_print(detail, sizeof(detail), ": it %s %#llx,",
                        end->fault.write ? "wrote" : "read or ran", (ull)end->fault.gpa.v);
    }
    vm_log(v->vm, LOG_ERROR,
           "its compartment %s%s at %#llx (compartment.elf), while it worked on %s", what, detail,
           (ull)v->compartment_rip, work);
    (void)exit_crash(v, x, "its compartment failed");
    return false;
}

void compartment_refuse(struct vcpu *v, const struct vmexit *x, const char *what) {
    const struct vmexit end = {.kind = EXIT_HYPERCALL};

    (void)compartment_crash(v, x, &end, what);
}

/* As a report says them: what ended a run that was to end by a call; of others UNKNOWN's. */
static const char *const compartment_ends[EXIT_KINDS] = {
    [EXIT_UNKNOWN] = "executed what it may not",
    [EXIT_CPUID] = "executed CPUID",
    [EXIT_RDMSR] = "read an MSR",
    [EXIT_WRMSR] = "wrote an MSR",
    [EXIT_IO] = "touched a port",
    [EXIT_NESTED_FAULT] = "touched memory that is not its own",
    [EXIT_HLT] = "executed HLT",
    [EXIT_CR] = "touched a control register",
    [EXIT_XSETBV] = "executed XSETBV",
    [EXIT_EXCEPTION] = "raised exception",
    [EXIT_TRIPLE_FAULT] = "made a triple fault",
    [EXIT_TASK_SWITCH] = "switched tasks",
    [EXIT_CACHE] = "emptied caches",
    [EXIT_ENTRY_FAILED] = "left a state that the CPU refuses",
};

/*
 * A host interrupt came while it ran. The first one of an upcall starts the clock: the CPU's timer
 * looks again, and the guest's own deadlines are looked at when the upcall has ended.
 */
static bool compartment_interrupted(struct vcpu *v, const struct vmexit *x,
                                    const struct vmexit *end) {
    plat_take_interrupts();
    if ((__atomic_load_n(&v->public.requests, __ATOMIC_RELAXED) & REQUEST_LEAVE) != 0) {
        return false;
    }
    uint64_t now = plat_tsc();
    uint64_t most = compartment_limit();
    if (v->slow_upcall != v->upcalls) {
        v->slow_upcall = v->upcalls;
        v->slow_since = now;
    } else if (now - v->slow_since > most) {
        return compartment_crash(v, x, end, "does not come back");
    }
    __atomic_fetch_or(&v->public.requests, REQUEST_TIMER, __ATOMIC_RELAXED);
    plat_timer_set(now + most / 4);
    return true;
}

/* Without a timer of the guest's nothing would interrupt a compartment that loops. */
static __attribute__((noinline)) void compartment_watch(struct vcpu *v) {
    v->upcall_watched = true;
    vcpu_look_again(v, compartment_limit());
}

/* Any end of a run but CORE_DONE; false if the VM is leaving. */
static __attribute__((noinline)) bool compartment_other(struct vcpu *v, const struct vmexit *x,
                                                        struct vmexit *end) {
    if (end->kind == EXIT_HYPERCALL) {
        return compartment_crash(v, x, end, "asked for what there is not");
    }
    if (end->kind == EXIT_INTERRUPT) {
        return compartment_interrupted(v, x, end);
    }
    if (end->kind == EXIT_HOST_NMI || end->kind == EXIT_HOST_INIT) {
        return true; /* the vendor's file has handled the one, and the other is nothing */
    }
    if (end->kind == EXIT_HOST_MCE) {
        (void)exit_host_mce(v, end);
        return (__atomic_load_n(&v->public.requests, __ATOMIC_RELAXED) & REQUEST_LEAVE) == 0;
    }
    const char *what = compartment_ends[end->kind];
    return compartment_crash(v, x, end, what != NULL ? what : compartment_ends[EXIT_UNKNOWN]);
}

bool compartment_upcall(struct vcpu *v, const struct vmexit *x, enum upcall upcall) {
    struct vmexit end = {.kind = EXIT_UNKNOWN};

    v->exchange->upcall = upcall;
    v->upcalls++;
    if (UNLIKELY(!v->upcall_watched)) {
        compartment_watch(v);
    }
    for (;;) {
        hvm->compartment_run(v, &end);
        if (LIKELY(end.kind == EXIT_HYPERCALL && v->compartment.regs[X86_RAX] == CORE_DONE)) {
            return true;
        }
        if (!compartment_other(v, x, &end)) {
            return false;
        }
    }
}
