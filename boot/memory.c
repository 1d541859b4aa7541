/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory taken from the firmware, the firmware's memory map, and the end of the firmware's boot
 * services. Owns the list of what was allocated, to give it back on a refusal. Source: UEFI
 * Specification, "Memory Allocation Services".
 */
#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/plan/kept_log.h"

#define EXIT_TRIES          8
#define MAP_SPARE           (8 * KIB)  /* some 160 descriptors: handlers of events allocate, too */
#define RANGES_SPARE        64u        /* as many may come between the pre-flight and the end */
#define MEMORY_SPECIFIC_USE 0x40000ull /* EFI_MEMORY_SP: the firmware keeps it for a device */

static struct {
    EFI_PHYSICAL_ADDRESS base;
    UINTN pages;
} blocks[BOOT_MAX_IMAGES + 6]; /* the files, config, microcode, and four of the hypervisor */
static unsigned block_count;

/* The firmware's map, in a buffer that has room for more than it had when it was taken. */
static struct {
    EFI_MEMORY_DESCRIPTOR *first;
    UINTN room, size, stride; /* bytes: of the buffer, of the map, of a descriptor */
    UINTN key;
} map;

/* All of it is loader code: the hypervisor's first steps still run on the firmware's page tables,
 * and some firmware lets nothing else be executed. */
static hpa_t allocate(EFI_ALLOCATE_TYPE how, EFI_PHYSICAL_ADDRESS base, UINTN pages) {
    ASSERT(block_count < ARRAY_SIZE(blocks));
    if (BS->AllocatePages(how, EfiLoaderCode, pages, &base) != EFI_SUCCESS) {
        return HPA(0);
    }
    blocks[block_count].base = base;
    blocks[block_count++].pages = pages;
    return HPA(base);
}

hpa_t memory_alloc(uint64_t size, uint64_t limit) {
    UINTN pages = max_u64(1, size / PAGE_SIZE + (size % PAGE_SIZE != 0));
    hpa_t base = allocate(AllocateMaxAddress, limit, pages);
    if (base.v != 0) {
        memset(phys_pointer(base), 0, pages * PAGE_SIZE);
    }
    return base;
}

hpa_t memory_alloc_file(uint64_t size, uint64_t limit) {
    uint64_t room = boot_image_room(size);
    if (size < BOOT_LARGE_FILE || room < size) {
        return memory_alloc(size, limit);
    }
    hpa_t base = memory_alloc(room + BOOT_LARGE_FILE - PAGE_SIZE, limit);
    return HPA(ALIGN_UP(base.v, BOOT_LARGE_FILE));
}

hpa_t memory_take(uint64_t base, uint64_t size) {
    return allocate(AllocateAddress, base, size / PAGE_SIZE);
}

void memory_free_all(void) {
    while (block_count-- > 0) {
        BS->FreePages(blocks[block_count].base, blocks[block_count].pages);
    }
    if (map.first != NULL) {
        BS->FreePool(map.first);
    }
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

static const EFI_MEMORY_DESCRIPTOR *map_at(UINTN i) {
    return (const EFI_MEMORY_DESCRIPTOR *)((const uint8_t *)map.first + i * map.stride);
}

/* Calls nothing but GetMemoryMap: once ExitBootServices has failed, nothing else may be called. */
static EFI_STATUS map_read(void) {
    UINT32 version;
    map.size = map.room;
    return BS->GetMemoryMap(&map.size, map.first, &map.key, &map.stride, &version);
}

static EFI_STATUS map_take(void) {
    EFI_STATUS status = map_read();
    while (status == EFI_BUFFER_TOO_SMALL) {
        if (map.first != NULL) {
            BS->FreePool(map.first);
        }
        map.room = map.size + MAP_SPARE;
        status = BS->AllocatePool(EfiLoaderData, map.room, (void **)&map.first);
        if (status != EFI_SUCCESS) {
            map.first = NULL;
            map.room = 0;
            return status;
        }
        status = map_read();
    }
    return status;
}

/* All descriptors of that kind. */
static enum status add_descriptors(struct boot_info *info, enum mem_kind kind) {
    enum status status = STATUS_OK;
    for (UINTN i = 0; i < map.size / map.stride && status == STATUS_OK; i++) {
        const EFI_MEMORY_DESCRIPTOR *d = map_at(i);
        if (kind_of(d) == kind && d->NumberOfPages <= UINT64_MAX / PAGE_SIZE) {
            status = ranges_set(info, d->PhysicalStart, d->NumberOfPages * PAGE_SIZE, kind);
        }
    }
    return status;
}

/*
 * The free ranges first, so that where the firmware contradicts itself the stricter word stands.
 * Firmware and CPUs being started have their own ideas about the first megabyte.
 */
static enum status map_to_ranges(struct boot_info *info) {
    info->range_count = 0;
    bool good = add_descriptors(info, MEM_FREE) == STATUS_OK &&
                ranges_set(info, 0, MIB, MEM_RESERVED) == STATUS_OK &&
                add_descriptors(info, MEM_BULKHEAD) == STATUS_OK &&
                ranges_set(info, info->kept_log.v, info->kept_log.v != 0 ? KEPT_LOG_SIZE : 0,
                           MEM_RESERVED) == STATUS_OK &&
                add_descriptors(info, MEM_RESERVED) == STATUS_OK;
    return good ? STATUS_OK : STATUS_FULL;
}

EFI_STATUS memory_read_map(struct boot_info *info) {
    EFI_STATUS status = map_take();
    if (status != EFI_SUCCESS) {
        return status;
    }
    bool fits = map_to_ranges(info) == STATUS_OK;
    return fits && info->range_count <= BOOT_MAX_RANGES - RANGES_SPARE ? EFI_SUCCESS
                                                                       : EFI_OUT_OF_RESOURCES;
}

hpa_t memory_low_page(void) {
    hpa_t found = HPA(0);
    for (UINTN i = 0; i < map.size / map.stride; i++) {
        const EFI_MEMORY_DESCRIPTOR *d = map_at(i);
        uint64_t start = d->PhysicalStart;
        if (kind_of(d) == MEM_FREE && start < MEMORY_LOW_END && d->NumberOfPages != 0) {
            uint64_t pages = min_u64(d->NumberOfPages, (MEMORY_LOW_END - start) / PAGE_SIZE);
            found = HPA(max_u64(found.v, start + (pages - 1) * PAGE_SIZE));
        }
    }
    return found;
}

EFI_STATUS memory_exit_firmware(void) {
    EFI_STATUS status = map_take();
    if (status == EFI_SUCCESS) {
        status = BS->ExitBootServices(own_image, map.key);
    }
    /* An event handler of the firmware may have changed the map meanwhile: ask again. */
    for (unsigned i = 1; i < EXIT_TRIES && status == EFI_INVALID_PARAMETER; i++) {
        status = map_read();
        if (status == EFI_SUCCESS) {
            status = BS->ExitBootServices(own_image, map.key);
        }
    }
    return status;
}

/* There was room to spare in the list a moment ago. Should it not do, the hypervisor will say so.
 */
void memory_use_last_map(struct boot_info *info) {
    if (map_to_ranges(info) != STATUS_OK) {
        info->range_count = 0;
    }
}
