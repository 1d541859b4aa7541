/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control registers that policy wants to see: the host-owned bits of CR0 and CR4, CR8, XCR0. Values
 * are guest-controlled and are checked here before the vendor's code gets them.
 * Sources: Intel SDM vol. 3 "Control Registers", "Paging-Mode Modification"; vol. 1
 * "XSAVE-Supported Features and State-Component Bitmaps".
 */
#include "hv/exit/exit.h"
#include "hv/exit/hardware.h"
#include "hv/exit/policy.h"
#include "hv/lib/reg.h"
#include "hv/vm/plat.h"

/* PE MP EM TS ET NE, WP, AM, NW CD PG. */
#define CR0_DEFINED (BITS(0, 5) | X86_CR0_WP | X86_CR0_AM | BITS(29, 31))

/* CR4 bits by the CPUID bit that announces them. */
static const struct {
    uint64_t cr4;
    uint8_t leaf, reg, bit; /* reg: 0 EAX .. 3 EDX */
} cr4_rules[] = {
    {X86_CR4_VME | X86_CR4_PVI, 1, 3, 1},
    {X86_CR4_TSD, 1, 3, 4},
    {X86_CR4_DE, 1, 3, 2},
    {X86_CR4_PSE, 1, 3, 3},
    {X86_CR4_PAE, 1, 3, 6},
    {X86_CR4_PGE, 1, 3, 13},
    {X86_CR4_OSFXSR, 1, 3, 24},
    {X86_CR4_OSXMMEXCPT, 1, 3, 25},
    {X86_CR4_UMIP, 7, 2, 2},
    {X86_CR4_FSGSBASE, 7, 1, 0},
    {X86_CR4_PCIDE, 1, 2, 17},
    {X86_CR4_OSXSAVE, 1, 2, 26},
    {X86_CR4_SMEP, 7, 1, 7},
    {X86_CR4_SMAP, 7, 1, 20},
    {X86_CR4_PKE, 7, 2, 3},
};

uint64_t cr4_guest_allowed(const struct cpuid_table *t) {
    uint64_t allowed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(cr4_rules); i++) {
        bool has = cpuid_has(t, cr4_rules[i].leaf, cr4_rules[i].reg, cr4_rules[i].bit);
        allowed |= has ? cr4_rules[i].cr4 : 0;
    }
    return allowed;
}

static bool cr0_valid(struct vcpu *v, uint64_t old, uint64_t value) {
    if (value >> 32 != 0 || ((value & X86_CR0_PG) != 0 && (value & X86_CR0_PE) == 0) ||
        ((value & X86_CR0_NW) != 0 && (value & X86_CR0_CD) == 0)) {
        return false;
    }
    if (((old ^ value) & X86_CR0_PG) == 0) {
        return true;
    }
    uint64_t cr4 = hvm->get(v, HVM_CR4);
    if ((value & X86_CR0_PG) == 0) {
        return (cr4 & X86_CR4_PCIDE) == 0 && !vcpu_in_64_bit_mode(v);
    }
    struct hvm_segment cs, tr;
    hvm->get_segment(v, HVM_CS, &cs);
    hvm->get_segment(v, HVM_TR, &tr);
    bool enters_long = (hvm->get(v, HVM_EFER) & X86_EFER_LME) != 0;
    bool fits = (cr4 & X86_CR4_PAE) != 0 && (cs.attr & SEG_LONG) == 0 &&
                (tr.attr & SEG_TYPE) != SEG_TYPE_BUSY_TSS16;
    return !enters_long || fits;
}

/* SDM "Loading Page-Directory-Pointer-Table Entries": these writes do it, with PAE paging on. */
#define CR0_LOADS_PDPTES (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)
#define CR4_LOADS_PDPTES (X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PGE | X86_CR4_SMEP)

static bool cr_pdptes_valid(struct vcpu *v, uint64_t cr0, uint64_t cr4) {
    bool pae = (cr0 & X86_CR0_PG) != 0 && (cr4 & X86_CR4_PAE) != 0 &&
               (hvm->get(v, HVM_EFER) & X86_EFER_LME) == 0;
    return !pae || hardware_pdptes_valid(v, hvm->get(v, HVM_CR3));
}

static bool cr0_write(struct vcpu *v, uint64_t value) {
    uint64_t old = hvm->get(v, HVM_CR0);
    if (!cr0_valid(v, old, value)) {
        return false;
    }
    if (((old ^ value) & CR0_LOADS_PDPTES) != 0 &&
        !cr_pdptes_valid(v, value, hvm->get(v, HVM_CR4))) {
        return false;
    }
    hvm->set(v, HVM_CR0, (value & CR0_DEFINED) | X86_CR0_ET);
    hvm->flush(v);
    return true;
}

static bool cr4_write(struct vcpu *v, uint64_t value) {
    uint64_t old = hvm->get(v, HVM_CR4);
    bool long_mode = (hvm->get(v, HVM_EFER) & X86_EFER_LMA) != 0;
    if ((value & ~cr4_guest_allowed(&v->cpuid)) != 0 || (long_mode && (value & X86_CR4_PAE) == 0) ||
        ((value & ~old & X86_CR4_PCIDE) != 0 &&
         (!long_mode || (hvm->get(v, HVM_CR3) & 0xfff) != 0))) {
        return false;
    }
    if (((old ^ value) & CR4_LOADS_PDPTES) != 0 &&
        !cr_pdptes_valid(v, hvm->get(v, HVM_CR0), value)) {
        return false;
    }
    hvm->set(v, HVM_CR4, value);
    cpuid_set_osxsave(v, (value & X86_CR4_OSXSAVE) != 0);
    cpuid_set_ospke(v, (value & X86_CR4_PKE) != 0);
    hvm->flush(v);
    return true;
}

/* MOV to CR: outside 64-bit mode the operand has 32 bits. */
static bool cr_write(struct vcpu *v, unsigned cr, uint64_t value) {
    if (!vcpu_in_64_bit_mode(v)) {
        value = (uint32_t)value;
    }
    return cr == 0 ? cr0_write(v, value) : cr == 4 && cr4_write(v, value);
}

/* MOV to and from CR8; outside 64-bit mode there is LOCK MOV CR0 for it, of 32 bits. */
static enum action exit_cr8(struct vcpu *v, const struct exit_cr *c) {
    bool rsp = c->gpr == X86_RSP;
    if (c->access == CR_READ) {
        v->regs[c->gpr & 15] = lapic_cr8_read(&v->lapic);
        if (rsp) {
            hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
        }
        return ACTION_NEXT;
    }

    uint64_t value = rsp ? hvm->get(v, HVM_RSP) : v->regs[c->gpr & 15];
    if (UNLIKELY(value >= 16)) {
        if ((uint32_t)value >= 16 || vcpu_in_64_bit_mode(v)) {
            return exit_inject(v, X86_GP, 0);
        }
    }
    lapic_cr8_write(&v->lapic, value & 0xf);
    return ACTION_NEXT;
}

enum action exit_cr(struct vcpu *v, struct vmexit *x) {
    const struct exit_cr *c = &x->cr;
    if (c->cr == 8) {
        return exit_cr8(v, c);
    }
    uint64_t *gpr = &v->regs[c->gpr & 15], cr0 = hvm->get(v, HVM_CR0);
    bool ok = true;
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    if (c->access == CR_WRITE) {
        ok = cr_write(v, c->cr, *gpr);
    } else if (c->access == CR_READ) {
        *gpr = c->cr == 0 ? cr0 : hvm->get(v, HVM_CR4);
        hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    } else if (c->access == CR_SMSW) {
        if (c->gpr < ARRAY_SIZE(v->regs)) { /* else it went to memory */
            reg_set(gpr, c->size, cr0);
            hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
        }
    } else {
        /* CLTS, or LMSW, which sets PE but cannot clear it; SDM "LMSW—Load Machine Status Word". */
        bool lmsw = c->access == CR_LMSW;
        ok = cr0_write(v, lmsw ? (cr0 & ~0xeull) | (c->lmsw & 0xf) : cr0 & ~X86_CR0_TS);
    }
    return ok ? ACTION_NEXT : exit_inject(v, X86_GP, 0);
}

/* XSETBV: not every CPU looks at the CPL first; XCR0 stays the guest's while the hypervisor runs.
 */
enum action exit_xsetbv(struct vcpu *v, UNUSED struct vmexit *x) {
    uint64_t value = v->regs[X86_RDX] << 32 | (uint32_t)v->regs[X86_RAX];
    if (vcpu_cpl(v) != 0 || (uint32_t)v->regs[X86_RCX] != 0 || (value & ~CPUID_XCR0_ALLOWED) != 0 ||
        !plat_xsetbv(value)) {
        return exit_inject(v, X86_GP, 0);
    }
    return ACTION_NEXT;
}
