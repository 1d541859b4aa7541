/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's hand at the host's address, as a driver of a socket device finds it: connections,
 * requests and answers, credit, and what breaks the rules. The core behind it is the test's. What
 * lines of JSON are taken and what comes back is test_control.c's.
 */
#include "tests/unit/fake_vsock.h"

#define A        (&machines[0])
#define OWN      700u /* a port of the guest's, of root's */
#define LIST     "{\"verb\":\"list\"}\n"
#define PAUSE    "{\"verb\":\"pause\",\"guest\":\"web\"}\n"
#define NOT_JSON "x\n"
#define REFUSAL                                                                                    \
    "{\"ok\":false,\"error\":\"not an object of JSON in one line\",\"number\":\"BH6214\"}\n"
#define DONE "{\"ok\":true}\n"

static struct vsock_header seen;
static char answer[0x8000]; /* all data that has come */
static size_t answer_size;
static unsigned guests, looks, orders;

static void ask(UNUSED const struct dev_env *env, struct exchange_control *c) {
    c->done = CONTROL_NO_GUEST;
    if (c->guest >= guests) {
        return;
    }
    c->done = CONTROL_DONE;
    strcpy(c->name, "web");
    strcpy(c->state, "running");
    looks += c->call == CONTROL_CALL_LOOK;
    orders += c->call == CONTROL_CALL_ORDER;
}

static void begin(void) {
    begin_nodes(BIT32(3 * 0 + 1));
    guests = 1;
    looks = orders = 0;
    answer_size = 0;
    A->env.control = ask;
    A->devices.has_control = true;
    for (struct machine *n = machines; n < machines + MACHINES; n++) {
        power_on(n);
    }
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
}

static struct vsock_header to_host(enum vsock_operation op, uint32_t from_port) {
    struct vsock_header h = packet(0, 0, op, from_port, VSOCK_HAND_PORT);
    h.to = VSOCK_HOST;
    h.room = 0x4000;
    h.taken = 0;
    return h;
}

static void say(enum vsock_operation op, uint32_t from_port) {
    struct vsock_header h = to_host(op, from_port);
    post(A, &h, 0);
    run_all();
}

static void say_shutdown(uint32_t flags) {
    struct vsock_header h = to_host(VSOCK_SHUTDOWN, OWN);
    h.flags = flags;
    post(A, &h, 0);
    run_all();
}

static void write_bytes(uint32_t from_port, const char *text, size_t size) {
    struct vsock_header h = to_host(VSOCK_DATA, from_port);
    memcpy(A->ram + DATA, text, size);
    h.length = (uint32_t)size;
    post(A, &h, h.length);
    run_all();
}

static void write_text(uint32_t from_port, const char *text) {
    write_bytes(from_port, text, strlen(text));
}

/* False: nothing has come. */
static bool next_packet(uint32_t to_port) {
    if (!pull(A, &seen, (uint8_t *)answer + answer_size)) {
        return false;
    }
    CHECK_U64(seen.from, VSOCK_HOST);
    CHECK_U64(seen.to, cid_of(0));
    CHECK_U64(seen.from_port, VSOCK_HAND_PORT);
    CHECK_U64(seen.to_port, to_port);
    CHECK_U64(seen.type, VSOCK_STREAM);
    answer_size += seen.length;
    answer[answer_size] = '\0';
    return true;
}

static void expect(enum vsock_operation op, uint32_t to_port) {
    CHECK(next_packet(to_port));
    CHECK_U64(seen.operation, op);
}

static void expect_nothing(void) {
    CHECK(!pull(A, &seen, NULL));
}

/* All that has come since the last time, in as many pieces as it is. */
static const char *heard(uint32_t port) {
    size_t before = answer_size;
    while (next_packet(port)) {
        CHECK(seen.operation == VSOCK_DATA || seen.operation == VSOCK_CREDIT);
    }
    return answer + before;
}

/* Of OWN, whose driver has so much room, and has read so much of what it was told. */
static void say_room(enum vsock_operation op, uint32_t room, size_t taken) {
    struct vsock_header h = to_host(op, OWN);
    h.room = room;
    h.taken = (uint32_t)taken;
    post(A, &h, 0);
    run_all();
}

static void write_room(uint32_t room, const char *text, size_t size) {
    struct vsock_header h = to_host(VSOCK_DATA, OWN);
    h.room = room;
    h.length = (uint32_t)size;
    memcpy(A->ram + DATA, text, size);
    post(A, &h, h.length);
    run_all();
}

static void open_stream(uint32_t port) {
    say(VSOCK_REQUEST, port);
    expect(VSOCK_RESPONSE, port);
    CHECK_U64(seen.room, VSOCK_HAND_ROOM);
    CHECK_U64(seen.taken, 0);
}

TEST(a_request_and_its_answer) {
    begin();
    open_stream(OWN);
    write_bytes(OWN, LIST, 5);
    expect_nothing();
    write_text(OWN, LIST + 5);
    CHECK(strstr(heard(OWN), "{\"guest\":\"web\",\"state\":\"running\",") == answer);
    CHECK_STR(strchr(answer, '\n') + 1, DONE);
    CHECK_U64(seen.taken, strlen(LIST));
    CHECK_U64(looks, 1);
    write_text(OWN, PAUSE);
    CHECK_STR(heard(OWN), DONE);
    CHECK_U64(orders, 1);
    CHECK_U64(A->counts.sent.packets, 4);
    CHECK_U64(A->counts.sent.bytes, strlen(LIST) + strlen(PAUSE));
    CHECK_U64(A->counts.received.packets, 4);
    CHECK_U64(A->counts.received.bytes, answer_size);
    say(VSOCK_RESET, OWN);
    expect_nothing();
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_REFUSED], 0);
    write_text(OWN, PAUSE);
    expect(VSOCK_RESET, OWN);
    CHECK_U64(orders, 1);
}

/* As it is without the hand: nobody is there. */
TEST(a_guest_that_may_not) {
    begin();
    A->devices.has_control = false;
    power_on(A);
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
    say(VSOCK_REQUEST, OWN);
    expect(VSOCK_RESET, OWN);
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_REFUSED], 1);
    write_text(OWN, PAUSE);
    expect(VSOCK_RESET, OWN);
    CHECK_U64(looks + orders, 0);
}

/* Only root's ports are listened to, and at one port alone. */
TEST(who_is_not_listened_to) {
    struct vsock_header h;
    begin();
    say(VSOCK_REQUEST, 1024);
    expect(VSOCK_RESET, 1024);
    say(VSOCK_REQUEST, 0);
    expect(VSOCK_RESET, 0);
    say(VSOCK_REQUEST, UINT32_MAX);
    expect(VSOCK_RESET, UINT32_MAX);
    h = to_host(VSOCK_REQUEST, OWN);
    h.to_port = VSOCK_HAND_PORT + 1;
    post(A, &h, 0);
    run_all();
    CHECK(pull(A, &seen, NULL));
    CHECK_U64(seen.operation, VSOCK_RESET);
    CHECK_U64(seen.from_port, VSOCK_HAND_PORT + 1);
    h = to_host(VSOCK_REQUEST, OWN);
    h.type = 2; /* another kind of socket */
    post(A, &h, 0);
    run_all();
    expect(VSOCK_RESET, OWN);
    for (unsigned op = VSOCK_RESPONSE; op <= VSOCK_OPERATIONS; op++) { /* without a connection */
        say((enum vsock_operation)op, OWN);
        if (op == VSOCK_RESET) {
            expect_nothing();
        } else {
            expect(VSOCK_RESET, OWN);
        }
    }
    open_stream(1023);
    open_stream(1);
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_REFUSED], 5 + VSOCK_OPERATIONS - 1);
}

TEST(as_many_streams_as_there_are) {
    begin();
    for (uint32_t i = 0; i < VSOCK_HAND_STREAMS; i++) {
        open_stream(1 + i);
    }
    say(VSOCK_REQUEST, 99);
    expect(VSOCK_RESET, 99);
    write_text(3, NOT_JSON);
    CHECK_STR(heard(3), REFUSAL);
    write_text(8, NOT_JSON);
    CHECK_STR(heard(8), REFUSAL);
    say(VSOCK_RESET, 3);
    open_stream(99);
    say(VSOCK_REQUEST, 99); /* once more: it makes no sense, and ends it */
    expect(VSOCK_RESET, 99);
    open_stream(99);
}

/* What is not read of an answer keeps it from going on, and the next request from being looked at.
 */
TEST(credit) {
    begin();
    say_room(VSOCK_REQUEST, 10, 0);
    expect(VSOCK_RESPONSE, OWN);
    write_room(10, NOT_JSON PAUSE, sizeof(NOT_JSON PAUSE) - 1);
    expect(VSOCK_DATA, OWN);
    CHECK_U64(seen.length, 10);
    expect_nothing();
    CHECK_U64(orders, 0);
    for (unsigned rounds = 0; answer_size < sizeof(REFUSAL) - 1; rounds++) {
        say_room(VSOCK_CREDIT, 10, answer_size);
        CHECK(rounds < 20 && next_packet(OWN) && seen.length <= 10);
        if (rounds == 0) { /* three of them are not read yet */
            say_room(VSOCK_CREDIT, 10, answer_size - 3);
            expect(VSOCK_DATA, OWN);
            CHECK_U64(seen.length, 7);
        }
    }
    say(VSOCK_CREDIT, OWN);
    CHECK_STR(heard(OWN), DONE);
    CHECK_U64(orders, 1);
    CHECK_U64(answer_size, sizeof(REFUSAL DONE) - 1);
}

/* It says to have read what was never sent: that is its own loss. */
TEST(credit_that_lies) {
    struct vsock_header h;
    begin();
    open_stream(OWN);
    h = to_host(VSOCK_CREDIT, OWN);
    h.taken = 5;
    h.room = 8;
    post(A, &h, 0);
    write_text(OWN, "");
    h.length = sizeof(NOT_JSON) - 1;
    h.operation = VSOCK_DATA;
    memcpy(A->ram + DATA, NOT_JSON, h.length);
    post(A, &h, h.length);
    run_all();
    expect_nothing();
    h.operation = VSOCK_CREDIT;
    h.length = 0;
    h.taken = 0;
    h.room = UINT32_MAX;
    post(A, &h, 0);
    run_all();
    CHECK_STR(heard(OWN), REFUSAL);
}

TEST(a_credit_request) {
    begin();
    open_stream(OWN);
    write_text(OWN, "{");
    expect_nothing();
    say(VSOCK_CREDIT_REQUEST, OWN);
    expect(VSOCK_CREDIT, OWN);
    CHECK_U64(seen.taken, 1);
    CHECK_U64(seen.room, VSOCK_HAND_ROOM);
    expect_nothing();
}

/* It is told of room when it has used up half of what it knows of, and not before. */
TEST(room_is_told) {
    char text[VSOCK_HAND_ROOM / 4];
    begin();
    memset(text, 'x', sizeof(text));
    open_stream(OWN);
    for (uint32_t i = 1; i < 9; i++) {
        write_bytes(OWN, text, sizeof(text));
        if (i % 2 == 0) {
            expect(VSOCK_CREDIT, OWN);
            CHECK_U64(seen.taken, i * sizeof(text));
        }
        expect_nothing();
    }
}

/* Both wait for a buffer. */
TEST(a_credit_request_without_buffers) {
    begin();
    driver_start(A, 0);
    give_buffers(A, 1, 2048);
    say(VSOCK_REQUEST, OWN);
    say(VSOCK_CREDIT_REQUEST, OWN);
    write_text(OWN, NOT_JSON);
    CHECK(!A->due);
    expect(VSOCK_RESPONSE, OWN); /* its buffer is there again */
    driver_doorbell(A, VSOCK_RECEIVE);
    run_all();
    expect(VSOCK_CREDIT, OWN);
    CHECK_U64(seen.taken, 0);
    driver_doorbell(A, VSOCK_RECEIVE);
    run_all();
    CHECK_STR(heard(OWN), REFUSAL);
    say(VSOCK_CREDIT_REQUEST, OWN);
    CHECK(!A->due);
    expect(VSOCK_CREDIT, OWN);
    give_buffers(A, 2, 2048);
    write_text(OWN, NOT_JSON);
    CHECK_STR(heard(OWN), REFUSAL);
}

TEST(a_line_without_an_end) {
    char text[500];
    uint32_t told = 0, sent = 0;
    begin();
    memset(text, 'x', sizeof(text));
    open_stream(OWN);
    for (unsigned i = 0; i < 40; i++) {
        write_bytes(OWN, text, sizeof(text));
        sent += (uint32_t)sizeof(text);
        while (next_packet(OWN)) {
            CHECK_U64(seen.operation, VSOCK_CREDIT);
            told = seen.taken;
        }
        CHECK(sent - told < VSOCK_HAND_ROOM / 2); /* there is always room for more */
    }
    write_text(OWN, "\n");
    CHECK_STR(heard(OWN),
              "{\"ok\":false,\"error\":\"longer than 200 bytes\",\"number\":\"BH6201\"}\n");
    write_text(OWN, LIST);
    CHECK(strstr(heard(OWN), DONE) != NULL);
}

/* What is sent ahead waits; more than there is room for ends the stream, and nothing of it is done
 * then. */
TEST(more_than_there_is_room_for) {
    char text[VSOCK_HAND_ROOM];
    begin();
    memset(text, '\n', sizeof(text));
    memcpy(text, NOT_JSON PAUSE, sizeof(NOT_JSON PAUSE) - 1);
    say_room(VSOCK_REQUEST, 0, 0);
    expect(VSOCK_RESPONSE, OWN);
    write_room(0, text, sizeof(text));
    expect_nothing(); /* the first line was looked at, and its answer waits */
    write_room(0, text, 3);
    expect(VSOCK_RESET, OWN);
    expect_nothing();
    CHECK_U64(orders, 0);
    open_stream(OWN);
    write_text(OWN, NOT_JSON);
    CHECK_STR(heard(OWN), REFUSAL);
}

/* It has said all: it is answered, and then that is the end. */
TEST(half_closed) {
    begin();
    open_stream(OWN);
    write_text(OWN, NOT_JSON PAUSE "{");
    say_shutdown(VSOCK_SENDS_NO_MORE);
    expect(VSOCK_DATA, OWN);
    expect(VSOCK_DATA, OWN);
    CHECK_STR(answer, REFUSAL DONE);
    CHECK_U64(orders, 1);
    expect(VSOCK_RESET, OWN);
    expect_nothing();
    CHECK_U64(A->counts.sent.drops[VSOCK_DROP_REFUSED], 0);
    open_stream(OWN);
    guests = 0;
    say_shutdown(0);
    write_text(OWN, LIST);
    CHECK_STR(heard(OWN), DONE);
    say_shutdown(VSOCK_READS_NO_MORE);
    expect(VSOCK_RESET, OWN);
    write_text(OWN, LIST);
    expect(VSOCK_RESET, OWN);
    expect_nothing();
}

TEST(data_after_its_end) {
    struct vsock_header h;
    begin();
    h = to_host(VSOCK_REQUEST, OWN);
    h.room = 0;
    post(A, &h, 0);
    h.operation = VSOCK_DATA;
    h.length = sizeof(NOT_JSON) - 1;
    memcpy(A->ram + DATA, NOT_JSON, h.length);
    post(A, &h, h.length);
    h.operation = VSOCK_SHUTDOWN;
    h.length = 0;
    h.flags = VSOCK_SENDS_NO_MORE;
    post(A, &h, 0);
    run_all();
    expect(VSOCK_RESPONSE, OWN);
    expect_nothing(); /* it has no room for the answer */
    write_text(OWN, PAUSE);
    expect(VSOCK_RESET, OWN);
    expect_nothing();
    CHECK_U64(orders, 0);
}

TEST(buffers) {
    begin();
    driver_start(A, 0);
    say(VSOCK_REQUEST, OWN);
    write_text(OWN, NOT_JSON);
    expect_nothing();
    give_buffers(A, RING, VSOCK_HEADER + 7);
    driver_doorbell(A, VSOCK_RECEIVE);
    run_all();
    expect(VSOCK_RESPONSE, OWN);
    for (size_t at = 0; at < sizeof(REFUSAL) - 1; at += 7) {
        expect(VSOCK_DATA, OWN);
        CHECK_U64(seen.length, min_u64(sizeof(REFUSAL) - 1 - at, 7));
    }
    CHECK_STR(answer, REFUSAL);
    expect_nothing();
}

/* Nothing of one driver's streams is the next one's. */
TEST(another_driver) {
    begin();
    open_stream(OWN - 1);
    open_stream(OWN);
    write_text(OWN, "{\"verb\":\"pause\",\"guest\":");
    driver_start(A, 0);
    give_buffers(A, RING, 2048);
    write_text(OWN, "\"web\"}\n");
    expect(VSOCK_RESET, OWN);
    open_stream(OWN);
    write_text(OWN, "\"web\"}\n");
    CHECK_STR(heard(OWN), REFUSAL);
    CHECK_U64(orders, 0);
    write_text(OWN - 1, NOT_JSON); /* nor that of the first place */
    expect(VSOCK_RESET, OWN - 1);
    for (uint32_t i = 1; i < VSOCK_HAND_STREAMS; i++) {
        open_stream(i);
    }
}

/* Of a request with many answers a turn does a part, and another stream has its own in between. */
TEST(turns) {
    struct vsock_header h;
    begin();
    guests = 100;
    open_stream(1);
    open_stream(2);
    h = to_host(VSOCK_DATA, 1);
    h.room = 0x100000;
    h.length = sizeof(LIST) - 1;
    memcpy(A->ram + DATA, LIST, h.length);
    post(A, &h, h.length);
    CHECK_U64(looks, 15); /* and the request was read */
    CHECK(A->due);
    h.from_port = 2;
    post(A, &h, h.length);
    unsigned of_first = 0;
    for (;; of_first++) {
        if (!pull(A, &seen, NULL)) {
            machine_time += 20000;
            unsigned before = looks;
            machine_serve(A, machine_time + MACHINE_HZ);
            CHECK(looks - before <= 16);
        } else if (seen.to_port == 2) {
            break;
        }
        CHECK(of_first < 200);
    }
    CHECK(of_first < 100);
    run_all();
    while (pull(A, &seen, NULL)) {
    }
    CHECK_U64(looks, 200);
}

/* Streams to other guests, and to nobody, are as before. */
TEST(others) {
    begin();
    driver_start(&machines[1], 0);
    give_buffers(&machines[1], RING, 2048);
    open_stream(OWN);
    struct vsock_header h = packet(0, 1, VSOCK_REQUEST, OWN, VSOCK_HAND_PORT);
    post(A, &h, 0);
    run_all();
    CHECK(pull(&machines[1], &seen, NULL));
    CHECK_U64(seen.operation, VSOCK_REQUEST);
    h = packet(0, 2, VSOCK_REQUEST, OWN, VSOCK_HAND_PORT);
    post(A, &h, 0);
    run_all();
    CHECK(pull(A, &seen, NULL));
    CHECK_U64(seen.operation, VSOCK_RESET);
    CHECK_U64(seen.from, cid_of(2));
    h = packet(1, 0, VSOCK_RESET, VSOCK_HAND_PORT, OWN); /* of the other stream of that port */
    post(&machines[1], &h, 0);
    run_all();
    CHECK(pull(A, &seen, NULL));
    CHECK_U64(seen.from, cid_of(1));
    write_text(OWN, NOT_JSON);
    CHECK_STR(heard(OWN), REFUSAL);
}

TEST_MAIN(T(a_request_and_its_answer), T(a_guest_that_may_not), T(who_is_not_listened_to),
          T(as_many_streams_as_there_are), T(credit), T(credit_that_lies), T(a_credit_request),
          T(room_is_told), T(a_credit_request_without_buffers), T(a_line_without_an_end),
          T(more_than_there_is_room_for), T(half_closed), T(data_after_its_end), T(buffers),
          T(another_driver), T(turns), T(others))
