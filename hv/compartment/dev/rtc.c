/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CMOS clock: time of day from the VM's clock plus what the guest has set it off by, alarm,
 * periodic and update-ended interrupts, and 114 bytes of memory that live as long as the VM does.
 * What has happened is found out when somebody looks; only an enabled interrupt that the guest has
 * not yet been told of makes it tick. Source: Motorola MC146818A data sheet "Register Description",
 * "Interrupts"; century in byte 32h as the FADT says.
 */
#include "hv/compartment/dev/models.h"

#define DAY_SECONDS 86400ull
#define CRYSTAL_HZ  32768ull
#define UIP_TICKS   72   /* 244 us of warning, 1948 us of update */
#define DONT_CARE   0xc0 /* in an alarm byte: this and above */
#define ALARM_STEPS (24 + 4 * 60)
#define NEVER       BIT(63) /* in ticks */
#define RATE_NEVER  63u     /* log2 of a period that never ends */

enum { OFFSET_INDEX, OFFSET_DATA };
enum rtc_register { REG_A = 0x0a, REG_B, REG_C, REG_D };
/* A starts with a 32768 Hz time base and 1024 Hz rate. The flags of C are the enable bits of B. */
enum rtc_bits { A_RESET = 0x26, A_RATE = 0x0f, A_UIP = 0x80, D_VALID = 0x80, C_ACTIVE = 0x80 };
/* Hours count to 24, in BCD, and nothing else can be chosen: the bit of binary mode stays 0. */
enum rtc_control { B_24_HOURS = 0x02, B_BINARY = 0x04, B_SET = 0x80 };
enum rtc_interrupt { UPDATED = 0x10, ALARM = 0x20, PERIODIC = 0x40 };

/*
 * Days are counted from 1 March of the year -400 of the Gregorian calendar: so a year ends with its
 * leap day, and no year that a guest can set is before it.
 */
#define DAYS_1970 865565
#define YEARS_ERA 400
#define DAYS_ERA  146097

enum rtc_field { SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY, FIELDS };

/* The alarm's seconds, minutes and hours each stand behind those of the time. */
static const uint8_t field_register[FIELDS] = {0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32};

static bool rtc_is_time(uint8_t index) {
    const uint64_t times = BIT(0) | BIT(2) | BIT(4) | BITS(6, 9) | BIT(0x32); /* field_register */
    return index < 64 && (times >> index & 1) != 0;
}

static struct rtc *rtc_of(struct device *dev) {
    return CONTAINER_OF(dev, struct rtc, dev);
}

static const struct dev_clock *rtc_clock(const struct rtc *rtc) {
    return rtc->dev.env->clock;
}

static void rtc_reset(struct device *dev) {
    struct rtc *rtc = rtc_of(dev);

    rtc->index = 0;
    rtc->ram[REG_A] = A_RESET;
    rtc->ram[REG_B] = B_24_HOURS;
    rtc->ram[REG_C] = 0;
    rtc->seen = clock_ticks(rtc_clock(rtc), CRYSTAL_HZ);
}

static bool rtc_stands(const struct rtc *rtc) {
    return (rtc->ram[REG_B] & B_SET) != 0;
}

static uint8_t rtc_bcd(uint64_t value) {
    return (uint8_t)(value / 10 * 16 + value % 10);
}

/* Seconds on the scale above, before the guest's offset. */
static uint64_t rtc_host_seconds(const struct rtc *rtc) {
    return rtc_clock(rtc)->wall_at_zero + clock_ticks(rtc_clock(rtc), 1) + DAYS_1970 * DAY_SECONDS;
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
        rtc->ram[field_register[f]] = rtc_bcd(fields[f]);
    }
}

/* Takes the time in the registers, whatever the guest put there, as the time of now. */
static void rtc_store(struct rtc *rtc) {
    uint64_t fields[FIELDS];
    for (unsigned f = 0; f < FIELDS; f++) {
        fields[f] = rtc->ram[field_register[f]] / 16 * 10u + rtc->ram[field_register[f]] % 16;
    }
    uint64_t month = (fields[MONTH] + 9) % 12; /* from March */
    uint64_t year = fields[CENTURY] * 100 + fields[YEAR] + YEARS_ERA - (month >= 10);
    uint64_t days =
        year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + fields[DAY] - 1;
    uint64_t seconds = ((days * 24 + fields[HOUR]) * 60 + fields[MINUTE]) * 60 + fields[SECOND];
    rtc->offset = seconds - rtc_host_seconds(rtc);
}

static bool rtc_alarm_is(const struct rtc *rtc, unsigned field, uint64_t value) {
    uint8_t byte = rtc->ram[field_register[field] + 1];
    return byte >= DONT_CARE || byte == rtc_bcd(value);
}

/* After how many seconds what differs from the alarm at this time of day changes; 1 if nothing but
 * the second may differ. */
static unsigned rtc_alarm_unit(const struct rtc *rtc, uint64_t of_day) {
    if (!rtc_alarm_is(rtc, HOUR, of_day / 3600)) {
        return 3600;
    }
    return rtc_alarm_is(rtc, MINUTE, of_day / 60 % 60) ? 1 : 60;
}

/* The next second of the VM's clock after one at which the alarm goes off. */
static uint64_t rtc_alarm_after(const struct rtc *rtc, uint64_t second) {
    uint64_t base = rtc_clock(rtc)->wall_at_zero + DAYS_1970 * DAY_SECONDS + rtc->offset;
    /* What differs is skipped up to its next change. An alarm that needs more steps never comes. */
    for (unsigned steps = 0; steps < ALARM_STEPS; steps++) {
        uint64_t now = (base + ++second) % DAY_SECONDS;
        unsigned unit = rtc_alarm_unit(rtc, now);
        if (unit == 1 && rtc_alarm_is(rtc, SECOND, now % 60)) {
            return second;
        }
        second += unit - 1 - now % unit;
    }
    return NEVER / CRYSTAL_HZ;
}

/* log2 of the periodic interrupt's period, in ticks; rates 1 and 2 are 8 and 9 once more. */
static unsigned rtc_rate(const struct rtc *rtc) {
    unsigned rate = rtc->ram[REG_A] & A_RATE;

    if (rate == 0) {
        return RATE_NEVER;
    }
    return rate > 2 ? rate - 1 : rate + 6;
}

/* Sets the flags of what has happened since the last look. */
static void rtc_update(struct rtc *rtc, uint64_t moment) {
    uint64_t now = clock_ticks_at(rtc_clock(rtc), moment, CRYSTAL_HZ);
    uint64_t second = now / CRYSTAL_HZ, before = rtc->seen / CRYSTAL_HZ;
    unsigned rate = rtc_rate(rtc), flags = rtc->ram[REG_C] & ~(unsigned)C_ACTIVE;
    flags |= now >> rate != rtc->seen >> rate ? PERIODIC : 0;
    if (!rtc_stands(rtc) && second != before) {
        flags |= UPDATED | (rtc_alarm_after(rtc, before) <= second ? ALARM : 0u);
    }
    bool active = (flags & rtc->ram[REG_B] & (UPDATED | ALARM | PERIODIC)) != 0;
    rtc->ram[REG_C] = (uint8_t)(flags | (active ? C_ACTIVE : 0));
    rtc->seen = now;
}

static void rtc_drive(const struct rtc *rtc, bool asserted) {
    rtc->dev.env->irq(rtc->dev.env, RTC_IRQ, asserted);
}

/* With its line up it has nothing more to say until the guest reads register C. */
static uint64_t rtc_service(struct device *dev, uint64_t moment) {
    struct rtc *rtc = rtc_of(dev);

    rtc_update(rtc, moment);
    bool active = (rtc->ram[REG_C] & C_ACTIVE) != 0;
    rtc_drive(rtc, active);
    unsigned enabled = active ? 0 : rtc->ram[REG_B];
    uint64_t rate = rtc_rate(rtc), second = rtc->seen / CRYSTAL_HZ;
    uint64_t tick = (enabled & PERIODIC) != 0 ? ((rtc->seen >> rate) + 1) << rate : NEVER;
    uint64_t update = (enabled & UPDATED) != 0 ? (second + 1) * CRYSTAL_HZ : NEVER;
    uint64_t alarm = (enabled & ALARM) != 0 ? rtc_alarm_after(rtc, second) * CRYSTAL_HZ : NEVER;
    uint64_t due = min_u64(tick, min_u64(update, alarm));
    return due == NEVER ? 0 : clock_when(rtc_clock(rtc), due, CRYSTAL_HZ);
}

static uint8_t rtc_read_register(struct rtc *rtc) {
    bool stands = rtc_stands(rtc);
    if (rtc_is_time(rtc->index) && !stands) {
        rtc_load(rtc);
    }
    uint8_t value = rtc->index == REG_D ? D_VALID : rtc->ram[rtc->index];
    if (rtc->index == REG_A && !stands &&
        clock_ticks(rtc_clock(rtc), CRYSTAL_HZ) % CRYSTAL_HZ >= CRYSTAL_HZ - UIP_TICKS) {
        value |= A_UIP;
    }
    if (rtc->index == REG_C) {
        rtc_update(rtc, clock_now(rtc_clock(rtc)));
        value = rtc->ram[REG_C];
        rtc->ram[REG_C] = 0;
        rtc_drive(rtc, false);
        rtc->dev.env->reschedule(rtc->dev.env);
    }
    return value;
}

/* While B_SET is on the registers stand still, and no update ends. Register C is read-only. */
static void rtc_write_register(struct rtc *rtc, uint8_t value) {
    bool stood = rtc_stands(rtc);
    rtc_update(rtc, clock_now(rtc_clock(rtc)));
    if (!stood) {
        rtc_load(rtc);
    }
    rtc->ram[rtc->index] = rtc->index == REG_C ? rtc->ram[REG_C] : value;
    rtc->ram[REG_A] &= (uint8_t)~A_UIP;
    rtc->ram[REG_B] &= (uint8_t) ~(B_BINARY | (rtc_stands(rtc) ? UPDATED : 0));
    rtc->ram[REG_B] |= B_24_HOURS;
    if (!rtc_stands(rtc) && (stood || rtc_is_time(rtc->index))) {
        rtc_store(rtc);
    }
    rtc->dev.env->reschedule(rtc->dev.env);
}

static uint64_t rtc_read(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size) {
    /* The index is write-only. */
    return size == 1 && at == OFFSET_DATA ? rtc_read_register(rtc_of(dev)) : UINT32_MAX;
}

static void rtc_write(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size,
                      uint64_t value) {
    struct rtc *rtc = rtc_of(dev);

    if (at == OFFSET_INDEX) {
        rtc->index = value & 0x7f; /* bit 7 masks NMI, of which this machine has none */
        if (size == 2) {
            rtc_write_register(rtc, (uint8_t)(value >> 8)); /* index and data in one */
        }
    } else if (size == 1) {
        rtc_write_register(rtc, (uint8_t)value);
    }
}

const struct device_ops rtc_ops = {
    .name = "CMOS clock",
    .reset = rtc_reset,
    .read = rtc_read,
    .write = rtc_write,
    .service = rtc_service,
};
