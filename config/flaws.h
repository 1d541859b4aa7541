/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What speculation may leak on this CPU, what helps against it, and which of the CPU's own means a
 * guest may use: decided here, told on the screen, done by the hypervisor. Sources: Intel SDM vol.
 * 4 "IA32_ARCH_CAPABILITIES"; Intel "Consolidated Affected Processors"; AMD APM vol. 2 "Speculation
 * Control MSRs", "Automatic IBRS"; AMD "Transient Scheduler Attacks".
 */
#pragma once

#include "config/preflight.h"

#define MITIGATION_MISSING(m) ((uint32_t)(m) << 8) /* needed, and not in this CPU or microcode */

/*
 * All that a CPU needs: enum mitigation, or the same as MITIGATION_MISSING(). Into *features the
 * MSRs (enum hvm_feature) it has for guests, into *capabilities what holds of its
 * IA32_ARCH_CAPABILITIES in a guest.
 */
uint32_t flaws_find(const struct preflight_cpu *cpu, bool amd, uint32_t *features,
                    uint64_t *capabilities);

/*
 * The same into info's mitigations (none if its config wants none), guest_features,
 * arch_capabilities and, for the admin, speculation. True if nothing is missing or wanted.
 */
bool flaws_decide(struct boot_info *info, const struct preflight_cpu *cpu, bool amd);
