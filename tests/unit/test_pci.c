/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration ports: one bridge, an empty bus, and CF9h in their midst. */
#include "tests/unit/fake_env.h"

static uint32_t config(uint32_t address, unsigned byte, unsigned size) {
    fake_out(0xcf8, 4, address);
    return (uint32_t)fake_in(0xcfc + byte, size);
}

#define RNG     0x0800u /* device 1 */
#define CONSOLE 0x9800u /* device 19 */

TEST(bridge) {
    fake_pc_start();
    CHECK_U64(config(0x80000000, 0, 4), 0x12378086);
    CHECK_U64(config(0x80000000, 2, 2) & 0xffff, 0x1237);
    CHECK_U64(config(0x80000008, 3, 1) & 0xff, 0x06);
    CHECK_U64(config(0x8000000c, 2, 1) & 0xff, 0x00); /* header type 0 */
    CHECK_U64(config(0x80000010, 0, 4), 0);
    CHECK_U64(config(0x800000fc, 0, 4), 0);
    fake_out(0xcfc, 4, 0xffffffff); /* read-only */
    fake_out(0xcf8, 4, 0x80000004);
    fake_out(0xcfc, 2, 0xffff);
    CHECK_U64(config(0x80000004, 0, 4), 0);
    CHECK_U64(config(0x80000000, 0, 4), 0x12378086);
}

TEST(nothing_else) {
    for (uint32_t bdf = 1; bdf < 0x10000; bdf++) {
        if (bdf != RNG >> 8 && bdf != CONSOLE >> 8 &&
            config(0x80000000 | bdf << 8, 0, 4) != 0xffffffff) {
            CHECK_U64(config(0x80000000 | bdf << 8, 0, 4), 0xffffffff);
            return;
        }
    }
    CHECK_U64(config(0, 0, 4), 0xffffffff); /* not enabled */
    CHECK_U64(config(0, 1, 1) & 0xff, 0xff);
}

TEST(address_register) {
    fake_out(0xcf8, 4, 0xffffffff);
    CHECK_U64(fake_in(0xcf8, 4), 0x80fffffc);
    fake_out(0xcf8, 1, 0);
    fake_out(0xcfb, 1, 1);
    CHECK_U64(fake_in(0xcf8, 4), 0x80fffffc);
    CHECK_U64(fake_in(0xcf8, 2) & 0xffff, 0xffff);
    CHECK_U64(fake_in(0xcfa, 4) & 0xffffffff, 0xffffffff); /* across both registers */
}

TEST(reset_register) {
    fake_pc_start();
    fake_out(0xcf8, 4, 0x80000600); /* holds 06h in the byte of CF9h: no reset */
    CHECK_U64(fake_resets, 0);
    fake_out(0xcf9, 1, 0x02);
    CHECK_U64(fake_in(0xcf9, 1), 0x02);
    fake_out(0xcf9, 1, 0x06);
    CHECK_U64(fake_resets, 1);
    CHECK_U64(fake_in(0xcf8, 4), 0x80000600);
}

static uint64_t page(uint64_t at, unsigned size) {
    struct bus_answer answer = platform_read(&fake_pc, BUS_MEMORY, PCI_PAGES + at, size);
    CHECK_U64(answer.there, 1);
    return answer.value & (UINT64_MAX >> (64 - 8 * size));
}

static void set_page(uint64_t at, unsigned size, uint64_t value) {
    CHECK(platform_write(&fake_pc, BUS_MEMORY, PCI_PAGES + at, size, value));
}

TEST(configuration_as_memory) {
    fake_pc_start();
    const uint64_t rng = (uint64_t)RNG << 4;
    for (uint32_t reg = 0; reg < PCI_CONFIG_SIZE; reg += 4) {
        CHECK_U64(page(rng + reg, 4), config(0x80000000 | RNG | reg, 0, 4));
    }
    CHECK_U64(page(0, 4), 0x12378086);
    CHECK_U64(page(2, 2), 0x1237);
    CHECK_U64(page(rng + 1, 1), 0x1a);
    set_page(rng + 5, 1, 0x04);
    CHECK_U64(page(rng + PCI_COMMAND, 2), 0x0400);
    set_page(rng + PCI_COMMAND, 2, 3);
    CHECK_U64(config(0x80000000 | RNG | PCI_COMMAND, 0, 4) & 0xffff, 0x0003);
    set_page(rng + PCI_BAR, 4, UINT32_MAX);
    CHECK_U64(page(rng + PCI_BAR, 4), 0xffffffe1);
}

TEST(beyond_the_configuration) {
    fake_pc_start();
    const uint64_t rng = (uint64_t)RNG << 4;
    for (uint64_t reg = PCI_CONFIG_SIZE; reg < PAGE_SIZE; reg += 4) {
        set_page(rng + reg, 4, UINT32_MAX);
        CHECK_U64(page(rng + reg, 4), 0);
    }
    CHECK_U64(page(rng, 4), 0x10441af4);
    for (uint64_t function = 2; function < PCI_PAGES_SIZE / PAGE_SIZE; function++) {
        if (function != rng / PAGE_SIZE && function != CONSOLE >> 8) {
            set_page(function * PAGE_SIZE + PCI_COMMAND, 4, UINT32_MAX);
            CHECK_U64(page(function * PAGE_SIZE, 4), UINT32_MAX);
            CHECK_U64(page(function * PAGE_SIZE + PCI_CONFIG_SIZE, 4), UINT32_MAX);
        }
    }
    CHECK_U64(page(rng, 8), UINT64_MAX); /* too large, or not aligned */
    CHECK_U64(page(rng + 1, 2), 0xffff);
    CHECK_U64(page(rng + 2, 4), UINT32_MAX);
    set_page(rng + PCI_COMMAND, 8, UINT64_MAX);
    set_page(rng + PCI_COMMAND + 1, 2, UINT16_MAX);
    CHECK_U64(page(rng + PCI_COMMAND, 2), 0);
}

/* What the config gives the guest stands in slots of its own; the operator's cables are told. */
TEST(devices_of_the_config) {
    static struct channel_half halves[2];
    struct abi_channel channel = {.ours = (uintptr_t)&halves[0], .theirs = (uintptr_t)&halves[1]};
    fake_devices.disk_count = ABI_DISKS;
    fake_devices.net_count = ABI_NETS;
    for (unsigned i = 0; i < ABI_NETS; i++) {
        fake_devices.nets[i].link = true;
    }
    fake_devices.channels[0] = channel;
    fake_devices.channel_count = 1;
    fake_devices.vsock = (struct abi_vsock){.cid = 3, .peer_count = 1};
    fake_devices.served[3] = (struct abi_served){.cid = 0xffff0003, .server = 5};
    fake_pc_start();
    CHECK_U64(config(BIT32(31) | 0x2c, 0, 4), 0); /* the bridge is of no maker's own kind */
    for (uint32_t slot = 0; slot < 20; slot++) {
        static const uint16_t kinds[] = {0x1042, 0x1041};
        uint32_t id = config(BIT32(31) | slot << 11, 2, 2) & 0xffff;
        if (slot >= 2 && slot < 18) {
            CHECK_U64(id, kinds[slot >= 10]);
        } else {
            CHECK(id != 0xffff);
        }
    }
    CHECK_U64(config(BIT32(31) | 18u << 11, 2, 2) & 0xffff, 0x1053);
    platform_set_links(&fake_pc, 0x55);
    struct virtio_served *last = &fake_pc.served[3];
    (void)virtio_ops.service(&last->v.dev, UINT64_MAX - 1);
    halves[1].runs = halves[1].starts = 1; /* its server is there: it is asked for a connection */
    uint32_t put = halves[0].put;
    platform_poll_channels(&fake_pc);
    CHECK(halves[0].put != put);
    for (unsigned i = 0; i < ABI_NETS; i++) {
        CHECK_U64(fake_pc.nets[i].config.status, (i & 1) == 0 ? NET_STATUS_LINK : 0);
    }
    CHECK(!platform_await_disks(&fake_pc, clock_now(fake_pc.env.clock)));
    fake_devices.served[3].cid = 0;
    CHECK(platform_await_disks(&fake_pc, clock_now(fake_pc.env.clock)));
    memset(&fake_devices, 0, sizeof(fake_devices));
}

static void put_config(uint32_t address, uint32_t value) {
    fake_out(0xcf8, 4, address);
    fake_out(0xcfc, 4, value);
}

/* PCI 3.0, "Configuration Space Header": what is written changes the bits that it may, and those
 * of no other word. */
TEST(what_can_be_written) {
    const uint32_t rng = 0x80000000 | RNG;
    uint32_t before[PCI_CONFIG_SIZE / 4], may[PCI_CONFIG_SIZE / 4] = {0};

    may[PCI_COMMAND / 4] = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON | BIT32(10);
    may[PCI_BAR / 4] = ~0x1fu;
    may[PCI_BAR / 4 + 1] = ~0xfffu;
    may[PCI_INTERRUPT / 4] = 0xff;
    may[VIRTIO_MSIX_CAPABILITY / 4] = BIT32(31) | BIT32(30);
    fake_pc_start();
    for (uint32_t reg = 0; reg < PCI_CONFIG_SIZE; reg += 4) {
        before[reg / 4] = config(rng | reg, 0, 4);
    }
    for (uint32_t reg = 0; reg < PCI_CONFIG_SIZE; reg += 4) {
        for (uint32_t bits = 0; bits <= 1; bits++) {
            put_config(rng | reg, 0 - bits);
            for (uint32_t other = 0; other < PCI_CONFIG_SIZE; other += 4) {
                uint32_t changed = other == reg ? may[reg / 4] : 0;
                uint32_t want = (before[other / 4] & ~changed) | ((0 - bits) & changed);
                CHECK_U64(config(rng | other, 0, 4), want);
            }
        }
        put_config(rng | reg, before[reg / 4]);
    }
}

/* With as many disks as there may be, and whichever it is. */
TEST(each_served_disk_is_awaited) {
    static struct channel_half halves[2];
    for (unsigned i = 0; i < ABI_DISKS; i++) {
        fake_devices.disk_count = ABI_DISKS;
        fake_devices.channels[0] =
            (struct abi_channel){.ours = (uintptr_t)&halves[0], .theirs = (uintptr_t)&halves[1]};
        fake_devices.channel_count = 1;
        fake_devices.served[i] = (struct abi_served){.cid = 0xffff0000 + i, .server = 5};
        fake_pc_start();
        CHECK(!platform_await_disks(&fake_pc, clock_now(fake_pc.env.clock)));
        fake_devices.disk_count = i; /* that one is not there */
        CHECK(platform_await_disks(&fake_pc, clock_now(fake_pc.env.clock)));
        memset(&fake_devices, 0, sizeof(fake_devices));
    }
}

TEST_MAIN(T(each_served_disk_is_awaited), T(bridge), T(nothing_else), T(address_register),
          T(reset_register), T(configuration_as_memory), T(beyond_the_configuration),
          T(devices_of_the_config), T(what_can_be_written))
