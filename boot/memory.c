/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory taken from the firmware, the firmware's memory map, and the end of the firmware's boot
 * services. Owns the list of what was allocated: it is given back on a refusal and becomes
 * MEM_BULKHEAD otherwise. Source: UEFI Specification, "Memory Allocation Services".
 */
#include "boot/boot.h"
#include "boot/ranges.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define MAP_SIZE            (128 * KIB) /* 2,700 descriptors of the usual 48 bytes */
#define SPARE_RANGES        64
#define EXIT_TRIES          8
#define MEMORY_SPECIFIC_USE 0x40000ull /* EFI_MEMORY_SP: the firmware keeps it for a device */
#define LOW_MEMORY_END      (1 * MIB)

static struct {
    uint32_t count;
    struct {
        hpa_t base;
        uint64_t pages;
    } blocks[BOOT_MAX_IMAGES + 16];
} allocated;

static struct {
    EFI_MEMORY_DESCRIPTOR *buffer;
    UINTN used, stride, key;
} map;

static uint64_t pages_for(uint64_t size) {
    return size / PAGE_SIZE + (size % PAGE_SIZE != 0);
}

hpa_t memory_alloc(uint64_t size, uint64_t align, uint64_t limit, EFI_MEMORY_TYPE type) {
    EFI_BOOT_SERVICES *bs = firmware.services;
    uint64_t pages = pages_for(max_u64(size, 1)), spare = pages_for(align) - 1;
    EFI_PHYSICAL_ADDRESS block = limit;
    if (allocated.count == ARRAY_SIZE(allocated.blocks) || pages > UINT64_MAX / PAGE_SIZE - spare ||
        bs->AllocatePages(AllocateMaxAddress, type, pages + spare, &block) != EFI_SUCCESS) {
        return HPA(0);
    }
    uint64_t base = ALIGN_UP(block, align), head = (base - block) / PAGE_SIZE;
    if (head != 0) {
        bs->FreePages(block, head);
    }
    if (spare != head) {
        bs->FreePages(base + pages * PAGE_SIZE, spare - head);
    }
    memset(phys_pointer(HPA(base)), 0, pages * PAGE_SIZE);
    allocated.blocks[allocated.count].base = HPA(base);
    allocated.blocks[allocated.count++].pages = pages;
    return HPA(base);
}

void memory_free_all(void) {
    while (allocated.count > 0) {
        allocated.count--;
        firmware.services->FreePages(allocated.blocks[allocated.count].base.v,
                                     allocated.blocks[allocated.count].pages);
    }
    map.buffer = NULL;
}

static EFI_STATUS get_map(void) {
    if (map.buffer == NULL) {
        map.buffer = phys_pointer(memory_alloc(MAP_SIZE, PAGE_SIZE, BELOW_4G, EfiLoaderData));
        if (map.buffer == NULL) {
            return EFI_OUT_OF_RESOURCES;
        }
    }
    UINT32 version;
    map.used = MAP_SIZE;
    return firmware.services->GetMemoryMap(&map.used, map.buffer, &map.key, &map.stride, &version);
}

static enum mem_kind kind_of(const EFI_MEMORY_DESCRIPTOR *d) {
    static const bool becomes_free[EfiMaxMemoryType] = {
        [EfiBootServicesCode] = true,
        [EfiBootServicesData] = true,
        [EfiConventionalMemory] = true,
    };
    if (d->Type == EfiACPIReclaimMemory || d->Type == EfiACPIMemoryNVS) {
        return MEM_ACPI;
    }
    bool usable = (d->Attribute & EFI_MEMORY_WB) != 0 && (d->Attribute & MEMORY_SPECIFIC_USE) == 0;
    return d->Type < EfiMaxMemoryType && becomes_free[d->Type] && usable ? MEM_FREE : MEM_RESERVED;
}

/* Adds the descriptors that are free, or all others. */
static enum status add_descriptors(struct boot_info *info, bool free) {
    enum status status = STATUS_OK;
    for (UINTN at = 0; map.used - at >= map.stride; at += map.stride) {
        const EFI_MEMORY_DESCRIPTOR *d =
            (const EFI_MEMORY_DESCRIPTOR *)((const uint8_t *)map.buffer + at);
        enum mem_kind kind = kind_of(d);
        if ((kind == MEM_FREE) != free || d->NumberOfPages > UINT64_MAX / PAGE_SIZE) {
            continue;
        }
        uint64_t base = d->PhysicalStart, size = d->NumberOfPages * PAGE_SIZE;
        if (free && base < LOW_MEMORY_END) {
            uint64_t cut = min_u64(size, LOW_MEMORY_END - base);
            base += cut;
            size -= cut;
        }
        enum status s = ranges_set(info, base, size, kind);
        status = s == STATUS_OK ? status : s;
    }
    return status;
}

/*
 * The free ranges first, so that where the firmware contradicts itself the stricter word stands.
 */
static enum status build_ranges(struct boot_info *info) {
    info->range_count = 0;
    enum status status = add_descriptors(info, true);
    enum status s = add_descriptors(info, false);
    status = s == STATUS_OK ? status : s;
    /* Firmware and CPUs being started have their own ideas about the first megabyte. */
    s = ranges_set(info, 0, LOW_MEMORY_END, MEM_RESERVED);
    status = s == STATUS_OK ? status : s;
    for (uint32_t i = 0; i < allocated.count; i++) {
        s = ranges_set(info, allocated.blocks[i].base.v, allocated.blocks[i].pages * PAGE_SIZE,
                       MEM_BULKHEAD);
        status = s == STATUS_OK ? status : s;
    }
    return status;
}

EFI_STATUS memory_read_map(struct boot_info *info) {
    EFI_STATUS status = get_map();
    /* Spare entries, because nobody can be told if the final map should not fit. */
    if (status == EFI_SUCCESS &&
        (build_ranges(info) != STATUS_OK || info->range_count > BOOT_MAX_RANGES - SPARE_RANGES)) {
        status = EFI_OUT_OF_RESOURCES;
    }
    return status;
}

EFI_STATUS memory_exit_firmware(struct boot_info *info) {
    EFI_STATUS status = EFI_LOAD_ERROR;
    for (unsigned i = 0; i < EXIT_TRIES; i++) {
        status = get_map();
        if (status != EFI_SUCCESS) {
            break;
        }
        /* An event handler of the firmware may have changed the map meanwhile: ask again. */
        status = firmware.services->ExitBootServices(firmware.image, map.key);
        if (status != EFI_INVALID_PARAMETER) {
            break;
        }
    }
    if (status == EFI_SUCCESS) {
        (void)build_ranges(info);
    }
    return status;
}
