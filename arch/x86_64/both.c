/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What both vendors do alike: a new vCPU's permission maps, filled from the policy tables; the word
 * about a firmware that locks the CPU's virtualization off. Chooses nothing (vendor.c does).
 * hv/exit/audit_policy.c checks the maps.
 */
#include "arch/x86_64/arch.h"
#include "hv/exit/policy.h"
#include "hv/lib/str.h"
#include "hv/vm/vm.h"

enum status both_locked_off(const char *name, const char *setting) {
    log_error("%s is locked off by the firmware: enable \"%s\" in its setup, then switch the "
              "machine off and on" MSG(4020),
              name, setting);
    return STATUS_DENIED;
}

static void both_fill_msr(uint8_t *map, uint32_t msr, bool write, bool passes) {
    int bit = hvm->msr_bit(msr, write);
    if (passes && bit >= 0) {
        map[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
    }
}

/* Everything exits but what the policy table lets pass, and what the CPU's virtual APIC answers. */
static void both_fill_msrs(uint8_t *map, size_t size, bool virtual_apic) {
    memset(map, 0xff, size);
    for (size_t i = 0; i < 2 * msr_policy_count; i++) {
        const struct msr_policy *p = &msr_policies[i / 2];
        both_fill_msr(map, p->msr, i % 2 != 0, msr_policy_passes(p, i % 2 != 0));
    }
    for (unsigned i = 0; virtual_apic && i < 2 * LAPIC_REGISTERS; i++) {
        both_fill_msr(map, X86_MSR_X2APIC_FIRST + i / 2, i % 2 != 0,
                      lapic_msr_is_virtual(i / 2, i % 2 != 0));
    }
}

enum status both_vcpu_init(struct vcpu *v, size_t state_size, size_t msr_map_size,
                           size_t port_map_size) {
    struct pool *pool = &v->vm->pool;
    v->vendor = pool_alloc(pool, state_size);
    v->msr_map = pool_alloc(pool, msr_map_size);
    v->msr_map_x2apic = v->lapic.hardware ? pool_alloc(pool, msr_map_size) : v->msr_map;
    v->port_map = pool_alloc(pool, port_map_size);
    if (v->vendor == NULL || v->msr_map == NULL || v->msr_map_x2apic == NULL ||
        v->port_map == NULL) {
        return STATUS_NO_MEMORY;
    }
    memset(v->port_map, 0xff, port_map_size);
    both_fill_msrs(v->msr_map, msr_map_size, false);
    both_fill_msrs(v->msr_map_x2apic, msr_map_size, v->lapic.hardware);
    return STATUS_OK;
}
