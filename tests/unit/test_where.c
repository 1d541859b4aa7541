/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a compartment's program looks: the addresses of hv/abi/compartment.h, as they are here. */
#include "hv/compartment/entry/entry.h"
#include "test.h"

TEST(places) {
    uint64_t slots = (uint64_t)COMPARTMENT_BASE + COMPARTMENT_SLOTS;
    uint64_t vm = (uint64_t)(uintptr_t)compartment_vm();
    CHECK_U64(vm - slots - COMPARTMENT_EXCHANGE, offsetof(struct exchange, vm));
    CHECK_U64((uint64_t)(uintptr_t)compartment_devices() - COMPARTMENT_BASE, COMPARTMENT_DEVICES);
    CHECK_U64((uint64_t)(uintptr_t)compartment_ram(0), COMPARTMENT_WINDOW);
    CHECK_U64((uint64_t)(uintptr_t)compartment_ram(0x123456789) - COMPARTMENT_WINDOW, 0x123456789);
}

TEST_MAIN(T(places))
