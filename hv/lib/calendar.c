/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seconds to a date and back. Days are counted from 1 March of the year -400: so a year ends with
 * its leap day, and no number here is negative. Called by fmt.c and by the CMOS clock.
 */
#include "hv/lib/calendar.h"

#define DAY_SECONDS  86400u
#define YEARS_ERA    400u /* after which the calendar repeats itself */
#define DAYS_ERA     146097u
#define DAYS_TO_1970 865565u

struct calendar calendar_of(int64_t seconds) {
    uint64_t moment = (uint64_t)seconds + (uint64_t)DAYS_TO_1970 * DAY_SECONDS;
    uint64_t days = moment / DAY_SECONDS;
    unsigned of_day = (unsigned)(moment % DAY_SECONDS);
    unsigned of_era = (unsigned)(days % DAYS_ERA);
    /* Without the leap days: of 4 years, of 100 years back again, of 400 years. */
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_ERA - 1)) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* from March */
    bool next_year = month >= 10;

    return (struct calendar){
        .year = (unsigned)(days / DAYS_ERA - 1) * YEARS_ERA + year + next_year,
        .month = next_year ? month - 9 : month + 3,
        .day = of_year - (153 * month + 2) / 5 + 1,
        .weekday = (unsigned)((days + 3) % 7),
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
    };
}

int64_t calendar_seconds(const struct calendar *date) {
    uint64_t month = (date->month + 9ull) % 12; /* from March */
    uint64_t year = date->year + YEARS_ERA - (month >= 10);
    uint64_t days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    uint64_t hours = (days + date->day - 1 - DAYS_TO_1970) * 24 + date->hour;

    return (int64_t)((hours * 60 + date->minute) * 60 + date->second);
}
