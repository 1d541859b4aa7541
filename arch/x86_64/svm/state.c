/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's VMCB: made once, reset at every start, read and written register by register for the
 * handlers; and svm_ops. What VMRUN does not switch is fetched from the CPU when somebody asks
 * (VMSAVE), so all but svm_vcpu_init() run on the vCPU's own CPU.
 * Sources: AMD APM vol. 2 "VMRUN Instruction", "VMSAVE and VMLOAD Instructions", "VMCB Clean
 * Field", "TLB Control".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/decode.h"
#include "arch/x86_64/svm/svm.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/vm/vm.h"

#define CR0_CACHE (X86_CR0_CD | X86_CR0_NW)

static enum status svm_vcpu_init(struct vcpu *v) {
    enum status s = both_vcpu_init(v, sizeof(struct svm_vcpu), 2 * PAGE_SIZE, 3 * PAGE_SIZE);
    if (s == STATUS_OK) {
        struct vmcb *c = v->vendor;
        v->lapic.cr8 = (uint8_t *)&c->virtual_interrupt; /* V_TPR */
        s = svm_compartment_init(v);
    }
    return s;
}

static void svm_flush(struct vcpu *v) {
    struct vmcb *c = v->vendor;
    svm_flush_vmcb(c);
}

/* The part of the VMCB that stays in the CPU while the guest's CPU is ours. */
static void svm_fetch_live(struct svm_vcpu *s) {
    __asm__ volatile("vmsave %0" : : "a"(phys_address(&s->vmcb).v) : "memory");
}

static void svm_put_live(struct svm_vcpu *s) {
    __asm__ volatile("vmload %0" : : "a"(phys_address(&s->vmcb).v) : "memory");
}

static void svm_vcpu_reset(struct vcpu *v) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    memset(c, 0, sizeof(*c));
    svm_set_intercepts(c);
    if ((svm_caps.features & SVM_HAS_BUS_LOCK) == 0) {
        c->intercepts[2] &= ~SVM_BUS_LOCK;
    }
    c->io_map = phys_address(v->port_map).v;
    c->msr_map = phys_address(v->msr_map).v;
    /* ASIDs tell apart what runs on one CPU: one vCPU, and its compartment. */
    c->asid = SVM_ASID_GUEST;
    c->virtual_interrupt = V_INTR_MASKING;
    c->nested = NESTED_ENABLE;
    c->nested_cr3 = phys_address(v->vm->npt.root).v;
    c->dr6 = DR6_DEFAULT;
    c->efer = X86_EFER_SVME;
    s->nmi = SVM_NMI_OPEN;
    s->shadow_entries = s->looks = 0;
    s->cr8_watched = false;
    svm_flush(v);
    svm_put_live(s);
}

/* Where a register is in the VMCB, and what is no longer clean when it changes. */
static const struct svm_register {
    uint16_t offset, clean;
    bool live;
} svm_registers[HVM_REG_COUNT] = {
    [HVM_RIP] = {offsetof(struct vmcb, rip), 0, false},
    [HVM_RSP] = {offsetof(struct vmcb, rsp), 0, false},
    [HVM_RFLAGS] = {offsetof(struct vmcb, rflags), 0, false},
    [HVM_CR0] = {offsetof(struct vmcb, cr0), CLEAN_CR, false},
    [HVM_CR2] = {offsetof(struct vmcb, cr2), CLEAN_CR2, false},
    [HVM_CR3] = {offsetof(struct vmcb, cr3), CLEAN_CR, false},
    [HVM_CR4] = {offsetof(struct vmcb, cr4), CLEAN_CR, false},
    [HVM_EFER] = {offsetof(struct vmcb, efer), CLEAN_CR, false},
    [HVM_DR7] = {offsetof(struct vmcb, dr7), CLEAN_DR, false},
    [HVM_PAT] = {offsetof(struct vmcb, pat), CLEAN_NESTED, false},
    [HVM_TSC_OFFSET] = {offsetof(struct vmcb, tsc_offset), CLEAN_CONTROLS, false},
    [HVM_FS_BASE] = {offsetof(struct vmcb, segments[HVM_FS].base), 0, true},
    [HVM_GS_BASE] = {offsetof(struct vmcb, segments[HVM_GS].base), 0, true},
    [HVM_SYSENTER_CS] = {offsetof(struct vmcb, sysenter_cs), 0, true},
    [HVM_SYSENTER_ESP] = {offsetof(struct vmcb, sysenter_esp), 0, true},
    [HVM_SYSENTER_EIP] = {offsetof(struct vmcb, sysenter_eip), 0, true},
};

static uint64_t *svm_slot(struct svm_vcpu *s, enum hvm_reg r) {
    if (svm_registers[r].live) {
        svm_fetch_live(s);
    }
    return (uint64_t *)(void *)((uint8_t *)&s->vmcb + svm_registers[r].offset);
}

static uint64_t svm_get(struct vcpu *v, enum hvm_reg r) {
    struct svm_vcpu *s = v->vendor;
    uint64_t value = *svm_slot(s, r);
    if (r == HVM_CR0) {
        return value | s->cr0_cache;
    }
    if (r == HVM_CR4) {
        return s->cr4;
    }
    return r == HVM_EFER ? value & ~X86_EFER_SVME : value;
}

/* CD and NW never reach the CPU: while the guest has them set, it sees CR0 through us. */
static uint64_t svm_hide_cache_bits(struct svm_vcpu *s, uint64_t cr0) {
    s->cr0_cache = cr0 & CR0_CACHE;
    unsigned hidden = s->cr0_cache != 0;
    s->vmcb.cr_reads = (uint16_t)((s->vmcb.cr_reads & ~1u) | hidden);
    s->vmcb.cr_writes = (uint16_t)((s->vmcb.cr_writes & ~1u) | hidden);
    s->vmcb.clean &= ~CLEAN_CONTROLS;
    return cr0 & ~CR0_CACHE;
}

static void svm_set(struct vcpu *v, enum hvm_reg r, uint64_t value) {
    struct svm_vcpu *s = v->vendor;
    struct vmcb *c = &s->vmcb;
    if (r == HVM_CR0) {
        value = svm_hide_cache_bits(s, value);
    } else if (r == HVM_CR4) {
        s->cr4 = value;
        value |= X86_CR4_MCE; /* clear, a machine check would shut the CPU down */
    } else if (r == HVM_EFER) {
        value |= X86_EFER_SVME;
    }
    *svm_slot(s, r) = value;
    c->clean &= ~(uint64_t)svm_registers[r].clean;
    if (svm_registers[r].live) {
        svm_put_live(s);
    } else if (svm_registers[r].clean == CLEAN_CR) { /* LMA follows LME and PG */
        bool active = (c->efer & X86_EFER_LME) != 0 && (c->cr0 & X86_CR0_PG) != 0;
        c->efer = active ? c->efer | X86_EFER_LMA : c->efer & ~X86_EFER_LMA;
    }
}

static const uint8_t svm_segment_of[HVM_SEG_COUNT] = {
    HVM_ES, HVM_CS, HVM_SS, HVM_DS, HVM_FS, HVM_GS, VMCB_LDT, VMCB_TR, VMCB_GDT, VMCB_IDT,
};

/* Those that VMRUN does not switch. APM "VMSAVE and VMLOAD Instructions". */
static bool svm_segment_is_live(enum hvm_seg seg) {
    return seg == HVM_FS || seg == HVM_GS || seg == HVM_LDT || seg == HVM_TR;
}

static void svm_get_segment(struct vcpu *v, enum hvm_seg seg, struct hvm_segment *out) {
    struct svm_vcpu *s = v->vendor;
    const struct vmcb_segment *in = &s->vmcb.segments[svm_segment_of[seg]];
    if (svm_segment_is_live(seg)) {
        svm_fetch_live(s);
    }
    *out = (struct hvm_segment){.base = in->base, .limit = in->limit, .selector = in->selector};
    if (hvm_seg_has_selector(seg)) {
        out->attr = (in->attr & VMCB_ATTR_LOW) | (in->attr & VMCB_ATTR_HIGH)
                                                     << VMCB_ATTR_HIGH_SHIFT;
        out->attr |= (in->attr & VMCB_ATTR_PRESENT) == 0 ? SEG_UNUSABLE : 0;
    }
    if (seg == HVM_SS) { /* the CPU keeps the privilege level by itself */
        out->attr &= ~VMCB_ATTR_DPL;
        out->attr |= (uint32_t)s->vmcb.cpl << VMCB_ATTR_DPL_SHIFT;
    }
}

static void svm_get_code(struct vcpu *v, struct hvm_code *out) {
    const struct vmcb *c = v->vendor;
    *out = (struct hvm_code){c->rip, c->cr3,
                             (c->segments[HVM_CS].attr & VMCB_ATTR_LONG) != 0 &&
                                 (c->efer & X86_EFER_LMA) != 0};
}

/* From a descriptor's bits as VT-x has them. */
static uint16_t svm_attr(uint32_t attr) {
    uint32_t high = attr >> VMCB_ATTR_HIGH_SHIFT & VMCB_ATTR_HIGH;
    return (uint16_t)((attr & VMCB_ATTR_LOW) | high);
}

static void svm_set_segment(struct vcpu *v, enum hvm_seg seg, const struct hvm_segment *in) {
    struct svm_vcpu *s = v->vendor;
    bool live = svm_segment_is_live(seg), usable = (in->attr & SEG_UNUSABLE) == 0;
    if (live) {
        svm_fetch_live(s);
    }
    s->vmcb.segments[svm_segment_of[seg]] =
        (struct vmcb_segment){.selector = in->selector,
                              .attr = usable ? svm_attr(in->attr) : 0,
                              .limit = in->limit,
                              .base = in->base};
    if (seg == HVM_SS) {
        s->vmcb.cpl = (in->attr & VMCB_ATTR_DPL) >> VMCB_ATTR_DPL_SHIFT;
    }
    s->vmcb.clean &= ~(uint64_t)(CLEAN_SEGMENTS | CLEAN_TABLES);
    if (live) {
        svm_put_live(s);
    }
}

static const char *svm_raw(struct vcpu *v, unsigned i, uint64_t *value) {
    static const struct {
        uint16_t offset;
        const char *name;
    } words[] = {
        {offsetof(struct vmcb, exit_code), "exit-code"},
        {offsetof(struct vmcb, exit_info1), "exit-info1"},
        {offsetof(struct vmcb, exit_info2), "exit-info2"},
        {offsetof(struct vmcb, exit_event), "exit-event"},
        {offsetof(struct vmcb, event), "event"},
        {offsetof(struct vmcb, virtual_interrupt), "interrupt"},
        {offsetof(struct vmcb, interrupt_shadow), "shadow"},
        {offsetof(struct vmcb, nested_cr3), "nested-cr3"},
        {offsetof(struct vmcb, cr0), "cr0"},
        {offsetof(struct vmcb, cr4), "cr4"},
        {offsetof(struct vmcb, efer), "efer"},
        {offsetof(struct vmcb, dr6), "dr6"},
        {offsetof(struct vmcb, dr7), "dr7"},
    };
    if (i >= ARRAY_SIZE(words)) {
        return NULL;
    }
    *value = *(const uint64_t *)(const void *)((const uint8_t *)v->vendor + words[i].offset);
    return words[i].name;
}

static const char *svm_refusal_of(struct vcpu *v) {
    return svm_refusal(v->vendor);
}

/* No emulation leads to a state that VMRUN refuses; so there is nothing to mend. */
static bool svm_make_enterable(UNUSED struct vcpu *v) {
    return false;
}

SEALED struct hvm_ops svm_ops = {
    .name = "AMD-V",
    .vmmcall = true,
    .cpu_on = svm_cpu_on,
    .vcpu_init = svm_vcpu_init,
    .vcpu_reset = svm_vcpu_reset,
    .loop = svm_loop,
    .inject = svm_inject,
    .can_take = svm_can_take,
    .refusal = svm_refusal_of,
    .make_enterable = svm_make_enterable,
    .window = svm_window,
    .watch_cr8 = svm_watch_cr8,
    .get = svm_get,
    .set = svm_set,
    .get_segment = svm_get_segment,
    .get_code = svm_get_code,
    .set_segment = svm_set_segment,
    .compartment_reset = svm_compartment_reset,
    .upcall = svm_upcall,
    .compartment_set_tsc = svm_compartment_set_tsc,
    .save = svm_save,
    .restore = svm_restore,
    .flush = svm_flush,
    .raw = svm_raw,
    .msr_bit = svm_msr_bit,
    .audit_format = AUDIT_AMD,
    .npt_format = &pagetable_format_amd,
};
