/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What speculation may leak on this CPU, what helps against it, and which of the CPU's own means a
 * guest may use. Pure, so that the unit tests run it on the host. Sources: Intel SDM vol. 4
 * "IA32_ARCH_CAPABILITIES"; Intel "Consolidated Affected Processors"; AMD APM vol. 2 "Speculation
 * Control MSRs", "Automatic IBRS"; AMD "Transient Scheduler Attacks".
 */
#ifndef ARCH_X86_64_FLAWS_H
#define ARCH_X86_64_FLAWS_H

#include "arch/x86_64/cpu.h"

/* In place of a CPUID leaf: IA32_ARCH_CAPABILITIES, its low half in EAX. */
#define LEAF_CAPS         UINT32_MAX
#define CPU_HAS_ARCH_CAPS ((struct cpu_feature){7, EDX, 29})

enum mitigation {
    MITIGATE_L1D = BIT32(0),  /* L1 data cache flushed: L1TF */
    MITIGATE_VERW = BIT32(1), /* buffers overwritten: MDS, TAA, MMIO stale data, RFDS, TSA */
    MITIGATE_IBRS = BIT32(2), /* guests do not steer the hypervisor's branches: enhanced IBRS */
    MITIGATE_AUTO_IBRS = BIT32(3), /* the same, AMD's */
    MITIGATE_IBPB = BIT32(4),      /* branch predictions forgotten when a guest starts */
};
#define MITIGATION_MISSING(m) ((uint32_t)(m) << 8) /* needed, and not in this CPU or microcode */

/*
 * All that a CPU needs: enum mitigation, or the same as MITIGATION_MISSING(). has tells what the
 * CPU says of itself, LEAF_CAPS included. Into *features the MSRs (enum hvm_feature) it has for
 * guests.
 */
uint32_t flaws_find(bool amd, bool (*has)(struct cpu_feature f), uint32_t *features);

#endif
