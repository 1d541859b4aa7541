/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The calendar against the C library's, there and back. */
#include <time.h>

#include "hv/lib/calendar.h"
#include "tests/unit/test.h"

/* From the year 0 to 9999, at all times of day. */
TEST(there_and_back) {
    for (int64_t t = -62167219200; t < 253402300800; t += 86400 * 3 + 12345) {
        time_t seconds = (time_t)t;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        struct calendar c = calendar_of(t);
        CHECK_U64(c.year, tm.tm_year + 1900);
        CHECK_U64(c.month, tm.tm_mon + 1);
        CHECK_U64(c.day, tm.tm_mday);
        CHECK_U64(c.weekday, tm.tm_wday);
        CHECK_U64(c.hour, tm.tm_hour);
        CHECK_U64(c.minute, tm.tm_min);
        CHECK_U64(c.second, tm.tm_sec);
        CHECK_U64(calendar_seconds(&c), t);
        if (test_failures != 0) {
            printf("# at %lld\n", (long long)t);
            return;
        }
    }
}

/* Each day of 800 years: the ends of months and leap years. */
TEST(each_day) {
    for (int64_t day = -400 * 366; day < 400 * 366 && test_failures == 0; day++) {
        time_t seconds = (time_t)(day * 86400 + 86399);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        struct calendar c = calendar_of(seconds);
        CHECK(c.month == (unsigned)tm.tm_mon + 1 && c.day == (unsigned)tm.tm_mday);
        CHECK_U64(calendar_seconds(&c), seconds);
    }
}

TEST(what_is_no_date_is_some_moment) {
    static const unsigned odd[] = {0, 1, 12, 13, 59, 60, 99, 165, 255};
    for (unsigned i = 0; i < 9 * 9 * 9; i++) {
        const struct calendar c = {.year = odd[i % 9] * 100 + odd[i / 9 % 9],
                                   .month = odd[i / 9 % 9],
                                   .day = odd[i / 81],
                                   .hour = odd[i % 9],
                                   .minute = odd[i / 81],
                                   .second = odd[i / 9 % 9]};
        (void)calendar_of(calendar_seconds(&c));
    }
}

TEST_MAIN(T(there_and_back), T(each_day), T(what_is_no_date_is_some_moment))
