/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware: PM1a event and control registers, the power button, the CMOS clock's alarm
 * as a wake-up event and the PM timer, at the ports that the FADT names. S5 is the only sleep
 * state: whoever asks for another one is awake again at once. Source: ACPI Specification "PM1 Event
 * Grouping", "Sleeping States", "Power Management Timer".
 */
#include "hv/compartment/dev/models.h"

/* A bit of the status register is set by the event and cleared by writing 1; while its bit in the
 * enable register is set, too, the SCI is asserted. */
enum pm_status { PWRBTN_STS = 0x0100, RTC_STS = 0x0400, WAK_STS = 0x8000 /* not enabled */ };
enum pm_control { SCI_EN = 0x0001 /* stays set: there is no SMI */, SLP_EN = 0x2000 };

#define EVENTS           (PWRBTN_STS | RTC_STS)
#define ENABLE_WRITABLE  0x4721u /* timer, global lock, both buttons, clock, PCI Express wake */
#define CONTROL_WRITABLE 0x1c06u /* SLP_TYP, GBL_RLS, BM_RLD */
#define SLP_TYP(control) ((control) >> 10 & 7u)

/* Where the registers are, as bits of the first eight bytes. */
#define ENABLE_SHIFT  16
#define CONTROL_SHIFT 32
enum { OFFSET_TIMER = 8 };

static struct pm *pm_of(struct device *dev) {
    return CONTAINER_OF(dev, struct pm, dev);
}

static void pm_reset(struct device *dev) {
    *pm_of(dev) = (struct pm){.dev = *dev, .control = SCI_EN};
}

static void pm_update_sci(const struct pm *pm) {
    bool asserted = (pm->status & pm->enable & EVENTS) != 0;
    pm->dev.env->irq(pm->dev.env, PM_SCI_IRQ, asserted);
}

void pm_press_power_button(struct pm *pm) {
    pm->status |= PWRBTN_STS;
    pm_update_sci(pm);
}

/* It is the edge that counts: who has cleared the status need not have asked the clock yet. */
void pm_set_rtc_line(struct pm *pm, bool asserted) {
    if (asserted && !pm->rtc_line) {
        pm->status |= RTC_STS;
        pm_update_sci(pm);
    }
    pm->rtc_line = asserted;
}

/* The only state there is to leave to is S5. A guest waits for WAK_STS after any other one. */
static void pm_sleep(struct pm *pm) {
    const struct dev_env *env = pm->dev.env;
    unsigned type = SLP_TYP(pm->control);

    if (type == PM_S5_TYPE) {
        env->stop(env, DEV_POWER_OFF);
        return;
    }
    pm->status |= WAK_STS;
    env->event(env, DEV_SLEEP_REFUSED, type);
}

static uint64_t pm_read(struct device *dev, UNUSED unsigned region, uint64_t at,
                        UNUSED unsigned size) {
    const struct pm *pm = pm_of(dev);
    if (at >= OFFSET_TIMER) {
        return (uint32_t)clock_ticks(dev->env->clock, PM_TIMER_HZ) >> (8 * (at - OFFSET_TIMER));
    }
    uint64_t all =
        pm->status | (uint64_t)pm->enable << ENABLE_SHIFT | (uint64_t)pm->control << CONTROL_SHIFT;
    return all >> (8 * at);
}

/* The bits of mask come from value, all others stay. */
static uint16_t pm_merge(uint16_t old, uint64_t value, uint64_t mask) {
    return (uint16_t)((old & ~mask) | (value & mask));
}

/* ACPI wants these registers written with their own width; bytes are merged with what is there. */
static void pm_write(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size,
                     uint64_t value) {
    struct pm *pm = pm_of(dev);
    if (at >= OFFSET_TIMER) {
        return;
    }
    uint64_t written = (BIT(8 * size) - 1) << (8 * at);
    uint64_t bits = value << (8 * at) & written;

    pm->status &= (uint16_t)~bits;
    pm->enable =
        pm_merge(pm->enable, bits >> ENABLE_SHIFT, written >> ENABLE_SHIFT & ENABLE_WRITABLE);
    pm->control =
        pm_merge(pm->control, bits >> CONTROL_SHIFT, written >> CONTROL_SHIFT & CONTROL_WRITABLE);
    pm_update_sci(pm);
    if ((bits >> CONTROL_SHIFT & SLP_EN) != 0) {
        pm_sleep(pm);
    }
}

const struct device_ops pm_ops = {
    .name = "ACPI power management",
    .reset = pm_reset,
    .read = pm_read,
    .write = pm_write,
};
