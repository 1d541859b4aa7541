/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device as its driver finds it: over PCI, with its queue in memory that the driver shares
 * with it; and as a driver that keeps no rule finds it. The device is the one for entropy.
 */
#include "tests/unit/fake_virtio.h"

static void begin(void) {
    fake_pc_start();
    driver_begin();
}

TEST(configuration_space) {
    begin();
    CHECK_U64(config_read(PCI_ID), 0x10441af4);
    CHECK_U64(config_read(PCI_CLASS), 0x00ff0001);
    CHECK_U64(config_read(PCI_SUBSYSTEM), 0x10441af4);
    CHECK_U64(config_read(PCI_COMMAND), BIT32(20) | 7);
    CHECK_U64(config_read(PCI_CAPABILITIES), 0x40);
    unsigned kinds = 0, at = 0x40, count = 0;
    for (; at != 0 && count < 10; count++) {
        uint32_t word = config_read(at);
        kinds |= (word & 0xff) == 9 ? BIT32(word >> 24) : 0;
        CHECK((word & 0xff) == 9 || at == VIRTIO_MSIX_CAPABILITY);
        at = word >> 8 & 0xff;
    }
    CHECK_U64(count, 5);
    CHECK_U64(kinds, 0x1e);
}

/* VIRTIO 1.2, "Virtio Structure PCI Capabilities", and MSI-X: each word, and nothing behind them.
 */
TEST(capabilities) {
    static const uint32_t words[] = {
        0x01105009,
        1,
        VIRTIO_COMMON,
        VIRTIO_COMMON_SIZE, /* common registers, BAR 1 */
        0x03106009,
        1,
        VIRTIO_ISR,
        1, /* why it interrupts */
        0x04107009,
        1,
        VIRTIO_CONFIG,
        VIRTIO_CONFIG_MAX, /* the device's own */
        0x02148409,
        0,
        0,
        4, /* doorbells, BAR 0 */
        0, /* all queues have one */
    };
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        CHECK_U64(config_read(0x40 + 4 * i), words[i]);
    }
    CHECK_U64(config_read(VIRTIO_MSIX_CAPABILITY), 0x80000011 | (VIRTIO_VECTORS(1) - 1) << 16);
    CHECK_U64(config_read(VIRTIO_MSIX_CAPABILITY + 4), VIRTIO_MSIX | 1); /* in BAR 1 */
    CHECK_U64(config_read(VIRTIO_MSIX_CAPABILITY + 8), (VIRTIO_MSIX + MSIX_PENDING) | 1);
    for (unsigned at = VIRTIO_MSIX_CAPABILITY + 12; at < 0x100; at += 4) {
        CHECK_U64(config_read(at), 0);
    }
}

/* A device writes as it has bytes, whatever the segments are: none goes beyond its segment's end,
 * none into what is only to be read. */
TEST(a_chain_is_written_in_pieces) {
    uint8_t ram[32] = {0};
    struct virtio_chain chain = {
        .count = 4,
        .segments = {
            {ram, 2, false}, {ram + 4, 8, true}, {ram + 16, 3, true}, {ram + 24, 4, true}}};
    struct virtio_cursor to = {.chain = &chain};
    static const uint8_t wanted[32] = {[4] = 'a',  'b', 'c', 'd',        'e', 'f', 'g', 'h',
                                       [16] = 'i', 'j', 'k', [24] = 'l', 'm', 'n', 'o'};

    CHECK_U64(virtio_cursor_write(&to, "abcde", 5), 5);
    CHECK_U64(virtio_cursor_write(&to, "fg", 2), 2);
    CHECK_U64(virtio_cursor_write(&to, "hijklm", 6), 6);
    CHECK_U64(virtio_cursor_write(&to, "nopq", 4), 2);
    CHECK_U64(virtio_cursor_write(&to, "r", 1), 0);
    CHECK(memcmp(ram, wanted, sizeof(ram)) == 0);
}

/* VIRTIO 1.2, "Common configuration structure layout": offsets of what is read as it was written.
 */
TEST(what_is_written_is_read) {
    static const uint8_t words[] = {0x20, 0x24, 0x28, 0x2c, 0x30, 0x34};
    begin();
    CHECK(negotiate(VIRTIO_F_VERSION_1));
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        reg_write(words[i], 4, 0x9abcde01 + 0x11111110 * i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        CHECK_U64(reg_read(words[i], 4), 0x9abcde01 + 0x11111110 * i);
    }
    reg_write(0x18, 2, 2);
    CHECK_U64(reg_read(0x18, 2), 2);
    reg_write(0x1a, 2, 1);
    CHECK_U64(reg_read(0x1a, 2), 1);
    reg_write(0x10, 2, 1);
    CHECK_U64(reg_read(0x10, 2), 1);
    CHECK_U64(reg_read(0x1c, 2), 0);
    CHECK_U64(reg_read(0x12, 2), 1); /* how many queues */
    CHECK_U64(reg_read(0x1e, 2), 0); /* a doorbell for all */
}

/* All but the PCI function, which the driver's reset leaves alone. */
TEST(a_restart_forgets_the_driver) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    reg_write(0x00, 4, 1);
    reg_write(0x08, 4, 1);
    reg_write(0x10, 2, 0);
    reg_write(0x1a, 2, 1);
    reg_write(0x16, 2, 7);
    reg_write(0x14, 1, 0);
    CHECK_U64(reg_read(0x14, 1), 0);
    CHECK_U64(reg_read(0x00, 4), 0);
    CHECK_U64(reg_read(0x08, 4), 0);
    CHECK_U64(reg_read(0x0c, 4), 0);
    CHECK_U64(reg_read(0x10, 2), 0xffff);
    CHECK_U64(reg_read(0x16, 2), 0);
    CHECK_U64(reg_read(0x18, 2), VIRTIO_QUEUE_SIZE);
    CHECK_U64(reg_read(0x1a, 2), 0xffff);
    CHECK_U64(reg_read(0x1c, 2), 0);
    for (unsigned at = 0x20; at < 0x38; at += 4) {
        CHECK_U64(reg_read(at, 4), 0);
    }
    CHECK_U64(config_read(PCI_COMMAND), BIT32(20) | 7);
}

TEST(bars_are_sized_and_moved) {
    begin();
    uint64_t before = memory;
    config_write(PCI_BAR, UINT32_MAX);
    config_write(PCI_BAR + 4, UINT32_MAX);
    config_write(PCI_BAR + 8, UINT32_MAX);
    CHECK_U64(config_read(PCI_BAR), 0xffffffe1);
    CHECK_U64(config_read(PCI_BAR + 4), 0xfffff000);
    CHECK_U64(config_read(PCI_BAR + 8), 0);
    CHECK(platform_read(&fake_pc, BUS_MEMORY, before, 4).there == 0);
    config_write(PCI_BAR, 0x2000);
    config_write(PCI_BAR + 4, 0xe0055000);
    memory = 0xe0055000;
    CHECK_U64(reg_read(0x12, 2), 1);
    CHECK_U64(fake_in(0x2000, 2) & 0xffff, 0xffff);
    config_write(PCI_COMMAND, 0);
    CHECK(platform_read(&fake_pc, BUS_MEMORY, memory, 4).there == 0);
    CHECK(platform_read(&fake_pc, BUS_PORT, 0x2000, 2).there == 0);
}

/* Over the I/O APIC or COM1 it answers nowhere, and they go on. */
TEST(a_bar_takes_nobodys_place) {
    begin();
    config_write(PCI_BAR + 4, (uint32_t)IOAPIC_BASE);
    config_write(PCI_BAR, 0x3e0);
    CHECK_U64(platform_read(&fake_pc, BUS_MEMORY, IOAPIC_BASE, 4).value, 0);
    CHECK_U64(fake_in(0x3fd, 1) & 0x60, 0x60);
    CHECK_U64(config_read(PCI_BAR + 4), IOAPIC_BASE);
    memory = PCI_DEVICES; /* where real devices are at a start */
    config_write(PCI_BAR + 4, (uint32_t)memory);
    CHECK_U64(reg_read(0x12, 2), 1);
    memory = PCI_VIRTIO;
    config_write(PCI_BAR + 4, (uint32_t)memory);
    CHECK_U64(reg_read(0x12, 2), 1);
}

/* Of the device's own registers there are as many as it has, and 0 after them. */
TEST(the_end_of_its_own_registers) {
    uint8_t own[16];
    memset(own, 0xa5, sizeof(own));
    begin();
    fake_pc.rng.config = own;
    fake_pc.rng.config_size = 6;
    CHECK_U64(reg_read(VIRTIO_CONFIG, 4), 0xa5a5a5a5);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 4, 4), 0x0000a5a5);
    CHECK_U64(reg_read(VIRTIO_CONFIG + 5, 1), 0xa5);
    for (unsigned at = 6; at < sizeof(own); at++) {
        CHECK_U64(reg_read(VIRTIO_CONFIG + at, 1), 0);
    }
    CHECK_U64(reg_read(VIRTIO_CONFIG + 8, 4), 0);
}

TEST(bytes_of_the_configuration_space) {
    begin();
    fake_out(0xcf8, 4, 0x80000800 | PCI_INTERRUPT);
    CHECK_U64(config_read(PCI_INTERRUPT), 0x10b); /* slot 1: INTA, interrupt 11 */
    fake_out(0xcfc, 1, 0x09);
    fake_out(0xcfd, 1, 0x55); /* the pin is read-only */
    CHECK_U64(config_read(PCI_INTERRUPT), 0x109);
    fake_out(0xcf8, 4, 0x80000800 | PCI_COMMAND);
    fake_out(0xcfd, 1, 0x04); /* INTx off; the low byte stays */
    CHECK_U64(config_read(PCI_COMMAND), BIT32(20) | 0x407);
    config_write(PCI_ID, 0);
    CHECK_U64(config_read(PCI_ID), 0x10441af4);
}

TEST(features_are_negotiated) {
    begin();
    reg_write(0x00, 4, 0);
    CHECK_U64(reg_read(0x04, 4), BIT32(28) | BIT32(29));
    reg_write(0x00, 4, 1);
    CHECK_U64(reg_read(0x04, 4), 1 | BIT32(40 - 32));
    reg_write(0x00, 4, 2);
    CHECK_U64(reg_read(0x04, 4), 0);
    CHECK(negotiate(VIRTIO_F_VERSION_1));
    reg_write(0x14, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    reg_write(0x08, 4, 2); /* of a third word there is none */
    reg_write(0x0c, 4, UINT32_MAX);
    reg_write(0x14, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    CHECK_U64(reg_read(0x14, 1), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    reg_write(0x08, 4, 0); /* too late to take more */
    reg_write(0x0c, 4, UINT32_MAX);
    CHECK_U64(reg_read(0x0c, 4), 0);
    CHECK(!negotiate(0));
    CHECK(!negotiate(VIRTIO_F_VERSION_1 | BIT(5)));
    CHECK(negotiate(VIRTIO_FEATURES));
}

/* A driver that skips FEATURES_OK, or takes it back, cannot have what was not offered. */
TEST(no_agreement_no_queues) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    reg_write(0x14, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    reg_write(0x08, 4, 0);
    reg_write(0x0c, 4, UINT32_MAX);
    reg_write(0x14, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
    offer(0);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 0);
    reg_write(0x14, 1, 15);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 0);
    reg_write(0x0c, 4, 0);
    reg_write(0x14, 1, 15);
    CHECK_U64(get16(USED + 2), 1);
}

TEST(a_buffer_is_filled) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 3, BUFFER, 60, WRITE | NEXT, 5);
    describe(TABLE, 5, BUFFER + 0x100, 4, WRITE, 0);
    offer(3);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 1);
    CHECK_U64(get32(USED + 4), 3);
    CHECK_U64(get32(USED + 8), 64);
    CHECK_U64(fake_ram[BUFFER + 59], 0x72);
    CHECK_U64(fake_ram[BUFFER + 60], 0);
    CHECK_U64(get32(BUFFER + 0x100), 0x72727272);
    CHECK_U64(get32(BUFFER + 0x104), 0);
    CHECK_U64(messages, 1);
    CHECK_U64(message_address, 0xfee00000);
    CHECK_U64(message_data, 0x41);
    CHECK_U64(reg_read(VIRTIO_ISR, 1), 1);
    CHECK_U64(reg_read(VIRTIO_ISR, 1), 0);
    doorbell(0); /* nothing new */
    doorbell(1); /* no such queue */
    doorbell(0xffff);
    CHECK_U64(get16(USED + 2), 1);
    CHECK_U64(messages, 1);
}

static unsigned told_queues;
static void note_queue(struct virtio *v, unsigned queue) {
    CHECK(queue < v->model->queues);
    told_queues++;
}

/* A device is never told of a queue that it has not: it may have no memory for one. */
TEST(doorbells_of_no_queue) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    struct virtio_model model = *fake_pc.rng.model;
    model.notify = note_queue;
    fake_pc.rng.model = &model;
    describe(TABLE, 0, BUFFER, 16, WRITE, 0);
    offer(0);
    told_queues = 0;
    for (unsigned queue = 1; queue <= 0xffff; queue++) {
        doorbell((uint16_t)queue);
    }
    CHECK_U64(told_queues, 0);
    doorbell(0);
    CHECK_U64(told_queues, 1);
    fake_pc.rng.model = &virtio_rng_model;
}

TEST(the_rings_go_round) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 16, WRITE, 0);
    for (unsigned i = 0; i < 70000; i++) {
        offer(0);
        doorbell(0);
        CHECK_U64(get16(USED + 2), (uint16_t)(i + 1));
    }
    CHECK_U64(messages, 70000);
}

TEST(an_indirect_table) {
    begin();
    start_driver(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT);
    describe(TABLE, 0, INDIRECT, 48, TABLE_ELSEWHERE, 0);
    describe(INDIRECT, 0, BUFFER, 8, WRITE | NEXT, 2);
    describe(INDIRECT, 2, BUFFER + 8, 8, WRITE, 0);
    offer(0);
    doorbell(0);
    CHECK_U64(get32(USED + 8), 16);
    CHECK(!broken());
}

/* used_event, avail_event. */
TEST(notifications_are_suppressed) {
    begin();
    start_driver(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_INDEX);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    put16(AVAIL + 4 + 2 * SIZE, 1); /* not for the first, for the second */
    offer(0);
    doorbell(0);
    CHECK_U64(messages, 0);
    CHECK_U64(get16(USED + 4 + 8 * SIZE), 1); /* wants to hear of the next */
    offer(0);
    doorbell(0);
    CHECK_U64(messages, 1);
    offer(0); /* nor for the third */
    doorbell(0);
    CHECK_U64(messages, 1);
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    put16(AVAIL, 1); /* NO_INTERRUPT */
    offer(0);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 1);
    CHECK_U64(messages, 0);
}

/* A doorbell that finds nothing asks for the next one, once: it writes no more. */
TEST(a_doorbell_is_asked_for_once) {
    const uint64_t event = USED + 4 + 8 * SIZE;
    begin();
    start_driver(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_INDEX);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    put16(event, 0x5555);
    doorbell(0);
    CHECK_U64(get16(event), 0x5555); /* it was asked for at the start */
    offer(0);
    doorbell(0);
    CHECK_U64(get16(event), 1);
    put16(event, 0x5555);
    doorbell(0);
    CHECK_U64(get16(event), 0x5555);
    offer(0);
    doorbell(0);
    CHECK_U64(get16(event), 2);
}

TEST(what_is_asked_for_is_bounded) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 0x4000, WRITE, 0);
    offer(0);
    doorbell(0);
    CHECK_U64(get32(USED + 8), 256);
    CHECK_U64(fake_ram[BUFFER + 256], 0);
    memset(fake_ram + BUFFER, 0, 0x4000);
    describe(TABLE, 1, BUFFER, 200, WRITE | NEXT, 2); /* the bound is the chain's */
    describe(TABLE, 2, BUFFER + 0x1000, 200, WRITE, 0);
    offer(1);
    doorbell(0);
    CHECK_U64(get32(USED + 16), 256);
    CHECK_U64(fake_ram[BUFFER + 0x1000 + 55], 0x72);
    CHECK_U64(fake_ram[BUFFER + 0x1000 + 56], 0);
}

/* The driver takes one queue back, and gives another one in its place. */
TEST(a_queue_is_reset) {
    begin();
    start_driver(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    offer(0);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 1);
    reg_write(0x3a, 2, 0); /* no reset */
    CHECK_U64(reg_read(0x1c, 2), 1);
    reg_write(0x3a, 2, 1);
    CHECK_U64(reg_read(0x3a, 2), 0);
    CHECK_U64(reg_read(0x1c, 2), 0);
    CHECK_U64(reg_read(0x18, 2), VIRTIO_QUEUE_SIZE);
    CHECK_U64(reg_read(0x1a, 2), 0xffff);
    CHECK_U64(reg_read(0x20, 4) | reg_read(0x28, 4) | reg_read(0x30, 4), 0);
    offer(0);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 1);
    CHECK(!broken());
    put16(AVAIL + 2, given = 0);
    put16(USED + 2, 0);
    set_queue(SIZE / 2, TABLE, AVAIL, USED);
    offer(0);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 1);
    CHECK_U64(reg_read(0x14, 1), 15);
    /* A driver that has not agreed to it cannot. */
    put16(AVAIL + 2, given = 0);
    start_driver(VIRTIO_F_VERSION_1);
    reg_write(0x3a, 2, 1);
    CHECK_U64(reg_read(0x1c, 2), 1);
}

/* A guest that keeps no rule: its device is broken until it is reset, and nothing else comes of it.
 */
TEST(broken_chains) {
    static const struct {
        const char *what;
        uint64_t address;
        uint32_t length;
        uint16_t flags, next, head;
    } chains[] = {
        {"a head that is none", BUFFER, 8, WRITE, 0, SIZE},
        {"a head far away", BUFFER, 8, WRITE, 0, 0xffff},
        {"a next that is none", BUFFER, 8, WRITE | NEXT, SIZE, 0},
        {"a loop", BUFFER, 8, WRITE | NEXT, 0, 0},
        {"no length", BUFFER, 0, WRITE, 0, 0},
        {"beyond RAM", sizeof(fake_ram), 8, WRITE, 0, 0},
        {"over the end of RAM", sizeof(fake_ram) - 4, 8, WRITE, 0, 0},
        {"an address that wraps", UINT64_MAX - 3, 8, WRITE, 0, 0},
        {"a huge length", BUFFER, UINT32_MAX, WRITE, 0, 0},
        {"an indirect table that was not agreed", INDIRECT, 16, TABLE_ELSEWHERE, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(chains); i++) {
        begin();
        start_driver(VIRTIO_F_VERSION_1);
        describe(TABLE, 0, chains[i].address, chains[i].length, chains[i].flags, chains[i].next);
        describe(INDIRECT, 0, BUFFER, 8, WRITE, 0);
        describe(TABLE, SIZE, BUFFER, 8, WRITE, 0); /* beyond its end */
        offer(chains[i].head);
        doorbell(0);
        if (!broken()) {
            printf("#   not broken by %s\n", chains[i].what);
        }
        CHECK(broken());
        CHECK_U64(get16(USED + 2), 0);
        CHECK_U64(message_data, 0x40); /* its configuration has changed */
        doorbell(0);
        CHECK_U64(get16(USED + 2), 0);
        describe(TABLE, 0, BUFFER, 8, WRITE, 0);
        put16(AVAIL + 4, 0); /* mended: too late */
        doorbell(0);
        CHECK_U64(get16(USED + 2), 0);
        put16(AVAIL + 2, 0);
        start_driver(VIRTIO_F_VERSION_1);
        CHECK(!broken());
    }
}

TEST(broken_indirect_tables) {
    for (unsigned i = 0; i < 5; i++) {
        begin();
        start_driver(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT);
        describe(TABLE, 0, INDIRECT, 16, TABLE_ELSEWHERE, 0);
        describe(INDIRECT, 0, BUFFER, 8, WRITE, 0);
        if (i == 0) {
            describe(TABLE, 0, INDIRECT, 24, TABLE_ELSEWHERE, 0); /* half a descriptor */
        } else if (i == 1) {
            describe(TABLE, 0, INDIRECT, 0, TABLE_ELSEWHERE, 0);
        } else if (i == 2) {
            describe(INDIRECT, 0, INDIRECT, 16, TABLE_ELSEWHERE, 0); /* one in another */
        } else if (i == 3) {
            describe(TABLE, 0, INDIRECT, 16, TABLE_ELSEWHERE | NEXT, 1);
        } else {
            describe(INDIRECT, 0, BUFFER, 8, WRITE | NEXT, 1); /* beyond its end */
        }
        offer(0);
        doorbell(0);
        CHECK(broken());
        CHECK_U64(get16(USED + 2), 0);
    }
}

TEST(broken_rings) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    put16(AVAIL + 2, SIZE + 1); /* more than there are */
    doorbell(0);
    CHECK(broken());
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    put16(AVAIL + 2, 0xffff); /* backwards */
    doorbell(0);
    CHECK(broken());
    begin();
    CHECK(negotiate(VIRTIO_F_VERSION_1));
    set_queue(SIZE, TABLE, sizeof(fake_ram), USED); /* nowhere */
    reg_write(0x14, 1, 15);
    CHECK(broken());
    begin();
    CHECK(negotiate(VIRTIO_F_VERSION_1));
    set_queue(SIZE, TABLE, AVAIL, sizeof(fake_ram));
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    offer(0);
    reg_write(0x14, 1, 15);
    CHECK(broken());

    /* Its index is in RAM, and its elements are not; then all but the event's index is. */
    begin();
    CHECK(negotiate(VIRTIO_F_VERSION_1));
    set_queue(SIZE, TABLE, AVAIL, sizeof(fake_ram) - 4);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    offer(0);
    reg_write(0x14, 1, 15);
    CHECK(broken());
    begin();
    CHECK(negotiate(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_INDEX));
    set_queue(SIZE, TABLE, AVAIL, sizeof(fake_ram) - 4 - 8 * SIZE);
    reg_write(0x14, 1, 15);
    CHECK(broken());
}

TEST(queues_that_are_none) {
    static const struct {
        uint16_t size;
        uint64_t table, avail, used;
    } odd[] = {
        {0, TABLE, AVAIL, USED},        {3, TABLE, AVAIL, USED},
        {512, TABLE, AVAIL, USED},      {SIZE, TABLE + 8, AVAIL, USED},
        {SIZE, TABLE, AVAIL + 1, USED}, {SIZE, TABLE, AVAIL, USED + 2},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        begin();
        CHECK(negotiate(VIRTIO_F_VERSION_1));
        set_queue(odd[i].size, odd[i].table, odd[i].avail, odd[i].used);
        CHECK_U64(reg_read(0x1c, 2), 0);
        reg_write(0x14, 1, 15);
        doorbell(0);
        CHECK(!broken());
    }
    reg_write(0x16, 2, 7); /* no such queue: reads 0, takes nothing */
    CHECK_U64(reg_read(0x18, 2), 0);
    reg_write(0x18, 2, 4);
    reg_write(0x1c, 2, 1);
    CHECK_U64(reg_read(0x1c, 2), 0);
}

TEST(what_is_in_use_stays) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    reg_write(0x18, 2, 4);
    reg_write(0x20, 4, 0);
    reg_write(0x30, 4, 0x7000);
    CHECK_U64(reg_read(0x18, 2), SIZE);
    CHECK_U64(reg_read(0x20, 4), TABLE);
    CHECK_U64(reg_read(0x30, 4), USED);
}

TEST(no_master_no_memory) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    offer(0);
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 0);
    CHECK_U64(get32(BUFFER), 0);
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON);
    doorbell(0);
    CHECK_U64(get16(USED + 2), 1);
}

TEST(masks_of_msix) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    reg_write(VIRTIO_MSIX + 16 + 12, 4, 1);
    offer(0);
    doorbell(0);
    CHECK_U64(messages, 0);
    CHECK_U64(reg_read(VIRTIO_MSIX + MSIX_PENDING, 4), 2);
    config_write(VIRTIO_MSIX_CAPABILITY, BIT32(31) | BIT32(30)); /* all of them */
    reg_write(VIRTIO_MSIX + 16 + 12, 4, 0);
    CHECK_U64(messages, 0);
    config_write(VIRTIO_MSIX_CAPABILITY, BIT32(31));
    CHECK_U64(messages, 1);
    CHECK_U64(reg_read(VIRTIO_MSIX + MSIX_PENDING, 4), 0);
    config_write(VIRTIO_MSIX_CAPABILITY, 0); /* off: nothing is sent */
    offer(0);
    doorbell(0);
    CHECK_U64(messages, 1);
    CHECK_U64(get16(USED + 2), 2);
}

/* A vector of which one waits sends it when its own mask goes, and at no other word of it. */
TEST(a_message_waits_for_its_mask) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    reg_write(VIRTIO_MSIX + 16 + 12, 4, 1);
    offer(0);
    doorbell(0);
    reg_write(VIRTIO_MSIX + 16 + 8, 4, 0x77);
    CHECK_U64(messages, 0);
    reg_write(VIRTIO_MSIX + 16 + 12, 4, 0);
    CHECK_U64(messages, 1);
    CHECK_U64(message_data, 0x77);
    CHECK_U64(reg_read(VIRTIO_MSIX + MSIX_PENDING, 4), 0);
}

TEST(the_table_of_msix) {
    begin();
    struct bus_answer wide;
    reg_write(VIRTIO_MSIX, 8, 0x12345678fee01003);
    wide = platform_read(&fake_pc, BUS_MEMORY, memory + VIRTIO_MSIX, 8);
    CHECK_U64(wide.value, 0x12345678fee01000);
    reg_write(VIRTIO_MSIX + 1, 1, 0x55); /* no way to write it */
    reg_write(VIRTIO_MSIX + 2, 4, 0x55555555);
    CHECK_U64(reg_read(VIRTIO_MSIX, 4), 0xfee01000);
    reg_write(VIRTIO_MSIX + 16 * VIRTIO_VECTORS(1), 4, 0x55); /* no such vector */
    CHECK_U64(reg_read(VIRTIO_MSIX + 16 * VIRTIO_VECTORS(1), 4), 0);
    reg_write(0x1a, 2, VIRTIO_VECTORS(1));
    CHECK_U64(reg_read(0x1a, 2), 0xffff);
}

TEST(a_reset_forgets_all) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    platform_reset(&fake_pc);
    CHECK(platform_read(&fake_pc, BUS_MEMORY, memory, 4).there == 0);
    CHECK_U64(config_read(PCI_COMMAND), BIT32(20));
    CHECK_U64(config_read(VIRTIO_MSIX_CAPABILITY) >> 16, VIRTIO_VECTORS(1) - 1);
    config_write(PCI_COMMAND, PCI_MEMORY_ON);
    CHECK_U64(config_read(PCI_BAR + 4), memory);
    CHECK_U64(reg_read(0x14, 1), 0);
    CHECK_U64(reg_read(0x1c, 2), 0);
    CHECK_U64(reg_read(VIRTIO_MSIX + 12, 4), 1);
}

/* A redirection entry of the I/O APIC: its low half; level, active low, not masked. */
static void route(unsigned pin, uint8_t vector) {
    CHECK(platform_write(&fake_pc, BUS_MEMORY, IOAPIC_BASE, 4, 0x10 + 2 * pin));
    CHECK(platform_write(&fake_pc, BUS_MEMORY, IOAPIC_BASE + 0x10, 4, 0xa000u | vector));
}

static bool wants_service(void) {
    return (config_read(PCI_COMMAND) & BIT32(19)) != 0;
}

/* Slot 1 is on INTB, that is pin 17, and interrupt 11 of the 8259s. */
static void begin_with_line(void) {
    begin();
    config_write(VIRTIO_MSIX_CAPABILITY, 0);
    route(17, 0x51);
    start_driver(VIRTIO_F_VERSION_1);
    describe(TABLE, 0, BUFFER, 16, WRITE, 0);
}

static void ask(void) {
    offer(0);
    doorbell(0);
}

TEST(a_line_instead_of_messages) {
    begin_with_line();
    CHECK_U64(config_read(PCI_INTERRUPT), 0x10b);
    ask();
    CHECK_U64(messages, 1);
    CHECK_U64(message_data & 0xff, 0x51);
    CHECK(wants_service());
    CHECK_U64(fake_pc.pic.chips[1].lines, BIT32(3));
    platform_end_interrupt(&fake_pc, 0x51); /* a level: it comes again until the reason is read */
    CHECK_U64(messages, 2);
    CHECK_U64(reg_read(VIRTIO_ISR, 1), 1);
    CHECK(!wants_service());
    CHECK_U64(fake_pc.pic.chips[1].lines, 0);
    platform_end_interrupt(&fake_pc, 0x51);
    CHECK_U64(messages, 2);
    ask();
    CHECK_U64(messages, 3);
    reg_write(0x14, 1, 0); /* the driver gives up */
    CHECK_U64(fake_pc.ioapic.lines, 0);
}

TEST(command_bit_10_holds_the_line) {
    begin_with_line();
    config_write(PCI_COMMAND, 7 | PCI_INTX_OFF);
    ask();
    CHECK(wants_service());
    CHECK_U64(messages, 0);
    CHECK_U64(fake_pc.pic.chips[1].lines, 0);
    config_write(PCI_COMMAND, 7);
    CHECK_U64(messages, 1);
    config_write(PCI_COMMAND, 7 | PCI_INTX_OFF);
    CHECK_U64(fake_pc.ioapic.lines, 0);
}

TEST(messages_instead_of_a_line) {
    begin_with_line();
    ask();
    CHECK_U64(fake_pc.ioapic.lines, BIT32(17));
    config_write(VIRTIO_MSIX_CAPABILITY, BIT32(31));
    CHECK_U64(fake_pc.ioapic.lines, 0);
    CHECK(!wants_service());
    ask();
    CHECK_U64(message_data, 0x41);
    CHECK_U64(fake_pc.ioapic.lines, 0);
}

/* Slot 5 has the same line, slot 3 another one with the same input of the 8259s. */
TEST(lines_are_shared) {
    begin_with_line();
    struct pci_function near = {.model = fake_pc.rng.pci.model,
                                .device = &fake_pc.rng.dev,
                                .host = &fake_pc.pci,
                                .slot = 5};
    struct pci_function far = near;
    far.slot = 3;
    pci_set_interrupt(&near, true);
    pci_set_interrupt(&far, true);
    CHECK_U64(fake_pc.ioapic.lines, BIT32(17) | BIT32(19));
    ask();
    (void)reg_read(VIRTIO_ISR, 1);
    CHECK_U64(fake_pc.ioapic.lines, BIT32(17) | BIT32(19));
    pci_set_interrupt(&near, false);
    CHECK_U64(fake_pc.ioapic.lines, BIT32(19));
    CHECK_U64(fake_pc.pic.chips[1].lines, BIT32(3));
    pci_set_interrupt(&far, false);
    CHECK_U64(fake_pc.pic.chips[1].lines, 0);
    CHECK_U64(fake_in(0x4d1, 1), 0x0c); /* levels, as firmware leaves them */
}

TEST(a_reset_lets_the_line_go) {
    begin_with_line();
    ask();
    platform_reset(&fake_pc);
    CHECK_U64(fake_pc.ioapic.lines | fake_pc.ioapic.pending, 0);
    CHECK_U64(fake_pc.pic.chips[1].lines, 0);
}

/* Those that wait are remembered each, and one that there is not is sent nowhere. */
TEST(two_messages_wait_for_the_mask_of_all) {
    begin();
    start_driver(VIRTIO_F_VERSION_1);
    reg_write(0x10, 2, 0); /* of the configuration, which is 0 */
    describe(TABLE, 0, BUFFER, 8, WRITE, 0);
    config_write(VIRTIO_MSIX_CAPABILITY, BIT32(31) | BIT32(30));
    msix_send(&fake_pc.rng.pci, 0);
    offer(0);
    doorbell(0);
    CHECK_U64(messages, 0);
    CHECK_U64(reg_read(VIRTIO_MSIX + MSIX_PENDING, 4), 3);
    config_write(VIRTIO_MSIX_CAPABILITY, BIT32(31));
    CHECK_U64(messages, 2);
    msix_send(&fake_pc.rng.pci, VIRTIO_VECTORS(1));
    CHECK_U64(messages, 2);
    CHECK_U64(msix_read(&fake_pc.rng.pci, MSIX_PENDING, 4), 0);
    CHECK_U64(msix_read(&fake_pc.rng.pci, 0, 4), 0xfee00000);
}

/* VIRTIO 1.2, "Split Virtqueues": each part has the size that the specification says, and may end
 * where RAM does; 2 bytes further it is nowhere. */
TEST(rings_at_the_end_of_memory) {
    static const uint64_t sizes[] = {16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE};
    for (unsigned part = 0; part < ARRAY_SIZE(sizes); part++) {
        for (unsigned over = 0; over < 2; over++) {
            static const uint64_t aligned[] = {16, 2, 4};
            uint64_t places[] = {TABLE, AVAIL, USED};
            uint64_t last = (sizeof(fake_ram) - sizes[part]) & ~(aligned[part] - 1);
            places[part] = last + over * aligned[part];
            begin();
            CHECK(negotiate(VIRTIO_F_VERSION_1));
            set_queue(SIZE, places[0], places[1], places[2]);
            CHECK_U64(reg_read(0x1c, 2), 1);
            reg_write(0x14, 1, 15);
            CHECK(broken() == (over != 0));
        }
    }
}

TEST_MAIN(T(configuration_space), T(a_chain_is_written_in_pieces), T(capabilities),
          T(what_is_written_is_read), T(a_restart_forgets_the_driver), T(bars_are_sized_and_moved),
          T(a_bar_takes_nobodys_place), T(bytes_of_the_configuration_space),
          T(features_are_negotiated), T(no_agreement_no_queues), T(a_buffer_is_filled),
          T(doorbells_of_no_queue), T(the_rings_go_round), T(an_indirect_table),
          T(notifications_are_suppressed), T(a_doorbell_is_asked_for_once),
          T(what_is_asked_for_is_bounded), T(a_queue_is_reset), T(broken_chains),
          T(broken_indirect_tables), T(broken_rings), T(queues_that_are_none),
          T(what_is_in_use_stays), T(no_master_no_memory), T(masks_of_msix),
          T(a_message_waits_for_its_mask), T(the_table_of_msix), T(a_reset_forgets_all),
          T(a_line_instead_of_messages), T(command_bit_10_holds_the_line),
          T(messages_instead_of_a_line), T(lines_are_shared), T(a_reset_lets_the_line_go),
          T(two_messages_wait_for_the_mask_of_all), T(rings_at_the_end_of_memory),
          T(the_end_of_its_own_registers))
