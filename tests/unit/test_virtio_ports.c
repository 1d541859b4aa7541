/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named ports of two machines' virtio consoles, which are joined: as their drivers find them, and
 * with a driver or another side that keeps no rule.
 */
#include "tests/unit/fake_ports.h"

static struct machine *const a = &machines[0];
static struct machine *const b = &machines[1];
/* Port sync's queues, here and there. */
enum { A_RECEIVE = 4, A_SEND = 5, B_RECEIVE = 6, B_SEND = 7 };
enum { A_SYNC = 1, B_SYNC = 2 };
#define HALF_OF_A ports_halves[0][0]

static uint8_t data[8192], got[0x8000];

static unsigned used(struct machine *m, unsigned queue) {
    return driver_used(m, queue);
}

/* The driver has all ports, and has opened none. */
static void drive(struct machine *m) {
    driver_start(m, CONSOLE_F_MULTIPORT);
    ports_fill(m, CONSOLE_CONTROL_RECEIVE, 256, RING);
    ports_say(m, 0, READY, 1);
    for (uint32_t i = 0; i <= NAMED; i++) {
        CHECK_TOLD(m, (uint8_t)i, ADD, 1);
        ports_fill(m, i == 0 ? 0 : 2 + 2 * i, 256, RING);
    }
    for (uint32_t i = 1; i <= NAMED; i++) {
        ports_say(m, i, PORT_READY, 1);
        CHECK_TOLD(m, (uint8_t)i, NAME, 1);
    }
    CHECK(ports_are_silent(m));
}

static void begin(void) {
    ports_begin();
    drive(a);
    drive(b);
    ports_run();
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 13 + i / 256);
    }
}

static void open_port(struct machine *m, uint32_t port, uint16_t open) {
    ports_say(m, port, OPEN, open);
    ports_run();
}

static void begin_open(void) {
    begin();
    open_port(a, A_SYNC, 1);
    open_port(b, B_SYNC, 1);
    CHECK_TOLD(a, A_SYNC, OPEN, 1);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
}

static void send(const void *from, uint32_t size) {
    ports_write(a, A_SEND, from, size);
    ports_run();
}

/* All that B finds, put together; its buffers are available again, but it does not ring. */
static uint32_t pull(void) {
    uint32_t size = 0;
    for (int n; (n = ports_read(b, B_RECEIVE, got + size)) >= 0;) {
        size += (uint32_t)n;
        CHECK(size + 256 <= sizeof(got));
    }
    return size;
}

static void expect(const char *text) {
    CHECK_U64(pull(), strlen(text));
    CHECK(memcmp(got, text, strlen(text)) == 0);
}

static const char *name_told(struct machine *m, unsigned nth) {
    static char name[256];
    uint64_t at = USED(CONSOLE_CONTROL_RECEIVE) + 4 + 8ull * nth;
    uint32_t length = ram_get32(m, at + 4);
    memset(name, 0, sizeof(name));
    memcpy(name, m->ram + BUFFER(CONSOLE_CONTROL_RECEIVE, ram_get32(m, at)) + 8, length - 8);
    return name;
}

TEST(names) {
    begin();
    CHECK_U64(driver_reg(a, VIRTIO_CONFIG + 4, 4), 3);
    CHECK_STR(name_told(a, 3), "sync");
    CHECK_STR(name_told(a, 4), "a-name-of-31-characters-exactly");
    CHECK_STR(name_told(b, 3), "a-name-of-31-characters-exactly");
    CHECK_STR(name_told(b, 4), "sync");
}

TEST(opening_and_closing) {
    begin();
    open_port(a, A_SYNC, 1);
    CHECK(ports_are_silent(a));
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    open_port(b, B_SYNC, 1);
    CHECK_TOLD(a, A_SYNC, OPEN, 1);
    open_port(b, B_SYNC, 1); /* is nothing new */
    CHECK(ports_are_silent(a));
    open_port(a, A_SYNC, 0);
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    open_port(a, A_SYNC, 0);
    CHECK(ports_are_silent(b));
    open_port(a, A_SYNC, 1);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    CHECK(ports_are_silent(a));
    CHECK(ports_are_silent(b)); /* of the other port nothing was heard */
}

/* Who is ready late is told what is open by then. */
TEST(ready_late) {
    begin();
    open_port(a, A_SYNC, 1);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    drive(a); /* again */
    ports_run();
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    open_port(b, B_SYNC, 1);
    CHECK_TOLD(a, A_SYNC, OPEN, 1);
    ports_say(a, A_SYNC, PORT_READY, 1);
    CHECK_TOLD(a, A_SYNC, NAME, 1);
    CHECK_TOLD(a, A_SYNC, OPEN, 1);
    ports_say(a, 0, READY, 1); /* all anew */
    for (uint32_t i = 0; i <= NAMED; i++) {
        CHECK_TOLD(a, (uint8_t)i, ADD, 1);
    }
    open_port(b, B_SYNC, 0);
    CHECK(ports_are_silent(a));
}

TEST(bytes) {
    begin_open();
    send("hello", 5);
    expect("hello");
    CHECK_U64(used(a, A_SEND), 1);
    ports_write(b, B_SEND, "and back", 8);
    ports_run();
    CHECK_U64(ports_read(a, A_RECEIVE, got), 8);
    CHECK(memcmp(got, "and back", 8) == 0);
    for (uint32_t size = 1; size < 700; size += 97) { /* more than a buffer takes, some of them */
        for (uint32_t i = 0; i < 3; i++) {
            memcpy(a->ram + BUFFER(A_SEND, 50) + 300 * i, data + 300 * i, 300);
        }
        driver_describe(a, A_SEND, 50, BUFFER(A_SEND, 50), size / 2 + 1, NEXT, 51);
        driver_describe(a, A_SEND, 51, BUFFER(A_SEND, 50) + size / 2 + 1, size, NEXT, 52);
        driver_describe(a, A_SEND, 52, BUFFER(A_SEND, 50), 64, WRITE, 0);
        driver_offer(a, A_SEND, 50);
        driver_doorbell(a, A_SEND);
        ports_run();
        CHECK_U64(pull(), size / 2 + 1 + size);
        driver_doorbell(b, B_RECEIVE);
        CHECK(memcmp(got, data, size / 2 + 1 + size > 900 ? 900 : size / 2 + 1 + size) == 0);
    }
    CHECK(ports_are_silent(a) && ports_are_silent(b));
}

/* Buffers of several pieces to receive, one of them to be read. */
TEST(received_in_pieces) {
    begin_open();
    while (ports_read(b, B_RECEIVE, got) >= 0) {
    }
    driver_start(b, CONSOLE_F_MULTIPORT);
    ports_run();
    CHECK_TOLD(a, A_SYNC, OPEN, 0);
    ports_say(b, B_SYNC, OPEN, 1);
    ports_run();
    CHECK_TOLD(a, A_SYNC, OPEN, 1);
    for (unsigned i = 0; i < 3; i++) {
        driver_describe(b, B_RECEIVE, i, BUFFER(B_RECEIVE, i), i + 1, (i < 2 ? NEXT : 0) | WRITE,
                        i + 1);
    }
    driver_offer(b, B_RECEIVE, 0);
    driver_doorbell(b, B_RECEIVE);
    send("abcdefgh", 8);
    CHECK_U64(ram_get32(b, USED(B_RECEIVE) + 8), 6);
    CHECK(memcmp(b->ram + BUFFER(B_RECEIVE, 0), "a", 1) == 0);
    CHECK(memcmp(b->ram + BUFFER(B_RECEIVE, 1), "bc", 2) == 0);
    CHECK(memcmp(b->ram + BUFFER(B_RECEIVE, 2), "def", 3) == 0);
    driver_describe(b, B_RECEIVE, 5, BUFFER(B_RECEIVE, 5), 16, 0, 0); /* it can only be read */
    driver_offer(b, B_RECEIVE, 5);
    driver_offer(b, B_RECEIVE, 0);
    driver_doorbell(b, B_RECEIVE);
    CHECK_U64(ram_get32(b, USED(B_RECEIVE) + 16), 0);
    CHECK_U64(ram_get32(b, USED(B_RECEIVE) + 24), 2);
    CHECK(memcmp(b->ram + BUFFER(B_RECEIVE, 0), "g", 1) == 0);
}

/* A reader that does not read: the writer's buffers stay with the device, and nobody else waits. */
static uint32_t fill_up(void) {
    uint32_t sent = 0;
    for (unsigned i = 0; i < RING; i++) { /* each of them 8 KiB, from the same place */
        memcpy(a->ram + 0x100000, data, sizeof(data));
        driver_describe(a, A_SEND, i, 0x100000, sizeof(data), 0, 0);
        driver_offer(a, A_SEND, i);
        sent += sizeof(data);
    }
    driver_doorbell(a, A_SEND);
    ports_run();
    return sent;
}

TEST(full) {
    begin_open();
    uint32_t sent = fill_up(), received = 0;
    CHECK(used(a, A_SEND) > 20 && used(a, A_SEND) < 40);
    CHECK_U64(used(b, B_RECEIVE), RING);
    open_port(a, 2, 1);
    open_port(b, 1, 1);
    CHECK_TOLD(b, 1, OPEN, 1);
    ports_write(a, 7, "other", 5);
    ports_run();
    CHECK_U64(ports_read(b, 4, got), 5);
    for (unsigned rounds = 0; received < sent; rounds++) {
        CHECK(rounds < 1000);
        uint32_t size = pull();
        for (uint32_t i = 0; i < size; i++) {
            CHECK(got[i] == data[(received + i) % sizeof(data)]);
        }
        received += size;
        driver_doorbell(b, B_RECEIVE);
        ports_run();
    }
    CHECK_U64(used(a, A_SEND), RING);
    CHECK_U64(received, sent);
    CHECK_U64(pull(), 0);
}

/* The end comes after all that was sent before it, also if it had no room yet. */
TEST(closed_while_it_waits) {
    begin_open();
    uint32_t sent = fill_up(), received = 0;
    open_port(a, A_SYNC, 0);
    for (unsigned rounds = 0; received < sent; rounds++) {
        CHECK(rounds < 1000);
        CHECK(received + RING * 256 >= sent || ports_are_silent(b));
        received += pull();
        if (received < sent) {
            driver_doorbell(b, B_RECEIVE);
            ports_run();
        }
    }
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    CHECK(ports_are_silent(b));
}

/* What comes in a second session does not come before the first one's end. */
TEST(two_sessions) {
    begin_open();
    send("one", 3);
    ports_say(a, A_SYNC, OPEN, 0);
    ports_say(a, A_SYNC, OPEN, 1);
    ports_write(a, A_SEND, "two", 3);
    ports_say(a, A_SYNC, OPEN, 0);
    ports_say(a, A_SYNC, OPEN, 1);
    ports_run();
    expect("onetwo");
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    CHECK(ports_are_silent(b));
}

/* Without a buffer to tell of the end, the next session's bytes wait. */
TEST(the_end_is_told_first) {
    begin_open();
    driver_start(b, CONSOLE_F_MULTIPORT);
    ports_fill(b, B_RECEIVE, 256, RING);
    ports_say(b, B_SYNC, PORT_READY, 1);
    open_port(b, B_SYNC, 1);
    send("one", 3);
    CHECK_U64(pull(), 0); /* it does not know its name */
    ports_fill(b, CONSOLE_CONTROL_RECEIVE, 256, 1);
    CHECK_TOLD(b, B_SYNC, NAME, 1);
    CHECK_U64(pull(), 0);
    driver_doorbell(b, CONSOLE_CONTROL_RECEIVE);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    expect("one");
    ports_say(a, A_SYNC, OPEN, 0);
    ports_say(a, A_SYNC, OPEN, 1);
    ports_write(a, A_SEND, "two", 3);
    ports_run();
    driver_doorbell(b, CONSOLE_CONTROL_RECEIVE);
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    CHECK_U64(pull(), 0);
    driver_doorbell(b, CONSOLE_CONTROL_RECEIVE);
    CHECK_TOLD(b, B_SYNC, OPEN, 1);
    expect("two");
}

/* What was not told yet and is not true any more is not told. */
TEST(opened_and_closed_untold) {
    begin();
    driver_start(b, CONSOLE_F_MULTIPORT);
    ports_say(b, B_SYNC, PORT_READY, 1);
    open_port(a, A_SYNC, 1);
    open_port(a, A_SYNC, 0);
    ports_fill(b, CONSOLE_CONTROL_RECEIVE, 256, 8);
    ports_run();
    CHECK_TOLD(b, B_SYNC, NAME, 1);
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    CHECK(ports_are_silent(b));
}

/* With nobody at the other end bytes are lost, and so are those that wait when he goes. */
TEST(nobody_reads) {
    begin();
    open_port(a, A_SYNC, 1);
    send("lost", 4);
    CHECK_U64(used(a, A_SEND), 1);
    open_port(b, B_SYNC, 1);
    expect("");
    fill_up();
    CHECK(used(a, A_SEND) < 40);
    open_port(b, B_SYNC, 0);
    CHECK_U64(used(a, A_SEND), 1 + RING);
    (void)pull();
    driver_doorbell(b, B_RECEIVE);
    ports_run();
    CHECK_U64(pull(), 0); /* nor does he get what was on its way */
    open_port(b, B_SYNC, 1);
    CHECK_U64(pull(), 0);
    send("new", 3);
    expect("new");
}

/* Of one that does not run any more nobody waits for room. */
TEST(nobody_is_there) {
    begin_open();
    driver_set(b, 0x14, 1, 0);
    fill_up();
    CHECK_U64(used(a, A_SEND), RING);
    CHECK_TOLD(a, A_SYNC, OPEN, 0);
}

/* A driver that goes, a machine that starts anew: each is an end, however soon it is back. */
TEST(restarts) {
    for (unsigned kind = 0; kind < 2; kind++) {
        begin_open();
        send("one", 3);
        expect("one");
        if (kind == 1) {
            ports_power_on(a);
        }
        driver_start(a, CONSOLE_F_MULTIPORT); /* before B has looked */
        ports_fill(a, CONSOLE_CONTROL_RECEIVE, 256, RING);
        ports_say(a, A_SYNC, PORT_READY, 1);
        ports_say(a, A_SYNC, OPEN, 1);
        ports_run();
        CHECK_TOLD(b, B_SYNC, OPEN, 0);
        CHECK_TOLD(b, B_SYNC, OPEN, 1);
        CHECK(ports_are_silent(b));
        CHECK_TOLD(a, A_SYNC, NAME, 1);
        CHECK_TOLD(a, A_SYNC, OPEN, 1);
        send("two", 3);
        expect("two");
        driver_set(a, 0x14, 1, 0);
        ports_run();
        CHECK_TOLD(b, B_SYNC, OPEN, 0);
        ports_write(b, B_SEND, "lost", 4);
        CHECK_U64(used(b, B_SEND), 1);
    }
}

TEST(a_reset_forgets_what_was_to_be_told) {
    ports_begin();
    driver_start(a, CONSOLE_F_MULTIPORT);
    ports_say(a, 0, READY, 1); /* that there are ports: no buffer takes it */
    driver_start(a, CONSOLE_F_MULTIPORT);
    ports_fill(a, CONSOLE_CONTROL_RECEIVE, 256, RING);
    ports_say(a, A_SYNC, PORT_READY, 1);
    CHECK_TOLD(a, A_SYNC, NAME, 1);
    CHECK(ports_are_silent(a));
}

/* What had gone of a buffer is forgotten with its queue, and with no other. */
TEST(a_queue_that_is_reset) {
    struct console_port *ports = a->console.ports;
    begin_open();
    a->console.v.driver_features |= VIRTIO_F_RING_RESET;
    ports[A_SYNC].moved = ports[3 - A_SYNC].moved = 5;
    driver_set(a, 0x16, 2, A_SEND);
    driver_set(a, 0x3a, 2, 1);
    CHECK_U64(ports[A_SYNC].moved, 0);
    CHECK_U64(ports[3 - A_SYNC].moved, 5);
}

/* What was sent before its machine stopped can still be read, and then comes the end. */
TEST(the_last_words) {
    begin_open();
    fill_up();
    unsigned sent = used(a, A_SEND);
    __atomic_store_n(&HALF_OF_A->runs, 0, __ATOMIC_SEQ_CST);
    b->belled = true;
    uint32_t received = 0, size;
    ports_run();
    do {
        size = pull();
        received += size;
        driver_doorbell(b, B_RECEIVE);
        ports_run();
    } while (size != 0);
    CHECK(received >= sent * sizeof(data));
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
}

/* As many as fit into the ring, of so many bytes each. */
static void write_ring(uint32_t length) {
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(a, A_SEND, i, 0x100000, length, 0, 0);
        driver_offer(a, A_SEND, i);
    }
    driver_doorbell(a, A_SEND);
}

/* No turn is long, whatever there is. */
TEST(turns) {
    begin_open();
    write_ring(0x10000);
    CHECK(a->console.due != 0);
    uint32_t put = a->console.ports[A_SYNC].channel.put;
    CHECK(put >= 100 * KIB && put <= 140 * KIB);
    driver_doorbell(a, A_SEND);
    CHECK_U64(a->console.ports[A_SYNC].channel.put, put);
    begin_open(); /* bytes one by one: a record each */
    for (unsigned i = 0; i < 60; i++) {
        driver_describe(a, A_SEND, i, 0x100000, 1, i < 59 ? NEXT : 0, i + 1);
    }
    for (unsigned i = 0; i < RING; i++) {
        driver_offer(a, A_SEND, 0);
    }
    driver_doorbell(a, A_SEND);
    CHECK(a->console.due != 0);
    CHECK(a->console.ports[A_SYNC].channel.put <= 2048 * 32);
}

/* A buffer costs something, beside its bytes and its records. */
TEST(buffers_count_in_a_turn) {
    begin_open();
    write_ring(2000);
    CHECK_U64(used(a, A_SEND), 62); /* of 2,000 bytes, 64 for the record and 64 for it */
    CHECK(a->console.due != 0);
    ports_run();
    CHECK_U64(used(a, A_SEND), RING);
}

/* The same of what is received: 128 KiB, of 3,000 bytes and 64 for each. */
TEST(records_count_in_a_turn) {
    begin_open();
    driver_start(b, CONSOLE_F_MULTIPORT);
    open_port(b, B_SYNC, 1);
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(b, B_RECEIVE, i, 0x100000, 3000, WRITE, 0);
        driver_offer(b, B_RECEIVE, i);
        driver_describe(a, A_SEND, i, 0x100000, 3000, 0, 0);
        driver_offer(a, A_SEND, i);
    }
    driver_doorbell(a, A_SEND);
    machine_serve(a, UINT64_MAX);
    machine_time = a->console.due;
    machine_serve(a, UINT64_MAX);
    CHECK_U64(used(a, A_SEND), RING);
    CHECK_U64(used(b, B_RECEIVE), 0);
    virtio_console_poll(&b->console);
    CHECK_U64(used(b, B_RECEIVE), 43);
    CHECK(b->console.due != 0);
    ports_run();
    CHECK_U64(used(b, B_RECEIVE), RING);
}

/* ---- the other side is in a guest's hand ---- */

static void hostile_record(uint32_t length, uint32_t session) {
    uint32_t put = HALF_OF_A->put;
    const struct channel_record r = {.length = length, .about = {session, 1, 2}};
    memcpy(HALF_OF_A->ring + put % CHANNEL_RING, &r, sizeof(r));
    __atomic_store_n(&HALF_OF_A->put, put + ALIGN_UP(CHANNEL_RECORD + length, CHANNEL_RECORD),
                     __ATOMIC_SEQ_CST);
}

TEST(hostile_emptiness) {
    begin_open();
    uint32_t before = HALF_OF_A->put;
    for (uint32_t i = 0; i < 8000; i++) {
        hostile_record(0, 1);
    }
    virtio_console_poll(&b->console);
    uint32_t taken = b->console.ports[B_SYNC].channel.taken - before;
    CHECK(b->console.due != 0);
    CHECK(taken >= 1000 * CHANNEL_RECORD && taken <= 4000 * CHANNEL_RECORD);
}

TEST(hostile_sessions) {
    begin_open();
    for (uint32_t i = 0; i < 1000; i++) {
        hostile_record(i % 3, i * 0x9e3779b9u);
    }
    virtio_console_poll(&b->console);
    unsigned told = 0;
    for (uint8_t text[256]; ports_read(b, CONSOLE_CONTROL_RECEIVE, text) >= 0; told++) {
        CHECK_U64(text[4], OPEN);
        CHECK_U64(text[0], B_SYNC);
    }
    CHECK(told >= 32 && told <= RING);
    CHECK_U64(driver_reg(b, 0x14, 1), 15);
}

/* Records of nothing, and one that shrinks while it is read. */
TEST(hostile_records) {
    begin_open();
    memset(HALF_OF_A->ring, 0, CHANNEL_RING);
    hostile_record(0, 1);
    hostile_record(60000, 1);
    virtio_console_poll(&b->console);
    ports_run();
    CHECK_U64(pull(), RING * 256);
    CHECK_U64(b->console.ports[B_SYNC].done, RING * 256);
    uint32_t small = 1;
    memcpy(HALF_OF_A->ring + CHANNEL_RECORD, &small, sizeof(small));
    driver_doorbell(b, B_RECEIVE);
    CHECK(pull() < 256);
    CHECK_U64(b->console.ports[B_SYNC].done, 0);
    hostile_record(60000, 1);
    virtio_console_poll(&b->console);
    ports_run();
    CHECK(b->console.ports[B_SYNC].done > 200);
    uint32_t place = HALF_OF_A->put - ALIGN_UP(CHANNEL_RECORD + 60000, CHANNEL_RECORD);
    uint32_t next = 3; /* it is of another session now: from its beginning */
    memcpy(HALF_OF_A->ring + place % CHANNEL_RING + 4, &next, sizeof(next));
    (void)pull();
    virtio_console_poll(&b->console);
    CHECK_U64(b->console.ports[B_SYNC].done, RING * 256);
    uint32_t taken = b->console.ports[B_SYNC].channel.taken;
    CHECK_U64(taken % CHANNEL_RECORD, 0);
}

/* It may claim to wait for room without end: a bell for each turn, and no more. */
TEST(hostile_waiting) {
    begin_open();
    __atomic_store_n(&HALF_OF_A->awaits, 7, __ATOMIC_SEQ_CST);
    unsigned before = b->bells;
    virtio_console_poll(&b->console);
    CHECK_U64(b->bells, before);
    hostile_record(10, 1);
    hostile_record(10, 1);
    virtio_console_poll(&b->console);
    CHECK_U64(b->bells, before + 1);
    HALF_OF_A->runs = 0;
    hostile_record(10, 1);
    virtio_console_poll(&b->console);
    CHECK_U64(b->bells, before + 1);
}

/* A driver that uses ports that it has not, or before it may. */
TEST(hostile_driver) {
    ports_begin();
    driver_start(a, 0); /* no ports */
    ports_say(a, A_SYNC, OPEN, 1);
    ports_write(a, A_SEND, "x", 1);
    CHECK_U64(used(a, A_SEND), 0);
    CHECK_U64(HALF_OF_A->runs, 0);
    begin_open();
    ports_say(a, NAMED + 1, OPEN, 1);
    ports_say(a, ABI_PORTS + 1, OPEN, 1);
    ports_write(a, 9, "x", 1);
    ports_fill(a, 8, 64, 4);
    CHECK_U64(used(a, 9), 0);
    driver_describe(a, A_SEND, 0, MACHINE_RAM, 8, 0, 0);
    driver_offer(a, A_SEND, 0);
    driver_doorbell(a, A_SEND);
    CHECK((driver_reg(a, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
    ports_run();
    ports_write(b, B_SEND, "y", 1);
    ports_run();
    CHECK(ports_are_silent(b));
    driver_set(a, 0x14, 1, 0);
    ports_run();
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
}

/* And one more than that is none. */
TEST(as_many_as_there_can_be) {
    ports_begin();
    for (unsigned i = NAMED; i < ABI_PORTS; i++) {
        a->abi.ports[i] = a->abi.ports[0];
    }
    a->abi.port_count = ABI_PORTS;
    ports_power_on(a);
    driver_start(a, CONSOLE_F_MULTIPORT);
    ports_fill(a, CONSOLE_CONTROL_RECEIVE, 256, RING);
    CHECK_U64(driver_reg(a, VIRTIO_CONFIG + 4, 4), CONSOLE_PORTS);
    ports_say(a, ABI_PORTS + 1, PORT_READY, 1);
    ports_say(a, ABI_PORTS + 1, OPEN, 1);
    CHECK(ports_are_silent(a));
    ports_say(a, ABI_PORTS, PORT_READY, 1);
    CHECK_TOLD(a, ABI_PORTS, NAME, 1);
}

/* A machine that starts anew has closed its end until its driver opens it. */
TEST(a_new_start_is_closed) {
    begin_open();
    ports_power_on(a);
    driver_start(a, CONSOLE_F_MULTIPORT);
    ports_say(a, A_SYNC, PORT_READY, 1);
    driver_doorbell(a, A_RECEIVE);
    ports_run();
    CHECK_TOLD(b, B_SYNC, OPEN, 0);
    CHECK(ports_are_silent(b));
}

TEST_MAIN(T(names), T(a_queue_that_is_reset), T(a_reset_forgets_what_was_to_be_told),
          T(opening_and_closing), T(ready_late), T(bytes), T(received_in_pieces), T(full),
          T(closed_while_it_waits), T(two_sessions), T(the_end_is_told_first),
          T(opened_and_closed_untold), T(nobody_reads), T(nobody_is_there), T(restarts),
          T(the_last_words), T(turns), T(hostile_emptiness), T(hostile_sessions),
          T(as_many_as_there_can_be), T(hostile_records), T(hostile_waiting), T(hostile_driver),
          T(a_new_start_is_closed), T(buffers_count_in_a_turn), T(records_count_in_a_turn))
