/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a kernel by the first Multiboot protocol: ELF, or any file whose header has the addresses.
 * The initrd is its one module. A kernel that wants a video mode is refused: there is no screen.
 * Source: Multiboot Specification 0.6.96 "OS image format", "Machine state", "Boot information
 * format".
 */
#include "hv/compartment/load/start.h"

#define HEADER_MAGIC   0x1badb002u
#define LOADER_MAGIC   0x2badb002u
#define HEADER_AREA    8192u
#define HEADER_SHORT   12u
#define HEADER_LONG    32u
#define FLAG_ADDRESSES 0x10000u
/* Aligned modules and the memory map are given in any case. */
#define FLAGS_REFUSED  0xfffcu

/* Places at PARAMS_GPA, in a zeroed page. */
enum { INFO = 0, MODULE = 0x80, NAME = 0xa0, MAP = 0x100 };
enum { MAP_ENTRY = 24 };
#define LOADER_NAME "Bulkhead"

/* Memory, command line, modules, memory map, the loader's name. */
#define INFO_FLAGS (1u << 0 | 1u << 2 | 1u << 3 | 1u << 6 | 1u << 9)

/* Where the header is; size if there is none. */
static uint64_t multiboot_find(const uint8_t *file, uint64_t size) {
    for (uint64_t at = 0; at + HEADER_SHORT <= HEADER_AREA && at + HEADER_SHORT <= size; at += 4) {
        uint64_t flags = number_at(file, at + 4, 4);
        uint64_t needed = (flags & FLAG_ADDRESSES) != 0 ? HEADER_LONG : HEADER_SHORT;
        if (number_at(file, at, 4) == HEADER_MAGIC && needed <= size - at &&
            (uint32_t)(HEADER_MAGIC + flags + number_at(file, at + 8, 4)) == 0) {
            return at;
        }
    }
    return size;
}

bool multiboot_knows(const uint8_t *file, uint64_t size) {
    return multiboot_find(file, size) != size;
}

/* The one segment that the header's addresses name: its own, the load's, its end, that of zeros. */
static unsigned multiboot_addresses(const uint8_t *file, uint64_t size, uint64_t header,
                                    struct segment *segment, uint64_t *entry) {
    uint64_t own = number_at(file, header + 12, 4), load = number_at(file, header + 16, 4);
    uint64_t load_end = number_at(file, header + 20, 4), zero_end = number_at(file, header + 24, 4);
    *entry = number_at(file, header + 28, 4);
    if (own < load || own - load > header) {
        return 0;
    }
    uint64_t offset = header - (own - load);
    uint64_t in_file = load_end == 0 ? size - offset : load_end - load;
    uint64_t in_memory = zero_end == 0 ? in_file : zero_end - load;
    *segment = (struct segment){load, in_memory, offset, in_file};
    return (load_end == 0 || load_end > load) && in_file <= size - offset && in_memory >= in_file;
}

static uint32_t multiboot_write_map(uint8_t *to, const struct load *l) {
    const struct bulkhead_piece *map = &l->start.memory_map;
    const uint8_t *from = load_known(l, map->gpa);
    uint64_t count = map->size / sizeof(struct e820_entry);

    for (uint64_t i = 0; i < count; i++) {
        to[0] = MAP_ENTRY - 4; /* the size does not count itself */
        memcpy(to + 4, from, sizeof(struct e820_entry));
        to += MAP_ENTRY;
        from += sizeof(struct e820_entry);
    }
    return (uint32_t)count * MAP_ENTRY;
}

static void multiboot_write_info(struct load *l) {
    const struct bulkhead_start *s = &l->start;
    uint8_t *params = load_known(l, PARAMS_GPA);

    memset(params, 0, PAGE_SIZE);
    const uint32_t map_size = multiboot_write_map(params + MAP, l);
    const uint32_t modules = s->initrd.size != 0;
    const struct {
        uint16_t offset;
        uint32_t value;
    } fields[] = {
        {INFO + 0, INFO_FLAGS},
        {INFO + 4, LOW_RAM_END / 1024},
        {INFO + 8, (uint32_t)((s->low_ram - BULKHEAD_TABLES_SIZE - KERNEL_LEAST) / 1024)},
        {INFO + 16, (uint32_t)s->cmdline.gpa},
        {INFO + 20, modules},
        {INFO + 24, PARAMS_GPA + MODULE},
        {INFO + 44, map_size},
        {INFO + 48, PARAMS_GPA + MAP},
        {INFO + 64, PARAMS_GPA + NAME},
        {MODULE + 0, (uint32_t)s->initrd.gpa},
        {MODULE + 4, (uint32_t)(s->initrd.gpa + s->initrd.size)},
        {MODULE + 8, (uint32_t)s->initrd_path.gpa},
    };
    for (size_t i = 0; i < (modules != 0 ? ARRAY_SIZE(fields) : ARRAY_SIZE(fields) - 3); i++) {
        number_put(params + fields[i].offset, fields[i].value, 4);
    }
    memcpy(params + NAME, LOADER_NAME, sizeof(LOADER_NAME));
}

enum load_status multiboot_load(struct load *l) {
    const uint8_t *file = l->file;
    uint64_t size = l->start.kernel.size;
    uint64_t header = multiboot_find(file, size);
    uint64_t address = 0;
    struct segment segments[SEGMENTS_MOST];

    if (header == size) {
        return LOAD_NO_HEADER;
    }
    uint64_t flags = number_at(file, header + 4, 4);
    if ((flags & FLAGS_REFUSED) != 0) {
        return LOAD_NO_SCREEN;
    }
    unsigned count = (flags & FLAG_ADDRESSES) != 0
                         ? multiboot_addresses(file, size, header, segments, &address)
                         : elf_read(file, size, 0, segments, &address);
    if (count == 0 || address >> 32 != 0) {
        return LOAD_NO_MULTIBOOT;
    }
    enum load_status status = segments_load(l, segments, count);
    if (status == LOAD_MORE) {
        multiboot_write_info(l);
        l->entry = (struct entry){
            .mode = MODE_PROTECTED, .address = address, .eax = LOADER_MAGIC, .ebx = PARAMS_GPA};
    }
    return status;
}
