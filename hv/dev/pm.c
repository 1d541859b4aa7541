/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware: PM1a event and control registers, the power button, the CMOS clock's alarm
 * as a wake-up event and the PM timer, at the ports that the FADT names. S5 is the only sleep
 * state: whoever asks for another one is awake again at once. Called by the port handler under the
 * device lock. Source: ACPI Specification "PM1 Event Grouping", "Sleeping States", "Power
 * Management Timer".
 */
#include "hv/dev/platform.h"

/* Status, enable and control as one word of six bytes. A bit of the status is set by the event and
 * cleared by writing 1; while its bit in the enable register is set, too, the SCI is asserted. */
#define PWRBTN_STS   BIT(8)
#define RTC_STS      BIT(10)
#define WAK_STS      BIT(15) /* without an enable bit */
#define EVENTS       (PWRBTN_STS | RTC_STS)
#define STATUS       (EVENTS | WAK_STS)
#define ENABLE_SHIFT 16
#define SCI_EN       BIT(32) /* stays set: there is no SMI */
#define SLP_EN       BIT(45)
#define SLP_TYP(v)   ((v) >> 42 & 7)
#define WRITABLE     0x1c0647210000ull /* SLP_TYP, GBL_RLS, BM_RLD; all enable bits */

enum { OFFSET_TIMER = 8, OFFSET_MASK = 0x0f };

void pm_reset(struct pm *pm, struct vm *vm, const struct dev_clock *clock) {
    *pm = (struct pm){.vm = vm, .clock = clock, .registers = SCI_EN};
}

static void pm_update_sci(struct pm *pm) {
    uint64_t enabled = pm->registers & pm->registers >> ENABLE_SHIFT;
    vm_set_irq(pm->vm, PM_SCI_IRQ, (enabled & EVENTS) != 0);
}

void pm_press_power_button(struct pm *pm) {
    pm->registers |= PWRBTN_STS;
    pm_update_sci(pm);
}

/* It is the edge that counts: who has cleared the status need not have asked the clock yet. */
void pm_set_rtc_line(struct pm *pm, bool asserted) {
    if (asserted && !pm->rtc_line) {
        pm->registers |= RTC_STS;
        pm_update_sci(pm);
    }
    pm->rtc_line = asserted;
}

/* The only state there is to leave to is S5. A guest waits for WAK_STS after any other one. */
static void pm_sleep(struct pm *pm) {
    unsigned type = SLP_TYP(pm->registers);
    if (type == PM_S5_TYPE) {
        vm_leave(pm->vm, LEAVE_POWER_OFF, "powered off by the guest");
        return;
    }
    pm->registers |= WAK_STS;
    vm_sleep_refused(pm->vm, type);
}

uint64_t pm_read(void *dev, uint64_t port, UNUSED unsigned size) {
    const struct pm *pm = dev;
    unsigned offset = port & OFFSET_MASK;
    if (offset >= OFFSET_TIMER) {
        return (uint32_t)clock_ticks(pm->clock, PM_TIMER_HZ) >> (8 * (offset - OFFSET_TIMER));
    }
    return pm->registers >> (8 * offset);
}

/* ACPI wants these registers written with their own width; bytes are merged with what is there. */
void pm_write(void *dev, uint64_t port, unsigned size, uint64_t value) {
    struct pm *pm = dev;
    unsigned shift = 8 * (port & OFFSET_MASK);
    if (shift >= 8 * OFFSET_TIMER) {
        return;
    }
    uint64_t writable = (BIT(8 * size) - 1) << shift & WRITABLE;
    uint64_t cleared = value << shift & STATUS;
    pm->registers = (pm->registers & ~(writable | cleared)) | (value << shift & writable);
    pm_update_sci(pm);
    if ((value << shift & SLP_EN) != 0) {
        pm_sleep(pm);
    }
}
