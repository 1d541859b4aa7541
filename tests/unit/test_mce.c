/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose a machine check is: made-up banks, for the judgement and for the handler of the exit.
 */
#include "fake_log.h"
#include "fake_machine.h"

#define MEMORY_ERROR (MCE_VALID | MCE_UC | MCE_ENABLED | MCE_MISCV | MCE_ADDRV)
/* A data load, action required. */
#define RECOVERABLE  (MEMORY_ERROR | MCE_SIGNALED | MCE_ACTION | 0x134)
#define PHYSICAL     (2 << 6)
#define MULTIMATCH   0xb600000000010015ull

#define RAM_BASE 0x40000000ull
#define RAM_SIZE (4 * MIB)
static const struct plan_region regions[] = {
    {GPA(0), HPA(RAM_BASE), RAM_SIZE},
    {GPA(4 * GIB), HPA(0x80000000), RAM_SIZE},
};
static const struct gmem mem = {regions, ARRAY_SIZE(regions)};

static struct mce one_bank(uint64_t status, uint64_t address, uint64_t misc) {
    return (struct mce){.recovers = true,
                        .global = MCE_RIPV | MCE_EIPV | MCE_MCIP,
                        .count = 1,
                        .banks = {{.status = status, .address = address, .misc = misc}}};
}

TEST(only_bad_memory_of_the_guest_is_the_guests) {
    struct mce m = one_bank(RECOVERABLE, RAM_BASE + 64, PHYSICAL | 6);
    CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
    CHECK_U64(mce_judge(&m, NULL), MCE_PANIC); /* the hypervisor used it */
    m.banks[0].address = RAM_BASE + RAM_SIZE;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].address = 0x80000fff; /* bits below the lowest valid one do not count */
    m.banks[0].misc = PHYSICAL | 12;
    CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
    m.banks[0].misc = PHYSICAL | 30; /* more than the guest's */
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].misc = PHYSICAL | 0x3f;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].misc = 6; /* an offset into a segment */
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
}

TEST(damage_is_never_the_guests) {
    static const struct {
        uint64_t set, clear;
    } cases[] = {
        {MCE_PCC, 0},
        {MCE_OVERFLOW, 0},
        {0, MCE_ADDRV},
        {0, MCE_MISCV},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t status = (RECOVERABLE | cases[i].set) & ~cases[i].clear;
        struct mce m = one_bank(status, RAM_BASE, PHYSICAL | 6);
        CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    }
    struct mce m = one_bank(RECOVERABLE, RAM_BASE, PHYSICAL | 6);
    m.global = MCE_MCIP;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m = one_bank(RECOVERABLE, RAM_BASE, PHYSICAL | 6);
    m.recovers = false; /* an older CPU tells nothing of the kind */
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m = one_bank(RECOVERABLE, RAM_BASE, PHYSICAL | 6);
    m.banks[m.count++] = (struct mce_bank){.index = 1, .status = RECOVERABLE | MCE_PCC};
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC); /* one bank of two */
    m.banks[1].status = RECOVERABLE & ~MCE_ADDRV;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC); /* the first one's address is not the second one's */
}

TEST(what_is_corrected_goes_on) {
    struct mce m = one_bank(MEMORY_ERROR & ~MCE_UC, 0, 0);
    CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);
    CHECK_U64(mce_judge(&m, NULL), MCE_GO_ON);
    m = one_bank(MEMORY_ERROR, 0, 0); /* uncorrected, but nobody has used it: not signaled */
    CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);
    m.recovers = false;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m = (struct mce){.global = MCE_RIPV}; /* another CPU's: Intel tells all of them */
    CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);
    m.global = 0;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
}

/* Found by a scrubber or on its way out of a cache: whoever uses it will be told. */
TEST(what_nobody_has_used_goes_on) {
    struct mce m = one_bank(RECOVERABLE & ~MCE_ACTION, RAM_BASE, PHYSICAL | 6);
    CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);
    CHECK_U64(mce_judge(&m, NULL), MCE_GO_ON);
    CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
    m.banks[0].status |= MCE_OVERFLOW;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].status ^= MCE_OVERFLOW;
    m.recovers = false;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
}

/* Threads of a core share the bank, and all CPUs are interrupted: the one that has not used what is
 * bad goes on, whoever runs on it, and does not clear what the other has still to read. */
TEST(a_sibling_goes_on) {
    struct mce m = one_bank(RECOVERABLE, RAM_BASE, PHYSICAL | 6);
    CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
    m.global = MCE_RIPV | MCE_MCIP;
    CHECK(mce_is_of_sibling(&m, &m.banks[0]));
    CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);
    CHECK_U64(mce_judge(&m, NULL), MCE_GO_ON);
    m.banks[0].address = RAM_BASE + RAM_SIZE; /* another guest's */
    CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);

    static const uint64_t damage[] = {MCE_PCC, MCE_OVERFLOW};
    for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
        m.banks[0].status = RECOVERABLE | damage[i];
        CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
        CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    }
    static const uint64_t needed[] = {MCE_UC, MCE_SIGNALED, MCE_ACTION};
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) { /* nobody has used it: not a sibling either */
        m.banks[0].status = RECOVERABLE & ~needed[i];
        CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
        CHECK_U64(mce_judge(&m, &mem), MCE_GO_ON);
    }
    m.banks[0].status = RECOVERABLE;
    m.global = MCE_MCIP; /* neither can it go on */
    CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.global = MCE_RIPV;
    m.recovers = false;
    CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
    m.recovers = m.amd = true;
    CHECK(!mce_is_of_sibling(&m, &m.banks[0]));
}

TEST(amd_tells_of_poison) {
    struct mce m = one_bank(MEMORY_ERROR | MCE_POISON, RAM_BASE, 0);
    m.amd = true;
    m.recovers = false;
    CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
    m.banks[0].index = 1;
    CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
    m.banks[0].index = 2;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].index = 15; /* a memory controller's address is none of the machine's */
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].index = 1;
    m.banks[0].status &= ~MCE_POISON;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
}

TEST(two_entries_for_one_address) {
    struct mce m = one_bank(MULTIMATCH, 0x1234, 0);
    m.amd = m.tlb_multimatch = true;
    m.global = MCE_MCIP;
    CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
    m.banks[0].status |= MCE_OVERFLOW;
    CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
    CHECK_U64(mce_judge(&m, NULL), MCE_PANIC);
    m.banks[0].index = 1;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].index = 0;
    m.banks[0].status |= BIT(0) | BIT(3);
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    m.banks[0].status = MULTIMATCH;
    m.tlb_multimatch = false;
    CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
}

TEST(in_words) {
    static const struct {
        uint64_t status;
        const char *text;
    } cases[] = {
        {RECOVERABLE, "uncorrected, cache"},
        {MULTIMATCH, "uncorrected, TLB, the CPU's state is damaged"},
        {MCE_VALID | 0x1009f, "corrected, memory"},
        {MCE_VALID | 0x109f, "corrected, memory"}, /* the filter */
        {MCE_VALID | MCE_UC | MCE_POISON | 0x0e0f, "uncorrected, bus or interconnect, poison"},
        {MCE_VALID | MCE_OVERFLOW | 0x0400, "corrected, core hung, there were more"},
        {MCE_VALID | 0x0402, "corrected, internal"},
        {MCE_VALID | 0x8000, "corrected, unknown source"},
        {MCE_VALID, "corrected, no code"},
    };
    char text[80];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        mce_describe(&(struct mce_bank){.status = cases[i].status}, text, sizeof(text));
        CHECK_STR(text, cases[i].text);
    }
    mce_describe(&(struct mce_bank){.status = UINT64_MAX & ~0xffffull}, text, sizeof(text));
    CHECK(strlen(text) < sizeof(text) - 1);
}

TEST(the_exit_stops_one_guest_or_goes_on) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_HOST_MCE};
    fake_mce = (struct mce){.global = MCE_RIPV};
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(fake_mces_cleared, 1);
    CHECK_U64(v->vm->leave, LEAVE_NONE);

    uint64_t bad = v->vm->mem.regions[0].hpa.v + 2 * MIB;
    fake_mce = one_bank(RECOVERABLE, bad, PHYSICAL | 6);
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_U64(fake_mces_cleared, 2);
    CHECK_U64(v->vm->leave, LEAVE_CRASH);
    CHECK_STR(v->vm->leave_reason, "machine check: bad memory [BH3044]");

    v = fake_machine_start();
    fake_mce = one_bank(MULTIMATCH, 0, 0);
    fake_mce.amd = fake_mce.tlb_multimatch = true;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK_STR(v->vm->leave_reason, "machine check: erratum 383 [BH3045]");
}

static uint64_t no_time(void) {
    return 0;
}
static const struct log_hooks hooks = {no_time, plat_cpu, keep, NULL};

/* Whatever comes of it, the log says what the banks have told; of one that goes on, at times. */
TEST(the_log_tells_of_each_bank) {
    struct vcpu *v = fake_machine_start();
    struct vmexit x = {.kind = EXIT_HOST_MCE};
    uint64_t bad = v->vm->mem.regions[0].hpa.v + 2 * MIB;
    log_init(&hooks, LOG_INFO);
    told[0] = '\0';
    fake_mce = one_bank(RECOVERABLE, bad, PHYSICAL | 6);
    fake_mce.banks[0].index = 3;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(strstr(told, "stopped: machine check: bad memory") != NULL);
    CHECK(strstr(told, "machine check: bank 3, uncorrected, cache") != NULL);

    v = fake_machine_start();
    told[0] = '\0';
    fake_mce = one_bank(RECOVERABLE & ~MCE_UC, bad, PHYSICAL | 6);
    fake_mce.count = 2;
    fake_mce.banks[1] = fake_mce.banks[0];
    fake_mce.banks[1].index = 7;
    CHECK_U64(fake_exit(v, &x), ACTION_RETRY);
    CHECK(strstr(told, "machine check, it goes on (0 more not shown)") != NULL);
    CHECK(strstr(told, "machine check: bank 0, corrected, cache") != NULL);
    CHECK(strstr(told, "machine check: bank 7, corrected, cache") != NULL);
    log_init(NULL, LOG_ERROR);
}

/* Where a bank does not say what is bad, that of the one before it is not taken for it. */
TEST(one_banks_block_is_not_the_nexts) {
    static const struct {
        bool amd;
        uint64_t without, misc;
        uint32_t index;
    } cases[] = {
        {false, MCE_ADDRV, PHYSICAL | 6, 1},
        {false, MCE_MISCV, PHYSICAL | 6, 1},
        {false, 0, 6, 1},
        {false, 0, PHYSICAL | 31, 1},
        {true, MCE_ADDRV, 0, 1},
        {true, MCE_POISON, 0, 1},
        {true, 0, 0, 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t status = RECOVERABLE | (cases[i].amd ? MCE_POISON : 0);
        struct mce m = one_bank(status, RAM_BASE, PHYSICAL | 6);
        m.amd = cases[i].amd;
        CHECK_U64(mce_judge(&m, &mem), MCE_STOP_GUEST);
        m.banks[m.count++] = (struct mce_bank){.index = cases[i].index,
                                               .status = status & ~cases[i].without,
                                               .address = RAM_BASE,
                                               .misc = cases[i].misc};
        CHECK_U64(mce_judge(&m, &mem), MCE_PANIC);
    }
}

TEST_MAIN(T(one_banks_block_is_not_the_nexts), T(only_bad_memory_of_the_guest_is_the_guests),
          T(damage_is_never_the_guests), T(what_is_corrected_goes_on),
          T(what_nobody_has_used_goes_on), T(a_sibling_goes_on), T(amd_tells_of_poison),
          T(two_entries_for_one_address), T(in_words), T(the_exit_stops_one_guest_or_goes_on),
          T(the_log_tells_of_each_bank))
