/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VT-x, internal: what the files of this folder share. Outside, only vmx_ops is known.
 */
#ifndef ARCH_X86_64_VMX_VMX_H
#define ARCH_X86_64_VMX_VMX_H

#include "arch/x86_64/vmx/caps.h"
#include "arch/x86_64/vmx/vmcs.h"
#include "hv/vm/vcpu.h"

/* CR0 and CR4 bits that the guest may change without an exit. */
#define VMX_CR0_GUEST_OWNED                                                                        \
    (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG)

/* struct vcpu's vendor part. */
struct vmx_vcpu {
    void *vmcs;
    uint8_t *msr_bitmap; /* 4 KiB: read low, read high, write low, write high */
    uint8_t *io_bitmap;  /* 8 KiB */
    uint64_t ept_pointer;
    uint64_t cr4_guest_owned;
    uint16_t vpid;
    uint32_t proc_controls, entry_controls;
};

/* Set once by vmx_probe(). */
extern struct vmx_caps vmx_caps;
extern struct vmx_controls vmx_controls;

extern struct hvm_ops vmx_ops;
_Static_assert(offsetof(struct vcpu, regs) == 0 && offsetof(struct vcpu, host_stack) == 0x80,
               "used in enter.S");

/* enter.S: where the CPU goes at an exit. */
void vmx_exit_entry(void);

enum status vmx_probe(void);
enum status vmx_cpu_on(void);

enum status vmx_vcpu_init(struct vcpu *v);
void vmx_vcpu_load(struct vcpu *v);
void vmx_vcpu_reset(struct vcpu *v);
uint64_t vmx_get(struct vcpu *v, enum hvm_reg r);
void vmx_set(struct vcpu *v, enum hvm_reg r, uint64_t value);
void vmx_get_segment(struct vcpu *v, enum hvm_seg s, struct hvm_segment *out);
void vmx_set_segment(struct vcpu *v, enum hvm_seg s, const struct hvm_segment *in);
void vmx_flush(struct vcpu *v);
const char *vmx_raw(struct vcpu *v, unsigned i, uint64_t *value);
bool vmx_msr_passes(const struct vcpu *v, uint32_t msr, bool write);
bool vmx_port_passes(const struct vcpu *v, uint16_t port);

#endif
