/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a guest and turning its exit into a struct vmexit; advancing, injecting, windows, NMIs.
 * The hot path of the hypervisor: a common exit costs one VMRUN, CLGI and STGI, and no VMLOAD,
 * VMSAVE or CR3 write.
 * Sources: AMD APM vol. 2 "Event Injection", "Interrupt Shadows", "Virtual Interrupts".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/exit/loop.h"

#define DR6_BS          BIT(14)
#define DR6_BREAKPOINTS 0xfull

static void svm_intercept(struct vmcb *c, uint32_t bits, bool on) {
    c->intercepts[0] = on ? c->intercepts[0] | bits : c->intercepts[0] & ~bits;
    c->clean &= ~(uint64_t)CLEAN_CONTROLS;
}

void svm_inject(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;
    struct event *e = &v->event;
    if (e->has_error && (s->vmcb.cr0 & X86_CR0_PE) == 0) {
        e->has_error = false; /* real mode pushes none */
    }
    if (event_sets_rf(e)) {
        s->vmcb.rflags |= X86_RFLAGS_RF;
    }
    s->vmcb.event = svm_event_encode(e);
    if (UNLIKELY(e->type == EVENT_NMI)) {
        s->nmi_blocked = true;
        svm_intercept(&s->vmcb, SVM_IRET, true);
    }
}

/*
 * The next instruction under the trap flag, with every exception intercepted: it ends in one of
 * them, be it only #DB. There is no exit that says "NMIs are unblocked" or "the shadow is over".
 */
static void svm_step(struct svm_vcpu *s, bool iret) {
    s->stepping = true;
    s->step_iret = iret;
    s->step_tf = (s->vmcb.rflags & X86_RFLAGS_TF) != 0;
    s->vmcb.rflags |= X86_RFLAGS_TF;
    s->vmcb.exceptions = UINT32_MAX & ~BIT32(X86_NMI);
    svm_intercept(&s->vmcb, SVM_IRET, false);
}

/* It ended; an exception of the guest's own goes on to the guest. */
static void svm_step_end(struct svm_vcpu *s, struct vmexit *x) {
    struct vmcb *c = &s->vmcb;
    bool trapped = x->event.vector == X86_DB; /* Bochs leaves DR6.BS clear */
    s->stepping = false;
    c->exceptions = SVM_EXCEPTIONS;
    c->clean &= ~(uint64_t)(CLEAN_CONTROLS | CLEAN_DR | CLEAN_CR2);
    if (!s->step_tf && !(trapped && s->step_iret)) { /* IRET has loaded the guest's own flags */
        c->rflags &= ~X86_RFLAGS_TF;
    }
    s->nmi_blocked = s->nmi_blocked && !s->step_iret;
    if (trapped && !s->step_tf) {
        c->dr6 &= ~DR6_BS;
        x->kind = (c->dr6 & DR6_BREAKPOINTS) != 0 ? EXIT_EXCEPTION : EXIT_STEP;
    } else if (x->event.vector == X86_PF) {
        c->cr2 = c->exit_info2; /* an intercepted page fault has not written it */
    }
}

/* An instruction that was carried out here had the trap flag set. */
static void svm_trap_after(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;
    if (s->stepping) { /* it stood in the shadow that an NMI waits for */
        struct vmexit done = {.event = {.vector = X86_DB}};
        svm_step_end(s, &done);
        vcpu_request(v, REQUEST_EVENT);
    }
    if ((s->vmcb.rflags & X86_RFLAGS_TF) != 0) {
        s->vmcb.dr6 = debug_status(s->vmcb.dr6, X86_DR6_BS);
        s->vmcb.clean &= ~(uint64_t)CLEAN_DR;
        vcpu_inject_exception(v, X86_DB, 0);
    }
}

/* What the shadow held off can come now. */
static __attribute__((noinline)) void svm_end_shadow(struct vcpu *v) {
    ((struct vmcb *)v->vendor)->interrupt_shadow = 0;
    __atomic_fetch_or(&v->requests, REQUEST_EVENT, __ATOMIC_RELAXED);
}

/* Exits that are not one plain instruction. */
static __attribute__((noinline)) void svm_read_details(struct vcpu *v, struct svm_exit e,
                                                       struct vmexit *x) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    if ((c->exit_event & EVENT_VALID) != 0) { /* cut off by this exit: goes in again */
        struct event event = svm_event_decode(c->exit_event);
        if (event.type != EVENT_NONE) {
            vcpu_inject(v, event);
        }
    }
    if (e.form == FORM_CR) { /* LMA follows LME and PG, and Bochs is early with it: set it again */
        hvm->set(v, HVM_EFER, hvm->get(v, HVM_EFER));
    }
    svm_decode(c, e.form, (svm_caps.features & SVM_HAS_DECODE_ASSIST) != 0, x);
    if (e.form == FORM_EVENT && s->stepping) {
        svm_step_end(s, x);
    } else if (c->exit_code == 0x74) {
        svm_step(s, true);
    } else if (e.kind == EXIT_BUS_LOCK) { /* it has not happened yet: this one may */
        c->bus_locks_left = 1;
        c->clean &= ~(uint64_t)CLEAN_CONTROLS;
    }
}

/* Registers go in and out through v; all others are the compiler's loss. Returns v. */
static inline __attribute__((always_inline)) struct vcpu *svm_run(struct vcpu *v,
                                                                  struct vmexit *x) {
    __asm__ volatile("call svm_enter"
                     : "+D"(v)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "memory", "cc");
    struct vmcb *c = v->vendor;
    v->event.type = EVENT_NONE;
    c->clean = svm_caps.clean;
    c->tlb_control = 0;
    struct svm_exit e =
        LIKELY(c->exit_code < SVM_EXITS) ? svm_exits[c->exit_code] : svm_exit_find(c->exit_code);
    x->kind = (enum exit_kind)e.kind;
    x->insn_len = (uint32_t)(c->next_rip - c->rip);
    if (LIKELY(e.form == FORM_INSTRUCTION)) {
        /* the kind says all */
    } else if (e.form == FORM_MSR) {
        x->kind = c->exit_info1 != 0 ? EXIT_WRMSR : EXIT_RDMSR;
    } else if (e.form == FORM_IO) {
        svm_decode_io(c, x);
        return v;
    } else if (e.form == FORM_NESTED_FAULT && (c->exit_event & EVENT_VALID) == 0) {
        svm_decode_nested_fault(c, x);
        return v;
    } else {
        svm_read_details(v, e, x);
    }
    bool unknown = (svm_caps.features & SVM_HAS_NEXT_RIP) == 0 || x->insn_len == 0;
    if (UNLIKELY(unknown) && e.form >= FORM_INSTRUCTION && e.form <= FORM_CR &&
        !fetch_length(v, x)) {
        x->kind = EXIT_CHANGED;
    }
    return v;
}

static inline __attribute__((always_inline)) void svm_advance(struct vcpu *v, uint32_t insn_len) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    uint64_t next = c->rip + insn_len;
    if (UNLIKELY((uint32_t)next < insn_len) && (c->segments[HVM_CS].attr & VMCB_ATTR_LONG) == 0) {
        next = (uint32_t)next; /* not 64-bit code: EIP wraps */
    }
    c->rip = next;
    if (UNLIKELY(c->interrupt_shadow != 0)) {
        svm_end_shadow(v);
    }
    if (UNLIKELY((c->rflags & X86_RFLAGS_RF) != 0) && insn_len != 0) {
        c->rflags &= ~X86_RFLAGS_RF; /* the instruction is done, and not only one repetition */
    }
    if (UNLIKELY((c->rflags & X86_RFLAGS_TF) != 0)) {
        svm_trap_after(v);
    }
}

/* A virtual interrupt that is never delivered: the exit comes when it could be. */
void svm_window(struct vcpu *v, bool interrupt, bool nmi) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    c->virtual_interrupt = V_INTR_MASKING | (interrupt ? V_IRQ | V_PRIORITY_MAX | V_IGNORE_TPR : 0);
    c->clean &= ~(uint64_t)CLEAN_INTERRUPTS;
    svm_intercept(c, SVM_VINTR, interrupt);
    if (nmi && !s->nmi_blocked && !s->stepping) {
        svm_step(s, false);
    }
}

void svm_loop(struct vcpu *v) {
    mitigate_clear(); /* the start of a guest has written the log: others' text is in the caches */
    vcpu_loop(v, svm_run, svm_advance);
}
