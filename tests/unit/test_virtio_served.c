/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that another guest serves, as its driver finds it: with an honest server, one that comes
 * and goes, and one that lies. Each lie is a test.
 */
#include "tests/unit/fake_served.h"

static bool is_as_on_disk(uint64_t at, const uint8_t *data, uint32_t size) {
    return memcmp(server.disk + at, data, size) == 0;
}

static uint64_t capacity(void) {
    return driver_reg(pc, VIRTIO_CONFIG, 4) | driver_reg(pc, VIRTIO_CONFIG + 4, 4) << 32;
}

static uint64_t features(void) {
    driver_set(pc, 0x00, 4, 0);
    return driver_reg(pc, 0x04, 4);
}

/* How many requests have gone back to the driver since the last call. */
static unsigned count_done(void) {
    uint32_t id = 0, length = 0;
    unsigned count = 0;

    while (driver_take(pc, 0, &id, &length)) {
        count++;
    }
    return count;
}

/* ---- an honest server ---- */

TEST(what_the_driver_reads) {
    machines_begin();
    power_on();
    CHECK_U64(capacity(), 0);
    const struct pci_function *f = &pc->served.v.pci;
    CHECK_U64(pci_config_read(&pc->host, f->slot << 11), 0x10421af4);
    CHECK_U64(pci_config_read(&pc->host, (f->slot << 11) + PCI_CLASS), 0x01000001);
    CHECK_U64(driver_reg(pc, 0x12, 2), 1);                                 /* one queue */
    CHECK_U64(driver_reg(pc, VIRTIO_CONFIG + 12, 4), VIRTIO_SEGMENTS - 2); /* of data */
    server_boot();
    run_both();
    CHECK_U64(capacity(), DISK_SIZE / 512);
    CHECK_U64(driver_reg(pc, VIRTIO_CONFIG + 20, 4), 512);
    uint64_t all = SERVED_FEATURES | BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY;
    CHECK_U64(features() & 0xffffff, all);
    CHECK_U64(pc->counts.connections, 1);
}

TEST(reads_and_writes) {
    start_both(SERVED_FEATURES);
    CHECK_U64(request(BLK_IN, 9, 4096), BLK_OK);
    CHECK(is_as_on_disk(9ull * 512, pc->ram + DATA(0), 4096));
    CHECK_U64(ram_get32(pc, USED(0) + 8), 4097);
    memset(pc->ram + DATA(0), 0x5a, 1024);
    CHECK_U64(request(BLK_OUT, 3, 1024), BLK_OK);
    CHECK(is_as_on_disk(3ull * 512, pc->ram + DATA(0), 1024));
    CHECK_U64(ram_get32(pc, USED(0) + 16), 1); /* its status alone was written */
    CHECK(server.disk[5 * 512] != 0x5a);
    CHECK_U64(server.last.flags, NBD_FUA);
    CHECK_U64(pc->counts.reads, 1);
    CHECK_U64(pc->counts.read_bytes, 4096);
    CHECK_U64(pc->counts.writes, 1);
    CHECK_U64(pc->counts.written_bytes, 1024);
    CHECK(pc->messages != 0 || driver_reg(pc, VIRTIO_ISR, 1) != 0);
}

/* No part of the protocol comes at once. */
TEST(a_server_that_sends_byte_by_byte) {
    machines_begin();
    server.packet = 1;
    power_on();
    server_boot();
    run_both();
    driver_start(pc, SERVED_FEATURES);
    CHECK_U64(request(BLK_IN, 9, 512), BLK_OK);
    CHECK(is_as_on_disk(9ull * 512, pc->ram + DATA(0), 512));
    CHECK_U64(pc->counts.connections, 1);
    CHECK_U64(pc->counts.lies, 0);
}

/* Of many bytes: in several commands, and in as many packets as the server has room for. */
TEST(large_requests) {
    const uint32_t size = 600 * 1024;

    start_both(SERVED_FEATURES);
    server.room = 5000;
    run_both();
    for (uint32_t i = 0; i < size; i++) {
        pc->ram[0x100000 + i] = (uint8_t)(i * 7 + i / 4096);
    }
    post(0, BLK_OUT, 16, size);
    driver_describe(pc, 0, 1, 0x100000, size, NEXT, 2);
    driver_doorbell(pc, 0);
    run_both();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
    CHECK(is_as_on_disk(16ull * 512, pc->ram + 0x100000, size));
    CHECK_U64(server.commands, 3);
    server.room = 64 * KIB;
    memset(pc->ram + 0x100000, 0, size);
    post(0, BLK_IN, 16, size);
    driver_describe(pc, 0, 1, 0x100000, size, WRITE | NEXT, 2);
    driver_doorbell(pc, 0);
    run_both();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
    CHECK(is_as_on_disk(16ull * 512, pc->ram + 0x100000, size));
    CHECK_U64(server.commands, 6);
    CHECK_U64(server.taken, server.have);
    CHECK_U64(pc->counts.lies, 0);
}

TEST(what_is_written_is_safe) {
    start_both(SERVED_FEATURES);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.flushes, 0); /* there was nothing to flush */
    driver_set(pc, VIRTIO_CONFIG + 32, 1, 1);
    CHECK_U64(driver_reg(pc, VIRTIO_CONFIG + 32, 1), 1);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(server.last.flags, 0);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.flushes, 1);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.flushes, 1);
    driver_set(pc, VIRTIO_CONFIG + 32, 1, 2);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(server.last.flags, NBD_FUA);
}

TEST(a_server_without_fua) {
    machines_begin();
    server.flags &= (uint16_t)~NBD_HAS_FUA;
    power_on();
    server_boot();
    run_both();
    driver_start(pc, SERVED_FEATURES);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(server.last.type, NBD_FLUSH);
    CHECK_U64(server.commands, 2);
    CHECK_U64(change(BLK_WRITE_ZEROES, 8, 8, 0), BLK_OK);
    CHECK_U64(server.last.type, NBD_FLUSH);
    CHECK_U64(server.commands, 4);
    CHECK_U64(request(BLK_IN, 0, 512), BLK_OK);
    CHECK_U64(server.commands, 5);
    CHECK_U64(pc->counts.writes, 1);
}

/* Its write begins anew, and not with the flush. */
TEST(a_server_without_fua_that_ends_before_the_flush) {
    struct command c;

    machines_begin();
    server.flags &= (uint16_t)~NBD_HAS_FUA;
    power_on();
    server_boot();
    run_both();
    driver_start(pc, SERVED_FEATURES);
    server.holds = true;
    memset(pc->ram + DATA(0), 0x77, 512);
    post(0, BLK_OUT, 1, 512);
    driver_doorbell(pc, 0);
    run_both();
    CHECK(server_command(&c) && c.type == NBD_WRITE);
    server_do(&c);
    run_both();
    memset(server.disk, 0, 4096); /* its cache is lost */
    server.holds = false;
    server_boot();
    run_both();
    run_later();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
    CHECK_U64(server.disk[512], 0x77);
    CHECK_U64(server.last.type, NBD_FLUSH);
}

TEST(a_server_that_cannot_flush) {
    machines_begin();
    server.flags = NBD_HAS_FLAGS;
    power_on();
    server_boot();
    run_both();
    driver_start(pc, SERVED_FEATURES);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.commands, 1);
    driver_set(pc, VIRTIO_CONFIG + 32, 1, 1);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.commands, 2);
    CHECK_U64(change(BLK_DISCARD, 0, 8, 0), BLK_OK); /* advice, that nobody takes */
    CHECK_U64(change(BLK_WRITE_ZEROES, 0, 8, 0), BLK_UNSUPP);
    CHECK_U64(server.commands, 2);
}

TEST(ranges) {
    start_both(SERVED_FEATURES);
    CHECK_U64(change(BLK_DISCARD, 8, 16, 0), BLK_OK);
    CHECK_U64(server.last.type, NBD_TRIM);
    CHECK_U64(server.last.at, 4096);
    CHECK_U64(server.last.size, 8192);
    CHECK_U64(change(BLK_WRITE_ZEROES, 1, 1, BLK_RANGE_UNMAP), BLK_OK);
    CHECK_U64(server.last.type, NBD_WRITE_ZEROES);
    CHECK_U64(server.last.flags, NBD_FUA);
    CHECK_U64(change(BLK_WRITE_ZEROES, 1, 1, 0), BLK_OK);
    CHECK_U64(server.last.flags, NBD_FUA | NBD_NO_HOLE);
    CHECK_U64(server.disk[512], 0);
    unsigned before = server.commands;
    CHECK_U64(change(BLK_DISCARD, 1, 1, 1), BLK_UNSUPP);
    CHECK_U64(change(BLK_WRITE_ZEROES, 1, 1, 2), BLK_UNSUPP);
    CHECK_U64(change(BLK_DISCARD, DISK_SIZE / 512, 1, 0), BLK_IOERR);
    CHECK_U64(change(BLK_DISCARD, 0, 0, 0), BLK_OK);
    CHECK_U64(request(BLK_DISCARD, 0, 15), BLK_IOERR);
    CHECK_U64(server.commands, before);
}

TEST(what_is_no_request) {
    start_both(0);
    CHECK_U64(request(BLK_IN, DISK_SIZE / 512 - 1, 1024), BLK_IOERR);
    CHECK_U64(request(BLK_IN, UINT64_MAX, 512), BLK_IOERR);
    CHECK_U64(request(BLK_IN, UINT64_MAX / 512 + 1, 512), BLK_IOERR);
    CHECK_U64(request(BLK_OUT, 0, 511), BLK_IOERR);
    CHECK_U64(request(BLK_IN, 0, 0), BLK_OK);
    CHECK_U64(request(77, 0, 512), BLK_UNSUPP);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_UNSUPP); /* not agreed on */
    CHECK_U64(change(BLK_DISCARD, 0, 1, 0), BLK_UNSUPP);
    CHECK_U64(change(BLK_WRITE_ZEROES, 0, 1, 0), BLK_UNSUPP);
    driver_set(pc, VIRTIO_CONFIG + 32, 1, 1);
    CHECK_U64(driver_reg(pc, VIRTIO_CONFIG + 32, 1), 0);
    CHECK_U64(server.commands, 0);
    post(0, BLK_IN, 0, 512);
    driver_describe(pc, 0, 0, HEADER(0), 15, NEXT, 2);
    driver_doorbell(pc, 0);
    CHECK((driver_reg(pc, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
}

TEST(the_name_is_known_here) {
    machines_begin();
    power_on();
    driver_start(pc, SERVED_FEATURES);
    CHECK_U64(request(BLK_GET_ID, 0, 20), BLK_OK);
    CHECK(memcmp(pc->ram + DATA(0), "data", 5) == 0);
    CHECK_U64(pc->counts.connections, 0);
}

TEST(read_only) {
    machines_begin();
    server.flags |= NBD_READ_ONLY;
    power_on();
    server_boot();
    run_both();
    CHECK_U64(features() & (BLK_F_RO | BLK_F_DISCARD), BLK_F_RO);
    driver_start(pc, BLK_F_FLUSH);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_IOERR);
    CHECK_U64(request(BLK_IN, 0, 512), BLK_OK);
    CHECK_U64(server.commands, 1);

    machines_begin();
    pc->is.read_only = true;
    power_on();
    CHECK_U64(features() & (BLK_F_RO | BLK_F_DISCARD), BLK_F_RO);
    server_boot();
    run_both();
    driver_start(pc, BLK_F_FLUSH);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_IOERR);
    CHECK_U64(server.commands, 0);
}

/* A driver that began before the server had said so. */
TEST(an_export_that_turns_out_to_be_read_only) {
    machines_begin();
    server.flags |= NBD_READ_ONLY;
    power_on();
    driver_start(pc, SERVED_FEATURES);
    server_boot();
    run_both();
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_IOERR);
    CHECK_U64(change(BLK_DISCARD, 0, 8, 0), BLK_IOERR);
    CHECK_U64(change(BLK_WRITE_ZEROES, 0, 8, 0), BLK_IOERR);
    CHECK_U64(server.commands, 0);
}

TEST(errors_of_the_server) {
    struct command c;

    start_both(SERVED_FEATURES);
    server.holds = true;
    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t types[] = {BLK_IN, BLK_OUT, BLK_DISCARD, BLK_DISCARD};
        const uint32_t errors[] = {5, 28, NBD_ENOTSUP, 0xffffffff};
        const uint8_t want[] = {BLK_IOERR, BLK_IOERR, BLK_UNSUPP, BLK_IOERR};
        memset(pc->ram + DATA(0), 0, 16);
        pc->ram[DATA(0) + 8] = 1;
        post(0, types[i], 0, types[i] == BLK_DISCARD ? 16 : 512);
        driver_doorbell(pc, 0);
        run_both();
        CHECK_U64(pc->ram[STATUS(0)], UNTOUCHED);
        CHECK(server_command(&c));
        server_reply(c.cookie, errors[i], NULL, 0);
        run_both();
        CHECK_U64(pc->ram[STATUS(0)], want[i]);
    }
    CHECK_U64(pc->counts.lies, 0);
    CHECK_U64(pc->counts.failures, 4);
}

/* ---- much at once ---- */

TEST(many_at_once_and_answers_in_any_order) {
    struct command c[SERVED_REQUESTS];

    start_both(SERVED_FEATURES);
    server.holds = true;
    pc->served.next_turn = UINT32_MAX - 8; /* their number wraps meanwhile */
    for (unsigned i = 0; i < 40; i++) {
        post(i, BLK_IN, 8ull * i, 4096);
        pc->ram[DATA(i)] = 0;
    }
    driver_doorbell(pc, 0);
    run_both();
    for (unsigned i = 0; i < SERVED_REQUESTS; i++) {
        CHECK(server_command(&c[i]));
        CHECK_U64(c[i].at, 4096ull * i);
    }
    CHECK(!server_command(&(struct command){.at = 0})); /* no more than these */
    for (unsigned i = SERVED_REQUESTS; i-- > 0;) {
        server_do(&c[i]);
        run_both();
        CHECK_U64(count_done(), 1);
    }
    server.holds = false;
    run_both();
    for (unsigned i = 0; i < 40; i++) {
        CHECK_U64(pc->ram[STATUS(i)], BLK_OK);
        CHECK(is_as_on_disk(4096ull * i, pc->ram + DATA(i), 4096));
    }
    CHECK_U64(count_done(), 8);
}

/* Of 40, for which one doorbell rang: all are answered, though nothing comes from the server. */
TEST(many_at_once_that_end_without_the_server) {
    machines_begin();
    server.flags |= NBD_READ_ONLY;
    power_on();
    driver_start(pc, SERVED_FEATURES);
    server_boot();
    run_both();
    for (unsigned i = 0; i < 40; i++) {
        post(i, BLK_OUT, 8ull * i, 4096);
    }
    driver_doorbell(pc, 0);
    CHECK_U64(count_done(), 40);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_U64(pc->ram[STATUS(i)], BLK_IOERR);
    }
}

/* What ends without the server is a part of a turn as well, beside what comes and goes. */
TEST(a_turn_of_many_that_end_at_once) {
    static const unsigned many[] = {150, 253};

    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        start_both(SERVED_FEATURES);
        server.room = MIB;
        server_packet(VSOCK_CREDIT, NULL, 0);
        run_both();
        post(0, BLK_IN, 0, 160 * KIB);
        driver_describe(pc, 0, 1, 0x100000, 160 * KIB, WRITE | NEXT, 2);
        driver_doorbell(pc, 0);
        (void)server_work();
        post(1, BLK_OUT, 0, 100 * KIB);
        driver_describe(pc, 0, 4, 0x140000, 100 * KIB, NEXT, 5);
        for (unsigned n = 0; n < many[i]; n++) {
            post(2, BLK_GET_ID, 0, 20);
        }
        driver_doorbell(pc, 0);
        CHECK_U64(virtio_ops.service(&pc->v->dev, machine_time) != 0, i);
        run_both();
        CHECK_U64(count_done(), 2 + many[i]);
        CHECK_U64(pc->ram[STATUS(0)] | pc->ram[STATUS(1)] | pc->ram[STATUS(2)], BLK_OK);
    }
}

/* To the byte: 256 that are taken, and a write that is sent. One less is no whole turn. */
TEST(a_turn_is_over_when_all_of_it_is_spent) {
    for (unsigned less = 0; less < 2; less++) {
        start_both(SERVED_FEATURES);
        server.room = MIB;
        server_packet(VSOCK_CREDIT, NULL, 0);
        run_both();
        uint32_t size = SERVED_TURN - (RING + 1) * SERVED_REQUEST_COST;
        post(1, BLK_OUT, 0, size);
        driver_describe(pc, 0, 4, 0x140000, size, NEXT, 5);
        for (unsigned n = 1 + less; n < RING; n++) {
            post(2, BLK_GET_ID, 0, 20);
        }
        driver_doorbell(pc, 0);
        CHECK_U64(pc->served.spent, SERVED_TURN - less * SERVED_REQUEST_COST);
        CHECK_U64(virtio_ops.service(&pc->v->dev, machine_time) != 0, less == 0);
        run_both();
        CHECK_U64(pc->ram[STATUS(1)] | pc->ram[STATUS(2)], BLK_OK);
    }
}

/* No more is awaited than the stream has room for. */
TEST(reads_that_are_much_together) {
    struct command c;
    unsigned count = 0;

    start_both(SERVED_FEATURES);
    server.holds = true;
    for (unsigned i = 0; i < 20; i++) {
        post(i, BLK_IN, 0, 256 * 1024);
        driver_describe(pc, 0, 3 * i + 1, 0x100000, 256 * 1024, WRITE | NEXT, 3 * i + 2);
    }
    driver_doorbell(pc, 0);
    run_both();
    while (server_command(&c)) {
        count++;
    }
    CHECK_U64(count, 4);
    CHECK_U64(pc->served.reading, MIB);
}

/* Linux sends no more ahead than it would take itself, whatever room it is told of. */
TEST(a_server_that_sends_little_ahead) {
    uint32_t told = 0;

    start_both(SERVED_FEATURES);
    server.holds = true;
    post(0, BLK_IN, 0, 256 * 1024);
    driver_describe(pc, 0, 1, 0x100000, 256 * 1024, WRITE | NEXT, 2);
    driver_doorbell(pc, 0);
    run_both();
    told = server.client_taken;
    server.holds = false;
    run_both();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
    CHECK(server.client_taken - told >= server.room / 2);
}

/* It is told of room once just the half of it is used up, and no byte earlier. */
TEST(the_half_of_the_room) {
    for (uint32_t more = 0; more < 4; more += 2) {
        start_both(SERVED_FEATURES);
        run_both();
        server.room = 2 * (NBD_REPLY_SIZE + 4096) + more;
        server_packet(VSOCK_CREDIT_REQUEST, NULL, 0);
        run_both();
        uint32_t told = server.client_taken;
        CHECK_U64(request(BLK_IN, 0, 4096), BLK_OK);
        CHECK_U64(server.client_taken - told, more == 0 ? NBD_REPLY_SIZE + 4096 : 0);
    }
}

/* ---- servers that come and go ---- */

TEST(a_server_that_comes_late) {
    machines_begin();
    power_on();
    driver_start(pc, SERVED_FEATURES);
    post(0, BLK_IN, 8, 512);
    driver_doorbell(pc, 0);
    run_both();
    CHECK_U64(pc->served.due, 0);
    CHECK_U64(virtio_ops.service(&pc->v->dev, machine_time), 0); /* its guest will ring */
    server.listens = false;
    server_boot();
    virtio_served_poll(&pc->served);
    run_both();
    CHECK_U64(server.requests, 1);
    CHECK_U64(pc->ram[STATUS(0)], UNTOUCHED);
    unsigned before = pc->messages;
    uint64_t generation = driver_reg(pc, 0x15, 1);
    run_later();
    CHECK_U64(server.requests, 2);
    server.listens = true;
    run_later();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
    CHECK(is_as_on_disk(8ull * 512, pc->ram + DATA(0), 512));
    CHECK_U64(capacity(), DISK_SIZE / 512);
    CHECK(driver_reg(pc, 0x15, 1) != generation);
    CHECK((driver_reg(pc, VIRTIO_ISR, 1) & VIRTIO_ISR_CONFIG) != 0 || pc->messages > before + 1);
}

static unsigned known_after(uint64_t seconds) {
    machine_time += seconds * MACHINE_HZ;
    return virtio_served_is_known(&pc->served);
}

TEST(the_start_waits_for_a_server) {
    machines_begin();
    power_on();
    CHECK_U64(known_after(0), false);
    machine_time = pc->served.made_at;
    CHECK_U64(known_after(300) && pc->served.was_ready, false);
    machine_time--;
    CHECK_U64(known_after(0), false);
    machine_time++;
    CHECK_U64(known_after(0), true);
    machines_begin();
    power_on();
    server_boot();
    run_both();
    CHECK_U64(known_after(0), true);
}

TEST(a_server_that_starts_again_in_the_middle) {
    struct command c;

    start_both(SERVED_FEATURES);
    server.holds = true;
    for (unsigned i = 0; i < 8; i++) {
        memset(pc->ram + DATA(i), (int)(0x10 + i), 4096);
        post(i, i == 3 ? BLK_IN : BLK_OUT, 8ull * i, 4096);
    }
    driver_doorbell(pc, 0);
    run_both();
    CHECK(server_command(&c));
    server_do(&c);
    run_both();
    CHECK_U64(count_done(), 1);
    CHECK(server_command(&c)); /* carried out, and never answered */
    memcpy(server.disk + c.at, c.data, c.size);
    channel_stop(&server.channel);
    run_both();
    CHECK_U64(count_done(), 0);
    CHECK_U64(virtio_ops.service(&pc->v->dev, machine_time), 0);
    server_boot();
    run_both();
    run_later();
    for (unsigned i = 1; i < 8; i++) {
        CHECK(server_command(&c)); /* in their order, each once */
        CHECK_U64(c.at, 4096ull * i);
        server_do(&c);
    }
    CHECK(!server_command(&c));
    run_both();
    CHECK_U64(count_done(), 7);
    CHECK(pc->ram[DATA(3)] != 0x13 && is_as_on_disk(3ull * 4096, pc->ram + DATA(3), 4096));
    CHECK_U64(server.disk[7 * 4096], 0x17);
    CHECK_U64(pc->counts.resent, 7);
    CHECK_U64(pc->counts.connections, 2);
    CHECK_U64(pc->counts.failures + pc->counts.lies, 0);
}

/* Of its 4096 bytes 1000 have come, of something else. */
static void begin_a_read(void) {
    struct command c;

    start_both(SERVED_FEATURES);
    server.holds = true;
    post(0, BLK_IN, 8, 4096);
    driver_doorbell(pc, 0);
    run_both();
    CHECK(server_command(&c));
    server_reply(c.cookie, 0, server.disk, 1000);
    run_both();
}

/* In the middle of the data, both ways. */
TEST(a_server_that_ends_within_data) {
    begin_a_read();
    server.room = 0; /* and then a write, that gets a part of its way */
    server.holds = false;
    memset(pc->ram + DATA(1), 0x66, 32768);
    post(1, BLK_OUT, 64, 32768);
    driver_doorbell(pc, 0);
    server_boot();
    server.room = 256 * KIB;
    run_both();
    run_later();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
    CHECK(is_as_on_disk(8ull * 512, pc->ram + DATA(0), 4096));
    CHECK_U64(pc->ram[STATUS(1)], BLK_OK);
    CHECK(is_as_on_disk(64ull * 512, pc->ram + DATA(1), 32768));
    CHECK_U64(pc->counts.lies, 0);
}

/* The program ends, and not its guest: in order, by a shutdown of the stream, or by a reset. */
TEST(a_program_that_starts_again) {
    struct command c;

    for (unsigned how = 0; how < 3; how++) {
        start_both(SERVED_FEATURES);
        server.holds = true;
        memset(pc->ram + DATA(0), 0x44, 512);
        post(0, BLK_OUT, 8, 512);
        driver_doorbell(pc, 0);
        run_both();
        CHECK(server_command(&c));
        if (how == 0) {
            server_reply(c.cookie, NBD_ESHUTDOWN, NULL, 0);
        } else {
            server_packet(how == 1 ? VSOCK_SHUTDOWN : VSOCK_RESET, NULL, 0);
        }
        server.holds = false;
        run_both();
        CHECK_U64(pc->ram[STATUS(0)], UNTOUCHED);
        run_later();
        CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
        CHECK_U64(server.disk[8 * 512], 0x44);
        CHECK_U64(pc->counts.connections, 2);
        CHECK_U64(pc->counts.lies, 0);
    }
}

TEST(a_size_that_changes) {
    start_both(SERVED_FEATURES);
    uint64_t generation = driver_reg(pc, 0x15, 1);
    (void)driver_reg(pc, VIRTIO_ISR, 1);
    server_boot();
    run_both();
    run_later();
    CHECK_U64(driver_reg(pc, 0x15, 1), generation); /* the same */
    CHECK_U64(driver_reg(pc, VIRTIO_ISR, 1), 0);
    server.size = DISK_SIZE / 2 + 100;
    server_boot();
    run_both();
    run_later();
    CHECK_U64(pc->counts.connections, 3);
    CHECK_U64(capacity(), DISK_SIZE / 2 / 512);
    CHECK_U64(driver_reg(pc, 0x15, 1), ++generation);
    CHECK_U64(driver_reg(pc, VIRTIO_ISR, 1), VIRTIO_ISR_CONFIG);
    CHECK_U64(request(BLK_IN, DISK_SIZE / 2 / 512, 512), BLK_IOERR);
    CHECK_U64(request(BLK_IN, DISK_SIZE / 2 / 512 - 1, 512), BLK_OK);
    CHECK_U64(driver_reg(pc, 0x15, 1), generation); /* told once */
    CHECK_U64(driver_reg(pc, VIRTIO_ISR, 1), VIRTIO_ISR_QUEUE);
    server.size = INT64_MAX; /* the most that there can be */
    server_boot();
    run_both();
    run_later();
    CHECK_U64(pc->counts.connections, 4);
    CHECK_U64(capacity(), INT64_MAX / 512);
}

/* All places are taken, and what lies behind the last one, here the next turn, is none of them. */
TEST(as_many_as_there_are_places) {
    start_both(SERVED_FEATURES);
    server.holds = true;
    pc->served.next_turn = 0u - SERVED_REQUESTS;
    for (unsigned i = 0; i <= SERVED_REQUESTS; i++) {
        post(i, BLK_IN, 8ull * i, 512);
    }
    driver_doorbell(pc, 0);
    CHECK_U64(pc->served.next_turn, SERVED_FREE);
    server.holds = false;
    run_both();
    CHECK_U64(count_done(), SERVED_REQUESTS + 1);
}

/* With the cache that the driver asked for, once. */
TEST(a_server_that_loses_its_cache) {
    start_both(SERVED_FEATURES);
    driver_set(pc, VIRTIO_CONFIG + 32, 1, 1);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    server_boot();
    run_both();
    run_later();
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_IOERR);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.flushes, 0); /* what is lost is told once, and nothing is left to flush */
    server_boot();
    run_both();
    run_later();
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(request(BLK_OUT, 0, 512), BLK_OK);
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
    CHECK_U64(server.flushes, 1);
    server_boot(); /* all was flushed */
    run_both();
    run_later();
    CHECK_U64(request(BLK_FLUSH, 0, 0), BLK_OK);
}

/* ---- drivers that come and go ---- */

TEST(a_driver_that_starts_again) {
    struct command c[3];

    start_both(SERVED_FEATURES);
    server.holds = true;
    memset(pc->ram + DATA(0), 0x11, 512);
    post(0, BLK_OUT, 8, 512);
    post(1, BLK_IN, 8, 512);
    driver_doorbell(pc, 0);
    run_both();
    CHECK(server_command(&c[0]) && server_command(&c[1]));
    driver_start(pc, SERVED_FEATURES);
    memset(pc->ram + DATA(2), 0x22, 512);
    memset(pc->ram + DATA(1), UNTOUCHED, 512);
    post(2, BLK_OUT, 8, 512);
    driver_doorbell(pc, 0);
    run_both();
    CHECK(!server_command(&c[2])); /* it may not overtake the first one */
    server_do(&c[0]);
    run_both();
    CHECK(!server_command(&c[2]));
    server_do(&c[1]);
    run_both();
    CHECK(server_command(&c[2]));
    server_do(&c[2]);
    run_both();
    CHECK_U64(count_done(), 1);
    CHECK_U64(pc->ram[STATUS(2)], BLK_OK);
    CHECK_U64(pc->ram[DATA(1)], UNTOUCHED);
    CHECK_U64(server.disk[8 * 512], 0x22);
    CHECK_U64(pc->counts.connections, 1);
}

TEST(a_driver_that_goes_within_a_write) {
    start_both(SERVED_FEATURES);
    server.room = 20000;
    CHECK_U64(request(BLK_IN, 0, 512), BLK_OK);
    server.holds = true;
    server.taken -= 10000; /* as if it did not read */
    post(0, BLK_OUT, 0, 32768);
    driver_doorbell(pc, 0);
    virtio_served_poll(&pc->served);
    CHECK(pc->served.sending != NULL);
    driver_start(pc, SERVED_FEATURES);
    server.holds = false;
    run_both();
    run_later();
    CHECK_U64(pc->counts.connections, 2);
    CHECK(server.disk[0] != 0);
    CHECK_U64(request(BLK_IN, 0, 512), BLK_OK);
    CHECK_U64(pc->counts.lies, 0);
}

TEST(a_driver_that_goes_within_a_read) {
    begin_a_read();
    driver_start(pc, SERVED_FEATURES);
    memset(pc->ram + DATA(0), UNTOUCHED, 4096);
    server_say(server.disk, 3096);
    server.holds = false;
    run_both();
    CHECK_U64(pc->ram[DATA(0) + 2000], UNTOUCHED);
    CHECK_U64(request(BLK_IN, 8, 4096), BLK_OK);
    CHECK(is_as_on_disk(8ull * 512, pc->ram + DATA(0), 4096));
    CHECK_U64(pc->counts.connections, 1);
}

/* Its buffers are others than they were when it gave them. */
TEST(a_driver_that_changes_its_buffers) {
    for (unsigned how = 0; how < 3; how++) {
        struct command c;
        start_both(SERVED_FEATURES);
        server.holds = true;
        post(0, how == 2 ? BLK_OUT : BLK_IN, 8, 4096);
        driver_doorbell(pc, 0);
        run_both();
        CHECK(server_command(&c));
        driver_describe(pc, 0, 0, HEADER(0), 16, how == 0 ? NEXT : 0, how == 0 ? 300 : 0);
        memset(pc->ram + DATA(0), UNTOUCHED, 4096);
        server_do(&c);
        server.holds = false;
        run_both();
        CHECK((driver_reg(pc, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
        CHECK_U64(pc->ram[DATA(0)], UNTOUCHED);
        CHECK_U64(pc->ram[STATUS(0)], UNTOUCHED);
        driver_start(pc, SERVED_FEATURES);
        CHECK_U64(request(BLK_IN, 8, 4096), BLK_OK);
    }
}

/* A write is shorter than it was, before its command has gone. */
TEST(a_driver_that_shortens_a_write) {
    start_both(SERVED_FEATURES);
    server.listens = false;
    server_boot();
    run_both();
    post(0, BLK_OUT, 8, 4096);
    driver_doorbell(pc, 0);
    run_both();
    driver_describe(pc, 0, 1, DATA(0), 512, NEXT, 2);
    server.listens = true;
    run_later();
    CHECK((driver_reg(pc, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
    CHECK_U64(server.commands, 0);
}

/* Between two commands of a request its buffers are cut otherwise: what follows goes by how they
 * are then, from the byte at which the last command ended, and never beyond one of them. */
TEST(a_driver_that_cuts_its_buffers_anew) {
    static const struct cut {
        uint32_t address[2], length[2]; /* all further commands' buffers; no second one: 0 */
        uint32_t next;                  /* where the second command's bytes begin */
    } cuts[] = {
        {{0x100000, 0x190000},
         {100 * KIB, 412 * KIB},
         0x190000 + 156 * KIB},                                /* the first is less */
        {{0x180000, 0}, {512 * KIB, 0}, 0x180000 + 256 * KIB}, /* there are fewer */
        {{0x1f0000, 0x100000}, {16, 512 * KIB - 16}, 0x100000 + 256 * KIB - 16},
        {{0x100000, 0x180000}, {256 * KIB, 256 * KIB}, 0x180000}, /* as they may have been */
    };
    for (unsigned i = 0; i < 4 * ARRAY_SIZE(cuts); i++) {
        const struct cut *cut = &cuts[i / 4];
        uint32_t first = i % 4 < 2 ? 256 * KIB : 300 * KIB; /* of the buffers as they were */
        bool writes = i % 2 != 0;
        uint32_t flags = writes ? NEXT : WRITE | NEXT;
        struct command c;

        start_both(SERVED_FEATURES);
        server.holds = true;
        post(0, writes ? BLK_OUT : BLK_IN, 8, 512 * KIB);
        driver_describe(pc, 0, 1, 0x100000, first, flags, 3);
        driver_describe(pc, 0, 3, 0x180000, 512 * KIB - first, flags, 2);
        driver_doorbell(pc, 0);
        run_both();
        CHECK(server_command(&c));
        bool two = cut->length[1] != 0;
        driver_describe(pc, 0, 1, cut->address[0], cut->length[0], flags, two ? 3 : 2);
        driver_describe(pc, 0, 3, cut->address[1], cut->length[1], flags, 2);
        server_do(&c);
        for (uint32_t at = 0x100000; at < MACHINE_RAM; at++) {
            pc->ram[at] = (uint8_t)(at * 13 + at / 4096);
        }
        server.holds = false;
        run_both();
        CHECK_U64(count_done(), 1);
        CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
        CHECK(is_as_on_disk(8ull * 512 + 256 * KIB, pc->ram + cut->next, 256 * KIB));
    }
}

/* ---- lies ---- */

/* After it the connection has ended, and an honest server is what it always was. */
static void lie_is_seen(void) {
    run_both();
    CHECK_U64(pc->counts.lies, 1);
    CHECK_U64(pc->served.state, SERVED_OFF);
    CHECK(!server.open);
    run_later();
    CHECK_U64(pc->served.state, SERVED_READY);
    CHECK_U64(request(BLK_IN, 8, 4096), BLK_OK);
    CHECK(is_as_on_disk(8ull * 512, pc->ram + DATA(0), 4096));
}

/* With a driver, and a server that has accepted and said nothing yet. */
static void begin_lies(void) {
    machines_begin();
    power_on();
    driver_start(pc, SERVED_FEATURES);
    server_boot();
    machine_time += 10000;
    (void)disk_serve();
    CHECK(server_receive());
    server.greeted = true;
    virtio_served_poll(&pc->served);
}

TEST(lies_in_the_greeting) {
    for (unsigned how = 0; how < 3; how++) {
        uint8_t greeting[NBD_GREETING_SIZE];
        begin_lies();
        nbd_put64(greeting, how == 0 ? NBD_MAGIC + 1 : NBD_MAGIC);
        nbd_put64(greeting + 8, how == 1 ? NBD_OPTION_MAGIC + 1 : NBD_OPTION_MAGIC);
        nbd_put16(greeting + 16, how == 2 ? NBD_NO_ZEROES : NBD_FIXED_NEWSTYLE);
        server_say(greeting, sizeof(greeting));
        lie_is_seen();
    }
}

TEST(no_room_for_the_answer_to_the_greeting) {
    begin_lies();
    server.room = 10;
    server_greet();
    server.room = 256 * KIB;
    lie_is_seen();

    /* The whole answer, and one byte less. */
    uint32_t answer = 26 + (uint32_t)strlen(EXPORT);
    begin_lies();
    server.room = answer - 1;
    server_greet();
    server.room = 256 * KIB;
    lie_is_seen();
    begin_lies();
    server.room = answer;
    server_greet();
    virtio_served_poll(&pc->served);
    CHECK_U64(pc->served.state, SERVED_OPTIONS);
}

/* Asked for the export. */
static void begin_option_lies(void) {
    begin_lies();
    server_greet();
    virtio_served_poll(&pc->served);
    CHECK_U64(pc->served.state, SERVED_OPTIONS);
}

TEST(lies_about_the_option) {
    for (unsigned how = 0; how < 6; how++) {
        uint8_t head[NBD_OPTION_REPLY_SIZE];
        begin_option_lies();
        nbd_put64(head, how == 0 ? 1 : NBD_OPTION_REPLY_MAGIC);
        nbd_put32(head + 8, how == 1 ? 6 : NBD_OPT_GO);
        nbd_put32(head + 12, how == 2 ? NBD_REP_INFO : NBD_REP_ACK);
        nbd_put32(head + 16, how == 2 ? 64 * KIB + 1 : 0);
        if (how == 3) { /* without an export before */
            server_say(head, sizeof(head));
        } else if (how == 4) { /* an answer with something in it */
            server_option_reply(NBD_REP_ACK, head, 4);
        } else if (how == 5) {
            uint8_t info[NBD_EXPORT_SIZE] = {0};
            nbd_put64(info + 2, (uint64_t)INT64_MAX + 1);
            server_option_reply(NBD_REP_INFO, info, sizeof(info));
        } else {
            server_say(head, sizeof(head));
        }
        lie_is_seen();
    }
}

/* What an earlier connection was told of the export is none of this one. */
TEST(an_export_is_told_each_time) {
    start_both(SERVED_FEATURES);
    server_packet(VSOCK_RESET, NULL, 0);
    run_both();
    CHECK_U64(pc->served.state, SERVED_OFF);
    machine_time += MACHINE_HZ / 2;
    (void)disk_serve();
    CHECK(server_receive());
    server.greeted = true;
    virtio_served_poll(&pc->served);
    server_greet();
    virtio_served_poll(&pc->served);
    CHECK(server_receive());
    server.read = server.have;
    server.asked = true;
    server_option_reply(NBD_REP_ACK, NULL, 0);
    lie_is_seen();
}

/* What it need not know goes by. */
TEST(answers_that_mean_nothing) {
    static const uint8_t much[64 * KIB];

    begin_option_lies();
    CHECK(server_receive());
    server.read = server.have;
    server.asked = true;
    server_option_reply(99, much, sizeof(much));
    run_both();
    server_option_reply(NBD_REP_INFO, much, 2); /* too short for an export */
    server_option_reply(99, NULL, 0);
    nbd_put16((uint8_t *)pc->ram, 3);
    server_option_reply(NBD_REP_INFO, pc->ram, 14); /* of sizes of blocks */
    server_tell_export();
    run_both();
    CHECK_U64(pc->served.state, SERVED_READY);
    CHECK_U64(pc->counts.lies, 0);
    CHECK_U64(request(BLK_IN, 8, 4096), BLK_OK);
}

TEST(an_export_that_there_is_not) {
    begin_option_lies();
    server_option_reply(NBD_REP_ERROR | 6, "no such export", 14);
    run_both();
    CHECK_U64(pc->served.state, SERVED_OFF);
    CHECK_U64(pc->counts.lies, 0);
    run_later();
    CHECK_U64(pc->served.state, SERVED_READY);
}

TEST(lies_in_a_reply) {
    for (unsigned how = 0; how < 5; how++) {
        struct command c;
        uint8_t head[NBD_REPLY_SIZE];
        start_both(SERVED_FEATURES);
        server.holds = true;
        post(0, BLK_IN, 8, 4096);
        post(1, BLK_OUT, 16, 512);
        driver_doorbell(pc, 0);
        run_both();
        CHECK(server_command(&c));
        nbd_put32(head, how == 0 ? NBD_REPLY_MAGIC + 1 : NBD_REPLY_MAGIC);
        nbd_put32(head + 4, 0);
        nbd_put64(head + 8, c.cookie);
        if (how == 1) { /* of nobody */
            nbd_put64(head + 8, c.cookie + 7);
        } else if (how == 2) { /* of an earlier command in its place */
            nbd_put64(head + 8, c.cookie - SERVED_REQUESTS);
        } else if (how == 3) {
            nbd_put64(head + 8, UINT64_MAX);
        } else if (how == 4) { /* twice */
            CHECK(server_command(&c));
            nbd_put64(head + 8, c.cookie);
            server_say(head, sizeof(head));
        }
        server_say(head, sizeof(head));
        server.holds = false;
        lie_is_seen();
    }
}

/* An answer to a write whose data are not all sent yet. */
TEST(an_answer_too_early) {
    struct command c = {.size = 0};

    start_both(SERVED_FEATURES);
    server.room = 8000;
    CHECK_U64(request(BLK_IN, 0, 512), BLK_OK);
    server.holds = true;
    server.taken -= 4000;
    post(0, BLK_OUT, 0, 32768);
    driver_doorbell(pc, 0);
    CHECK(server_receive());
    CHECK(pc->served.sending != NULL);
    c.cookie = nbd_get64(server.in + server.read + 8);
    server_reply(c.cookie, 0, NULL, 0);
    server.room = 256 * KIB;
    server.holds = false;
    run_both();
    CHECK_U64(pc->counts.lies, 1);
    run_later();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
}

/* Packets that are none, or of another connection. */
TEST(packets_that_make_no_sense) {
    static const uint32_t about[3];
    const struct vsock_header good = {.from = SERVER_CID,
                                      .to = CLIENT_CID,
                                      .from_port = NBD_PORT,
                                      .to_port = 0,
                                      .type = VSOCK_STREAM,
                                      .operation = VSOCK_DATA,
                                      .room = 1,
                                      .taken = 0};
    start_both(SERVED_FEATURES);
    for (unsigned how = 0; how < 8; how++) {
        struct vsock_header h = good;
        uint32_t length = VSOCK_HEADER;
        h.to_port = server.port;
        h.from = how == 0 ? 8 : h.from;
        h.to = how == 1 ? 8 : h.to;
        h.type = how == 2 ? 2 : h.type;
        h.length = how == 3 ? 1 : h.length;
        length = how == 4 ? 10 : length;
        h.to_port -= how == 5;
        h.from_port += how == 6;
        if (how == 7) {
            h.length = 64 * KIB + 1;
            length = VSOCK_HEADER + h.length;
        }
        channel_write(&server.channel, 0, &h, VSOCK_HEADER);
        channel_send(&server.channel, length, about);
        run_both();
    }
    CHECK_U64(pc->served.stream.faults, 6);
    CHECK_U64(request(BLK_IN, 8, 4096), BLK_OK);
    CHECK_U64(pc->counts.connections, 1);
    server_packet(VSOCK_CREDIT_REQUEST, NULL, 0);
    server.client_taken = 0;
    run_both();
    CHECK(server.client_taken != 0);
}

/* The data of the reply are awaited, and nothing else waits for them. */
TEST(a_server_that_never_answers) {
    start_both(SERVED_FEATURES);
    server.holds = true;
    post(0, BLK_IN, 8, 4096);
    driver_doorbell(pc, 0);
    run_both();
    for (unsigned i = 0; i < 100; i++) {
        machine_time += MACHINE_HZ;
        CHECK_U64(virtio_ops.service(&pc->v->dev, machine_time), 0);
    }
    CHECK_U64(pc->ram[STATUS(0)], UNTOUCHED);
    post(1, BLK_GET_ID, 0, 20);
    driver_doorbell(pc, 0);
    CHECK_U64(pc->ram[STATUS(1)], BLK_OK); /* nothing else waits */
    server.holds = false;
    run_both();
    CHECK_U64(pc->ram[STATUS(0)], BLK_OK);
}

/* It accepts, or greets, and that is all: after a while the next attempt. */
TEST(a_server_that_stops_in_the_middle_of_its_greeting) {
    begin_lies();
    server_say("NBDMAG", 6);
    virtio_served_poll(&pc->served);
    CHECK_U64(pc->served.state, SERVED_GREETING);
    uint64_t due = pc->served.retry_at;
    CHECK(due - machine_time <= 10 * MACHINE_HZ && machine_time + 9 * MACHINE_HZ < due);
    machine_time = due - 1;
    CHECK_U64(virtio_ops.service(&pc->v->dev, machine_time), due);
    CHECK_U64(pc->served.state, SERVED_GREETING);
    machine_time = due;
    CHECK(virtio_ops.service(&pc->v->dev, machine_time) > due); /* the next one */
    CHECK_U64(server.requests, 1);
    run_later();
    CHECK_U64(pc->served.state, SERVED_READY);
    CHECK_U64(pc->counts.lies, 0);
}

/* Its side of the channel says that no byte is ever taken. */
TEST(a_server_that_does_not_read) {
    start_both(SERVED_FEATURES);
    server.room = UINT32_MAX;
    CHECK_U64(request(BLK_IN, 0, 512), BLK_OK);
    for (unsigned i = 0; i < 40; i++) {
        post(i, BLK_OUT, 64ull * i, 32768);
    }
    driver_doorbell(pc, 0);
    for (unsigned i = 0; i < 100; i++) {
        virtio_served_poll(&pc->served);
        machine_time += 50000;
        (void)disk_serve();
    }
    CHECK_U64(count_done(), 1); /* the read */
    run_both();
    CHECK_U64(count_done(), 40);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_U64(pc->ram[STATUS(i)], BLK_OK);
    }
}

/* As after a restart of its driver: what the server was asked for goes nowhere. */
TEST(a_queue_that_is_reset) {
    struct command c[2];

    start_both(SERVED_FEATURES);
    server.holds = true;
    post(0, BLK_IN, 8, 512);
    post(1, BLK_IN, 9, 512);
    driver_doorbell(pc, 0);
    run_both();
    CHECK(server_command(&c[0]) && server_command(&c[1]));
    pc->served.v.driver_features |= VIRTIO_F_RING_RESET;
    driver_set(pc, 0x16, 2, 0);
    driver_set(pc, 0x3a, 2, 1);
    CHECK_U64(pc->served.orphans, 2);
    memset(pc->ram + DATA(0), UNTOUCHED, 512);
    server_do(&c[0]);
    server_do(&c[1]);
    run_both();
    CHECK_U64(pc->served.orphans, 0);
    CHECK_U64(pc->ram[DATA(0)], UNTOUCHED);
    CHECK_U64(pc->ram[STATUS(0)], UNTOUCHED);
    CHECK_U64(pc->counts.connections, 1);
}

TEST_MAIN(T(a_queue_that_is_reset), T(a_server_that_sends_byte_by_byte), T(what_the_driver_reads),
          T(reads_and_writes), T(large_requests), T(what_is_written_is_safe),
          T(a_server_without_fua), T(a_server_without_fua_that_ends_before_the_flush),
          T(a_server_that_cannot_flush), T(ranges), T(what_is_no_request),
          T(the_name_is_known_here), T(read_only), T(an_export_that_turns_out_to_be_read_only),
          T(errors_of_the_server), T(many_at_once_and_answers_in_any_order),
          T(many_at_once_that_end_without_the_server), T(a_turn_of_many_that_end_at_once),
          T(a_turn_is_over_when_all_of_it_is_spent), T(the_half_of_the_room),
          T(reads_that_are_much_together), T(a_server_that_sends_little_ahead),
          T(a_server_that_comes_late), T(the_start_waits_for_a_server),
          T(a_server_that_starts_again_in_the_middle), T(a_server_that_ends_within_data),
          T(a_program_that_starts_again), T(a_size_that_changes), T(as_many_as_there_are_places),
          T(a_server_that_loses_its_cache), T(a_driver_that_starts_again),
          T(a_driver_that_goes_within_a_write), T(a_driver_that_goes_within_a_read),
          T(a_driver_that_changes_its_buffers), T(a_driver_that_shortens_a_write),
          T(a_driver_that_cuts_its_buffers_anew), T(lies_in_the_greeting),
          T(no_room_for_the_answer_to_the_greeting), T(lies_about_the_option),
          T(answers_that_mean_nothing), T(an_export_that_there_is_not), T(lies_in_a_reply),
          T(an_answer_too_early), T(packets_that_make_no_sense), T(a_server_that_never_answers),
          T(a_server_that_stops_in_the_middle_of_its_greeting), T(a_server_that_does_not_read),
          T(an_export_is_told_each_time))
