/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's VMCS: made once, reset at every start, read and written register by register for the
 * handlers. All but vmx_vcpu_init() need the VMCS to be current: only on the vCPU's own CPU.
 * Sources: Intel SDM vol. 3 "Virtual Machine Control Structures", "Checks on VMX Controls and Host
 * State", "Checking and Loading Guest State".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/exit/msr.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/vm.h"

#define EPT_MEMORY_WB 6ull
#define EPT_WALK_4    (3ull << 3)

#define INVEPT_SINGLE  1ull
#define INVEPT_ALL     2ull
#define INVVPID_SINGLE 1ull
#define INVVPID_ALL    2ull

#define MSR_BITMAP_HIGH_BASE 0xc0000000u
#define MSR_BITMAP_RANGE     0x2000u

static uint16_t vmx_next_vpid = 1; /* 0 is the host's; vCPUs are made before seal(), on one CPU */

/* Bit of an MSR in the bitmap, or -1 when the bitmap does not cover it (then it always exits). */
static int vmx_msr_bit(uint32_t msr, bool write) {
    int base = write ? 2 * 8 * 1024 : 0;
    if (msr < MSR_BITMAP_RANGE) {
        return base + (int)msr;
    }
    if (msr >= MSR_BITMAP_HIGH_BASE && msr - MSR_BITMAP_HIGH_BASE < MSR_BITMAP_RANGE) {
        return base + 8 * 1024 + (int)(msr - MSR_BITMAP_HIGH_BASE);
    }
    return -1;
}

bool vmx_msr_passes(const struct vcpu *v, uint32_t msr, bool write) {
    const struct vmx_vcpu *s = v->vendor;
    int bit = vmx_msr_bit(msr, write);
    return bit >= 0 && (s->msr_bitmap[bit / 8] >> (bit % 8) & 1) == 0;
}

bool vmx_port_passes(const struct vcpu *v, uint16_t port) {
    const struct vmx_vcpu *s = v->vendor;
    return (s->io_bitmap[port / 8] >> (port % 8) & 1) == 0;
}

/* Everything exits but what the policy table lets pass. */
static void vmx_fill_bitmaps(struct vmx_vcpu *s) {
    memset(s->io_bitmap, 0xff, 2 * PAGE_SIZE);
    memset(s->msr_bitmap, 0xff, PAGE_SIZE);
    for (size_t i = 0; i < msr_policy_count; i++) {
        for (unsigned write = 0; write < 2; write++) {
            int bit = vmx_msr_bit(msr_policies[i].msr, write != 0);
            bool pass = write != 0 ? msr_policies[i].write_passes : msr_policies[i].read_passes;
            if (pass && bit >= 0) {
                s->msr_bitmap[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
            }
        }
    }
}

enum status vmx_vcpu_init(struct vcpu *v) {
    struct pool *pool = &v->vm->pool;
    struct vmx_vcpu *s = pool_alloc(pool, sizeof(*s), PAGE_SIZE);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->vmcs = pool_alloc(pool, PAGE_SIZE, PAGE_SIZE);
    s->msr_bitmap = pool_alloc(pool, PAGE_SIZE, PAGE_SIZE);
    s->io_bitmap = pool_alloc(pool, 2 * PAGE_SIZE, PAGE_SIZE);
    if (s->vmcs == NULL || s->msr_bitmap == NULL || s->io_bitmap == NULL) {
        return STATUS_NO_MEMORY;
    }
    vmx_fill_bitmaps(s);
    s->vpid = vmx_next_vpid++;
    s->ept_pointer = phys_address(v->vm->npt.root).v | EPT_MEMORY_WB | EPT_WALK_4;
    v->vendor = s;
    return STATUS_OK;
}

void vmx_flush(struct vcpu *v) {
    const struct vmx_vcpu *s = v->vendor;
    bool failed;
    struct {
        uint64_t a, b;
    } ept = {s->ept_pointer, 0}, vpid = {s->vpid, 0};
    uint64_t type = (vmx_caps.ept & EPT_CAP_INVEPT_SINGLE) != 0 ? INVEPT_SINGLE : INVEPT_ALL;
    __asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(ept), "r"(type) : "memory");
    ASSERT(!failed);
    if (vmx_controls.vpid) {
        type = (vmx_caps.ept & EPT_CAP_INVVPID_SINGLE) != 0 ? INVVPID_SINGLE : INVVPID_ALL;
        __asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(vpid), "r"(type) : "memory");
        ASSERT(!failed);
    }
}

/* Zero in every VMCS: page-fault masks, CR3 targets, MSR lists, pending events, host SYSENTER,
 * host null selectors and FS base, and the guest's like. */
static const uint16_t vmx_zero_fields[] = {
    0x4006, 0x4008, 0x400a, 0x400e, 0x4010, 0x4014, 0x4016, 0x0c00, 0x0c06, 0x0c08, 0x0c0a, 0x4c00,
    0x6c06, 0x6c08, 0x6c10, 0x6c12, 0x2802, 0x4824, 0x4826, 0x6822, 0x482a, 0x6824, 0x6826,
};

static void vmx_write_controls(struct vcpu *v, struct vmx_vcpu *s) {
    for (size_t i = 0; i < ARRAY_SIZE(vmx_zero_fields); i++) {
        vmcs_write_raw(vmx_zero_fields[i], 0);
    }
    s->proc_controls = vmx_controls.word[VMX_PROC];
    s->entry_controls = vmx_controls.word[VMX_ENTRY];
    vmcs_write32(VMCS_PIN_CONTROLS, vmx_controls.word[VMX_PIN]);
    vmcs_write32(VMCS_PROC_CONTROLS, s->proc_controls);
    vmcs_write32(VMCS_PROC2_CONTROLS, vmx_controls.word[VMX_PROC2]);
    vmcs_write32(VMCS_EXIT_CONTROLS, vmx_controls.word[VMX_EXIT]);
    vmcs_write32(VMCS_ENTRY_CONTROLS, s->entry_controls);
    /* #AC and #DB as well: raised without end in microcode, they would lock up the CPU. */
    vmcs_write32(VMCS_EXCEPTION_BITMAP, BIT32(X86_DB) | BIT32(X86_AC) | BIT32(X86_MC));
    vmcs_write64(VMCS_LINK_POINTER, UINT64_MAX);
    vmcs_write64(VMCS_IO_BITMAP_A, phys_address(s->io_bitmap).v);
    vmcs_write64(VMCS_IO_BITMAP_B, phys_address(s->io_bitmap + PAGE_SIZE).v);
    vmcs_write64(VMCS_MSR_BITMAP, phys_address(s->msr_bitmap).v);
    vmcs_write64(VMCS_EPT_POINTER, s->ept_pointer);
    if (vmx_controls.vpid) {
        vmcs_write16(VMCS_VPID, s->vpid);
    }
    vmcs_writen(VMCS_CR0_MASK, ~VMX_CR0_GUEST_OWNED);
    s->cr4_guest_owned = cr4_guest_allowed(&v->cpuid) & ~(X86_CR4_OSXSAVE | X86_CR4_MCE);
    vmcs_writen(VMCS_CR4_MASK, ~s->cr4_guest_owned);
}

static void vmx_write_host(void) {
    const struct cpu *cpu = cpu_current();
    vmcs_writen(VMCS_HOST_CR0, cr0_read());
    vmcs_writen(VMCS_HOST_CR3, cr3_read());
    vmcs_writen(VMCS_HOST_CR4, cr4_read());
    vmcs_write16(VMCS_HOST_CS, SELECTOR_CODE);
    vmcs_write16(VMCS_HOST_SS, SELECTOR_DATA);
    vmcs_write16(VMCS_HOST_TR, SELECTOR_TSS);
    vmcs_writen(VMCS_HOST_TR_BASE, (uintptr_t)&cpu->tss);
    vmcs_writen(VMCS_HOST_GDTR_BASE, (uintptr_t)cpu->gdt);
    vmcs_writen(VMCS_HOST_IDTR_BASE, trap_idt());
    vmcs_write64(VMCS_HOST_PAT, msr_read(X86_MSR_PAT));
    vmcs_write64(VMCS_HOST_EFER, msr_read(X86_MSR_EFER));
    vmcs_writen(VMCS_HOST_RIP, (uintptr_t)vmx_exit_entry);
}

void vmx_vcpu_load(struct vcpu *v) {
    struct vmx_vcpu *s = v->vendor;
    hpa_t hpa = phys_address(s->vmcs);
    bool failed;
    *(uint32_t *)s->vmcs = (uint32_t)(vmx_caps.basic & 0x7fffffff);
    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(hpa.v) : "memory");
    ASSERT(!failed);
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(hpa.v) : "memory");
    ASSERT(!failed);
    v->host_stack = 0;
}

void vmx_vcpu_reset(struct vcpu *v) {
    struct vmx_vcpu *s = v->vendor;
    vmx_vcpu_load(v);
    vmx_write_controls(v, s);
    vmx_write_host();
    vmx_flush(v);
}

/* CR0 and CR4 have shadows; all others are one field. Natural, 32 or 64 bits wide. */
static const uint16_t vmx_register_codes[HVM_REG_COUNT] = {
    [HVM_RIP] = 0x681e,
    [HVM_RSP] = 0x681c,
    [HVM_RFLAGS] = 0x6820,
    [HVM_CR3] = 0x6802,
    [HVM_DR7] = 0x681a,
    [HVM_EFER] = 0x2806,
    [HVM_PAT] = 0x2804,
    [HVM_FS_BASE] = VMCS_GUEST_BASE0 + 2 * HVM_FS,
    [HVM_GS_BASE] = VMCS_GUEST_BASE0 + 2 * HVM_GS,
    [HVM_SYSENTER_CS] = 0x482a,
    [HVM_SYSENTER_ESP] = 0x6824,
    [HVM_SYSENTER_EIP] = 0x6826,
};

uint64_t vmx_get(struct vcpu *v, enum hvm_reg r) {
    const struct vmx_vcpu *s = v->vendor;
    if (r == HVM_CR0) {
        return (vmcs_readn(VMCS_GUEST_CR0) & VMX_CR0_GUEST_OWNED) |
               (vmcs_readn(VMCS_CR0_SHADOW) & ~VMX_CR0_GUEST_OWNED);
    }
    if (r == HVM_CR4) {
        return (vmcs_readn(VMCS_GUEST_CR4) & s->cr4_guest_owned) |
               (vmcs_readn(VMCS_CR4_SHADOW) & ~s->cr4_guest_owned);
    }
    return vmcs_read_raw(vmx_register_codes[r]);
}

/* EFER.LMA follows LME and CR0.PG; the entry control must agree. SDM "Checks on Guest MSRs". */
static void vmx_write_efer(struct vmx_vcpu *s, uint64_t efer, uint64_t cr0) {
    bool active = (efer & X86_EFER_LME) != 0 && (cr0 & X86_CR0_PG) != 0;
    efer = active ? efer | X86_EFER_LMA : efer & ~X86_EFER_LMA;
    s->entry_controls = active ? s->entry_controls | ENTRY_IA32E : s->entry_controls & ~ENTRY_IA32E;
    vmcs_write64(VMCS_GUEST_EFER, efer);
    vmcs_write32(VMCS_ENTRY_CONTROLS, s->entry_controls);
}

static void vmx_set_cr0(struct vmx_vcpu *s, uint64_t cr0) {
    /* Unrestricted guest: PE and PG are exempt from the fixed bits; CD and NW never reach the CPU.
     */
    uint64_t fixed0 = vmx_caps.cr0_fixed0 & ~(X86_CR0_PE | X86_CR0_PG);
    uint64_t real = (cr0 & ~(X86_CR0_CD | X86_CR0_NW)) | fixed0;
    vmcs_writen(VMCS_GUEST_CR0, real & vmx_caps.cr0_fixed1);
    vmcs_writen(VMCS_CR0_SHADOW, cr0);
    vmx_write_efer(s, vmcs_read64(VMCS_GUEST_EFER), cr0);
}

void vmx_set(struct vcpu *v, enum hvm_reg r, uint64_t value) {
    struct vmx_vcpu *s = v->vendor;
    if (r == HVM_CR0) {
        vmx_set_cr0(s, value);
    } else if (r == HVM_CR4) {
        /* MCE as the host has it: with MCE clear a machine check would shut the CPU down. */
        vmcs_writen(VMCS_GUEST_CR4, ((value | vmx_caps.cr4_fixed0) & vmx_caps.cr4_fixed1) |
                                        (cr4_read() & X86_CR4_MCE));
        vmcs_writen(VMCS_CR4_SHADOW, value);
    } else if (r == HVM_EFER) {
        vmx_write_efer(s, value, vmcs_readn(VMCS_GUEST_CR0));
    } else {
        vmcs_write_raw(vmx_register_codes[r], value);
    }
}

void vmx_get_segment(struct vcpu *v, enum hvm_seg seg, struct hvm_segment *out) {
    (void)v;
    unsigned n = 2 * (unsigned)seg;
    *out = (struct hvm_segment){.base = vmcs_readn(VMCS_N((uint16_t)(VMCS_GUEST_BASE0 + n))),
                                .limit = vmcs_read32(VMCS_32((uint16_t)(VMCS_GUEST_LIMIT0 + n)))};
    if (seg < HVM_GDT) {
        out->attr = vmcs_read32(VMCS_32((uint16_t)(VMCS_GUEST_ATTR0 + n)));
        out->selector = (uint16_t)vmcs_read_raw((uint16_t)(VMCS_GUEST_SELECTOR0 + n));
    }
}

void vmx_set_segment(struct vcpu *v, enum hvm_seg seg, const struct hvm_segment *in) {
    (void)v;
    unsigned n = 2 * (unsigned)seg;
    vmcs_writen(VMCS_N((uint16_t)(VMCS_GUEST_BASE0 + n)), in->base);
    vmcs_write32(VMCS_32((uint16_t)(VMCS_GUEST_LIMIT0 + n)), in->limit);
    if (seg < HVM_GDT) {
        vmcs_write32(VMCS_32((uint16_t)(VMCS_GUEST_ATTR0 + n)), in->attr);
        vmcs_write_raw((uint16_t)(VMCS_GUEST_SELECTOR0 + n), in->selector);
    }
}
