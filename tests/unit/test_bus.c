/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus of a VM: whole accesses, the ends of the space. */
#include "hv/dev/bus.h"
#include "tests/unit/test.h"

static void add(struct bus_space *space, uint64_t base, uint64_t size) {
    struct bus_entry entry = {.base = base, .size = size};
    bus_add(space, &entry);
}

TEST(ports_are_found_whole) {
    struct bus_space s = {0};
    add(&s, 0xcf8, 8);
    add(&s, 0x3f8, 8);
    add(&s, 0x60, 1);
    add(&s, 0x61, 1);
    add(&s, 0xffff, 1);
    for (unsigned port = 0; port <= 0xffff; port++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            unsigned last = port + size - 1;
            uint64_t want = (port >= 0x3f8 && last <= 0x3ff)   ? 0x3f8
                            : (port >= 0xcf8 && last <= 0xcff) ? 0xcf8
                            : port == last && (port == 0x60 || port == 0x61 || port == 0xffff)
                                ? port
                                : 0;
            const struct bus_entry *entry = bus_find(&s, port, size);
            if ((entry != NULL ? entry->base : 0) != want) {
                CHECK_U64(entry != NULL ? entry->base : 0, want);
                return;
            }
        }
    }
}

TEST(pages_are_found_whole) {
    struct bus_space s = {0};
    CHECK(bus_find(&s, 0, 1) == NULL);
    add(&s, 0xfee00000, 0x1000);
    add(&s, 0xfec00000, 0x1000);
    add(&s, UINT64_MAX - 0xfff, 0xfff);
    CHECK(bus_find(&s, 0xfec00000, 8) == &s.entries[1]);
    CHECK(bus_find(&s, 0xfec00ff8, 8) == &s.entries[1]);
    CHECK(bus_find(&s, 0xfec00ff9, 8) == NULL);
    CHECK(bus_find(&s, 0xfebfffff, 4) == NULL);
    CHECK(bus_find(&s, 0xfee00ffc, 4) == &s.entries[0]);
    CHECK(bus_find(&s, UINT64_MAX - 8, 8) == &s.entries[2]);
    CHECK(bus_find(&s, UINT64_MAX, 8) == NULL);
    CHECK(bus_find(&s, 0, 8) == NULL);
}

TEST_MAIN(T(ports_are_found_whole), T(pages_are_found_whole))
