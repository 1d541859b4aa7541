/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory map as E820 has it, for all who hand one to a kernel. */
#include "hv/compartment/load/start.h"

void map_write(struct load *l) {
    struct bulkhead_start *start = &l->start;
    const uint64_t acpi = start->low_ram - BULKHEAD_TABLES_SIZE;
    const uint64_t nvs = start->low_ram - PAGE_SIZE; /* the FACS */
    const struct e820_entry map[] = {
        {0, LOW_RAM_END, E820_RAM},
        {LOW_RAM_END, RESERVED_END - LOW_RAM_END, E820_RESERVED}, /* EBDA, VGA, firmware */
        {RESERVED_END, acpi - RESERVED_END, E820_RAM},
        {acpi, nvs - acpi, E820_ACPI},
        {nvs, PAGE_SIZE, E820_NVS},
        {PCI_PAGES, PCI_PAGES_SIZE, E820_RESERVED}, /* or Linux does not use them */
        {IOAPIC_ADDRESS, PAGE_SIZE, E820_RESERVED},
        {LAPIC_ADDRESS, PAGE_SIZE, E820_RESERVED},
        {HIGH_RAM, start->high_ram, E820_RAM},
    };
    uint64_t size = sizeof(map[0]) * (ARRAY_SIZE(map) - (start->high_ram == 0));

    memcpy(load_known(l, MAP_GPA), map, size);
    for (uint32_t i = 0; i < l->devices->pmem_count; i++) {
        const struct abi_pmem *pmem = &l->devices->pmems[i];
        struct e820_entry entry = {pmem->gpa, pmem->size, E820_PMEM};
        memcpy(load_known(l, MAP_GPA + size), &entry, sizeof(entry));
        size += sizeof(entry);
    }
    start->memory_map.gpa = MAP_GPA;
    start->memory_map.size = size;
    start->rsdp = acpi;
}
