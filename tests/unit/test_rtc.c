/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CMOS clock against the C library's calendar; setting it; memory bytes. */
#include <time.h>

#include "tests/unit/fake_env.h"

static uint64_t now;

static uint64_t tsc(void) {
    return now;
}

#define HZ 3276800ull /* 100 TSC ticks for one of the crystal */

static struct dev_clock dev_clock = {.host_tsc = tsc, .tsc_hz = HZ};
static unsigned rises;
static bool line;

static void set_irq(UNUSED const struct dev_env *env, unsigned irq, bool asserted) {
    CHECK_U64(irq, 8);
    rises += asserted && !line;
    line = asserted;
}

static struct rtc *const rtc = &fake_pc.rtc;

static void fresh(uint64_t wall) {
    now = 0;
    dev_clock.wall_at_zero = wall;
    line = false;
    fake_env.clock = &dev_clock;
    fake_pc_start();
    fake_pc.env.irq = set_irq;
}

static uint64_t service(void) {
    return rtc->dev.ops->service(&rtc->dev, now);
}

static uint8_t rd(uint8_t reg) {
    fake_out(0x70, 1, reg);
    return (uint8_t)fake_in(0x71, 1);
}

static void wr(uint8_t reg, uint8_t value) {
    fake_out(0x70, 1, reg);
    fake_out(0x71, 1, value);
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
    now = 5 * HZ;
    CHECK_U64(seen(), 1700000005);
    uint8_t weekday = rd(6);
    now = (5 + 86400) * HZ;
    CHECK_U64(rd(6), weekday + 1);
    now = 5 * HZ;
    set(951782400 + 86399); /* 2000-02-29 23:59:59 */
    CHECK_U64(seen(), 951782400 + 86399);
    now += HZ;
    CHECK_U64(seen(), 951782400 + 86400);
    CHECK_U64(bcd(rd(8)) * 100 + bcd(rd(7)), 301);
    wr(4, 0x07); /* one register without stopping the clock */
    CHECK_U64(seen(), 951782400 + 86400 + 7 * 3600);
    rtc->dev.ops->reset(&rtc->dev); /* a reset of the machine leaves the time alone */
    CHECK_U64(seen(), 951782400 + 86400 + 7 * 3600);
}

TEST(clock_stands_while_it_is_set) {
    fresh(1700000000);
    wr(0x0b, 0x82);
    uint8_t seconds = rd(0);
    now = 7 * HZ;
    CHECK_U64(rd(0), seconds);
    CHECK_U64(rd(0x0c), 0x40); /* no update ended */
    wr(0x0b, 0x02);
    CHECK_U64(seen(), 1700000000);
}

TEST(other_registers) {
    fresh(0);
    CHECK_U64(rd(0x0a), 0x26);
    CHECK_U64(rd(0x0c), 0);
    CHECK_U64(rd(0x0d), 0x80);
    wr(0x0a, 0xff); /* UIP is not for the guest to set */
    CHECK_U64(rd(0x0a), 0x7f);
    wr(0x0c, 0xff);
    CHECK_U64(rd(0x0c), 0);
    wr(0x0d, 0);
    CHECK_U64(rd(0x0d), 0x80);
    wr(0x8f, 0x5a); /* bit 7 is the NMI mask */
    CHECK_U64(rd(0x0f), 0x5a);
    wr(0x7f, 0xa5);
    CHECK_U64(rd(0x7f), 0xa5);
    CHECK_U64(fake_in(0x70, 1), 0xffffffff);
    fake_out(0x70, 2, 0x3c0e);
    CHECK_U64(rd(0x0e), 0x3c);
}

/* Lets the interrupts of some time come, each taken by reading register C; how many there were. */
static uint8_t flags;
static unsigned run(uint64_t ticks) {
    uint64_t end = now + ticks, due;
    rises = 0;
    flags = 0;
    while ((due = service()) != 0 && due <= end) {
        CHECK(due > now);
        now = due;
        CHECK(service() == 0 || !line); /* nothing ticks until the guest has seen it */
        if (line) {
            flags |= rd(0x0c);
            CHECK(!line);
        }
    }
    now = end;
    return rises;
}

TEST(nothing_ticks_without_an_interrupt) {
    fresh(1700000000);
    CHECK_U64(service(), 0);
    now = 3 * HZ;
    CHECK_U64(rd(0x0c), 0x50); /* but the flags can be polled */
    CHECK_U64(rd(0x0c), 0);
    now += HZ / 1024 + 100;
    CHECK_U64(rd(0x0c), 0x40);
    CHECK_U64(service(), 0);
    CHECK(!line);
}

TEST(periodic_interrupts_at_each_rate) {
    static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                    256, 128, 64,  32,   16,   8,    4,    2};
    for (unsigned rate = 0; rate < 16; rate++) {
        fresh(1700000000);
        now += 1;
        wr(0x0a, (uint8_t)(0x20 | rate));
        wr(0x0b, 0x42);
        CHECK_U64(run(HZ), hz[rate]);
        CHECK_U64(flags & 0xc0, rate == 0 ? 0 : 0xc0);
        CHECK_U64(run(HZ), hz[rate]);
    }
    wr(0x0b, 0x02);
    CHECK_U64(run(HZ), 0);
}

TEST(a_guest_that_does_not_look_is_told_once) {
    fresh(1700000000);
    wr(0x0b, 0x72);
    now = 60 * HZ;
    rises = 0;
    for (unsigned i = 0; i < 10; i++) {
        CHECK_U64(service(), 0);
        now += HZ;
    }
    CHECK_U64(rises, 1);
    CHECK_U64(rd(0x0c) & 0xd0, 0xd0);
    CHECK_U64(rd(0x0c), 0);
}

TEST(a_guest_that_looks_first_is_not_interrupted) {
    fresh(1700000000);
    wr(0x0b, 0x42);
    rises = 0;
    for (unsigned i = 0; i < 10; i++) {
        now += HZ / 1000;
        CHECK_U64(rd(0x0c) & 0xc0, 0xc0);
        CHECK(!line);
        CHECK(service() > now);
    }
    CHECK_U64(rises, 0);
}

TEST(update_ended_once_a_second) {
    fresh(1700000000);
    now = HZ / 2;
    fake_reschedules = 0;
    wr(0x0b, 0x12);
    CHECK_U64(fake_reschedules, 1);
    CHECK_U64(service(), HZ + 1);
    CHECK_U64(run(10 * HZ), 10);
    CHECK_U64(flags & 0x90, 0x90);
    wr(0x0b, 0x92); /* SET clears UIE */
    CHECK_U64(rd(0x0b), 0x82);
    CHECK_U64(run(10 * HZ), 0);
}

TEST(update_in_progress_before_the_second_turns) {
    fresh(1700000000);
    unsigned before = 0;
    bool was = false;
    for (; now < 2 * HZ; now += 100) {
        CHECK_U64(rd(0x0a) & 0x7f, 0x26); /* divider and rate stay what they are */
        bool uip = (rd(0x0a) & 0x80) != 0;
        if (was && !uip) {
            CHECK_U64(now % HZ, 0);
            CHECK_U64(seen(), 1700000000 + now / HZ);
        }
        before += uip;
        was = uip;
    }
    CHECK_U64(before, 2 * 72); /* 2.2 ms */
    now += HZ - 100;
    wr(0x0b, 0x82);
    CHECK_U64(rd(0x0a) & 0x80, 0);
}

static void alarm(uint8_t hour, uint8_t minute, uint8_t second) {
    wr(1, second);
    wr(3, minute);
    wr(5, hour);
    (void)rd(0x0c);
}

/* Seconds from now to the next alarm, by the interrupt. */
static uint64_t alarm_in(void) {
    uint64_t from = now;
    wr(0x0b, 0x22);
    uint64_t due = service();
    CHECK(due != 0);
    now = due - 2;
    rises = 0;
    CHECK_U64(service(), due);
    CHECK_U64(rises, 0);
    now = due;
    CHECK_U64(service(), 0);
    CHECK_U64(rises, 1);
    CHECK_U64(rd(0x0c) & 0xa0, 0xa0);
    return (due - from) / HZ;
}

TEST(alarm_at_a_time_of_day) {
    fresh(1700000000); /* 22:13:20 */
    alarm(0x22, 0x14, 0x05);
    CHECK_U64(alarm_in(), 45);
    CHECK_U64(alarm_in(), 86400);
    alarm(0x22, 0x14, 0x04);
    CHECK_U64(alarm_in(), 86399);
    alarm(0x03, 0x00, 0x59);
    CHECK_U64(alarm_in(), (3 + 24 - 22) * 3600 + 59 - 14 * 60 - 4);
}

TEST(alarm_with_bytes_that_do_not_matter) {
    fresh(1700000000); /* 22:13:20 */
    alarm(0xff, 0xc0, 0xd5);
    CHECK_U64(alarm_in(), 1);
    CHECK_U64(alarm_in(), 1);
    alarm(0xff, 0xff, 0x10); /* each minute */
    CHECK_U64(alarm_in(), 48);
    CHECK_U64(alarm_in(), 60);
    alarm(0xff, 0x00, 0x00); /* each hour; 22:15:10 now */
    CHECK_U64(alarm_in(), 44 * 60 + 50);
    CHECK_U64(alarm_in(), 3600);
    alarm(0x05, 0xff, 0xff); /* each second of an hour; midnight now */
    CHECK_U64(alarm_in(), 5 * 3600);
    CHECK_U64(alarm_in(), 1);
}

TEST(an_alarm_that_never_comes) {
    static const uint8_t never[][3] = {
        {0x24, 0, 0}, {0, 0x60, 0}, {0xff, 0xff, 0x60}, {0xff, 0x5a, 0xff}, {0xbf, 0xff, 0xff}};
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        fresh(1700000000);
        alarm(never[i][0], never[i][1], never[i][2]);
        wr(0x0b, 0x22);
        CHECK_U64(run(3 * 86400 * HZ), 0);
    }
}

/* Each time of a day from each hour: the bound on the search's steps cuts no alarm off. */
TEST(every_alarm_of_a_day_comes) {
    fresh(0);
    unsigned wrong = 0;
    for (unsigned at = 0; at < 86400; at += 7) {
        alarm((uint8_t)(at / 36000 * 16 + at / 3600 % 10),
              (uint8_t)(at / 600 % 6 * 16 + at / 60 % 10), (uint8_t)(at % 60 / 10 * 16 + at % 10));
        wr(0x0b, 0x22);
        uint64_t due = service();
        uint64_t day = now / HZ % 86400;
        wrong += due != (now / HZ + (at + 86400 - day - 1) % 86400 + 1) * HZ + 1;
        now += 12347 * HZ;
        (void)rd(0x0c);
    }
    CHECK_U64(wrong, 0);
}

/* Of a byte of hours, as the data sheet's table of modes has it. */
static unsigned hours_of(uint8_t byte, bool binary, bool to_24) {
    unsigned value = to_24 ? byte : byte & 0x7fu;
    value = binary ? value : bcd((uint8_t)value);
    return to_24 ? value : value % 12 + (byte & 0x80 ? 12 : 0);
}

TEST(modes_of_numbers) {
    for (unsigned mode = 0; mode < 4; mode++) {
        bool binary = (mode & 1) != 0;
        bool to_24 = (mode & 2) != 0;
        fresh(1700000000 - 1700000000 % 86400); /* 2023-11-14, 0:00 */
        wr(0x0b, (uint8_t)(binary << 2 | to_24 << 1));
        CHECK_U64(rd(0x0b), binary << 2 | to_24 << 1);
        CHECK_U64(rd(7), binary ? 14 : 0x14);
        CHECK_U64(rd(8), binary ? 11 : 0x11);
        CHECK_U64(rd(9), binary ? 23 : 0x23);
        CHECK_U64(rd(0x32), binary ? 20 : 0x20);
        for (unsigned hour = 0; hour < 24; hour++) {
            now = hour * 3600 * HZ + 59 * HZ;
            CHECK_U64(hours_of(rd(4), binary, to_24), hour);
            CHECK_U64(rd(0), binary ? 59 : 0x59);
        }
        CHECK_U64(rd(4), to_24 ? (binary ? 23 : 0x23) : (binary ? 0x8b : 0x91));
        now = 0;
        CHECK_U64(rd(4), to_24 ? 0 : binary ? 12 : 0x12); /* midnight is 12 in the morning */
        now = 12 * 3600 * HZ;
        CHECK_U64(rd(4), to_24 ? (binary ? 12 : 0x12) : (binary ? 0x8c : 0x92));
    }
}

/* What is written in one mode is read in another. */
TEST(time_is_set_in_each_mode) {
    for (unsigned mode = 0; mode < 4; mode++) {
        bool binary = (mode & 1) != 0;
        bool to_24 = (mode & 2) != 0;
        fresh(1700000000);
        wr(0x0b, (uint8_t)(0x80 | binary << 2 | to_24 << 1));
        wr(0, binary ? 58 : 0x58);
        wr(2, binary ? 45 : 0x45);
        wr(4, to_24 ? (binary ? 22 : 0x22) : (binary ? 0x8a : 0x90));
        wr(7, binary ? 29 : 0x29);
        wr(8, 2);
        wr(9, 0);
        wr(0x32, binary ? 20 : 0x20);
        wr(0x0b, (uint8_t)(binary << 2 | to_24 << 1));
        now = HZ;
        CHECK_U64(rd(0), binary ? 59 : 0x59);
        wr(0x0b, 0x02);               /* a change of mode alone changes no time */
        CHECK_U64(seen(), 951864359); /* 2000-02-29 22:45:59 */
    }
}

TEST(alarm_in_each_mode) {
    for (unsigned mode = 0; mode < 4; mode++) {
        bool binary = (mode & 1) != 0;
        bool to_24 = (mode & 2) != 0;
        fresh(1700000000 - 1700000000 % 86400);
        wr(0x0b, (uint8_t)(0x20 | binary << 2 | to_24 << 1));
        wr(1, 0);
        wr(3, binary ? 30 : 0x30);
        wr(5, to_24 ? (binary ? 13 : 0x13) : 0x81);
        CHECK_U64(service(), (13 * 3600 + 30 * 60) * HZ + 1);
    }
}

TEST(reset_forgets_the_interrupts) {
    fresh(1700000000);
    wr(0x0b, 0x72);
    now = 2 * HZ;
    CHECK_U64(service(), 0);
    rtc->dev.ops->reset(&rtc->dev);
    CHECK_U64(service(), 0);
    CHECK_U64(rd(0x0c), 0);
    CHECK_U64(rd(0x0b), 2);
}

TEST_MAIN(T(calendar), T(clock_runs_and_is_set), T(clock_stands_while_it_is_set),
          T(other_registers), T(nothing_ticks_without_an_interrupt),
          T(periodic_interrupts_at_each_rate), T(a_guest_that_does_not_look_is_told_once),
          T(a_guest_that_looks_first_is_not_interrupted), T(update_ended_once_a_second),
          T(update_in_progress_before_the_second_turns), T(alarm_at_a_time_of_day),
          T(alarm_with_bytes_that_do_not_matter), T(an_alarm_that_never_comes),
          T(every_alarm_of_a_day_comes), T(modes_of_numbers), T(time_is_set_in_each_mode),
          T(alarm_in_each_mode), T(reset_forgets_the_interrupts))
