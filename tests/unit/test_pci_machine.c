/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's PCI functions as boot/ finds them: what is read of a made-up configuration space,
 * and what is left as it was; groups; verdicts, and their words.
 */
#include "config/pci.h"
#include "tests/unit/fake_pci.h"

static struct boot_info info;
static char text[PCI_LINE_SIZE];

static void begin(void) {
    memset(&info, 0, sizeof(info));
    fake_pci_count = fake_pci_wrong = fake_pci_asked = 0;
    fake_pci_ports = false;
    info.ecam_count = 1;
    info.ecams[0] = (struct boot_ecam){.base = HPA(0xe0000000), .last_bus = 255};
    info.dma.unit_count = 1;
    info.dma.interrupts = true;
    info.dma.units[0] = (struct boot_iommu){.base = HPA(0xfed90000), .size = 4 * KIB};
    info.hpet_base = HPA(0xfed00000);
    info.ioapic_count = 1;
    info.ioapics[0].base = HPA(0xfec00000);
    info.range_count = 2;
    info.ranges[0] = (struct mem_range){HPA(MIB), 2 * GIB, MEM_FREE};
    info.ranges[1] = (struct mem_range){HPA(0xb0000000), 256 * MIB, MEM_RESERVED};
}

/* Lists, groups and judges; nothing may be left other than it was. */
static void look(void) {
    static struct fake_pci before[FAKE_FUNCTIONS];
    memcpy(before, fake_pci, sizeof(before));
    pci_list_all(&info, &fake_space);
    CHECK(memcmp(before, fake_pci, sizeof(before)) == 0);
    CHECK_U64(fake_pci_wrong, 0);
    pci_group_all(&info);
    pci_judge_all(&info);
}

static struct boot_pci *at(uint32_t function) {
    struct boot_pci *f = pci_find(&info, 0, function);
    static struct boot_pci none;
    CHECK(f != NULL);
    return f != NULL ? f : &none;
}

#define CHECK_VERDICT(function, words) CHECK_STR(pci_verdict(&info, at(function), text), words)

/* ---- the list ---- */

TEST(everything_is_read) {
    begin();
    fake_pci_port(AT(0, 0x1c, 0), 3, true);
    struct fake_pci *f = fake_pci_add(AT(3, 0, 0), 0x808610d3, 0x020000);
    fake_pci_bar(f, 0, 0xc0000000, 128 * KIB, 0);
    fake_pci_bar(f, 1, 0xc0020000, 4 * KIB, 8);
    fake_pci_bar(f, 2, 0x6020, 32, 1);
    fake_pci_bar(f, 3, 0x800000000, 16 * GIB, 4 | 8);
    fake_pci_cap(f, 0x01, 0, 2)[1] = BIT32(3);
    fake_pci_cap(f, 0x05, 3 << 1, 4);
    fake_pci_cap(f, 0x11, 0x8000 | 4, 3)[1] = 0x3;
    f->regs[0x58 / 4 + 2] = 0x2003;
    fake_pci_express(f, BOOT_PCI_ENDPOINT, true);
    f->kept[0x30 / 4] = 0xfffc0001;
    f->regs[0x30 / 4] = 0xc0040000;
    look();

    CHECK_U64(info.pci_count, 2);
    CHECK(info.pci_listed);
    const struct boot_pci *port = at(AT(0, 0x1c, 0)), *card = at(AT(3, 0, 0));
    CHECK_U64(port->express, BOOT_PCI_ROOT_PORT);
    CHECK_U64(port->header, 1);
    CHECK_U64(port->secondary, 3);
    CHECK_U64(port->subordinate, 3);
    CHECK_U64(port->parent, BOOT_PCI_NONE);
    CHECK(port->acs == 0x104 && port->acs_can == FAKE_ALL && port->acs_on == 0);

    CHECK_U64(card->vendor, 0x8086);
    CHECK_U64(card->device, 0x10d3);
    CHECK_U64(card->class, 0x020000);
    CHECK_U64(card->parent, 0);
    CHECK_U64(card->pin, 1);
    const struct boot_pci_bar want[] = {
        {.base = 0xc0000000, .size = 128 * KIB},
        {.base = 0xc0020000, .size = 4 * KIB, .prefetchable = true},
        {.base = 0x6020, .size = 32, .io = true},
        {.base = 0x800000000, .size = 16 * GIB, .wide = true, .prefetchable = true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        CHECK_U64(card->bars[i].base, want[i].base);
        CHECK_U64(card->bars[i].size, want[i].size);
        CHECK(card->bars[i].io == want[i].io && card->bars[i].wide == want[i].wide &&
              card->bars[i].prefetchable == want[i].prefetchable);
    }
    CHECK_U64(card->bars[4].size + card->bars[5].size, 0);
    CHECK_U64(card->rom_size, 256 * KIB);
    CHECK_U64(card->messages, 8);
    CHECK_U64(card->msix.count, 5);
    CHECK_U64(card->msix.table_bar, 3);
    CHECK_U64(card->msix.table, 0);
    CHECK_U64(card->msix.pending_bar, 3);
    CHECK_U64(card->msix.pending, 0x2000);
    CHECK_U64(card->express, BOOT_PCI_ENDPOINT);
    CHECK(card->flr && !card->af_flr && !card->pm_reset && card->bus_reset && !card->acs);
}

TEST(bars_of_all_shapes) {
    begin();
    struct fake_pci *f = fake_pci_add(AT(0, 1, 0), 0x12341111, 0x020000);
    fake_pci_bar(f, 0, 0xf000, 256, 1);
    f->kept[4] |= 0xffff0000; /* one that knows 32 bits of ports */
    fake_pci_bar(f, 1, 0xe000, 256, 1);
    f->kept[5] &= 0xffff; /* and one that knows 16 */
    fake_pci_bar(f, 2, 0, 64 * KIB, 0);
    fake_pci_bar(f, 3, 0x80000000, 2 * GIB, 0);
    fake_pci_bar(f, 5, 0xd0000000, MIB, 4); /* there is no register for its upper half */
    look();
    const struct boot_pci *card = at(AT(0, 1, 0));
    CHECK_U64(card->bars[0].size, 256);
    CHECK_U64(card->bars[1].size, 256);
    CHECK(card->bars[2].base == 0 && card->bars[2].size == 64 * KIB);
    CHECK_U64(card->bars[3].size, 2 * GIB);
    CHECK_U64(card->bars[4].size, 0);
    CHECK(!card->bars[5].wide && card->bars[5].base == 0xd0000000);
}

/* Others reach memory through these all the time. */
TEST(bridges_and_controllers_are_not_asked) {
    static const uint32_t classes[] = {0x060000, 0x080020, 0x080600};
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        begin();
        fake_pci_bar(fake_pci_add(AT(0, 0, 0), 0x80861234, classes[i]), 0, 0xfb000000, MIB, 0);
        look();
        CHECK_U64(fake_pci_asked, 0);
        CHECK_U64(at(0)->bars[0].base, 0xfb000000);
        CHECK_U64(at(0)->bars[0].size, 0);
        CHECK_VERDICT(0, "part of the chipset");
    }
    begin();
    struct fake_pci *bridge = fake_pci_port(AT(0, 1, 0), 1, true);
    fake_pci_bar(bridge, 0, 0xfa000000, 4 * KIB, 0);
    bridge->kept[0x38 / 4] = 0xffff0001;
    look();
    CHECK_U64(at(AT(0, 1, 0))->bars[0].size, 4 * KIB);
    CHECK_U64(at(AT(0, 1, 0))->bars[2].base, 0); /* bus numbers */
    CHECK_U64(at(AT(0, 1, 0))->rom_size, 64 * KIB);
}

TEST(resets) {
    begin();
    struct fake_pci *pm = fake_pci_add(AT(0, 1, 0), 0x80861000, 0x020000);
    fake_pci_cap(pm, 0x01, 0, 2);
    struct fake_pci *af = fake_pci_add(AT(0, 2, 0), 0x80861001, 0x020000);
    fake_pci_cap(af, 0x13, 0x0306, 2);
    struct fake_pci *half = fake_pci_add(AT(0, 3, 0), 0x80861002, 0x020000);
    fake_pci_cap(half, 0x13, 0x0206, 2); /* cannot say that it is idle */
    struct fake_pci *none = fake_pci_add(AT(0, 4, 0), 0x80861003, 0x020000);
    fake_pci_cap(none, 0x13, 0x0306, 2);
    none->regs[1] &= 0xffff; /* no capabilities, says its status */
    look();
    CHECK(at(AT(0, 1, 0))->pm_reset && !at(AT(0, 1, 0))->af_flr);
    CHECK(at(AT(0, 2, 0))->af_flr && !at(AT(0, 2, 0))->pm_reset);
    CHECK(!at(AT(0, 3, 0))->af_flr && !at(AT(0, 4, 0))->af_flr);
    CHECK_STR(pci_line(&info, at(AT(0, 1, 0)), text),
              "  00:01.0 8086:1000 Ethernet     0 PM    yes");
    CHECK_VERDICT(AT(0, 3, 0), "no: it cannot be reset");
}

TEST(lists_with_circles) {
    begin();
    struct fake_pci *f = fake_pci_card(AT(0, 1, 0), 0xc0000000);
    fake_pci_cap(f, 0x09, 0, 1);
    f->regs[0x50 / 4] = 0x4009; /* back to the first */
    f->regs[0x100 / 4] = 0x10010002;
    look();
    CHECK(at(AT(0, 1, 0))->flr && !at(AT(0, 1, 0))->acs);
}

/* Of capabilities above the first 256 bytes, and of what is on already. */
TEST(extended_lists) {
    begin();
    struct fake_pci *port = fake_pci_port(AT(0, 1, 0), 1, false);
    port->next_ext = 0x148;
    fake_pci_acs(port, FAKE_ALL, 0x11);
    port->regs[0x100 / 4] = 0x14820001;
    look();
    CHECK_U64(info.pci[0].acs, 0x14c);
    CHECK_U64(info.pci[0].acs_can, FAKE_ALL);
    CHECK_U64(info.pci[0].acs_on, 0x11);
}

TEST(only_the_ports) {
    begin();
    info.ecam_count = 0;
    fake_pci_ports = true;
    fake_pci_port(AT(0, 1, 0), 1, true);
    fake_pci_card(AT(1, 0, 0), 0xc0000000);
    look();
    CHECK_U64(info.pci_count, 2);
    CHECK(!at(AT(0, 1, 0))->acs);
    CHECK_U64(at(AT(1, 0, 0))->group, at(AT(0, 1, 0))->group); /* nobody knows better */
}

TEST(segments_and_buses) {
    begin();
    info.ecam_count = 2;
    info.ecams[0].last_bus = 0;
    info.ecams[1] = (struct boot_ecam){.segment = 1, .first_bus = 2, .last_bus = 3};
    fake_pci_card(AT(0, 1, 0), 0xc0000000);
    fake_pci_card(AT(1, 0, 0), 0xc1000000);
    for (unsigned bus = 1; bus < 5; bus++) {
        fake_pci_card(AT(bus, 0, 0), 0xc2000000 + bus * MIB)->segment = 1;
    }
    look();
    CHECK_U64(info.pci_count, 3);
    CHECK(pci_find(&info, 0, AT(1, 0, 0)) == NULL);
    const struct boot_pci *f = pci_find(&info, 1, AT(3, 0, 0));
    CHECK(f == &info.pci[2]);
    CHECK_STR(pci_address(f, text), "0001:03:00.0");
}

static bool has_dma(uint32_t segment, uint32_t function) {
    return (fake_pci_at(segment, function)->regs[1] & BIT32(2)) != 0;
}

/* In all segments but the first, also where the list has no room; but for what must go on. */
TEST(dma_of_other_segments_is_switched_off) {
    static const struct {
        uint32_t class;
        bool stays;
    } devices[] = {{0x020000, false}, {0x0c0330, false}, {0x030000, true}, {0x038000, true},
                   {0x060400, true},  {0x080010, true},  {0x080020, true}, {0x080600, true},
                   {0x080500, false}, {0x080100, false}, {0x010802, false}};
    begin();
    info.ecam_count = 2;
    info.ecams[0].last_bus = 0;
    info.ecams[1] = (struct boot_ecam){.segment = 3, .first_bus = 2, .last_bus = 3};
    (void)fake_pci_add(AT(0, 1, 0), 0x808610d3, 0x020000);
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        fake_pci_add(AT(2, i, 0), 0x808610d3, devices[i].class)->segment = 3;
    }
    fake_pci_add(AT(3, 0, 0), 0x808610d3, 0x020000)->segment = 3;
    fake_pci_several(fake_pci_at(3, AT(3, 0, 0)));
    fake_pci_add(AT(3, 0, 6), 0x808610d3, 0x020000)->segment = 3;
    fake_pci_at(3, AT(3, 0, 6))->regs[1] &= ~BIT32(2);
    fake_pci_add(AT(4, 0, 0), 0x808610d3, 0x020000)->segment = 3; /* behind no bus of the table */
    info.pci_stopped = 0;
    info.pci_count = 0;
    pci_stop_others(&info, &fake_space);
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        CHECK_U64(has_dma(3, AT(2, i, 0)), devices[i].stays);
        CHECK_U64(fake_pci_at(3, AT(2, i, 0))->regs[1] | BIT32(2), FAKE_STATUS | FAKE_COMMAND);
    }
    CHECK(has_dma(0, AT(0, 1, 0)) && !has_dma(3, AT(3, 0, 0)) && has_dma(3, AT(4, 0, 0)));
    CHECK_U64(info.pci_stopped, 6);
    CHECK_U64(fake_pci_wrong, 0);
}

TEST(one_device_behind_a_port) {
    begin();
    fake_pci_port(AT(0, 1, 0), 1, true);
    fake_pci_bridge(AT(0, 2, 0), 2, 2, -1);
    for (uint32_t bus = 1; bus <= 2; bus++) {
        fake_pci_card(AT(bus, 0, 0), 0xc0000000 + bus * MIB);
        fake_pci_card(AT(bus, 1, 0), 0xc4000000 + bus * MIB); /* on a link: the first one again */
    }
    look();
    CHECK_U64(info.pci_count, 5);
    CHECK(pci_find(&info, 0, AT(1, 1, 0)) == NULL);
    CHECK(at(AT(2, 1, 0))->parent == 1);
}

TEST(functions_of_a_device) {
    begin();
    fake_pci_card(AT(0, 1, 0), 0xc0000000);
    fake_pci_card(AT(0, 1, 1), 0xc1000000); /* the first does not say that there are more */
    fake_pci_several(fake_pci_card(AT(0, 2, 0), 0xc2000000));
    fake_pci_card(AT(0, 2, 7), 0xc3000000);
    look();
    CHECK_U64(info.pci_count, 3);
    CHECK(!at(AT(0, 1, 0))->several && at(AT(0, 2, 0))->several && at(AT(0, 2, 7))->several);
}

/* The bus is reset only under one that is alone on it, and for no bridge. */
TEST(alone_on_a_bus) {
    begin();
    fake_pci_port(AT(0, 1, 0), 1, true);
    fake_pci_port(AT(0, 2, 0), 2, true)->regs[6] = 0x00030200;
    fake_pci_several(fake_pci_card(AT(1, 0, 0), 0xc0000000));
    fake_pci_card(AT(1, 0, 1), 0xc1000000);
    fake_pci_bridge(AT(2, 0, 0), 3, 3, BOOT_PCI_TO_PCI);
    fake_pci_card(AT(0, 3, 0), 0xc2000000);
    look();
    CHECK_U64(info.pci_count, 6);
    for (uint32_t i = 0; i < info.pci_count; i++) {
        CHECK(!info.pci[i].bus_reset);
    }
}

/* A bridge that leads to its own bus, or nowhere yet, is nobody's parent. */
TEST(bridges_that_lead_back) {
    begin();
    fake_pci_bridge(AT(0, 1, 0), 0, 0, BOOT_PCI_ROOT_PORT);
    fake_pci_bridge(AT(1, 0, 0), 1, 1, BOOT_PCI_DOWNSTREAM);
    fake_pci_card(AT(0, 2, 0), 0xc0000000);
    fake_pci_card(AT(1, 2, 0), 0xc1000000);
    look();
    for (uint32_t i = 0; i < info.pci_count; i++) {
        CHECK_U64(info.pci[i].parent, BOOT_PCI_NONE);
    }
}

TEST(buses_named_twice) {
    begin();
    fake_pci_card(AT(0, 1, 0), 0xc0000000);
    info.ecam_count = 3;
    info.ecams[1] = info.ecams[2] = info.ecams[0];
    look();
    CHECK_U64(info.pci_count, 1);
    CHECK_VERDICT(AT(0, 1, 0), "yes");
}

/* All functions of all buses answer, with nothing in them. */
static uint32_t full_read(UNUSED uint32_t segment, UNUSED uint32_t function, uint32_t reg) {
    static const uint32_t regs[] = {0x10d38086, 0, 0x02000000, 0x00800000};
    return reg / 4 < ARRAY_SIZE(regs) ? regs[reg / 4] : 0;
}

static void full_write(UNUSED uint32_t segment, UNUSED uint32_t function, UNUSED uint32_t reg,
                       UNUSED uint32_t value) {
}

TEST(too_many) {
    static const struct pci_space full = {full_read, full_write};
    begin();
    info.ecams[0].last_bus = 1;
    pci_list_all(&info, &full);
    CHECK_U64(info.pci_count, BOOT_MAX_PCI);
    CHECK_U64(info.pci_left_out, 0);
    info.ecams[0].last_bus = 2;
    pci_list_all(&info, &full);
    CHECK_U64(info.pci_count, BOOT_MAX_PCI);
    CHECK_U64(info.pci_left_out, 256);
    for (uint32_t i = 0; i < info.pci_count; i++) {
        info.pci[i].flr = true;
    }
    pci_group_all(&info);
    pci_judge_all(&info);
    CHECK_VERDICT(AT(1, 31, 7), "no: the machine has too many devices");
    info.pci_left_out = 0;
    pci_judge_all(&info);
    CHECK_VERDICT(AT(1, 31, 7), "yes, with 01:1f.0 and 6 more");
}

/* ---- groups ---- */

static void check_groups(const uint16_t *want, uint32_t count) {
    CHECK_U64(info.pci_count, count);
    for (uint32_t i = 0; i < info.pci_count && i < count; i++) {
        if (info.pci[i].group != want[i]) {
            printf("# function %x: ", info.pci[i].function);
            CHECK_U64(info.pci[i].group, want[i]);
        }
    }
}

#define GROUPS(...)                                                                                \
    do {                                                                                           \
        static const uint16_t want[] = {__VA_ARGS__};                                              \
        check_groups(want, ARRAY_SIZE(want));                                                      \
    } while (0)

TEST(alone_and_with_its_port) {
    begin();
    fake_pci_port(AT(0, 1, 0), 1, true);
    fake_pci_port(AT(0, 2, 0), 2, false);
    fake_pci_card(AT(0, 3, 0), 0xc0000000);
    fake_pci_card(AT(1, 0, 0), 0xc1000000);
    fake_pci_card(AT(2, 0, 0), 0xc2000000);
    look();
    GROUPS(0, 1, 2, 3, 1);
    CHECK_VERDICT(AT(1, 0, 0), "yes");
    CHECK_VERDICT(AT(2, 0, 0), "yes"); /* the port is no device */
    CHECK_VERDICT(AT(0, 1, 0), "a bridge");
}

static void set_acs(void) {
    pci_set_acs(&info, &fake_space);
    CHECK_U64(fake_pci_wrong, 0);
    CHECK(info.acs_set);
    pci_judge_all(&info);
}

/* Firmware leaves it off: it counts that it can be switched on, and then that it is. */
TEST(acs_is_switched_on) {
    begin();
    struct fake_pci *port = fake_pci_port(AT(0, 1, 0), 1, true);
    port->regs[0x104 / 4] |= 0x00400000; /* another bit */
    fake_pci_card(AT(1, 0, 0), 0xc0000000);
    look();
    CHECK_U64(info.pci[1].group, 1);
    set_acs();
    CHECK_U64(port->regs[0x104 / 4], 0x005d0000 | FAKE_ALL);
    CHECK_U64(info.pci[0].acs_on, 0x5d);
    CHECK_U64(info.pci[1].group, 1);
    CHECK_VERDICT(AT(1, 0, 0), "yes");
    CHECK_U64(info.pci[1].acs_on, 0);
}

/* Each of the four bits counts, unless it is none that can be switched on. */
TEST(bits_of_acs) {
    for (unsigned bit = 0; bit < 7; bit++) {
        for (unsigned can = 0; can < 2; can++) {
            begin();
            struct fake_pci *port = fake_pci_port(AT(0, 1, 0), 1, false);
            uint32_t lacks = BIT32(bit);
            fake_pci_acs(port, can ? FAKE_ALL : FAKE_ALL & ~lacks, 0);
            port->acs_kept &= ~(lacks << 16);
            fake_pci_card(AT(1, 0, 0), 0xc0000000);
            look();
            CHECK_U64(info.pci[1].group, 1);
            set_acs();
            bool apart = can == 0 || (lacks & FAKE_ACS) == 0;
            CHECK_U64(info.pci[1].group, apart ? 1 : 0);
        }
    }
}

static void make_switch(bool first, bool second) {
    begin();
    fake_pci_port(AT(0, 1, 0), 1, true)->regs[6] = 0x00040100;
    fake_pci_bridge(AT(1, 0, 0), 2, 4, BOOT_PCI_UPSTREAM);
    struct fake_pci *a = fake_pci_bridge(AT(2, 0, 0), 3, 3, BOOT_PCI_DOWNSTREAM);
    struct fake_pci *b = fake_pci_bridge(AT(2, 1, 0), 4, 4, BOOT_PCI_DOWNSTREAM);
    if (first) {
        fake_pci_acs(a, FAKE_ALL, 0);
    }
    if (second) {
        fake_pci_acs(b, FAKE_ALL, 0);
    }
    fake_pci_card(AT(3, 0, 0), 0xc0000000);
    fake_pci_card(AT(4, 0, 0), 0xc1000000);
    look();
}

TEST(switches) {
    make_switch(true, true);
    GROUPS(0, 1, 2, 3, 4, 5);
    CHECK_VERDICT(AT(3, 0, 0), "yes");
    make_switch(true, false); /* who is behind the second reaches the first */
    GROUPS(0, 1, 1, 1, 1, 1);
    make_switch(false, false);
    GROUPS(0, 1, 1, 1, 1, 1);
    CHECK_VERDICT(AT(3, 0, 0), "yes, with 04:00.0");
    CHECK(at(AT(3, 0, 0))->bus_reset);
}

/* All of what is behind a port without ACS, however deep. */
TEST(a_switch_behind_an_open_port) {
    make_switch(true, true);
    fake_pci[0].regs[FAKE_FIRST_EXT / 4] = 0;
    look();
    GROUPS(0, 0, 0, 0, 0, 0);
}

TEST(legacy_buses) {
    begin();
    fake_pci_port(AT(0, 1, 0), 1, true)->regs[6] = 0x00020100;
    fake_pci_bridge(AT(0, 0x1e, 0), 3, 3, -1);
    fake_pci_bridge(AT(1, 0, 0), 2, 2, BOOT_PCI_TO_PCI);
    fake_pci_card(AT(2, 1, 0), 0xc0000000);
    fake_pci_card(AT(2, 2, 0), 0xc1000000);
    fake_pci_card(AT(3, 1, 0), 0xc2000000);
    look();
    GROUPS(0, 1, 2, 2, 2, 1);
    CHECK_VERDICT(AT(2, 1, 0), "no: behind a legacy bridge");
    CHECK_VERDICT(AT(3, 1, 0), "no: behind a legacy bridge");
    CHECK(!at(AT(3, 1, 0))->bus_reset);
}

TEST(functions_of_one_device) {
    begin();
    fake_pci_several(fake_pci_add(AT(0, 0x1f, 0), 0x80862918, 0x060100));
    fake_pci_several(fake_pci_card(AT(0, 0x1f, 2), 0xc0000000));
    fake_pci_several(fake_pci_card(AT(0, 2, 0), 0xc1000000));
    fake_pci_several(fake_pci_card(AT(0, 2, 1), 0xc2000000));
    fake_pci_card(AT(0, 2, 2), 0xc3000000);
    fake_pci_acs(&fake_pci[3], 0, 0); /* this one cannot reach the others, and so has no bits */
    look();
    GROUPS(0, 1, 0, 2, 2);
    CHECK_VERDICT(AT(0, 2, 0), "yes, with 00:02.2");
    CHECK_VERDICT(AT(0, 2, 1), "yes");
    CHECK_VERDICT(AT(0, 0x1f, 2), "no: its group has 00:1f.0");
}

/* What keeps them apart would be gone with the reset of one of them. */
TEST(functions_whose_acs_can_be_switched) {
    begin();
    fake_pci_several(fake_pci_card(AT(0, 2, 0), 0xc1000000));
    fake_pci_card(AT(0, 2, 1), 0xc2000000);
    fake_pci_acs(&fake_pci[0], FAKE_ALL, 0);
    fake_pci_acs(&fake_pci[1], FAKE_ALL, 0);
    look();
    GROUPS(0, 0);
    pci_set_acs(&info, &fake_space);
    GROUPS(0, 0);
}

TEST(groups_of_many) {
    begin();
    for (uint32_t i = 0; i < 4; i++) {
        fake_pci_several(fake_pci_card(AT(0, 1, i), 0xc0000000 + i * MIB));
    }
    look();
    CHECK_VERDICT(AT(0, 1, 2), "yes, with 00:01.0 and 2 more");
    CHECK_STR(pci_line(&info, at(AT(0, 1, 2)), text),
              "  00:01.2 8086:10d3 Ethernet     0 FLR   yes, with 00:01.0 and 2 more");
    CHECK_U64(strstr(pci_line_head, "reset") - pci_line_head, strstr(text, "FLR") - text);
    CHECK_U64(strstr(pci_line_head, "for") - pci_line_head, strstr(text, "yes") - text);
}

/* ---- verdicts ---- */

/* A card alone on its bus, and another one. */
static struct fake_pci *two_cards(void) {
    begin();
    struct fake_pci *f = fake_pci_card(AT(0, 1, 0), 0xc0000000);
    fake_pci_card(AT(0, 2, 0), 0xc1000000);
    return f;
}

TEST(what_bulkhead_needs) {
    two_cards();
    look();
    CHECK_VERDICT(AT(0, 1, 0), "yes");

    info.serial = (struct boot_serial){
        .base = 0xc0000100, .in_memory = true, .stride = 4, .width = 4, .source = SERIAL_BY_TABLE};
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "no: it has the serial console");
    CHECK_VERDICT(AT(0, 2, 0), "yes");
    info.serial = (struct boot_serial){
        .base = 0x6000, .stride = 1, .source = SERIAL_BY_PCI, .pci = AT(0, 2, 0)};
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "yes");
    CHECK_VERDICT(AT(0, 2, 0), "no: it has the serial console");
    info.serial = (struct boot_serial){.base = 0};
    info.screen_count = 1;
    info.screens[0] = (struct boot_framebuffer){.base = HPA(0xc0010000), .size = 64 * KIB};
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "no: it has the screen");
    info.screen_count = 0;
    at(AT(0, 1, 0))->keyboard = true;
    at(AT(0, 2, 0))->stick = true;
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "no: it has the keyboard");
    CHECK_VERDICT(AT(0, 2, 0), "no: it has the boot stick");
}

/* A UART at ports is no reason for a device that has its memory at that number. */
TEST(serial_ports) {
    struct fake_pci *f = two_cards();
    fake_pci_bar(f, 1, 0x6000, 8, 1);
    look();
    info.serial = (struct boot_serial){.base = 0x6000, .stride = 1};
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "no: it has the serial console");
    info.serial.base = 0x6008;
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "yes");
    info.serial.base = 0xc0000000; /* no port at all */
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "yes");
}

TEST(what_cannot_be_walled_in) {
    two_cards();
    look();
    at(AT(0, 1, 0))->reserved_dma = true;
    info.config.avoid = BIT32(AVOID_IOMMU);
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 2, 0), "no: no IOMMU is in use");
    info.config.avoid = 0;
    info.dma.unit_count = 0;
    pci_judge_all(&info);
    CHECK_VERDICT(AT(0, 1, 0), "no: the firmware uses its DMA");
    CHECK_VERDICT(AT(0, 2, 0), "no: no IOMMU is in use");
}

TEST(classes_of_the_chipset) {
    static const struct {
        uint32_t class;
        const char *kind, *words;
    } rows[] = {
        {0x060100, "ISA", "part of the chipset"},
        {0x050000, "memory", "part of the chipset"},
        {0x080600, "IOMMU", "part of the chipset"},
        {0x088000, "system", "part of the chipset"},
        {0x080501, "SD card", "yes"},
        {0x0c0330, "USB 3", "yes"},
        {0x0c0310, "USB", "yes"},
        {0x010802, "NVMe", "yes"},
        {0x018000, "storage", "yes"},
        {0x028000, "network", "yes"},
        {0x030200, "display", "yes"},
        {0x0b4000, "other", "yes"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        two_cards()->regs[2] = rows[i].class << 8;
        look();
        CHECK_STR(pci_kind(at(AT(0, 1, 0))), rows[i].kind);
        CHECK_VERDICT(AT(0, 1, 0), rows[i].words);
    }
}

TEST(addresses_of_memory) {
    static const struct {
        uint64_t base, size;
        const char *words;
    } rows[] = {
        {0, 4 * KIB, "no: BAR 2 has no address"},
        {0xc8000000, 2 * KIB, "yes"}, /* nobody else is in its page */
        {0xc8000000, 16, "yes"},
        {0xc8000800, 2 * KIB, "no: BAR 2 is less than a page"},
        {0xc1000000, 2 * KIB, "no: BAR 2 is less than a page"}, /* 00:02.0 is there */
        {0xfed00000, 1 * KIB, "no: BAR 2 lies over other things"},
        {0, 1 * KIB, "no: BAR 2 has no address"},
        {0xc8000000, 4 * KIB, "yes"},
        {0x2000000000, 128 * MIB, "yes"},
        {0x2000000000, 256 * MIB, "yes"},
        {0x2000000000, 32 * GIB, "yes"},
        {0x2000000000, 64 * GIB, "no: BAR 2 is beyond a guest's reach"},
        {0xc1000000, 4 * KIB, "no: BAR 2 shares a page with 00:02.0"},
        {0xc1000000, 512 * MIB, "no: BAR 2 shares a page with 00:02.0"},
        {0x40000000, 4 * KIB, "no: BAR 2 lies over other things"},
        {0x80000000, 16 * MIB, "no: BAR 2 lies over other things"}, /* the last of RAM */
        {0x80100000, MIB, "yes"},
        {0xfee00000, 4 * KIB, "no: BAR 2 lies over other things"},
        {0xfed00000, 4 * KIB, "no: BAR 2 lies over other things"},
        {0xfec00000, 4 * KIB, "no: BAR 2 lies over other things"},
        {0xfed90000, 4 * KIB, "no: BAR 2 lies over other things"},  /* an IOMMU's registers */
        {0xefff0000, 64 * KIB, "no: BAR 2 lies over other things"}, /* configuration space */
        {0xf0000000, 64 * KIB, "yes"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_pci_bar(two_cards(), 2, rows[i].base, rows[i].size, 4);
        look();
        CHECK_VERDICT(AT(0, 1, 0), rows[i].words);
        CHECK_U64(at(AT(0, 1, 0))->because, strstr(rows[i].words, "00:02") ? 1 : BOOT_PCI_NONE);
    }
}

/* Such as are not wide, or have the messages, have their place among the others. */
TEST(large_ones_below_4_gib) {
    struct fake_pci *f = two_cards();
    fake_pci_bar(f, 2, 0x90000000, 256 * MIB, 0);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "no: its low BARs are more than 256M"); /* with its other one */
    fake_pci_bar(f, 2, 0x90000000, 128 * MIB, 0);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "yes");
    f = two_cards();
    fake_pci_bar(f, 2, 0x2000000000, 256 * MIB, 4);
    uint32_t *msix = fake_pci_cap(f, 0x11, 3, 3);
    msix[1] = 2;
    msix[2] = 0x802;
    look();
    CHECK_VERDICT(AT(0, 1, 0), "no: its low BARs are more than 256M");
}

/* So far as the CPU's addresses go, and tables of four levels; half of it is its own, for it may
 * lie at multiples of its size alone. */
TEST(reach) {
    static const struct {
        uint32_t bits;
        uint64_t size;
        bool good;
    } rows[] = {
        {0, 32 * GIB, true},   {0, 64 * GIB, false},   {30, 32 * GIB, true},
        {39, 256 * GIB, true}, {39, 512 * GIB, false}, {40, 512 * GIB, true},
        {48, BIT(47), true},   {48, BIT(48), false},   {52, BIT(48), false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_pci_bar(two_cards(), 2, BIT(50), rows[i].size, 4);
        look();
        info.phys_bits = rows[i].bits;
        pci_judge_all(&info);
        CHECK_VERDICT(AT(0, 1, 0), rows[i].good ? "yes" : "no: BAR 2 is beyond a guest's reach");
    }
    /* Where no page table reaches. */
    fake_pci_bar(two_cards(), 2, BIT(52) - 64 * MIB, 64 * MIB, 4);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "no: BAR 2 has no address");
    fake_pci_bar(two_cards(), 2, BIT(52) - 128 * MIB, 64 * MIB, 4);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "yes");
}

/* It gets the page, and a guest sees it as of a page. */
TEST(a_small_bar_alone_in_its_page_is_as_large_as_that) {
    fake_pci_bar(two_cards(), 2, 0xc8000000, 512, 0);
    fake_pci_bar(&fake_pci[0], 3, 0xc9000, 32, 1);
    look();
    CHECK_U64(at(AT(0, 1, 0))->bars[2].size, 4 * KIB);
    CHECK_U64(at(AT(0, 1, 0))->bars[3].size, 32);
    pci_judge_all(&info); /* as bhcheck does with what was written down */
    CHECK_VERDICT(AT(0, 1, 0), "yes");
    /* Two of its own in one page stay as they are. */
    fake_pci_bar(&fake_pci[0], 4, 0xc8000200, 512, 0);
    look();
    CHECK_U64(at(AT(0, 1, 0))->bars[2].size, 512);
    CHECK_VERDICT(AT(0, 1, 0), "no: BAR 2 is less than a page");
    /* Nor does one whose neighbour was not asked for its size. */
    fake_pci_bar(two_cards(), 2, 0xc8000000, 512, 0);
    fake_pci_bar(fake_pci_add(AT(0, 3, 0), 0x80861234, 0x060000), 0, 0xc8000800, 256, 0);
    look();
    CHECK_U64(at(AT(0, 1, 0))->bars[2].size, 512);
    CHECK_VERDICT(AT(0, 1, 0), "no: BAR 2 is less than a page");
}

/* The page of what is not asked for its size, and of what is less than one. */
TEST(neighbours_in_a_page) {
    fake_pci_bar(two_cards(), 1, 0xc8001000, 4 * KIB, 0);
    fake_pci_bar(&fake_pci[1], 1, 0xc8001800, 2 * KIB, 0);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "no: BAR 1 shares a page with 00:02.0");
    fake_pci_bar(two_cards(), 1, 0xc8001000, 4 * KIB, 0);
    fake_pci_bar(fake_pci_add(AT(0, 3, 0), 0x80861234, 0x060000), 0, 0xc8001000, MIB, 0);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "no: BAR 1 shares a page with 00:03.0");
    /* Ports are no memory, and its own registers do not count. */
    struct fake_pci *f = two_cards();
    fake_pci_bar(f, 1, 0xc000, 32, 1);
    fake_pci_bar(&fake_pci[1], 1, 0xc000, 32, 1);
    look();
    CHECK_VERDICT(AT(0, 1, 0), "yes");
}

TEST(lines) {
    begin();
    struct fake_pci *f = fake_pci_port(AT(0, 1, 0), 1, true);
    fake_pci_card(AT(1, 0, 0), 0xc0000000)->regs[2] = 0x0c033001;
    f = fake_pci_add(AT(0, 2, 0), 0x12341111, 0x030000);
    look();
    CHECK_STR(pci_line(&info, at(AT(1, 0, 0)), text),
              "  01:00.0 8086:10d3 USB 3        2 FLR   yes");
    CHECK_STR(pci_line(&info, at(AT(0, 2, 0)), text),
              "  00:02.0 1234:1111 display      1 -     no: it cannot be reset");
    fake_pci[1].regs[0x44 / 4] = 0;
    look();
    CHECK_STR(pci_line(&info, at(AT(1, 0, 0)), text),
              "  01:00.0 8086:10d3 USB 3        2 bus   yes");
    CHECK(f->function == AT(0, 2, 0));
}

TEST_MAIN(T(everything_is_read), T(bars_of_all_shapes), T(bridges_and_controllers_are_not_asked),
          T(resets), T(lists_with_circles), T(extended_lists), T(alone_on_a_bus), T(only_the_ports),
          T(segments_and_buses), T(dma_of_other_segments_is_switched_off),
          T(one_device_behind_a_port), T(functions_of_a_device), T(bridges_that_lead_back),
          T(buses_named_twice), T(too_many), T(alone_and_with_its_port), T(acs_is_switched_on),
          T(bits_of_acs), T(switches), T(a_switch_behind_an_open_port), T(legacy_buses),
          T(functions_of_one_device), T(functions_whose_acs_can_be_switched), T(groups_of_many),
          T(what_bulkhead_needs), T(serial_ports), T(what_cannot_be_walled_in),
          T(classes_of_the_chipset), T(addresses_of_memory), T(large_ones_below_4_gib), T(reach),
          T(a_small_bar_alone_in_its_page_is_as_large_as_that), T(neighbours_in_a_page), T(lines))
