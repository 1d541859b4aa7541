/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hv/compartment/dev/pit.c: what a guest that calibrates its clock by the 8254 does.
 */
#include "tests/unit/fake_env.h"

static uint64_t tsc;

static uint64_t host_tsc(void) {
    return tsc;
}

/* Ten TSC ticks for one of the timer. */
static const struct dev_clock slow_clock = {.host_tsc = host_tsc, .tsc_hz = PIT_HZ * 10};
static unsigned rises;
static bool line;

static void set_irq(UNUSED const struct dev_env *env, unsigned irq, bool asserted) {
    CHECK_U64(irq, 0);
    rises += asserted && !line;
    line = asserted;
}

static struct pit *const pit = &fake_pc.pit;

static void power_on(const struct dev_clock *clock) {
    fake_env.clock = clock;
    fake_pc_start();
    fake_pc.env.irq = set_irq;
}

static uint64_t service(void) {
    return pit->dev.ops->service(&pit->dev, tsc);
}

static void wait(uint64_t ticks) {
    tsc += ticks * 10;
}

static void out(uint16_t port, uint8_t value) {
    fake_out(port, 1, value);
}

static uint8_t in(uint16_t port) {
    return (uint8_t)fake_in(port, 1);
}

static unsigned in_word(uint16_t port) {
    unsigned low = in(port);
    return low | (unsigned)in(port) << 8;
}

static void start(uint8_t control, uint16_t count) {
    uint16_t port = (uint16_t)(0x40 + (control >> 6));
    tsc = 0;
    line = false;
    power_on(&slow_clock);
    out(0x61, 1);
    out(0x43, control);
    out(port, (uint8_t)count);
    out(port, (uint8_t)(count >> 8));
}

TEST(mode_0_counts_down_once_and_its_output_rises) {
    start(0xb0, 1000);
    CHECK_U64(in_word(0x42), 1000);
    CHECK_U64(in(0x61) & 0x20, 0);
    wait(999);
    CHECK_U64(in_word(0x42), 1);
    CHECK_U64(in(0x61) & 0x20, 0);
    wait(1);
    CHECK_U64(in(0x61) & 0x23, 0x21); /* the gate is open still */
    wait(1);
    CHECK_U64(in_word(0x42), 0xffff);
    CHECK_U64(in(0x61) & 0x20, 0x20);
}

TEST(a_shut_gate_stops_channel_2_only) {
    start(0xb0, 1000);
    out(0x61, 0);
    wait(500);
    CHECK_U64(in_word(0x42), 1000);
    out(0x61, 1); /* starts anew */
    wait(10);
    CHECK_U64(in_word(0x42), 990);
    start(0x34, 1000);
    out(0x61, 0);
    wait(500);
    CHECK_U64(in_word(0x40), 500);
}

/* Bit 0 opens the gate when it rises: what writes it again, or the speaker's bit, starts nothing.
 */
TEST(an_open_gate_is_opened_once) {
    start(0xb0, 1000);
    wait(500);
    out(0x61, 1);
    CHECK_U64(in_word(0x42), 500);
    out(0x61, 3);
    CHECK_U64(in_word(0x42), 500);
}

/* 82C54, "Mode 4: Software Triggered Strobe": low for the one tick in which the count is 0. */
TEST(modes_4_and_5_strobe_at_the_end_of_the_count) {
    static const uint8_t controls[] = {0xb8, 0xba};
    for (unsigned i = 0; i < 2; i++) {
        start(controls[i], 1000);
        wait(999);
        CHECK_U64(in(0x61) & 0x20, 0x20);
        wait(1);
        CHECK_U64(in(0x61) & 0x20, 0);
        wait(1);
        CHECK_U64(in(0x61) & 0x20, 0x20);
    }
}

/* ICH, "NMI_SC": 00h after a reset. */
TEST(port_61_after_power_on) {
    tsc = 0;
    power_on(&slow_clock);
    CHECK_U64(in(0x61), 0);
}

TEST(mode_2_starts_again) {
    start(0xb4, 1000);
    CHECK_U64(in(0x61) & 0x20, 0x20);
    wait(999);
    CHECK_U64(in(0x61) & 0x20, 0); /* low for one tick */
    wait(1);
    CHECK_U64(in(0x61) & 0x20, 0x20);
    CHECK_U64(in_word(0x42), 1000);
    wait(2500);
    CHECK_U64(in_word(0x42), 500);
}

TEST(mode_3_is_a_square_wave) {
    start(0xb6, 1000);
    wait(499);
    CHECK_U64(in(0x61) & 0x20, 0x20);
    CHECK_U64(in_word(0x42), 2);
    wait(1);
    CHECK_U64(in(0x61) & 0x20, 0);
    CHECK_U64(in_word(0x42), 1000);
    wait(500);
    CHECK_U64(in(0x61) & 0x20, 0x20);
}

TEST(a_count_of_0_is_65536) {
    start(0xb0, 0);
    wait(65535);
    CHECK_U64(in_word(0x42), 1);
    CHECK_U64(in(0x61) & 0x20, 0);
    wait(1);
    CHECK_U64(in(0x61) & 0x20, 0x20);
}

TEST(a_latched_count_stays_until_it_is_read) {
    start(0xb0, 1000);
    wait(100);
    out(0x43, 0x80);
    wait(100);
    out(0x43, 0x80); /* the first one counts */
    CHECK_U64(in_word(0x42), 900);
    CHECK_U64(in_word(0x42), 800);
}

TEST(one_byte_access) {
    start(0x90, 0); /* channel 2, low byte only */
    out(0x42, 200);
    wait(50);
    CHECK_U64(in(0x42), 150);
    CHECK_U64(in(0x42), 150);
    out(0x43, 0xa0); /* high byte only */
    out(0x42, 2);
    wait(256);
    CHECK_U64(in(0x42), 1);
    out(0x43, 0x80); /* latched: of the count's one byte, too */
    wait(256);
    CHECK_U64(in(0x42), 1);
    CHECK_U64(in(0x42), 0);
}

/* Where two bytes are read, a latched count is read from its low one on, whatever was read before.
 */
TEST(a_latched_count_begins_with_its_low_byte) {
    start(0xb4, 1000);
    wait(300);
    (void)in(0x42);
    out(0x43, 0x80);
    CHECK_U64(in_word(0x42), 700);
}

TEST(read_back_gives_status_then_count) {
    start(0xb4, 1000);
    wait(300);
    out(0x43, 0xc8); /* status and count of channel 2 */
    wait(300);
    CHECK_U64(in(0x42), 0xb4); /* output high, both bytes, mode 2 */
    CHECK_U64(in_word(0x42), 700);
    CHECK_U64(in_word(0x42), 400);
    out(0x43, 0xe8); /* status only: the count goes on */
    wait(100);
    CHECK_U64(in(0x42), 0xb4);
    CHECK_U64(in_word(0x42), 300);
    out(0x43, 0xd8); /* count only */
    wait(100);
    CHECK_U64(in_word(0x42), 300);
    CHECK_U64(in_word(0x42), 200);
    out(0x43, 0xb0);
    out(0x43, 0xe8); /* no count was written yet */
    CHECK_U64(in(0x42), 0x70);
}

/* 82C54, "Read-Back Command": each channel has a bit; the others' latches stay as they are. */
TEST(read_back_latches_the_channels_it_names) {
    start(0xb4, 1000);
    out(0x43, 0x34);
    out(0x40, 0xd0);
    out(0x40, 0x07); /* 2000 */
    out(0x43, 0x70);
    out(0x41, 0xb8);
    out(0x41, 0x0b); /* 3000 */
    wait(100);
    out(0x43, 0xd2); /* the count of channel 0 */
    wait(100);
    CHECK_U64(in_word(0x40), 1900);
    CHECK_U64(in_word(0x41), 2800);
    CHECK_U64(in_word(0x42), 800);
    out(0x43, 0xd4); /* of channel 1 */
    wait(100);
    CHECK_U64(in_word(0x40), 1700);
    CHECK_U64(in_word(0x41), 2800);
    CHECK_U64(in_word(0x42), 700);
    out(0x43, 0xec); /* the status of channels 1 and 2 */
    CHECK_U64(in_word(0x40), 1700);
    CHECK_U64(in(0x41), 0x30);
    CHECK_U64(in(0x42), 0xb4);
}

TEST(a_latched_status_stays_until_it_is_read) {
    start(0xb4, 1000);
    out(0x43, 0xe8);
    wait(999);
    out(0x43, 0x80); /* the output is low now */
    CHECK_U64(in(0x42), 0xb4);
    CHECK_U64(in_word(0x42), 1);
    out(0x43, 0xe8);
    CHECK_U64(in(0x42), 0x34);
}

TEST(refresh_toggles_and_other_sizes_are_nothing) {
    start(0xb0, 1000);
    unsigned toggles = 0;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned before = in(0x61) & 0x10;
        wait(9);
        toggles += (in(0x61) & 0x10) != before;
    }
    CHECK(toggles > 450 && toggles < 550); /* every 15 us; a tick is 0.84 us */
    CHECK_U64(fake_in(0x42, 2), UINT64_MAX);
    fake_out(0x43, 2, 0xb4);
    CHECK_U64(in(0x43), 0xff);
}

/* Lets the interrupts of some ticks come, at their time; how many those were. */
static unsigned run(uint64_t ticks) {
    uint64_t end = tsc + ticks * 10, due;
    rises = 0;
    for (due = service(); due != 0 && due <= end; due = service()) {
        CHECK(due > tsc);
        tsc = due;
    }
    tsc = end;
    return rises;
}

TEST(one_shot_modes_interrupt_once) {
    static const uint8_t modes[] = {0x30, 0x32, 0x38, 0x3a}; /* 0, 1, 4, 5 */
    for (unsigned i = 0; i < 4; i++) {
        start(modes[i], 1000);
        CHECK_U64(run(999), 0);
        CHECK_U64(run(2), 1);
        CHECK_U64(pit->due, 0);
        CHECK_U64(run(100000), 0);
        CHECK(line);    /* a controller that was masked can still take it */
        out(0x40, 100); /* half a count stops the old one and drops the line */
        CHECK(!line);
        CHECK_U64(run(1000), 0);
        out(0x40, 0);
        CHECK_U64(run(101), 1);
    }
}

TEST(periodic_modes_interrupt_without_drift) {
    static const uint8_t modes[] = {0x34, 0x36, 0x3c, 0x3e}; /* 2 and 3, and their twins */
    for (unsigned i = 0; i < 4; i++) {
        start(modes[i], 1193);
        CHECK_U64(run(1193 * 1000 + 1), 1000);
        CHECK_U64(run(1193 * 1000), 1000);
        CHECK_U64(pit->due, 1193 * 2001 * 10 + 1);
    }
    start(0x34, 0);
    CHECK_U64(run(65536 * 3 + 1), 3);
}

TEST(a_change_takes_the_place_of_what_ran) {
    start(0x34, 1000);
    fake_reschedules = 0;
    wait(900);
    out(0x40, 0x88);
    CHECK_U64(pit->due, 0);
    out(0x40, 0x13); /* 5000 */
    CHECK_U64(fake_reschedules, 2);
    CHECK_U64(run(4999), 0);
    CHECK_U64(run(2), 1);
    out(0x43, 0x34); /* a mode without a count */
    CHECK_U64(fake_reschedules, 3);
    CHECK_U64(run(100000), 0);
    CHECK(!line);
    start(0x34, 1000);
    fake_reschedules = 0;
    out(0x43, 0x00); /* a latch fake_reschedules nothing */
    out(0x43, 0xc2);
    CHECK_U64(fake_reschedules, 0);
    CHECK_U64(run(1001), 1);
    power_on(&slow_clock);
    CHECK_U64(run(100000), 0);
}

TEST(only_channel_0_interrupts) {
    static const uint8_t controls[] = {0x74, 0xb4};
    for (unsigned i = 0; i < 2; i++) {
        start(controls[i], 1000);
        fake_reschedules = 0;
        CHECK_U64(run(100000), 0);
        CHECK_U64(pit->due, 0);
    }
}

/* A guest that could not run for long, and one that asks for more than it can get. */
TEST(no_storm) {
    start(0x34, 1000);
    CHECK(pit->due != 0);
    tsc += 123456 * 10; /* 123 periods and a part */
    rises = 0;
    uint64_t due = service();
    CHECK_U64(rises, 1);
    CHECK_U64(due, 124000 * 10 + 1);
    CHECK_U64(run(1), 0);
    start(0x34, 2); /* 600 kHz */
    unsigned most = run(PIT_HZ / 10);
    CHECK(most > 4900 && most <= TIMER_MIN_PERIOD_HZ / 10 + 20);
}

TEST_MAIN(T(one_shot_modes_interrupt_once), T(periodic_modes_interrupt_without_drift),
          T(a_change_takes_the_place_of_what_ran), T(only_channel_0_interrupts), T(no_storm),
          T(mode_0_counts_down_once_and_its_output_rises), T(a_shut_gate_stops_channel_2_only),
          T(mode_2_starts_again), T(mode_3_is_a_square_wave), T(a_count_of_0_is_65536),
          T(a_latched_count_stays_until_it_is_read), T(one_byte_access),
          T(a_latched_count_begins_with_its_low_byte), T(read_back_gives_status_then_count),
          T(an_open_gate_is_opened_once), T(modes_4_and_5_strobe_at_the_end_of_the_count),
          T(port_61_after_power_on), T(read_back_latches_the_channels_it_names),
          T(a_latched_status_stays_until_it_is_read),
          T(refresh_toggles_and_other_sizes_are_nothing))
