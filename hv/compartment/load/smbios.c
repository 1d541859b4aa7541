/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS: who made the machine, who it is, its processors and memory, with both entry points, for
 * those who search for them below 1 MiB. All in reserved memory.
 * Source: System Management BIOS Specification 3.2 "Accessing SMBIOS information", "Structure
 * definitions".
 */
#include "hv/compartment/load/start.h"

/* Places in the area. */
enum { ENTRY_3_AT = 0, ENTRY_2_AT = 0x20, STRUCTURES_AT = 0x40 };
enum { ENTRY_3_SIZE = 24, ENTRY_2_SIZE = 31, ENTRY_2_SECOND = 16 };

#define NAME     "Bulkhead"
#define HANDLES  0x100u /* a structure's handle: its type, times this, and its number */
#define NO_CACHE 0xffffu

enum type {
    TYPE_BIOS = 0,
    TYPE_SYSTEM = 1,
    TYPE_BOARD = 2,
    TYPE_CHASSIS = 3,
    TYPE_PROCESSOR = 4,
    TYPE_MEMORY_ARRAY = 16,
    TYPE_MEMORY_DEVICE = 17,
    TYPE_ARRAY_ADDRESS = 19,
    TYPE_BOOT = 32,
    TYPE_END = 127,
};

/* The table as it grows; at is where the next structure or string goes. */
struct table {
    uint8_t *begin, *at;
    uint8_t *structure;
    uint32_t count, largest;
    uint8_t strings; /* of this structure, so far */
};

struct field {
    uint8_t offset, bytes;
    uint64_t value;
};

struct text_field {
    uint8_t offset;
    const char *text; /* NULL or empty: there is none */
};

static uint8_t checksum(const uint8_t *at, size_t n) {
    uint8_t sum = 0;
    while (n-- > 0) {
        sum = (uint8_t)(sum - at[n]);
    }
    return sum;
}

static void begin(struct table *t, enum type type, unsigned number, uint8_t length) {
    t->structure = t->at;
    t->strings = 0;
    memset(t->at, 0, length);
    t->at[0] = (uint8_t)type;
    t->at[1] = length;
    number_put(t->at + 2, type * HANDLES + number, 2);
    t->at += length;
}

static void add_fields(struct table *t, const struct field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        number_put(t->structure + fields[i].offset, fields[i].value, fields[i].bytes);
    }
}

/* Strings follow the structure; a field has the number of its string, from 1. */
static void add_texts(struct table *t, const struct text_field *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *from = texts[i].text;
        if (from == NULL || *from == '\0') {
            continue;
        }
        t->structure[texts[i].offset] = ++t->strings;
        while (*from != '\0') {
            *t->at++ = (uint8_t)*from++;
        }
        *t->at++ = '\0';
    }
}

static void end(struct table *t) {
    if (t->strings == 0) {
        *t->at++ = '\0';
    }
    *t->at++ = '\0';
    uint32_t size = (uint32_t)(t->at - t->structure);
    t->largest = (uint32_t)max_u64(t->largest, size);
    t->count++;
}

static void add_structure(struct table *t, enum type type, unsigned number, uint8_t length,
                          const struct field *fields, size_t field_count,
                          const struct text_field *texts, size_t text_count) {
    begin(t, type, number, length);
    add_fields(t, fields, field_count);
    add_texts(t, texts, text_count);
    end(t);
}
#define ADD(t, type, number, length, fields, texts)                                                \
    add_structure(t, type, number, length, fields, ARRAY_SIZE(fields), texts, ARRAY_SIZE(texts))

static void add_machine(struct table *t, const struct load *l) {
    const char *serial = (const char *)load_known(l, l->start.serial.gpa);
    const char *asset = (const char *)load_known(l, l->start.asset_tag.gpa);
    const char *name = (const char *)load_known(l, l->start.name.gpa);
    /* At F000h; characteristics: PCI; ACPI; a virtual machine; release 1.0. */
    const struct field bios[] = {{6, 2, 0xf000}, {10, 1, 0x80}, {18, 1, 1},   {19, 1, 0x10},
                                 {20, 1, 1},     {22, 1, 0xff}, {23, 1, 0xff}};
    const struct text_field bios_texts[] = {{4, NAME}, {5, "1.0"}, {8, "01/01/2026"}};
    const struct field system[] = {{24, 1, 6}}; /* woken by the power switch */
    const struct text_field system_texts[] = {{4, NAME}, {5, NAME}, {7, serial}, {26, name}};
    /* It hosts the rest; a motherboard, in the chassis. */
    const struct field board[] = {{9, 1, 1}, {11, 2, TYPE_CHASSIS * HANDLES}, {13, 1, 0x0a}};
    const struct text_field board_texts[] = {{4, NAME}, {5, NAME}, {7, serial}, {8, asset}};
    /* Of another kind; its states are safe, its security none. */
    const struct field chassis[] = {{5, 1, 1}, {9, 1, 3}, {10, 1, 3}, {11, 1, 3}, {12, 1, 3}};
    const struct text_field chassis_texts[] = {{4, NAME}, {7, serial}, {8, asset}};

    ADD(t, TYPE_BIOS, 0, 26, bios, bios_texts);
    begin(t, TYPE_SYSTEM, 0, 27);
    add_fields(t, system, ARRAY_SIZE(system));
    /* A UUID's first three fields are little-endian here: each backwards. */
    static const uint8_t order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < sizeof(order); i++) {
        t->structure[8 + i] = l->start.uuid[order[i]];
    }
    add_texts(t, system_texts, ARRAY_SIZE(system_texts));
    end(t);
    ADD(t, TYPE_BOARD, 0, 15, board, board_texts);
    ADD(t, TYPE_CHASSIS, 0, 22, chassis, chassis_texts);
}

/* One socket with a core for each CPU, as CPUID says. */
static void add_processor(struct table *t, const struct load *l) {
    const struct processor *cpu = &l->cpu;
    const uint64_t count = l->start.vcpu_count;
    const uint64_t mhz = cpu->khz / 1000;
    const struct field fields[] = {
        {5, 1, 3},          /* a central processor */
        {6, 1, 2},          /* of a family that is not known */
        {8, 4, cpu->model}, /* what CPUID leaf 1 says in EAX */
        {12, 4, cpu->features},
        {17, 1, 0x80},     /* 0 V: not known */
        {20, 2, mhz},      /* at most */
        {22, 2, mhz},      /* now */
        {24, 1, 0x41},     /* there and enabled */
        {25, 1, 1},        /* its socket is of another kind */
        {26, 2, NO_CACHE}, /* caches are not told here */
        {28, 2, NO_CACHE},
        {30, 2, NO_CACHE},
        {35, 1, count},             /* cores */
        {36, 1, count},             /* of them enabled */
        {37, 1, count},             /* threads */
        {38, 2, 1u << 2 | 1u << 3}, /* 64 bits; several cores */
        {40, 2, 2},
        {42, 2, count},
        {44, 2, count},
        {46, 2, count},
    };
    const struct text_field texts[] = {{4, "CPU 0"}, {7, cpu->maker}, {16, cpu->name}};
    ADD(t, TYPE_PROCESSOR, 0, 48, fields, texts);
}

static void add_range(struct table *t, unsigned number, uint64_t base, uint64_t size) {
    const struct text_field none[] = {{0, NULL}};
    const struct field fields[] = {
        {4, 4, 0xffffffff}, /* in the wide fields */
        {8, 4, 0xffffffff},      {12, 2, TYPE_MEMORY_ARRAY * HANDLES}, {14, 1, 1}, {15, 8, base},
        {23, 8, base + size - 1}};
    if (size != 0) {
        ADD(t, TYPE_ARRAY_ADDRESS, number, 31, fields, none);
    }
}

static void add_memory(struct table *t, const struct bulkhead_start *s) {
    enum { WIDE = 0x7fff };
    const struct text_field none[] = {{0, NULL}};
    const uint64_t total = s->low_ram + s->high_ram;
    const uint64_t mib = total / MIB;
    const struct field array[] = {
        {4, 1, 3},          /* on the board */
        {5, 1, 3},          /* system memory */
        {6, 1, 3},          /* without error correction */
        {7, 4, 0x80000000}, /* the size is in the wide field */
        {11, 2, 0xfffe},    /* no errors are told */
        {13, 2, 1},         {15, 8, total},
    };
    const struct field device[] = {
        {4, 2, TYPE_MEMORY_ARRAY * HANDLES},
        {6, 2, 0xfffe},
        {8, 2, 0xffff}, /* widths are not known */
        {10, 2, 0xffff},
        {12, 2, min_u64(mib, WIDE)},
        {14, 1, 9},       /* a DIMM */
        {18, 1, 7},       /* RAM */
        {19, 2, 1u << 1}, /* of another kind */
        {28, 4, mib},
        {40, 1, 2}, /* its technology is not known */
        {41, 2, 1u << 2},
        {60, 8, total}, /* all of it volatile */
    };
    const struct text_field device_texts[] = {{16, "DIMM 0"}, {23, NAME}};
    ADD(t, TYPE_MEMORY_ARRAY, 0, 23, array, none);
    ADD(t, TYPE_MEMORY_DEVICE, 0, 84, device, device_texts);
    add_range(t, 0, 0, s->low_ram);
    add_range(t, 1, HIGH_RAM, s->high_ram);
}

static void write_entries(uint8_t *area, uint64_t address, const struct table *t) {
    uint8_t *new = area + ENTRY_3_AT;
    uint8_t *old = area + ENTRY_2_AT;
    uint32_t size = (uint32_t)(t->at - t->begin);

    memcpy(new, "_SM3_\0\x18\3\2\0\1", 11); /* length, version 3.2.0, revision of the entry */
    number_put(new + 12, size, 4);
    number_put(new + 16, address + STRUCTURES_AT, 8);
    new[5] = checksum(new, ENTRY_3_SIZE);

    memcpy(old, "_SM_\0\x1f\3\2", 8);
    number_put(old + 8, t->largest, 2);
    memcpy(old + ENTRY_2_SECOND, "_DMI_", 5);
    number_put(old + 22, size, 2);
    number_put(old + 24, address + STRUCTURES_AT, 4);
    number_put(old + 28, t->count, 2);
    old[30] = 0x32;
    old[21] = checksum(old + ENTRY_2_SECOND, ENTRY_2_SIZE - ENTRY_2_SECOND);
    old[4] = checksum(old, ENTRY_2_SIZE);
}

void smbios_write_tables(struct load *l) {
    const struct text_field none[] = {{0, NULL}};
    const struct field no_fields[] = {{4, 1, 0}};
    uint8_t *area = load_known(l, SMBIOS_TABLES);
    struct table t = {.begin = area + STRUCTURES_AT, .at = area + STRUCTURES_AT};

    add_machine(&t, l);
    add_processor(&t, l);
    add_memory(&t, &l->start);
    ADD(&t, TYPE_BOOT, 0, 11, no_fields, none); /* without errors */
    begin(&t, TYPE_END, 0, 4);
    end(&t);
    write_entries(area, SMBIOS_TABLES, &t);
}
