/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A real PCI function as its guest sees it, and what of the guest's wishes reaches the core. */
#include "tests/unit/fake_passed.h"

/* ---- the configuration space ---- */

TEST(reads_by_table) {
    fake_passed_start();
    CHECK_U64(get(NIC, PCI_ID, 4), 0x10d38086);
    CHECK_U64(get(NIC, PCI_COMMAND, 4), 0x00100000); /* not firmware's command */
    CHECK_U64(get(NIC, PCI_CLASS, 4), 0x02000003);
    CHECK_U64(get(NIC, 0x0c, 4), 0x4010);
    CHECK_U64(get(NIC, 0x28, 4), 0);
    CHECK_U64(get(NIC, PCI_SUBSYSTEM, 4), 0x12345678);
    CHECK_U64(get(NIC, 0x30, 4), 0);
    CHECK_U64(get(NIC, PCI_CAPABILITIES, 1), POWER_CAP);
    CHECK_U64(get(NIC, PCI_INTERRUPT, 4), 0x100 | pci_isa_irq(pci_line(SLOT(NIC))));
    CHECK_U64(get(NIC, POWER_CAP, 4), capability(0x01, MSI_CAP, 0x01c3));
    CHECK_U64(get(NIC, MSI_CAP, 4), capability(0x05, EXPRESS_CAP, 0x0080));
    CHECK_U64(get(NIC, MSI_CAP + 4, 4), 0);
    CHECK_U64(get(NIC, MSI_CAP + 16, 4), 0xc0de0000 | (MSI_CAP + 16) / 4);
    CHECK_U64(get(NIC, EXPRESS_CAP + 8, 4), 0x2810);
    CHECK_U64(get(NIC, MSIX_CAP, 4), capability(0x11, AF_CAP, REAL_SIZE - 3));
    CHECK_U64(get(NIC, HOTPLUG_CAP, 4), capability(0, VENDOR_CAP, 0));
    CHECK_U64(get(NIC, VENDOR_CAP, 4), capability(0x09, 0, 0x1234));
    CHECK_U64(get(NIC, 0x100, 4), 0);
    CHECK_U64(get(OLD, MSI_CAP, 4), capability(0x05, POWER_CAP, 0));
    CHECK_U64(platform_read(&fake_pc, BUS_MEMORY, fake_passed_page(NIC, PAGE_SIZE), 4).value,
              UINT64_MAX); /* one function */
    reals[NIC].config[1] |= BIT32(19) | BIT32(29);
    reals[NIC].config[EXPRESS_CAP / 4 + 2] = 0xa0000;
    CHECK_U64(get(NIC, PCI_COMMAND, 4), 0x20180000); /* as it is now */
    CHECK_U64(get(NIC, EXPRESS_CAP + 8, 4), 0xa0000);
    CHECK_U64(fake_passed_acts(), 0);
}

TEST(what_has_no_pin_or_table) {
    fake_passed_start();
    fake_devices.pcis[NIC].has_pin = false;
    fake_devices.pcis[NIC].held[0].size = 0x800; /* which ends before the table */
    reals[NIC].config[1] = BIT32(19);            /* a device without capabilities, it says now */
    fake_pc_start();
    CHECK_U64(get(NIC, PCI_INTERRUPT, 2) >> 8, 0);
    CHECK_U64(get(NIC, PCI_COMMAND, 4), 0);
    CHECK_U64(fake_pc.pcis[NIC].vectors, 0);
    fake_devices.pcis[NIC].held[0].size = TABLE + 3 * 16 + 8;
    fake_devices.pcis[NIC].has_pin = true;
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].vectors, 3);
    fake_devices.pcis[NIC].table += 4;
    reals[NIC].config[1] = BIT32(20);
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].vectors, 0);
    CHECK_U64(get(NIC, MSIX_CAP, 4), capability(0, AF_CAP, 0));
    set(NIC, MSIX_CAP, 4, UINT32_MAX);
    CHECK_U64(reals[NIC].messages, PCI_NO_MESSAGES);
    fake_devices.pcis[NIC].msix = 0; /* no MSI-X at all */
    fake_devices.pcis[NIC].vectors = 0;
    fake_devices.pcis[NIC].table -= 4;
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].table_size, 0);
}

/* A table is no larger than the guest's part of the entries. */
TEST(large_tables) {
    fake_passed_start();
    fake_devices.pcis[NIC].vectors = 2048;
    reals[NIC].config[MSIX_CAP / 4] |= 0x07ff0000;
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].vectors, PASSED_VECTORS);
    CHECK_U64(get(NIC, MSIX_CAP + 2, 2), PASSED_VECTORS - 1);
    reals[NIC].config[MSIX_CAP / 4] &= 0xf800ffff; /* one, the device says */
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].vectors, 1);
    struct passed *p = &fake_pc.pcis[NIC];
    for (unsigned i = 0; i < 2; i++) { /* and the entry behind the last takes nothing */
        passed_write_table(p, p->table + 16 * i, 4, 0x5678);
        CHECK_U64(p->entries[i].address, i == 0 ? 0x5678 : 0);
    }
}

TEST(most_writes_are_ignored) {
    static const uint32_t known[] = {PCI_COMMAND, BAR(0),      BAR(2),        BAR(3),
                                     BAR(4),      0x3c,        POWER_CAP + 4, MSI_CAP,
                                     MSI_CAP + 4, MSI_CAP + 8, MSI_CAP + 12,  EXPRESS_CAP + 8,
                                     AF_CAP + 4,  MSIX_CAP};
    fake_passed_start();
    for (uint32_t reg = 0; reg < 0x1000; reg += 4) {
        bool ignored = true;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
            ignored = ignored && reg != known[i];
        }
        uint64_t before = get(NIC, reg, 4);
        if (ignored) {
            set(NIC, reg, 4, UINT32_MAX);
            set(NIC, reg, 4, 0);
            set(NIC, reg + 1, 1, 0xff);
            CHECK_U64(get(NIC, reg, 4), before);
        }
    }
    CHECK_U64(fake_passed_acts(), 0);
}

TEST(command) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, 0xffff & ~MEMORY_MASTER);
    CHECK_U64(get(NIC, PCI_COMMAND, 2), 0x0540); /* INTx off, SERR, parity: here alone */
    CHECK_U64(fake_passed_acts(), 0);
    set(NIC, PCI_COMMAND, 2, PCI_MASTER_ON);
    CHECK_U64(reals[NIC].command, PCI_MASTER_ON);
    CHECK_U64(asked[PCI_CALL_MAP], 0);
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER | PCI_PORTS_ON);
    CHECK_U64(reals[NIC].command, MEMORY_MASTER);
    CHECK_U64(get(NIC, PCI_COMMAND, 2), MEMORY_MASTER);
    CHECK_U64(asked[PCI_CALL_MAP], 3);
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK_U64(asked[PCI_CALL_COMMAND], 2);
    CHECK_U64(asked[PCI_CALL_MAP], 3); /* all is where it was */
    CHECK(reals[NIC].mapped[0] != 0);
    set(NIC, PCI_COMMAND, 2, 0);
    CHECK_U64(reals[NIC].command, 0);
    CHECK_U64(asked[PCI_CALL_MAP], 6);
    CHECK_U64(reals[OLD].command, 0);
    set(NIC, PCI_INTERRUPT, 1, 5);
    CHECK_U64(get(NIC, PCI_INTERRUPT, 2), 0x105);
}

/* ---- BARs ---- */

TEST(addresses_at_the_start) {
    fake_passed_start();
    CHECK_U64(get(OLD, BAR(0), 4), PCI_DEVICES | 4);
    CHECK_U64(get(OLD, BAR(1), 4), 0);
    CHECK_U64(get(NIC, BAR(2), 4), (PCI_DEVICES + 8 * MIB) | 12);
    CHECK_U64(get(OLD, BAR(2), 4), PCI_DEVICES + 9 * MIB);
    CHECK_U64(get(NIC, BAR(0), 4), PCI_DEVICES + 9 * MIB + 0x20000);
    CHECK_U64(get(NIC, BAR(4), 4), PCI_DEVICES + 9 * MIB + 0x30000);
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    set(OLD, PCI_COMMAND, 2, PCI_MEMORY_ON);
    for (unsigned i = 0; i < REALS * ABI_PCI_BARS; i++) {
        unsigned function = i / ABI_PCI_BARS, bar = i % ABI_PCI_BARS;
        CHECK_U64(reals[function].mapped[bar], address(function, bar));
    }
    fake_devices.pcis[NIC].bars[2].size = PCI_DEVICES_SIZE;
    fake_pc_start(); /* which takes all the room */
    CHECK_U64(address(NIC, 2), PCI_DEVICES);
    CHECK_U64(address(OLD, 0) | address(NIC, 4), 0);
    fake_devices.pcis[NIC].bars[2].size = 2ull * PCI_DEVICES_SIZE;
    fake_pc_start();
    CHECK_U64(address(NIC, 2), 0);
    CHECK_U64(address(OLD, 0), PCI_DEVICES);
}

TEST(sizing) {
    fake_passed_start();
    for (unsigned i = 0; i < ABI_PCI_BARS; i++) {
        set(NIC, BAR(i), 4, UINT32_MAX);
        set(OLD, BAR(i), 4, UINT32_MAX);
    }
    CHECK_U64(get(NIC, BAR(0), 4), 0xffff0000);
    CHECK_U64(get(NIC, BAR(1), 4), 0);
    CHECK_U64(get(NIC, BAR(2), 4), 0xfff0000c);
    CHECK_U64(get(NIC, BAR(3), 4), 0xffffffff);
    CHECK_U64(get(NIC, BAR(4), 4), 0xfffff000);
    CHECK_U64(get(NIC, BAR(5), 4), 0);
    CHECK_U64(get(OLD, BAR(0), 4), 0xff800004);
    CHECK_U64(get(OLD, BAR(1), 4), 0xffffffff);
    CHECK_U64(get(OLD, BAR(3), 4), 0);
    set(NIC, BAR(3), 4, 0);
    CHECK_U64(get(NIC, BAR(2), 4), 0xfff0000c);
    CHECK_U64(fake_passed_acts(), 0);
    fake_devices.pcis[NIC].bars[2].size = 16 * GIB;
    fake_pc_start();
    set(NIC, BAR(2), 4, UINT32_MAX);
    set(NIC, BAR(3), 4, UINT32_MAX);
    CHECK_U64(get(NIC, BAR(2), 4), 0x0000000c);
    CHECK_U64(get(NIC, BAR(3), 4), 0xfffffffc);
}

#define HIGH 0x4000000000ull

static uint64_t wide_address(unsigned function, unsigned bar) {
    return address(function, bar) | get(function, BAR(bar + 1), 4) << 32;
}

static void set_wide(unsigned function, unsigned bar, uint64_t value) {
    set(function, BAR(bar), 4, value & UINT32_MAX);
    set(function, BAR(bar + 1), 4, value >> 32);
}

/* NIC's BAR 2 is of 16 GiB and OLD's BAR 0 of 64 MiB, above 4 GiB. */
static void fake_high_start(void) {
    fake_passed_start();
    fake_devices.pci_high = HIGH;
    fake_devices.pci_high_size = 17 * GIB;
    fake_devices.pcis[NIC].bars[2].size = 16 * GIB;
    fake_devices.pcis[OLD].bars[0].size = 64 * MIB;
    fake_pc_start();
    memset(asked, 0, sizeof(asked));
}

/* The largest first; those that are not wide lie where they always did, and so does what is wide
 * and has no room there. */
TEST(large_ones_are_above_4_gib) {
    fake_high_start();
    CHECK_U64(wide_address(NIC, 2), HIGH);
    CHECK_U64(wide_address(OLD, 0), HIGH + 16 * GIB);
    CHECK_U64(get(OLD, BAR(2), 4), PCI_DEVICES);
    CHECK_U64(get(NIC, BAR(0), 4), PCI_DEVICES + 0x20000);
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    set(OLD, PCI_COMMAND, 2, PCI_MEMORY_ON);
    CHECK_U64(reals[NIC].mapped[2], HIGH);
    CHECK_U64(reals[OLD].mapped[0], HIGH + 16 * GIB);
    fake_devices.pci_high_size = 16 * GIB;
    fake_pc_start();
    CHECK_U64(wide_address(NIC, 2), HIGH);
    CHECK_U64(wide_address(OLD, 0), PCI_DEVICES);
    fake_devices.pci_high_size = 15 * GIB;
    fake_pc_start();
    CHECK_U64(wide_address(NIC, 2), 0);
    CHECK_U64(wide_address(OLD, 0), HIGH);
}

TEST(large_ones_are_sized_and_moved) {
    fake_high_start();
    set_wide(NIC, 2, UINT64_MAX);
    CHECK_U64(get(NIC, BAR(2), 4), 0x0000000c);
    CHECK_U64(get(NIC, BAR(3), 4), 0xfffffffc);
    set_wide(NIC, 2, HIGH);
    set(OLD, PCI_COMMAND, 2, PCI_MEMORY_ON);
    set_wide(OLD, 0, HIGH + 1234 * MIB);
    CHECK_U64(wide_address(OLD, 0), HIGH + 1216 * MIB);
    CHECK_U64(reals[OLD].mapped[0], HIGH + 1216 * MIB);
    set_wide(OLD, 0, HIGH + 17 * GIB); /* after the window */
    CHECK_U64(reals[OLD].mapped[0], 0);
    set_wide(OLD, 0, HIGH - 64 * MIB);
    CHECK_U64(reals[OLD].mapped[0], 0);
    set_wide(OLD, 0, PCI_DEVICES + 64 * MIB); /* it may be below, too */
    CHECK_U64(reals[OLD].mapped[0], PCI_DEVICES + 64 * MIB);
    set_wide(OLD, 0, HIGH + 17 * GIB - 64 * MIB);
    CHECK_U64(reals[OLD].mapped[0], HIGH + 17 * GIB - 64 * MIB);
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    set_wide(NIC, 2, HIGH + 16 * GIB); /* ends behind it */
    CHECK_U64(reals[NIC].mapped[2], 0);
    set_wide(NIC, 2, 0);
    CHECK_U64(reals[NIC].mapped[2], 0);
    set_wide(NIC, 2, HIGH);
    CHECK_U64(reals[NIC].mapped[2], HIGH);
}

TEST(moves) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    set(NIC, BAR(4), 4, 0xd8001234);
    CHECK_U64(reals[NIC].mapped[4], 0xd8001000);
    unsigned before = asked[PCI_CALL_MAP];
    set(NIC, BAR(4), 4, 0xd8001000);
    CHECK_U64(asked[PCI_CALL_MAP], before); /* it is there */
    set(NIC, BAR(4), 4, 0xfee00000);
    CHECK_U64(reals[NIC].mapped[4], 0);
    CHECK_U64(address(NIC, 4), 0xfee00000);
    set(NIC, BAR(4), 4, 0xcffff000);
    set(NIC, BAR(4), 4, PCI_MEMORY + PCI_MEMORY_SIZE);
    CHECK_U64(reals[NIC].mapped[4], 0);
    set(NIC, BAR(4), 4, PCI_VIRTIO); /* where others are at a start */
    CHECK_U64(reals[NIC].mapped[4], PCI_VIRTIO);
    set(NIC, BAR(4), 4, PCI_MEMORY + PCI_MEMORY_SIZE - PAGE_SIZE);
    CHECK_U64(reals[NIC].mapped[4], PCI_MEMORY + PCI_MEMORY_SIZE - PAGE_SIZE);
    set(NIC, BAR(4), 4, 0xdffff000);
    CHECK_U64(reals[NIC].mapped[4], 0xdffff000);
    set(NIC, BAR(2), 4, 0xdff00000); /* over it: the core refuses */
    CHECK_U64(reals[NIC].mapped[2], 0);
    set(NIC, BAR(4), 4, 0xd0000000); /* what was in its way is gone */
    CHECK_U64(reals[NIC].mapped[2], 0xdff00000);
    CHECK_U64(reals[NIC].mapped[4], 0xd0000000);
    set(NIC, BAR(3), 4, 1); /* above 4 GiB */
    CHECK_U64(reals[NIC].mapped[2], 0);
    set(NIC, BAR(2), 4, 0xd1000000);
    CHECK_U64(get(NIC, BAR(3), 4), 1);
    CHECK_U64(reals[NIC].mapped[2], 0);
    set(NIC, BAR(2), 4, 0xdff00000);
    set(NIC, BAR(3), 4, 0);
    CHECK_U64(reals[NIC].mapped[2], 0xdff00000);
    refuse_map = true;
    set(NIC, BAR(4), 4, 0xd1000000);
    CHECK_U64(reals[NIC].mapped[4], 0);
    CHECK(!fake_pc.pcis[NIC].bars[4].there);
}

/* The pages that the compartment holds go with their BAR. */
TEST(held_pages) {
    fake_passed_start();
    uint64_t word = 0x1122334455667788;
    memcpy(reals[NIC].pages + 0x100, &word, 8);
    CHECK_U64(held_read(0x100, 4).there, 0);
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    CHECK_U64(held_read(0x100, 1).value, 0x88);
    CHECK_U64(held_read(0x102, 2).value, 0x5566);
    CHECK_U64(held_read(0x104, 4).value, 0x11223344);
    CHECK_U64(held_read(0x100, 8).value, word);
    CHECK_U64(held_read(0x101, 4).value, UINT64_MAX);
    CHECK_U64(held_read(HELD_SIZE, 4).there, 0);
    memset(reals[NIC].pages + 0x1000, 0x5a, 0x20); /* a write is as wide as it is */
    CHECK(held_write(0x1010, 8, word) && held_write(0x100c, 4, 0xc4c5c6c7));
    CHECK(held_write(0x100a, 2, 0xb2b3) && held_write(0x1008, 1, 0xa1));
    CHECK(held_write(0x1012, 4, 0));
    static const uint8_t want[] = {0xa1, 0x5a, 0xb3, 0xb2, 0xc7, 0xc6, 0xc5, 0xc4, 0x88,
                                   0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x5a};
    CHECK(memcmp(reals[NIC].pages + 0x1008, want, sizeof(want)) == 0);
    set(NIC, BAR(0), 4, 0xd7770000);
    CHECK_U64(held_read(0x100, 8).value, word);
    set(NIC, PCI_COMMAND, 2, 0);
    CHECK_U64(held_read(0x100, 8).there, 0);
    CHECK_U64(fake_passed_acts(), 1 + 3 + 2 + 3 + 1);
}

/* The bus has no room: nowhere at all. */
TEST(full_bus) {
    fake_passed_start();
    fake_devices.pcis[NIC].held[1] = fake_devices.pcis[NIC].held[0];
    fake_devices.pcis[NIC].held[1].offset = 0x8000;
    struct bus *bus = &fake_pc.bus[BUS_MEMORY];
    unsigned region = 0;
    for (; bus->count < BUS_ENTRIES - 1; region++) {
        uint64_t at = 0x8000000000 + region * PAGE_SIZE;
        CHECK_U64(bus_add(bus, at, PAGE_SIZE, &fake_pc.bios.dev, 100 + region), STATUS_OK);
    }
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    CHECK_U64(bus->count, BUS_ENTRIES - 1);
    CHECK_U64(reals[NIC].mapped[0], 0);
    CHECK(reals[NIC].mapped[2] != 0);
    CHECK_U64(bus_remove(bus, &fake_pc.bios.dev, 100), STATUS_OK);
    set(NIC, PCI_COMMAND, 2, 0);
    set(NIC, PCI_COMMAND, 2, PCI_MEMORY_ON);
    CHECK_U64(reals[NIC].mapped[0], address(NIC, 0));
    CHECK_U64(bus->count, BUS_ENTRIES);
}

/* ---- messages ---- */

TEST(msi) {
    fake_passed_start();
    set(NIC, MSI_CAP + 4, 4, 0xfee01007);
    set(NIC, MSI_CAP + 8, 4, 0x77);
    set(NIC, MSI_CAP + 12, 2, 0x4041);
    CHECK_U64(get(NIC, MSI_CAP + 4, 4), 0xfee01004);
    CHECK_U64(get(NIC, MSI_CAP + 8, 4), 0x77);
    CHECK_U64(get(NIC, MSI_CAP + 12, 4), 0x4041);
    CHECK_U64(fake_passed_acts(), 0);
    set(NIC, MSI_CAP + 2, 2, 0x0171);
    CHECK_U64(get(NIC, MSI_CAP + 2, 2), 0x0081); /* one message, no masks */
    CHECK_U64(asked[PCI_CALL_VECTOR], 1);
    CHECK_U64(last[PCI_CALL_VECTOR].value, 0x77fee01004);
    CHECK_U64(last[PCI_CALL_VECTOR].data, 0x4041);
    CHECK_U64(reals[NIC].messages, PCI_MSI);
    set(NIC, MSI_CAP + 12, 2, 0x4042);
    CHECK_U64(last[PCI_CALL_VECTOR].data, 0x4042);
    CHECK_U64(asked[PCI_CALL_MESSAGES], 2);
    set(NIC, MSI_CAP + 4, 4, 0xfee01004);
    CHECK_U64(get(NIC, MSI_CAP + 8, 4), 0x77);
    set(NIC, MSI_CAP + 12, 2, 0x4042);
    set(NIC, MSI_CAP + 2, 2, 1);
    CHECK_U64(asked[PCI_CALL_MESSAGES], 2); /* no change */
    refuse_vector = true;
    set(NIC, MSI_CAP + 8, 4, 0);
    CHECK_U64(reals[NIC].messages, PCI_NO_MESSAGES);
    refuse_vector = false;
    set(NIC, MSI_CAP + 8, 4, 0x78);
    set(NIC, MSI_CAP + 4, 4, 0xfee02000);
    CHECK_U64(last[PCI_CALL_VECTOR].value, 0x78fee02000);
    CHECK_U64(reals[NIC].messages, PCI_MSI);
    set(NIC, MSI_CAP + 2, 2, 0);
    CHECK_U64(reals[NIC].messages, PCI_NO_MESSAGES);
    set(OLD, MSI_CAP + 8, 2, 0x55); /* a narrow one */
    set(OLD, MSI_CAP + 2, 2, 1);
    CHECK_U64(last[PCI_CALL_VECTOR].data, 0x55);
    CHECK_U64(last[PCI_CALL_VECTOR].function, OLD);
    CHECK_U64(get(OLD, MSI_CAP + 12, 4), 0xc0de0000 | (MSI_CAP + 12) / 4);
}

static void entry_write(unsigned vector, unsigned word, uint32_t value) {
    CHECK(held_write(TABLE + 16 * vector + 4 * word, 4, value));
}

static uint64_t entry_read(unsigned vector, unsigned word) {
    return held_read(TABLE + 16 * vector + 4 * word, 4).value;
}

static void check_entry(unsigned vector, uint32_t data) {
    CHECK_U64(real_entry(vector)[0], 0xfee00000 | vector << 4);
    CHECK_U64(real_entry(vector)[1], 1);
    CHECK_U64(real_entry(vector)[2], data | 0x10000);
    CHECK_U64(real_entry(vector)[3], 0);
}

static void msix_fill(void) {
    for (unsigned i = 0; i < 3; i++) {
        entry_write(i, 0, 0xfee03000 + i);
        entry_write(i, 1, i);
        entry_write(i, 2, 0x60 + i);
        entry_write(i, 3, i == 2);
    }
}

TEST(msix) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK_U64(entry_read(5, 3), 1); /* masked */
    msix_fill();
    CHECK_U64(entry_read(1, 0), 0xfee03000);
    CHECK_U64(held_read(TABLE + 16, 8).value, 0x1fee03000);
    CHECK_U64(entry_read(1, 2), 0x61);
    entry_write(1, 0, 0xfee03000); /* and no word beside it */
    CHECK_U64(entry_read(1, 1), 1);
    CHECK_U64(asked[PCI_CALL_VECTOR], 0); /* it is off */
    CHECK(real_is_masked(0) && real_entry(0)[0] == 0);
    set(NIC, MSIX_CAP + 2, 2, 0xffff);
    CHECK_U64(get(NIC, MSIX_CAP + 2, 2), 0xc000 | (REAL_SIZE - 3));
    CHECK_U64(reals[NIC].messages, PCI_MSIX_MASKED);
    CHECK_U64(asked[PCI_CALL_VECTOR], 2);
    check_entry(0, 0x60);
    check_entry(1, 0x61);
    CHECK(real_is_masked(2) && real_is_masked(3));
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    CHECK_U64(reals[NIC].messages, PCI_MSIX);
    CHECK_U64(asked[PCI_CALL_VECTOR], 2);
    entry_write(2, 3, 0);
    check_entry(2, 0x62);
    entry_write(2, 3, 1);
    CHECK(real_is_masked(2));
    entry_write(2, 3, 0); /* nothing new about it */
    CHECK_U64(asked[PCI_CALL_VECTOR], 3);
    check_entry(2, 0x62);
    entry_write(2, 2, 0x6f); /* while it is not masked */
    CHECK_U64(last[PCI_CALL_VECTOR].data, 0x6f);
    CHECK_U64(last[PCI_CALL_VECTOR].value, 0x2fee03000);
    check_entry(2, 0x6f);
    set(NIC, MSIX_CAP + 2, 2, 0);
    CHECK_U64(reals[NIC].messages, PCI_NO_MESSAGES);
    CHECK(real_is_masked(0) && real_is_masked(1) && real_is_masked(2));
    unsigned before = asked[PCI_CALL_VECTOR];
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    CHECK_U64(asked[PCI_CALL_VECTOR], before + 3);
    check_entry(1, 0x61);
}

/* At each call the table is as it should be by then. */
static bool masked_at_vector[REAL_SIZE], masked_at_messages[REAL_SIZE];

static void fake_pci_watch(const struct dev_env *env, struct exchange_pci *call) {
    if (call->call == PCI_CALL_VECTOR) {
        masked_at_vector[call->at % REAL_SIZE] = real_is_masked(call->at % REAL_SIZE);
    }
    for (unsigned i = 0; call->call == PCI_CALL_MESSAGES && i < REAL_SIZE; i++) {
        masked_at_messages[i] = real_is_masked(i);
    }
    fake_pci(env, call);
}

TEST(msix_order) {
    fake_passed_start();
    fake_pc.env.pci = fake_pci_watch;
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    msix_fill();
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    CHECK(masked_at_vector[0] && masked_at_vector[1]);
    CHECK(!masked_at_messages[0] && !masked_at_messages[1] && masked_at_messages[2]);
    memset(masked_at_vector, 0, sizeof(masked_at_vector));
    entry_write(1, 0, 0xfee04000);
    CHECK(masked_at_vector[1] && !real_is_masked(1));
    set(NIC, MSIX_CAP + 2, 2, 0);
    CHECK(!masked_at_messages[1] && real_is_masked(1)); /* it has stopped before */
    refuse_vector = true;
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    CHECK(real_is_masked(0) && real_is_masked(1));
    refuse_vector = false;
    held_write(TABLE + 8, 8, 0x77);
    check_entry(0, 0x77);
}

/* A driver masks and unmasks its vectors all the time: the core is asked for a new message alone.
 */
TEST(msix_masks_ask_nobody) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    msix_fill();
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    unsigned before = asked[PCI_CALL_VECTOR];
    for (unsigned i = 0; i < 2; i++) {
        held_write(TABLE + 16 * i + 12, 4, 1);
        CHECK(real_is_masked(i));
        held_write(TABLE + 16 * i + 12, 4, 0);
        CHECK(!real_is_masked(i));
    }
    CHECK_U64(asked[PCI_CALL_VECTOR], before);
    entry_write(0, 0, 0xfee04000);
    CHECK_U64(asked[PCI_CALL_VECTOR], before + 1);
}

/* What the real table may hold of before, and what it cannot be told. */
TEST(msix_and_the_device) {
    fake_passed_start();
    for (unsigned i = 0; i < REAL_SIZE; i++) {
        real_entry(i)[3] = 0;
    }
    set(NIC, MSIX_CAP + 2, 2, 0x8000); /* it does not decode */
    CHECK_U64(reals[NIC].messages, PCI_MSIX);
    CHECK(!real_is_masked(0));
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK(real_is_masked(0) && real_is_masked(REAL_SIZE - 3));
    set(NIC, POWER_CAP + 4, 2, 3);
    msix_fill(); /* while it sleeps */
    CHECK_U64(asked[PCI_CALL_VECTOR], 0);
    set(NIC, POWER_CAP + 4, 2, 0);
    check_entry(0, 0x60);
    set(NIC, MSI_CAP + 2, 2, 1); /* both: forbidden */
    CHECK_U64(reals[NIC].messages, PCI_MSIX);
    unsigned before = asked[PCI_CALL_VECTOR];
    set(NIC, MSIX_CAP + 2, 2, 0);
    CHECK_U64(reals[NIC].messages, PCI_MSI);
    CHECK_U64(asked[PCI_CALL_VECTOR], before + 1);
}

TEST(msix_odd_accesses) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    msix_fill();
    CHECK_U64(held_read(TABLE, 1).value, UINT64_MAX);
    CHECK_U64(held_read(TABLE + 2, 2).value, UINT64_MAX);
    CHECK_U64(held_read(TABLE + 2, 4).value, UINT64_MAX);
    held_write(TABLE, 1, 0x55);
    held_write(TABLE + 2, 2, 0x55);
    held_write(TABLE + 4, 8, 0x55);
    held_write(TABLE - 2, 4, 0x55);
    CHECK_U64(entry_read(0, 0), 0xfee03000);
    CHECK_U64(entry_read(0, 1), 0);
    held_write(TABLE + 8, 8, BIT(32) | 0x78); /* two words at once */
    CHECK_U64(entry_read(0, 0), 0xfee03000);
    CHECK_U64(entry_read(0, 1), 0);
    CHECK_U64(entry_read(0, 2), 0x78);
    CHECK_U64(entry_read(0, 3), 1);
    held_write(TABLE, 8, 0x5fee04000);
    CHECK_U64(entry_read(0, 0), 0xfee04000);
    CHECK_U64(entry_read(0, 1), 5);
    CHECK_U64(held_read(TABLE, 8).value, 0x5fee04000);
    entry_write(REAL_SIZE - 2, 0, 0xfee00000); /* of the real table, and not the guest's */
    entry_write(REAL_SIZE - 1, 3, 0);
    CHECK_U64(entry_read(REAL_SIZE - 2, 0) | entry_read(REAL_SIZE - 2, 3), 0);
    CHECK(real_entry(REAL_SIZE - 2)[0] == 0 && real_is_masked(REAL_SIZE - 1));
    entry_write(REAL_SIZE, 0, 0x1234); /* behind it */
    CHECK_U64(real_entry(REAL_SIZE)[0], 0x1234);
    CHECK(held_write(TABLE - 4, 4, 0x4321));
    CHECK_U64(held_read(TABLE - 4, 4).value, 0x4321);
    reals[NIC].pages[0x1000] = 5; /* pending bits are the device's */
    CHECK_U64(held_read(0x1000, 8).value, 5);
}

/* ---- resets and sleep ---- */

static void busy(void) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    msix_fill();
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
}

static void check_lost(void) {
    CHECK_U64(get(NIC, PCI_COMMAND, 2), 0);
    CHECK_U64(get(NIC, MSIX_CAP + 2, 2), REAL_SIZE - 3);
    CHECK_U64(address(NIC, 0) | address(NIC, 2) | address(NIC, 4), 0);
    CHECK_U64(reals[NIC].mapped[0] | reals[NIC].mapped[2] | reals[NIC].mapped[4], 0);
    CHECK_U64(reals[NIC].messages, PCI_NO_MESSAGES);
    CHECK_U64(reals[NIC].command, 0);
    set(NIC, BAR(0), 4, 0xd5550000);
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK_U64(entry_read(0, 0), 0);
    CHECK_U64(entry_read(0, 3), 1);
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    CHECK(real_is_masked(0) && real_is_masked(1));
    msix_fill(); /* the same as before: the device has forgotten it */
    check_entry(0, 0x60);
}

TEST(function_level_reset) {
    busy();
    set(NIC, EXPRESS_CAP + 8, 2, 0x2810);
    set(NIC, EXPRESS_CAP + 10, 2, 0xffff);
    set(NIC, AF_CAP + 4, 1, 0xfe);
    CHECK_U64(reals[NIC].resets, 0);
    set(NIC, EXPRESS_CAP + 8, 2, 0xa810);
    CHECK_U64(reals[NIC].resets, 1);
    check_lost();
    busy();
    set(NIC, AF_CAP + 4, 1, 1);
    CHECK_U64(reals[NIC].resets, 1);
    check_lost();
    busy();
    reals[NIC].config[EXPRESS_CAP / 4 + 1] = reals[NIC].config[AF_CAP / 4] = 0; /* it cannot */
    set(NIC, EXPRESS_CAP + 8, 2, 0xa810);
    set(NIC, AF_CAP + 4, 1, 1);
    CHECK_U64(reals[NIC].resets, 0);
}

TEST(power_states) {
    busy();
    set(NIC, POWER_CAP + 4, 2, 1); /* D1 and D2 are not there */
    set(NIC, POWER_CAP + 4, 2, 2);
    CHECK_U64(asked[PCI_CALL_POWER], 0);
    set(NIC, POWER_CAP + 4, 2, 0x8103);
    CHECK_U64(reals[NIC].power, 3);
    set(NIC, POWER_CAP + 4, 2, 3);
    CHECK_U64(asked[PCI_CALL_POWER], 1);
    set(NIC, POWER_CAP + 4, 2, 0);
    CHECK_U64(reals[NIC].power, 0);
    CHECK_U64(reals[NIC].messages, PCI_MSIX); /* it keeps all */
    CHECK(reals[NIC].mapped[0] != 0);
    set(NIC, POWER_CAP + 4, 2, 3);
    reals[NIC].config[POWER_CAP / 4 + 1] = 0;
    set(NIC, POWER_CAP + 4, 2, 0);
    check_lost();
    CHECK_U64(reals[NIC].resets, 0);
}

TEST(start_again) {
    busy();
    uint64_t at = address(NIC, 0);
    set(NIC, BAR(0), 4, 0xdeaf0000);
    platform_reset(&fake_pc);
    CHECK_U64(get(NIC, PCI_COMMAND, 2), 0);
    CHECK_U64(address(NIC, 0), at);
    CHECK_U64(reals[NIC].mapped[0] | reals[NIC].command, 0);
    CHECK_U64(reals[NIC].messages, PCI_NO_MESSAGES);
    memset(&fake_devices, 0, sizeof(fake_devices));
    fake_env.pci = NULL; /* none of them: nobody to ask */
    fake_pc_start();
    platform_end_interrupt(&fake_pc, 0x40);
    CHECK_U64(get(NIC, PCI_ID, 4), UINT32_MAX);
}

/* ---- INTx ---- */

static bool line(unsigned function) {
    return (fake_pc.pci.lines[pci_line(SLOT(function))] >> SLOT(function) & 1) != 0;
}

static uint64_t look(void) {
    memset(asked, 0, sizeof(asked));
    return platform_service(&fake_pc, fake_time);
}

TEST(intx) {
    fake_passed_start();
    fake_time = 5000;
    CHECK_U64(look(), 0);
    CHECK_U64(asked[PCI_CALL_READ], 0);
    fake_reschedules = 0;
    set(OLD, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK(fake_reschedules != 0);
    reals[OLD].config[1] |= BIT32(19);
    CHECK_U64(look(), 6000); /* a millisecond of this clock */
    CHECK_U64(asked[PCI_CALL_READ], 1);
    CHECK(line(OLD) && !line(NIC));
    CHECK((fake_pc.ioapic.lines >> (DEV_PCI_LINES + pci_line(SLOT(OLD))) & 1) != 0);
    fake_time = 5999;
    CHECK_U64(look(), 6000);
    CHECK_U64(asked[PCI_CALL_READ], 0);
    reals[OLD].config[1] &= ~BIT32(19);
    fake_time = 6000;
    CHECK_U64(look(), 7000);
    CHECK(!line(OLD));
    platform_end_interrupt(&fake_pc, 0x55);
    CHECK_U64(asked[PCI_CALL_READ], 1); /* no line, no look */
    reals[OLD].config[1] |= BIT32(19);
    fake_time = 7000;
    (void)look();
    reals[OLD].config[1] &= ~BIT32(19);
    platform_end_interrupt(&fake_pc, 0x55);
    CHECK(!line(OLD));
    reals[OLD].config[1] |= BIT32(19);
    fake_time = 8000;
    (void)look();
    reals[OLD].config[1] &= ~BIT32(19);
    (void)platform_acknowledge(&fake_pc);
    CHECK(!line(OLD));
}

/* Of each function, at the end of any interrupt. */
TEST(each_line_is_looked_at_again) {
    for (unsigned n = 0; n < REALS; n++) {
        fake_passed_start();
        fake_time = 5000;
        set(n, PCI_COMMAND, 2, MEMORY_MASTER);
        reals[n].config[1] |= BIT32(19);
        (void)look();
        CHECK(line(n));
        reals[n].config[1] &= ~BIT32(19);
        platform_end_interrupt(&fake_pc, 0x55);
        CHECK(!line(n));
    }
}

/* Whatever takes INTx away takes the line down, and there is no look any more. */
TEST(intx_off) {
    for (unsigned way = 0; way < 6; way++) {
        fake_passed_start();
        fake_time = 5000;
        set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
        reals[NIC].config[1] |= BIT32(19);
        (void)look();
        CHECK(line(NIC));
        switch (way) {
        case 0:
            set(NIC, PCI_COMMAND, 2, MEMORY_MASTER | PCI_INTX_OFF);
            break;
        case 1:
            set(NIC, PCI_COMMAND, 2, PCI_MASTER_ON);
            break;
        case 2:
            set(NIC, MSI_CAP + 2, 2, 1);
            break;
        case 3:
            set(NIC, MSIX_CAP + 2, 2, 0x8000);
            break;
        case 4:
            set(NIC, EXPRESS_CAP + 8, 2, 0x8000);
            break;
        default:
            platform_reset(&fake_pc);
        }
        CHECK(!line(NIC));
        fake_time = 9000;
        CHECK_U64(look(), 0);
        CHECK_U64(asked[PCI_CALL_READ], 0);
        if (way == 3) {
            fake_reschedules = 0;
            set(NIC, MSIX_CAP + 2, 2, 0);
            CHECK(fake_reschedules != 0); /* at once */
            (void)look();
            CHECK(line(NIC));
        }
    }
    fake_passed_start();
    fake_devices.pcis[NIC].has_pin = false;
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK_U64(look(), 0);
}

/* ---- what the device has ---- */

/* Which capabilities are shown: those that are read only, and the first of each that the core
 * knows. The others are links in the chain, and nothing more. */
TEST(capabilities) {
    static const struct {
        uint32_t at, id;
        bool shown;
    } chain[] = {
        {0x60, 0x0a, true},  /* a debug port */
        {0x68, 0x0d, true},  /* a bridge's subsystem */
        {0x70, 0x12, true},  /* SATA */
        {0x78, 0x03, false}, /* vital product data */
        {0x7c, 0x14, false}, /* Enhanced Allocation */
        {0x80, 0x0b, false}, {0x84, 0x0c, false}, {0x88, 0x0e, false},
        {0x8c, 0x0f, false}, {0x90, 0x10, false}, /* of these the core knows of none */
        {0x94, 0x11, false}, {0x98, 0x13, false}, {0x9c, 0x01, false}, /* a second one */
        {0xa0, 0x05, false}, {0xa4, 0x09, true},
    };
    fake_passed_start();
    uint32_t *config = reals[OLD].config;
    config[MSI_CAP / 4] = capability(0x05, chain[0].at, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
        uint32_t next = i + 1 < ARRAY_SIZE(chain) ? chain[i + 1].at : 0;
        config[chain[i].at / 4] = capability(chain[i].id, next, 0x4321);
    }
    fake_pc_start();
    for (unsigned i = 0; i < ARRAY_SIZE(chain); i++) {
        uint32_t real = config[chain[i].at / 4];
        CHECK_U64(get(OLD, chain[i].at, 4), chain[i].shown ? real : real & 0xff00);
    }
    CHECK_U64(get(NIC, EXPRESS_CAP, 4), capability(0x10, MSIX_CAP, 2));
    CHECK_U64(get(NIC, AF_CAP, 4), capability(0x13, HOTPLUG_CAP, 0x0306));
    reals[NIC].config[1] &= ~BIT32(20); /* it says that it has none: nothing is a chain */
    fake_pc_start();
    CHECK_U64(get(NIC, HOTPLUG_CAP, 4), reals[NIC].config[HOTPLUG_CAP / 4]);
}

/* A function without capabilities: no word stands for one, the header's least of all. */
TEST(none_of_them) {
    fake_passed_start();
    struct abi_pci *abi = &fake_devices.pcis[OLD];
    abi->power = abi->express = abi->msi = abi->msix = abi->af = 0;
    reals[OLD].config[1] &= ~BIT32(20);
    fake_pc_start();
    for (unsigned reg = PCI_INTERRUPT + 4; reg < 0x100; reg += 4) {
        CHECK_U64(get(OLD, reg, 4), reals[OLD].config[reg / 4]);
    }
    CHECK_U64(get(OLD, PCI_ID, 4), reals[OLD].config[0]);
    CHECK_U64(get(OLD, PCI_CLASS, 4), reals[OLD].config[2]);
    set(OLD, PCI_COMMAND, 2, MEMORY_MASTER);
    CHECK_U64(get(OLD, PCI_COMMAND, 2), MEMORY_MASTER);
    CHECK_U64(asked[PCI_CALL_POWER] + asked[PCI_CALL_RESET], 0);
}

/* Without MSI there is none, and one at the end of the space has no words behind it. */
TEST(where_msi_is) {
    fake_passed_start();
    fake_devices.pcis[OLD].msi = 0;
    fake_pc_start();
    CHECK_U64(get(OLD, PCI_ID, 4), reals[OLD].config[0]);
    CHECK_U64(get(OLD, PCI_CLASS, 4), reals[OLD].config[2]);
    fake_devices.pcis[OLD].msi = 0xf8;
    reals[OLD].config[0xf8 / 4] = capability(0x05, 0, 0x80);
    fake_pc_start();
    CHECK_U64(get(OLD, PCI_ID, 4), reals[OLD].config[0]);
    set(OLD, 0xfc, 4, 0xfee01000);
    CHECK_U64(get(OLD, 0xfc, 4), 0xfee01000);
    CHECK_U64(get(OLD, PCI_COMMAND, 2), 0);
}

/* A function that is reset is awake, and can be put to sleep again. */
TEST(a_reset_wakes) {
    busy();
    set(NIC, POWER_CAP + 4, 2, 3);
    set(NIC, EXPRESS_CAP + 8, 2, 0xa810);
    CHECK_U64(asked[PCI_CALL_POWER], 1);
    set(NIC, POWER_CAP + 4, 2, 3);
    CHECK_U64(asked[PCI_CALL_POWER], 2);
    CHECK_U64(reals[NIC].power, 3);
}

/* Between MSI-X and MSI there are no messages: the device's one is MSI-X's until it is told anew.
 */
TEST(from_msix_to_msi) {
    fake_passed_start();
    set(NIC, PCI_COMMAND, 2, MEMORY_MASTER);
    set(NIC, MSI_CAP + 2, 2, 1);
    CHECK_U64(reals[NIC].messages, PCI_MSI);
    set(NIC, MSIX_CAP + 2, 2, 0x4000); /* masked, and off: nothing has changed */
    CHECK_U64(reals[NIC].messages, PCI_MSI);
    set(NIC, MSIX_CAP + 2, 2, 0x8000);
    CHECK_U64(reals[NIC].messages, PCI_MSIX);
    unsigned told = asked[PCI_CALL_MESSAGES];
    set(NIC, MSIX_CAP + 2, 2, 0);
    CHECK_U64(asked[PCI_CALL_MESSAGES], told + 2);
    CHECK_U64(reals[NIC].messages_before, PCI_NO_MESSAGES);
    CHECK_U64(reals[NIC].messages, PCI_MSI);
}

/* The table is found in whichever of the held pages it is. */
TEST(a_table_in_the_second_pages) {
    fake_passed_start();
    fake_devices.pcis[NIC].held[1] = fake_devices.pcis[NIC].held[0];
    fake_devices.pcis[NIC].held[0] = (struct abi_pci_held){.size = 0};
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].vectors, REAL_SIZE - 2);

    /* And in the first ones, with second ones that end where the table begins. */
    struct abi_pci *abi = &fake_devices.pcis[NIC];
    abi->held[0] = abi->held[1];
    abi->held[1].offset = abi->table - HELD_SIZE;
    fake_pc_start();
    CHECK_U64(fake_pc.pcis[NIC].vectors, REAL_SIZE - 2);
}

/* What a function shows is looked at anew at each start of the guest. */
TEST(words_of_the_last_start) {
    fake_passed_start();
    CHECK_U64(get(NIC, HOTPLUG_CAP, 4), capability(0, VENDOR_CAP, 0));
    reals[NIC].config[1] &= ~BIT32(20); /* it has no capabilities any more, it says */
    passed_learn(&fake_pc.pcis[NIC]);
    CHECK_U64(get(NIC, HOTPLUG_CAP, 4), reals[NIC].config[HOTPLUG_CAP / 4]);
}

TEST_MAIN(T(reads_by_table), T(what_has_no_pin_or_table), T(large_tables),
          T(most_writes_are_ignored), T(command), T(addresses_at_the_start), T(sizing),
          T(large_ones_are_above_4_gib), T(large_ones_are_sized_and_moved), T(moves), T(held_pages),
          T(full_bus), T(msi), T(msix), T(msix_order), T(msix_masks_ask_nobody),
          T(msix_and_the_device), T(msix_odd_accesses), T(function_level_reset), T(power_states),
          T(start_again), T(intx), T(each_line_is_looked_at_again), T(intx_off), T(capabilities),
          T(none_of_them), T(where_msi_is), T(a_reset_wakes), T(from_msix_to_msi),
          T(a_table_in_the_second_pages), T(words_of_the_last_start))
