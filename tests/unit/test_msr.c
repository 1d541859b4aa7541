/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSRs one by one: what those are worth that never change, which pass to the CPU, and the rules of
 * EFER.
 */
#include "fake_machine.h"
#include "hv/exit/policy.h"

static struct vcpu *v;

static enum action access(enum exit_kind kind, uint32_t msr, uint64_t value) {
    struct vmexit x = {.kind = kind, .insn_len = 2};
    v->event = (struct event){.type = EVENT_NONE};
    v->regs[X86_RCX] = msr;
    v->regs[X86_RAX] = (uint32_t)value;
    v->regs[X86_RDX] = value >> 32;
    return fake_exit(v, &x);
}

static bool takes(uint32_t msr, uint64_t value) {
    bool taken = access(EXIT_WRMSR, msr, value) == ACTION_NEXT;
    bool faulted = v->event.type == EVENT_EXCEPTION && v->event.vector == X86_GP &&
                   v->event.error == 0 && v->event.has_error;
    CHECK(taken != faulted);
    return taken;
}

static bool has(uint32_t msr) {
    return access(EXIT_RDMSR, msr, 0) == ACTION_NEXT;
}

static uint64_t worth(uint32_t msr) {
    CHECK_U64(access(EXIT_RDMSR, msr, 0), ACTION_NEXT);
    return v->regs[X86_RDX] << 32 | v->regs[X86_RAX];
}

/* SDM vol. 4, AMD BKDG: what a guest finds there, whatever it writes. */
TEST(constants) {
    static const struct {
        uint32_t msr, count;
        uint64_t value;
    } constants[] = {
        {0x17, 1, 0},                /* platform ID */
        {0x3a, 1, 1},                /* feature control: locked, nothing on */
        {0x8b, 1, 1ull << 32},       /* microcode's revision: 1 */
        {0xfe, 1, 0x508},            /* MTRR: eight, fixed ones, write-combining */
        {0x179, 1, 0},               /* machine check: no bank */
        {0x1d9, 1, 0},               /* debug control */
        {0xc0010000, 8, 0},          /* counters */
        {0xc0010010, 1, 0},          /* SYSCFG */
        {0xc0010015, 1, 0x1000000},  /* HWCR: the TSC's frequency is P0's */
        {0xc001001f, 1, 1ull << 46}, /* NB_CFG: extended configuration is on */
        {0xc0010055, 1, 0},          /* interrupt pending message */
    };
    v = fake_machine_start();
    memset(v->msr_slots, 0xa5, sizeof(v->msr_slots)); /* none of them is kept there */
    for (size_t i = 0; i < ARRAY_SIZE(constants); i++) {
        for (uint32_t n = 0; n < constants[i].count; n++) {
            (void)takes(constants[i].msr + n, UINT64_MAX);
            (void)takes(constants[i].msr + n, 0);
            CHECK_U64(worth(constants[i].msr + n), constants[i].value);
        }
    }
    for (size_t i = 0; i < MSR_SLOTS; i++) {
        CHECK_U64(v->msr_slots[i], 0xa5a5a5a5a5a5a5a5);
    }
}

/* Those that exist, in order, and their count; each other one is refused. */
TEST(what_there_is) {
    static const struct {
        uint32_t msr, count;
    } all[] = {
        {0x10, 1},       {0x17, 1},       {0x1b, 1},       {0x3a, 2},       {0x48, 2},
        {0x8b, 1},       {0xfe, 1},       {0x10a, 2},      {0x174, 3},      {0x179, 1},
        {0x1a0, 1},      {0x1d9, 1},      {0x200, 16},     {0x250, 1},      {0x258, 2},
        {0x268, 8},      {0x277, 1},      {0x2ff, 1},      {0x6e0, 1},      {0x800, 256},
        {0x4b564d04, 1}, {0xc0000080, 5}, {0xc0000100, 4}, {0xc0010000, 8}, {0xc0010010, 1},
        {0xc0010015, 1}, {0xc001001f, 1}, {0xc0010055, 1},
    };
    size_t at = 0;
    v = fake_machine_start();
    for (uint64_t msr = 0; msr <= UINT32_MAX; msr++) {
        while (at < ARRAY_SIZE(all) && msr >= all[at].msr + (uint64_t)all[at].count) {
            at++;
        }
        bool there = at < ARRAY_SIZE(all) && msr >= all[at].msr;
        CHECK_U64(msr_policy_find((uint32_t)msr) != NULL, there);
        if (msr == 0x2000) {
            msr = 0x4b564cff;
        } else if (msr == 0x4b564dff) {
            msr = 0xbfffffff;
        } else if (msr == 0xc0020000) {
            msr = 0xfffffff0;
        }
    }
}

TEST(what_passes) {
    static const uint32_t both[] = {0x174,      0x175,      0x176,      0x277,
                                    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                    0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103};
    v = fake_machine_start();
    uint32_t all = hvm->features;
    hvm->features |= HVM_SPEC_CTRL_PASSES | HVM_EFER_PASSES;
    for (size_t i = 0; i < msr_policy_count; i++) {
        const struct msr_policy *p = &msr_policies[i];
        bool pass = p->msr == 0x48 || p->msr == 0xc0000080;
        for (size_t b = 0; b < ARRAY_SIZE(both); b++) {
            pass = pass || p->msr == both[b];
        }
        CHECK_U64(msr_policy_passes(p, false), pass || p->msr == 0x10);
        bool commands = p->msr == 0x49 || p->msr == 0x10b;
        CHECK_U64(msr_policy_passes(p, true), (pass && p->msr != 0xc0000080) || commands);
    }
    hvm->features = all;
    CHECK(!msr_policy_passes(msr_policy_find(0x48), true));
    CHECK(!msr_policy_passes(msr_policy_find(X86_MSR_EFER), false));
}

/* SDM "Extended Feature Enable Register": each bit needs its own of CPUID. */
TEST(efer_bits_follow_cpuid) {
    static const struct {
        uint64_t efer;
        unsigned cpuid; /* bit of 80000001h EDX */
    } bits[] = {{X86_EFER_SCE, 11}, {X86_EFER_NXE, 20}, {X86_EFER_LME, 29}};
    v = fake_machine_start();
    uint32_t *word = v->cpuid.entries[cpuid_find(&v->cpuid, 0x80000001, 0) - v->cpuid.entries].out;
    uint32_t before = word[3];
    fake_regs[HVM_CR0] = X86_CR0_PE;
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            fake_regs[HVM_EFER] = 0;
            word[3] = BIT32(bits[i].cpuid);
            bool may = BIT(bit) == bits[i].efer || BIT(bit) == X86_EFER_LMA;
            CHECK_U64(takes(X86_MSR_EFER, BIT(bit)), may);
            CHECK_U64(fake_regs[HVM_EFER], may ? BIT(bit) : 0);
        }
        word[3] = ~BIT32(bits[i].cpuid);
        fake_regs[HVM_EFER] = 0;
        CHECK(!takes(X86_MSR_EFER, bits[i].efer));
    }
    word[3] = before;
}

TEST(efer_while_paging_is_on) {
    v = fake_machine_start();
    uint64_t now = X86_EFER_LME | X86_EFER_LMA;
    fake_regs[HVM_EFER] = now;
    CHECK(!takes(X86_MSR_EFER, X86_EFER_LMA)); /* LME is fixed */
    CHECK_U64(fake_regs[HVM_EFER], now);
    CHECK(takes(X86_MSR_EFER, now | X86_EFER_SCE));
    fake_regs[HVM_EFER] = 0;
    CHECK(!takes(X86_MSR_EFER, X86_EFER_LME));
    fake_regs[HVM_CR0] = X86_CR0_PE;
    CHECK(takes(X86_MSR_EFER, X86_EFER_LME));
    CHECK(takes(X86_MSR_EFER, 0));
}

/* What NX means to entries that the TLB holds has changed; of the others none does that. */
TEST(efer_flushes_for_nx) {
    v = fake_machine_start();
    uint64_t now = X86_EFER_LME | X86_EFER_LMA;
    fake_regs[HVM_EFER] = now;
    fake_flushed = false;
    CHECK(takes(X86_MSR_EFER, now | X86_EFER_SCE));
    CHECK(!fake_flushed);
    CHECK(takes(X86_MSR_EFER, now | X86_EFER_SCE | X86_EFER_NXE));
    CHECK(fake_flushed);
    fake_flushed = false;
    CHECK(takes(X86_MSR_EFER, now | X86_EFER_NXE));
    CHECK(!fake_flushed);
    CHECK(takes(X86_MSR_EFER, now));
    CHECK(fake_flushed);
}

/* The last find of each kind is remembered: never for another register, nor for another kind. */
TEST(one_after_the_other) {
    v = fake_machine_start();
    for (unsigned pass = 0; pass < 2; pass++) {
        CHECK_U64(worth(0x3a), 1);
        CHECK(!takes(0x3a, 0));
        CHECK_U64(worth(0xfe), 0x508);
        CHECK(takes(0x8b, 0));
        CHECK(!takes(0xfe, 0));
        CHECK(!has(0x11));
        CHECK(!has(0x3a + 2));
        CHECK(has(0x3b));
        CHECK(takes(0x200, 6));
        CHECK(takes(0x20e, 5));
        CHECK_U64(worth(0x200), 6);
        CHECK_U64(worth(0x20e), 5);
    }
    CHECK_U64(v->public.refused[REFUSED_MSR], 8);
}

TEST_MAIN(T(constants), T(what_there_is), T(what_passes), T(efer_bits_follow_cpuid),
          T(efer_while_paging_is_on), T(efer_flushes_for_nx), T(one_after_the_other))
