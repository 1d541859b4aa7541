/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI's tables of IOMMUs as real firmware writes them, and as none should: each length, a table
 * that ends anywhere (in memory of exactly that size: a read too far is an error of the address
 * sanitizer), more than there is room for.
 */
#include "boot/no_firmware.h"
#include "tests/unit/test.h"

#define TABLE_MAX 4096u

static struct boot_info info;
static uint8_t table[TABLE_MAX];
static uint32_t used;

static void put(uint64_t value, unsigned size) {
    ASSERT(used + size <= TABLE_MAX);
    memcpy(table + used, &value, size);
    used += size;
}

static void start_table(const char *signature) {
    memset(table, 0, sizeof(table));
    memcpy(table, signature, 4);
    used = 48;
}

typedef void read_table(const uint8_t *table, struct boot_info *info);

/* As boot/acpi.c: the length is the table's, and it is whole. */
static void read_as(read_table *read, uint32_t length) {
    uint8_t *exact = malloc(length);
    memcpy(exact, table, length);
    memcpy(exact + 4, &length, sizeof(length));
    memset(&info, 0, sizeof(info));
    read(exact, &info);
    free(exact);
}

static void read_now(read_table *read) {
    read_as(read, used);
}

static void expect_unit(uint32_t i, uint64_t base, uint64_t size, uint16_t segment,
                        uint8_t control) {
    const struct boot_iommu *unit = &info.dma.units[i];
    CHECK(i < info.dma.unit_count);
    CHECK_U64(unit->base.v, base);
    CHECK_U64(unit->size, size);
    CHECK_U64(unit->segment, segment);
    CHECK_U64(unit->control, control);
}

static void expect_ioapic(uint32_t i, uint8_t id, uint16_t source) {
    CHECK(i < info.dma.ioapic_count);
    CHECK_U64(info.dma.ioapics[i].id, id);
    CHECK_U64(info.dma.ioapics[i].source, source);
}

static void expect_range(uint32_t i, uint64_t base, uint64_t size, const char *access) {
    const struct boot_dma_range *range = &info.dma.ranges[i];
    CHECK(i < info.dma.range_count);
    CHECK_U64(range->base.v, base);
    CHECK_U64(range->size, size);
    CHECK_U64(range->read, strchr(access, 'r') != NULL);
    CHECK_U64(range->write, strchr(access, 'w') != NULL);
}

/* Nothing that is found may be nonsense, whatever the table was. */
static void expect_sane(void) {
    const struct boot_dma *dma = &info.dma;
    CHECK(dma->unit_count <= BOOT_MAX_IOMMUS && dma->range_count <= BOOT_MAX_DMA_RANGES);
    CHECK(dma->ioapic_count <= BOOT_MAX_IOAPICS);
    for (uint32_t i = 0; i < dma->unit_count; i++) {
        CHECK(dma->units[i].base.v != 0 && dma->units[i].base.v % PAGE_SIZE == 0);
        CHECK(dma->units[i].size >= PAGE_SIZE);
    }
    for (uint32_t i = 0; i < dma->range_count; i++) {
        const struct boot_dma_range *r = &dma->ranges[i];
        CHECK(r->size != 0 && (r->base.v | r->size) % PAGE_SIZE == 0);
        CHECK(r->base.v + r->size > r->base.v && r->hops <= BOOT_DMA_HOPS);
    }
}

/* ---- DMAR ---- */

static uint32_t entry_at; /* of the one that is being written */

static void end_entry(void) {
    uint16_t length = (uint16_t)(used - entry_at);
    memcpy(table + entry_at + 2, &length, sizeof(length));
}

static void dmar_unit(uint16_t segment, uint64_t base, uint8_t flags, uint8_t size) {
    entry_at = used;
    put(0, 4);
    put(flags, 1);
    put(size, 1);
    put(segment, 2);
    put(base, 8);
}

static void dmar_reserved(uint16_t segment, uint64_t base, uint64_t last) {
    entry_at = used;
    put(1, 4);
    put(0, 2);
    put(segment, 2);
    put(base, 8);
    put(last, 8);
}

/* path: device, function, device, function. */
static void scope(uint8_t type, uint8_t id, uint8_t bus, const char *path, unsigned bytes) {
    put(type, 1);
    put(6 + bytes, 1);
    put(0, 2);
    put(id, 1);
    put(bus, 1);
    for (unsigned i = 0; i < bytes; i++) {
        put((uint8_t)path[i], 1);
    }
}

/* A desktop's: the graphics' unit, all others', one of another segment; memory of a USB controller
 * and of one behind two bridges; kinds of entries that say nothing of DMA. */
static void make_dmar(void) {
    start_table("DMAR");
    table[36] = 38;
    table[37] = 1;
    dmar_unit(0, 0xfed90000, 0, 0);
    scope(1, 0, 0, "\x02\x00", 2);
    end_entry();
    dmar_unit(0, 0xfed91000, 1, 0);
    scope(3, 2, 0xf0, "\x1f\x00", 2);
    scope(4, 0, 0, "\x1f\x00", 2); /* a timer */
    end_entry();
    dmar_unit(1, 0xfec10000, 1, 1);
    scope(3, 8, 0x00, "\x05\x04", 2);
    end_entry();
    dmar_reserved(0, 0x7a000000, 0x7a01ffff);
    scope(1, 0, 0, "\x14\x00", 2);
    scope(1, 0, 0, "\x1a\x01", 2);
    end_entry();
    dmar_reserved(0, 0x7b000000, 0x7b000fff);
    scope(1, 0, 0, "\x1c\x00\x00\x02\x03\x01", 6);
    end_entry();
    entry_at = used; /* ATSR */
    put(2, 4);
    put(1, 4);
    end_entry();
    entry_at = used; /* RHSA */
    put(3, 4);
    put(0, 4);
    put(0xfed90000, 8);
    put(0, 4);
    end_entry();
}

TEST(dmar) {
    make_dmar();
    read_now(dmar_read);
    CHECK(info.dma.kind == BOOT_IOMMU_VTD && info.dma.interrupts && !info.dma.partial);
    CHECK_U64(info.dma.unit_count, 3);
    expect_unit(0, 0xfed90000, 0x1000, 0, 0);
    expect_unit(1, 0xfed91000, 0x1000, 0, 0);
    expect_unit(2, 0xfec10000, 0x2000, 1, 0);
    CHECK_U64(info.dma.ioapic_count, 2);
    expect_ioapic(0, 2, 0xf0f8);
    expect_ioapic(1, 8, 0x002c);
    CHECK_U64(info.dma.range_count, 3);
    expect_range(0, 0x7a000000, 0x20000, "rw");
    expect_range(1, 0x7a000000, 0x20000, "rw");
    expect_range(2, 0x7b000000, 0x1000, "rw");
    CHECK(info.dma.ranges[0].hops == 1 && info.dma.ranges[0].path[0] == 0xa0);
    CHECK(info.dma.ranges[2].hops == 3 && info.dma.ranges[2].path[2] == 0x19);
    expect_sane();
}

TEST(dmar_without_interrupts) {
    make_dmar();
    table[37] = 2;
    read_now(dmar_read);
    CHECK(!info.dma.interrupts);
}

TEST(dmar_that_is_empty) {
    start_table("DMAR");
    read_now(dmar_read);
    CHECK(info.dma.kind == BOOT_IOMMU_VTD && info.dma.unit_count == 0 && !info.dma.partial);
}

/* ---- the way through bridges ---- */

static uint32_t (*buses)(uint32_t function);
static unsigned buses_read;

static uint32_t fake_config(uint32_t function, uint32_t reg) {
    buses_read++;
    CHECK_U64(reg, 0x18);
    return buses(function);
}

/* 00:1c.0 leads to bus 3, 03:00.2 to bus 0x42. */
static uint32_t buses_of_dmar(uint32_t function) {
    if (function == 0x00e0) {
        return 0x00050300;
    }
    CHECK_U64(function, 0x0302);
    return 0x00424203;
}

static uint32_t buses_not_set(UNUSED uint32_t function) {
    return 0;
}

static uint32_t buses_gone(UNUSED uint32_t function) {
    return UINT32_MAX;
}

TEST(ways_through_bridges) {
    make_dmar();
    read_now(dmar_read);
    buses = buses_of_dmar;
    buses_read = 0;
    iommu_resolve(&info, fake_config);
    CHECK_U64(buses_read, 2); /* none of one on the first bus */
    CHECK_U64(info.dma.range_count, 3);
    CHECK(info.dma.ranges[0].first == 0x00a0 && info.dma.ranges[0].last == 0x00a0);
    CHECK(info.dma.ranges[1].first == 0x00d1 && info.dma.ranges[1].last == 0x00d1);
    CHECK(info.dma.ranges[2].first == 0x4219 && info.dma.ranges[2].last == 0x4219);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_U64(info.dma.ranges[i].hops, 0);
    }
    iommu_resolve(&info, fake_config); /* nothing is left to go */
    CHECK_U64(buses_read, 2);
    CHECK_U64(info.dma.ranges[2].first, 0x4219);
}

TEST(bridges_that_lead_nowhere) {
    static uint32_t (*const nowhere[])(uint32_t) = {buses_not_set, buses_gone};
    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        make_dmar();
        read_now(dmar_read);
        buses = nowhere[i];
        iommu_resolve(&info, fake_config);
        CHECK_U64(info.dma.range_count, 2);
        CHECK_U64(info.dma.ranges[1].first, 0x00d1);
    }
}

/* ---- IVRS ---- */

static void ivhd(uint8_t type, uint8_t flags, uint16_t segment, uint64_t base) {
    entry_at = used;
    put(type, 1);
    put(flags, 1);
    put(0, 2);
    put(2, 2); /* its own function */
    put(0x40, 2);
    put(base, 8);
    put(segment, 2);
    put(0, 2);
    put(0x80048f6f, 4);
    if (type != 0x10) {
        put(0x206d73ef22254ade, 8);
        put(0, 8);
    }
}

static void ivhd_special(uint8_t id, uint16_t source, uint8_t kind) {
    put(0x48, 1);
    put(0, 3);
    put(id, 1);
    put(source, 2);
    put(kind, 1);
}

static void ivhd_named(const char *name) {
    put(0xf0, 1);
    put(0xa5, 2);
    put(0, 1);
    put(0x303430305a4d41ull, 8); /* an ID of ACPI */
    put(0, 8);
    put(2, 1);
    put(strlen(name), 1);
    for (; *name != '\0'; name++) {
        put((uint8_t)*name, 1);
    }
}

static void ivhd_devices(void) {
    put(3 | 8 << 8, 4); /* from 00:01.0 */
    put(4 | 0xfffe << 8, 4);
    put(0x43 | 0xff00 << 8, 4); /* an alias, from */
    put(0xa5 << 8, 4);
    put(4 | 0xffff << 8, 4);
    ivhd_special(0, 0xa0, 2); /* a timer */
    ivhd_special(33, 0xa0, 1);
    ivhd_special(34, 0x01, 1);
}

static void ivmd(uint8_t type, uint8_t flags, uint16_t first, uint16_t last, uint64_t base,
                 uint64_t size) {
    entry_at = used;
    put(type, 1);
    put(flags, 1);
    put(0, 2);
    put(first, 2);
    put(last, 2);
    put(0, 8);
    /* The memory's base stands after eight bytes that are to be 0. */
    put(base, 8);
    put(size, 8);
    end_entry();
}

/* A desktop's: its unit in all three lengths, a second one of another segment. */
static void make_ivrs(void) {
    start_table("IVRS");
    table[36] = 0x41;
    ivhd(0x10, 0xb0 | 0x0f, 0, 0xfeb80000);
    ivhd_devices();
    end_entry();
    ivhd(0x10, 0x30, 1, 0xfeb00000);
    end_entry();
    ivmd(0x20, 0x07, 0, 0, 0x70000000, 0x10000);
    ivmd(0x21, 0x03, 0x0123, 0x5555, 0x70100000, 0x1000);
    ivmd(0x22, 0x05, 0x0200, 0x02ff, 0x70200000, 0x2000);
    ivmd(0x21, 0x08, 0x0042, 0, 0x70300000, 0x3000); /* excluded */
    ivmd(0x21, 0x06, 0x0042, 0, 0x70400000, 0x3000); /* neither, and no access */
    ivmd(0x21, 0x01, 0x0042, 0, 0x70500000, 0x3000);
    ivhd(0x11, 0xb0 | 0x0f, 0, 0xfeb80000);
    ivhd_devices();
    end_entry();
    ivhd(0x40, 0xb0 | 0x0f, 0, 0xfeb80000);
    ivhd_devices();
    ivhd_named("\\_SB.FUR0");
    ivhd_named("");
    ivhd_special(35, 0x02, 1);
    end_entry();
}

TEST(ivrs) {
    make_ivrs();
    read_now(ivrs_read);
    CHECK(info.dma.kind == BOOT_IOMMU_AMD_VI && info.dma.interrupts && !info.dma.partial);
    CHECK_U64(info.dma.unit_count, 2);
    expect_unit(0, 0xfeb80000, 0x4000, 0, 0x3f);
    expect_unit(1, 0xfeb00000, 0x4000, 1, 0x30);
    CHECK_U64(info.dma.ioapic_count, 3);
    expect_ioapic(0, 33, 0xa0);
    expect_ioapic(1, 34, 0x01);
    expect_ioapic(2, 35, 0x02);
    CHECK_U64(info.dma.range_count, 4);
    expect_range(0, 0x70000000, 0x10000, "rw");
    expect_range(1, 0x70100000, 0x1000, "r");
    expect_range(2, 0x70200000, 0x2000, "w");
    expect_range(3, 0x70300000, 0x3000, "rw");
    CHECK(info.dma.ranges[0].first == 0 && info.dma.ranges[0].last == 0xffff);
    CHECK(info.dma.ranges[1].first == 0x0123 && info.dma.ranges[1].last == 0x0123);
    CHECK(info.dma.ranges[2].first == 0x0200 && info.dma.ranges[2].last == 0x02ff);
    CHECK(info.dma.ranges[3].first == 0x0042 && info.dma.ranges[3].last == 0x0042);
    iommu_resolve(&info, fake_config); /* there is no way to go */
    CHECK(info.dma.range_count == 4 && info.dma.ranges[2].last == 0x02ff);
    expect_sane();
}

/* What the table wants of functions: of a range what stands at its beginning. */
TEST(ivrs_settings) {
    static const struct boot_dma_setting wanted[] = {
        {0, 0xffff, 0x01},      {0x0008, 0x0010, 0x07},
        {0x00a0, 0x00a0, 0xd7}, {0x0042, 0x0042, 0x30 | BOOT_DMA_ALIAS},
        {0x0100, 0x01ff, 0x04}, {0x0043, 0x0043, 0x40},
    };
    start_table("IVRS");
    ivhd(0x10, 0, 0, 0xfeb80000);
    put(4 | 0x0005 << 8, 4); /* the end of a range that did not begin */
    put(1 | 0x01000000u, 4);
    put(3 | 0x0008 << 8 | 0x07000000u, 4);
    put(4 | 0x0010 << 8 | 0x30000000u, 4);
    put(0x48 | 0xd7000000u, 4);
    put(33 | 0xa0 << 8 | 1u << 24, 4);
    put(66 | 0x0042 << 8 | 0x30000000u, 4); /* an alias */
    put(0x0099 << 8, 4);
    put(71 | 0x0100 << 8 | 0x04000000u, 4); /* more settings, from */
    put(0, 4);
    put(4 | 0x01ff << 8, 4);
    put(2 | 0x0043 << 8 | 0x40000000u, 4);
    put(2 | 0x0044 << 8, 4); /* nothing */
    put(0, 4);               /* padding */
    end_entry();
    read_now(ivrs_read);
    CHECK(!info.dma.partial);
    CHECK_U64(info.dma.setting_count, ARRAY_SIZE(wanted));
    for (uint32_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        CHECK_U64(info.dma.settings[i].first, wanted[i].first);
        CHECK_U64(info.dma.settings[i].last, wanted[i].last);
        CHECK_U64(info.dma.settings[i].bits, wanted[i].bits);
    }
    for (unsigned i = 0; i <= BOOT_MAX_DMA_SETTINGS; i++) {
        CHECK(!info.dma.partial);
        start_table("IVRS");
        ivhd(0x10, 0, 0, 0xfeb80000);
        for (unsigned n = 0; n <= i; n++) {
            put(2 | n << 8 | 0x40000000u, 4);
        }
        end_entry();
        read_now(ivrs_read);
    }
    CHECK(info.dma.partial);
    CHECK_U64(info.dma.setting_count, BOOT_MAX_DMA_SETTINGS);
}

/* An entry of a kind that is not known has no length either. */
TEST(ivrs_of_a_device_that_is_not_known) {
    static const uint8_t kinds[] = {0x80, 0xc0, 0xff};
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        start_table("IVRS");
        ivhd(0x10, 0, 0, 0xfeb80000);
        put(kinds[i], 4);
        put(0, 8);
        put(0, 8);
        ivhd_special(33, 0xa0, 1);
        end_entry();
        read_now(ivrs_read);
        CHECK(info.dma.partial && info.dma.unit_count == 1 && info.dma.ioapic_count == 0);
    }
}

/* ---- broken ones ---- */

/* One that ends in the middle of an entry is broken; where an entry ends, it is only short. */
static void cut_everywhere(read_table *read) {
    uint32_t whole = used;
    uint32_t clean = 0;
    for (uint32_t length = 48; length <= whole; length++) {
        read_as(read, length);
        expect_sane();
        clean += info.dma.partial ? 0 : 1;
    }
    /* After each entry, and up to three bytes more that are no entry's. */
    CHECK(clean >= 7 && clean <= 4 * 12);
    CHECK(!info.dma.partial);
}

TEST(tables_that_end_anywhere) {
    make_dmar();
    cut_everywhere(dmar_read);
    make_ivrs();
    cut_everywhere(ivrs_read);
}

/* Each byte of the table in turn is each of some values: no length, and no kind, leads astray. */
static void break_each_byte(read_table *read) {
    static const uint8_t values[] = {0, 1,    2,    3,    4,    5,    6,    7,    8,
                                     9, 0x20, 0x40, 0x48, 0x7f, 0x80, 0xf0, 0xfe, 0xff};
    for (uint32_t at = 36; at < used; at++) {
        uint8_t was = table[at];
        for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
            table[at] = values[v];
            read_now(read);
            expect_sane();
        }
        for (int by = -1; by <= 1; by += 2) {
            table[at] = (uint8_t)(was + by);
            read_now(read);
            expect_sane();
        }
        table[at] = was;
    }
}

TEST(each_byte_is_another) {
    make_dmar();
    break_each_byte(dmar_read);
    make_ivrs();
    break_each_byte(ivrs_read);
}

/* at = its length's; by one it is wrong, at each level. */
static void expect_partial_at(read_table *read, uint32_t at, unsigned units) {
    uint8_t was = table[at];
    for (int by = -1; by <= 1; by += 2) {
        table[at] = (uint8_t)(was + by);
        read_now(read);
        CHECK(info.dma.partial);
        CHECK(info.dma.unit_count <= units);
    }
    table[at] = was;
}

TEST(lengths_that_are_wrong_by_one) {
    start_table("DMAR");
    dmar_unit(0, 0xfed90000, 0, 0);
    scope(1, 0, 0, "\x02\x00", 2);
    end_entry();
    expect_partial_at(dmar_read, 48 + 2, 1);
    expect_partial_at(dmar_read, 48 + 16 + 1, 1);
    start_table("DMAR");
    dmar_reserved(0, 0x7a000000, 0x7a01ffff);
    scope(1, 0, 0, "\x14\x00", 2);
    end_entry();
    expect_partial_at(dmar_read, 48 + 2, 0);
    expect_partial_at(dmar_read, 48 + 24 + 1, 0);
    start_table("IVRS");
    ivhd(0x40, 0, 0, 0xfeb80000);
    ivhd_named("\\_SB.FUR0");
    end_entry();
    expect_partial_at(ivrs_read, 48 + 2, 1);
    expect_partial_at(ivrs_read, 48 + 40 + 21, 1);
    start_table("IVRS");
    ivmd(0x21, 0x07, 0x0123, 0, 0x70100000, 0x1000);
    expect_partial_at(ivrs_read, 48 + 2, 0);
}

TEST(entries_that_are_too_short_for_their_kind) {
    static const uint8_t kinds[] = {0x10, 0x11, 0x40, 0x20, 0x21, 0x22};
    for (unsigned length = 0; length < 16; length++) {
        for (unsigned kind = 0; kind < 2; kind++) {
            start_table("DMAR");
            put(kind | length << 16, 4);
            used += length > 4 ? length - 4 : 0;
            read_now(dmar_read);
            CHECK(info.dma.partial && info.dma.unit_count == 0 && info.dma.range_count == 0);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
            start_table("IVRS");
            put(kinds[i] | length << 16, 4);
            used += length > 4 ? length - 4 : 0;
            read_now(ivrs_read);
            CHECK(info.dma.partial && info.dma.unit_count == 0 && info.dma.range_count == 0);
        }
    }
}

/* ---- what is nonsense, or too much ---- */

TEST(units_that_are_nowhere) {
    static const uint64_t bases[] = {0, 0xfed90800, 1};
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        start_table("DMAR");
        dmar_unit(0, bases[i], 1, 0);
        end_entry();
        dmar_unit(0, 0xfed91000, 1, 0);
        end_entry();
        read_now(dmar_read);
        CHECK(info.dma.partial);
        CHECK_U64(info.dma.unit_count, 1);
        expect_unit(0, 0xfed91000, 0x1000, 0, 0);
    }
}

TEST(ranges_that_are_none) {
    static const struct {
        uint64_t base, last;
    } ranges[] = {
        {0x7a000000, 0x79ffffff}, /* of no bytes */
        {0x7a000000, 0x7a000ffe}, /* not whole pages */
        {0x7a000800, 0x7a0017ff},
        {0x7a000000, 0x79000fff},         /* it wraps around */
        {0xfffffffffffff000, UINT64_MAX}, /* so does its end */
        {0, UINT64_MAX},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        uint64_t size = ranges[i].last - ranges[i].base + 1;
        start_table("DMAR");
        dmar_reserved(0, ranges[i].base, ranges[i].last);
        scope(1, 0, 0, "\x14\x00", 2);
        end_entry();
        read_now(dmar_read);
        CHECK(info.dma.partial && info.dma.range_count == 0);
        start_table("IVRS");
        ivmd(0x20, 0x07, 0, 0, ranges[i].base, size);
        read_now(ivrs_read);
        CHECK(info.dma.partial && info.dma.range_count == 0);
    }
}

/* Of another segment, of a whole bridge, or through too many bridges. */
TEST(ranges_of_devices_that_are_not_known) {
    for (unsigned i = 0; i < 3; i++) {
        start_table("DMAR");
        dmar_reserved(i == 0, 0x7a000000, 0x7a000fff);
        scope(i == 1 ? 2 : 1, 0, 0, "\1\0\1\0\1\0\1\0\1\0", i == 2 ? 10 : 8);
        end_entry();
        read_now(dmar_read);
        CHECK(info.dma.partial && info.dma.range_count == 0);
    }
}

TEST(ranges_of_another_segment) {
    start_table("IVRS");
    ivmd(0x21, 0x07, 0x0123, 0, 0x70100000, 0x1000);
    table[entry_at + 8] = 1;
    read_now(ivrs_read);
    CHECK(info.dma.partial && info.dma.range_count == 0);
}

/* An I/O APIC behind a bridge: its source is not known. The first of two with one ID counts. */
TEST(ioapics_of_dmar) {
    start_table("DMAR");
    dmar_unit(0, 0xfed90000, 1, 0);
    scope(3, 1, 0, "\x1c\x00\x1f\x00", 4);
    scope(3, 2, 0, "\x1f\x00", 2);
    scope(3, 2, 0, "\x1e\x00", 2);
    end_entry();
    read_now(dmar_read);
    CHECK(!info.dma.partial);
    CHECK_U64(info.dma.ioapic_count, 1);
    expect_ioapic(0, 2, 0x00f8);
}

TEST(too_many) {
    start_table("DMAR");
    for (unsigned i = 0; i <= BOOT_MAX_IOMMUS; i++) {
        CHECK(!info.dma.partial || i == 0);
        dmar_unit(0, 0xfed00000 + i * PAGE_SIZE, 1, 0);
        scope(3, (uint8_t)i, 0, "\x1f\x00", 2);
        end_entry();
        read_now(dmar_read);
    }
    CHECK(info.dma.partial);
    CHECK_U64(info.dma.unit_count, BOOT_MAX_IOMMUS);
    CHECK_U64(info.dma.ioapic_count, min_u64(BOOT_MAX_IOAPICS, BOOT_MAX_IOMMUS + 1));
    expect_sane();
    start_table("IVRS");
    for (unsigned i = 0; i <= BOOT_MAX_DMA_RANGES; i++) {
        CHECK(!info.dma.partial || i == 0);
        ivmd(0x21, 0x07, (uint16_t)i, 0, 0x70000000, PAGE_SIZE);
        read_now(ivrs_read);
    }
    CHECK(info.dma.partial);
    CHECK_U64(info.dma.range_count, BOOT_MAX_DMA_RANGES);
    expect_sane();
}

/* Both: the units of the first are used. */
TEST(tables_of_both_vendors) {
    make_dmar();
    read_now(dmar_read);
    make_ivrs();
    uint32_t length = used;
    memcpy(table + 4, &length, sizeof(length));
    ivrs_read(table, &info);
    CHECK(info.dma.kind == BOOT_IOMMU_VTD && info.dma.partial);
    CHECK_U64(info.dma.unit_count, 3);
    CHECK_U64(info.dma.range_count, 3);
}

TEST_MAIN(T(dmar), T(dmar_without_interrupts), T(dmar_that_is_empty), T(ways_through_bridges),
          T(bridges_that_lead_nowhere), T(ivrs), T(ivrs_settings),
          T(ivrs_of_a_device_that_is_not_known), T(tables_that_end_anywhere),
          T(each_byte_is_another), T(lengths_that_are_wrong_by_one),
          T(entries_that_are_too_short_for_their_kind), T(units_that_are_nowhere),
          T(ranges_that_are_none), T(ranges_of_devices_that_are_not_known),
          T(ranges_of_another_segment), T(ioapics_of_dmar), T(too_many), T(tables_of_both_vendors))
