/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware: PM1a event and control registers and the PM timer, at the ports that the
 * FADT names. No event ever occurs, so the status stays 0 and the SCI is never raised; S5 is the
 * only sleep state. Called by the port handler under the device lock.
 * Source: ACPI Specification "ACPI Register Model", "Power Management Timer".
 */
#include "hv/dev/platform.h"

/* Status, enable and control as one word of six bytes. */
#define SCI_EN     BIT(32) /* stays set: there is no SMI */
#define SLP_EN     BIT(45)
#define SLP_TYP(v) ((v) >> 42 & 7)
#define WRITABLE   0x1c0647210000ull /* SLP_TYP, GBL_RLS, BM_RLD; all enable bits */

enum { OFFSET_TIMER = 8, OFFSET_MASK = 0x0f };

void pm_reset(struct pm *pm, struct vm *vm, const struct dev_clock *clock) {
    *pm = (struct pm){vm, clock, SCI_EN};
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
    pm->registers = (pm->registers & ~writable) | (value << shift & writable);
    if ((value << shift & SLP_EN) != 0 && SLP_TYP(pm->registers) == PM_S5_TYPE) {
        vm_leave(pm->vm, LEAVE_POWER_OFF, "powered off by the guest");
    }
}
