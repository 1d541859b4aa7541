/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a compartment may ask the core for in the middle of an upcall: one table. It gets what is
 * its own guest's, and nothing else. See hv/abi/compartment.h.
 */
#include "hv/lib/str.h"
#include "hv/vm/control_call.h"
#include "hv/vm/plat.h"
#include "hv/vm/upcall.h"

#define VECTORS 16u

static bool call_tell(struct vcpu *v) {
    return told_take(v, __atomic_exchange_n(&v->exchange->told, 0, __ATOMIC_RELAXED));
}

/* What the emulator may know of; of all others it sees 0. */
static const enum hvm_reg call_registers[] = {HVM_RIP, HVM_RSP, HVM_RFLAGS, HVM_CR0,
                                              HVM_CR3, HVM_CR4, HVM_EFER,   HVM_DR7};

static bool call_state(struct vcpu *v) {
    struct exchange_state *s = &v->exchange->state;

    for (unsigned i = 0; i < ARRAY_SIZE(call_registers); i++) {
        s->reg[call_registers[i]] = hvm->get(v, call_registers[i]);
    }
    for (unsigned seg = 0; seg < HVM_SEG_COUNT; seg++) {
        hvm->get_segment(v, (enum hvm_seg)seg, &s->segment[seg]);
    }
    s->pkru = plat_pkru();
    return true;
}

static bool call_apic_read(struct vcpu *v) {
    uint64_t at = EXCHANGE_READ(v->exchange->argument);

    if (!exchange_is_apic(v, at)) {
        return upcall_refuse(v, "read no register of the local APIC", "");
    }
    v->exchange->argument = lapic_mmio_read(&v->lapic, at);
    return true;
}

static bool call_vector(struct vcpu *v, bool set) {
    uint64_t number = EXCHANGE_READ(v->exchange->argument);
    uint64_t words[2];

    if (number >= VECTORS) {
        return upcall_refuse(v, "asked for no vector register", "");
    }
    if (set) {
        exchange_copy(words, v->exchange->vector, sizeof(words));
        plat_vector_write((unsigned)number, words);
    } else {
        plat_vector_read((unsigned)number, words);
        memcpy(v->exchange->vector, words, sizeof(words));
    }
    return true;
}

static bool call_vector_get(struct vcpu *v) {
    return call_vector(v, false);
}

static bool call_vector_set(struct vcpu *v) {
    return call_vector(v, true);
}

static bool (*const calls[CORE_CALLS])(struct vcpu *v) = {
    [CORE_TELL] = call_tell,
    [CORE_STATE] = call_state,
    [CORE_APIC_READ] = call_apic_read,
    [CORE_VECTOR_GET] = call_vector_get,
    [CORE_VECTOR_SET] = call_vector_set,
    [CORE_CONTROL] = vm_control_call,
    [CORE_PCI] = vm_pci_call,
};

bool core_call_answer(struct vcpu *v, uint64_t number) {
    if (number >= CORE_CALLS || calls[number] == NULL) {
        return upcall_refuse(v, "asked for what there is not", "");
    }
    return calls[number](v);
}
