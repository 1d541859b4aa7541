/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which IOMMUs there are, and what memory the firmware's devices have to reach, from ACPI's tables
 * DMAR (Intel) and IVRS (AMD). The tables are a firmware's word: a length that leads out of one
 * ends the reading, and what is not understood is said. See no_firmware.h. Sources: Intel
 * Virtualization Technology for Directed I/O, "BIOS Considerations"; AMD I/O Virtualization
 * Technology (IOMMU) Specification, "I/O Virtualization ACPI Table".
 */
#include "boot/no_firmware.h"
#include "hv/lib/bytes.h"
#include "hv/lib/range.h"

#define TABLE_SIZE 4u

/* ---- what both tables tell ---- */

/* AMD's tables list a unit two or three times, each time in more words. */
static void add_unit(struct boot_info *info, struct boot_iommu unit) {
    struct boot_dma *dma = &info->dma;

    for (uint32_t i = 0; i < dma->unit_count; i++) {
        if (dma->units[i].base.v == unit.base.v) {
            return;
        }
    }
    bool sane = unit.base.v != 0 && unit.base.v % PAGE_SIZE == 0;
    if (!sane || dma->unit_count == BOOT_MAX_IOMMUS) {
        dma->partial = true;
        return;
    }
    dma->units[dma->unit_count] = unit;
    dma->unit_count++;
}

static void add_ioapic(struct boot_info *info, uint8_t id, uint16_t source) {
    struct boot_dma *dma = &info->dma;

    for (uint32_t i = 0; i < dma->ioapic_count; i++) {
        if (dma->ioapics[i].id == id) {
            return;
        }
    }
    if (dma->ioapic_count < BOOT_MAX_IOAPICS) {
        dma->ioapics[dma->ioapic_count] = (struct boot_dma_ioapic){id, source};
        dma->ioapic_count++;
    }
}

static void add_range(struct boot_info *info, struct boot_dma_range range) {
    struct boot_dma *dma = &info->dma;
    uint64_t end = range.base.v + range.size;
    bool sane =
        range.size != 0 && (range.base.v | range.size) % PAGE_SIZE == 0 && end > range.base.v;

    if (!sane || dma->range_count == BOOT_MAX_DMA_RANGES) {
        dma->partial = true;
        return;
    }
    dma->ranges[dma->range_count] = range;
    dma->range_count++;
}

/* ---- DMAR ---- */

#define DMAR_FLAGS          37u
#define DMAR_FLAG_INTERRUPT BIT32(0)

enum dmar_type { DMAR_UNIT = 0, DMAR_RESERVED = 1 };
enum dmar_scope { SCOPE_ENDPOINT = 1, SCOPE_BRIDGE = 2, SCOPE_IOAPIC = 3 };

#define UNIT_SIZE      5u /* newer tables: 2 to that power of pages */
#define UNIT_SIZE_MASK 0xfu
#define UNIT_SEGMENT   6u
#define UNIT_BASE      8u
#define UNIT_SCOPES    16u

#define RESERVED_SEGMENT 6u
#define RESERVED_BASE    8u
#define RESERVED_LAST    16u
#define RESERVED_SCOPES  24u

#define SCOPE_TYPE   0u
#define SCOPE_LENGTH 1u
#define SCOPE_ID     4u
#define SCOPE_BUS    5u
#define SCOPE_PATH   6u
#define HOP_SIZE     2u /* device, function */

typedef void scope_visit(const uint8_t *scope, unsigned hops, void *with);

/* False if a length leads out of the entry. */
static bool dmar_each_scope(const uint8_t *from, const uint8_t *end, scope_visit *visit,
                            void *with) {
    while (from < end) {
        if (end - from < (ptrdiff_t)SCOPE_PATH) {
            return false;
        }
        unsigned length = from[SCOPE_LENGTH];
        if (length < SCOPE_PATH + HOP_SIZE || length > end - from) {
            return false;
        }
        visit(from, (length - SCOPE_PATH) / HOP_SIZE, with);
        from += length;
    }
    return true;
}

static uint8_t hop(const uint8_t *path) {
    return (uint8_t)(path[0] << 3 | (path[1] & 7));
}

/* An I/O APIC is on the root bus; where one is not, its source is not known, and it is not used. */
static void dmar_unit_scope(const uint8_t *scope, unsigned hops, void *with) {
    struct boot_info *info = with;
    if (scope[SCOPE_TYPE] == SCOPE_IOAPIC && hops == 1) {
        add_ioapic(info, scope[SCOPE_ID],
                   (uint16_t)(scope[SCOPE_BUS] << 8 | hop(scope + SCOPE_PATH)));
    }
}

static bool dmar_unit(const uint8_t *entry, uint16_t length, struct boot_info *info) {
    if (length < UNIT_SCOPES) {
        return false;
    }
    add_unit(info, (struct boot_iommu){
                       .base = HPA(bytes_u64(entry + UNIT_BASE)),
                       .size = PAGE_SIZE << (entry[UNIT_SIZE] & UNIT_SIZE_MASK),
                       .segment = bytes_u16(entry + UNIT_SEGMENT),
                   });
    return dmar_each_scope(entry + UNIT_SCOPES, entry + length, dmar_unit_scope, info);
}

struct dmar_reserved {
    struct boot_info *info;
    struct boot_dma_range range;
};

static void dmar_reserved_scope(const uint8_t *scope, unsigned hops, void *with) {
    struct dmar_reserved *reserved = with;
    struct boot_dma_range range = reserved->range;

    if (scope[SCOPE_TYPE] != SCOPE_ENDPOINT || hops > BOOT_DMA_HOPS) {
        reserved->info->dma.partial = true;
        return;
    }
    range.bus = scope[SCOPE_BUS];
    range.hops = (uint8_t)hops;
    for (unsigned i = 0; i < hops; i++) {
        range.path[i] = hop(scope + SCOPE_PATH + i * HOP_SIZE);
    }
    add_range(reserved->info, range);
}

static bool dmar_reserved(const uint8_t *entry, uint16_t length, struct boot_info *info) {
    if (length < RESERVED_SCOPES) {
        return false;
    }
    uint64_t base = bytes_u64(entry + RESERVED_BASE);
    uint64_t last = bytes_u64(entry + RESERVED_LAST);
    struct dmar_reserved reserved = {
        .info = info,
        .range = {.base = HPA(base), .size = last - base + 1, .read = true, .write = true},
    };
    if (bytes_u16(entry + RESERVED_SEGMENT) != 0) {
        info->dma.partial = true; /* no device there is reached anyway */
        return true;
    }
    return dmar_each_scope(entry + RESERVED_SCOPES, entry + length, dmar_reserved_scope, &reserved);
}

void dmar_read(const uint8_t *table, struct boot_info *info) {
    const uint8_t *end = table + bytes_u32(table + TABLE_SIZE);
    const uint8_t *entry = table + DMAR_ENTRIES;

    info->dma.kind = BOOT_IOMMU_VTD;
    info->dma.interrupts = (table[DMAR_FLAGS] & DMAR_FLAG_INTERRUPT) != 0;
    while (end - entry >= 4) {
        uint16_t length = bytes_u16(entry + 2);
        bool sane = length >= 4 && length <= end - entry;
        if (sane && bytes_u16(entry) == DMAR_UNIT) {
            sane = dmar_unit(entry, length, info);
        } else if (sane && bytes_u16(entry) == DMAR_RESERVED) {
            sane = dmar_reserved(entry, length, info);
        }
        if (!sane) {
            info->dma.partial = true;
            return;
        }
        entry += length;
    }
}

/* ---- IVRS ---- */

enum ivrs_type {
    IVRS_UNIT_FIRST = 0x10, /* IVHD, in three lengths */
    IVRS_UNIT_LONG = 0x11,
    IVRS_UNIT_NAMES = 0x40,
    IVRS_MEMORY_ALL = 0x20, /* IVMD, of all devices, one, or some */
    IVRS_MEMORY_ONE = 0x21,
    IVRS_MEMORY_SOME = 0x22,
};

#define IVRS_TYPE   0u
#define IVRS_FLAGS  1u
#define IVRS_LENGTH 2u
#define IVRS_DEVICE 4u

#define IVHD_BASE          8u
#define IVHD_SEGMENT       16u
#define IVHD_DEVICES       24u
#define IVHD_LONG_DEVICES  40u
#define IVHD_REGISTERS     (16 * KIB)
#define IVHD_CONTROL_FLAGS 0x3fu /* what a control register takes of them */

#define IVHD_SPECIAL        0x48u
#define IVHD_SPECIAL_ID     4u
#define IVHD_SPECIAL_SOURCE 5u
#define IVHD_SPECIAL_KIND   7u
#define IVHD_SPECIAL_IOAPIC 1u
#define IVHD_NAMED          0xf0u
#define IVHD_NAMED_LENGTH   21u
#define IVHD_NAMED_SIZE     22u

#define IVMD_SIZE      32u
#define IVMD_LAST      6u
#define IVMD_SEGMENT   8u
#define IVMD_BASE      16u
#define IVMD_BYTES     24u
#define IVMD_UNITY     BIT32(0)
#define IVMD_READ      BIT32(1)
#define IVMD_WRITE     BIT32(2)
#define IVMD_EXCLUSION BIT32(3) /* it is not translated: read and written */

/* The entries that name functions: one, all, or from one on until the next that ends a range. */
enum ivhd_device {
    IVHD_ALL = 1,
    IVHD_ONE = 2,
    IVHD_FROM = 3,
    IVHD_TO = 4,
    IVHD_ALIAS_ONE = 66,
    IVHD_ALIAS_FROM = 67,
    IVHD_MORE_ONE = 70,
    IVHD_MORE_FROM = 71,
};

#define IVHD_DEVICE_ID 1u
#define IVHD_SETTING   3u

static void add_setting(struct boot_info *info, uint16_t first, uint16_t last, uint8_t bits) {
    struct boot_dma *dma = &info->dma;

    if (bits == 0) {
        return;
    }
    if (dma->setting_count == BOOT_MAX_DMA_SETTINGS) {
        dma->partial = true;
        return;
    }
    dma->settings[dma->setting_count] = (struct boot_dma_setting){first, last, bits};
    dma->setting_count++;
}

/* begun: the entry that began the range, NULL = none did. */
static void ivhd_device(const uint8_t *entry, const uint8_t **begun, struct boot_info *info) {
    uint16_t id = bytes_u16(entry + IVHD_DEVICE_ID);

    switch (entry[0]) {
    case IVHD_ALL:
        add_setting(info, 0, UINT16_MAX, entry[IVHD_SETTING]);
        break;
    case IVHD_ALIAS_ONE: /* its accesses come under another's name */
        add_setting(info, id, id, entry[IVHD_SETTING] | BOOT_DMA_ALIAS);
        break;
    case IVHD_ONE:
    case IVHD_MORE_ONE:
        add_setting(info, id, id, entry[IVHD_SETTING]);
        break;
    case IVHD_FROM:
    case IVHD_ALIAS_FROM:
    case IVHD_MORE_FROM:
        *begun = entry;
        break;
    case IVHD_TO:
        if (*begun != NULL) {
            uint8_t alias = (*begun)[0] == IVHD_ALIAS_FROM ? BOOT_DMA_ALIAS : 0;
            add_setting(info, bytes_u16(*begun + IVHD_DEVICE_ID), id,
                        (*begun)[IVHD_SETTING] | alias);
        }
        *begun = NULL;
        break;
    case IVHD_SPECIAL: /* the function that sends for an I/O APIC or a timer */
        id = bytes_u16(entry + IVHD_SPECIAL_SOURCE);
        add_setting(info, id, id, entry[IVHD_SETTING]);
        break;
    default:
        break;
    }
}

/* Of a device entry; 0 = none that is known. The types' upper two bits tell most. */
static unsigned ivhd_device_size(const uint8_t *entry, ptrdiff_t left) {
    if (entry[0] == IVHD_NAMED) {
        return left < (ptrdiff_t)IVHD_NAMED_SIZE ? 0 : IVHD_NAMED_SIZE + entry[IVHD_NAMED_LENGTH];
    }
    return entry[0] < 0x80 ? 4u << (entry[0] >> 6) : 0;
}

static bool ivhd_devices(const uint8_t *from, const uint8_t *end, struct boot_info *info) {
    const uint8_t *begun = NULL;

    while (from < end) {
        unsigned size = ivhd_device_size(from, end - from);
        if (size == 0 || size > end - from) {
            return false;
        }
        if (from[0] == IVHD_SPECIAL && from[IVHD_SPECIAL_KIND] == IVHD_SPECIAL_IOAPIC) {
            add_ioapic(info, from[IVHD_SPECIAL_ID], bytes_u16(from + IVHD_SPECIAL_SOURCE));
        }
        ivhd_device(from, &begun, info);
        from += size;
    }
    return true;
}

static bool ivrs_unit(const uint8_t *entry, uint16_t length, struct boot_info *info) {
    unsigned devices = entry[IVRS_TYPE] == IVRS_UNIT_FIRST ? IVHD_DEVICES : IVHD_LONG_DEVICES;
    if (length < devices) {
        return false;
    }
    add_unit(info, (struct boot_iommu){
                       .base = HPA(bytes_u64(entry + IVHD_BASE)),
                       .size = IVHD_REGISTERS,
                       .segment = bytes_u16(entry + IVHD_SEGMENT),
                       .control = entry[IVRS_FLAGS] & IVHD_CONTROL_FLAGS,
                   });
    return ivhd_devices(entry + devices, entry + length, info);
}

static bool ivrs_memory(const uint8_t *entry, uint16_t length, struct boot_info *info) {
    if (length < IVMD_SIZE) {
        return false;
    }
    uint8_t flags = entry[IVRS_FLAGS];
    bool all = (flags & IVMD_EXCLUSION) != 0;
    bool unity = (flags & IVMD_UNITY) != 0;
    struct boot_dma_range range = {
        .base = HPA(bytes_u64(entry + IVMD_BASE)),
        .size = bytes_u64(entry + IVMD_BYTES),
        .read = all || (unity && (flags & IVMD_READ) != 0),
        .write = all || (unity && (flags & IVMD_WRITE) != 0),
        .first = bytes_u16(entry + IVRS_DEVICE),
    };
    switch (entry[IVRS_TYPE]) {
    case IVRS_MEMORY_ALL:
        range.first = 0;
        range.last = UINT16_MAX;
        break;
    case IVRS_MEMORY_SOME:
        range.last = bytes_u16(entry + IVMD_LAST);
        break;
    default:
        range.last = range.first;
        break;
    }
    if (bytes_u16(entry + IVMD_SEGMENT) != 0) {
        info->dma.partial = true; /* no device there is reached anyway */
    } else if (range.read || range.write) {
        add_range(info, range);
    }
    return true;
}

static bool ivrs_entry(const uint8_t *entry, uint16_t length, struct boot_info *info) {
    switch (entry[IVRS_TYPE]) {
    case IVRS_UNIT_FIRST:
    case IVRS_UNIT_LONG:
    case IVRS_UNIT_NAMES:
        return ivrs_unit(entry, length, info);
    case IVRS_MEMORY_ALL:
    case IVRS_MEMORY_ONE:
    case IVRS_MEMORY_SOME:
        return ivrs_memory(entry, length, info);
    default:
        return true;
    }
}

/* That units can remap interrupts is told by their registers. */
void ivrs_read(const uint8_t *table, struct boot_info *info) {
    const uint8_t *end = table + bytes_u32(table + TABLE_SIZE);
    const uint8_t *entry = table + IVRS_ENTRIES;

    if (info->dma.kind != BOOT_IOMMU_NONE) {
        info->dma.partial = true; /* units of two kinds: the second is not used */
        return;
    }
    info->dma.kind = BOOT_IOMMU_AMD_VI;
    info->dma.interrupts = true;
    while (end - entry >= 4) {
        uint16_t length = bytes_u16(entry + IVRS_LENGTH);
        bool sane = length >= IVRS_DEVICE && length <= end - entry;
        if (!sane || !ivrs_entry(entry, length, info)) {
            info->dma.partial = true;
            return;
        }
        entry += length;
    }
}

/* ---- ways through bridges ---- */

#define PCI_BUSES         0x18u
#define PCI_BUS_SECONDARY 8 /* shift */

void iommu_resolve(struct boot_info *info, uint32_t (*read)(uint32_t function, uint32_t reg)) {
    struct boot_dma *dma = &info->dma;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < dma->range_count; i++) {
        struct boot_dma_range range = dma->ranges[i];
        uint32_t bus = range.bus;
        bool lost = false;
        for (unsigned h = 0; h < range.hops; h++) {
            uint32_t function = bus << 8 | range.path[h];
            range.first = range.last = (uint16_t)function;
            if (h + 1u < range.hops) {
                uint32_t next = read(function, PCI_BUSES) >> PCI_BUS_SECONDARY & 0xff;
                lost = lost || next == 0 || next == 0xff;
                bus = next;
            }
        }
        range.hops = 0;
        if (!lost) {
            dma->ranges[kept] = range;
            kept++;
        }
    }
    dma->range_count = kept;
}
