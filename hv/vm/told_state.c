/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an emulated instruction sets of the guest's state: flags and stack pointer by many, the rest
 * by a task switch. Each register has its rule; whatever a rule lets pass could have been set by
 * the guest's own kernel. A state that no CPU enters ends the guest at its next entry.
 */
#include "hv/vm/told_state.h"

#include "hv/vm/upcall.h"

/* What it may change of each register; of those that no row names nothing. */
static const struct state_rule {
    enum hvm_reg reg;
    uint64_t may;
} state_rules[] = {
    {HVM_RIP, UINT64_MAX},    {HVM_RSP, UINT64_MAX}, {HVM_RFLAGS, X86_RFLAGS_ALL},
    {HVM_CR0, X86_CR0_TS},    {HVM_CR3, UINT32_MAX}, /* from a TSS of 32 bits */
    {HVM_DR7, X86_DR7_LOCAL},
};

/* The tables of descriptors are no task's. */
#define STATE_SEGMENTS (BIT32(HVM_SEG_COUNT) - 1 - BIT32(HVM_GDT) - BIT32(HVM_IDT))

static bool state_set(struct vcpu *v, const struct state_rule *rule) {
    uint64_t value = EXCHANGE_READ(v->exchange->state.reg[rule->reg]);
    uint64_t old = rule->may != UINT64_MAX ? hvm->get(v, rule->reg) : 0;

    if (((value ^ old) & ~rule->may) != 0) {
        return false;
    }
    hvm->set(v, rule->reg, value);
    return true;
}

static bool state_set_registers(struct vcpu *v, uint32_t mask) {
    for (unsigned i = 0; i < ARRAY_SIZE(state_rules); i++) {
        uint32_t bit = BIT32(state_rules[i].reg);
        if ((mask & bit) != 0 && !state_set(v, &state_rules[i])) {
            return false;
        }
        mask &= ~bit;
    }
    return mask == 0;
}

static void state_set_segments(struct vcpu *v, uint32_t mask) {
    for (unsigned seg = 0; seg < HVM_SEG_COUNT; seg++) {
        if ((mask >> seg & 1) != 0) {
            struct hvm_segment s;
            exchange_copy(&s, &v->exchange->state.segment[seg], sizeof(s));
            hvm->set_segment(v, (enum hvm_seg)seg, &s);
        }
    }
}

bool told_state(struct vcpu *v) {
    const struct exchange_state *s = &v->exchange->state;
    uint32_t segments = EXCHANGE_READ(s->segments_set);

    if ((segments & ~STATE_SEGMENTS) != 0 || !state_set_registers(v, EXCHANGE_READ(s->regs_set))) {
        return upcall_refuse(v, "set what is not for it to set", "");
    }
    state_set_segments(v, segments);
    return true;
}
