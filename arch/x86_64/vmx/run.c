/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a guest and turning its exit into a struct vmexit; advancing, injecting, windows. The
 * hot path of the hypervisor: a common exit costs four VMREADs (reason, length, RIP, RFLAGS) and
 * two VMWRITEs (RIP, interruptibility).
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/vmx/decode.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/exit/loop.h"

#define SHADOW_STI       BIT32(0)
#define SHADOW_MOV_SS    BIT32(1)
#define BLOCKED_BY_NMI   BIT32(3)
#define PENDING_DEBUG_BS BIT(14)
#define DR6_ACTIVE_LOW   0xffff0ff0ull /* bits that read as 1 when no condition is met */

/* SDM "VM-Entry Controls for Event Injection"; the CPU clears the field's valid bit at each exit.
 */
static void vmx_inject(struct vcpu *v) {
    struct event *e = &v->event;
    if (e->has_error) {
        /* Real mode pushes none, and VM entry insists. */
        e->has_error = (vmcs_readn(VMCS_GUEST_CR0) & X86_CR0_PE) != 0;
        vmcs_write32(VMCS_ENTRY_ERROR_CODE, e->error);
    }
    if (UNLIKELY(e->insn_len != 0)) {
        vmcs_write32(VMCS_ENTRY_INSN_LENGTH, e->insn_len);
    }
    vmcs_write32(VMCS_ENTRY_EVENT, vmx_event_encode(e));
}

static void vmx_block_nmi(bool block) {
    uint32_t i = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKED_BY_NMI;
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, i | (block ? BLOCKED_BY_NMI : 0));
}

/* An event was on its way into the guest when the exit came: it goes in again at the next entry. */
static void vmx_keep_event(struct vcpu *v, const struct vmx_raw *raw) {
    if ((raw->idt_event & VMX_EVENT_VALID) != 0) {
        vcpu_inject(v, vmx_event_decode(raw->idt_event, raw->idt_error,
                                        vmcs_read32(VMCS_EXIT_INSN_LENGTH)));
        if (v->event.type == EVENT_NMI) {
            vmx_block_nmi(false); /* its delivery did not end, so it blocks nothing yet */
        }
        return;
    }
    /* SDM "Information for VM Exits During Execution of IRET". */
    bool unblocked = raw->reason == 48
                         ? (raw->qualification & VMX_EVENT_IRET_NMI) != 0
                         : raw->reason == 0 && (raw->event & VMX_EVENT_IRET_NMI) != 0 &&
                               (raw->event & 0xff) != X86_DF;
    if (unblocked) {
        vmx_block_nmi(true);
    }
}

/* Exits that need more than reason and length. */
static void vmx_read_details(struct vcpu *v, unsigned needs, uint32_t reason, struct vmexit *x) {
    struct vmx_raw raw;
    raw.reason = reason;
    if ((needs & NEED_LENGTH) != 0) {
        x->insn_len = raw.insn_len = vmcs_read32(VMCS_EXIT_INSN_LENGTH);
    }
    if ((needs & NEED_QUALIFICATION) != 0) {
        raw.qualification = vmcs_readn(VMCS_QUALIFICATION);
    }
    if (UNLIKELY((needs & (NEED_EVENT | NEED_PHYSICAL | NEED_IDT)) != 0)) {
        raw.physical = vmcs_read64(VMCS_GUEST_PHYSICAL);
        raw.event = vmcs_read32(VMCS_EXIT_EVENT);
        raw.event_error = vmcs_read32(VMCS_EXIT_ERROR_CODE);
        raw.idt_event = vmcs_read32(VMCS_IDT_EVENT);
        raw.idt_error = vmcs_read32(VMCS_IDT_ERROR_CODE);
        vmx_keep_event(v, &raw);
    }
    vmx_decode(&raw, x);
    if (x->kind == EXIT_HOST_NMI) {
        trap_nmi();
    }
    if (x->kind == EXIT_EXCEPTION && x->event.vector == X86_DB) {
        /* The exit came before DR6 was written; the reinjected #DB does not write it either. */
        dr6_write((raw.qualification ^ DR6_ACTIVE_LOW) | (dr6_read() & 0xf & ~raw.qualification));
    }
}

/* Registers go in and out through v; all others are the compiler's loss. Returns v. */
static inline __attribute__((always_inline)) struct vcpu *vmx_run(struct vcpu *v,
                                                                  struct vmexit *x) {
    bool failed;
    __asm__ volatile("call vmx_enter"
                     : "=@ccc"(failed), "+D"(v)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "memory");
    if (UNLIKELY(failed)) {
        x->kind = EXIT_ENTRY_FAILED;
        return v;
    }
    v->event.type = EVENT_NONE;
    uint32_t reason = vmcs_read32(VMCS_EXIT_REASON);
    struct vmx_reason r =
        LIKELY(reason < VMX_REASONS) ? vmx_reasons[reason] : vmx_reason_find(reason);
    x->kind = (enum exit_kind)r.kind;
    if (LIKELY(r.needs == NEED_LENGTH)) {
        x->insn_len = vmcs_read32(VMCS_EXIT_INSN_LENGTH);
    } else if (x->kind == EXIT_IO) {
        x->insn_len = vmcs_read32(VMCS_EXIT_INSN_LENGTH);
        vmx_decode_io(vmcs_readn(VMCS_QUALIFICATION), &x->io);
    } else if (r.needs != 0) {
        vmx_read_details(v, r.needs, reason, x);
    }
    return v;
}

static inline __attribute__((always_inline)) void vmx_advance(struct vcpu *v, uint32_t insn_len) {
    uint64_t next = vmcs_readn(VMCS_GUEST_RIP) + insn_len;
    if (UNLIKELY((uint32_t)next < insn_len) && next >> 32 == 1 &&
        (vmcs_read32(VMCS_32(VMCS_GUEST_ATTR0 + 2 * HVM_CS)) & BIT32(13)) == 0) {
        next = (uint32_t)next; /* not 64-bit code: EIP wraps */
    }
    vmcs_writen(VMCS_GUEST_RIP, next);
    uint32_t blocked = 0;
    if (UNLIKELY(v->nmi_used)) {
        blocked = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI;
    }
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, blocked);
    if (UNLIKELY((vmcs_readn(VMCS_GUEST_RFLAGS) & X86_RFLAGS_TF) != 0)) {
        uint64_t pending = vmcs_readn(VMCS_GUEST_PENDING_DEBUG);
        vmcs_writen(VMCS_GUEST_PENDING_DEBUG, pending | PENDING_DEBUG_BS);
    }
}

static bool vmx_can_take_interrupt(struct vcpu *v) {
    (void)v;
    return (vmcs_readn(VMCS_GUEST_RFLAGS) & X86_RFLAGS_IF) != 0 &&
           (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & (SHADOW_STI | SHADOW_MOV_SS)) == 0;
}

static bool vmx_can_take_nmi(struct vcpu *v) {
    (void)v;
    return (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) &
            (SHADOW_STI | SHADOW_MOV_SS | BLOCKED_BY_NMI)) == 0;
}

static void vmx_window(struct vcpu *v, bool interrupt, bool nmi) {
    struct vmx_vcpu *s = v->vendor;
    uint32_t c = s->proc_controls & ~(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW);
    c |= interrupt ? PROC_INTERRUPT_WINDOW : 0;
    c |= nmi ? PROC_NMI_WINDOW : 0;
    s->proc_controls = c;
    vmcs_write32(VMCS_PROC_CONTROLS, c);
}

static void vmx_set_tsc_offset(struct vcpu *v, uint64_t offset) {
    (void)v;
    vmcs_write64(VMCS_TSC_OFFSET, offset);
}

/* The neutral loop, with VT-x's run and advance in place. One copy: the stack depth of vmx_enter
 * must not vary, see enter.S. */
static __attribute__((noinline)) void vmx_loop(struct vcpu *v) {
    vcpu_loop(v, vmx_run, vmx_advance);
}

struct hvm_ops vmx_ops = {
    .name = "VT-x",
    .probe = vmx_probe,
    .cpu_on = vmx_cpu_on,
    .vcpu_init = vmx_vcpu_init,
    .vcpu_reset = vmx_vcpu_reset,
    .loop = vmx_loop,
    .inject = vmx_inject,
    .can_take_interrupt = vmx_can_take_interrupt,
    .can_take_nmi = vmx_can_take_nmi,
    .window = vmx_window,
    .get = vmx_get,
    .set = vmx_set,
    .get_segment = vmx_get_segment,
    .set_segment = vmx_set_segment,
    .set_tsc_offset = vmx_set_tsc_offset,
    .flush = vmx_flush,
    .raw = vmx_raw,
    .msr_passes = vmx_msr_passes,
    .port_passes = vmx_port_passes,
    .npt_format = &npt_format_ept,
};
