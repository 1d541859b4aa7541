/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MSR policy: one sorted const table of what a guest may reach and how. What it does not name
 * is #GP(0), as on a CPU that lacks the register. The vendors build their bitmaps from it.
 */
#ifndef HV_EXIT_MSR_H
#define HV_EXIT_MSR_H

#include "hv/vm/vcpu.h"

struct ALIGNED(64) msr_policy {
    uint32_t msr;
    uint32_t count; /* neighbours that share the entry */
    const char *name;
    bool read_passes, write_passes; /* the guest reaches the CPU's own register, no exit */
    uint16_t needs, passes_with;    /* enum hvm_feature: to be there, to pass */
    /* STATUS_DENIED means #GP(0). NULL = refused. msr and value are guest-controlled. */
    enum status (*read)(struct vcpu *v, uint32_t msr, uint64_t *value);
    enum status (*write)(struct vcpu *v, uint32_t msr, uint64_t value);
    uint64_t constant, reserved; /* for msr_read_constant; bits that a write may not set */
    uint8_t slot, types;         /* for the MTRRs: first of count in vcpu.msr_slots */
};

extern const struct msr_policy msr_policies[];
extern const size_t msr_policy_count;

/* The entry for an MSR, NULL if none. */
const struct msr_policy *msr_policy_find(uint32_t msr);

/* Does a read or write of the entry's registers go to the CPU's own, here and now? */
bool msr_policy_passes(const struct msr_policy *p, bool write);

/* Power-up values of the emulated registers. */
void msr_reset(struct vcpu *v);

/* CR4 bits that a guest with this CPUID may set (hv/exit/cr.c). */
uint64_t cr4_guest_allowed(const struct cpuid_table *t);

#endif
