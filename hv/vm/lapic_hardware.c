/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CPU with APIC virtualization is told and asked of the register file that it shares with
 * us. Runs on the vCPU's own CPU, while its guest does not. Source: Intel SDM vol. 3 "APIC
 * Virtualization and Virtual Interrupts".
 */
#include "hv/vm/lapic.h"
#include "hv/vm/lapic_regs.h"

static inline uint32_t word_of(const uint32_t (*bits)[4], int w) {
    return __atomic_load_n(&bits[w][0], __ATOMIC_RELAXED);
}

/* The highest bit of a register of eight words, or LAPIC_NONE: two words at a time. */
static int lapic_highest_of_all(const uint32_t (*bits)[4]) {
    for (int w = 6; w >= 0; w -= 2) {
        uint64_t pair = (uint64_t)word_of(bits, w + 1) << 32 | word_of(bits, w);
        if (pair != 0) {
            return w * 32 + (63 ^ __builtin_clzll(pair));
        }
    }
    return LAPIC_NONE;
}

static bool lapic_none_is_set(const uint32_t (*bits)[4]) {
    uint32_t lower = word_of(bits, 0) | word_of(bits, 1) | word_of(bits, 2) | word_of(bits, 3);
    uint32_t upper = word_of(bits, 4) | word_of(bits, 5) | word_of(bits, 6) | word_of(bits, 7);
    return (lower | upper) == 0;
}

int lapic_hardware_pending(const struct lapic *l) {
    int highest = lapic_highest_of_all(&l->reg[REG_IRR]);
    bool above = highest >> 4 > (int)(l->reg[REG_PPR][0] >> 4);
    return above ? highest : LAPIC_NONE;
}

uint16_t lapic_status(const struct lapic *l, int acknowledged) {
    bool none = lapic_none_is_set(&l->reg[REG_IRR]);
    int irr = none ? LAPIC_NONE : lapic_highest_of_all(&l->reg[REG_IRR]);
    int isr = acknowledged >= 0 ? acknowledged : lapic_highest_of_all(&l->reg[REG_ISR]);
    unsigned status = isr < 0 ? 0 : (unsigned)isr << 8;

    status |= irr < 0 ? 0 : (unsigned)irr;
    return (uint16_t)status;
}

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

/* The mark first: what is posted after that is told of again. */
static __attribute__((noinline)) void lapic_take_descriptor(struct lapic *l) {
    __atomic_fetch_and(&l->descriptor.notify, ~LAPIC_NOTIFIED, __ATOMIC_SEQ_CST);
    for (unsigned w = 0; w < ARRAY_SIZE(l->descriptor.requests); w++) {
        uint32_t *word = &l->descriptor.requests[w];
        l->reg[REG_IRR + w][0] |= __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
    }
}

uint32_t lapic_take_posted(struct lapic *l) {
    uint64_t notify = __atomic_load_n(&l->descriptor.notify, __ATOMIC_RELAXED);
    if (UNLIKELY((notify & LAPIC_NOTIFIED) != 0)) {
        lapic_take_descriptor(l);
    }
    uint32_t words = __atomic_load_n(&l->irr_words, __ATOMIC_RELAXED);
    if (words != 0) {
        words = __atomic_exchange_n(&l->irr_words, 0, __ATOMIC_SEQ_CST);
        for (uint32_t left = words & ALL_WORDS; left != 0; left &= left - 1) {
            unsigned w = (unsigned)__builtin_ctz(left);
            l->reg[REG_IRR + w][0] |= __atomic_exchange_n(&l->posted[w], 0, __ATOMIC_SEQ_CST);
        }
    }
    return words >> LEVELS_SHIFT;
}

bool lapic_msr_is_virtual(unsigned reg, bool write) {
    return reg < LAPIC_REGISTERS && ((write ? VIRTUAL_WRITES : VIRTUAL_READS) >> reg & 1) != 0;
}
