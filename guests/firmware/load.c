/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out what the kernel file is and has it loaded; the memory map; flat binaries. The other
 * kinds are in linux.c, multiboot.c and elf.c. The hypervisor's loader judged the same file before
 * the start; what is checked here keeps this code within the guest's memory.
 */
#include "guests/firmware/firmware.h"

#define IOAPIC_ADDRESS 0xfec00000u
#define LAPIC_ADDRESS  0xfee00000u

uint64_t number_at(const uint8_t *at, uint64_t offset, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, at + offset, bytes); /* x86 is little-endian, and so are the files */
    return value;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
    if (value < least) {
        return least;
    }
    return value > most ? most : value;
}

void piece_move(uint8_t *memory, uint64_t to, const struct bulkhead_piece *piece, uint64_t skip,
                uint64_t size) {
    uint64_t begin = piece->gpa, end = begin + piece->size;
    uint64_t front = clamp(to, begin, end), back = clamp(to + size, begin, end);
    memmove(memory + to, memory + begin + skip, size);
    memset(memory + begin, 0, front - begin);
    memset(memory + back, 0, end - back);
}

void map_write(uint8_t *memory, struct bulkhead_start *start) {
    const uint64_t acpi = start->low_ram - BULKHEAD_TABLES_SIZE;
    const uint64_t nvs = start->low_ram - PAGE; /* the FACS */
    const struct e820_entry map[] = {
        {0, LOW_RAM_END, E820_RAM},
        {LOW_RAM_END, KERNEL_LEAST - LOW_RAM_END, E820_RESERVED}, /* EBDA, VGA, this firmware */
        {KERNEL_LEAST, acpi - KERNEL_LEAST, E820_RAM},
        {acpi, nvs - acpi, E820_ACPI},
        {nvs, PAGE, E820_NVS},
        {IOAPIC_ADDRESS, PAGE, E820_RESERVED},
        {LAPIC_ADDRESS, PAGE, E820_RESERVED},
        {HIGH_RAM, start->high_ram, E820_RAM},
    };
    start->memory_map.gpa = MAP_GPA;
    start->memory_map.size = sizeof(map[0]) * (COUNT(map) - (start->high_ram == 0));
    start->rsdp = acpi;
    memcpy(memory + MAP_GPA, map, start->memory_map.size);
}

static const char *flat_load(uint8_t *memory, const struct bulkhead_start *start,
                             struct entry *entry) {
    piece_move(memory, BULKHEAD_FLAT_GPA, &start->kernel, 0, start->kernel.size);
    *entry = (struct entry){.address = BULKHEAD_FLAT_GPA, .edi = BULKHEAD_START_GPA};
    return NULL;
}

/* In the order in which they are tried: an ELF file may have a Multiboot header, and then means it.
 */
static const struct {
    int (*is)(const uint8_t *file, uint64_t size);
    const char *(*load)(uint8_t *memory, const struct bulkhead_start *start, struct entry *entry);
} kinds[] = {
    [BULKHEAD_KERNEL_LINUX] = {linux_is, linux_load},
    [BULKHEAD_KERNEL_MULTIBOOT] = {multiboot_is, multiboot_load},
    [BULKHEAD_KERNEL_ELF] = {elf_is, elf_load},
    [BULKHEAD_KERNEL_FLAT] = {NULL, flat_load},
};
_Static_assert(COUNT(kinds) == BULKHEAD_KERNEL_TYPES, "a kind without a loader");

const char *kernel_load(uint8_t *memory, struct bulkhead_start *start, uint32_t khz,
                        struct entry *entry) {
    const uint8_t *file = memory + start->kernel.gpa;
    uint64_t type = start->kernel_type;
    for (unsigned i = 1; type == BULKHEAD_KERNEL_ANY && i < BULKHEAD_KERNEL_FLAT; i++) {
        type = kinds[i].is(file, start->kernel.size) ? i : type;
    }
    if (type == BULKHEAD_KERNEL_ANY || type >= COUNT(kinds)) {
        return "is of no kind that this firmware knows";
    }
    if (type == BULKHEAD_KERNEL_LINUX) {
        linux_tell_clock(memory, start, khz);
    }
    return kinds[type].load(memory, start, entry);
}
