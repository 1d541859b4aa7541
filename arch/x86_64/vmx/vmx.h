/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VT-x, internal: what the files of this folder share. Outside, only vmx_ops is known.
 */
#pragma once

#include "arch/x86_64/vmx/caps.h"
#include "arch/x86_64/vmx/vmcs.h"
#include "hv/lib/phys.h"
#include "hv/vm/vcpu.h"

/* CR0 and CR4 bits that the guest may change without an exit. */
#define VMX_CR0_GUEST_OWNED                                                                        \
    (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG)

/* struct vcpu's vendor part. */
struct vmx_vcpu {
    ALIGNED(PAGE_SIZE) uint32_t vmcs[PAGE_SIZE / 4];
    uint64_t cr4_guest_owned;
    uint32_t entry_controls;
    uint64_t eoi_exits[4];         /* what the VMCS has: the level-triggered vectors */
    hpa_t vmcs_at, compartment_at; /* what VMPTRLD wants */
    uint64_t compartment_called;   /* RIP of the second context after each of its calls */
    ALIGNED(PAGE_SIZE) uint32_t compartment[PAGE_SIZE / 4]; /* its VMCS */
};

/* Set once by vmx_probe(). */
extern struct vmx_caps vmx_caps;
extern uint32_t vmx_controls[VMX_WORDS];

extern struct hvm_ops vmx_ops;
_Static_assert(VMCS_CODE_HOST_RSP == 0x6c14, "used in enter.S");
_Static_assert(offsetof(struct vcpu, regs) == 0 && offsetof(struct vcpu, host_stack) == 0x80,
               "used in enter.S");

/*
 * enter.S: runs the guest of a context, a struct vcpu or its second context. False if the entry
 * instruction itself failed and no guest ran. Registers go in and out through the context, and the
 * run clobbers all of ours but the one that holds it: so it need not wait in memory.
 */
static inline __attribute__((always_inline)) bool vmx_enter(void *context) {
    bool failed;
    __asm__ volatile("call vmx_enter_context"
                     : "=@ccc"(failed)
                     : "b"(context)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "memory");
    return !failed;
}

/* enter.S: where the CPU goes at an exit; and with MITIGATE_PBRSB, MITIGATE_BHB_LOOP. */
void vmx_exit_entry(void);
void vmx_exit_entry_pbrsb(void);
void vmx_exit_entry_bhb(void);

/* Of an EPT pointer: tables in write-back memory, 4 levels. */
#define EPT_POINTER 0x1eull

/* VPIDs; 0 is the host's. */
enum { VMX_VPID_GUEST = 1, VMX_VPID_COMPARTMENT };

_Static_assert(offsetof(struct vcpu_context, host_stack) == 0x80, "used in enter.S");

/* Makes a VMCS the current one, as it is. */
static inline void vmx_load(const hpa_t *vmcs) {
    bool failed;
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs->v) : "memory");
    ASSERT(!failed);
}

/* host.c: the same, cleared before; what every VMCS says of the host. */
void vmx_load_cleared(uint32_t *vmcs);
void vmx_write_host_state(void);

/* cpu.c: of the running CPU. With the lock open, each sets and locks it for itself. */
struct vmx_caps vmx_caps_read(void);
bool vmx_locked_off(void);

enum status vmx_probe(void);
enum status vmx_cpu_on(void);
/* struct hvm_ops. */
void vmx_end_shadow(struct vcpu *v);
const char *vmx_refusal(struct vcpu *v);
bool vmx_make_enterable(struct vcpu *v);
/* The only call of vmx_enter() for guests, so that its stack depth does not vary: see enter.S. */
void vmx_loop(struct vcpu *v);

/* compartment.c, of struct hvm_ops. */
void vmx_compartment_reset(struct vcpu *v);
bool vmx_upcall(struct vcpu *v, const struct vmexit *x);
/* save.c, of struct hvm_ops. */
void vmx_save(struct vcpu *v, struct vcpu_saved *out);
void vmx_restore(struct vcpu *v, const struct vcpu_saved *in);
void vmx_compartment_set_tsc(struct vcpu *v, uint64_t offset);
