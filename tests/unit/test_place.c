/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a compartment's program finds things: the addresses that the core maps them at. */
#include "hv/compartment/entry/entry.h"
#include "tests/unit/test.h"

TEST(each_has_its_place) {
    uint64_t exchange = COMPARTMENT_BASE + COMPARTMENT_SLOTS + COMPARTMENT_EXCHANGE;
    CHECK_U64((uintptr_t)compartment_vm(), exchange + offsetof(struct exchange, vm));
    for (unsigned i = 0; i < COMPARTMENT_VCPUS; i++) {
        CHECK_U64((uintptr_t)compartment_page(i), exchange + (uint64_t)i * COMPARTMENT_SLOT);
    }
    CHECK_U64((uintptr_t)compartment_devices(), COMPARTMENT_BASE + COMPARTMENT_DEVICES);
    CHECK_U64((uintptr_t)compartment_ram(0), COMPARTMENT_WINDOW);
    CHECK_U64((uintptr_t)compartment_ram(0x12345), COMPARTMENT_WINDOW + 0x12345);
}

TEST_MAIN(T(each_has_its_place))
