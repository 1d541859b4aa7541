/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC around the CPU: its small devices. What is not there is the hostile guest's matter.
 */
#include "guests/test/guest.h"

#define PM1_RTC_STS (1u << 10) /* written as 1 it is cleared */

/* The string form, from a port that nobody has. */
void test_string_io(void) {
    uint8_t buffer[16] = {0};
    void *to = buffer;
    uint64_t count = sizeof(buffer);
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"((uint16_t)0x501) : "memory");
    bool ones = count == 0 && to == buffer + sizeof(buffer);
    for (size_t i = 0; i < sizeof(buffer); i++) {
        ones = ones && buffer[i] == 0xff;
    }
    tap_line(ones, "REP INSB from such a port fills with ones");
}

static uint32_t pci_read(uint32_t address) {
    out32(0xcf8, 0x80000000 | address);
    return in32(0xcfc);
}

#define PCI_RNG     (1u << 11)  /* 00:01.0 */
#define PCI_CONSOLE (19u << 11) /* 00:13.0 */

/* The whole of bus 0, the first device of each other bus. */
static void test_pci(void) {
    unsigned found = 0;
    tap_line_value(pci_read(0) == 0x12378086, "a host bridge", pci_read(0));
    tap_line_value(pci_read(PCI_RNG) == 0x10441af4, "virtio's source of entropy",
                   pci_read(PCI_RNG));
    tap_line_value(pci_read(PCI_CONSOLE) == 0x10431af4, "virtio's console", pci_read(PCI_CONSOLE));
    for (uint32_t function = 1; function < 0x100; function++) {
        if (function << 8 == PCI_RNG || function << 8 == PCI_CONSOLE) {
            continue;
        }
        found += pci_read(function << 8) != UINT32_MAX;
    }
    for (uint32_t bus = 1; bus < 0x100; bus++) {
        found += pci_read(bus << 16) != UINT32_MAX;
    }
    tap_line_value(found == 0, "no other device on any bus", found);
    out32(0xcf8, 0);
    tap_line(in32(0xcfc) == UINT32_MAX, "nothing while the address register is not enabled");
}

static uint8_t cmos(uint8_t reg) {
    out8(0x70, reg);
    return in8(0x71);
}

static void test_cmos(void) {
    uint8_t day = cmos(7), month = cmos(8), century = cmos(0x32), second = cmos(0), now = second;
    tap_line_value((cmos(0xd) & 0x80) != 0, "CMOS: its time is valid", cmos(0xd));
    tap_line_value(day >= 1 && day <= 0x31 && month >= 1 && month <= 0x12, "a day in a month",
                   (uint64_t)month << 8 | day);
    tap_line_value(century == 0x19 || century == 0x20, "a century", century);
    for (uint64_t start = read_tsc(); now == second && read_tsc() - start < 3 * machine.tsc_hz / 2;
         now = cmos(0)) {
    }
    tap_line_value(now != second, "its seconds go on", now);
}

static void test_pm(void) {
    uint32_t start = in32(0x608), last = start;
    bool forward = true;
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t now = in32(0x608);
        forward = forward && now - last < 0x800000;
        last = now;
    }
    tap_line(forward && last != start, "PM timer: it only goes on");
    tap_line_value((in16(0x604) & 1) != 0, "PM1 control: ACPI is on", in16(0x604));
    out16(0x600, PM1_RTC_STS); /* an alarm of the CMOS clock, of another group of tests */
    tap_line_value(in16(0x600) == 0, "PM1 status: nothing happened", in16(0x600));
}

static void test_uart(void) {
    out8(0x3ff, 0x5a);
    tap_line_value(in8(0x3ff) == 0x5a, "UART: scratch register", in8(0x3ff));
    out8(0x3fc, 0x10); /* loopback */
    out8(0x3f8, 'x');
    uint8_t status = in8(0x3fd), back = in8(0x3f8);
    out8(0x3fc, 0x03);
    tap_line_value((status & 1) != 0 && back == 'x', "UART: a byte comes back in loopback",
                   (uint64_t)status << 8 | back);
}

/* The line that PCs once closed for programs of the 8086. */
static void test_a20(void) {
    volatile uint32_t *low = (volatile uint32_t *)0x8000, *high = (volatile uint32_t *)0x108000;
    uint32_t before = *high;
    out8(0x92, 0);
    *low = ~before;
    bool open = *high == before && *low == ~before;
    out8(0x92, 2);
    tap_line(open, "A20 stays open, whatever port 92h is told");
}

/* As WDAT says: so many ticks, of which ten are a second, that are left, runs, food. */
#define WATCHDOG_COUNT   0x620
#define WATCHDOG_LEFT    0x624
#define WATCHDOG_CONTROL 0x628
#define WATCHDOG_FEED    0x629
#define WATCHDOG_TICKS   20u

/* Fed for three times as long as it waits; then not any more, which ends this guest. */
void test_watchdog(void) {
    uint64_t tick = machine.tsc_hz / 10;

    tap_line_value(in8(WATCHDOG_CONTROL) == 0, "the watchdog is off at the start",
                   in8(WATCHDOG_CONTROL));
    tap_line_value(in32(WATCHDOG_COUNT) == WATCHDOG_TICKS, "it waits as long as the config says",
                   in32(WATCHDOG_COUNT));
    out8(WATCHDOG_CONTROL, 1);
    for (uint64_t start = read_tsc(); read_tsc() - start < 3 * WATCHDOG_TICKS * tick;) {
        out8(WATCHDOG_FEED, 1);
    }
    tap_line_value(in32(WATCHDOG_LEFT) != 0, "who feeds it lives", in32(WATCHDOG_LEFT));
    for (uint64_t start = read_tsc(); read_tsc() - start < 2 * WATCHDOG_TICKS * tick;) {
        (void)in32(WATCHDOG_LEFT);
    }
    tap_line_value(false, "who does not feed it still runs", in32(WATCHDOG_LEFT));
}

void test_platform(void) {
    test_pci();
    test_cmos();
    test_pm();
    test_uart();
    test_a20();
    out8(0x80, 0x12);
    tap_line_value(in8(0x80) == 0xff, "POST code: taken, not kept", in8(0x80));
    tap_line_value((in8(0x64) & 2) == 0, "keyboard controller: takes commands", in8(0x64));
}
