/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus: whole accesses, the ends of the space, entries that come, move and go; a PC's places. */
#include "hv/lib/range.h"
#include "tests/unit/fake_env.h"

static struct bus bus;
static struct device devices[BUS_ENTRIES + 1];

static enum status add(uint64_t base, uint64_t size, unsigned device) {
    return bus_add(&bus, base, size, &devices[device], device);
}

/* The base of the entry that has the access; 0 if none. */
static uint64_t found(uint64_t at, unsigned size) {
    const struct bus_entry *e = bus_find(&bus, at, size);
    return e != NULL ? e->base : 0;
}

TEST(ports_are_found_whole) {
    bus_init(&bus);
    CHECK_U64(found(0, 1), 0);
    CHECK_U64(add(0xcf8, 8, 0) | add(0x3f8, 8, 1) | add(0x60, 1, 2), STATUS_OK);
    CHECK_U64(add(0x61, 1, 3) | add(0xffff, 1, 4), STATUS_OK);
    for (unsigned port = 0; port <= 0xffff; port++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            unsigned last = port + size - 1;
            bool single = port == last && (port == 0x60 || port == 0x61 || port == 0xffff);
            uint64_t want = single ? port : 0;
            want = port >= 0x3f8 && last <= 0x3ff ? 0x3f8 : want;
            want = port >= 0xcf8 && last <= 0xcff ? 0xcf8 : want;
            if (found(port, size) != want) {
                CHECK_U64(found(port, size), want);
                return;
            }
        }
    }
}

TEST(the_ends_of_the_space) {
    bus_init(&bus);
    CHECK_U64(add(0, 1, 0), STATUS_OK);
    CHECK_U64(add(UINT64_MAX - 0xfff, 0x1000, 1), STATUS_OK);
    CHECK(bus_find(&bus, 0, 1) == &bus.entries[0]);
    CHECK(bus_find(&bus, 0, 2) == NULL);
    CHECK(bus_find(&bus, UINT64_MAX - 7, 8) == &bus.entries[1]);
    CHECK(bus_find(&bus, UINT64_MAX, 1) == &bus.entries[1]);
    CHECK(bus_find(&bus, UINT64_MAX, 8) == NULL);
    CHECK(bus_find(&bus, 1, 8) == NULL);
    CHECK_U64(add(5, 0, 2), STATUS_INVALID);
    CHECK_U64(add(UINT64_MAX - 0x1fff, 0x2001, 2), STATUS_INVALID);
    CHECK_U64(add(UINT64_MAX - 0x1fff, 0x1001, 2), STATUS_EXISTS);
    CHECK_U64(add(UINT64_MAX - 0x1fff, 0x1000, 2), STATUS_OK);
    CHECK_U64(bus.count, 3);
}

TEST(a_full_bus) {
    bus_init(&bus);
    for (unsigned i = 0; i < BUS_ENTRIES; i++) {
        CHECK_U64(add((BUS_ENTRIES - i) * 16, 16, i), STATUS_OK);
    }
    CHECK_U64(add(0x10000, 1, BUS_ENTRIES), STATUS_FULL);
    CHECK_U64(bus_move(&bus, &devices[3], 3, 0x10000), STATUS_OK);
    CHECK_U64(found(0x10003, 4), 0x10000);
    CHECK_U64(found((BUS_ENTRIES - 3) * 16, 1), 0);
    CHECK_U64(bus_remove(&bus, &devices[7], 7), STATUS_OK);
    CHECK_U64(bus_remove(&bus, &devices[7], 7), STATUS_NOT_FOUND);
    CHECK_U64(bus_remove(&bus, &devices[6], 7), STATUS_NOT_FOUND);
    CHECK_U64(bus_move(&bus, &devices[7], 7, 0x20000), STATUS_NOT_FOUND);
    CHECK_U64(add(0x20000, 1, BUS_ENTRIES), STATUS_OK);
}

/* What was found last is no answer to where it was before. */
TEST(the_last_one_moves_away) {
    bus_init(&bus);
    CHECK_U64(add(0x100, 0x10, 0) | add(0x200, 0x10, 1), STATUS_OK);
    CHECK_U64(found(0x204, 4), 0x200);
    CHECK_U64(bus_move(&bus, &devices[1], 1, 0x208), STATUS_OK); /* over its own old place */
    CHECK_U64(found(0x204, 4), 0);
    CHECK_U64(found(0x210, 8), 0x208);
    CHECK_U64(bus_move(&bus, &devices[1], 1, 0x108), STATUS_EXISTS);
    CHECK_U64(bus_move(&bus, &devices[1], 1, UINT64_MAX), STATUS_INVALID);
    CHECK_U64(found(0x210, 8), 0x208);
    CHECK_U64(bus_move(&bus, &devices[1], 1, 0), STATUS_OK);
    CHECK(bus_find(&bus, 0, 1) == &bus.entries[0] && bus.entries[0].device == &devices[1]);
    CHECK_U64(bus_remove(&bus, &devices[1], 1), STATUS_OK);
    CHECK(bus_find(&bus, 0, 1) == NULL);
    CHECK_U64(bus_remove(&bus, &devices[0], 0), STATUS_OK);
    CHECK_U64(found(0x100, 1), 0);
}

/* Against a map of one byte a place. */
TEST(any_order) {
    static uint8_t map[256];
    uint32_t seed = 7;
    bus_init(&bus);
    memset(map, 0xff, sizeof(map));
    for (unsigned step = 0; step < 20000 && test_failures == 0; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned device = seed >> 8 & 15;
        unsigned base = seed >> 16 & 0xff;
        unsigned size = (seed >> 12 & 15) + 1;
        bool there = memchr(map, (int)device, sizeof(map)) != NULL;
        bool moves = (seed >> 30) == 0;
        bool goes = (seed >> 30) == 1;
        enum status s = STATUS_OK;
        if (goes) {
            CHECK_U64(bus_remove(&bus, &devices[device], device),
                      there ? STATUS_OK : STATUS_NOT_FOUND);
        } else if (moves && there) {
            size = 0;
            for (unsigned i = 0; i < sizeof(map); i++) {
                size += map[i] == device;
            }
        }
        bool fits = base + size <= sizeof(map);
        for (unsigned i = base; fits && i < base + size; i++) {
            fits = map[i] == 0xff || (moves && map[i] == device);
        }
        if (moves && !goes && (fits || base + size <= sizeof(map))) {
            s = bus_move(&bus, &devices[device], device, base);
            CHECK_U64(s, !there ? STATUS_NOT_FOUND : fits ? STATUS_OK : STATUS_EXISTS);
        } else if (!goes && !there && base + size <= sizeof(map)) {
            s = add(base, size, device);
            CHECK_U64(s, fits ? STATUS_OK : STATUS_EXISTS);
        } else if (!goes) {
            continue;
        }
        if (s == STATUS_OK) {
            for (unsigned i = 0; i < sizeof(map); i++) {
                map[i] = map[i] == device ? 0xff : map[i];
            }
            if (!goes) {
                memset(map + base, (int)device, size);
            }
        }
        for (unsigned i = 0; i < sizeof(map); i++) {
            const struct bus_entry *e = bus_find(&bus, i, 1);
            CHECK_U64(e != NULL ? e->region : 0xff, map[i]);
        }
    }
}

TEST(the_devices_of_a_pc) {
    static const uint64_t ends[BUS_SPACES] = {[BUS_PORT] = 0x10000, [BUS_MEMORY] = BIT(32)};
    fake_pc_start();
    CHECK_U64(fake_pc.bus[BUS_PORT].count + fake_pc.bus[BUS_MEMORY].count, platform_place_count);
    for (unsigned i = 0; i < platform_place_count; i++) {
        const struct platform_place *at = &platform_places[i];
        struct bus *b = &fake_pc.bus[at->space];
        const struct bus_entry *e = bus_find(b, at->base, 1);
        CHECK(at->name != NULL && range_contains(0, ends[at->space], at->base, at->size));
        CHECK(e != NULL && e->base == at->base && e->size == at->size);
        CHECK(e->device->ops->read != NULL && e->device->ops->write != NULL);
        CHECK(e->device->ops->reset != NULL && e->device->ops->name != NULL);
        CHECK(e->device->env == &fake_pc.env);
    }
}

/* A guest has just used a device when that moves away and another one comes into its place. */
TEST(the_platform_follows) {
    fake_pc_start();
    struct bus *b = &fake_pc.bus[BUS_PORT];
    struct device *uart = &fake_pc.uart.dev;
    CHECK_U64(fake_in(0x3ff, 1), 0); /* the scratch register */
    fake_out(0x3ff, 1, 0x5a);
    CHECK_U64(fake_in(0x3ff, 1), 0x5a);
    CHECK_U64(bus_move(b, uart, 0, 0x2f8), STATUS_OK);
    CHECK_U64(fake_in(0x3ff, 1), UINT64_MAX);
    CHECK_U64(fake_in(0x2ff, 1), 0x5a);
    CHECK_U64(bus_remove(b, uart, 0), STATUS_OK);
    CHECK_U64(fake_in(0x2ff, 1), UINT64_MAX);
    CHECK_U64(bus_add(b, 0xfff8, 8, uart, 0), STATUS_OK);
    CHECK_U64(fake_in(0xffff, 1), 0x5a);
    CHECK_U64(fake_in(0xffff, 2), UINT64_MAX); /* over the end */
    CHECK(!platform_write(&fake_pc, BUS_PORT, 0xffff, 2, 0));
    CHECK(platform_write(&fake_pc, BUS_PORT, 0xfffe, 2, 0x1100));
    CHECK_U64(fake_in(0xffff, 1), 0x11);
}

TEST_MAIN(T(ports_are_found_whole), T(the_ends_of_the_space), T(a_full_bus),
          T(the_last_one_moves_away), T(any_order), T(the_devices_of_a_pc), T(the_platform_follows))
