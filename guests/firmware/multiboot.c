/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a kernel by the first Multiboot protocol: ELF, or any file whose header has the addresses.
 * The initrd is its one module. A kernel that wants a video mode is refused: there is no screen.
 * Source: Multiboot Specification 0.6.96 "OS image format", "Machine state", "Boot information
 * format".
 */
#include "guests/firmware/firmware.h"

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

int multiboot_is(const uint8_t *file, uint64_t size) {
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

static uint32_t multiboot_write_map(uint8_t *to, const uint8_t *memory,
                                    const struct bulkhead_start *s) {
    uint64_t count = s->memory_map.size / sizeof(struct e820_entry);
    for (uint64_t i = 0; i < count; i++, to += MAP_ENTRY) {
        to[0] = MAP_ENTRY - 4; /* the size does not count itself */
        memcpy(to + 4, memory + s->memory_map.gpa + i * sizeof(struct e820_entry),
               sizeof(struct e820_entry));
    }
    return (uint32_t)count * MAP_ENTRY;
}

static void multiboot_write_info(uint8_t *memory, const struct bulkhead_start *s) {
    uint8_t *params = memory + PARAMS_GPA;
    memset(params, 0, PAGE);
    const uint32_t map_size = multiboot_write_map(params + MAP, memory, s);
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
    for (size_t i = 0; i < (modules != 0 ? COUNT(fields) : COUNT(fields) - 3); i++) {
        memcpy(params + fields[i].offset, &fields[i].value, 4);
    }
    memcpy(params + NAME, LOADER_NAME, sizeof(LOADER_NAME));
}

const char *multiboot_load(uint8_t *memory, const struct bulkhead_start *start,
                           struct entry *entry) {
    const uint8_t *file = memory + start->kernel.gpa;
    uint64_t size = start->kernel.size, header = multiboot_find(file, size), address = 0;
    struct segment segments[SEGMENTS_MOST];
    if (header == size) {
        return "has no Multiboot header";
    }
    uint64_t flags = number_at(file, header + 4, 4);
    if ((flags & FLAGS_REFUSED) != 0) {
        return "asks for a video mode or more, which this machine has not";
    }
    unsigned count = (flags & FLAG_ADDRESSES) != 0
                         ? multiboot_addresses(file, size, header, segments, &address)
                         : elf_read(file, size, 0, segments, &address);
    if (count == 0 || address >> 32 != 0) {
        return "is no complete Multiboot kernel";
    }
    const char *why = segments_load(memory, start, segments, count);
    if (why == NULL) {
        multiboot_write_info(memory, start);
        *entry = (struct entry){
            .address = address, .protected_mode = 1, .eax = LOADER_MAGIC, .ebx = PARAMS_GPA};
    }
    return why;
}
