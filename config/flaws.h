/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which known flaws this CPU has, what helps against them, and which of the CPU's own means a guest
 * may use: decided here, told on the screen, done by the hypervisor. Sources: Intel SDM vol. 4
 * "IA32_ARCH_CAPABILITIES"; Intel "Consolidated Affected Processors"; AMD APM vol. 2 "Speculation
 * Control MSRs", "Automatic IBRS"; AMD "Transient Scheduler Attacks", "Speculative Return Stack
 * Overflow".
 */
#pragma once

#include "config/preflight.h"

/* Flaws that have names for the admin when nothing closes them. */
enum open_flaw {
    OPEN_MMIO,   /* MMIO stale data */
    OPEN_RFDS,   /* register file data sampling */
    OPEN_GDS,    /* gather data sampling, Downfall */
    OPEN_REPTAR, /* a guest can stop the machine with a redundant prefix */
    OPEN_ITS,    /* indirect target selection */
    OPEN_TSA,    /* transient scheduler attacks */
    OPEN_BTC,    /* branch type confusion, Retbleed */
    OPEN_SRSO,   /* speculative return stack overflow, Inception */
    OPEN_FLAWS
};

struct flaws {
    uint32_t on;           /* enum mitigation: needed, and there */
    uint32_t missing;      /* the same: needed, and not in this CPU or microcode */
    uint32_t open;         /* BIT32(enum open_flaw): nothing closes them */
    uint32_t features;     /* enum hvm_feature: the MSRs that the CPU has for guests */
    uint64_t capabilities; /* what holds of its IA32_ARCH_CAPABILITIES in a guest */
};

/* All that is known of the CPU; microcode says its signature, platform and revision. */
void flaws_find(const struct preflight_cpu *cpu, bool amd, const struct boot_microcode *microcode,
                struct flaws *out);

/*
 * The same into info's mitigations (none if its config wants none), guest_features,
 * arch_capabilities and, for the admin, speculation and open_flaws. True if no means are missing,
 * or none are wanted.
 */
bool flaws_decide(struct boot_info *info, const struct preflight_cpu *cpu, bool amd);
