/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACPI fixed hardware and the reset lines: what they show, and what switches off or resets. */
#include "tests/unit/fake_env.h"

static uint64_t now;

static uint64_t tsc(void) {
    return now;
}

static bool sci;

static void set_irq(UNUSED const struct dev_env *env, unsigned irq, bool asserted) {
    CHECK_U64(irq, PM_SCI_IRQ);
    sci = asserted;
}

static const struct dev_clock dev_clock = {.host_tsc = tsc, .tsc_hz = 2000000000};
static struct pm *const pm = &fake_pc.pm;

static void fresh(void) {
    now = 0;
    sci = false;
    fake_env.clock = &dev_clock;
    fake_pc_start();
    fake_pc.env.irq = set_irq;
}

/* As the port handler cuts it. */
static uint64_t rd(uint16_t port, unsigned size) {
    return fake_in(port, size) & (BIT(8 * size) - 1);
}

TEST(registers) {
    fresh();
    CHECK_U64(rd(0x600, 4), 0);
    CHECK_U64(rd(0x604, 2), 1); /* always in ACPI mode */
    fake_out(0x604, 2, 0);
    CHECK_U64(rd(0x604, 2), 1);
    fake_out(0x602, 2, 0xffff);
    CHECK_U64(rd(0x602, 2), 0x4721);
    CHECK_U64(rd(0x600, 4), 0x47210000);
    CHECK_U64(rd(0x603, 1), 0x47);
    fake_out(0x603, 1, 0);
    CHECK_U64(rd(0x602, 2), 0x21);
    fake_out(0x600, 2, 0xffff);
    CHECK_U64(rd(0x600, 2), 0);
    CHECK_U64(rd(0x602, 2), 0x21);
    fake_out(0x600, 4, 0x0001ffff);
    CHECK_U64(rd(0x600, 4), 0x00010000);
}

TEST(timer) {
    fresh();
    now = 2000000000;
    CHECK_U64(rd(0x608, 4), 3579545);
    now = 2000000000ull * 1201; /* 1201 s: past 2^32 ticks */
    CHECK_U64(rd(0x608, 4), (uint32_t)(1201ull * 3579545));
    CHECK_U64(rd(0x609, 1), (1201ull * 3579545) >> 8 & 0xff);
    fake_out(0x608, 4, 0);
    CHECK_U64(rd(0x608, 4), (uint32_t)(1201ull * 3579545));
}

TEST(sleep) {
    fresh();
    fake_out(0x604, 2, 5 << 10); /* the type alone does nothing */
    fake_out(0x604, 2, 0x2000 | 1 << 10);
    fake_out(0x604, 2, 0x2000);
    CHECK_U64(fake_power_offs, 0);
    CHECK_U64(rd(0x604, 2), 1);
    CHECK_U64(fake_sleeps, 2);
    CHECK_U64(fake_event_word, 0);   /* the type of the second */
    CHECK_U64(rd(0x600, 2), 0x8000); /* awake again */
    CHECK(!sci);
    fake_out(0x600, 2, 0x8000);
    CHECK_U64(rd(0x600, 4), 0);
    fake_out(0x604, 2, 0x2000 | 5 << 10);
    CHECK_U64(fake_power_offs, 1);
    CHECK_U64(rd(0x604, 2), 0x1401); /* SLP_EN reads 0 */
    fake_out(0x605, 1, 0x34);        /* the same by bytes */
    CHECK_U64(fake_power_offs, 2);
}

TEST(power_button) {
    fresh();
    pm_press_power_button(pm); /* nobody listens: it is seen later */
    CHECK_U64(rd(0x600, 2), 0x0100);
    CHECK(!sci);
    fake_out(0x602, 2, 0x0100);
    CHECK(sci);
    fake_out(0x600, 2, 0xfeff); /* other bits */
    CHECK(sci);
    fake_out(0x602, 2, 0x0621); /* the other events' enable bits */
    CHECK(!sci);
    fake_out(0x603, 1, 0x01);
    CHECK(sci);
    fake_out(0x601, 1, 0x01);
    CHECK(!sci);
    CHECK_U64(rd(0x600, 4), 0x01210000);
    pm_press_power_button(pm);
    CHECK(sci);
    fake_out(0x600, 4, 0x01000100); /* both registers at once */
    CHECK(!sci);
    CHECK_U64(rd(0x600, 4), 0x01000000);
    CHECK_U64(fake_power_offs + fake_resets + fake_sleeps, 0);
}

TEST(alarm_of_the_clock) {
    fresh();
    fake_out(0x602, 2, 0x0400);
    pm_set_rtc_line(pm, true);
    CHECK(sci);
    CHECK_U64(rd(0x600, 2), 0x0400);
    fake_out(0x600, 2, 0x0400);
    CHECK(!sci);
    pm_set_rtc_line(pm, true); /* still the same one */
    CHECK(!sci);
    pm_set_rtc_line(pm, false);
    fake_out(0x602, 2, 0);
    pm_set_rtc_line(pm, true); /* it tells whoever asks */
    CHECK(!sci);
    CHECK_U64(rd(0x600, 2), 0x0400);
}

TEST(reset_ways) {
    fresh();
    fake_out(0x64, 1, 0xfe);
    CHECK_U64(fake_resets, 1);
    fake_out(0x64, 1, 0xd1);
    fake_out(0x60, 1, 0xfe);
    fake_out(0x80, 1, 0xfe);
    fake_out(0x64, 2, 0xfe);
    CHECK_U64(fake_resets, 1);
    CHECK_U64(fake_in(0x64, 1), 0);
    fake_out(0x92, 1, 0x02);
    CHECK_U64(fake_in(0x92, 1), 0x02);
    CHECK_U64(fake_resets, 1);
    fake_out(0x92, 1, 0x03);
    fake_out(0x92, 1, 0x03); /* it is the rise that counts */
    CHECK_U64(fake_resets, 2);
    fake_out(RESET_PORT, 1, 0x02);
    CHECK_U64(fake_resets, 2);
    CHECK_U64(fake_in(RESET_PORT, 1), 0x02);
    fake_out(RESET_PORT, 1, RESET_VALUE);
    CHECK_U64(fake_resets, 3);
    CHECK_U64(fake_in(0x60, 1) & 0xff, 0xff);
}

TEST_MAIN(T(registers), T(timer), T(sleep), T(power_button), T(alarm_of_the_clock), T(reset_ways))
