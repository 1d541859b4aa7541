/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was typed for a view: who has given it up, and from when on it is read again. */
#include "hv/monitor/typed.h"
#include "tests/unit/test.h"

#define PATIENCE 100u

static struct typed t;

/* So many bytes at a time, and nobody takes one. */
static void fill(unsigned n, uint64_t now) {
    for (unsigned i = 0; i < n; i++) {
        CHECK(typed_put(&t, (uint8_t)i, now));
    }
}

static void give_up(void) {
    typed_reset(&t);
    fill(TYPED_XOFF, 1000);
    CHECK_U64(typed_taken(&t, 0, 1000 + PATIENCE, PATIENCE), 0);
    CHECK_U64(typed_taken(&t, 0, 1001 + PATIENCE, PATIENCE), TYPED_XOFF);
    CHECK(t.given_up && !t.full);
}

/* Nobody reads: each byte is lost as it comes, until somebody does. */
TEST(who_is_given_up_loses_all) {
    give_up();
    fill(1, 2000);
    CHECK_U64(typed_taken(&t, 0, 2000, PATIENCE), 1);
    fill(2, 2000);
    CHECK_U64(typed_taken(&t, 1, 2000, PATIENCE), 0);
    CHECK(!t.given_up);
    CHECK_U64(typed_taken(&t, 0, 2000, PATIENCE), 0);
    CHECK_U64(t.count, 1);
}

/* After a reset somebody else may read. */
TEST(a_reset_gives_nobody_up) {
    give_up();
    uint64_t epoch = t.epoch;
    fill(1, 2000);
    typed_reset(&t);
    CHECK_U64(t.epoch, epoch + 1);
    CHECK_U64(t.count, 0);
    fill(1, 2000);
    CHECK_U64(typed_taken(&t, 0, 2000, PATIENCE), 0);
    CHECK_U64(t.count, 1);
}

/* It fills again as soon as it is full, but the terminal waits from the first time on. */
TEST(a_terminal_waits_until_little_is_left) {
    typed_reset(&t);
    fill(TYPED_XOFF - 1, 1000);
    CHECK(!t.full);
    fill(1, 1001);
    fill(1, 1002);
    CHECK(t.full && t.full_tsc == 1001);
    CHECK_U64(typed_taken(&t, TYPED_XOFF - TYPED_XON, 1002, PATIENCE), 0);
    CHECK(t.full && !typed_is_short(&t));
    CHECK_U64(typed_taken(&t, 1, 1002, PATIENCE), 0);
    CHECK(!t.full && !typed_is_short(&t));
    CHECK_U64(typed_taken(&t, 1, 1002, PATIENCE), 0);
    CHECK(typed_is_short(&t));
}

TEST(no_more_than_there_is_room_for) {
    uint8_t out[TYPED_MOVE];

    typed_reset(&t);
    fill(TYPED_SIZE, 1000);
    CHECK(!typed_put(&t, 0, 1000));
    CHECK_U64(typed_peek(&t, out), TYPED_MOVE);
    for (unsigned i = 0; i < TYPED_MOVE; i++) {
        CHECK_U64(out[i], i);
    }
    CHECK_U64(typed_taken(&t, TYPED_SIZE - 2, 1000, PATIENCE), 0);
    CHECK(typed_put(&t, 7, 1000)); /* where the first one was */
    CHECK_U64(typed_peek(&t, out), 3);
    CHECK_U64(out[1], (uint8_t)(TYPED_SIZE - 1));
    CHECK_U64(out[2], 7);
}

TEST_MAIN(T(who_is_given_up_loses_all), T(a_reset_gives_nobody_up),
          T(a_terminal_waits_until_little_is_left), T(no_more_than_there_is_room_for))
