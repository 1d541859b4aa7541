/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what stands between a guest and its next event on AMD-V: injection, the interrupt window,
 * the shadow of STI and MOV SS, and the time from an NMI to its IRET. Works on the VMCB alone, so
 * that the unit tests can run it.
 *
 * The guest never runs under a trap flag of ours: whatever its CPU stores meanwhile (the frame of
 * an exception, PUSHF, SYSCALL, a task switch) would show it. Where no exit says that an obstacle
 * is over, the hypervisor looks again a microsecond later.
 * Sources: AMD APM vol. 2 "Event Injection", "Interrupt Shadows", "Virtual Interrupts", "NMI
 * Support".
 */
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"

/* The first look comes after a millionth of a second, each one that was in vain doubles that. */
#define LOOKS_A_SECOND 1000000u
#define LOOK_DOUBLINGS 10u

/*
 * How long a guest that stands still is believed to be in its shadow: both must have passed. A
 * storm of host interrupts lets it do nothing for a dozen entries; a guest that really stands still
 * after STI, JMP to itself, gets its interrupt some milliseconds late.
 */
#define SHADOW_ENTRIES  16u
#define SHADOW_A_SECOND 5000u

static void svm_intercept(struct vmcb *c, uint32_t bits, bool on) {
    c->intercepts[0] = on ? c->intercepts[0] | bits : c->intercepts[0] & ~bits;
    c->clean &= ~(uint64_t)CLEAN_CONTROLS;
}

/* An IRET leaves its place or takes its frame from the stack: most do both. */
static bool svm_iret_is_ahead(const struct svm_vcpu *s) {
    return s->vmcb.rip == s->iret_rip && s->vmcb.rsp == s->iret_rsp;
}

static bool svm_nmi_is_blocked(const struct svm_vcpu *s) {
    return s->nmi == SVM_NMI_BLOCKED || (s->nmi == SVM_NMI_ENDING && svm_iret_is_ahead(s));
}

static void svm_nmi_block(struct svm_vcpu *s) {
    s->nmi = SVM_NMI_BLOCKED;
    svm_intercept(&s->vmcb, SVM_IRET, true);
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
    s->vmcb.interrupt_shadow = 0; /* the handler's first instruction is in none */
    s->shadow_entries = 0;
    s->looks = 0;

    /* Also where the handler's IRET was let through and something comes before it. */
    if (UNLIKELY(e->type == EVENT_NMI || (s->nmi == SVM_NMI_ENDING && svm_iret_is_ahead(s)))) {
        svm_nmi_block(s);
    }
}

bool svm_can_take(struct vcpu *v, bool nmi) {
    const struct svm_vcpu *s = v->vendor;
    if ((s->vmcb.interrupt_shadow & SHADOW) != 0) {
        return false;
    }
    return nmi ? !svm_nmi_is_blocked(s) : (s->vmcb.rflags & X86_RFLAGS_IF) != 0;
}

static void svm_intercept_cr8(struct svm_vcpu *s) {
    bool window = (s->vmcb.virtual_interrupt & V_IRQ) != 0;
    s->vmcb.cr_writes &= (uint16_t)~SVM_CR8;
    s->vmcb.cr_writes |= s->cr8_watched || window ? SVM_CR8 : 0;
    s->vmcb.clean &= ~(uint64_t)CLEAN_CONTROLS;
}

/*
 * With V_INTR_MASKING the CPU reads and writes V_TPR for CR8. It holds back no interrupt of ours,
 * which go in as events; so a write that may let one in has to exit. So have all while a window is
 * open: what waited for it may have to wait longer, and QEMU fails an assertion at such a write.
 */
void svm_watch_cr8(struct vcpu *v, bool on) {
    struct svm_vcpu *s = v->vendor;
    s->cr8_watched = on;
    svm_intercept_cr8(s);
}

/* A virtual interrupt that is never delivered: the exit comes when it could be. */
static void svm_request_window(struct svm_vcpu *s, bool on) {
    struct vmcb *c = &s->vmcb;
    c->virtual_interrupt &= ~(uint64_t)(V_IRQ | V_PRIORITY_MAX | V_IGNORE_TPR);
    if (on) {
        c->virtual_interrupt |= V_IRQ | V_PRIORITY_MAX | V_IGNORE_TPR;
    }
    svm_intercept(c, SVM_VINTR, on);
    svm_intercept_cr8(s);
}

static void svm_look_again(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;
    vcpu_look_again(v, (plat_tsc_hz() / LOOKS_A_SECOND) << s->looks);
    if (s->looks < LOOK_DOUBLINGS) {
        s->looks++;
    }
    v->window_interrupt = v->window_nmi = false; /* to be asked again */
}

/*
 * While the guest stands in a shadow, a request for a window would not wait for its end on every
 * CPU: QEMU's VMRUN forgets the shadow. An NMI that no NMI blocks waits for one instruction, or for
 * an event that is being delivered: a window sees its end at once if that lets interrupts in.
 */
void svm_window(struct vcpu *v, bool interrupt, bool nmi) {
    struct svm_vcpu *s = v->vendor;
    bool shadow = (s->vmcb.interrupt_shadow & SHADOW) != 0;
    bool nmi_soon = nmi && s->nmi != SVM_NMI_BLOCKED;
    svm_request_window(s, (interrupt || nmi_soon) && !shadow);

    if (nmi_soon || (shadow && interrupt)) {
        svm_look_again(v);
    } else {
        s->looks = 0;
    }
}

/*
 * Not every CPU loads the shadow that it saved at the last exit (QEMU's does not), and then an
 * interrupt would go in between STI and HLT, and its guest sleep with work waiting. As long as the
 * guest has not moved, it is put back.
 */
static void svm_keep_shadow(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    if ((c->interrupt_shadow & SHADOW) != 0) {
        if (s->shadow_entries == 0 || s->shadow_rip != c->rip) {
            s->shadow_rip = c->rip;
            s->shadow_end = plat_tsc() + plat_tsc_hz() / SHADOW_A_SECOND;
            s->shadow_entries = SHADOW_ENTRIES;
        }
        return;
    }
    if (s->shadow_rip != c->rip || (s->shadow_entries == 1 && plat_tsc() >= s->shadow_end)) {
        s->shadow_entries = 0;
        return;
    }
    if (s->shadow_entries > 1) {
        s->shadow_entries--;
    }
    c->interrupt_shadow |= SHADOW;
}

void svm_events_after_exit(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    if (UNLIKELY((c->interrupt_shadow & SHADOW) != 0 || s->shadow_entries != 0)) {
        svm_keep_shadow(v);
    }
    if (c->exit_code == EXIT_CODE_VINTR) {
        svm_request_window(s, false);
        v->window_interrupt = v->window_nmi = false;
    } else if (c->exit_code == EXIT_CODE_IRET) {
        /* It runs next. From then on NMIs are let in again, as soon as it is behind the guest. */
        s->nmi = SVM_NMI_ENDING;
        s->iret_rip = c->rip;
        s->iret_rsp = c->rsp;
        svm_intercept(c, SVM_IRET, false);
        v->window_nmi = false;
    }
}
