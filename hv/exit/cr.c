/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control registers that policy wants to see: the host-owned bits of CR0 and CR4, CR8, XCR0. Values
 * are guest-controlled and are checked here before the vendor's code gets them.
 * Sources: Intel SDM vol. 3 "Control Registers", "Paging-Mode Modification"; vol. 1
 * "XSAVE-Supported Features and State-Component Bitmaps".
 */
#include "hv/exit/cpuid.h"
#include "hv/exit/exit.h"
#include "hv/exit/msr.h"
#include "hv/vm/plat.h"

#define CR0_DEFINED                                                                                \
    (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP |    \
     X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

#define CS_LONG BIT32(13)

/* CR4 bits by the CPUID bit that announces them; leaf, register (0 EAX .. 3 EDX), bit. */
struct cr4_rule {
    uint64_t cr4;
    uint32_t leaf;
    uint8_t reg, bit;
};
static const struct cr4_rule cr4_rules[] = {
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
};

uint64_t cr4_guest_allowed(const struct cpuid_table *t) {
    uint64_t allowed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(cr4_rules); i++) {
        const struct cr4_rule *r = &cr4_rules[i];
        allowed |= cpuid_has(t, r->leaf, r->reg, r->bit) ? r->cr4 : 0;
    }
    return allowed;
}

static bool cr_in_long_mode(struct vcpu *v) {
    return (hvm->get(v, HVM_EFER) & X86_EFER_LMA) != 0;
}

static bool cr0_valid(struct vcpu *v, uint64_t old, uint64_t value) {
    if (value >> 32 != 0 || ((value & X86_CR0_PG) != 0 && (value & X86_CR0_PE) == 0) ||
        ((value & X86_CR0_NW) != 0 && (value & X86_CR0_CD) == 0)) {
        return false;
    }
    if (((old ^ value) & X86_CR0_PG) == 0) {
        return true;
    }
    struct hvm_segment cs;
    hvm->get_segment(v, HVM_CS, &cs);
    uint64_t cr4 = hvm->get(v, HVM_CR4);
    if ((value & X86_CR0_PG) == 0) {
        return (cr4 & X86_CR4_PCIDE) == 0 && !(cr_in_long_mode(v) && (cs.attr & CS_LONG) != 0);
    }
    bool enters_long = (hvm->get(v, HVM_EFER) & X86_EFER_LME) != 0;
    return !enters_long || ((cr4 & X86_CR4_PAE) != 0 && (cs.attr & CS_LONG) == 0);
}

static bool cr0_write(struct vcpu *v, uint64_t value) {
    if (!cr0_valid(v, hvm->get(v, HVM_CR0), value)) {
        return false;
    }
    hvm->set(v, HVM_CR0, (value & CR0_DEFINED) | X86_CR0_ET);
    hvm->flush(v);
    return true;
}

static bool cr4_write(struct vcpu *v, uint64_t value) {
    uint64_t old = hvm->get(v, HVM_CR4);
    bool long_mode = cr_in_long_mode(v);
    if ((value & ~cr4_guest_allowed(&v->cpuid)) != 0 || (long_mode && (value & X86_CR4_PAE) == 0)) {
        return false;
    }
    if ((value & ~old & X86_CR4_PCIDE) != 0 &&
        (!long_mode || (hvm->get(v, HVM_CR3) & 0xfff) != 0)) {
        return false;
    }
    hvm->set(v, HVM_CR4, value);
    cpuid_set_osxsave(v, (value & X86_CR4_OSXSAVE) != 0);
    hvm->flush(v);
    return true;
}

/* The register operand of MOV CR: RSP lives in the vendor's state. */
static uint64_t cr_operand(struct vcpu *v, unsigned gpr) {
    return gpr == X86_RSP ? hvm->get(v, HVM_RSP) : v->regs[gpr & 15];
}

static void cr_result(struct vcpu *v, unsigned gpr, uint64_t value) {
    if (gpr == X86_RSP) {
        hvm->set(v, HVM_RSP, value);
    } else {
        v->regs[gpr & 15] = value;
    }
}

enum action exit_cr(struct vcpu *v, struct vmexit *x) {
    const struct exit_cr *c = &x->cr;
    bool ok = false;
    if (c->access == CR_WRITE) {
        uint64_t value = cr_operand(v, c->gpr);
        if (c->cr == 0) {
            ok = cr0_write(v, value);
        } else if (c->cr == 4) {
            ok = cr4_write(v, value);
        } else if (c->cr == 8 && value < 16) {
            lapic_cr8_write(&v->lapic, (uint8_t)value);
            ok = true;
        }
    } else if (c->access == CR_READ) {
        cr_result(v, c->gpr,
                  c->cr == 8 ? lapic_cr8_read(&v->lapic)
                             : hvm->get(v, c->cr == 0 ? HVM_CR0 : HVM_CR4));
        ok = true;
    } else if (c->access == CR_LMSW) {
        /* LMSW sets PE but cannot clear it; SDM "LMSW—Load Machine Status Word". */
        uint64_t old = hvm->get(v, HVM_CR0);
        ok = cr0_write(v, (old & ~0xeull) | (c->lmsw & 0xf));
    } else if (c->access == CR_CLTS) {
        ok = cr0_write(v, hvm->get(v, HVM_CR0) & ~X86_CR0_TS);
    }
    return ok ? ACTION_NEXT : exit_inject(v, X86_GP, 0);
}

/* XSETBV: not every CPU looks at the CPL first; XCR0 stays the guest's while the hypervisor runs.
 */
enum action exit_xsetbv(struct vcpu *v, struct vmexit *x) {
    (void)x;
    uint64_t value = v->regs[X86_RDX] << 32 | (uint32_t)v->regs[X86_RAX];
    struct hvm_segment ss;
    hvm->get_segment(v, HVM_SS, &ss);
    if ((ss.attr >> 5 & 3) != 0 || (uint32_t)v->regs[X86_RCX] != 0 ||
        (value & ~CPUID_XCR0_ALLOWED) != 0 || !plat_xsetbv(value)) {
        return exit_inject(v, X86_GP, 0);
    }
    return ACTION_NEXT;
}
