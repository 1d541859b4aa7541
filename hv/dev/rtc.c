/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CMOS clock: time of day from the VM's clock plus what the guest has set it off by, and 114
 * bytes of memory that live as long as the VM does. No alarm, no periodic interrupt (IRQ 8 does
 * not exist): their enable bits read back as zero. Called by the port handler under the device
 * lock. Source: Motorola MC146818A data sheet "Register Description"; century in byte 32h as the
 * FADT says.
 */
#include "hv/dev/platform.h"

#define PORT_INDEX 0x70

enum rtc_register {
    REG_SECONDS = 0x00,
    REG_MINUTES = 0x02,
    REG_HOURS = 0x04,
    REG_WEEKDAY = 0x06,
    REG_DAY = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c,
    REG_D = 0x0d,
    REG_CENTURY = 0x32,
};

#define A_RESET     0x26 /* 32768 Hz time base, 1024 Hz rate */
#define A_UIP       0x80
#define B_24_HOURS  0x02
#define B_BINARY    0x04
#define B_SET       0x80
#define B_WRITABLE  (B_SET | B_BINARY | B_24_HOURS)
#define D_VALID     0x80
#define HOUR_PM     0x80
#define DAY_SECONDS 86400

#define TIME_REGISTERS                                                                             \
    (BIT(REG_SECONDS) | BIT(REG_MINUTES) | BIT(REG_HOURS) | BIT(REG_WEEKDAY) | BIT(REG_DAY) |      \
     BIT(REG_MONTH) | BIT(REG_YEAR) | BIT(REG_CENTURY))

static bool rtc_is_time(unsigned index) {
    return index < 64 && (TIME_REGISTERS >> index & 1) != 0;
}

void rtc_reset(struct rtc *rtc) {
    rtc->index = 0;
    rtc->ram[REG_A] = A_RESET;
    rtc->ram[REG_B] = B_24_HOURS;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years are counted from March. */
static int64_t rtc_days(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t rtc_host_seconds(const struct rtc *rtc) {
    return (int64_t)(rtc->clock->wall_at_zero + clock_ticks(rtc->clock, 1));
}

static uint8_t rtc_encode(const struct rtc *rtc, int64_t value) {
    unsigned v = (unsigned)value % 100;
    return (uint8_t)((rtc->ram[REG_B] & B_BINARY) != 0 ? v : v / 10 * 16 + v % 10);
}

static int64_t rtc_decode(const struct rtc *rtc, unsigned v) {
    return (rtc->ram[REG_B] & B_BINARY) != 0 ? v : v / 16 * 10 + v % 16;
}

static uint8_t rtc_encode_hour(const struct rtc *rtc, int64_t hour) {
    if ((rtc->ram[REG_B] & B_24_HOURS) != 0) {
        return rtc_encode(rtc, hour);
    }
    return rtc_encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

static int64_t rtc_decode_hour(const struct rtc *rtc) {
    uint8_t v = rtc->ram[REG_HOURS];
    if ((rtc->ram[REG_B] & B_24_HOURS) != 0) {
        return rtc_decode(rtc, v);
    }
    return rtc_decode(rtc, v & 0x7fu) % 12 + ((v & HOUR_PM) != 0 ? 12 : 0);
}

/* Puts the time of now into the registers. */
static void rtc_load(struct rtc *rtc) {
    int64_t seconds = rtc_host_seconds(rtc) + rtc->offset;
    int64_t of_day = (seconds % DAY_SECONDS + DAY_SECONDS) % DAY_SECONDS;
    int64_t days = (seconds - of_day) / DAY_SECONDS + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* from March */
    int64_t day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    year += era * 400 + (month <= 2);

    rtc->ram[REG_SECONDS] = rtc_encode(rtc, of_day % 60);
    rtc->ram[REG_MINUTES] = rtc_encode(rtc, of_day / 60 % 60);
    rtc->ram[REG_HOURS] = rtc_encode_hour(rtc, of_day / 3600);
    rtc->ram[REG_WEEKDAY] = rtc_encode(rtc, ((days - 719468 + 4) % 7 + 7) % 7 + 1);
    rtc->ram[REG_DAY] = rtc_encode(rtc, day);
    rtc->ram[REG_MONTH] = rtc_encode(rtc, month);
    rtc->ram[REG_YEAR] = rtc_encode(rtc, (year % 100 + 100) % 100);
    rtc->ram[REG_CENTURY] = rtc_encode(rtc, (year / 100 % 100 + 100) % 100);
}

/* Takes the time in the registers, whatever the guest put there, as the time of now. */
static void rtc_store(struct rtc *rtc) {
    int64_t year =
        rtc_decode(rtc, rtc->ram[REG_CENTURY]) * 100 + rtc_decode(rtc, rtc->ram[REG_YEAR]);
    int64_t month = rtc_decode(rtc, rtc->ram[REG_MONTH]);
    if (month < 1 || month > 12) {
        month = 1;
    }
    int64_t days = rtc_days(year, month, rtc_decode(rtc, rtc->ram[REG_DAY]));
    int64_t seconds = days * DAY_SECONDS + rtc_decode_hour(rtc) * 3600 +
                      rtc_decode(rtc, rtc->ram[REG_MINUTES]) * 60 +
                      rtc_decode(rtc, rtc->ram[REG_SECONDS]);
    rtc->offset = seconds - rtc_host_seconds(rtc);
}

static uint8_t rtc_read_register(struct rtc *rtc) {
    unsigned index = rtc->index;
    if (rtc_is_time(index) && (rtc->ram[REG_B] & B_SET) == 0) {
        rtc_load(rtc);
    }
    if (index == REG_C) {
        return 0;
    }
    return index == REG_D ? D_VALID : rtc->ram[index];
}

static void rtc_write_b(struct rtc *rtc, uint8_t value) {
    bool was_set = (rtc->ram[REG_B] & B_SET) != 0, set = (value & B_SET) != 0;
    if (!was_set && set) {
        /* In the format that was valid up to now: hardware does not convert either. */
        rtc_load(rtc);
    }
    rtc->ram[REG_B] = value & B_WRITABLE;
    if (was_set && !set) {
        rtc_store(rtc);
    }
}

static void rtc_write_register(struct rtc *rtc, uint8_t value) {
    unsigned index = rtc->index;
    if (index == REG_B) {
        rtc_write_b(rtc, value);
    } else if (index == REG_A) {
        rtc->ram[REG_A] = (uint8_t)(value & ~A_UIP);
    } else if (rtc_is_time(index) && (rtc->ram[REG_B] & B_SET) == 0) {
        rtc_load(rtc);
        rtc->ram[index] = value;
        rtc_store(rtc);
    } else if (index != REG_C && index != REG_D) {
        rtc->ram[index] = value;
    }
}

uint32_t rtc_read(void *dev, uint16_t port, unsigned size) {
    struct rtc *rtc = dev;
    if (size != 1) {
        return UINT32_MAX;
    }
    return port == PORT_INDEX ? UINT32_MAX : rtc_read_register(rtc); /* the index is write-only */
}

void rtc_write(void *dev, uint16_t port, unsigned size, uint32_t value) {
    struct rtc *rtc = dev;
    if (port == PORT_INDEX) {
        rtc->index = value & 0x7f; /* bit 7 masks NMI, of which this machine has none */
        if (size == 2) {
            rtc_write_register(rtc, (uint8_t)(value >> 8)); /* index and data in one */
        }
    } else if (size == 1) {
        rtc_write_register(rtc, (uint8_t)value);
    }
}
