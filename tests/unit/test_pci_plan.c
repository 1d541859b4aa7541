/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The config's key pci against a made-up machine: what is given, what is refused and in which
 * words; and that plan_check() sees each rule that a wrong plan breaks.
 */
#include "config/pci.h"
#include "hv/plan/pci_check.h"
#include "hv/plan/plan.h"
#include "tests/unit/fake_pci.h"
#include "tests/unit/machine.h"

#define TWO      GUEST("alpha", "0", "64M") "%s\n" GUEST("beta", "1", "64M") "%s\n"
#define ONE(pci) GUEST("alpha", "0", "64M") pci "\n"

/*
 * 00:01.0 a host bridge; 00:02.0 and .1 a card of two functions; 00:03.0 one that cannot be reset;
 * 00:04.0 and .1 a card of which the second cannot be reset; 00:05.0 a port, 01:00.0 a card behind
 * it; 00:06.0 and 00:07.0 the same card twice, of another kind.
 */
static void make_devices(void) {
    make_machine();
    fake_pci_iommu(&machine);
    fake_pci_add(AT(0, 1, 0), 0x80860001, 0x060000);
    fake_pci_several(fake_pci_card(AT(0, 2, 0), 0xc0000000));
    fake_pci_card(AT(0, 2, 1), 0xc1000000)->regs[0] = 0x10d48086;
    fake_pci_add(AT(0, 3, 0), 0x80860003, 0x020000);
    struct fake_pci *half = fake_pci_card(AT(0, 4, 0), 0xc2000000);
    half->regs[0] = 0x00048086;
    fake_pci_several(half);
    fake_pci_add(AT(0, 4, 1), 0x80860005, 0x020000);
    fake_pci_port(AT(0, 5, 0), 1, true);
    fake_pci_card(AT(0, 6, 0), 0xc3000000)->regs[0] = 0x000a1b36;
    fake_pci_card(AT(0, 7, 0), 0xc4000000)->regs[0] = 0x000a1b36;
    fake_pci_card(AT(1, 0, 0), 0xc5000000)->regs[0] = 0x00101b36;
    pci_list_all(&machine, &fake_space);
    pci_group_all(&machine);
    pci_judge_all(&machine);
}

enum { HOST, CARD_0, CARD_1, NO_RESET, HALF_0, HALF_1, PORT, SAME_0, SAME_1, BEHIND };

static void configure_two(const char *alpha, const char *beta) {
    char text[1024];
    snprintf(text, sizeof(text), TWO, alpha, beta);
    make_devices();
    configure(text);
}

/* ---- what is given ---- */

TEST(given_by_address_and_by_id) {
    configure_two("pci = ['01:00.0', '8086:10d3', '0000:00:02.1']", "pci = ['00:06.0']");
    CHECK(build() == STATUS_OK);
    show_faults();
    CHECK_U64(plan.vms[0].pci_count, 3);
    CHECK_U64(plan.vms[0].pcis[0], BEHIND);
    CHECK_U64(plan.vms[0].pcis[1], CARD_0);
    CHECK_U64(plan.vms[0].pcis[2], CARD_1);
    CHECK_U64(plan.vms[1].pci_count, 1);
    CHECK_U64(plan.vms[1].pcis[0], SAME_0);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    show_faults();
}

static void give_messages(unsigned index, struct boot_pci_msix msix) {
    machine.pci[index].msix = msix;
    machine.pci[index].at_msix = 0xb0;
    machine.pci[index].bars[0] =
        (struct boot_pci_bar){.base = 0xd8000000, .size = 0x8000, .wide = true};
}

/* What the compartment gets: BARs, and windows onto the pages with the messages. */
TEST(its_compartment_gets_the_pages_with_messages) {
    static const struct {
        struct boot_pci_msix msix;
        unsigned count;
        uint32_t offset[2], size[2];
    } cases[] = {
        {{4, 0, 0, 0x2000, 0x2800}, 1, {0x2000}, {0x1000}}, /* in one page */
        {{4, 0, 0, 0x2000, 0x3000}, 1, {0x2000}, {0x2000}}, /* in two that are neighbours */
        {{4, 0, 0, 0x5000, 0x3000}, 2, {0x5000, 0x3000}, {0x1000, 0x1000}},
        {{4, 0, 0, 0x4ff0, 0x7ff8}, 2, {0x4000, 0x7000}, {0x2000, 0x1000}},
        {{4, 0, 0, 0x8000, 0x3000}, 0, {0}, {0}}, /* behind its BAR */
        {{4, 0, 3, 0x2000, 0x3000}, 0, {0}, {0}}, /* where it has none */
        {{4, 6, 0, 0x2000, 0x3000}, 0, {0}, {0}},
        {{4, 0, 0, 0xfffffff8, 0x3000}, 0, {0}, {0}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        configure_two("pci = ['01:00.0']", "");
        give_messages(BEHIND, cases[i].msix);
        CHECK(build() == STATUS_OK);
        const struct abi_pci *pci = &plan.vms[0].devices.pcis[0];
        CHECK_U64(plan.vms[0].devices.pci_count, 1);
        CHECK_U64(pci->bars[0].size, 0x8000);
        CHECK(pci->bars[0].wide);
        CHECK_U64(plan.vms[0].window_count, cases[i].count);
        CHECK_U64(pci->vectors, cases[i].count != 0 ? 4 : 0);
        CHECK_U64(pci->msix, cases[i].count != 0 ? 0xb0 : 0);
        for (unsigned n = 0; n < cases[i].count; n++) {
            const struct plan_window *w = &plan.vms[0].windows[n];
            CHECK_U64(w->kind, PLAN_DEVICE);
            CHECK_U64(w->hpa.v, 0xd8000000 + cases[i].offset[n]);
            CHECK_U64(pci->held[n].offset, cases[i].offset[n]);
            CHECK_U64(pci->held[n].size, cases[i].size[n]);
        }
        CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    }
}

/* bhcheck without a description of the machine. */
/* The pages of MSI-X: of its table and its pending bits, in one piece or in two. */
TEST(pages_that_are_held) {
    static const struct {
        struct boot_pci_msix msix; /* count, bars of both, offsets of both */
        struct boot_pci_pages held[BOOT_PCI_HELD];
    } rows[] = {
        {{0, 0, 0, 0, 0}, {{0, 0, 0}}},
        {{1, 0, 0, 0, 0x800}, {{0, 0, 0x1000}}},
        {{64, 0, 0, 0, 0x1000}, {{0, 0, 0x2000}}},
        {{64, 0, 0, 0x1000, 0}, {{0, 0, 0x2000}}},
        {{64, 0, 0, 0x2000, 0}, {{0, 0x2000, 0x1000}, {0, 0, 0x1000}}},
        {{64, 0, 2, 0, 0}, {{0, 0, 0x1000}, {2, 0, 0x1000}}},
        {{256, 0, 0, 0, 0x8000}, {{0, 0, 0x1000}, {0, 0x8000, 0x1000}}},
        {{257, 0, 0, 0, 0x8000}, {{0, 0, 0x2000}, {0, 0x8000, 0x1000}}},
        {{64, 0, 0, 0x8000, 0xff8}, {{0, 0x8000, 0x1000}, {0, 0, 0x1000}}},
        {{65, 0, 0, 0x8000, 0xff8}, {{0, 0x8000, 0x1000}, {0, 0, 0x2000}}},
        {{1, 2, 2, 0x3000, 0x3ff8}, {{2, 0x3000, 0x1000}}},
        {{1, 2, 2, 0x4000, 0}, {{0, 0, 0}}},
        {{1, 2, 2, 0, 0x4000}, {{0, 0, 0}}},
        {{1, 1, 0, 0, 0}, {{0, 0, 0}}},
        {{1, 0, 1, 0, 0}, {{0, 0, 0}}},
        {{1, BOOT_PCI_BARS, 0, 0, 0}, {{0, 0, 0}}},
        {{1, 0, BOOT_PCI_BARS, 0, 0}, {{0, 0, 0}}},
    };
    struct boot_pci f = {
        .bars = {
            [0] = {.size = 0x10000}, [1] = {.size = 0x1000, .io = true}, [2] = {.size = 0x4000}}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct boot_pci_pages held[BOOT_PCI_HELD];
        memset(held, 0xa5, sizeof(held));
        f.msix = rows[i].msix;
        CHECK_U64(boot_pci_held(&f, held), rows[i].held[0].size != 0);
        for (unsigned n = 0; n < BOOT_PCI_HELD; n++) {
            CHECK_U64(held[n].bar, rows[i].held[n].bar);
            CHECK_U64(held[n].offset, rows[i].held[n].offset);
            CHECK_U64(held[n].size, rows[i].held[n].size);
        }
    }
}

TEST(nobody_knows_the_machine) {
    configure_two("pci = ['0f:00.0']", "");
    machine.pci_listed = false;
    CHECK(build() == STATUS_OK);
    CHECK_U64(plan.vms[0].pci_count, 0);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
}

/* ---- what is refused ---- */

TEST(missing) {
    configure_two("pci = ['0f:00.0', '8086:10d9']", "pci = ['1234:5678', '0001:01:00.0']");
    FAULTS({"6:8:", "guest \"alpha\": there is no PCI device 0f:00.0; did you mean"},
           {"6:19:", "there is no PCI device 8086:10d9; did you mean 8086:10d3?"},
           {"12:8:", "guest \"beta\": there is no PCI device 1234:5678; the pre-flight lists"},
           {"12:21:", "there is no PCI device 0001:01:00.0; the pre-flight lists"});
}

TEST(several_of_an_id) {
    configure_two("pci = ['1b36:000a']", "");
    FAULTS({"6:8:",
            "PCI device 1b36:000a is there 2 times: 00:06.0, 00:07.0; name one by its address"});
}

TEST(given_twice) {
    configure_two("pci = ['01:00.0', '1b36:0010']", "pci = ['0000:01:00.0']");
    FAULTS({"6:19:", "01:00.0 was given to guest \"alpha\" already, on line 6; name it once"},
           {"12:8:", "guest \"beta\": PCI device 01:00.0 was given to guest \"alpha\" already"});
}

TEST(cannot_be_given) {
    configure_two("pci = ['00:03.0', '00:01.0', '00:05.0']", "pci = ['00:04.0', '00:04.1']");
    FAULTS({"6:8:", "PCI device 00:03.0 cannot be given to a guest: it cannot be reset"},
           {"6:19:", "PCI device 00:01.0 cannot be given to a guest: part of the chipset"},
           {"6:30:", "PCI device 00:05.0 cannot be given to a guest: a bridge"},
           {"12:8:", "PCI device 00:04.0 cannot be given to a guest: its group has 00:04.1"},
           {"12:19:", "PCI device 00:04.1 cannot be given to a guest: it cannot be reset"});
    configure_two("pci = ['01:00.0']", "");
    machine.dma.unit_count = 0;
    pci_judge_all(&machine);
    FAULTS(
        {"6:8:", "PCI device 01:00.0 cannot be given to a guest: no IOMMU is in use; switch on"});
    configure_two("pci = ['01:00.0']", "");
    machine.dma.interrupts = false;
    pci_judge_all(&machine);
    FAULTS({"6:8:", "PCI device 01:00.0 cannot be given to a guest: interrupts are not remapped"});
    configure_two("pci = ['01:00.0']", "");
    machine.dma.partial = true;
    pci_judge_all(&machine);
    FAULTS({"6:8:", "PCI device 01:00.0 cannot be given to a guest: ACPI tells of unknown IOMMUs"});
}

TEST(each_reason_has_a_fix) {
    for (unsigned v = 0; v <= BOOT_PCI_ALONE; v++) {
        const struct boot_pci f = {.verdict = (enum boot_pci_verdict)v};
        CHECK(boot_pci_can_be_given(&f) || pci_fix(&f) != NULL);
    }
}

/* ---- large BARs ---- */

TEST(which_bars_are_high) {
    static const struct {
        struct boot_pci_bar bar;
        struct boot_pci_msix msix;
        bool high;
    } rows[] = {
        {{BIT(40), 64 * MIB, .wide = true}, {.count = 0}, true},
        {{BIT(40), BIT(40), .wide = true, .prefetchable = true}, {.count = 0}, true},
        {{BIT(40), 32 * MIB, .wide = true}, {.count = 0}, false},
        {{0x90000000, 64 * MIB, .wide = false}, {.count = 0}, false},
        {{0x90000000, 64 * MIB, .wide = true}, {.count = 0}, true}, /* wherever firmware put it */
        {{BIT(40), 64 * MIB, .wide = true, .io = true}, {.count = 0}, false},
        {{BIT(40) + 32 * MIB, 64 * MIB, .wide = true}, {.count = 0}, false},
        {{BIT(40), 96 * MIB, .wide = true}, {.count = 0}, false},
        {{0, 0, .wide = true}, {.count = 0}, false},
        {{BIT(40), 64 * MIB, .wide = true}, {1, 2, 0, 0, 0}, false},
        {{BIT(40), 64 * MIB, .wide = true}, {1, 0, 2, 0, 0}, false},
        {{BIT(40), 64 * MIB, .wide = true}, {1, 0, 0, 0, 0}, true},
        {{BIT(40), 64 * MIB, .wide = true}, {0, 2, 2, 0, 0}, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct boot_pci f = {.bars = {[2] = rows[i].bar}, .msix = rows[i].msix};
        CHECK_U64(boot_pci_is_high(&f, 2), rows[i].high);
    }
}

/* Alpha's card has these in its BARs 2 and 4, its other one BAR 2. */
static void give_large(uint64_t two, uint64_t four, uint64_t other) {
    configure_two("pci = ['01:00.0', '00:06.0']", "");
    machine.phys_bits = 39;
    machine.pci[BEHIND].bars[2] = (struct boot_pci_bar){BIT(46), two, .wide = true};
    machine.pci[BEHIND].bars[4] = (struct boot_pci_bar){BIT(47), four, .wide = true};
    machine.pci[SAME_0].bars[2] = (struct boot_pci_bar){BIT(45), other, .wide = true};
}

/* Above memory and all windows, at a multiple of the largest; the guest sees these alone as wide.
 */
TEST(a_place_for_large_ones) {
    static const struct {
        uint64_t two, four, other, base, size;
    } rows[] = {
        {64 * MIB, 0, 0, 4 * GIB, GIB},
        {256 * MIB, 64 * MIB, 512 * MIB, 4 * GIB, GIB},
        {GIB, 64 * MIB, 0, 4 * GIB, 2 * GIB},
        {16 * GIB, 64 * MIB, 16 * GIB, 16 * GIB, 33 * GIB},
        {64 * MIB, 128 * GIB, 32 * GIB, 128 * GIB, 161 * GIB},
        {256 * GIB, 0, 0, 256 * GIB, 256 * GIB},
        {32 * MIB, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        give_large(rows[i].two, rows[i].four, rows[i].other);
        machine.pci[BEHIND].bars[0].wide = true;
        CHECK(build() == STATUS_OK);
        show_faults();
        const struct plan_vm *vm = &plan.vms[0];
        CHECK_U64(vm->pci_high.v, rows[i].base);
        CHECK_U64(vm->pci_high_size, rows[i].size);
        CHECK_U64(vm->devices.pci_high, rows[i].base);
        CHECK_U64(vm->devices.pci_high_size, rows[i].size);
        CHECK_U64(vm->devices.pcis[0].bars[0].wide, rows[i].size == 0);
        CHECK_U64(vm->devices.pcis[0].bars[2].wide, true);
        CHECK_U64(vm->devices.pcis[0].bars[2].size, rows[i].two);
        CHECK_U64(plan.vms[1].pci_high_size, 0);
        CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
        show_faults();
    }
    give_large(64 * MIB, 0, 0);
    give_messages(SAME_0, (struct boot_pci_msix){4, 0, 0, 0x2000, 0x2800});
    CHECK(build() == STATUS_OK); /* after the page with the messages */
    CHECK_U64(plan.vms[0].windows[0].gpa.v, 4 * GIB);
    CHECK_U64(plan.vms[0].pci_high.v, 5 * GIB);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
}

TEST(no_place_for_large_ones) {
    give_large(256 * GIB, 64 * MIB, 0);
    FAULTS({"6:8:", "PCI device 01:00.0: the guest's devices have 262208M of registers in large"});
    give_large(256 * GIB, 64 * MIB, 0);
    machine.phys_bits = 40;
    CHECK(build() == STATUS_OK);
    give_large(64 * MIB, 64 * MIB, 128 * GIB);
    machine.phys_bits = 36;
    FAULTS({"6:19:", "have no room above its memory of 64M: this CPU's guests have addresses up to "
                     "64G; write less"});
}

TEST(more_than_the_window_takes) {
    static const char words[] =
        "the guest's devices have more registers in memory than the 256M that a guest has room for; give";
    configure_two("pci = ['01:00.0', '00:06.0']", "");
    machine.pci[BEHIND].bars[0] = (struct boot_pci_bar){.base = 0x2000000000, .size = 256 * MIB};
    FAULTS({"6:19:", words});
    configure_two("pci = ['01:00.0']", "");
    machine.pci[BEHIND].bars[0] = (struct boot_pci_bar){.base = 0x2000000000, .size = BIT(63)};
    FAULTS({"6:8:", words});
}

TEST(half_a_group) {
    configure_two("pci = ['01:00.0', '00:02.1']", "");
    FAULTS({"6:19:", "PCI device 00:02.1 is in a group with 00:02.0, which it can reach"});
    configure_two("pci = ['00:02.1']", "pci = ['00:02.0']");
    FAULTS({"6:8:", "PCI device 00:02.1 is in a group with 00:02.0, which it can reach"},
           {"12:8:", "PCI device 00:02.0 is in a group with 00:02.1, which it can reach"});
}

/* ---- plan_check() ---- */

static void good_plan(void) {
    configure_two("pci = ['00:02.0', '00:02.1']", "pci = ['01:00.0', '00:06.0']");
    CHECK(build() == STATUS_OK);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    CHECK_U64(faults.count, 0);
}

static void check_refused(const char *words) {
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_INVALID);
    bool said = false;
    for (uint32_t i = 0; i < faults.count; i++) {
        said = said || strstr(faults.faults[i].text, words) != NULL;
    }
    if (!said) {
        printf("# expected %s\n", words);
        show_faults();
    }
    CHECK(said);
}

TEST(checked_counts) {
    good_plan();
    plan.vms[0].pci_count = 1;
    check_refused("alpha has not the PCI devices of its config");
    good_plan();
    plan.vms[0].pci_count = CONFIG_MAX_PCI + 1;
    machine.config.guests[0].pci_count = CONFIG_MAX_PCI + 1;
    check_refused("alpha has not the PCI devices of its config");
    good_plan();
    machine.pci_listed = false;
    check_refused("alpha has not the PCI devices of its config");
    good_plan();
    machine.pci_count = BOOT_MAX_PCI; /* so many there may be */
    CHECK_U64(plan_check(&machine, &plan, report_plan), STATUS_OK);
    good_plan();
    machine.pci_count = BOOT_MAX_PCI + 1;
    check_refused("alpha has not the PCI devices of its config");
    good_plan();
    plan.vms[1].pcis[1] = plan.vms[1].pcis[0];
    check_refused("is there twice, or not at all");
    good_plan();
    plan.vms[1].pcis[1] = (uint16_t)machine.pci_count;
    check_refused("is there twice, or not at all");
}

TEST(checked_owners) {
    good_plan();
    plan.vms[1].pcis[1] = SAME_1; /* the config names its twin */
    check_refused("PCI function 8 of beta is another's, or its config does not name it");
    good_plan();
    machine.config.guests[1].pcis[1] = machine.config.guests[0].pcis[0];
    plan.vms[1].pcis[1] = CARD_0;
    check_refused("PCI function 1 of beta is another's");
    good_plan();
    plan.vms[0].pcis[plan.vms[0].pci_count] = BEHIND; /* what lies behind the last is not alpha's */
    CHECK_U64(plan_check(&machine, &plan, report_plan), STATUS_OK);
}

/* As many as one guest may have. */
TEST(checked_full) {
    char text[1024], *end = text;
    make_devices();
    end += sprintf(end, GUEST("alpha", "0", "64M") "pci = [");
    for (unsigned i = 0; i < CONFIG_MAX_PCI; i++) {
        fake_pci_card(AT(0, 8 + i, 0), 0xc6000000 + 0x100000 * i);
        end += sprintf(end, "'00:%02x.0',", 8 + i);
    }
    sprintf(end, "]\n");
    pci_list_all(&machine, &fake_space);
    pci_group_all(&machine);
    pci_judge_all(&machine);
    configure(text);
    CHECK_U64(build(), STATUS_OK);
    CHECK_U64(plan.vms[0].pci_count, CONFIG_MAX_PCI);
    CHECK_U64(plan_check(&machine, &plan, report_plan), STATUS_OK);
    show_faults();
}

TEST(checked_groups) {
    good_plan();
    machine.pci[NO_RESET].group = machine.pci[BEHIND].group;
    check_refused("PCI function 9 of beta can reach function 3, which is not its");
    good_plan();
    machine.pci[PORT].group = machine.pci[BEHIND].group; /* a bridge is nobody's */
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
}

TEST(checked_functions) {
    static const char words[] = "PCI function 9 of beta cannot be given to a guest";
    struct boot_pci *f = &machine.pci[BEHIND];
    good_plan();
    f->flr = f->bus_reset = false;
    check_refused(words);
    f->pm_reset = true;
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    f->keyboard = true;
    check_refused(words);
    good_plan();
    f->stick = true;
    check_refused(words);
    good_plan();
    f->reserved_dma = true;
    check_refused(words);
    good_plan();
    f->header = 1;
    check_refused(words);
    good_plan();
    machine.dma.unit_count = 0;
    check_refused(words);
    good_plan();
    machine.config.avoid = BIT32(AVOID_IOMMU);
    check_refused(words);
    good_plan();
    machine.dma.interrupts = false;
    check_refused(words);
    good_plan();
    machine.dma.partial = true;
    check_refused(words);
    good_plan();
    f->segment = 1;
    check_refused("PCI function 9 of beta is another's");
    good_plan();
    machine.pci_left_out = 1;
    check_refused(words);
}

TEST(checked_registers) {
    static const struct {
        uint64_t base, size;
        bool good;
    } rows[] = {
        {0xc8000000, 64 * KIB, true},
        {0, 64 * KIB, false},
        {0xc8000800, 2 * KIB, false},
        {0xc8000000, 2 * KIB, false},
        {0xfffffffffffff000, 0x1000, false}, /* more than an entry of a page table can name */
        {0xffffffffff000, 0x1000, false},
        {0xfffffffffe000, 0x2000, false},
        {0xfffffffffe000, 0x1000, true},
        {0xfffffffffffff000, 0x2000, false},
        {0xbffff000, 0x1000, false}, /* the last page of memory */
        {0xc6000000, 0x1000, true},
        {0xffffffff, 1, false},
        {0x13ffff000, 0x2000, false},
        {0x140000000, 0x1000, true},
        {0xfee00000, 0x1000, false},
        {0xfedff000, 0x1000, true},
        {0xfee01000, 0x1000, true},
        {0xd0000000, MIB, false}, /* the screen */
        {0xd0200000, MIB, true},
        {0xcff00000, MIB, true},
        {0xfed8f000, 0x1000, true},
        {0xfed90000, 0x1000, false},
        {0xfed91000, 0x1000, true},
        {0xfec00000, 0x1000, false},
        {0xfebff000, 0x1000, true},
        {0xfec01000, 0x1000, true},
        {0xc0000000, 0x1000, false}, /* of the other guest's card */
        {0xc001f000, 0x1000, false},
        {0xc0020000, 0x1000, true},
        {0xca000000, 0x1000, false}, /* not asked for its size */
        {0xca001000, 0x1000, true},
        {0xcb000000, 0x1000, false}, /* the first function's first register */
        {0xcc000000, 0x1000, true},
        {0xcc001000, 0x1000, false}, /* has a small one in it */
        {0xcc002000, 0x1000, true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        good_plan();
        machine.screen_count = 1;
        machine.screens[0] = (struct boot_framebuffer){.base = HPA(0xd0000000), .size = 2 * MIB};
        machine.ioapic_count = 1;
        machine.ioapics[0].base = HPA(0xfec00000);
        /* What lies behind the last of each is none. */
        machine.screens[1] = (struct boot_framebuffer){.base = HPA(0xd0200000), .size = 2 * MIB};
        machine.ioapics[1].base = HPA(0xfebff000);
        machine.ranges[machine.range_count] =
            (struct mem_range){.base = HPA(0xc8000000), .size = MIB, .kind = MEM_FREE};
        machine.dma.units[machine.dma.unit_count] =
            (struct boot_iommu){.base = HPA(0xfed91000), .size = PAGE_SIZE};
        machine.pci[HOST].bars[0] = (struct boot_pci_bar){.base = 0xcb000000, .size = PAGE_SIZE};
        machine.pci[HOST].bars[2] = (struct boot_pci_bar){.base = 0xcc001800, .size = 256};
        machine.pci[HOST].bars[3].base = 0xca000000;
        machine.pci[HOST].bars[4] =
            (struct boot_pci_bar){.base = 0xc8000000, .size = 32, .io = true};
        struct boot_pci_bar *bar = &machine.pci[BEHIND].bars[4];
        bar->base = rows[i].base;
        bar->size = rows[i].size;
        bool good = plan_check(&machine, &plan, report_plan) == STATUS_OK;
        if (good != rows[i].good) {
            printf("# row %u, 0x%llx\n", i, (ull)rows[i].base);
            show_faults();
        }
        CHECK(good == rows[i].good);
        bar->io = true; /* ports are no memory */
        CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    }
}

static void large_plan(void) {
    give_large(16 * GIB, 64 * MIB, GIB);
    CHECK(build() == STATUS_OK);
    CHECK_U64(plan.vms[0].pci_high.v, 16 * GIB);
    CHECK_U64(plan.vms[0].pci_high_size, 18 * GIB);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    CHECK_U64(faults.count, 0);
    plan.vms[0].budget_base = HPA(2 * GIB); /* for whatever is put there now */
    plan.vms[0].budget_size += MIB;
}

TEST(checked_window_for_large_ones) {
    static const struct {
        uint64_t base, size;
        uint32_t bits;
        bool good;
    } rows[] = {
        {16 * GIB, 18 * GIB, 39, true},
        {32 * GIB, 18 * GIB, 39, true},
        {16 * GIB, 19 * GIB, 39, true},
        {16 * GIB, 17 * GIB, 39, false},           /* too small */
        {16 * GIB, 18 * GIB + 2 * MIB, 39, false}, /* no whole GiB */
        {17 * GIB, 18 * GIB, 39, false},           /* no multiple of the largest */
        {16 * GIB + 2 * MIB, 18 * GIB, 39, false},
        {0, 18 * GIB, 39, false}, /* over memory */
        {0, 0, 39, false},
        {46 * GIB, 18 * GIB, 36, false},
        {48 * GIB, 16 * GIB, 36, false},
        {32 * GIB, 32 * GIB, 36, true},
        {32 * GIB, 32 * GIB, 0, true},
        {32 * GIB, 33 * GIB, 0, false},
        {64 * GIB, 18 * GIB, 36, false},
        {BIT(48) - 32 * GIB, 32 * GIB, 52, true},
        {BIT(48), 32 * GIB, 52, false},
        {BIT(63), BIT(63), 52, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        large_plan();
        plan.vms[0].pci_high = GPA(rows[i].base);
        plan.vms[0].pci_high_size = rows[i].size;
        machine.phys_bits = rows[i].bits;
        if (rows[i].good) {
            CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
            show_faults();
        } else {
            check_refused("alpha: the window of its BARs at 0x");
        }
    }
    /* Over a window of its compartment's. */
    give_large(64 * MIB, 0, 0);
    give_messages(SAME_0, (struct boot_pci_msix){4, 0, 0, 0x2000, 0x2800});
    CHECK(build() == STATUS_OK);
    plan.vms[0].pci_high = GPA(4 * GIB);
    check_refused("alpha: the window of its BARs");
    /* Over memory from 4 GiB on. */
    make_devices();
    machine.pci[BEHIND].bars[2] = (struct boot_pci_bar){BIT(46), 64 * MIB, .wide = true};
    configure(GUEST("alpha", "0", "3200M") "pci = ['01:00.0']\n");
    CHECK(build() == STATUS_OK);
    CHECK_U64(plan.vms[0].pci_high.v, 5 * GIB);
    CHECK(plan_check(&machine, &plan, report_plan) == STATUS_OK);
    plan.vms[0].pci_high = GPA(4 * GIB);
    check_refused("alpha: the window of its BARs");
    /* Of who has none. */
    large_plan();
    plan.vms[1].pci_high_size = GIB;
    plan.vms[1].pci_high = GPA(8 * GIB);
    check_refused("beta: the window of its BARs");
    /* What has to be below, and is too much. */
    large_plan();
    machine.pci[BEHIND].bars[1] = (struct boot_pci_bar){.base = 0x2000000000, .size = 256 * MIB};
    check_refused("alpha: the window of its BARs");
}

/* What a compartment's window to a device shows is whole in a register for memory of one that is
 * its VM's. */
TEST(pages_of_its_registers) {
    static struct boot_info info;
    const uint64_t base = 0xe0000000;
    const uint64_t size = 4 * PAGE_SIZE;
    struct plan_vm vm = {.pci_count = 1, .pcis = {1}};

    info.pci_count = 2;
    info.pci[0].bars[0] = (struct boot_pci_bar){.base = 0xd0000000, .size = size};
    info.pci[1].bars[0] = (struct boot_pci_bar){.base = 0xc000, .size = 2 * PAGE_SIZE};
    info.pci[1].bars[0].io = true;
    info.pci[1].bars[2] = (struct boot_pci_bar){.base = base, .size = size};
    CHECK(pci_has_pages(&info, &vm, base, size));
    CHECK(pci_has_pages(&info, &vm, base, PAGE_SIZE));
    CHECK(pci_has_pages(&info, &vm, base + PAGE_SIZE, size - PAGE_SIZE));
    CHECK(!pci_has_pages(&info, &vm, base + PAGE_SIZE, size));
    CHECK(!pci_has_pages(&info, &vm, base, size + PAGE_SIZE));
    CHECK(!pci_has_pages(&info, &vm, base - PAGE_SIZE, PAGE_SIZE));
    CHECK(!pci_has_pages(&info, &vm, base + size, PAGE_SIZE));
    CHECK(!pci_has_pages(&info, &vm, base + 16 * size, PAGE_SIZE));
    CHECK(!pci_has_pages(&info, &vm, 0xc000, PAGE_SIZE));     /* ports */
    CHECK(!pci_has_pages(&info, &vm, 0xd0000000, PAGE_SIZE)); /* another's */
    vm.pci_count = 2;                                         /* the other's as well */
    vm.pcis[1] = 0;
    CHECK(pci_has_pages(&info, &vm, base, size));
    CHECK(pci_has_pages(&info, &vm, 0xd0000000, PAGE_SIZE));
    CHECK(!pci_has_pages(&info, &vm, 0xd0000000 + size, PAGE_SIZE));
    vm.pci_count = 1;
    vm.pcis[0] = 2;
    CHECK(!pci_has_pages(&info, &vm, base, PAGE_SIZE));
    vm.pci_count = 0;
    CHECK(!pci_has_pages(&info, &vm, base, PAGE_SIZE));
}

TEST_MAIN(T(given_by_address_and_by_id), T(nobody_knows_the_machine), T(missing),
          T(several_of_an_id), T(given_twice), T(cannot_be_given), T(each_reason_has_a_fix),
          T(half_a_group), T(more_than_the_window_takes), T(which_bars_are_high),
          T(a_place_for_large_ones), T(no_place_for_large_ones), T(checked_window_for_large_ones),
          T(its_compartment_gets_the_pages_with_messages), T(checked_counts), T(checked_owners),
          T(checked_full), T(checked_groups), T(checked_functions), T(checked_registers),
          T(pages_of_its_registers), T(pages_that_are_held))
