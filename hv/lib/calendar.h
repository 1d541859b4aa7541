/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Gregorian calendar, in UTC and without leap seconds: for the log's dates and the guests' CMOS
 * clocks.
 */
#pragma once

#include "hv/lib/types.h"

struct calendar {
    unsigned year;
    unsigned month, day; /* from 1 */
    unsigned weekday;    /* from 0, Sunday */
    unsigned hour, minute, second;
};

/* seconds since 1970 began; from the year -400 on. */
struct calendar calendar_of(int64_t seconds);

/*
 * The way back; the weekday is not looked at. Any numbers will do, though those that are no date
 * give some moment only. May be guest-controlled.
 */
int64_t calendar_seconds(const struct calendar *date);
