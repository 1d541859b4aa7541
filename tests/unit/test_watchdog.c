/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's watchdog: counting, feeding, biting, and what of it a reset leaves. */
#include "tests/unit/fake_env.h"

#define HZ      2000000000ull
#define SECONDS 30u

#define COUNT   0x620u
#define LEFT    0x624u
#define CONTROL 0x628u
#define FEED    0x629u
#define STATUS  0x62au

static uint64_t now;

static uint64_t tsc(void) {
    return now;
}

static const struct dev_clock dev_clock = {.host_tsc = tsc, .tsc_hz = HZ};

static void fresh(void) {
    now = 5 * HZ + 77;
    fake_env.clock = &dev_clock;
    fake_devices.watchdog = SECONDS;
    fake_pc_start();
}

/* As the port handler cuts it. */
static uint64_t rd(uint64_t port, unsigned size) {
    return fake_in(port, size) & (BIT(8 * size) - 1);
}

/* As the core does it: only once the moment has come that was asked for. */
static void serve(uint64_t moment) {
    now = moment;
    (void)platform_service(&fake_pc, now);
}

static uint64_t due(void) {
    return platform_service(&fake_pc, now);
}

TEST(without_the_key_there_is_none) {
    fake_env.clock = &dev_clock;
    fake_devices.watchdog = 0;
    fake_pc_start();
    CHECK_U64(platform_read(&fake_pc, BUS_PORT, COUNT, 4).there, 0);
    CHECK(!platform_write(&fake_pc, BUS_PORT, CONTROL, 1, 1));
    CHECK_U64(due(), 0);
}

TEST(it_is_off_until_the_guest_starts_it) {
    fresh();
    CHECK_U64(rd(CONTROL, 1), 0);
    CHECK_U64(rd(COUNT, 4), 10 * SECONDS);
    CHECK_U64(rd(LEFT, 4), 10 * SECONDS);
    CHECK_U64(rd(STATUS, 1), 0);
    CHECK_U64(due(), 0);
    serve(now + 3600 * HZ);
    CHECK_U64(fake_bites, 0);
}

TEST(it_bites_after_its_time_and_not_before) {
    fresh();
    uint64_t begin = now;
    fake_out(CONTROL, 1, 1);
    CHECK_U64(fake_reschedules, 1);
    CHECK_U64(rd(CONTROL, 1), 1);
    uint64_t moment = due();
    CHECK_U64(moment, begin + SECONDS * HZ);
    serve(moment - 1);
    CHECK_U64(fake_bites, 0);
    CHECK_U64(rd(STATUS, 1), 0);
    serve(moment);
    CHECK_U64(fake_bites, 1);
    CHECK_U64(fake_event_word, SECONDS);
    CHECK_U64(rd(STATUS, 1), 1);
    CHECK(fake_bitten);
    serve(moment + 100 * HZ); /* it has bitten once, and that is all */
    CHECK_U64(fake_bites, 1);
}

TEST(who_feeds_it_in_time_lives) {
    fresh();
    fake_out(CONTROL, 1, 1);
    fake_reschedules = 0;
    for (unsigned i = 0; i < 100; i++) {
        serve(now + 29 * HZ);
        CHECK_U64(rd(LEFT, 4) / 10, 1);
        fake_out(FEED, 1, 1);
        CHECK_U64(rd(LEFT, 4), 10 * SECONDS);
    }
    CHECK_U64(fake_bites, 0);
    CHECK_U64(fake_reschedules, 0); /* food costs no look at the clocks */
    serve(now + 31 * HZ);
    CHECK_U64(fake_bites, 1);
    CHECK_U64(rd(LEFT, 4), 10 * SECONDS);
}

TEST(a_count_of_the_guest_s_own_is_no_longer_than_the_config_s) {
    static const uint64_t counts[][2] = {
        {15, 15}, {0, 1}, {300, 300}, {301, 300}, {UINT32_MAX, 300}};

    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        fresh();
        fake_out(COUNT, 4, counts[i][0]);
        CHECK_U64(rd(COUNT, 4), counts[i][1]);
        fake_out(CONTROL, 1, 1);
        serve(now + counts[i][1] * HZ / 10 - 1);
        CHECK_U64(fake_bites, 0);
        serve(now + 1);
        CHECK_U64(fake_bites, 1);
        CHECK_U64(fake_event_word, (counts[i][1] + 9) / 10);
    }
}

TEST(a_new_count_while_it_runs_counts_from_now) {
    fresh();
    fake_out(CONTROL, 1, 1);
    serve(now + 20 * HZ);
    fake_reschedules = 0;
    fake_out(COUNT, 4, 20);
    CHECK_U64(fake_reschedules, 1);
    serve(now + 2 * HZ - 1);
    CHECK_U64(fake_bites, 0);
    serve(now + 1);
    CHECK_U64(fake_bites, 1);
    CHECK_U64(fake_event_word, 2);
}

TEST(who_stops_it_need_not_feed_it) {
    fresh();
    fake_out(CONTROL, 1, 1);
    fake_out(CONTROL, 1, 0);
    CHECK_U64(rd(CONTROL, 1), 0);
    serve(now + 100 * HZ);
    CHECK_U64(fake_bites, 0);
    fake_out(CONTROL, 1, 0xff); /* and it begins anew */
    CHECK_U64(rd(CONTROL, 1), 1);
    CHECK_U64(rd(LEFT, 4), 10 * SECONDS);
    serve(now + 29 * HZ);
    CHECK_U64(fake_bites, 0);
}

TEST(a_reset_stops_it_and_leaves_that_it_has_bitten) {
    fresh();
    fake_out(COUNT, 4, 10);
    fake_out(CONTROL, 1, 1);
    serve(now + 2 * HZ);
    CHECK(fake_bitten);
    fake_out(CONTROL, 1, 1);
    platform_reset(&fake_pc);
    CHECK_U64(rd(CONTROL, 1), 0);
    CHECK_U64(rd(COUNT, 4), 10 * SECONDS);
    CHECK_U64(rd(STATUS, 1), 1);
    CHECK_U64(due(), 0);
    fake_out(STATUS, 1, 0);
    CHECK_U64(rd(STATUS, 1), 0);
    CHECK(!fake_bitten);
    fake_out(STATUS, 1, 1);
    CHECK(fake_bitten);
}

TEST(what_is_no_register_is_nothing) {
    fresh();
    fake_out(CONTROL, 1, 1);
    uint64_t moment = due();
    fake_out(COUNT, 1, 7); /* no whole register */
    fake_out(COUNT + 2, 2, 7);
    fake_out(LEFT, 4, 7);
    fake_out(STATUS + 1, 1, 7);
    CHECK_U64(rd(COUNT, 4), 10 * SECONDS);
    CHECK_U64(rd(STATUS + 1, 1), 0);
    CHECK_U64(rd(FEED, 1), 0);
    CHECK_U64(due(), moment);
}

TEST_MAIN(T(without_the_key_there_is_none), T(it_is_off_until_the_guest_starts_it),
          T(it_bites_after_its_time_and_not_before), T(who_feeds_it_in_time_lives),
          T(a_count_of_the_guest_s_own_is_no_longer_than_the_config_s),
          T(a_new_count_while_it_runs_counts_from_now), T(who_stops_it_need_not_feed_it),
          T(a_reset_stops_it_and_leaves_that_it_has_bitten), T(what_is_no_register_is_nothing))
