/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC at its start, and the states of its mode: off, xAPIC, x2APIC. Runs on the vCPU's
 * own CPU. Source: Intel SDM vol. 3 "Local APIC State After Power-Up or Reset", "x2APIC State
 * Transitions".
 */
#include "hv/lib/str.h"
#include "hv/vm/lapic.h"
#include "hv/vm/lapic_regs.h"

/* In x2APIC mode the logical ID is made of the ID. */
static void lapic_write_ids(struct lapic *l) {
    bool x2apic = lapic_is_x2apic(l);
    l->reg[REG_ID][0] = x2apic ? l->id : l->id << 24;
    l->reg[REG_LDR][0] = x2apic ? (l->id & ~0xfu) << 12 | BIT32(l->id & 0xf) : 0;
}

/* A device may post at any time: all but the bits of old requests stays. */
static void lapic_clear_descriptor(struct lapic *l) {
    __atomic_fetch_and(&l->descriptor.notify, ~LAPIC_NOTIFIED, __ATOMIC_SEQ_CST);
    for (unsigned w = 0; w < ARRAY_SIZE(l->descriptor.requests); w++) {
        __atomic_store_n(&l->descriptor.requests[w], 0, __ATOMIC_SEQ_CST);
    }
}

void lapic_init(struct lapic *l) {
    l->timer_deadline = 0;
    l->ops->timer_arm(l->ctx, 0);
    memset(l->reg, 0, sizeof(l->reg));
    memset(l->posted, 0, sizeof(l->posted));
    if (l->cr8 != NULL) {
        *l->cr8 = 0;
        lapic_watch_cr8(l, false);
    }
    l->pv_eoi = NULL;
    l->pv_eoi_offered = false;
    l->isr_words = l->hardware ? ALL_WORDS : 0;
    l->irr_words = l->hardware ? ALL_WORDS << LEVELS_SHIFT : 0;
    l->errors = 0;
    l->timer_divide = 1;
    lapic_write_ids(l);
    l->reg[REG_VERSION][0] = VERSION;
    l->reg[REG_DFR][0] = UINT32_MAX;
    lapic_mmio_write(l, REG_SVR << 4, sizeof(uint32_t), SVR_RESET);
    lapic_clear_descriptor(l); /* from here on no device posts to it */
}

void lapic_reset(struct lapic *l, uint32_t id, bool bsp) {
    l->id = id;
    l->apic_base = LAPIC_BASE | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
    lapic_init(l);
}

/* SDM vol. 3 "x2APIC State Transitions". */
enum status lapic_base_write(struct lapic *l, uint64_t value) {
    const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    const uint64_t page = ~(uint64_t)(PAGE_SIZE - 1);
    uint64_t from = l->apic_base & mode, to = value & mode;
    if ((value & ~(page | mode | APIC_BASE_BSP)) != 0 || to == APIC_BASE_X2APIC ||
        (from == mode && to == APIC_BASE_ENABLE) || (from == 0 && to == mode)) {
        return STATUS_DENIED;
    }
    /* Which CPU is the BSP is not for the guest to change. */
    l->apic_base = (value & page) | to | (l->apic_base & APIC_BASE_BSP);
    if (from != to && to == 0) {
        lapic_init(l);
        l->ops->changed(l->ctx); /* the 8259 has a direct way to the CPU now */
    } else if (from != to && to == mode) {
        lapic_write_ids(l);
        l->reg[REG_ICR][0] = l->reg[REG_ICR_HIGH][0] = 0;
    }
    l->ops->addressed(l->ctx);
    return STATUS_OK;
}
