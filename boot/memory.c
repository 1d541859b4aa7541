/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory taken from the firmware, the firmware's memory map, and the end of the firmware's boot
 * services. Owns the list of what was allocated, to give it back on a refusal. Source: UEFI
 * Specification, "Memory Allocation Services".
 */
#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define EXIT_TRIES          8
#define MEMORY_SPECIFIC_USE 0x40000ull /* EFI_MEMORY_SP: the firmware keeps it for a device */

static struct {
    EFI_PHYSICAL_ADDRESS base;
    UINTN pages;
} blocks[BOOT_MAX_IMAGES + 5]; /* the files, config, microcode, and three of the hypervisor */
static unsigned block_count;

static EFI_MEMORY_DESCRIPTOR *map;
static UINTN map_entries, map_stride, map_key;

/* All of it is loader code: the hypervisor's first steps still run on the firmware's page tables,
 * and some firmware lets nothing else be executed. */
hpa_t memory_alloc(uint64_t size, uint64_t limit) {
    EFI_PHYSICAL_ADDRESS base = limit;
    UINTN pages = max_u64(1, size / PAGE_SIZE + (size % PAGE_SIZE != 0));
    ASSERT(block_count < ARRAY_SIZE(blocks));
    if (BS->AllocatePages(AllocateMaxAddress, EfiLoaderCode, pages, &base) != EFI_SUCCESS) {
        return HPA(0);
    }
    memset(phys_pointer(HPA(base)), 0, pages * PAGE_SIZE);
    blocks[block_count].base = base;
    blocks[block_count++].pages = pages;
    return HPA(base);
}

void memory_free_all(void) {
    while (block_count-- > 0) {
        BS->FreePages(blocks[block_count].base, blocks[block_count].pages);
    }
    FreePool(map);
}

static enum mem_kind kind_of(const EFI_MEMORY_DESCRIPTOR *d) {
    const uint64_t attributes = d->Attribute & (EFI_MEMORY_WB | MEMORY_SPECIFIC_USE);
    switch (d->Type) {
    case EfiLoaderCode: /* this application, struct boot_info in it, and what memory_alloc() took */
    case EfiLoaderData:
        return MEM_BULKHEAD;
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiConventionalMemory:
        return attributes == EFI_MEMORY_WB ? MEM_FREE : MEM_RESERVED;
    default:
        return MEM_RESERVED;
    }
}

/* All descriptors of that kind. */
static enum status add_descriptors(struct boot_info *info, enum mem_kind kind) {
    enum status status = STATUS_OK;
    for (UINTN i = 0; i < map_entries && status == STATUS_OK; i++) {
        const EFI_MEMORY_DESCRIPTOR *d =
            (const EFI_MEMORY_DESCRIPTOR *)((const uint8_t *)map + i * map_stride);
        if (kind_of(d) == kind && d->NumberOfPages <= UINT64_MAX / PAGE_SIZE) {
            status = ranges_set(info, d->PhysicalStart, d->NumberOfPages * PAGE_SIZE, kind);
        }
    }
    return status;
}

EFI_STATUS memory_read_map(struct boot_info *info) {
    UINT32 version;
    map = LibMemoryMap(&map_entries, &map_key, &map_stride, &version);
    info->range_count = 0;
    /*
     * The free ranges first, so that where the firmware contradicts itself the stricter word
     * stands. Firmware and CPUs being started have their own ideas about the first megabyte.
     */
    bool good = map != NULL && add_descriptors(info, MEM_FREE) == STATUS_OK &&
                ranges_set(info, 0, MIB, MEM_RESERVED) == STATUS_OK &&
                add_descriptors(info, MEM_BULKHEAD) == STATUS_OK &&
                add_descriptors(info, MEM_RESERVED) == STATUS_OK;
    return good ? EFI_SUCCESS : EFI_OUT_OF_RESOURCES;
}

EFI_STATUS memory_exit_firmware(struct boot_info *info) {
    EFI_STATUS status = EFI_INVALID_PARAMETER;
    /* An event handler of the firmware may have changed the map meanwhile: ask again. */
    for (unsigned i = 0; i < EXIT_TRIES && status == EFI_INVALID_PARAMETER; i++) {
        status = memory_read_map(info);
        if (status == EFI_SUCCESS) {
            status = BS->ExitBootServices(own_image, map_key);
        }
    }
    return status;
}
