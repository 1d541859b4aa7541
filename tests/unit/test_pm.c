/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI fixed hardware and the reset lines: what they show, and what switches off or resets. */
#include "hv/dev/platform.h"
#include "tests/unit/test.h"

static uint64_t now;
static unsigned offs, resets;

static uint64_t tsc(void) {
    return now;
}

void vm_leave(struct vm *vm, enum vm_leave leave, const char *reason) {
    (void)vm, (void)reason;
    offs += leave == LEAVE_POWER_OFF;
    resets += leave == LEAVE_RESET;
}

static bool sci;
static unsigned sleeps;

void vm_set_irq(struct vm *vm, unsigned irq, bool asserted) {
    (void)vm;
    CHECK_U64(irq, PM_SCI_IRQ);
    sci = asserted;
}

void vm_sleep_refused(struct vm *vm, unsigned type) {
    (void)vm;
    CHECK(type != PM_S5_TYPE);
    sleeps++;
}

static const struct dev_clock dev_clock = {.host_tsc = tsc, .tsc_hz = 2000000000};
static struct pm pm;
static struct chipset lines;

static void fresh(void) {
    now = offs = resets = sleeps = 0;
    sci = false;
    memset(&pm, 0xa5, sizeof(pm));
    pm_reset(&pm, NULL, &dev_clock);
    memset(&lines, 0xa5, sizeof(lines));
    chipset_reset(&lines, NULL);
}

/* As the port handler cuts it. */
static uint64_t rd(uint16_t port, unsigned size) {
    return pm_read(&pm, port, size) & (BIT(8 * size) - 1);
}

TEST(registers) {
    fresh();
    CHECK_U64(rd(0x600, 4), 0);
    CHECK_U64(rd(0x604, 2), 1); /* always in ACPI mode */
    pm_write(&pm, 0x604, 2, 0);
    CHECK_U64(rd(0x604, 2), 1);
    pm_write(&pm, 0x602, 2, 0xffff);
    CHECK_U64(rd(0x602, 2), 0x4721);
    CHECK_U64(rd(0x600, 4), 0x47210000);
    CHECK_U64(rd(0x603, 1), 0x47);
    pm_write(&pm, 0x603, 1, 0);
    CHECK_U64(rd(0x602, 2), 0x21);
    pm_write(&pm, 0x600, 2, 0xffff);
    CHECK_U64(rd(0x600, 2), 0);
    CHECK_U64(rd(0x602, 2), 0x21);
    pm_write(&pm, 0x600, 4, 0x0001ffff);
    CHECK_U64(rd(0x600, 4), 0x00010000);
}

TEST(timer) {
    fresh();
    now = 2000000000;
    CHECK_U64(rd(0x608, 4), 3579545);
    now = 2000000000ull * 1201; /* 1201 s: past 2^32 ticks */
    CHECK_U64(rd(0x608, 4), (uint32_t)(1201ull * 3579545));
    CHECK_U64(rd(0x609, 1), (1201ull * 3579545) >> 8 & 0xff);
    pm_write(&pm, 0x608, 4, 0);
    CHECK_U64(rd(0x608, 4), (uint32_t)(1201ull * 3579545));
}

TEST(sleep) {
    fresh();
    pm_write(&pm, 0x604, 2, 5 << 10); /* the type alone does nothing */
    pm_write(&pm, 0x604, 2, 0x2000 | 1 << 10);
    pm_write(&pm, 0x604, 2, 0x2000);
    CHECK_U64(offs, 0);
    CHECK_U64(rd(0x604, 2), 1);
    CHECK_U64(sleeps, 2);
    CHECK_U64(rd(0x600, 2), 0x8000); /* awake again */
    CHECK(!sci);
    pm_write(&pm, 0x600, 2, 0x8000);
    CHECK_U64(rd(0x600, 4), 0);
    pm_write(&pm, 0x604, 2, 0x2000 | 5 << 10);
    CHECK_U64(offs, 1);
    CHECK_U64(rd(0x604, 2), 0x1401); /* SLP_EN reads 0 */
    pm_write(&pm, 0x605, 1, 0x34);   /* the same by bytes */
    CHECK_U64(offs, 2);
}

TEST(power_button) {
    fresh();
    pm_press_power_button(&pm); /* nobody listens: it is seen later */
    CHECK_U64(rd(0x600, 2), 0x0100);
    CHECK(!sci);
    pm_write(&pm, 0x602, 2, 0x0100);
    CHECK(sci);
    pm_write(&pm, 0x600, 2, 0xfeff); /* other bits */
    CHECK(sci);
    pm_write(&pm, 0x602, 2, 0x0621); /* the other events' enable bits */
    CHECK(!sci);
    pm_write(&pm, 0x603, 1, 0x01);
    CHECK(sci);
    pm_write(&pm, 0x601, 1, 0x01);
    CHECK(!sci);
    CHECK_U64(rd(0x600, 4), 0x01210000);
    pm_press_power_button(&pm);
    CHECK(sci);
    pm_write(&pm, 0x600, 4, 0x01000100); /* both registers at once */
    CHECK(!sci);
    CHECK_U64(rd(0x600, 4), 0x01000000);
    CHECK_U64(offs + resets + sleeps, 0);
}

TEST(alarm_of_the_clock) {
    fresh();
    pm_write(&pm, 0x602, 2, 0x0400);
    pm_set_rtc_line(&pm, true);
    CHECK(sci);
    CHECK_U64(rd(0x600, 2), 0x0400);
    pm_write(&pm, 0x600, 2, 0x0400);
    CHECK(!sci);
    pm_set_rtc_line(&pm, true); /* still the same one */
    CHECK(!sci);
    pm_set_rtc_line(&pm, false);
    pm_write(&pm, 0x602, 2, 0);
    pm_set_rtc_line(&pm, true); /* it tells whoever asks */
    CHECK(!sci);
    CHECK_U64(rd(0x600, 2), 0x0400);
}

TEST(reset_ways) {
    fresh();
    chipset_write(&lines, 0x64, 1, 0xfe);
    CHECK_U64(resets, 1);
    chipset_write(&lines, 0x64, 1, 0xd1);
    chipset_write(&lines, 0x60, 1, 0xfe);
    chipset_write(&lines, 0x80, 1, 0xfe);
    chipset_write(&lines, 0x64, 2, 0xfe);
    CHECK_U64(resets, 1);
    CHECK_U64(chipset_read(&lines, 0x64, 1), 0);
    chipset_write(&lines, 0x92, 1, 0x02);
    CHECK_U64(chipset_read(&lines, 0x92, 1), 0x02);
    CHECK_U64(resets, 1);
    chipset_write(&lines, 0x92, 1, 0x03);
    chipset_write(&lines, 0x92, 1, 0x03); /* it is the rise that counts */
    CHECK_U64(resets, 2);
    chipset_write(&lines, RESET_PORT, 1, 0x02);
    CHECK_U64(resets, 2);
    CHECK_U64(chipset_read(&lines, RESET_PORT, 1), 0x02);
    chipset_write(&lines, RESET_PORT, 1, RESET_VALUE);
    CHECK_U64(resets, 3);
    CHECK_U64(chipset_read(&lines, 0x60, 1) & 0xff, 0xff);
}

TEST_MAIN(T(registers), T(timer), T(sleep), T(power_button), T(alarm_of_the_clock), T(reset_ways))
