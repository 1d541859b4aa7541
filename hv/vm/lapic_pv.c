/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Offers ends of interrupts that cost no exit: see lapic_pv_eoi_offer(). lapic.c settles them.
 * Runs on the vCPU's own CPU, while its guest does not.
 */
#include "hv/vm/lapic.h"
#include "hv/vm/lapic_regs.h"

void lapic_pv_eoi_set(struct lapic *l, uint32_t *word) {
    if (l->pv_eoi_offered) {
        lapic_pv_eoi_settle(l);
    }
    l->pv_eoi = word;
}

void lapic_pv_eoi_offer(struct lapic *l, uint8_t vector) {
    bool level = (lapic_levels(l, vector / 64) >> vector % 64 & 1) != 0;
    if (lapic_is_empty(l) && !level) {
        __atomic_fetch_or(l->pv_eoi, PV_EOI_PENDING, __ATOMIC_RELAXED);
        l->pv_eoi_offered = true;
    }
}

bool lapic_pv_eoi_is_due(const struct lapic *l) {
    uint32_t word = __atomic_load_n(l->pv_eoi, __ATOMIC_RELAXED);
    return (word & PV_EOI_PENDING) == 0 || !lapic_is_empty(l);
}
