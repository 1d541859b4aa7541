/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One end of a vsock connection: when what was put goes, and how much the peer's words let go. For
 * words that change between two reads the peer's page is not mapped: each read faults, the word
 * becomes another one, and the read goes on for one instruction.
 */
#include "hv/compartment/virtio/stream.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/unit/test.h"

#define OWN_CID   5u
#define PEER_CID  6u
#define PEER_PORT 7u
#define LEAST     512u /* less room than that is none */

static struct channel_half *halves[2]; /* the stream's, the peer's */
static struct stream s;
static struct channel peer;
static uint8_t data[VSOCK_LONGEST];

static void peer_says(enum vsock_operation operation, uint32_t room, uint32_t taken) {
    static const uint32_t about[3];
    const struct vsock_header h = {.from = PEER_CID,
                                   .to = OWN_CID,
                                   .from_port = PEER_PORT,
                                   .to_port = s.own_port,
                                   .type = VSOCK_STREAM,
                                   .operation = (uint16_t)operation,
                                   .room = room,
                                   .taken = taken};
    uint64_t spent = 0;

    channel_write(&peer, 0, &h, VSOCK_HEADER);
    channel_send(&peer, VSOCK_HEADER, about);
    CHECK_U64(stream_look(&s, &spent, UINT64_MAX), 0);
}

/* How many bytes of data the next packet has. */
static uint32_t peer_takes(enum vsock_operation operation) {
    struct channel_record record;
    struct vsock_header h;

    CHECK(channel_look(&peer, &record));
    channel_read(&peer, 0, &h, VSOCK_HEADER);
    channel_take(&peer, record.length);
    CHECK_U64(h.operation, operation);
    CHECK_U64(h.length, record.length - VSOCK_HEADER);
    return h.length;
}

static bool peer_has_all(void) {
    struct channel_record record;
    return !channel_look(&peer, &record);
}

/* A connection; the peer takes so many bytes ahead. */
static void begin(uint32_t room) {
    for (unsigned i = 0; i < 2; i++) {
        free(halves[i]);
        halves[i] = aligned_alloc(4096, sizeof(struct channel_half));
        memset(halves[i], 0, sizeof(struct channel_half));
    }
    const struct abi_channel ours = {.ours = (uintptr_t)halves[0], .theirs = (uintptr_t)halves[1]};
    const struct abi_channel theirs = {.ours = (uintptr_t)halves[1],
                                       .theirs = (uintptr_t)halves[0]};
    channel_open(&peer, &theirs);
    channel_start(&peer);
    stream_make(&s, &ours, OWN_CID, PEER_CID, PEER_PORT);
    CHECK(stream_connect(&s));
    CHECK_U64(peer_takes(VSOCK_REQUEST), 0);
    peer_says(VSOCK_RESPONSE, room, 0);
    CHECK_U64(s.state, STREAM_OPEN);
}

TEST(what_was_put_goes_when_the_ring_is_full) {
    begin(UINT32_MAX / 2);
    while (channel_room(&s.channel) >= 2 * VSOCK_LONGEST) {
        CHECK_U64(stream_room(&s), VSOCK_LONGEST);
        stream_put(&s, data, VSOCK_LONGEST);
    }
    stream_flush(&s);
    stream_put(&s, data, 1000);
    stream_flush(&s);
    uint32_t left = stream_room(&s);
    CHECK(left > LEAST);
    while (left > VSOCK_LONGEST - LEAST) {
        stream_put(&s, data, VSOCK_LONGEST / 2);
        stream_flush(&s);
        left = stream_room(&s);
    }
    stream_put(&s, data, left - LEAST);
    CHECK_U64(stream_room(&s), LEAST); /* just enough for more of the same packet */
    CHECK_U64(s.open, left - LEAST);
    stream_put(&s, data, 1);
    CHECK_U64(stream_room(&s), 0);
    CHECK_U64(s.open, 0); /* it was sent */
    CHECK_U64(halves[0]->awaits, 1);
    uint32_t last = 0;
    while (!peer_has_all()) {
        last = peer_takes(VSOCK_DATA);
    }
    CHECK_U64(last, left - LEAST + 1);
    CHECK_U64(stream_room(&s), VSOCK_LONGEST);
    CHECK_U64(halves[0]->awaits, 0);
}

TEST(a_packet_that_is_nearly_full_goes) {
    begin(UINT32_MAX / 2);
    stream_put(&s, data, VSOCK_LONGEST - LEAST);
    CHECK_U64(stream_room(&s), LEAST);
    CHECK(peer_has_all());
    stream_put(&s, data, 1);
    CHECK_U64(stream_room(&s), VSOCK_LONGEST);
    CHECK_U64(peer_takes(VSOCK_DATA), VSOCK_LONGEST - LEAST + 1);
}

/* What the peer has not taken yet counts, sent or not; what it takes back is not believed. */
TEST(no_more_than_the_peer_takes) {
    begin(1000);
    CHECK_U64(stream_room(&s), 1000);
    stream_put(&s, data, 400);
    CHECK_U64(stream_room(&s), 600);
    stream_flush(&s);
    CHECK_U64(stream_room(&s), 600);
    peer_says(VSOCK_CREDIT, 1000, 300);
    CHECK_U64(stream_room(&s), 900);
    peer_says(VSOCK_CREDIT, 50, 300);
    CHECK_U64(stream_room(&s), 0);
    peer_says(VSOCK_CREDIT, 100, 300);
    CHECK_U64(stream_room(&s), 0);
    peer_says(VSOCK_CREDIT, 101, 300);
    CHECK_U64(stream_room(&s), 1);
}

/* A packet is as long as it may be, and is read; a longer one ends the connection. */
TEST(the_longest_packet) {
    static const uint32_t about[3];
    struct vsock_header h = {.from = PEER_CID,
                             .to = OWN_CID,
                             .from_port = PEER_PORT,
                             .type = VSOCK_STREAM,
                             .operation = VSOCK_DATA,
                             .room = 1000};
    for (uint32_t more = 0; more < 2; more++) {
        uint64_t spent = 0;
        begin(1000);
        h.to_port = s.own_port;
        h.length = VSOCK_LONGEST + more;
        channel_write(&peer, 0, &h, VSOCK_HEADER);
        channel_send(&peer, VSOCK_HEADER + h.length, about);
        uint32_t there = stream_look(&s, &spent, UINT64_MAX);
        CHECK_U64(there, more == 0 ? VSOCK_LONGEST : 0);
    }
}

/* An open packet is none of the next connection's. */
TEST(an_end_sends_a_reset) {
    begin(1000);
    stream_put(&s, data, 400);
    stream_end(&s);
    CHECK_U64(s.state, STREAM_OFF);
    CHECK_U64(peer_takes(VSOCK_RESET), 0);
    stream_flush(&s);
    CHECK(peer_has_all());
    stream_end(&s); /* once */
    CHECK(peer_has_all());
    uint32_t port = s.own_port;
    CHECK(stream_connect(&s));
    CHECK_U64(s.own_port, port + 1);
    CHECK_U64(stream_room(&s), 0); /* what the last one's peer took says nothing */
    CHECK_U64(peer_takes(VSOCK_REQUEST), 0);
    peer_says(VSOCK_RESPONSE, 1000, 0);
    CHECK_U64(stream_room(&s), 1000);
    channel_stop(&peer); /* nobody is there to be told */
    stream_end(&s);
    channel_start(&peer);
    CHECK(peer_has_all());
}

/* ---- a peer that changes its words meanwhile ---- */

#define STEP ((greg_t)BIT(8)) /* of the flags: a trap after the next instruction */

static uint32_t changed;                 /* what the peer says it has taken, */
static unsigned reads, reads_before_lie; /* from that read on */

static void peer_page(int access) {
    if (mprotect(halves[1], 4096, access) != 0) {
        abort();
    }
}

static void on_read(int number, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t offset = (uintptr_t)info->si_addr - (uintptr_t)halves[1];

    if (offset >= 4096) {
        signal(number, SIG_DFL); /* and once more: a fault of the test */
        return;
    }
    peer_page(PROT_READ | PROT_WRITE);
    if (offset == offsetof(struct channel_half, taken) && reads++ >= reads_before_lie) {
        halves[1]->taken = changed;
    }
    regs[REG_EFL] |= STEP;
}

static void on_step(UNUSED int number, UNUSED siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

    peer_page(PROT_NONE);
    regs[REG_EFL] &= ~STEP;
}

/* The peer has room, and the next moment it has not: never more than fits into this packet. */
TEST(room_that_is_gone_at_the_second_look) {
    static const uint32_t rooms[] = {0, CHANNEL_RECORD, 2048};
    static const uint32_t opens[] = {0, 30000};
    struct sigaction fault = {.sa_sigaction = on_read, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

    CHECK(sigaction(SIGSEGV, &fault, NULL) == 0 && sigaction(SIGTRAP, &step, NULL) == 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rooms) * ARRAY_SIZE(opens) * 3; i++) {
        uint32_t open = opens[i % 2], left = rooms[i / 2 % 3];
        begin(UINT32_MAX / 2);
        if (open != 0) {
            stream_put(&s, data, open);
        }
        changed = s.channel.put - (uint32_t)CHANNEL_RING + left;
        reads = 0;
        reads_before_lie = i / 6;
        peer_page(PROT_NONE);
        uint32_t room = stream_room(&s);
        peer_page(PROT_READ | PROT_WRITE);
        bool lied = reads > reads_before_lie && s.open == open; /* else the packet went */
        CHECK(reads != 0);
        CHECK(room <= VSOCK_LONGEST - s.open);
        CHECK(!lied || room <= left);
    }
}

TEST_MAIN(T(what_was_put_goes_when_the_ring_is_full), T(a_packet_that_is_nearly_full_goes),
          T(no_more_than_the_peer_takes), T(the_longest_packet), T(an_end_sends_a_reset),
          T(room_that_is_gone_at_the_second_look))
