/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things lie in a compartment: see hv/abi/compartment.h. A test of the host has its own.
 */
#include "hv/compartment/entry/entry.h"

struct exchange *compartment_page(unsigned vcpu) {
    const uint64_t first = COMPARTMENT_BASE + COMPARTMENT_SLOTS + COMPARTMENT_EXCHANGE;
    return (struct exchange *)(uintptr_t)(first + vcpu * COMPARTMENT_SLOT);
}

struct exchange_vm *compartment_vm(void) {
    return &compartment_page(0)->vm;
}

const struct abi_devices *compartment_devices(void) {
    return (const struct abi_devices *)(uintptr_t)(COMPARTMENT_BASE + COMPARTMENT_DEVICES);
}

uint8_t *compartment_ram(uint64_t gpa) {
    return (uint8_t *)(uintptr_t)(COMPARTMENT_WINDOW + gpa);
}
