/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an interrupt message says, and which local APICs it is for. Changes nothing; any CPU may
 * ask. Source: Intel SDM vol. 3 "Advanced Programmable Interrupt Controller (APIC)", "Determining
 * IPI Destination".
 */
#include "hv/vm/lapic.h"
#include "hv/vm/lapic_regs.h"

struct apic_message apic_message(uint64_t word) {
    uint32_t destination = (uint32_t)(word >> 56);
    return (struct apic_message){
        .vector = (uint8_t)word,
        .delivery_mode = word >> 8 & 7,
        .logical = (word >> 11 & 1) != 0,
        .level = (word >> 15 & 1) != 0,
        .shorthand = word >> 18 & 3,
        .destination = destination == XAPIC_BROADCAST ? BROADCAST : destination,
    };
}

struct apic_message apic_message_of_msi(uint64_t address, uint32_t data) {
    uint64_t word = (data & 0x87ff) | (address & MSI_LOGICAL) << 9 | address >> 12 << 56;
    struct apic_message m = apic_message(word);
    bool hint = (address & MSI_HINT) != 0 && m.delivery_mode == APIC_FIXED;
    m.delivery_mode = hint ? APIC_LOWEST : m.delivery_mode;
    return m;
}

struct apic_message lapic_lint0(const struct lapic *l) {
    uint32_t lvt = __atomic_load_n(&l->reg[REG_LVT_LINT0][0], __ATOMIC_RELAXED);
    uint32_t word = (lvt & LVT_MASKED) != 0 ? APIC_SMI << 8 : lvt & 0x7ff;
    return apic_message((l->apic_base & APIC_BASE_ENABLE) != 0 ? word : APIC_EXTINT << 8);
}

/* The low bits are a set of members, the bits above them a cluster; the flat model has none. */
static bool lapic_matches_logical(const struct lapic *l, uint32_t destination) {
    uint32_t ldr = l->reg[REG_LDR][0];
    unsigned members = 16;

    if (!lapic_is_x2apic(l)) {
        members = l->reg[REG_DFR][0] >> 28 == DFR_FLAT ? 8 : 4;
        ldr >>= 24;
    }
    return destination >> members == ldr >> members &&
           (destination & ldr & (BIT32(members) - 1)) != 0;
}

bool lapic_matches(const struct lapic *l, uint32_t destination, bool logical) {
    bool enabled = (l->apic_base & APIC_BASE_ENABLE) != 0;

    if (!enabled || destination == BROADCAST) {
        return enabled;
    }
    if (!lapic_is_x2apic(l) && destination >= XAPIC_BROADCAST) {
        return destination == XAPIC_BROADCAST;
    }
    return logical ? lapic_matches_logical(l, destination) : destination == l->id;
}
