/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus of a VM: order, overlap, whole accesses. */
#include "hv/dev/bus.h"
#include "tests/unit/test.h"

static uint32_t pio_read(void *dev, uint16_t port, unsigned size) {
    (void)dev, (void)size;
    return port;
}

static void pio_write(void *dev, uint16_t port, unsigned size, uint32_t value) {
    (void)dev, (void)port, (void)size, (void)value;
}

static uint64_t mmio_read(void *dev, uint64_t offset, unsigned size) {
    (void)dev, (void)size;
    return offset;
}

static void mmio_write(void *dev, uint64_t offset, unsigned size, uint64_t value) {
    (void)dev, (void)offset, (void)size, (void)value;
}

static enum status add_pio(struct bus *bus, uint16_t base, uint16_t count) {
    struct bus_pio entry = {.base = base, .count = count, .read = pio_read, .write = pio_write};
    return bus_add_pio(bus, &entry);
}

static enum status add_mmio(struct bus *bus, uint64_t base, uint64_t size) {
    struct bus_mmio entry = {
        .base = GPA(base), .size = size, .read = mmio_read, .write = mmio_write};
    return bus_add_mmio(bus, &entry);
}

TEST(pio_is_found_whole) {
    struct bus bus = {0};
    CHECK_U64(add_pio(&bus, 0xcf8, 8), STATUS_OK);
    CHECK_U64(add_pio(&bus, 0x3f8, 8), STATUS_OK);
    CHECK_U64(add_pio(&bus, 0x60, 1), STATUS_OK);
    CHECK_U64(add_pio(&bus, 0x64, 1), STATUS_OK);
    CHECK_U64(add_pio(&bus, 0xffff, 1), STATUS_OK);
    for (uint32_t i = 1; i < bus.pio_count; i++) {
        CHECK(bus.pio[i - 1].base < bus.pio[i].base);
    }
    for (unsigned port = 0; port <= 0xffff; port++) {
        for (unsigned size = 1; size <= 4; size *= 2) {
            unsigned last = port + size - 1;
            uint64_t want = (port >= 0x3f8 && last <= 0x3ff)   ? 0x3f8
                            : (port >= 0xcf8 && last <= 0xcff) ? 0xcf8
                            : port == last && (port == 0x60 || port == 0x64 || port == 0xffff)
                                ? port
                                : 0;
            const struct bus_pio *entry = bus_find_pio(&bus, (uint16_t)port, size);
            if ((entry != NULL ? entry->base : 0) != want) {
                CHECK_U64(entry != NULL ? entry->base : 0, want);
                return;
            }
        }
    }
}

TEST(pio_refuses_bad_entries) {
    struct bus bus = {0};
    CHECK_U64(add_pio(&bus, 0x100, 0), STATUS_INVALID);
    CHECK_U64(add_pio(&bus, 0xfff0, 0x11), STATUS_INVALID);
    CHECK_U64(add_pio(&bus, 0x100, 0x10), STATUS_OK);
    CHECK_U64(add_pio(&bus, 0x100, 1), STATUS_EXISTS);
    CHECK_U64(add_pio(&bus, 0x10f, 1), STATUS_EXISTS);
    CHECK_U64(add_pio(&bus, 0xff, 2), STATUS_EXISTS);
    CHECK_U64(add_pio(&bus, 0, 0xffff), STATUS_EXISTS);
    CHECK_U64(add_pio(&bus, 0x110, 1), STATUS_OK);
    CHECK_U64(bus.pio_count, 2);
    for (uint16_t i = 2; i < BUS_MAX_PIO; i++) {
        CHECK_U64(add_pio(&bus, (uint16_t)(0x200 + i), 1), STATUS_OK);
    }
    CHECK_U64(add_pio(&bus, 0x400, 1), STATUS_FULL);
    struct bus_pio deaf = {.base = 0x500, .count = 1, .write = pio_write};
    bus.pio_count = 0;
    CHECK_U64(bus_add_pio(&bus, &deaf), STATUS_INVALID);
}

TEST(mmio_is_found_whole) {
    struct bus bus = {0};
    CHECK(bus_find_mmio(&bus, GPA(0), 1) == NULL);
    CHECK_U64(add_mmio(&bus, 0xfee00000, 0x1000), STATUS_OK);
    CHECK_U64(add_mmio(&bus, 0xfec00000, 0x1000), STATUS_OK);
    CHECK_U64(add_mmio(&bus, UINT64_MAX - 0xfff, 0xfff), STATUS_OK);
    CHECK(bus_find_mmio(&bus, GPA(0xfec00000), 8) == &bus.mmio[0]);
    CHECK(bus_find_mmio(&bus, GPA(0xfec00ff8), 8) == &bus.mmio[0]);
    CHECK(bus_find_mmio(&bus, GPA(0xfec00ff9), 8) == NULL);
    CHECK(bus_find_mmio(&bus, GPA(0xfebfffff), 4) == NULL);
    CHECK(bus_find_mmio(&bus, GPA(0xfee00ffc), 4) == &bus.mmio[1]);
    CHECK(bus_find_mmio(&bus, GPA(UINT64_MAX), 8) == NULL);
    CHECK(bus_find_mmio(&bus, GPA(0), 8) == NULL);
}

TEST(mmio_refuses_bad_entries) {
    struct bus bus = {0};
    CHECK_U64(add_mmio(&bus, 0x1000, 0), STATUS_INVALID);
    CHECK_U64(add_mmio(&bus, UINT64_MAX, 2), STATUS_INVALID);
    for (uint64_t i = 0; i < BUS_MAX_MMIO; i++) {
        CHECK_U64(add_mmio(&bus, i << 12, 0x1000), STATUS_OK);
        CHECK_U64(i + 1 < BUS_MAX_MMIO ? add_mmio(&bus, (i << 12) + 0xfff, 1) : STATUS_EXISTS,
                  STATUS_EXISTS);
    }
    CHECK_U64(add_mmio(&bus, 1 << 20, 1), STATUS_FULL);
}

TEST_MAIN(T(pio_is_found_whole), T(pio_refuses_bad_entries), T(mmio_is_found_whole),
          T(mmio_refuses_bad_entries))
