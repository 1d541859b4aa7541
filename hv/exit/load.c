/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the core's side of a guest's start: asks the compartment until it is done, and says in words
 * what is wrong with a kernel. Parses nothing and sets no register: the guest's own firmware reads
 * what the compartment left.
 */
#include "hv/exit/load.h"

#include "hv/abi.h"
#include "hv/exit/compartment.h"
#include "hv/exit/policy.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"

/* By enum load_leaf. */
static const uint32_t load_leaves[LOAD_LEAVES] = {
    [LOAD_LEAF_VENDOR] = 0,
    [LOAD_LEAF_MODEL] = 1,
    [LOAD_LEAF_BRAND] = 0x80000002,
    [LOAD_LEAF_BRAND + 1] = 0x80000003,
    [LOAD_LEAF_BRAND + 2] = 0x80000004,
    [LOAD_LEAF_TIMING] = BULKHEAD_CPUID_TIMING,
};

/* More calls than all memory written twice takes are not for the guest's good. */
#define CALLS_MOST(ram) (2 * (ram) / LOAD_PIECE + 64)

static void load_tell_cpuid(struct vcpu *v) {
    for (unsigned i = 0; i < LOAD_LEAVES; i++) {
        const struct cpuid_entry *e = cpuid_find(&v->cpuid, load_leaves[i], 0);
        memcpy(v->exchange->load.cpuid[i], e->out, sizeof(e->out));
    }
}

bool load_guest(struct vcpu *v) {
    struct vm *vm = v->vm;
    const struct vmexit none = {.kind = EXIT_UNKNOWN};
    uint32_t status = LOAD_MORE;

    load_tell_cpuid(v);
    for (uint64_t calls = CALLS_MOST(vm->low_ram); calls > 0 && status == LOAD_MORE; calls--) {
        plat_take_interrupts();
        vm_take_orders(vm);
        if (vm->leave != LEAVE_NONE) {
            return false;
        }
        plat_clear_traces();
        v->exchange->load.status = LOAD_NO_ANSWER;
        if (!compartment_upcall(v, &none, UPCALL_LOAD)) {
            return false;
        }
        status = __atomic_load_n(&v->exchange->load.status, __ATOMIC_RELAXED);
    }
    if (status != LOAD_DONE) {
        compartment_refuse(v, &none, status == LOAD_MORE ? "does not get done" : "has no answer");
    }
    return status == LOAD_DONE;
}
