/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest and a hostile device: random steps of the guest's against two passed-through
 * functions, of which the one may have anything in its configuration space and in its table, or
 * answer anything, and a core that refuses at random. Nothing may assert, what is asked of the core
 * has to mean something (fake_pci() judges), and what the compartment believes of it has to be so.
 * The input is a stream of bytes: from a seed here, from libFuzzer in `make fuzz`.
 */
#include "tests/unit/fake_input.h"
#include "tests/unit/fake_passed.h"

#define ROUNDS 60u
#define STEPS  10000u /* of a round */
#define ODD    12u    /* words of the device that are something else */

/* What the platform believes of the core is so. */
static void check_mapped(void) {
    for (unsigned i = 0; i < REALS * ABI_PCI_BARS; i++) {
        const struct passed *p = &fake_pc.pcis[i / ABI_PCI_BARS];
        const struct passed_bar *bar = &p->bars[i % ABI_PCI_BARS];
        uint64_t mapped = reals[i / ABI_PCI_BARS].mapped[i % ABI_PCI_BARS];
        CHECK_U64(mapped, bar->there ? bar->address : 0);
        CHECK(mapped == 0 || (p->pci.command & PCI_MEMORY_ON) != 0);
    }
    for (unsigned i = 0; i < REALS; i++) {
        CHECK_U64(reals[i].command, fake_pc.pcis[i].pci.command & MEMORY_MASTER);
        CHECK_U64(reals[i].messages, fake_pc.pcis[i].told);
    }
    ASSERT(test_failures == 0); /* which the fuzzer knows of */
}

static void step_device(uint64_t what, uint64_t value) {
    if ((what & 2) != 0) {
        reals[what & 1].config[(what >> 16) % 64] = (uint32_t)value;
    } else {
        reals[NIC].pages[(what >> 16) % HELD_SIZE] = (uint8_t)value;
    }
}

static void step(void) {
    static const uint32_t likely[] = {PCI_COMMAND, BAR(0), BAR(2), MSI_CAP, MSIX_CAP, BAR(4)};
    uint64_t what = random_word(), value = random_word();
    unsigned function = what & 1, size = 1u << (what >> 1 & 3);
    uint32_t reg = (what >> 8 & 1) != 0 ? likely[(what >> 16) % ARRAY_SIZE(likely)]
                                        : (uint32_t)(what >> 16) % (2 * PCI_CONFIG_SIZE);

    if ((what >> 9 & 1) != 0) {
        value = (value & 0x0fffffff) | 0xd0000000;
    }
    refuse_map = (what >> 10 & 15) == 0;
    refuse_vector = (what >> 14 & 3) == 0;
    switch (what >> 60) {
    case 0:
        held_write(value % HELD_SIZE, size, what);
        break;
    case 1:
        (void)held_read(value % HELD_SIZE, size);
        break;
    case 2:
        held_write(TABLE + value % (16 * REAL_SIZE) / 4 * 4, 4, what >> 16);
        break;
    case 3:
        fake_time += what >> 16 & 0xfff;
        (void)platform_service(&fake_pc, fake_time);
        platform_end_interrupt(&fake_pc, (uint8_t)what);
        break;
    case 4:
        (void)get(function, reg, size);
        break;
    case 5:
        step_device(what, value);
        break;
    default:
        set(function, reg, size, value);
    }
}

static void begin(bool lies) {
    fake_passed_start();
    for (unsigned i = 0; i < ODD; i++) {
        uint64_t word = random_word();
        reals[word & 1].config[(word >> 8) % 64] = (uint32_t)(word >> 32);
    }
    answers_garbage = lies; /* its chain of capabilities as well */
    fake_pc_start();
}

static void run(unsigned steps, bool lies) {
    begin(lies);
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        step();
        check_mapped();
    }
    set(NIC, PCI_COMMAND, 4, 0);
    set(OLD, PCI_COMMAND, 4, 0);
    check_mapped();
}

#ifdef FUZZ
static void run_input(bool other) {
    run(UINT32_MAX, other);
}
#else
TEST(random_steps) {
    unsigned maps = 0, vectors = 0;

    input_seed = 0x9e3779b97f4a7c15;
    for (unsigned round = 0; round < ROUNDS; round++) {
        run(STEPS, (round & 1) != 0);
        maps += asked[PCI_CALL_MAP];
        vectors += asked[PCI_CALL_VECTOR];
    }
    CHECK(maps > 1000 && vectors > 1000); /* they did come that far */
}

TEST_MAIN(T(random_steps))
#endif
