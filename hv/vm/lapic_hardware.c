/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CPU with APIC virtualization is told and asked of the register file that it shares with
 * us. Runs on the vCPU's own CPU, while its guest does not. Source: Intel SDM vol. 3 "APIC
 * Virtualization and Virtual Interrupts".
 */
#include "hv/vm/lapic.h"
#include "hv/vm/lapic_regs.h"

uint64_t lapic_levels(const struct lapic *l, unsigned quarter) {
    const uint32_t(*tmr)[4] = &l->reg[REG_TMR + 2 * quarter];
    return __atomic_load_n(&tmr[0][0], __ATOMIC_RELAXED) |
           (uint64_t)__atomic_load_n(&tmr[1][0], __ATOMIC_RELAXED) << 32;
}

void lapic_ended(struct lapic *l, uint8_t vector) {
    if ((lapic_levels(l, vector / 64) >> vector % 64 & 1) != 0) {
        l->ops->broadcast_eoi(l->ctx, vector);
    }
}

uint32_t lapic_take_posted(struct lapic *l) {
    uint32_t words = __atomic_load_n(&l->irr_words, __ATOMIC_RELAXED);
    if (words != 0) {
        words = __atomic_exchange_n(&l->irr_words, 0, __ATOMIC_SEQ_CST);
        for (uint32_t left = words; left != 0; left &= left - 1) {
            unsigned w = (unsigned)__builtin_ctz(left);
            l->reg[REG_IRR + w][0] |= __atomic_exchange_n(&l->posted[w], 0, __ATOMIC_SEQ_CST);
        }
    }
    return words;
}

bool lapic_msr_is_virtual(unsigned reg, bool write) {
    return reg < LAPIC_REGISTERS && ((write ? VIRTUAL_WRITES : VIRTUAL_READS) >> reg & 1) != 0;
}
