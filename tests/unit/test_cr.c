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
        CHECK(r->allowed || (v->event.vector == X86_GP && v->event.error == 0));
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

static bool writes(struct vcpu *v, unsigned cr, uint64_t value) {
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = (uint8_t)cr}};
    v->event = (struct event){.type = EVENT_NONE};
    v->regs[X86_RAX] = value;
    bool taken = fake_exit(v, &x) == ACTION_NEXT;
    CHECK(taken || (v->event.vector == X86_GP && v->event.has_error && v->event.error == 0));
    return taken;
}

/* CPUID shows whether OSXSAVE and PKE are on. */
TEST(cr4_shows_in_cpuid) {
    static const uint64_t values[] = {0, X86_CR4_OSXSAVE, X86_CR4_PKE,
                                      X86_CR4_OSXSAVE | X86_CR4_PKE, X86_CR4_PGE};
    struct vcpu *v = fake_machine_start();
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        CHECK(writes(v, 4, PAE | values[i]));
        CHECK_U64(cpuid_has(&v->cpuid, 1, 2, 27), (values[i] & X86_CR4_OSXSAVE) != 0);
        CHECK_U64(cpuid_has(&v->cpuid, 7, 2, 4), (values[i] & X86_CR4_PKE) != 0);
        CHECK(cpuid_has(&v->cpuid, 1, 2, 26) && cpuid_has(&v->cpuid, 7, 2, 3));
    }
}

/* Bits that CR0 has not are forgotten below 32 and refused above, and ET stands. */
TEST(bits_of_cr0) {
    for (unsigned bit = 0; bit < 64; bit++) {
        struct vcpu *v = fake_machine_start();
        static const uint64_t defined = 0xe005003f;
        fake_regs[HVM_CR0] = PE | ET;
        fake_regs[HVM_CR4] = fake_regs[HVM_EFER] = 0;
        uint64_t value = PE | CD | BIT(bit);
        CHECK_U64(writes(v, 0, value), 1); /* of 32 bits, outside of 64-bit mode */
        CHECK_U64(fake_regs[HVM_CR0], ((uint32_t)value & defined) | ET);
        v = fake_machine_start(); /* in 64-bit mode */
        CHECK_U64(writes(v, 0, PE | PG | CD | BIT(bit)), bit < 32);
    }
}

/* A busy TSS of 16 bits cannot go to long mode. */
TEST(no_tss_of_16_bits_in_long_mode) {
    for (uint32_t type = 0; type < 16; type++) {
        struct vcpu *v = fake_machine_start();
        fake_regs[HVM_CR0] = PE | ET;
        fake_regs[HVM_CR4] = PAE;
        fake_regs[HVM_EFER] = LME;
        fake_segs[HVM_CS].attr = LEGACY_CODE;
        fake_segs[HVM_TR].attr = 0x80 | type;
        CHECK_U64(writes(v, 0, PE | PG), type != 3);
    }
}

/* SDM "Loading Page-Directory-Pointer-Table Entries": which bits of which register do it. */
static bool writes_with_bad_pdptes(bool long_mode, unsigned cr, uint64_t flip) {
    static const uint64_t bad[4] = {0x2001, 0, 0x1e6 | 1, 1};
    struct vcpu *v = fake_machine_start();
    CHECK_U64(gmem_write(&v->vm->mem, GPA(0x6000), bad, sizeof(bad)), STATUS_OK);
    fake_regs[HVM_CR3] = 0x6000;
    fake_regs[HVM_CR0] = PE | PG | CD | ET;
    fake_regs[HVM_CR4] = PAE;
    fake_regs[HVM_EFER] = long_mode ? LME | LMA : 0;
    fake_segs[HVM_CS].attr = LEGACY_CODE;
    return writes(v, cr, fake_regs[cr == 0 ? HVM_CR0 : HVM_CR4] ^ flip);
}

TEST(page_directory_pointers_are_looked_at) {
    static const struct {
        unsigned cr;
        uint64_t flip;
        bool loads;
    } cases[] = {
        {0, CD, true},           {0, NW, true},
        {0, X86_CR0_WP, false},  {0, X86_CR0_TS, false},
        {0, PG, false}, /* it goes off */
        {4, X86_CR4_PSE, true},  {4, X86_CR4_PGE, true},
        {4, X86_CR4_SMEP, true}, {4, PAE, false}, /* as well */
        {4, X86_CR4_TSD, false}, {4, X86_CR4_SMAP, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_U64(writes_with_bad_pdptes(false, cases[i].cr, cases[i].flip), !cases[i].loads);
        if (cases[i].flip != PAE) {
            CHECK(writes_with_bad_pdptes(true, cases[i].cr, cases[i].flip));
        }
    }
    struct vcpu *v = fake_machine_start(); /* paging goes on, and PAE comes to it */
    static const uint64_t bad[4] = {0x2001, 0, 0, 0x1e7};
    CHECK_U64(gmem_write(&v->vm->mem, GPA(0x6000), bad, sizeof(bad)), STATUS_OK);
    fake_regs[HVM_CR3] = 0x6000;
    fake_regs[HVM_CR0] = PE | ET;
    fake_regs[HVM_EFER] = 0;
    fake_segs[HVM_CS].attr = LEGACY_CODE;
    CHECK(!writes(v, 0, PE | PG));
    CHECK(writes(v, 4, 0) && writes(v, 0, PE | PG));
    CHECK(!writes(v, 4, PAE));
}

/* RSP is not among the others: it is fetched and put back. */
TEST(by_way_of_rsp) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_READ, .cr = 4, .gpr = X86_RSP}};
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], fake_regs[HVM_CR4]);
    x.cr.access = CR_WRITE;
    fake_regs[HVM_RSP] = PAE | X86_CR4_PGE;
    v->regs[X86_RSP] = 0;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_CR4], PAE | X86_CR4_PGE);
    x.cr = (struct exit_cr){.access = CR_WRITE, .cr = 8, .gpr = X86_RSP};
    fake_regs[HVM_RSP] = 9;
    v->regs[X86_RSP] = 3;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, LAPIC_TPR), 0x90);
    x.cr.access = CR_READ;
    fake_regs[HVM_RSP] = 0;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], 9);
    x.cr.gpr = X86_RDI; /* of another one it is left */
    fake_regs[HVM_RSP] = 0x1234;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], 0x1234);
    CHECK_U64(v->regs[X86_RDI], 9);
    x.cr = (struct exit_cr){.access = CR_READ, .cr = 0, .gpr = X86_RDI};
    v->regs[X86_RSP] = 0;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], 0x1234);
}

/* Outside of 64-bit mode a register has 32 bits. */
TEST(cr8_in_each_mode) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_WRITE, .cr = 8, .gpr = X86_RBX}};
    v->regs[X86_RBX] = BIT(32) | 5;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(v->event.vector == X86_GP && v->event.has_error && v->event.error == 0);
    fake_segs[HVM_CS].attr = LEGACY_CODE;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, LAPIC_TPR), 0x50);
    v->regs[X86_RBX] = 16;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    v->regs[X86_RBX] = 15;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(lapic_mmio_read(&v->lapic, LAPIC_TPR), 0xf0);
}

TEST(smsw) {
    static const struct {
        uint8_t size;
        uint64_t want;
    } sizes[] = {
        {2, 0xaaaaaaaaaaaa0031},
        {4, 0x80000031},
        {8, 0x80000031},
    };
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_CR, .cr = {.access = CR_SMSW, .gpr = X86_RBX}};
    fake_regs[HVM_CR0] = 0x80000031;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        x.cr.size = sizes[i].size;
        v->regs[X86_RBX] = 0xaaaaaaaaaaaaaaaa;
        CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
        CHECK_U64(v->regs[X86_RBX], sizes[i].want);
    }
    x.cr.gpr = X86_RSP;
    fake_regs[HVM_RSP] = 0xbbbbbbbbbbbbbbbb;
    x.cr.size = 2;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(fake_regs[HVM_RSP], 0xbbbbbbbbbbbb0031);
    x.cr.gpr = 16; /* it went to memory */
    v->regs[X86_RAX] = 0xaaaaaaaaaaaaaaaa;
    CHECK_U64(fake_exit(v, &x), ACTION_NEXT);
    CHECK_U64(v->regs[X86_RAX], 0xaaaaaaaaaaaaaaaa);
    CHECK_U64(fake_regs[HVM_RSP], 0xbbbbbbbbbbbb0031);
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
        if (!cases[i].allowed) {
            CHECK(v->event.vector == X86_GP && v->event.has_error);
            CHECK_U64(v->event.error, 0);
        }
    }
}

TEST_MAIN(T(each_rule), T(cr4_follows_cpuid), T(cr4_shows_in_cpuid), T(bits_of_cr0),
          T(no_tss_of_16_bits_in_long_mode), T(page_directory_pointers_are_looked_at),
          T(by_way_of_rsp), T(cr8_in_each_mode), T(smsw), T(lmsw_and_clts), T(reads), T(xsetbv))
