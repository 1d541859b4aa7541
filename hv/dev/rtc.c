/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CMOS clock: time of day from the VM's clock plus what the guest has set it off by, and 114
 * bytes of memory that live as long as the VM does. Always BCD and 24 hours; no alarm, no periodic
 * interrupt (IRQ 8 does not exist): the bits that would change this are fixed. Called by the port
 * handler under the device lock. Source: Motorola MC146818A data sheet "Register Description";
 * century in byte 32h as the FADT says.
 */
#include "hv/dev/platform.h"

#define PORT_INDEX  0x70
#define DAY_SECONDS 86400ull

enum rtc_register { REG_A = 0x0a, REG_B, REG_C, REG_D };
/* A starts with a 32768 Hz time base and 1024 Hz rate. */
enum rtc_bits { A_RESET = 0x26, A_UIP = 0x80, B_24_HOURS = 0x02, B_SET = 0x80, D_VALID = 0x80 };

/*
 * Days are counted from 1 March of the year -400 of the Gregorian calendar: so a year ends with its
 * leap day, and no year that a guest can set is before it.
 */
#define DAYS_1970 865565
#define YEARS_ERA 400
#define DAYS_ERA  146097

enum rtc_field { SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY, FIELDS };

static const uint8_t field_register[FIELDS] = {0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32};

static bool rtc_is_time(uint8_t index) {
    unsigned f = 0;
    while (f < FIELDS && field_register[f] != index) {
        f++;
    }
    return f < FIELDS;
}

void rtc_reset(struct rtc *rtc) {
    rtc->index = 0;
    rtc->ram[REG_A] = A_RESET;
    rtc->ram[REG_B] = B_24_HOURS;
}

/* Seconds on the scale above, before the guest's offset. */
static uint64_t rtc_host_seconds(const struct rtc *rtc) {
    return rtc->clock->wall_at_zero + clock_ticks(rtc->clock, 1) + DAYS_1970 * DAY_SECONDS;
}

/* Puts the time of now into the registers. */
static void rtc_load(struct rtc *rtc) {
    uint64_t seconds = rtc_host_seconds(rtc) + rtc->offset, days = seconds / DAY_SECONDS;
    uint64_t of_era = days % DAYS_ERA;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153; /* from March */
    uint64_t day = of_year - (153 * month + 2) / 5 + 1;
    year += (days / DAYS_ERA - 1) * YEARS_ERA + (month >= 10);
    const uint64_t fields[FIELDS] = {
        [SECOND] = seconds % 60,
        [MINUTE] = seconds / 60 % 60,
        [HOUR] = seconds / 3600 % 24,
        [WEEKDAY] = (days + 3) % 7 + 1,
        [DAY] = day,
        [MONTH] = month < 10 ? month + 3 : month - 9,
        [YEAR] = year % 100,
        [CENTURY] = year / 100 % 100,
    };
    for (unsigned f = 0; f < FIELDS; f++) {
        rtc->ram[field_register[f]] = (uint8_t)(fields[f] / 10 * 16 + fields[f] % 10);
    }
}

/* Takes the time in the registers, whatever the guest put there, as the time of now. */
static void rtc_store(struct rtc *rtc) {
    uint64_t fields[FIELDS];
    for (unsigned f = 0; f < FIELDS; f++) {
        uint8_t bcd = rtc->ram[field_register[f]];
        fields[f] = bcd / 16u * 10 + bcd % 16u;
    }
    uint64_t month = (fields[MONTH] + 9) % 12; /* from March */
    uint64_t year = fields[CENTURY] * 100 + fields[YEAR] + YEARS_ERA - (month >= 10);
    uint64_t days =
        year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + fields[DAY] - 1;
    uint64_t seconds = ((days * 24 + fields[HOUR]) * 60 + fields[MINUTE]) * 60 + fields[SECOND];
    rtc->offset = seconds - rtc_host_seconds(rtc);
}

static uint8_t rtc_read_register(struct rtc *rtc) {
    if (rtc_is_time(rtc->index) && (rtc->ram[REG_B] & B_SET) == 0) {
        rtc_load(rtc);
    }
    return rtc->index == REG_C ? 0 : rtc->index == REG_D ? D_VALID : rtc->ram[rtc->index];
}

/* While B_SET is on the registers stand still. */
static void rtc_write_register(struct rtc *rtc, uint8_t value) {
    bool stood = (rtc->ram[REG_B] & B_SET) != 0;
    if (!stood) {
        rtc_load(rtc);
    }
    rtc->ram[rtc->index] = value;
    rtc->ram[REG_A] &= (uint8_t)~A_UIP;
    rtc->ram[REG_B] = (rtc->ram[REG_B] & B_SET) | B_24_HOURS;
    bool stands = (rtc->ram[REG_B] & B_SET) != 0;
    if (!stands && (stood || rtc_is_time(rtc->index))) {
        rtc_store(rtc);
    }
}

uint64_t rtc_read(void *dev, uint64_t port, unsigned size) {
    /* The index is write-only. */
    return size == 1 && port != PORT_INDEX ? rtc_read_register(dev) : UINT32_MAX;
}

void rtc_write(void *dev, uint64_t port, unsigned size, uint64_t value) {
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
