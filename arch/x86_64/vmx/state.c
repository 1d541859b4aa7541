/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's VMCS: made once, reset at every start, read and written register by register for the
 * handlers, with events on their way in; and vmx_ops. All but vmx_vcpu_init() need the VMCS to be
 * current: only on the vCPU's own CPU.
 * Sources: Intel SDM vol. 3 "Virtual Machine Control Structures", "Checks on VMX Controls and Host
 * State", "Checking and Loading Guest State".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/decode.h"
#include "arch/x86_64/vmx/entry.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/exit/policy.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/memory.h"
#include "hv/vm/vm.h"

#define INVEPT_ALL 2ull

static enum status vmx_vcpu_init(struct vcpu *v) {
    enum status status = both_vcpu_init(v, sizeof(struct vmx_vcpu), PAGE_SIZE, 2 * PAGE_SIZE);

    if (status == STATUS_OK) {
        struct vmx_vcpu *s = v->vendor;
        s->vmcs_at = phys_address(s->vmcs);
        s->compartment_at = phys_address(s->compartment);
    }
    return status;
}

/* A CPU has one vCPU: all that it has cached of guests is of this one. It is tagged with the VPID,
 * too, but INVEPT takes it whatever that is. SDM "Operations that Invalidate Cached Mappings". */
static void vmx_flush(struct vcpu *v) {
    static const uint64_t no_pointer[2];
    bool failed;
    (void)v;
    __asm__ volatile("invept %1, %2"
                     : "=@ccbe"(failed)
                     : "m"(no_pointer), "r"(INVEPT_ALL)
                     : "memory");
    ASSERT(!failed);
}

/* Which vectors' ends exit. levels: the words of the TMR that may have changed. */
static __attribute__((noinline)) void vmx_update_eoi_exits(struct vcpu *v, uint32_t levels) {
    struct vmx_vcpu *s = v->vendor;
    for (; levels != 0; levels &= levels - 1) {
        unsigned i = (unsigned)__builtin_ctz(levels) / 2;
        uint64_t quarter = lapic_levels(&v->lapic, i);
        if (quarter != s->eoi_exits[i]) {
            s->eoi_exits[i] = quarter;
            vmcs_write64(VMCS_64(VMCS_NTH(EOI_EXIT_BITMAP0, i)), quarter);
        }
    }
}

/* What was accepted, and what software changed, goes to the CPU. */
static void vmx_apic_update(struct vcpu *v, uint32_t levels, uint16_t status) {
    if (UNLIKELY(levels != 0)) {
        vmx_update_eoi_exits(v, levels);
    }
    vmcs_write16(VMCS_GUEST_INTERRUPT_STATUS, status);
}

/*
 * By the mode of the guest's APIC: without APIC virtualization it is all the same. The second MSR
 * bitmap and the second tables are right only with the control that belongs to them. The tables are
 * the whole VM's: a vCPU that has moved its page has each access to it emulated. SDM "APIC
 * Virtualization and Virtual Interrupts", "Guidelines for Use of the INVEPT Instruction".
 */
static void vmx_apic_mode(struct vcpu *v) {
    bool x2apic = (v->lapic.apic_base & APIC_BASE_X2APIC) != 0;
    bool xapic = lapic_page(&v->lapic) == LAPIC_BASE;
    uint32_t proc2 = vmx_controls[VMX_PROC2];
    proc2 &= xapic ? UINT32_MAX : ~PROC2_APIC_PAGE;
    proc2 &= x2apic ? UINT32_MAX : ~PROC2_X2APIC;
    const uint8_t *msr_map = x2apic ? v->msr_map_x2apic : v->msr_map;
    const struct pagetable *npt = v->lapic.hardware && xapic ? &v->vm->npt_xapic : &v->vm->npt;
    vmcs_write32(VMCS_PROC2_CONTROLS, proc2);
    vmcs_write64(VMCS_MSR_BITMAP, phys_address(msr_map).v);
    vmcs_write64(VMCS_EPT_POINTER, phys_address(npt->root).v | EPT_POINTER);
    vmx_flush(v);
    if (v->lapic.hardware) {
        uint32_t levels = lapic_take_posted(&v->lapic);
        vmx_apic_update(v, levels, lapic_status(&v->lapic, LAPIC_NONE));
    }
}

static void vmx_write_controls(struct vcpu *v, struct vmx_vcpu *s) {
    s->entry_controls = vmx_controls[VMX_ENTRY];
    s->cr4_guest_owned =
        cr4_guest_allowed(&v->cpuid) & ~(X86_CR4_OSXSAVE | X86_CR4_PKE | X86_CR4_MCE);
    const struct {
        uint16_t code;
        uint64_t value;
    } fields[] = {
        {VMCS_CODE_IO_BITMAP_A, phys_address(v->port_map).v},
        {VMCS_CODE_IO_BITMAP_B, phys_address(v->port_map + PAGE_SIZE).v},
        {VMCS_CODE_GUEST_LINK, UINT64_MAX}, /* there is none */
        {VMCS_CODE_PIN_CONTROLS, vmx_controls[VMX_PIN]},
        {VMCS_CODE_PROC_CONTROLS, vmx_controls[VMX_PROC]},
        /* #AC and #DB: raised without end in microcode, they would lock up the CPU. */
        {VMCS_CODE_EXCEPTION_BITMAP, BIT32(X86_DB) | BIT32(X86_AC) | BIT32(X86_MC)},
        {VMCS_CODE_EXIT_CONTROLS, vmx_controls[VMX_EXIT]},
        {VMCS_CODE_ENTRY_CONTROLS, s->entry_controls},
        {VMCS_CODE_CR0_MASK, ~VMX_CR0_GUEST_OWNED},
        {VMCS_CODE_CR4_MASK, ~s->cr4_guest_owned},
    };
    vmx_write_host_state();
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        vmcs_write_raw(fields[i].code, fields[i].value);
    }
    if ((vmx_controls[VMX_PROC2] & PROC2_VPID) != 0) {
        vmcs_write16(VMCS_VPID, VMX_VPID_GUEST);
    }
}

static void vmx_vcpu_reset(struct vcpu *v) {
    struct vmx_vcpu *s = v->vendor;
    vmx_load_cleared(s->vmcs);
    v->host_stack = 0;
    vmx_write_controls(v, s);
    if (v->lapic.hardware) {
        vmcs_write64(VMCS_VIRTUAL_APIC, phys_address(v->lapic.reg).v);
        vmcs_write64(VMCS_APIC_ACCESS, phys_address(v->vm->xapic_page).v);
        vmcs_write32(VMCS_TPR_THRESHOLD, 0);
        memset(s->eoi_exits, 0xff, sizeof(s->eoi_exits)); /* unlike any: all will be written */
    }
    if (v->lapic.posting) {
        vmcs_write16(VMCS_POSTED_VECTOR, VECTOR_POSTED);
        vmcs_write64(VMCS_POSTED_DESCRIPTOR, phys_address(&v->lapic.descriptor).v);
    }
    vmx_apic_mode(v);
}

/* CR0 and CR4 have shadows, CR2 is in the CPU; all others are one field. Natural, 32 or 64 bits
 * wide. */
static const uint16_t vmx_register_codes[HVM_REG_COUNT] = {
    [HVM_RIP] = VMCS_CODE_GUEST_RIP,
    [HVM_RSP] = VMCS_CODE_GUEST_RSP,
    [HVM_RFLAGS] = VMCS_CODE_GUEST_RFLAGS,
    [HVM_CR3] = VMCS_CODE_GUEST_CR3,
    [HVM_DR7] = VMCS_CODE_GUEST_DR7,
    [HVM_EFER] = VMCS_CODE_GUEST_EFER,
    [HVM_PAT] = VMCS_CODE_GUEST_PAT,
    [HVM_TSC_OFFSET] = VMCS_CODE_TSC_OFFSET,
    [HVM_FS_BASE] = VMCS_NTH(GUEST_BASE0, HVM_FS),
    [HVM_GS_BASE] = VMCS_NTH(GUEST_BASE0, HVM_GS),
    [HVM_SYSENTER_CS] = VMCS_CODE_GUEST_SYSENTER_CS,
    [HVM_SYSENTER_ESP] = VMCS_CODE_GUEST_SYSENTER_ESP,
    [HVM_SYSENTER_EIP] = VMCS_CODE_GUEST_SYSENTER_EIP,
};

static uint64_t vmx_get(struct vcpu *v, enum hvm_reg r) {
    const struct vmx_vcpu *s = v->vendor;
    if (LIKELY(vmx_register_codes[r] != 0)) {
        return vmcs_read_raw(vmx_register_codes[r]);
    }
    if (r == HVM_CR0) {
        return (vmcs_read64(VMCS_GUEST_CR0) & VMX_CR0_GUEST_OWNED) |
               (vmcs_read64(VMCS_CR0_SHADOW) & ~VMX_CR0_GUEST_OWNED);
    }
    if (r == HVM_CR4) {
        return (vmcs_read64(VMCS_GUEST_CR4) & s->cr4_guest_owned) |
               (vmcs_read64(VMCS_CR4_SHADOW) & ~s->cr4_guest_owned);
    }
    return cr2_read();
}

/* EFER.LMA follows LME and CR0.PG; the entry control must agree. SDM "Checks on Guest MSRs". */
static void vmx_write_efer(struct vmx_vcpu *s, uint64_t efer, uint64_t cr0) {
    bool active = (efer & X86_EFER_LME) != 0 && (cr0 & X86_CR0_PG) != 0;
    efer = active ? efer | X86_EFER_LMA : efer & ~X86_EFER_LMA;
    s->entry_controls = active ? s->entry_controls | ENTRY_IA32E : s->entry_controls & ~ENTRY_IA32E;
    vmcs_write64(VMCS_GUEST_EFER, efer);
    vmcs_write32(VMCS_ENTRY_CONTROLS, s->entry_controls);
}

/*
 * With EPT the CPU takes the four entries of PAE paging from the VMCS and reads them itself at the
 * guest's own MOV to CR0, CR3 or CR4 only. Where no RAM is, none is present. One that the CPU would
 * refuse was not there when the handler looked: another vCPU is at it. SDM "Loading Page-Directory-
 * Pointer-Table Entries".
 */
static void vmx_load_pdptes(const struct vcpu *v) {
    const struct vmx_vcpu *s = v->vendor;
    bool pae = (vmcs_read64(VMCS_GUEST_CR0) & X86_CR0_PG) != 0 &&
               (vmcs_read64(VMCS_GUEST_CR4) & X86_CR4_PAE) != 0 &&
               (s->entry_controls & ENTRY_IA32E) == 0;
    if (!pae) {
        return;
    }
    gpa_t table = GPA(vmcs_read64(VMCS_GUEST_CR3) & BITS(5, 31));
    uint64_t entries[4] = {0};
    if (vm_memory_read(v->vm, table, entries, sizeof(entries)) != STATUS_OK) {
        memset(entries, 0, sizeof(entries));
    }
    for (uint16_t i = 0; i < 4; i++) {
        uint64_t entry = vmx_pdpte(entries[i], cpu_phys_bits());
        vmcs_write64(VMCS_64(VMCS_NTH(GUEST_PDPTE0, i)), entry);
    }
}

static void vmx_set_cr0(const struct vcpu *v, uint64_t cr0) {
    struct vmx_vcpu *s = v->vendor;
    /* Unrestricted guest: PE and PG are exempt from the fixed bits; CD and NW never reach the CPU.
     */
    uint64_t fixed0 = vmx_caps.cr0_fixed0 & ~(X86_CR0_PE | X86_CR0_PG);
    uint64_t real = (cr0 & ~(X86_CR0_CD | X86_CR0_NW)) | fixed0;
    vmcs_write64(VMCS_GUEST_CR0, real & vmx_caps.cr0_fixed1);
    vmcs_write64(VMCS_CR0_SHADOW, cr0);
    vmx_write_efer(s, vmcs_read64(VMCS_GUEST_EFER), cr0);
    vmx_load_pdptes(v);
}

static void vmx_set(struct vcpu *v, enum hvm_reg r, uint64_t value) {
    struct vmx_vcpu *s = v->vendor;
    if (r == HVM_CR0) {
        vmx_set_cr0(v, value);
    } else if (r == HVM_CR4) {
        /* MCE as the host has it: with MCE clear a machine check would shut the CPU down. */
        vmcs_write64(VMCS_GUEST_CR4, ((value | vmx_caps.cr4_fixed0) & vmx_caps.cr4_fixed1) |
                                         (cr4_read() & X86_CR4_MCE));
        vmcs_write64(VMCS_CR4_SHADOW, value);
        vmx_load_pdptes(v);
    } else if (r == HVM_CR2) {
        cr2_write(value); /* it stays live in the CPU */
    } else if (r == HVM_EFER) {
        vmx_write_efer(s, value, vmcs_read64(VMCS_GUEST_CR0));
    } else {
        vmcs_write_raw(vmx_register_codes[r], value);
    }
}

static void vmx_get_code(struct vcpu *v, struct hvm_code *out) {
    (void)v;
    out->rip = vmcs_read64(VMCS_GUEST_RIP);
    out->cr3 = vmcs_read64(VMCS_GUEST_CR3);
    uint32_t attr = vmcs_read32(VMCS_32(VMCS_NTH(GUEST_ATTR0, HVM_CS)));
    out->is_64_bit = (attr & SEG_LONG) != 0 && (vmcs_read64(VMCS_GUEST_EFER) & X86_EFER_LMA) != 0;
}

static void vmx_get_segment(struct vcpu *v, enum hvm_seg seg, struct hvm_segment *out) {
    (void)v;
    *out = (struct hvm_segment){
        .base = vmcs_read64(VMCS_64(VMCS_NTH(GUEST_BASE0, seg))),
        .limit = vmcs_read32(VMCS_32(VMCS_NTH(GUEST_LIMIT0, seg))),
    };
    if (hvm_seg_has_selector(seg)) {
        out->attr = vmcs_read32(VMCS_32(VMCS_NTH(GUEST_ATTR0, seg)));
        out->selector = vmcs_read16(VMCS_16(VMCS_NTH(GUEST_SELECTOR0, seg)));
    }
}

static void vmx_set_segment(struct vcpu *v, enum hvm_seg seg, const struct hvm_segment *in) {
    (void)v;
    vmcs_write64(VMCS_64(VMCS_NTH(GUEST_BASE0, seg)), in->base);
    vmcs_write32(VMCS_32(VMCS_NTH(GUEST_LIMIT0, seg)), in->limit);
    if (hvm_seg_has_selector(seg)) {
        vmcs_write32(VMCS_32(VMCS_NTH(GUEST_ATTR0, seg)), in->attr);
        vmcs_write16(VMCS_16(VMCS_NTH(GUEST_SELECTOR0, seg)), in->selector);
    }
}

static void vmx_leave_shadow(enum event_type type) {
    uint32_t state = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
    uint32_t left = vmx_shadow_for_event(type, state);
    if (UNLIKELY(left != state)) {
        vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, left);
    }
}

/* SDM "VM-Entry Controls for Event Injection"; the CPU clears the field's valid bit at each exit.
 */
static void vmx_inject(struct vcpu *v) {
    struct event *e = &v->event;
    if (e->has_error) {
        /* Real mode pushes none, and VM entry insists. */
        e->has_error = (vmcs_read64(VMCS_GUEST_CR0) & X86_CR0_PE) != 0;
        vmcs_write32(VMCS_ENTRY_ERROR_CODE, e->error);
    }
    if (UNLIKELY(e->insn_len != 0)) {
        vmcs_write32(VMCS_ENTRY_INSN_LENGTH, e->insn_len);
    }
    if (e->type != EVENT_INTERRUPT) {
        vmx_leave_shadow((enum event_type)e->type);
    }
    if (event_sets_rf(e)) {
        vmcs_write64(VMCS_GUEST_RFLAGS, vmcs_read64(VMCS_GUEST_RFLAGS) | X86_RFLAGS_RF);
    }
    vmcs_write32(VMCS_ENTRY_EVENT, event_encode(e));
}

static bool vmx_can_take(struct vcpu *v, bool nmi) {
    (void)v;
    uint32_t blocking = VMX_SHADOW | (nmi ? BLOCKED_BY_NMI : 0);
    return (nmi || (vmcs_read64(VMCS_GUEST_RFLAGS) & X86_RFLAGS_IF) != 0) &&
           (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & blocking) == 0;
}

static void vmx_window(UNUSED struct vcpu *v, bool interrupt, bool nmi) {
    if (nmi) {
        uint32_t state = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
        vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, vmx_shadow_for_nmi(state));
    }
    uint32_t controls = vmx_controls[VMX_PROC];
    controls |= interrupt ? PROC_INTERRUPT_WINDOW : 0;
    controls |= nmi ? PROC_NMI_WINDOW : 0;
    vmcs_write32(VMCS_PROC_CONTROLS, controls);
}

/* Also in a panic, where no VMCS may be current: a failed VMREAD must not panic again. */
static const char *vmx_raw(struct vcpu *v, unsigned i, uint64_t *value) {
    static const struct {
        uint16_t code;
        const char *name;
    } words[] = {
        {VMCS_CODE_EXIT_REASON, "exit-reason"},
        {VMCS_CODE_QUALIFICATION, "qualification"},
        {VMCS_CODE_EXIT_EVENT, "exit-event"},
        {VMCS_CODE_IDT_EVENT, "idt-event"},
        {VMCS_CODE_INSN_ERROR, "insn-error"},
        {VMCS_CODE_GUEST_PHYSICAL, "guest-physical"},
        {VMCS_CODE_GUEST_LINEAR, "guest-linear"},
        {VMCS_CODE_GUEST_CR0, "cr0"},
        {VMCS_CODE_GUEST_CR4, "cr4"},
        {VMCS_CODE_GUEST_EFER, "efer"},
        {VMCS_CODE_ENTRY_CONTROLS, "entry-controls"},
        {VMCS_CODE_PROC_CONTROLS, "proc-controls"},
        {VMCS_CODE_PROC2_CONTROLS, "proc2-controls"},
        {VMCS_CODE_GUEST_INTERRUPT_STATUS, "interrupt-status"},
        {VMCS_CODE_ENTRY_EVENT, "entry-event"},
        {VMCS_CODE_GUEST_INTERRUPTIBILITY, "interruptible"},
        {VMCS_CODE_GUEST_ACTIVITY, "activity"},
        {VMCS_CODE_GUEST_PENDING_DEBUG, "pending-debug"},
    };
    (void)v;
    if (i >= ARRAY_SIZE(words) || (cr4_read() & X86_CR4_VMXE) == 0) {
        return NULL;
    }
    uint64_t code = words[i].code, word;
    bool failed;
    __asm__ volatile("vmread %2, %0" : "=r"(word), "=@ccbe"(failed) : "r"(code));
    *value = failed ? UINT64_MAX : word;
    return words[i].name;
}

SEALED struct hvm_ops vmx_ops = {
    .name = "VT-x",
    .cpu_on = vmx_cpu_on,
    .vcpu_init = vmx_vcpu_init,
    .vcpu_reset = vmx_vcpu_reset,
    .loop = vmx_loop,
    .inject = vmx_inject,
    .can_take = vmx_can_take,
    .end_shadow = vmx_end_shadow,
    .refusal = vmx_refusal,
    .make_enterable = vmx_make_enterable,
    .window = vmx_window,
    .get = vmx_get,
    .set = vmx_set,
    .get_segment = vmx_get_segment,
    .get_code = vmx_get_code,
    .set_segment = vmx_set_segment,
    .compartment_reset = vmx_compartment_reset,
    .upcall = vmx_upcall,
    .compartment_set_tsc = vmx_compartment_set_tsc,
    .apic_mode = vmx_apic_mode,
    .apic_update = vmx_apic_update,
    .save = vmx_save,
    .restore = vmx_restore,
    .flush = vmx_flush,
    .raw = vmx_raw,
    .msr_bit = vmx_msr_bit,
    .audit_format = AUDIT_INTEL,
    .npt_format = &pagetable_format_ept,
};
