/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which changes of CR0 and CR4 are #GP, rule by rule, from each paging mode that a rule names. SDM
 * vol. 2 "MOV—Move to/from Control Registers", vol. 3 "Paging-Mode Enabling".
 */
#include "fake_machine.h"

#define LONG_CODE   0xa09b /* CS: 64-bit, present, DPL 0 */
#define LEGACY_CODE 0xc09b

#define PE  X86_CR0_PE
#define PG  X86_CR0_PG
#define NW  X86_CR0_NW
#define CD  X86_CR0_CD
#define ET  X86_CR0_ET
#define PAE X86_CR4_PAE
#define LME X86_EFER_LME
#define LMA X86_EFER_LMA

struct rule {
    const char *what;
    uint64_t cr0, cr3, cr4, efer;
    uint32_t cs;
    unsigned cr;
    uint64_t value;
    bool allowed;
};

static const struct rule rules[] = {
    {"paging on in protected mode", PE, 0, 0, 0, LEGACY_CODE, 0, PE | PG, true},
    {"paging without protection", PE, 0, 0, 0, LEGACY_CODE, 0, PG, false},
    {"NW without CD", PE, 0, 0, 0, LEGACY_CODE, 0, PE | NW, false},
    {"NW with CD", PE, 0, 0, 0, LEGACY_CODE, 0, PE | NW | CD, true},
    {"CD alone", PE, 0, 0, 0, LEGACY_CODE, 0, PE | CD, true},
    {"into long mode", PE, 0, PAE, LME, LEGACY_CODE, 0, PE | PG, true},
    {"into long mode without PAE", PE, 0, 0, LME, LEGACY_CODE, 0, PE | PG, false},
    {"into long mode with CS.L", PE, 0, PAE, LME, LONG_CODE, 0, PE | PG, false},
    {"PAE paging with CS.L and no LME", PE, 0, PAE, 0, LONG_CODE, 0, PE | PG, true},
    {"out of 64-bit mode", PE | PG, 0, PAE, LME | LMA, LONG_CODE, 0, PE, false},
    {"out of compatibility mode", PE | PG, 0, PAE, LME | LMA, LEGACY_CODE, 0, PE, true},
    {"out of it with PCIDs", PE | PG, 0, PAE | X86_CR4_PCIDE, LME | LMA, LEGACY_CODE, 0, PE, false},
    {"paging off in 32 bits", PE | PG, 0, 0, 0, LEGACY_CODE, 0, PE, true},
    {"WP in 64-bit mode", PE | PG, 0, PAE, LME | LMA, LONG_CODE, 0, PE | PG | X86_CR0_WP, true},
    {"WP with PCIDs", PE | PG, 0, PAE | X86_CR4_PCIDE, LME | LMA, LONG_CODE, 0,
     PE | PG | X86_CR0_WP, true},
    {"PAE off in long mode", PE | PG, 0, PAE, LME | LMA, LONG_CODE, 4, 0, false},
    {"PAE off without paging", PE, 0, PAE, LME, LEGACY_CODE, 4, 0, true},
    {"PCIDs in long mode", PE | PG, 0x1000, PAE, LME | LMA, LONG_CODE, 4, PAE | X86_CR4_PCIDE,
     true},
    {"PCIDs with one in CR3", PE | PG, 0x1001, PAE, LME | LMA, LONG_CODE, 4, PAE | X86_CR4_PCIDE,
     false},
    {"PCIDs outside long mode", PE, 0, PAE, 0, LEGACY_CODE, 4, PAE | X86_CR4_PCIDE, false},
    {"PCIDs stay, whatever is in CR3", PE | PG, 0x1001, PAE | X86_CR4_PCIDE, LME | LMA, LONG_CODE,
     4, PAE | X86_CR4_PCIDE | X86_CR4_PGE, true},
    {"VMXE", PE | PG, 0, PAE, LME | LMA, LONG_CODE, 4, PAE | X86_CR4_VMXE, false},
};

TEST(each_rule) {
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        const struct rule *r = &rules[i];
        struct vcpu *v = fake_machine_start();
        fake_regs[HVM_CR0] = r->cr0;
        fake_regs[HVM_CR3] = r->cr3;
        fake_regs[HVM_CR4] = r->cr4;
        fake_regs[HVM_EFER] = r->efer;
        fake_segs[HVM_CS].attr = r->cs;
        fake_flushed = false;
        struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = (uint8_t)r->cr}};
        v->regs[X86_RAX] = r->value;
        bool allowed = fake_exit(v, &x) == ACTION_NEXT;
        if (allowed != r->allowed) {
            printf("# %s:\n", r->what);
        }
        CHECK_U64(allowed, r->allowed);
        CHECK_U64(fake_flushed, r->allowed);
        uint64_t before = r->cr == 0 ? r->cr0 : r->cr4;
        uint64_t after = r->cr == 0 ? r->value | ET : r->value;
        CHECK_U64(fake_regs[r->cr == 0 ? HVM_CR0 : HVM_CR4], r->allowed ? after : before);
        CHECK_U64(v->event.type, r->allowed ? EVENT_NONE : EVENT_EXCEPTION);
        CHECK(r->allowed || v->event.vector == X86_GP);
    }
}

/* Each bit of CR4 needs its bit of CPUID, and only that. */
TEST(cr4_follows_cpuid) {
    static const struct {
        uint64_t cr4;
        uint32_t leaf;
        unsigned reg, bit;
    } bits[] = {
        {X86_CR4_VME, 1, 3, 1},      {X86_CR4_PVI, 1, 3, 1},      {X86_CR4_TSD, 1, 3, 4},
        {X86_CR4_DE, 1, 3, 2},       {X86_CR4_PSE, 1, 3, 3},      {X86_CR4_PAE, 1, 3, 6},
        {X86_CR4_PGE, 1, 3, 13},     {X86_CR4_OSFXSR, 1, 3, 24},  {X86_CR4_OSXMMEXCPT, 1, 3, 25},
        {X86_CR4_UMIP, 7, 2, 2},     {X86_CR4_FSGSBASE, 7, 1, 0}, {X86_CR4_PCIDE, 1, 2, 17},
        {X86_CR4_OSXSAVE, 1, 2, 26}, {X86_CR4_SMEP, 7, 1, 7},     {X86_CR4_SMAP, 7, 1, 20},
        {X86_CR4_PKE, 7, 2, 3},
    };
    struct vcpu *v = fake_machine_start();
    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        struct cpuid_entry *e =
            (struct cpuid_entry *)(uintptr_t)cpuid_find(&v->cpuid, bits[i].leaf, 0);
        uint32_t before = e->out[bits[i].reg];
        e->out[bits[i].reg] |= BIT32(bits[i].bit);
        CHECK_U64(cr4_guest_allowed(&v->cpuid) & bits[i].cr4, bits[i].cr4);
        e->out[bits[i].reg] = 0;
        CHECK_U64(cr4_guest_allowed(&v->cpuid) & bits[i].cr4, 0);
        e->out[bits[i].reg] = BIT32(bits[i].bit);
        CHECK_U64(cr4_guest_allowed(&v->cpuid) & bits[i].cr4, bits[i].cr4);
        e->out[bits[i].reg] = before;
    }
    CHECK_U64(cr4_guest_allowed(&v->cpuid) & (X86_CR4_VMXE | X86_CR4_MCE), 0);
}

/* LMSW sets PE and cannot clear it; it reaches the low four bits. CLTS clears TS alone. */
TEST(lmsw_and_clts) {
    struct vcpu *v = fake_machine_start();
    uint64_t cr0 = PE | PG | ET | X86_CR0_NE;
    fake_regs[HVM_CR0] = cr0;
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_LMSW, .lmsw = 0xfffe}};
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR0], cr0 | 0xe);
    x.cr.access = CR_CLTS;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR0], cr0 | 6);
    x.cr = (struct exit_cr){.access = CR_LMSW, .lmsw = 0};
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR0], cr0);
}

/* Reads show what the guest has, and CR8 the priority of the local APIC. */
TEST(reads) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_READ, .cr = 0, .gpr = X86_RBX}};
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RBX], fake_regs[HVM_CR0]);
    x.cr.cr = 4;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RBX], fake_regs[HVM_CR4]);
    lapic_mmio_write(&v->lapic, LAPIC_TPR, 4, 0xa7);
    x.cr.cr = 8;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RBX], 0xa);
    x.cr.access = CR_WRITE;
    v->regs[X86_RBX] = 16;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(v->event.type == EVENT_EXCEPTION && v->event.vector == X86_GP);
    CHECK_U64(lapic_mmio_read(&v->lapic, LAPIC_TPR), 0xa7);
}

/* XCR0: at CPL 0, register 0, bits of components that guests have. */
TEST(xsetbv) {
    static const struct {
        uint32_t rax, rdx, rcx, ss;
        bool allowed;
    } cases[] = {
        {7, 0, 0, 0xc093, true},
        {7, 0, 0, 0xc0f3, false},
        {7, 0, 1, 0xc093, false},
        {7, 1, 0, 0xc093, false},
        {6, 0, 0, 0xc093, false},
        {0x2e7, 0, 0, 0xc093, true},
        {1u << 8 | 3, 0, 0, 0xc093, false},
        {1u << 17 | 3, 0, 0, 0xc093, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *v = fake_machine_start();
        struct vmexit x = {.kind = EXIT_XSETBV};
        fake_xcr0 = 1;
        fake_segs[HVM_SS].attr = cases[i].ss;
        v->regs[X86_RAX] = cases[i].rax | 0xabcdull << 32; /* only half of each counts */
        v->regs[X86_RDX] = cases[i].rdx;
        v->regs[X86_RCX] = cases[i].rcx | 0xabcdull << 32;
        CHECK_U64(fake_exit(v, &x) == ACTION_NEXT, cases[i].allowed);
        CHECK_U64(fake_xcr0, cases[i].allowed ? cases[i].rax : 1);
    }
}

TEST_MAIN(T(each_rule), T(cr4_follows_cpuid), T(lmsw_and_clts), T(reads), T(xsetbv))
