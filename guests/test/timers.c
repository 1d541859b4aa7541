/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clocks of a PC against one another: the 8254's modes through pin 2 of the I/O APIC, the CMOS
 * clock's three interrupts through pin 8, the local APIC's timer in its three modes, the ACPI PM
 * timer beside the TSC. An interrupt may come late on a busy host, never early. Leaves all of them
 * silent. Sources: Intel 82C54 and Motorola MC146818A data sheets; ACPI "Power Management Timer".
 */
#include "guests/test/guest.h"

#define IOAPIC_PAGE  0xfec00000ull
#define PIT_HZ       1193182ull
#define PM_TIMER     0x608
#define PM_HZ        3579545ull
#define MSR_DEADLINE 0x6e0

enum { PIN_PIT = 2, PIN_RTC = 8, VECTOR_APIC = 0x41, VECTOR_PIT = 0x43, VECTOR_RTC = 0x48 };
enum { APIC_SPURIOUS = 0x0f0, APIC_LVT_TIMER = 0x320, APIC_INITIAL = 0x380, APIC_DIVIDE = 0x3e0 };
enum { RTC_SECONDS = 0, RTC_ALARM = 1, RTC_A = 0x0a, RTC_B, RTC_C };
enum { UPDATED = 0x10, ALARM = 0x20, PERIODIC = 0x40, IRQF = 0x80, UIP = 0x80, HOURS_24 = 0x02 };

static void ioapic_write(uint32_t reg, uint32_t value) {
    *(volatile uint32_t *)(uintptr_t)IOAPIC_PAGE = reg;
    *(volatile uint32_t *)(uintptr_t)(IOAPIC_PAGE + 0x10) = value;
}

/* Edge-triggered, to APIC 0; vector 0 masks the pin. */
static void route(unsigned pin, uint8_t vector) {
    ioapic_write(0x11 + 2 * pin, 0);
    ioapic_write(0x10 + 2 * pin, vector == 0 ? 0x10000 : vector);
}

static uint8_t rtc_read(uint8_t reg) {
    out8(0x70, reg);
    return in8(0x71);
}

static void rtc_write(uint8_t reg, uint8_t value) {
    out8(0x70, reg);
    out8(0x71, value);
}

static void pit_start(unsigned mode, uint16_t count) {
    out8(0x43, (uint8_t)(0x30 | mode << 1));
    out8(0x40, (uint8_t)count);
    out8(0x40, (uint8_t)(count >> 8));
}

static uint64_t microseconds(uint64_t tsc) {
    return tsc * 1000000 / machine.tsc_hz;
}

/* Lets interrupts in until vector has come n times since the count was from, or the time is over.
 */
static bool wait_irqs(uint8_t vector, uint64_t from, uint64_t n, uint64_t us) {
    uint64_t start = read_tsc();
    interrupts_on();
    while (irq_count[vector] - from < n && microseconds(read_tsc() - start) < us) {
        __builtin_ia32_pause();
    }
    interrupts_off();
    return irq_count[vector] - from >= n;
}

/* Takes what an earlier test left; the count from here on. */
static uint64_t drain(uint8_t vector) {
    (void)wait_irqs(vector, irq_count[vector], 2, 2000);
    return irq_count[vector];
}

/* Not before its time (less one in a thousand, for what the clocks differ); late by half a second
 * at most. */
static void in_time(const char *text, uint64_t start, uint64_t us) {
    uint64_t took = microseconds(read_tsc() - start);
    tap_line_value(took + us / 1000 + 2 >= us && took < 2 * us + 500000, text, took);
}

static void test_pit_periodic(unsigned mode, const char *come, const char *time) {
    out8(0x43, 0x30);
    uint64_t before = drain(VECTOR_PIT), start = read_tsc();
    pit_start(mode, 5966); /* 5 ms */
    tap_line(wait_irqs(VECTOR_PIT, before, 5, 5000000), come);
    in_time(time, start, 25000);
}

static void test_pit_once(unsigned mode, const char *come, const char *time, const char *no_more) {
    out8(0x43, 0x30);
    uint64_t before = drain(VECTOR_PIT), start = read_tsc();
    pit_start(mode, 11932); /* 10 ms */
    tap_line(wait_irqs(VECTOR_PIT, before, 1, 5000000), come);
    in_time(time, start, 10000);
    tap_line(!wait_irqs(VECTOR_PIT, before, 2, 70000), no_more);
}

static void test_pit(void) {
    route(PIN_PIT, VECTOR_PIT);
    test_pit_periodic(2, "8254 mode 2: five interrupts come", "8254 mode 2: in their time");
    test_pit_periodic(3, "8254 mode 3: five interrupts come", "8254 mode 3: in their time");
    uint64_t before = irq_count[VECTOR_PIT];
    for (unsigned i = 0; i < 3; i++) {
        __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
    }
    tap_line(irq_count[VECTOR_PIT] - before >= 3, "8254 mode 3: it ends HLT");
    test_pit_once(0, "8254 mode 0: an interrupt comes", "8254 mode 0: in its time",
                  "8254 mode 0: it comes once");
    test_pit_once(4, "8254 mode 4: an interrupt comes", "8254 mode 4: in its time",
                  "8254 mode 4: it comes once");
    out8(0x43, 0x30);
    before = drain(VECTOR_PIT);
    pit_start(0, 0);  /* 55 ms */
    out8(0x43, 0x30); /* the mode again, and no count */
    tap_line(!wait_irqs(VECTOR_PIT, before, 1, 80000), "8254: a new mode stops what ran");
    route(PIN_PIT, 0);
    pit_start(2, 1193);
    tap_line(!wait_irqs(VECTOR_PIT, before, 1, 10000), "8254: nothing through a masked pin");
    /* 600,000 a second: its guest has to go on all the same. In an emulator that counts
     * instructions even what the hypervisor makes of it leaves too few of them. */
    if (machine.tsc_hz >= 500000000) {
        pit_start(2, 2);
        route(PIN_PIT, VECTOR_PIT);
        tap_line(wait_irqs(VECTOR_PIT, before, 100, 5000000), "8254 at its fastest: it goes on");
    } else {
        tap_skip("8254 at its fastest: it goes on", "a slow CPU");
    }
    out8(0x43, 0x30);
    route(PIN_PIT, 0);
}

/* The seconds when an update is through; the update-in-progress bit tells. A machine that holds
 * this CPU up for the two milliseconds that it stands shows the new second already: the next update
 * is taken then. */
static bool wait_update(void) {
    uint64_t start = read_tsc();
    uint8_t before = 0;
    do {
        while ((rtc_read(RTC_A) & UIP) == 0 && microseconds(read_tsc() - start) < 10000000) {
        }
        before = rtc_read(RTC_SECONDS);
    } while ((rtc_read(RTC_A) & UIP) == 0 && microseconds(read_tsc() - start) < 10000000);
    while ((rtc_read(RTC_A) & UIP) != 0 && microseconds(read_tsc() - start) < 10000000) {
    }
    return rtc_read(RTC_SECONDS) != before;
}

static void test_rtc_periodic(void) {
    bool flags = true;
    rtc_write(RTC_A, 0x26); /* 1024 a second */
    (void)rtc_read(RTC_C);
    uint64_t before = drain(VECTOR_RTC), start = read_tsc();
    rtc_write(RTC_B, HOURS_24 | PERIODIC);
    for (unsigned n = 1; n <= 20; n++) {
        (void)wait_irqs(VECTOR_RTC, before, n, 5000000);
        flags = (rtc_read(RTC_C) & (IRQF | PERIODIC)) == (IRQF | PERIODIC) && flags;
    }
    tap_line_value(irq_count[VECTOR_RTC] - before >= 20 && flags,
                   "CMOS clock: periodic interrupts, told by register C",
                   irq_count[VECTOR_RTC] - before);
    /* The first may come at once, for a flag that stood, the second with the next tick. */
    in_time("CMOS clock: 1024 a second", start, 18 * 1000000 / 1024);
    (void)wait_irqs(VECTOR_RTC, irq_count[VECTOR_RTC], 1, 5000000);
    before = irq_count[VECTOR_RTC];
    tap_line(!wait_irqs(VECTOR_RTC, before, 1, 20000),
             "CMOS clock: none while register C is not read");
}

static void test_rtc(void) {
    rtc_write(RTC_B, HOURS_24);
    (void)rtc_read(RTC_C);
    route(PIN_RTC, VECTOR_RTC);
    tap_line(wait_update(), "CMOS clock: the second turns when the update is through");
    test_rtc_periodic();

    rtc_write(RTC_B, HOURS_24);
    (void)rtc_read(RTC_C);
    uint64_t before = drain(VECTOR_RTC);
    rtc_write(RTC_B, HOURS_24 | UPDATED);
    tap_line(wait_irqs(VECTOR_RTC, before, 1, 5000000), "CMOS clock: update-ended interrupt");
    uint8_t flags = rtc_read(RTC_C);
    tap_line_value((flags & (IRQF | UPDATED)) == (IRQF | UPDATED), "CMOS clock: its flag", flags);

    /* The alarm is one to two seconds from here. */
    uint8_t now = rtc_read(RTC_SECONDS), then = (uint8_t)((now / 16 * 10 + now % 16 + 2) % 60);
    uint64_t start = read_tsc();
    rtc_write(RTC_ALARM, (uint8_t)(then / 10 * 16 + then % 10));
    rtc_write(RTC_ALARM + 2, 0xff);
    rtc_write(RTC_ALARM + 4, 0xff);
    rtc_write(RTC_B, HOURS_24);
    (void)rtc_read(RTC_C);
    before = drain(VECTOR_RTC);
    rtc_write(RTC_B, HOURS_24 | ALARM);
    tap_line(wait_irqs(VECTOR_RTC, before, 1, 10000000), "CMOS clock: alarm");
    uint8_t seconds = rtc_read(RTC_SECONDS);
    tap_line_value(seconds == rtc_read(RTC_ALARM), "CMOS clock: at its second", seconds);
    in_time("CMOS clock: not before its time", start, 1000000);
    flags = rtc_read(RTC_C);
    tap_line_value((flags & (IRQF | ALARM)) == (IRQF | ALARM), "CMOS clock: the alarm's flag",
                   flags);
    flags = rtc_read(RTC_C);
    tap_line_value((flags & (IRQF | ALARM)) == 0, "CMOS clock: reading takes it away", flags);
    rtc_write(RTC_B, HOURS_24);
    before = drain(VECTOR_RTC);
    tap_line(!wait_irqs(VECTOR_RTC, before, 1, 20000), "CMOS clock: silent again");
    route(PIN_RTC, 0);
}

/* Its clock is told in CPUID 15h. */
static void test_apic_timer(void) {
    uint32_t r[4];
    cpuid(0x15, 0, r);
    uint32_t ms10 = r[2] / 100;
    tap_line_value(ms10 != 0, "CPUID 15h tells the local APIC timer's clock", r[2]);
    apic_write(APIC_DIVIDE, 0xb); /* by 1 */
    apic_write(APIC_LVT_TIMER, VECTOR_APIC);
    uint64_t before = drain(VECTOR_APIC), start = read_tsc();
    apic_write(APIC_INITIAL, ms10);
    tap_line(wait_irqs(VECTOR_APIC, before, 1, 5000000), "local APIC: one-shot");
    in_time("local APIC: one-shot in its time", start, 10000);
    tap_line(!wait_irqs(VECTOR_APIC, before, 2, 30000), "local APIC: one-shot comes once");

    apic_write(APIC_LVT_TIMER, 0x20000 | VECTOR_APIC);
    before = irq_count[VECTOR_APIC];
    start = read_tsc();
    apic_write(APIC_INITIAL, ms10);
    tap_line(wait_irqs(VECTOR_APIC, before, 3, 5000000), "local APIC: periodic");
    in_time("local APIC: periodic in its time", start, 30000);

    /* Both timers of this CPU at once: neither takes the other's turn. */
    uint64_t pit = drain(VECTOR_PIT);
    before = irq_count[VECTOR_APIC];
    route(PIN_PIT, VECTOR_PIT);
    pit_start(2, 4773); /* 4 ms */
    tap_line(wait_irqs(VECTOR_APIC, before, 10, 5000000) && wait_irqs(VECTOR_PIT, pit, 20, 5000000),
             "local APIC and 8254 side by side");
    out8(0x43, 0x30);
    route(PIN_PIT, 0);
    apic_write(APIC_INITIAL, 0);

    cpuid(1, 0, r);
    if ((r[2] & 1u << 24) != 0) {
        apic_write(APIC_LVT_TIMER, 0x40000 | VECTOR_APIC);
        before = drain(VECTOR_APIC);
        start = read_tsc();
        (void)try_write_msr(MSR_DEADLINE, start + machine.tsc_hz / 100);
        tap_line(wait_irqs(VECTOR_APIC, before, 1, 5000000), "local APIC: TSC deadline");
        in_time("local APIC: TSC deadline in its time", start, 10000);
    }
    apic_write(APIC_LVT_TIMER, 0x10000 | VECTOR_APIC);
}

struct sample {
    uint64_t tsc;
    uint32_t pm;
};

/* Both at one moment: the try of eight that was disturbed least. */
static struct sample sample_clocks(void) {
    struct sample best = {0, 0};
    uint64_t shortest = UINT64_MAX;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t before = read_tsc();
        uint32_t pm = in32(PM_TIMER);
        uint64_t took = read_tsc() - before;
        if (took < shortest) {
            shortest = took;
            best = (struct sample){before + took / 2, pm};
        }
    }
    return best;
}

static void test_pm_timer(void) {
    struct sample from = sample_clocks(), to;
    do {
        to = sample_clocks();
    } while (to.pm - from.pm < PM_HZ / 5);
    uint64_t by_tsc = microseconds(to.tsc - from.tsc);
    uint64_t by_pm = (uint64_t)(to.pm - from.pm) * 1000000 / PM_HZ;
    uint64_t off = by_tsc > by_pm ? by_tsc - by_pm : by_pm - by_tsc;
    tap_line_value(off <= by_pm / 100, "ACPI PM timer and TSC agree within 1 %", off);
    uint32_t r[4];
    cpuid(0x40000010, 0, r);
    off =
        r[0] > machine.tsc_hz / 1000 ? r[0] - machine.tsc_hz / 1000 : machine.tsc_hz / 1000 - r[0];
    tap_line_value(off <= r[0] / 1000, "CPUID 40000010h and 15h tell one TSC frequency", r[0]);
    cpuid(0x16, 0, r);
    uint64_t mhz = machine.tsc_hz / 1000000; /* both were rounded */
    tap_line_value(r[0] + 1 >= mhz && r[0] <= mhz + 1, "CPUID 16h too", r[0]);
}

void test_timers(void) {
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_LVT_TIMER, 0x10000 | VECTOR_APIC);
    test_pm_timer();
    test_pit();
    test_rtc();
    test_apic_timer();
}
