/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds every bit of a vCPU's finished MSR and port bitmaps against the policy tables, in the other
 * direction from the code that filled them: for each number, may it pass? Called once per vCPU
 * before seal().
 */
#include "hv/exit/exit.h"

#include "hv/exit/msr.h"

#define BITMAP_RANGE 0x2000u /* both vendors' bitmaps cover such pieces */

static bool audit_passes(const uint8_t *map, int bit) {
    return bit >= 0 && (map[bit / 8] >> (bit % 8) & 1) == 0;
}

static bool audit_msr(const struct vcpu *v, uint32_t msr) {
    bool read = audit_passes(v->msr_map, hvm->msr_bit(msr, false));
    bool write = audit_passes(v->msr_map, hvm->msr_bit(msr, true));
    if (!read && !write) {
        return true;
    }
    const struct msr_policy *p = msr_policy_find(msr);
    if (p != NULL && (!read || msr_policy_passes(p, false)) &&
        (!write || msr_policy_passes(p, true))) {
        return true;
    }
    vm_log(v->vm, LOG_ERROR, "audit: MSR %#x passes (read %u, write %u): not in the policy", msr,
           read, write);
    return false;
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
