/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus of a VM: whole accesses, the ends of the space. */
#include "hv/dev/bus.h"
#include "tests/unit/test.h"

TEST(ports_are_found_whole) {
    static const struct bus_entry ports[] = {
        {.base = 0xcf8, .size = 8}, {.base = 0x3f8, .size = 8},  {.base = 0x60, .size = 1},
        {.base = 0x61, .size = 1},  {.base = 0xffff, .size = 1}, {.size = 0}};
    for (unsigned port = 0; port <= 0xffff; port++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            unsigned last = port + size - 1;
            uint64_t want = (port >= 0x3f8 && last <= 0x3ff)   ? 0x3f8
                            : (port >= 0xcf8 && last <= 0xcff) ? 0xcf8
                            : port == last && (port == 0x60 || port == 0x61 || port == 0xffff)
                                ? port
                                : 0;
            const struct bus_entry *entry = bus_find(ports, port, size);
            if ((entry != NULL ? entry->base : 0) != want) {
                CHECK_U64(entry != NULL ? entry->base : 0, want);
                return;
            }
        }
    }
}

TEST(pages_are_found_whole) {
    static const struct bus_entry pages[] = {{.base = 0xfee00000, .size = 0x1000},
                                             {.base = 0xfec00000, .size = 0x1000},
                                             {.base = UINT64_MAX - 0xfff, .size = 0xfff},
                                             {.size = 0}};
    CHECK(bus_find(&pages[3], 0, 1) == NULL);
    CHECK(bus_find(pages, 0xfec00000, 8) == &pages[1]);
    CHECK(bus_find(pages, 0xfec00ff8, 8) == &pages[1]);
    CHECK(bus_find(pages, 0xfec00ff9, 8) == NULL);
    CHECK(bus_find(pages, 0xfebfffff, 4) == NULL);
    CHECK(bus_find(pages, 0xfee00ffc, 4) == &pages[0]);
    CHECK(bus_find(pages, UINT64_MAX - 8, 8) == &pages[2]);
    CHECK(bus_find(pages, UINT64_MAX, 8) == NULL);
    CHECK(bus_find(pages, UINT64_MAX, 1) == NULL);
    CHECK(bus_find(pages, 0, 8) == NULL);
}

TEST_MAIN(T(ports_are_found_whole), T(pages_are_found_whole))
