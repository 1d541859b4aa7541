/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what is rare on the way into a vCPU's compartment and back (upcall_make.h): its time limit,
 * its calls, and what it has told. Knows neither what an upcall does nor the vendor.
 */
#include "hv/vm/upcall_make.h"

#include "hv/lib/fmt.h"
#include "hv/vm/mce.h"
#include "hv/vm/plat.h"

/* On the host TSC. */
static uint64_t upcall_limit(void) {
    return UPCALL_MAX_MS * plat_tsc_hz() / 1000;
}

/* As a report says them: what ended a run that was to end by a call; of others UNKNOWN's. */
static const char *const upcall_ends[EXIT_KINDS] = {
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
    [EXIT_BUS_LOCK] = "locked the bus",
    [EXIT_CACHE] = "emptied caches",
    [EXIT_ENTRY_FAILED] = "left a state that the CPU refuses",
};

/* What ended its run, where it was to end by a call. */
static bool upcall_broken(struct vcpu *v, const struct vmexit *end) {
    char detail[64] = "";
    const char *what = upcall_ends[end->kind];

    if (end->kind == EXIT_EXCEPTION) {
        (void)fmt_print(detail, sizeof(detail), " %u, error code %#x,", end->event.vector,
                        end->event.error);
    } else if (end->kind == EXIT_NESTED_FAULT) {
        (void)fmt_print(detail, sizeof(detail), ": it %s %#llx,",
                        end->fault.write ? "wrote" : "read or ran", (ull)end->fault.gpa.v);
    }
    return upcall_refuse(v, what != NULL ? what : upcall_ends[EXIT_UNKNOWN], detail);
}

static bool upcall_is_over(const struct vcpu *v) {
    return __atomic_load_n(&v->vm->leave, __ATOMIC_RELAXED) != LEAVE_NONE ||
           (__atomic_load_n(&v->public.requests, __ATOMIC_RELAXED) & REQUEST_LEAVE) != 0;
}

/*
 * A host interrupt came while it ran. The first one of an upcall starts the clock: the CPU's timer
 * looks again, some times, and the guest's own deadlines are looked at when the upcall has ended. A
 * CPU that was away itself, in firmware or as an emulator's, counts as one look.
 */
static bool upcall_interrupted(struct vcpu *v) {
    plat_take_interrupts();
    if (upcall_is_over(v)) {
        return false;
    }
    uint64_t now = plat_tsc();
    uint64_t between = upcall_limit() / UPCALL_LOOKS;
    if (v->slow_upcall != v->upcalls) {
        v->slow_upcall = v->upcalls;
        v->slow_since = now;
        v->slow_looks = 0;
    } else if (now - v->slow_since >= between) {
        v->slow_since = now;
        v->slow_looks++;
    }
    if (v->slow_looks == UPCALL_LOOKS) {
        return upcall_refuse(v, "does not come back", "");
    }
    __atomic_fetch_or(&v->public.requests, REQUEST_TIMER, __ATOMIC_RELAXED);
    plat_timer_set(now + between);
    return true;
}

/*
 * Nothing is asked of one that has failed, nor of one that was left in the middle: its VM is
 * ending. Without a timer of the guest's nothing would interrupt a compartment that loops.
 */
bool upcall_may_begin(struct vcpu *v) {
    if ((v->upcall_flags & (UPCALL_FAILED | UPCALL_RUNS)) != 0) {
        return false;
    }
    vcpu_look_again(v, upcall_limit());
    return true;
}

/* Host interrupts are taken, or calls without end would keep them out. */
bool upcall_called(struct vcpu *v) {
    return core_call_answer(v, v->compartment.regs[X86_RAX]) && upcall_interrupted(v);
}

bool upcall_ended(struct vcpu *v, const struct vmexit *end) {
    switch ((unsigned)end->kind) {
    case EXIT_INTERRUPT:
        return upcall_interrupted(v);
    case EXIT_HOST_NMI: /* the vendor's file has handled the one, and the other is nothing */
    case EXIT_HOST_INIT:
        return true;
    case EXIT_HOST_MCE:
        vm_machine_check(v);
        return !upcall_is_over(v);
    default:
        return upcall_broken(v, end);
    }
}

/* Level-triggered interrupts that have ended meanwhile: the I/O APIC hears of each. */
static __attribute__((noinline)) bool upcall_end_interrupts(struct vcpu *v) {
    bool answered = true;

    v->upcall_flags &= ~(uint32_t)UPCALL_ENDS;
    for (unsigned vector = 0; answered && vector < 256; vector++) {
        uint64_t bit = BIT(vector % 64);
        if ((v->ended[vector / 64] & bit) != 0) {
            v->ended[vector / 64] &= ~bit;
            v->exchange->argument = vector;
            answered = upcall(v, v->upcall_exit, UPCALL_END);
        }
    }
    return answered;
}

bool upcall_told(struct vcpu *v) {
    bool sane = told_take(v, __atomic_exchange_n(&v->exchange->told, 0, __ATOMIC_RELAXED));
    return sane && ((v->upcall_flags & UPCALL_ENDS) == 0 || upcall_end_interrupts(v));
}
