/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel between two honest sides, and one whose other side writes what it likes. Each half is
 * surrounded by the sanitizer's red zones.
 */
#include "hv/compartment/virtio/channel.h"
#include "tests/unit/random.h"
#include "tests/unit/test.h"

static struct channel_half *halves[2];
static struct channel sides[2]; /* the first one is honest in all tests */

static const uint32_t about[3] = {1, 2, 3};

static void open_side(unsigned i) {
    struct abi_channel at = {.ours = (uint64_t)(uintptr_t)halves[i],
                             .theirs = (uint64_t)(uintptr_t)halves[1 - i]};
    channel_open(&sides[i], &at);
}

static void begin(void) {
    for (unsigned i = 0; i < 2; i++) {
        free(halves[i]);
        halves[i] = aligned_alloc(4096, sizeof(struct channel_half));
        memset(halves[i], 0, sizeof(struct channel_half));
    }
    for (unsigned i = 0; i < 2; i++) {
        open_side(i);
    }
    for (unsigned i = 0; i < 2; i++) {
        channel_start(&sides[i]);
    }
}

static uint8_t pattern(uint32_t seed, uint32_t i) {
    return (uint8_t)(seed * 31 + i + (i >> 8));
}

static bool send(unsigned from, uint32_t length, uint32_t seed) {
    static uint8_t bytes[CHANNEL_RING];

    for (uint32_t i = 0; i < length; i++) {
        bytes[i] = pattern(seed, i);
    }
    if (!channel_has_room(&sides[from], length)) {
        return false;
    }
    uint32_t half = length / 2;
    channel_write(&sides[from], 0, bytes, half);
    channel_write(&sides[from], half, bytes + half, length - half);
    channel_send(&sides[from], length, about);
    return true;
}

/* The next one is that. */
static void expect(unsigned at, uint32_t length, uint32_t seed) {
    static uint8_t bytes[CHANNEL_RING];
    struct channel_record record;

    CHECK(channel_look(&sides[at], &record));
    CHECK_U64(record.length, length);
    CHECK_U64(record.about[2], 3);
    channel_read(&sides[at], 0, bytes, length);
    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] != pattern(seed, i)) {
            CHECK_U64(i, length);
            break;
        }
    }
    channel_take(&sides[at], length);
}

static void expect_nothing(unsigned at) {
    struct channel_record record;
    CHECK(!channel_look(&sides[at], &record));
}

TEST(records_go_both_ways) {
    begin();
    expect_nothing(0);
    expect_nothing(1);
    for (uint32_t i = 0; i < 40000; i++) {
        uint32_t length = i * 977 % 70000;
        CHECK(send(0, length, i));
        CHECK(send(1, 1, i + 1));
        expect(1, length, i);
        expect(0, 1, i + 1);
        i += i > 100 ? 97 : 0;
    }
    expect_nothing(0);
    expect_nothing(1);
    CHECK_U64(sides[0].faults + sides[1].faults, 0);
}

/* The counts go past 2^32. */
TEST(counts_wrap) {
    begin();
    for (unsigned i = 0; i < 2; i++) {
        halves[i]->put = halves[i]->taken = 0xffffff00;
    }
    for (unsigned i = 0; i < 2; i++) {
        channel_start(&sides[i]);
    }
    expect_nothing(1);
    for (uint32_t i = 0; i < 20; i++) {
        CHECK(send(0, 100, i));
        CHECK(channel_wants_bell(&sides[0]));
        expect(1, 100, i);
        expect_nothing(1);
    }
    CHECK(sides[0].put < 0x1000);
    CHECK_U64(sides[0].faults + sides[1].faults, 0);
}

TEST(a_full_ring_takes_no_more) {
    begin();
    CHECK(!channel_has_room(&sides[0], CHANNEL_LONGEST + 1));
    CHECK(send(0, CHANNEL_LONGEST, 1));
    CHECK(!send(0, 0, 2));
    expect(1, CHANNEL_LONGEST, 1);
    for (unsigned i = 0; i < CHANNEL_RING / 64; i++) {
        CHECK(send(0, 48, i));
    }
    CHECK(!send(0, 0, 3));
    expect(1, 48, 0);
    CHECK(!send(0, 49, 3));
    CHECK(send(0, 48, 4));
    CHECK(!send(0, 0, 5));
}

/* One for the first record after the other side has found nothing; none while it has not looked. */
TEST(doorbells) {
    begin();
    CHECK(!channel_wants_bell(&sides[0]));
    CHECK(send(0, 10, 1));
    CHECK(send(0, 10, 2));
    CHECK(channel_wants_bell(&sides[0]));
    CHECK(!channel_wants_bell(&sides[0]));
    CHECK(send(0, 10, 3));
    CHECK(!channel_wants_bell(&sides[0]));
    expect(1, 10, 1);
    CHECK(send(0, 10, 4));
    CHECK(!channel_wants_bell(&sides[0]));
    expect(1, 10, 2);
    expect(1, 10, 3);
    expect(1, 10, 4);
    CHECK(send(0, 10, 5)); /* before it has seen that there is nothing */
    CHECK(!channel_wants_bell(&sides[0]));
    expect(1, 10, 5);
    expect_nothing(1);
    CHECK(send(0, 10, 6));
    CHECK(channel_wants_bell(&sides[0]));
    channel_stop(&sides[1]);
    CHECK(!channel_is_heard(&sides[0]));
    channel_start(&sides[1]);
    CHECK(channel_is_heard(&sides[0]));
    CHECK(send(0, 10, 7));
    channel_stop(&sides[1]);
    CHECK(!channel_wants_bell(&sides[0]));
}

/* Who found no room and then some asks for no bell any more. */
TEST(waiting_for_room) {
    begin();
    CHECK(channel_wait_for_room(&sides[0], 100));
    CHECK(!sides[0].awaits && !channel_is_awaited(&sides[1]));
    unsigned sent = 0;
    while (channel_wait_for_room(&sides[0], 2000)) {
        CHECK(send(0, 2000, 1));
        sent++;
    }
    CHECK(sent != 0 && sides[0].awaits && channel_is_awaited(&sides[1]));
    for (; sent > 0; sent--) {
        expect(1, 2000, 1);
    }
    CHECK(channel_wait_for_room(&sides[0], 2000));
    CHECK(!sides[0].awaits && !channel_is_awaited(&sides[1]));
}

/* Lives are counted from 1, and none is 0, which means nobody. */
TEST(each_start_is_another_life) {
    begin();
    CHECK_U64(channel_life(&sides[1]), 1);
    channel_start(&sides[0]);
    CHECK_U64(channel_life(&sides[1]), 2);
    CHECK_U64(channel_life(&sides[0]), 1);
    halves[0]->starts = UINT32_MAX;
    channel_start(&sides[0]);
    CHECK_U64(channel_life(&sides[1]), 1);
}

/* What the last life waited for, the next one does not: it asks for no bell. */
TEST(a_start_waits_for_no_room) {
    begin();
    while (channel_wait_for_room(&sides[0], 2000)) {
        CHECK(send(0, 2000, 1));
    }
    CHECK(channel_is_awaited(&sides[1]));
    channel_stop(&sides[0]);
    channel_start(&sides[0]);
    CHECK(!sides[0].awaits && !channel_is_awaited(&sides[1]));
    CHECK_U64(halves[0]->awaits, 0);
}

/* Each loses what was under way, and both go on. */
TEST(one_side_starts_anew) {
    for (unsigned which = 0; which < 2; which++) {
        begin();
        CHECK(send(0, 3000, 0));
        CHECK(send(1, 5000, 0));
        expect(0, 5000, 0);
        expect(1, 3000, 0);
        CHECK(send(0, 3000, 1));
        CHECK(send(1, 5000, 2));
        open_side(which); /* as one that was torn out of its life does */
        CHECK(!channel_is_heard(&sides[0]));
        CHECK(!channel_is_heard(&sides[1]));
        channel_start(&sides[which]);
        CHECK(channel_is_heard(&sides[0]));
        expect_nothing(which);
        for (uint32_t i = 0; i < 200; i++) {
            CHECK(send(which, 4000, i));
            expect(1 - which, 4000, i);
            if (i == 0) {
                expect_nothing(1 - which);
            }
            CHECK(send(1 - which, 4000, i));
            expect(which, 4000, i);
        }
        CHECK_U64(sides[0].faults + sides[1].faults, 0);
    }
}

/* Its half comes back as zeros, as that of a new compartment does; the other side has gone on. */
TEST(a_side_comes_back_empty) {
    begin();
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(send(0, 4000, i));
        expect(1, 4000, i);
        CHECK(send(1, 6000, i));
        expect(0, 6000, i);
    }
    memset(halves[1], 0, sizeof(*halves[1]));
    (void)channel_has_room(&sides[0], 10); /* it sees the zeros, and makes what it can of them */
    expect_nothing(0);
    open_side(1);
    channel_start(&sides[1]);
    expect_nothing(1);
    expect_nothing(0);
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(send(0, 4000, i));
        expect(1, 4000, i);
        CHECK(send(1, 6000, i));
        expect(0, 6000, i);
    }
}

/* ---- the other side is hostile ---- */

TEST(lies_about_what_was_put) {
    static const uint32_t lies[] = {
        1, 15, 16, 17, CHANNEL_RING, CHANNEL_RING + 16, 0x80000000, 0xfffffff0, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin();
        memset(halves[1]->ring, 0xff, CHANNEL_RING);
        halves[1]->put = lies[i];
        expect_nothing(0);
        CHECK_U64(sides[0].taken, lies[i] & ~15u);
        CHECK_U64(sides[0].faults, lies[i] >= 16);
    }
}

/* Of a record: longer than what is there, than the ring, than 32 bits can add to. */
TEST(lies_about_lengths) {
    static const uint32_t lies[] = {65,         CHANNEL_LONGEST, CHANNEL_LONGEST + 1,
                                    0x7fffffff, UINT32_MAX - 31, UINT32_MAX - 15,
                                    UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin();
        CHECK(send(1, 64, 1));
        memcpy(halves[1]->ring, &lies[i], 4);
        expect_nothing(0);
        CHECK_U64(sides[0].faults, 1);
        sides[1].put = halves[1]->put;
        CHECK(send(1, 64, 2));
        expect(0, 64, 2);
    }
}

/* Whoever claims to have taken what was never there loses what was sent to it, and that is all. */
TEST(lies_about_what_was_taken) {
    static const uint32_t lies[] = {1, 16, CHANNEL_RING, CHANNEL_RING + 1, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin();
        CHECK(send(0, 64, 1));
        for (unsigned n = 0; n < 3 * CHANNEL_RING / 4096; n++) {
            halves[1]->taken = sides[0].put + lies[i];
            bool sent = send(0, 4000, n);
            CHECK_U64(sides[0].put % 16, 0);
            if (lies[i] >= 16 && lies[i] <= 0x80000000) { /* it goes on from there */
                CHECK(sent);
                CHECK_U64(sides[0].put - (halves[1]->taken & ~15u), 4016);
            }
        }
        CHECK(send(1, 64, 2)); /* its other direction is as it was */
        expect(0, 64, 2);
    }
}

TEST(lies_about_doorbells) {
    static const uint32_t lies[] = {1, 15, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin();
        halves[1]->wake_at = lies[i];
        halves[1]->runs = lies[i];
        CHECK(send(0, 64, 1));
        (void)channel_wants_bell(&sides[0]);
        CHECK(!channel_wants_bell(&sides[0])); /* at most one for what was sent */
    }
}

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t random_word(void) {
    return (uint32_t)(random_next(&seed) >> 16);
}

/* Often near to what makes sense. */
static uint32_t random_lie(uint32_t truth) {
    uint32_t word = random_word();
    return (word & 3) == 0 ? random_word() : truth + (word >> 8) % (1u << (word >> 2) % 20);
}

/* The first side does what its device would, while the other half changes at every step. */
TEST(random_lies) {
    static uint8_t bytes[CHANNEL_RING];
    struct channel_record record;
    unsigned seen = 0;

    begin();
    for (uint32_t i = 0; i < 300000; i++) {
        uint32_t place = sides[0].taken % CHANNEL_RING, length = random_lie(40);
        memcpy(halves[1]->ring + place, &length, 4);
        halves[1]->put = random_lie(sides[0].taken + 64);
        halves[1]->taken = random_lie(sides[0].put - 64);
        halves[1]->wake_at = random_lie(sides[0].put);
        for (unsigned n = 0; n < 3 && channel_look(&sides[0], &record); n++) {
            channel_read(&sides[0], 0, bytes, record.length);
            channel_take(&sides[0], record.length);
            seen++;
        }
        (void)send(0, random_word() % 300, i);
        (void)channel_wants_bell(&sides[0]);
        if (random_word() % 1000 == 0) {
            channel_start(&sides[0]);
        }
    }
    CHECK(seen > 10000);
}

TEST_MAIN(T(records_go_both_ways), T(counts_wrap), T(a_full_ring_takes_no_more), T(doorbells),
          T(waiting_for_room), T(one_side_starts_anew), T(a_side_comes_back_empty),
          T(lies_about_what_was_put), T(lies_about_lengths), T(lies_about_what_was_taken),
          T(lies_about_doorbells), T(random_lies), T(each_start_is_another_life),
          T(a_start_waits_for_no_room))
