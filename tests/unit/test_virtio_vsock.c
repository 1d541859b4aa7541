/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Socket devices between three guests: connections, data, who may do what, and who is gone. */
#include "tests/unit/fake_vsock.h"

#define A             (&machines[0])
#define B             (&machines[1])
#define C             (&machines[2])
#define MAY(from, to) BIT32(3 * (from) + (to))

static struct vsock_header seen;
static uint8_t data[2048];

static void send(unsigned from, unsigned to, enum vsock_operation op, uint32_t from_port,
                 uint32_t to_port, uint32_t size) {
    struct vsock_header h = packet(from, to, op, from_port, to_port);
    h.length = size;
    post(&machines[from], &h, size);
}

static void expect(unsigned at, unsigned from, enum vsock_operation op, uint32_t from_port,
                   uint32_t to_port) {
    if (!pull(&machines[at], &seen, data)) {
        CHECK_STR("a packet", "none");
        return;
    }
    CHECK_U64(seen.from, cid_of(from));
    CHECK_U64(seen.to, cid_of(at));
    CHECK_U64(seen.operation, op);
    CHECK_U64(seen.from_port, from_port);
    CHECK_U64(seen.to_port, to_port);
    CHECK_U64(seen.type, VSOCK_STREAM);
}

static void expect_nothing(unsigned at) {
    CHECK(!pull(&machines[at], &seen, NULL));
}

static void connect(unsigned from, unsigned to, uint32_t from_port, uint32_t to_port) {
    send(from, to, VSOCK_REQUEST, from_port, to_port, 0);
    run_all();
    expect(to, from, VSOCK_REQUEST, from_port, to_port);
    send(to, from, VSOCK_RESPONSE, to_port, from_port, 0);
    run_all();
    expect(from, to, VSOCK_RESPONSE, to_port, from_port);
}

/* One of A's drops, and nothing more. */
static void expect_drop(struct machine *n, enum vsock_drop drop, bool sent) {
    const struct abi_vsock_count *c = sent ? &n->counts.sent : &n->counts.received;
    for (unsigned i = 0; i < VSOCK_DROPS; i++) {
        CHECK_U64(c->drops[i], i == drop);
    }
}

/* B takes nothing more: A's driver fills the channel. Returns how many packets wait. */
static unsigned fill_b(void) {
    driver_start(B, 0); /* without buffers */
    run_all();
    while (pull(A, &seen, NULL) || pull(C, &seen, NULL)) {
    }
    send(0, 1, VSOCK_REQUEST, 1, 7, 0);
    CHECK_U64(A->vsock.peers[0].count, 1);
    for (unsigned i = 0; i < 20; i++) {
        send(0, 1, VSOCK_DATA, 1, 7, 50000);
        run_all();
    }
    return A->vsock.parked_count;
}

TEST(registers) {
    start_all(MAY(0, 1));
    CHECK_U64(driver_reg(B, VIRTIO_CONFIG, 4), 13);
    CHECK_U64(driver_reg(B, VIRTIO_CONFIG + 4, 4), 0);
    CHECK_U64(driver_reg(B, 0x12, 2), 3); /* queues */
    const uint32_t slot = 18 << 11;
    CHECK_U64(pci_config_read(&B->host, slot), 0x10531af4);
    CHECK_U64(pci_config_read(&B->host, slot + PCI_CLASS), 0x07800001);
    CHECK_U64(pci_config_read(&B->host, slot + VIRTIO_MSIX_CAPABILITY) >> 16 & 0x7ff, 3);
    driver_set(B, 0x00, 4, 0);
    CHECK_U64(driver_reg(B, 0x04, 4), VIRTIO_F_EVENT_INDEX | VIRTIO_F_INDIRECT | VSOCK_F_STREAM);
    CHECK_U64(pci_config_read(&B->host, 18 << 11), 0x10531af4);
}

TEST(a_connection) {
    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    CHECK_U64(seen.room, 0x40000); /* credit passes from end to end */
    CHECK_U64(seen.taken, 17);
    for (unsigned i = 0; i < 5000; i++) {
        A->ram[DATA + i] = (uint8_t)(i * 7 + i / 256);
    }
    send(0, 1, VSOCK_DATA, 1000, 7, 5000);
    run_all();
    for (uint32_t at = 0; at < 5000; at += seen.length) { /* in pieces that the buffers take */
        expect(1, 0, VSOCK_DATA, 1000, 7);
        CHECK_U64(seen.length, at < 4008 ? 2004 : 992);
        CHECK(memcmp(data, A->ram + DATA + at, seen.length) == 0);
    }
    send(1, 0, VSOCK_DATA, 7, 1000, 1);
    send(1, 0, VSOCK_CREDIT, 7, 1000, 0);
    send(1, 0, VSOCK_SHUTDOWN, 7, 1000, 0);
    run_all();
    expect(0, 1, VSOCK_DATA, 7, 1000);
    expect(0, 1, VSOCK_CREDIT, 7, 1000);
    expect(0, 1, VSOCK_SHUTDOWN, 7, 1000);
    send(0, 1, VSOCK_RESET, 1000, 7, 0);
    run_all();
    expect(1, 0, VSOCK_RESET, 1000, 7);
    CHECK_U64(A->vsock.peers[0].count + B->vsock.peers[0].count, 0);
    send(1, 0, VSOCK_DATA, 7, 1000, 1);
    expect(1, 0, VSOCK_RESET, 1000, 7); /* there is none any more */
    run_all();
    expect_nothing(0);
    expect_nothing(1);
    CHECK(B->messages > 0 || B->vsock.v.isr != 0);
}

/* Buffers for what never happens: nothing else is looked at for their sake. */
TEST(the_queue_of_events) {
    struct vsock_header h;
    start_all(MAY(0, 1));
    h = packet(0, 1, VSOCK_REQUEST, 1000, 7);
    memcpy(A->ram + OUTGOING(0), &h, VSOCK_HEADER);
    driver_describe(A, VSOCK_TRANSMIT, 0, OUTGOING(0), VSOCK_HEADER, 0, 0);
    driver_offer(A, VSOCK_TRANSMIT, 0);
    driver_doorbell(A, VSOCK_EVENT);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 0);
    driver_doorbell(A, VSOCK_TRANSMIT);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 1);
    run_all();
    expect(1, 0, VSOCK_REQUEST, 1000, 7);
}

/* A may connect to B; B may not to A, and nobody to C. */
TEST(who_may_not) {
    start_all(MAY(0, 1));
    send(1, 0, VSOCK_REQUEST, 1000, 7, 0);
    expect(1, 0, VSOCK_RESET, 7, 1000);
    expect_drop(B, VSOCK_DROP_REFUSED, true);
    send(0, 2, VSOCK_REQUEST, 1000, 7, 0);
    expect(0, 2, VSOCK_RESET, 7, 1000);
    run_all();
    expect_nothing(0);
    expect_nothing(1);
    expect_nothing(2);
}

/* B's compartment is hostile, and sends as if it might. */
TEST(who_may_not_and_tries) {
    static const enum vsock_operation tries[] = {VSOCK_REQUEST, VSOCK_RESPONSE, VSOCK_DATA,
                                                 VSOCK_CREDIT, VSOCK_SHUTDOWN};
    start_all(MAY(0, 1));
    B->vsock.peers[0].is.may_connect = true;
    send(1, 0, VSOCK_REQUEST, 1000, 7, 0);
    run_all();
    expect(1, 0, VSOCK_RESET, 7, 1000);
    expect_drop(A, VSOCK_DROP_REFUSED, false);
    for (unsigned i = 0; i < ARRAY_SIZE(tries);
         i++) { /* with a connection that A knows nothing of */
        CHECK(vsock_add(&B->vsock.peers[0], 1000, 7));
        send(1, 0, tries[i], 1000, 7, 0);
        run_all();
        expect(1, 0, VSOCK_RESET, 7, 1000);
        expect_nothing(0);
    }
    connect(0, 1, 7, 1000); /* one that there is makes it no better */
    send(1, 0, VSOCK_REQUEST, 1000, 7, 0);
    run_all();
    expect(1, 0, VSOCK_RESET, 7, 1000);
    expect_nothing(0);
}

/* Each packet of a record as it is written there: to A, from B. */
static void put_record(struct vsock_header h, uint32_t size) {
    static const uint32_t about[3];
    struct channel *c = &B->vsock.peers[0].channel;

    CHECK(channel_has_room(c, 3000));
    if (size >= VSOCK_HEADER) {
        channel_write(c, 0, &h, VSOCK_HEADER);
    }
    channel_send(c, size, about);
    A->belled = true;
    run_all();
}

/* The driver is told of what has come, though it has sent nothing itself. */
/* Of packets to send nothing is written, be they sent, refused, or sent after a wait. */
TEST(nothing_is_written_to_what_is_sent) {
    uint32_t id = 0, length = 0;
    unsigned count = 0;

    start_all(MAY(0, 1));
    CHECK(fill_b() != 0);
    send(0, 2, VSOCK_REQUEST, 1, 7, 0);
    give_buffers(B, RING, 2048);
    driver_doorbell(B, VSOCK_RECEIVE);
    run_all();
    for (; driver_take(A, VSOCK_TRANSMIT, &id, &length); count++) {
        CHECK_U64(length, 0);
        CHECK_U64(id % 2, 0);
    }
    CHECK(count > 15);
}

TEST(what_comes_is_told) {
    start_all(MAY(0, 1));
    send(0, 1, VSOCK_REQUEST, 1000, 7, 0);
    CHECK_U64(driver_reg(A, VIRTIO_ISR, 1), 1); /* its packet has gone */
    CHECK_U64(driver_reg(B, VIRTIO_ISR, 1), 0);
    run_all();
    CHECK_U64(driver_reg(A, VIRTIO_ISR, 1), 0);
    CHECK_U64(driver_reg(B, VIRTIO_ISR, 1), 1);
}

/* What is due is done when it is due, and no tick before. */
TEST(a_turn_that_is_due) {
    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    for (unsigned i = 0; i < RING / 2; i++) {
        struct vsock_header h = packet(0, 1, VSOCK_DATA, 1000, 7);
        h.length = 4096;
        memcpy(A->ram + OUTGOING(i), &h, VSOCK_HEADER);
        driver_describe(A, VSOCK_TRANSMIT, 2 * i, OUTGOING(i), VSOCK_HEADER, NEXT, 2 * i + 1);
        driver_describe(A, VSOCK_TRANSMIT, 2 * i + 1, DATA, 4096, 0, 0);
        driver_offer(A, VSOCK_TRANSMIT, 2 * i);
    }
    driver_doorbell(A, VSOCK_TRANSMIT);
    uint64_t first = A->counts.sent.packets, due = A->vsock.transmit_due;
    CHECK(first < RING / 2 && due > machine_time);
    CHECK_U64(virtio_ops.service(&A->vsock.v.dev, due - 1), due);
    CHECK_U64(A->counts.sent.packets, first);
    machine_time = due;
    CHECK(virtio_ops.service(&A->vsock.v.dev, due) != due);
    CHECK(A->counts.sent.packets > first);
}

/* Each packet costs its data and 512 bytes: 189 of these are one less than a turn. */
TEST(a_turn_is_just_so_long) {
    struct vsock_header h = packet(0, 1, VSOCK_DATA, 1000, 7);

    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    h.length = 875;
    CHECK_U64(189 * (875 + VSOCK_PACKET_COST), VSOCK_TURN - 1);
    memcpy(A->ram + DATA, &h, VSOCK_HEADER);
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(A, VSOCK_TRANSMIT, i, DATA, VSOCK_HEADER + 875, 0, 0);
        driver_offer(A, VSOCK_TRANSMIT, i);
    }
    driver_doorbell(A, VSOCK_TRANSMIT);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 1 + 190);
    machine_time = A->vsock.transmit_due;
    machine_serve(A, UINT64_MAX);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 1 + RING);
    virtio_vsock_poll(&B->vsock);
    CHECK_U64(B->counts.received.packets, 1 + 190);
}

/* What was due for the last driver is not for the next one: it is served at once. */
TEST(a_reset_forgets_what_was_due) {
    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    A->vsock.receive_due = A->vsock.transmit_due = machine_time + MACHINE_HZ;
    driver_set(A, 0x14, 1, 0);
    CHECK_U64(virtio_ops.service(&A->vsock.v.dev, machine_time), 0);
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
    send(0, 1, VSOCK_REQUEST, 1001, 7, 0);
    CHECK_U64(A->counts.sent.packets, 2);
}

/* Of records that are none just so many are a whole turn; what comes after them is the next one's.
 */
TEST(a_turn_is_over_when_all_of_it_is_spent) {
    static const uint32_t about[3];
    struct vsock_header good = packet(1, 0, VSOCK_DATA, 7, 1000);

    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    struct channel *c = &B->vsock.peers[0].channel;
    for (unsigned i = 0; i < VSOCK_TURN / VSOCK_PACKET_COST; i++) {
        channel_send(c, 0, about);
    }
    channel_write(c, 0, &good, VSOCK_HEADER);
    channel_send(c, VSOCK_HEADER, about);
    virtio_vsock_poll(&A->vsock);
    expect_nothing(0);
    CHECK_U64(A->counts.received.drops[VSOCK_DROP_MALFORMED], VSOCK_TURN / VSOCK_PACKET_COST);
    CHECK(virtio_ops.service(&A->vsock.v.dev, machine_time) > machine_time);
    machine_time = A->vsock.receive_due;
    (void)virtio_ops.service(&A->vsock.v.dev, machine_time);
    expect(0, 1, VSOCK_DATA, 7, 1000);
}

/* Also what is no packet makes room, for which its sender may wait. */
TEST(room_of_what_is_dropped) {
    static const uint32_t about[3];

    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    unsigned bells = B->bells;
    halves[1][0]->awaits = 1;
    channel_send(&B->vsock.peers[0].channel, 0, about);
    virtio_vsock_poll(&A->vsock);
    CHECK_U64(A->counts.received.drops[VSOCK_DROP_MALFORMED], 1);
    CHECK_U64(B->bells, bells + 1);
}

TEST(who_is_no_peer_is_not_looked_at) {
    start_all(MAY(0, 1) | MAY(1, 0));
    struct vsock_peer *none = &A->vsock.peers[A->vsock.peer_count];
    none->took = true;
    connect(0, 1, 1000, 7);
    CHECK(none->took);
}

TEST(records_that_lie) {
    start_all(MAY(0, 1) | MAY(1, 0));
    connect(0, 1, 1000, 7);
    struct vsock_header good = packet(1, 0, VSOCK_DATA, 7, 1000);
    struct vsock_header h = good;
    put_record(h, 0);
    put_record(h, VSOCK_HEADER - 1);
    put_record(h, VSOCK_HEADER + 1); /* more than it says */
    h.length = 2;
    put_record(h, VSOCK_HEADER + 1);
    h.length = UINT32_MAX - VSOCK_HEADER + 1;
    put_record(h, VSOCK_HEADER);
    h = good;
    h.type = 2;
    put_record(h, VSOCK_HEADER);
    h = good;
    h.operation = VSOCK_OPERATIONS;
    put_record(h, VSOCK_HEADER);
    h.operation = 0;
    put_record(h, VSOCK_HEADER);
    CHECK_U64(A->counts.received.drops[VSOCK_DROP_MALFORMED], 8);
    h = good;
    h.from = cid_of(2);
    put_record(h, VSOCK_HEADER);
    h = good;
    h.to = cid_of(2);
    put_record(h, VSOCK_HEADER);
    CHECK_U64(A->counts.received.drops[VSOCK_DROP_SOURCE], 2);
    expect_nothing(0);
    expect_nothing(1); /* nor is any of that answered */
    put_record(good, VSOCK_HEADER);
    expect(0, 1, VSOCK_DATA, 7, 1000);
}

/* What changes in the ring after it was judged is not looked at again. */
TEST(a_record_that_changes) {
    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    memset(A->ram + TABLE(VSOCK_RECEIVE), 0, 0x3000);
    A->given[VSOCK_RECEIVE] = A->seen[VSOCK_RECEIVE] = 0;
    A->vsock.v.queues[VSOCK_RECEIVE].taken = A->vsock.v.queues[VSOCK_RECEIVE].used = 0;
    give_buffers(A, 1, 2048);
    send(1, 0, VSOCK_DATA, 7, 1000, 5000);
    run_all(); /* the first piece has gone */
    CHECK_U64(A->vsock.incoming.done, 2004);
    memset(halves[1][0]->ring, 0xff, 4096);
    for (uint32_t at = 0; at < 5000; at += seen.length) {
        expect(0, 1, VSOCK_DATA, 7, 1000);
        CHECK(seen.length != 0);
        driver_doorbell(A, VSOCK_RECEIVE);
    }
    CHECK_U64(A->counts.received.bytes, 5000);
}

TEST(packets_of_the_driver_that_lie) {
    struct vsock_header h = packet(0, 1, VSOCK_DATA, 1000, 7);

    start_all(MAY(0, 1));
    connect(0, 1, 1000, 7);
    driver_describe(A, VSOCK_TRANSMIT, 0, DATA, VSOCK_HEADER - 1, 0, 0); /* no header */
    driver_offer(A, VSOCK_TRANSMIT, 0);
    driver_doorbell(A, VSOCK_TRANSMIT);
    driver_describe(A, VSOCK_TRANSMIT, 0, DATA, VSOCK_HEADER + 100, WRITE, 0); /* nothing to read */
    driver_offer(A, VSOCK_TRANSMIT, 0);
    driver_doorbell(A, VSOCK_TRANSMIT);
    h.length = 11;
    post(A, &h, 10);
    h.length = UINT32_MAX;
    post(A, &h, 10);
    h.length = VSOCK_LONGEST + 1;
    post(A, &h, VSOCK_LONGEST + 1);
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_MALFORMED], 5);
    h = packet(0, 1, VSOCK_DATA, 1000, 7);
    h.from = cid_of(2);
    post(A, &h, 0);
    h.from = UINT64_MAX;
    post(A, &h, 0);
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_SOURCE], 2);
    run_all();
    expect_nothing(0);
    expect_nothing(1);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 8); /* all go back */
    h = packet(0, 1, VSOCK_DATA, 1000, 7);
    h.length = VSOCK_LONGEST;
    post(A, &h, VSOCK_LONGEST);
    run_all();
    CHECK_U64(B->counts.received.bytes, VSOCK_LONGEST);
}

/* Refused, and answered, but for resets. */
TEST(refused_packets) {
    struct vsock_header h;

    start_all(MAY(0, 1));
    for (uint64_t cid = 0; cid < 3; cid++) { /* nobody has them */
        h = packet(0, 1, VSOCK_REQUEST, 1000, 7);
        h.to = cid;
        post(A, &h, 0);
        CHECK(pull(A, &seen, NULL));
        CHECK_U64(seen.from, cid);
        CHECK_U64(seen.operation, VSOCK_RESET);
    }
    h.to = cid_of(1) + BIT(32);
    post(A, &h, 0);
    CHECK(pull(A, &seen, NULL));
    CHECK_U64(seen.from, cid_of(1) + BIT(32));
    send(0, 0, VSOCK_REQUEST, 1, 1, 0);
    expect(0, 0, VSOCK_RESET, 1, 1);
    h = packet(0, 1, VSOCK_REQUEST, 1000, 7);
    h.type = 2;
    post(A, &h, 0);
    expect(0, 1, VSOCK_RESET, 7, 1000);
    for (unsigned op = 0; op < 16; op++) {
        send(0, 1, (enum vsock_operation)op, 1001, 7, 0);
        if (op != VSOCK_REQUEST && op != VSOCK_RESET) {
            expect(0, 1, VSOCK_RESET, 7, 1001);
        }
        if (op == VSOCK_REQUEST) {
            send(0, 1, VSOCK_RESET, 1001, 7, 0);
        }
    }
    expect_nothing(0);
    run_all();
    expect(1, 0, VSOCK_REQUEST, 1001, 7);
    expect(1, 0, VSOCK_RESET, 1001, 7);
    expect_nothing(1);
}

/* No connection, and so no connection too many, costs a third one something. */
TEST(too_many_connections) {
    start_all(MAY(0, 1) | MAY(2, 1));
    for (uint32_t i = 0; i < VSOCK_CONNECTIONS; i++) {
        send(0, 1, VSOCK_REQUEST, i, 7, 0);
        run_all();
        expect(1, 0, VSOCK_REQUEST, i, 7);
    }
    send(0, 1, VSOCK_REQUEST, 9999, 7, 0);
    expect(0, 1, VSOCK_RESET, 7, 9999);
    A->vsock.peers[0].count--; /* a compartment that does not count */
    send(0, 1, VSOCK_REQUEST, 9999, 7, 0);
    run_all();
    expect(0, 1, VSOCK_RESET, 7, 9999);
    connect(2, 1, 1, 7);
    send(1, 0, VSOCK_RESET, 7, 5, 0);
    run_all();
    expect(0, 1, VSOCK_RESET, 7, 5);
    send(0, 1, VSOCK_REQUEST, 9999, 7, 0);
    run_all();
    expect(1, 0, VSOCK_REQUEST, 9999, 7);
}

/* ---- who is gone ---- */

/* Ports 1 to n of A, and one of C, are connected to B. */
static void connect_many(unsigned n) {
    start_all(MAY(0, 1) | MAY(2, 1) | MAY(1, 0));
    for (uint32_t i = 1; i <= n; i++) {
        connect(0, 1, i, 7);
    }
    connect(2, 1, 1, 7);
}

/* A's programs all hear of it, C's nothing. */
static void expect_ends(unsigned n) {
    uint64_t ports = 0;

    for (unsigned i = 1; i <= n && pull(A, &seen, NULL); i++) {
        CHECK_U64(seen.operation, VSOCK_RESET);
        CHECK_U64(seen.from, cid_of(1));
        ports |= BIT(seen.to_port);
    }
    CHECK_U64(ports, BITS(1, n));
}

TEST(the_other_driver_is_reset) {
    connect_many(5);
    driver_set(B, 0x14, 1, 0);
    run_all();
    expect_ends(5);
    expect(2, 1, VSOCK_RESET, 7, 1);
    send(0, 1, VSOCK_REQUEST, 1, 7, 0);
    expect(0, 1, VSOCK_RESET, 7, 1); /* nobody is there */
    driver_start(B, 0);
    give_buffers(B, RING, 2048);
    connect(0, 1, 1, 7);
}

/* Of which the first part has come, for its buffers are small: the rest never does. */
TEST(a_reset_in_the_middle_of_a_packet) {
    begin_nodes(MAY(0, 1) | MAY(1, 0));
    for (unsigned i = 0; i < MACHINES; i++) {
        power_on(&machines[i]);
        driver_start(&machines[i], 0);
        give_buffers(&machines[i], i == 1 ? 3 : RING, i == 1 ? 100 : 2048);
    }
    connect(0, 1, 1, 7);
    send(0, 1, VSOCK_DATA, 1, 7, 1000);
    run_all();
    CHECK(B->vsock.incoming.peer != NULL);
    driver_set(B, 0x14, 1, 0);
    CHECK(B->vsock.incoming.peer == NULL);
    run_all();
    driver_start(B, 0);
    give_buffers(B, RING, 2048);
    run_all();
    expect_nothing(1);
    expect(0, 1, VSOCK_RESET, 7, 1);
    connect(0, 1, 2, 8);
}

/* A doorbell costs the other guest an exit: who waits for nothing hears none. */
TEST(reading_rings_no_bell) {
    start_all(MAY(0, 1));
    connect(0, 1, 1, 7);
    unsigned before = A->bells;
    send(0, 1, VSOCK_DATA, 1, 7, 100);
    run_all();
    expect(1, 0, VSOCK_DATA, 1, 7);
    CHECK_U64(A->bells, before);
}

/* The core clears the line of a VM that ends, and rings; then it starts again. */
TEST(the_other_guest_ends) {
    connect_many(5);
    halves[1][0]->runs = halves[1][2]->runs = 0;
    A->belled = C->belled = true;
    run_all();
    expect_ends(5);
    expect(2, 1, VSOCK_RESET, 7, 1);
    power_on(B);
    driver_start(B, 0);
    give_buffers(B, RING, 2048);
    connect(1, 0, 1, 7);
    connect(0, 1, 1, 7);
}

/* Nobody has looked meanwhile; the port is in use again. */
TEST(the_other_guest_starts_anew) {
    connect_many(5);
    send(0, 1, VSOCK_DATA, 1, 7, 100);
    power_on(B);
    driver_start(B, 0);
    give_buffers(B, RING, 2048);
    send(1, 0, VSOCK_REQUEST, 7, 3, 0);
    run_all();
    expect_ends(5);
    expect(0, 1, VSOCK_REQUEST, 7, 3);
    expect_nothing(0);
    expect_nothing(1); /* what was under way is lost */
    send(0, 1, VSOCK_RESPONSE, 3, 7, 0);
    run_all();
    expect(1, 0, VSOCK_RESPONSE, 3, 7);
}

/* Its buffers come late: resets wait, and what comes after them. */
TEST(ends_wait_for_buffers) {
    connect_many(3);
    driver_start(A, 0);
    run_all();
    CHECK_U64(A->vsock.peers[0].count, 0); /* its own reset has ended all of them */
    for (unsigned i = 0; i < 3; i++) {
        expect(1, 0, VSOCK_RESET, seen.from_port = 3 - i, 7);
    }
    give_buffers(A, 1, 2048);
    for (uint32_t i = 1; i <= 3; i++) {
        connect(0, 1, i, 7);
    }
    /* A's one buffer is used up by a packet that the driver has not seen yet. */
    send(1, 0, VSOCK_CREDIT, 7, 1, 0);
    run_all();
    halves[1][0]->runs = 0;
    virtio_vsock_poll(&A->vsock);
    CHECK(A->vsock.peers[0].ending);
    send(0, 1, VSOCK_DATA, 1, 7, 10);
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_LATE], 1);
    expect(0, 1, VSOCK_CREDIT, 7, 1);
    for (unsigned i = 0; i < 3; i++) {
        expect_nothing(0);
        driver_doorbell(A, VSOCK_RECEIVE);
        expect(0, 1, VSOCK_RESET, 7, 3 - i);
    }
    CHECK(!A->vsock.peers[0].ending);
}

/* Ends of which the last driver has not heard are none of the next one's. */
TEST(a_reset_forgets_ends) {
    connect_many(3);
    for (unsigned i = 0; i < RING; i++) { /* its buffers: B fills them, and nobody looks */
        send(1, 0, VSOCK_CREDIT, 7, 1, 0);
        run_all();
    }
    halves[1][0]->runs = 0;
    virtio_vsock_poll(&A->vsock);
    CHECK(A->vsock.peers[0].ending);
    driver_set(A, 0x14, 1, 0);
    CHECK(!A->vsock.peers[0].ending);
    halves[1][0]->runs = 1;
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
    run_all();
    expect_nothing(0);
}

/* Both sides end a connection at once, and one of them has no buffer for the other's reset yet. */
TEST(resets_that_cross) {
    start_all(MAY(0, 1));
    driver_start(B, 0); /* without buffers */
    run_all();
    while (pull(A, &seen, NULL)) {
    }
    send(0, 1, VSOCK_REQUEST, 1, 7, 0);
    send(0, 1, VSOCK_RESET, 1, 7, 0);
    run_all();
    give_buffers(B, 1, 2048);
    driver_doorbell(B, VSOCK_RECEIVE);
    expect(1, 0, VSOCK_REQUEST, 1, 7);
    CHECK(B->vsock.incoming.peer != NULL);
    CHECK_U64(B->vsock.incoming.header.operation, VSOCK_RESET);
    send(1, 0, VSOCK_RESET, 7, 1, 0);
    CHECK_U64(B->vsock.peers[0].count, 0);
    give_buffers(B, 2, 2048);
    driver_doorbell(B, VSOCK_RECEIVE);
    expect(1, 0, VSOCK_RESET, 1, 7);
    CHECK_U64(B->vsock.peers[0].count, 0);
    CHECK(B->vsock.incoming.peer == NULL);
    run_all();
    expect_nothing(1);
}

/* ---- who does not read ---- */

/* What waited in a queue that the driver takes back is not looked at any more. */
TEST(a_queue_reset_forgets_what_waits) {
    start_all(MAY(0, 1));
    CHECK(fill_b() != 0);
    A->vsock.v.driver_features |= VIRTIO_F_RING_RESET;
    driver_set(A, 0x16, 2, VSOCK_TRANSMIT);
    driver_set(A, 0x3a, 2, 1);
    CHECK_U64(A->vsock.parked_count, 0);
    run_all();
    CHECK_U64(driver_reg(A, 0x14, 1) & VIRTIO_NEEDS_RESET, 0);
}

/* The same of a device that is reset: a new driver gets no old answers, and its ring is its own. */
TEST(a_reset_forgets_what_waits) {
    start_all(MAY(0, 1));
    driver_start(A, 0);
    send(0, 2, VSOCK_REQUEST, 1, 7, 0); /* refused, and there is no buffer for the answer */
    driver_set(A, 0x14, 1, 0);
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
    run_all();
    expect_nothing(0);

    CHECK(fill_b() != 0);
    driver_set(A, 0x14, 1, 0);
    CHECK_U64(A->vsock.parked_count, 0);
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
    run_all();
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 0);
    CHECK_U64(driver_reg(A, 0x14, 1) & VIRTIO_NEEDS_RESET, 0);
}

TEST(others_pass_who_waits) {
    start_all(MAY(0, 1) | MAY(0, 2));
    CHECK_U64(fill_b(), 15); /* five times 50,000 and a reserve are just less than a ring */
    CHECK(A->vsock.peers[0].full);
    send(0, 1, VSOCK_DATA, 1, 7,
         100); /* for which there would be room, but not before the others */
    run_all();
    connect(0, 2, 1, 7);
    for (unsigned i = 0; i < 10; i++) {
        send(0, 2, VSOCK_DATA, 1, 7, 1000);
        run_all();
        expect(2, 0, VSOCK_DATA, 1, 7);
    }
    CHECK_U64(A->vsock.parked_count, 16);

    /* Once it reads, all goes on, without a doorbell of the driver's. */
    uint64_t bytes = 0, last = 0;
    give_buffers(B, RING, 2048);
    driver_doorbell(B, VSOCK_RECEIVE);
    run_all();
    expect(1, 0, VSOCK_REQUEST, 1, 7);
    while (pull(B, &seen, NULL)) {
        CHECK_U64(seen.operation, VSOCK_DATA);
        bytes += seen.length;
        last = seen.length;
        driver_doorbell(B, VSOCK_RECEIVE);
        run_all();
    }
    CHECK_U64(bytes, 20 * 50000 + 100);
    CHECK_U64(last, 100);
    CHECK_U64(A->vsock.parked_count, 0);
}

TEST(patience_ends) {
    start_all(MAY(0, 1) | MAY(0, 2));
    connect(0, 2, 1, 7);
    CHECK_U64(fill_b(), 15);
    uint64_t end = A->vsock.parked[0].since + VSOCK_PATIENCE * MACHINE_HZ;
    connect(0, 2, 1, 7);
    CHECK_U64(virtio_ops.service(&A->vsock.v.dev, end), end + 1);
    machine_time = end;
    virtio_vsock_poll(&A->vsock);
    CHECK_U64(A->vsock.parked_count, 15);
    machine_time = end + 1;
    A->due = true;
    run_all();
    CHECK_U64(A->vsock.parked_count, 0);
    expect(0, 1, VSOCK_RESET, 7, 1);
    expect_nothing(0);
    give_buffers(B, RING, 2048);
    driver_doorbell(B, VSOCK_RECEIVE);
    run_all();
    expect(1, 0, VSOCK_RESET, 1, 7); /* of what it has not heard of: drivers ignore that */
    expect_nothing(1);
    connect(0, 1, 2, 7);
    send(0, 2, VSOCK_DATA, 1, 7, 10);
    run_all();
    expect(2, 0, VSOCK_DATA, 1, 7);
}

/* Of what it had a part of, it hears that it is over. */
TEST(patience_ends_a_connection) {
    start_all(MAY(0, 1));
    connect(0, 1, 1, 7);
    for (unsigned i = 0; i < 250; i++) { /* more than its buffers hold */
        send(0, 1, VSOCK_DATA, 1, 7, 50000);
        run_all();
        if (A->vsock.parked_count == 10) {
            break;
        }
    }
    CHECK_U64(A->vsock.parked_count, 10);
    machine_time += VSOCK_PATIENCE * MACHINE_HZ + 1;
    A->due = true;
    run_all();
    expect(0, 1, VSOCK_RESET, 7, 1);
    while (pull(B, &seen, NULL) && seen.operation == VSOCK_DATA) {
        driver_doorbell(B, VSOCK_RECEIVE);
    }
    CHECK_U64(seen.operation, VSOCK_RESET);
    CHECK_U64(B->vsock.peers[0].count, 0);
}

/* The guest changes what waits, to nonsense: its own loss. */
TEST(what_waits_changes) {
    start_all(MAY(0, 1));
    CHECK_U64(fill_b(), 15);
    memset(A->ram + TABLE(VSOCK_TRANSMIT), 0xff, 0x1000);
    machine_time += VSOCK_PATIENCE * MACHINE_HZ + 1;
    A->due = true;
    run_all();
    CHECK_U64(A->vsock.parked_count, 0);
    CHECK((A->vsock.v.status & VIRTIO_NEEDS_RESET) == 0);
}

/* ---- who floods ---- */

/* A driver that gives the same packet again and again: as many wait as there are places. */
TEST(as_many_wait_as_there_can) {
    start_all(MAY(0, 1));
    CHECK_U64(fill_b(), 15);
    uint64_t due = A->vsock.transmit_due;
    for (unsigned i = 0; i < VSOCK_PARKED + 20; i++) {
        driver_offer(A, VSOCK_TRANSMIT, 2 * 19); /* the last one, which waits already */
        driver_doorbell(A, VSOCK_TRANSMIT);
    }
    CHECK_U64(A->vsock.parked_count, VSOCK_PARKED);
    CHECK_U64(A->vsock.transmit_due, due);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), 6);
}

/* Refused without end, and its driver takes no reply: its own queue stands. */
TEST(replies_are_bounded) {
    start_all(MAY(0, 1));
    driver_start(A, 0);
    for (unsigned i = 0; i < 2 * VSOCK_REPLIES; i++) {
        send(0, 2, VSOCK_REQUEST, i, 7, 0);
    }
    run_all();
    CHECK_U64(A->vsock.reply_count, VSOCK_REPLIES);
    CHECK_U64(driver_used(A, VSOCK_TRANSMIT), VSOCK_REPLIES);
    give_buffers(A, RING, 2048);
    driver_doorbell(A, VSOCK_RECEIVE);
    run_all();
    for (unsigned i = 0; i < 2 * VSOCK_REPLIES; i++) {
        expect(0, 2, VSOCK_RESET, 7, i);
    }
    expect_nothing(0);
}

/* One buffer at a time: each reset goes to its own port, in the order of what was refused. */
TEST(replies_one_by_one) {
    start_all(MAY(0, 1));
    driver_start(A, 0);
    for (unsigned i = 0; i < 5; i++) {
        send(0, 2, VSOCK_REQUEST, i, 7 + i, 0);
    }
    give_buffers(A, 1, 2048);
    for (unsigned i = 0; i < 5; i++) {
        driver_doorbell(A, VSOCK_RECEIVE);
        CHECK_U64(A->vsock.reply_count, 4 - i);
        expect(0, 2, VSOCK_RESET, 7 + i, i);
        expect_nothing(0);
    }
}

TEST(buffers_that_are_too_small) {
    start_all(MAY(0, 1));
    driver_start(B, 0);
    give_buffers(B, 3, VSOCK_HEADER - 1);
    driver_describe(B, VSOCK_RECEIVE, 3, BUFFER(3), 2048, 0, 0); /* not to be written */
    driver_offer(B, VSOCK_RECEIVE, 3);
    driver_describe(B, VSOCK_RECEIVE, 4, BUFFER(4), 20, WRITE | NEXT,
                    5); /* a header in two pieces */
    driver_describe(B, VSOCK_RECEIVE, 5, BUFFER(4) + 20, 24, WRITE, 0);
    driver_offer(B, VSOCK_RECEIVE, 4);
    send(0, 1, VSOCK_REQUEST, 1, 7, 0);
    run_all();
    CHECK_U64(B->counts.received.drops[VSOCK_DROP_SMALL], 4);
    B->seen[VSOCK_RECEIVE] = 4;
    expect(1, 0, VSOCK_REQUEST, 1, 7);
    driver_offer(B, VSOCK_RECEIVE, 4); /* no room for one byte of data */
    send(0, 1, VSOCK_DATA, 1, 7, 1);
    run_all();
    CHECK(B->counts.received.drops[VSOCK_DROP_SMALL] >= 5);
}

/* A driver that breaks the rules is gone for the others, too. */
TEST(a_broken_driver) {
    connect_many(2);
    ram_put16(B, AVAIL(VSOCK_TRANSMIT) + 2, 1000);
    driver_doorbell(B, VSOCK_TRANSMIT);
    CHECK((B->vsock.v.status & VIRTIO_NEEDS_RESET) != 0);
    run_all();
    expect_ends(2);
    expect_nothing(0);
}

/* What lies behind the last peer is none. */
TEST(who_is_no_peer) {
    start_all(MAY(0, 1));
    struct virtio_vsock *s = &A->vsock;
    s->peers[s->peer_count] = s->peers[0];
    s->peers[s->peer_count].is.cid = 77;
    struct vsock_header h = packet(0, 1, VSOCK_REQUEST, 1000, 7);
    h.to = 77;
    post(A, &h, 0);
    run_all();
    expect_nothing(1);
    CHECK(pull(A, &seen, data));
    CHECK_U64(seen.operation, VSOCK_RESET);
    CHECK_U64(seen.from, 77);
}

TEST_MAIN(T(registers), T(a_connection), T(the_queue_of_events), T(who_may_not),
          T(who_may_not_and_tries), T(what_comes_is_told), T(a_turn_that_is_due),
          T(a_turn_is_over_when_all_of_it_is_spent), T(who_is_no_peer_is_not_looked_at),
          T(records_that_lie), T(a_record_that_changes), T(packets_of_the_driver_that_lie),
          T(refused_packets), T(too_many_connections), T(the_other_driver_is_reset),
          T(a_reset_in_the_middle_of_a_packet), T(reading_rings_no_bell), T(the_other_guest_ends),
          T(the_other_guest_starts_anew), T(ends_wait_for_buffers), T(resets_that_cross),
          T(a_queue_reset_forgets_what_waits), T(a_reset_forgets_what_waits),
          T(others_pass_who_waits), T(patience_ends), T(patience_ends_a_connection),
          T(what_waits_changes), T(replies_are_bounded), T(buffers_that_are_too_small),
          T(a_broken_driver), T(who_is_no_peer), T(replies_one_by_one),
          T(as_many_wait_as_there_can), T(a_reset_forgets_what_was_due), T(a_reset_forgets_ends),
          T(room_of_what_is_dropped), T(nothing_is_written_to_what_is_sent),
          T(a_turn_is_just_so_long))
