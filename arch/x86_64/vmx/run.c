/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a guest and turning its exit into a struct vmexit; advancing. The hot path of the
 * hypervisor: a common exit costs four VMREADs (reason, length, RIP, RFLAGS) and two VMWRITEs (RIP,
 * interruptibility).
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/compartment.h"
#include "arch/x86_64/vmx/decode.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/exit/loop.h"

#define PENDING_DEBUG_BS BIT(14)

static void vmx_block_nmi(enum vmx_nmi_blocking change) {
    if (change != NMI_BLOCKING_KEPT) {
        uint32_t i = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKED_BY_NMI;
        uint32_t blocked = change == NMI_BLOCKING_BEGINS ? BLOCKED_BY_NMI : 0;
        vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, i | blocked);
    }
}

/* An event was on its way into the guest when the exit came: it goes in again at the next entry. */
static __attribute__((noinline)) void vmx_keep_event(struct vcpu *v, const struct vmx_raw *raw) {
    uint32_t event = vmcs_read32(VMCS_IDT_EVENT);
    if ((event & EVENT_VALID) != 0) {
        vcpu_inject(v, event_decode(event, vmcs_read32(VMCS_IDT_ERROR_CODE),
                                    vmcs_read32(VMCS_EXIT_INSN_LENGTH)));
    }
    vmx_block_nmi(vmx_nmi_after_event(raw, event));
}

/* What is left to do for exits that are neither plain instructions nor accesses to devices. */
static __attribute__((noinline)) void vmx_decode_rare(unsigned needs, const struct vmx_raw *raw,
                                                      struct vmexit *x) {
    if (x->kind == EXIT_UNKNOWN && (needs & NEED_LENGTH) != 0) {
        x->kind = vmx_decode_unknown(raw->insn_len);
    }
    vmx_decode(raw, x);
    if (x->kind == EXIT_TASK_SWITCH) {
        vmx_block_nmi(vmx_nmi_after_switch(&x->task));
    }
    if (x->kind == EXIT_HOST_NMI) {
        panic_nmi();
    }
    if (x->kind == EXIT_EXCEPTION && x->event.vector == X86_DB) {
        /* The exit came before DR6 was written; the reinjected #DB does not write it either. */
        dr6_write(debug_status(dr6_read(), raw->qualification));
    }
}

/* Most are an instruction on a device: no event was on its way, and it was no IRET. */
static void vmx_read_ept_violation(struct vcpu *v, struct vmexit *x) {
    struct vmx_raw raw;

    raw.reason = VMX_REASON_EPT_VIOLATION;
    raw.qualification = vmcs_read64(VMCS_QUALIFICATION);
    raw.physical = vmcs_read64(VMCS_GUEST_PHYSICAL);
    bool cut_off = (vmcs_read32(VMCS_IDT_EVENT) & EVENT_VALID) != 0;
    if (UNLIKELY(cut_off || (raw.qualification & VMX_EVENT_IRET_NMI) != 0)) {
        vmx_keep_event(v, &raw);
    }
    vmx_decode_ept_violation(&raw, x);
}

/* All others that need more than reason and length. */
static __attribute__((noinline)) void vmx_read_details(struct vcpu *v, unsigned needs,
                                                       uint32_t reason, struct vmexit *x) {
    struct vmx_raw raw;
    raw.reason = reason;
    if ((needs & NEED_LENGTH) != 0) {
        x->insn_len = raw.insn_len = vmcs_read32(VMCS_EXIT_INSN_LENGTH);
    }
    if ((needs & NEED_QUALIFICATION) != 0) {
        raw.qualification = vmcs_read64(VMCS_QUALIFICATION);
    }
    if (UNLIKELY((needs & NEED_EVENT) != 0)) {
        raw.event = vmcs_read32(VMCS_EXIT_EVENT);
        raw.event_error = vmcs_read32(VMCS_EXIT_ERROR_CODE);
    }
    if ((needs & NEED_GATE) != 0) {
        raw.event = vmcs_read32(VMCS_IDT_EVENT);
        raw.event_error = vmcs_read32(VMCS_IDT_ERROR_CODE);
    }
    if ((needs & NEED_IDT) != 0) {
        vmx_keep_event(v, &raw);
    }
    vmx_decode_rare(needs, &raw, x);
}

static inline __attribute__((always_inline)) void vmx_read_exit(struct vcpu *v, struct vmexit *x) {
    v->event.type = EVENT_NONE;
    uint32_t reason = vmcs_read32(VMCS_EXIT_REASON);
    struct vmx_reason r;
    if (LIKELY(reason < VMX_REASONS)) {
        r = vmx_reasons[reason];
    } else {
        reason = vmx_reason_strip(reason);
        r = vmx_reason_find(reason);
    }
    x->kind = (enum exit_kind)r.kind;
    if (LIKELY(r.needs == NEED_LENGTH)) {
        x->insn_len = vmcs_read32(VMCS_EXIT_INSN_LENGTH);
    } else if (x->kind == EXIT_IO) {
        x->insn_len = vmcs_read32(VMCS_EXIT_INSN_LENGTH);
        vmx_decode_io(vmcs_read64(VMCS_QUALIFICATION), &x->io);
    } else if (reason == VMX_REASON_EPT_VIOLATION) {
        vmx_read_ept_violation(v, x);
    } else if (r.needs != 0) {
        vmx_read_details(v, r.needs, reason, x);
    } else if (x->kind == EXIT_INTERRUPT && (vmx_controls[VMX_EXIT] & EXIT_ACKNOWLEDGE) != 0) {
        cpu_current()->acknowledged = (uint8_t)vmcs_read32(VMCS_EXIT_EVENT); /* its vector */
    }
}

static inline __attribute__((always_inline)) struct exit_record *vmx_record(struct vcpu *v) {
    struct exit_record *record = recorder_begin(&v->recorder);

    tsc_stamp(record);
    vmcs_keep_raw(VMCS_GUEST_RIP.code, &record->rip);
    return record;
}

/* There was no exit. */
static __attribute__((noinline)) struct exit_record *vmx_record_refusal(struct vcpu *v) {
    struct exit_record *record = vmx_record(v);

    record->exit.kind = EXIT_ENTRY_FAILED;
    return record;
}

static inline __attribute__((always_inline)) struct exit_record *vmx_run(struct vcpu *v) {
    if (UNLIKELY(!vmx_enter(v))) {
        return vmx_record_refusal(v);
    }
    struct exit_record *record = vmx_record(v);
    vmx_read_exit(v, &record->exit);
    return record;
}

/* An instruction that is done ends RF; one in the middle of its repetitions does not. */
static __attribute__((noinline)) void vmx_advance_flags(uint64_t rflags, uint32_t insn_len) {
    if ((rflags & X86_RFLAGS_RF) != 0 && insn_len != 0) {
        vmcs_write64(VMCS_GUEST_RFLAGS, rflags & ~X86_RFLAGS_RF);
    }
    if ((rflags & X86_RFLAGS_TF) != 0) {
        uint64_t pending = vmcs_read64(VMCS_GUEST_PENDING_DEBUG);
        vmcs_write64(VMCS_GUEST_PENDING_DEBUG, pending | PENDING_DEBUG_BS);
    }
}

/* From where the exit came: no handler that wants this has moved the guest. */
static inline __attribute__((always_inline)) void vmx_advance(struct vcpu *v,
                                                              const struct exit_record *record) {
    uint32_t insn_len = record->exit.insn_len;
    uint64_t next = record->rip + insn_len;
    if (UNLIKELY((uint32_t)next < insn_len) && next >> 32 == 1 &&
        (vmcs_read32(VMCS_32(VMCS_NTH(GUEST_ATTR0, HVM_CS))) & SEG_LONG) == 0) {
        next = (uint32_t)next; /* not 64-bit code: EIP wraps */
    }
    vmcs_write64(VMCS_GUEST_RIP, next);
    uint32_t blocked = 0;
    if (UNLIKELY(v->nmi_used)) {
        blocked = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI;
    }
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, blocked);
    uint64_t rflags = vmcs_read64(VMCS_GUEST_RFLAGS);
    if (UNLIKELY((rflags & (X86_RFLAGS_TF | X86_RFLAGS_RF)) != 0)) {
        vmx_advance_flags(rflags, insn_len);
    }
}

/* The neutral loop, with VT-x's functions in place. */
void vmx_loop(struct vcpu *v) {
    vcpu_loop(v, vmx_run, vmx_advance, vmx_compartment_run);
}
