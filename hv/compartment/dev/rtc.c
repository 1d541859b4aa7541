/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CMOS clock: time of day from the VM's clock plus what the guest has set it off by, alarm,
 * periodic and update-ended interrupts, and 114 bytes of memory that live as long as the VM does.
 * What has happened is found out when somebody looks; only an enabled interrupt that the guest has
 * not yet been told of makes it tick. Source: Motorola MC146818A data sheet "Register Description",
 * "Interrupts"; century in byte 32h as the FADT says.
 */
#include "hv/compartment/dev/models.h"
#include "hv/lib/calendar.h"

#define DAY_SECONDS 86400ull
#define DAYS_BEFORE 1000000ull /* more than from the year 0 to 1970 */
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
/* How numbers stand in the registers of time and alarm: in BCD unless BINARY, hours to 12 with a
 * bit for the afternoon unless 24_HOURS. As on the chip, a change of mode converts no alarm. */
enum rtc_control { B_24_HOURS = 0x02, B_BINARY = 0x04, B_SET = 0x80 };
enum rtc_interrupt { UPDATED = 0x10, ALARM = 0x20, PERIODIC = 0x40 };

#define AFTERNOON 0x80u /* of hours that count to 12 */

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
    rtc->kept.ram[REG_A] = A_RESET;
    rtc->kept.ram[REG_B] = B_24_HOURS;
    rtc->kept.ram[REG_C] = 0;
    rtc->seen = clock_ticks(rtc_clock(rtc), CRYSTAL_HZ);
}

static bool rtc_stands(const struct rtc *rtc) {
    return (rtc->kept.ram[REG_B] & B_SET) != 0;
}

/* A number as it stands in the registers. */
static uint8_t rtc_encode(const struct rtc *rtc, enum rtc_field field, unsigned value) {
    unsigned afternoon = 0;

    if (field == HOUR && (rtc->kept.ram[REG_B] & B_24_HOURS) == 0) {
        afternoon = value >= 12 ? AFTERNOON : 0;
        value = (value + 11) % 12 + 1;
    }
    if ((rtc->kept.ram[REG_B] & B_BINARY) == 0) {
        value = value / 10 * 16 + value % 10;
    }
    return (uint8_t)(value | afternoon);
}

/* The way back; the guest may have written anything. */
static unsigned rtc_decode(const struct rtc *rtc, enum rtc_field field, unsigned byte) {
    bool to_12 = field == HOUR && (rtc->kept.ram[REG_B] & B_24_HOURS) == 0;
    unsigned value = to_12 ? byte & ~AFTERNOON : byte;

    if ((rtc->kept.ram[REG_B] & B_BINARY) == 0) {
        value = value / 16 * 10 + value % 16;
    }
    if (to_12) {
        value = value % 12 + ((byte & AFTERNOON) != 0 ? 12 : 0);
    }
    return value;
}

/* Seconds since 1970, before the guest's offset. */
static uint64_t rtc_host_seconds(const struct rtc *rtc) {
    return rtc_clock(rtc)->wall_at_zero + clock_ticks(rtc_clock(rtc), 1);
}

/* Puts the time of now into the registers. */
static void rtc_load(struct rtc *rtc) {
    struct calendar now = calendar_of((int64_t)(rtc_host_seconds(rtc) + rtc->kept.offset));
    const unsigned fields[FIELDS] = {
        [SECOND] = now.second,   [MINUTE] = now.minute,
        [HOUR] = now.hour,       [WEEKDAY] = now.weekday + 1,
        [DAY] = now.day,         [MONTH] = now.month,
        [YEAR] = now.year % 100, [CENTURY] = now.year / 100 % 100,
    };

    for (unsigned f = 0; f < FIELDS; f++) {
        rtc->kept.ram[field_register[f]] = rtc_encode(rtc, f, fields[f]);
    }
}

/* Takes the time in the registers, whatever the guest put there, as the time of now. */
static void rtc_store(struct rtc *rtc) {
    unsigned fields[FIELDS];

    for (unsigned f = 0; f < FIELDS; f++) {
        fields[f] = rtc_decode(rtc, f, rtc->kept.ram[field_register[f]]);
    }
    const struct calendar set = {
        .year = fields[CENTURY] * 100 + fields[YEAR],
        .month = fields[MONTH],
        .day = fields[DAY],
        .hour = fields[HOUR],
        .minute = fields[MINUTE],
        .second = fields[SECOND],
    };
    rtc->kept.offset = (uint64_t)calendar_seconds(&set) - rtc_host_seconds(rtc);
}

static bool rtc_alarm_is(const struct rtc *rtc, enum rtc_field field, uint64_t value) {
    uint8_t byte = rtc->kept.ram[field_register[field] + 1];
    return byte >= DONT_CARE || byte == rtc_encode(rtc, field, (unsigned)value);
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
    /* Of days alone; so many more that a time before 1970 is none below 0. */
    uint64_t base = rtc_clock(rtc)->wall_at_zero + rtc->kept.offset + DAYS_BEFORE * DAY_SECONDS;
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
    unsigned rate = rtc->kept.ram[REG_A] & A_RATE;

    if (rate == 0) {
        return RATE_NEVER;
    }
    return rate > 2 ? rate - 1 : rate + 6;
}

/* Sets the flags of what has happened since the last look. */
static void rtc_update(struct rtc *rtc, uint64_t moment) {
    uint64_t now = clock_ticks_at(rtc_clock(rtc), moment, CRYSTAL_HZ);
    uint64_t second = now / CRYSTAL_HZ, before = rtc->seen / CRYSTAL_HZ;
    unsigned rate = rtc_rate(rtc), flags = rtc->kept.ram[REG_C] & ~(unsigned)C_ACTIVE;
    flags |= now >> rate != rtc->seen >> rate ? PERIODIC : 0;
    if (!rtc_stands(rtc) && second != before) {
        flags |= UPDATED | (rtc_alarm_after(rtc, before) <= second ? ALARM : 0u);
    }
    bool active = (flags & rtc->kept.ram[REG_B] & (UPDATED | ALARM | PERIODIC)) != 0;
    rtc->kept.ram[REG_C] = (uint8_t)(flags | (active ? C_ACTIVE : 0));
    rtc->seen = now;
}

static void rtc_drive(const struct rtc *rtc, bool asserted) {
    rtc->dev.env->irq(rtc->dev.env, RTC_IRQ, asserted);
}

/* With its line up it has nothing more to say until the guest reads register C. */
static uint64_t rtc_service(struct device *dev, uint64_t moment) {
    struct rtc *rtc = rtc_of(dev);

    rtc_update(rtc, moment);
    bool active = (rtc->kept.ram[REG_C] & C_ACTIVE) != 0;
    rtc_drive(rtc, active);
    unsigned enabled = active ? 0 : rtc->kept.ram[REG_B];
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
    uint8_t value = rtc->index == REG_D ? D_VALID : rtc->kept.ram[rtc->index];
    if (rtc->index == REG_A && !stands &&
        clock_ticks(rtc_clock(rtc), CRYSTAL_HZ) % CRYSTAL_HZ >= CRYSTAL_HZ - UIP_TICKS) {
        value |= A_UIP;
    }
    if (rtc->index == REG_C) {
        rtc_update(rtc, clock_now(rtc_clock(rtc)));
        value = rtc->kept.ram[REG_C];
        rtc->kept.ram[REG_C] = 0;
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
    rtc->kept.ram[rtc->index] = rtc->index == REG_C ? rtc->kept.ram[REG_C] : value;
    rtc->kept.ram[REG_A] &= (uint8_t)~A_UIP;
    if (rtc_stands(rtc)) {
        rtc->kept.ram[REG_B] &= (uint8_t)~UPDATED;
    }
    if (!rtc_stands(rtc) && (stood || rtc_is_time(rtc->index))) {
        rtc_store(rtc);
    }
    rtc->dev.env->keep(rtc->dev.env, &rtc->kept);
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
