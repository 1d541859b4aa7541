/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The choice of the vendor code, the one place where more than one is known, and what both do alike
 * for a new vCPU. Called at start, on the first CPU.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/exit/policy.h"
#include "hv/lib/str.h"
#include "hv/vm/vm.h"

enum status hvm_probe(const struct boot_info *info) {
    hvm = vmx_probe() == STATUS_OK ? &vmx_ops : &svm_ops;
    enum status s = hvm == &vmx_ops ? STATUS_OK : svm_probe();
    mitigate_init(info);
    return s;
}

static void vendor_fill_msr(uint8_t *map, uint32_t msr, bool write, bool passes) {
    int bit = hvm->msr_bit(msr, write);
    if (passes && bit >= 0) {
        map[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
    }
}

/* Everything exits but what the policy table lets pass, and what the CPU's virtual APIC answers. */
static void vendor_fill_msr_map(uint8_t *map, size_t size, bool virtual_apic) {
    memset(map, 0xff, size);
    for (size_t i = 0; i < 2 * msr_policy_count; i++) {
        const struct msr_policy *p = &msr_policies[i / 2];
        vendor_fill_msr(map, p->msr, i % 2 != 0, msr_policy_passes(p, i % 2 != 0));
    }
    for (unsigned i = 0; virtual_apic && i < 2 * LAPIC_REGISTERS; i++) {
        vendor_fill_msr(map, X86_MSR_X2APIC_FIRST + i / 2, i % 2 != 0,
                        lapic_msr_is_virtual(i / 2, i % 2 != 0));
    }
}

enum status vendor_vcpu_init(struct vcpu *v, size_t state_size, size_t msr_map_size,
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
    vendor_fill_msr_map(v->msr_map, msr_map_size, false);
    vendor_fill_msr_map(v->msr_map_x2apic, msr_map_size, v->lapic.hardware);
    return STATUS_OK;
}
