/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CMOS clock against the C library's calendar; setting it; formats; memory bytes. */
#include <time.h>

#include "hv/dev/platform.h"
#include "tests/unit/test.h"

static uint64_t now;

static uint64_t tsc(void) {
    return now;
}

static struct dev_clock dev_clock = {.host_tsc = tsc, .tsc_hz = 1000};
static struct rtc rtc;

static void fresh(uint64_t wall) {
    now = 0;
    dev_clock.wall_at_zero = wall;
    memset(&rtc, 0, sizeof(rtc));
    rtc.clock = &dev_clock;
    rtc_reset(&rtc);
}

static uint8_t rd(uint8_t reg) {
    rtc_write(&rtc, 0x70, 1, reg);
    return (uint8_t)rtc_read(&rtc, 0x71, 1);
}

static void wr(uint8_t reg, uint8_t value) {
    rtc_write(&rtc, 0x70, 1, reg);
    rtc_write(&rtc, 0x71, 1, value);
}

static unsigned bcd(uint8_t v) {
    return v / 16u * 10 + v % 16u;
}

/* Seconds since 1970 as a reader of the registers would compute them. */
static uint64_t seen(void) {
    struct tm tm = {
        .tm_sec = (int)bcd(rd(0)),
        .tm_min = (int)bcd(rd(2)),
        .tm_hour = (int)bcd(rd(4)),
        .tm_mday = (int)bcd(rd(7)),
        .tm_mon = (int)bcd(rd(8)) - 1,
        .tm_year = (int)(bcd(rd(9)) + 100 * bcd(rd(0x32))) - 1900,
    };
    return (uint64_t)timegm(&tm);
}

static void set(time_t t) {
    struct tm tm;
    gmtime_r(&t, &tm);
    const int fields[][2] = {{0, tm.tm_sec},
                             {2, tm.tm_min},
                             {4, tm.tm_hour},
                             {7, tm.tm_mday},
                             {8, tm.tm_mon + 1},
                             {9, tm.tm_year % 100},
                             {0x32, (tm.tm_year + 1900) / 100}};
    wr(0x0b, 0x82);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        int v = fields[i][1];
        wr((uint8_t)fields[i][0], (uint8_t)(v / 10 * 16 + v % 10));
    }
    wr(0x0b, 0x02);
}

TEST(calendar) {
    fresh(0);
    for (uint64_t wall = 0; wall < 253402300800; wall += 86400 * 3 + 12345) { /* to 9999 */
        dev_clock.wall_at_zero = wall;
        time_t t = (time_t)wall;
        struct tm tm;
        gmtime_r(&t, &tm);
        if (seen() != wall || rd(6) != tm.tm_wday + 1) {
            CHECK_U64(seen(), wall);
            CHECK_U64(rd(6), tm.tm_wday + 1);
            return;
        }
    }
}

TEST(clock_runs_and_is_set) {
    fresh(1700000000);
    CHECK_U64(seen(), 1700000000);
    now = 5000;
    CHECK_U64(seen(), 1700000005);
    set(951782400 + 86399); /* 2000-02-29 23:59:59 */
    CHECK_U64(seen(), 951782400 + 86399);
    now += 1000;
    CHECK_U64(seen(), 951782400 + 86400);
    CHECK_U64(bcd(rd(8)) * 100 + bcd(rd(7)), 301);
    wr(4, 0x07); /* one register without stopping the clock */
    CHECK_U64(seen(), 951782400 + 86400 + 7 * 3600);
    rtc_reset(&rtc); /* a reset of the machine leaves the time alone */
    CHECK_U64(seen(), 951782400 + 86400 + 7 * 3600);
}

TEST(clock_stands_while_it_is_set) {
    fresh(1700000000);
    wr(0x0b, 0x82);
    uint8_t seconds = rd(0);
    now = 7000;
    CHECK_U64(rd(0), seconds);
    wr(0x0b, 0x02);
    CHECK_U64(seen(), 1700000000);
}

TEST(other_registers) {
    fresh(0);
    CHECK_U64(rd(0x0a), 0x26);
    CHECK_U64(rd(0x0c), 0);
    CHECK_U64(rd(0x0d), 0x80);
    wr(0x0b, 0x7f); /* no interrupts, always BCD and 24 hours */
    CHECK_U64(rd(0x0b), 0x02);
    wr(0x0a, 0xff); /* an update is never in progress */
    CHECK_U64(rd(0x0a), 0x7f);
    wr(0x0d, 0);
    CHECK_U64(rd(0x0d), 0x80);
    wr(0x8f, 0x5a); /* bit 7 is the NMI mask */
    CHECK_U64(rd(0x0f), 0x5a);
    wr(0x7f, 0xa5);
    CHECK_U64(rd(0x7f), 0xa5);
    CHECK_U64(rtc_read(&rtc, 0x70, 1), 0xffffffff);
    rtc_write(&rtc, 0x70, 2, 0x3c0e);
    CHECK_U64(rd(0x0e), 0x3c);
}

TEST_MAIN(T(calendar), T(clock_runs_and_is_set), T(clock_stands_while_it_is_set),
          T(other_registers))
