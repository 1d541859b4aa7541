/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a guest and turning its exit into a struct vmexit; advancing.
 * The hot path of the hypervisor: a common exit costs one VMRUN, CLGI and STGI, and no VMLOAD,
 * VMSAVE or CR3 write.
 * Sources: AMD APM vol. 2 "VMRUN Instruction", "#VMEXIT", "Interrupt Shadows".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/compartment.h"
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/exit/loop.h"

#define DR6_BS BIT(14)

/* An instruction that was carried out here had the resume flag set, or the trap flag. Out of line:
 * both are rare. */
static __attribute__((noinline)) void svm_advance_flags(struct vcpu *v, uint32_t insn_len) {
    struct svm_vcpu *s = v->vendor;
    if (insn_len != 0) {
        s->vmcb.rflags &= ~X86_RFLAGS_RF; /* it is done, and not only one repetition */
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
    __atomic_fetch_or(&v->public.requests, REQUEST_EVENT, __ATOMIC_RELAXED);
}

/* The CPU has not told it. */
static __attribute__((noinline)) void svm_find_length(struct vcpu *v, struct vmexit *x) {
    if (!exit_find_length(v, x)) {
        x->kind = EXIT_CHANGED;
    }
}

/* Of an instruction that exited. */
static inline __attribute__((always_inline)) bool svm_knows_length(const struct vmexit *x) {
    return LIKELY((svm_caps.features & SVM_HAS_NEXT_RIP) != 0) && LIKELY(x->insn_len != 0);
}

/* A control register: what its form says, and the instruction if the CPU does not. */
static void svm_read_cr(struct vcpu *v, const struct vmcb *c, enum svm_form form,
                        struct vmexit *x) {
    svm_decode(c, form, (svm_caps.features & SVM_HAS_DECODE_ASSIST) != 0, x);
    if (!svm_knows_length(x)) {
        svm_find_length(v, x);
    }
}

/* Exits that may have come in the middle of something: of an event's delivery, of a shadow. */
static void svm_read_interrupted(struct vcpu *v, struct vmcb *c) {
    if ((c->exit_event & EVENT_VALID) != 0) { /* cut off by this exit: goes in again */
        struct event event = svm_event_decode(c->exit_event);
        if (event.type != EVENT_NONE) {
            vcpu_inject(v, event);
        }
    }
    svm_events_after_exit(v);
}

/* The guest stands between two instructions, and in no shadow. */
static bool svm_stands_free(const struct svm_vcpu *s) {
    return (s->vmcb.exit_event & EVENT_VALID) == 0 && (s->vmcb.interrupt_shadow & SHADOW) == 0 &&
           s->shadow_entries == 0;
}

/* Exits that are not one plain instruction. */
static __attribute__((noinline)) void svm_read_details(struct vcpu *v, struct vmcb *c,
                                                       struct svm_exit e, struct vmexit *x) {
    if (e.form == FORM_CR8) {
        svm_read_cr(v, c, e.form, x);
        return;
    }
    if (e.kind == EXIT_INTERRUPT && svm_stands_free(v->vendor)) {
        return;
    }
    svm_read_interrupted(v, c);
    if (e.form == FORM_CR) {
        /* LMA follows LME and PG, and Bochs is early with it: set it again. */
        hvm->set(v, HVM_EFER, hvm->get(v, HVM_EFER));
        svm_read_cr(v, c, e.form, x);
        return;
    }
    svm_decode(c, e.form, false, x);
    if (e.kind == EXIT_BUS_LOCK) { /* it has not happened yet: this one may */
        c->bus_locks_left = 1;
        c->clean &= ~(uint64_t)CLEAN_CONTROLS;
    }
}

static __attribute__((noinline)) void svm_read_rare_code(struct vcpu *v, struct vmcb *c,
                                                         struct vmexit *x) {
    struct svm_exit e = svm_exit_find(c->exit_code);
    x->kind = (enum exit_kind)e.kind;
    svm_read_details(v, c, e, x);
}

/* Exit codes above the table: an access to a device, and what is rare. */
static __attribute__((noinline)) void svm_read_high_code(struct vcpu *v, struct vmcb *c,
                                                         struct vmexit *x) {
    if (UNLIKELY(c->exit_code != EXIT_CODE_NESTED_FAULT || (c->exit_event & EVENT_VALID) != 0)) {
        svm_read_rare_code(v, c, x);
        return;
    }
    x->kind = EXIT_NESTED_FAULT;
    svm_decode_nested_fault(c, x);
}

static inline __attribute__((always_inline)) void svm_read_exit(struct vcpu *v, struct vmexit *x) {
    struct vmcb *c = v->vendor;
    v->event.type = EVENT_NONE;
    c->clean = svm_caps.clean;
    c->tlb_control = 0;
    if (UNLIKELY(c->exit_code >= SVM_EXITS)) {
        svm_read_high_code(v, c, x);
        return;
    }
    struct svm_exit e = svm_exits[c->exit_code];
    x->kind = (enum exit_kind)e.kind;
    x->insn_len = (uint32_t)(c->next_rip - c->rip);
    if (LIKELY(e.form == FORM_INSTRUCTION)) {
        /* the kind says all */
    } else if (e.form == FORM_MSR) {
        x->kind = c->exit_info1 != 0 ? EXIT_WRMSR : EXIT_RDMSR;
    } else if (e.form == FORM_IO) {
        svm_decode_io(c, x);
        return;
    } else {
        svm_read_details(v, c, e, x);
        return;
    }
    if (!svm_knows_length(x)) {
        svm_find_length(v, x);
    }
}

static inline __attribute__((always_inline)) struct exit_record *svm_run(struct vcpu *v) {
    svm_enter(v);
    struct exit_record *record = recorder_begin(&v->recorder);

    tsc_stamp(record);
    record->rip = ((const struct vmcb *)v->vendor)->rip;
    svm_read_exit(v, &record->exit);
    return record;
}

static inline __attribute__((always_inline)) void svm_advance(struct vcpu *v,
                                                              const struct exit_record *record) {
    uint32_t insn_len = record->exit.insn_len;
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
    if (UNLIKELY((c->rflags & (X86_RFLAGS_RF | X86_RFLAGS_TF)) != 0)) {
        svm_advance_flags(v, insn_len);
    }
}

void svm_loop(struct vcpu *v) {
    vcpu_loop(v, svm_run, svm_advance, svm_compartment_run);
}
