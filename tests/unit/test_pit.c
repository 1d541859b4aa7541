/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hv/dev/pit.c: what a guest that calibrates its clock by the 8254 does. */
#include "hv/dev/platform.h"
#include "test.h"

static uint64_t tsc;

static uint64_t host_tsc(void) {
    return tsc;
}

/* Ten TSC ticks for one of the timer. */
static const struct dev_clock slow_clock = {.host_tsc = host_tsc, .tsc_hz = PIT_HZ * 10};
static struct pit pit = {.clock = &slow_clock};

static void wait(uint64_t ticks) {
    tsc += ticks * 10;
}

static void out(uint16_t port, uint8_t value) {
    pit_write(&pit, port, 1, value);
}

static uint8_t in(uint16_t port) {
    return (uint8_t)pit_read(&pit, port, 1);
}

static unsigned in_word(uint16_t port) {
    unsigned low = in(port);
    return low | (unsigned)in(port) << 8;
}

static void start(uint8_t control, uint16_t count) {
    uint16_t port = (uint16_t)(0x40 + (control >> 6));
    tsc = 0;
    pit_reset(&pit);
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
    CHECK_U64(in(0x61) & 0x20, 0x20);
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
}

TEST(read_back_gives_status_then_count) {
    start(0xb4, 1000);
    wait(300);
    out(0x43, 0xc8); /* status and count of channel 2 */
    wait(300);
    CHECK_U64(in(0x42), 0xb4); /* output high, both bytes, mode 2 */
    CHECK_U64(in_word(0x42), 700);
    CHECK_U64(in_word(0x42), 400);
    out(0x43, 0xb0);
    out(0x43, 0xe8); /* status only: no count was written yet */
    CHECK_U64(in(0x42), 0x70);
}

TEST(refresh_toggles_and_other_sizes_are_nothing) {
    start(0xb0, 1000);
    unsigned changes = 0;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned before = in(0x61) & 0x10;
        wait(9);
        changes += (in(0x61) & 0x10) != before;
    }
    CHECK(changes > 450 && changes < 550); /* every 15 us; a tick is 0.84 us */
    CHECK_U64(pit_read(&pit, 0x42, 2), UINT64_MAX);
    pit_write(&pit, 0x43, 2, 0xb4);
    CHECK_U64(in(0x43), 0xff);
}

TEST_MAIN(T(mode_0_counts_down_once_and_its_output_rises), T(a_shut_gate_stops_channel_2_only),
          T(mode_2_starts_again), T(mode_3_is_a_square_wave), T(a_count_of_0_is_65536),
          T(a_latched_count_stays_until_it_is_read), T(one_byte_access),
          T(read_back_gives_status_then_count), T(refresh_toggles_and_other_sizes_are_nothing))
