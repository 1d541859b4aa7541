/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware: PM1a event and control registers and the PM timer, at the ports that the
 * FADT names. No event ever occurs, so the SCI is never raised; S5 is the only sleep state.
 * Called by the port handler under the device lock.
 * Source: ACPI Specification "ACPI Register Model", "Power Management Timer".
 */
#include "hv/dev/platform.h"

#define CONTROL_SCI_EN   0x0001
#define CONTROL_SLP_EN   0x2000
#define CONTROL_WRITABLE 0x1c06 /* BM_RLD, GBL_RLS, SLP_TYP; SCI_EN stays set: there is no SMI */
#define CONTROL_TYPE(v)  ((v) >> 10 & 7)
#define ENABLE_WRITABLE  0x4721

#define OFFSET_MASK    0x0f
#define OFFSET_STATUS  0
#define OFFSET_ENABLE  2
#define OFFSET_CONTROL 4
#define OFFSET_TIMER   8

void pm_reset(struct pm *pm) {
    pm->status = 0;
    pm->enable = 0;
    pm->control = CONTROL_SCI_EN;
}

uint32_t pm_read(void *dev, uint16_t port, unsigned size) {
    const struct pm *pm = dev;
    unsigned offset = port & OFFSET_MASK;
    uint64_t registers =
        (uint64_t)pm->status | (uint64_t)pm->enable << 16 | (uint64_t)pm->control << 32;
    if (offset >= OFFSET_TIMER) {
        registers = (uint32_t)clock_ticks(pm->clock, PM_TIMER_HZ);
        offset -= OFFSET_TIMER;
    }
    uint64_t value = registers >> (8 * offset);
    return (uint32_t)(size < 4 ? value & (BIT(8 * size) - 1) : value);
}

static void pm_write_control(struct pm *pm, uint16_t value) {
    pm->control = (value & CONTROL_WRITABLE) | CONTROL_SCI_EN;
    if ((value & CONTROL_SLP_EN) != 0 && CONTROL_TYPE(value) == PM_S5_TYPE) {
        pm->ops->power_off(pm->ctx);
    }
}

/* ACPI wants these registers written with their own width; bytes are merged with what is there. */
void pm_write(void *dev, uint16_t port, unsigned size, uint32_t value) {
    struct pm *pm = dev;
    unsigned offset = port & OFFSET_MASK;
    if (offset >= OFFSET_TIMER) {
        return;
    }
    uint64_t mask = (size < 4 ? BIT(8 * size) - 1 : UINT32_MAX) << (8 * offset);
    uint64_t bits = (uint64_t)value << (8 * offset) & mask;
    pm->status &= (uint16_t)~bits; /* write one to clear */
    if ((mask >> 16 & 0xffff) != 0) {
        uint64_t enable = (pm->enable & ~(mask >> 16)) | bits >> 16;
        pm->enable = enable & ENABLE_WRITABLE;
    }
    if ((mask >> 32 & 0xffff) != 0) {
        uint64_t control = (pm->control & ~(mask >> 32)) | bits >> 32;
        pm_write_control(pm, (uint16_t)control);
    }
}
