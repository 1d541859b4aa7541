/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds every bit of a vCPU's finished MSR and port bitmaps against the policy tables, in the other
 * direction from the code that filled them: for each number, may it pass? Called once per vCPU
 * before seal().
 */
#include "hv/exit/exit.h"

#include "hv/exit/policy.h"

#define BITMAP_RANGE 0x2000u /* both vendors' bitmaps cover such pieces */

static bool audit_passes(const uint8_t *map, int bit) {
    return bit >= 0 && (map[bit / 8] >> (bit % 8) & 1) == 0;
}

/* By register, MSR 800h on: what never reaches the host's APIC, because the CPU has a virtual one.
 * Never the ICR (30h) and the current count (39h), nor what is reserved. SDM vol. 3 "Virtualizing
 * MSR-Based APIC Accesses". */
#define VIRTUAL_READS                                                                              \
    (BITS(0x02, 0x03) | BIT(0x08) | BIT(0x0a) | BIT(0x0d) | BITS(0x0f, 0x28) | BITS(0x32, 0x38) |  \
     BIT(0x3e))
#define VIRTUAL_WRITES (BIT(0x08) | BIT(0x0b) | BIT(0x3f))

/* In both maps, which may be one. */
static bool audit_msr(const struct vcpu *v, uint32_t msr) {
    const struct msr_policy *p = msr_policy_find(msr);
    for (unsigned write = 0; write < 2; write++) {
        int bit = hvm->msr_bit(msr, write != 0);
        uint64_t apic = msr - 0x800 >= 0x40 ? 0 : write != 0 ? VIRTUAL_WRITES : VIRTUAL_READS;
        bool may = p != NULL && msr_policy_passes(p, write != 0);
        bool may_x2apic = may || (apic >> (msr & 0x3f) & 1) != 0;
        if ((!may && audit_passes(v->msr_map, bit)) ||
            (!may_x2apic && audit_passes(v->msr_map_x2apic, bit))) {
            vm_log(v->vm, LOG_ERROR, "audit: %s MSR %#x passes: not in the policy",
                   write != 0 ? "writing" : "reading", msr);
            return false;
        }
    }
    return true;
}

enum status audit_policy(const struct vcpu *v) {
    static const uint32_t bases[] = {0, 0xc0000000u, 0xc0010000u};
    for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
        for (uint32_t n = 0; n < BITMAP_RANGE; n++) {
            if (!audit_msr(v, bases[i] + n)) {
                return STATUS_INVALID;
            }
        }
    }
    for (int port = 0; port <= 0xffff; port++) {
        if (audit_passes(v->port_map, port)) {
            vm_log(v->vm, LOG_ERROR, "audit: port %#x passes: not in the policy", port);
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}
