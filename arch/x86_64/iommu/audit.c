/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each device can reach, by the raw tables that the units read, against the list of what it is
 * to reach. Must not use the drivers' or the builder's code, constants or records: the formats
 * stand here a second time, from the manuals. Called once all devices are allowed what they are.
 * Sources: as in vtd.c and amd_vi.c.
 */
#include "arch/x86_64/iommu/iommu.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"

#define TABLE_ENTRIES 512u
#define TABLE_LEVELS  4u
#define INDEX_BITS    9u
#define ANY_RIGHTS    4u /* combinations of read and write */
#define MAX_DOMAINS   512u

static const char table_of_others[] = "a table that is not the hypervisor's";

struct iommu_walk {
    const struct iommu *iommu;
    const struct iommu_layout *layout;
    const struct pool *own; /* all tables are to be in it */
    const uint64_t *devices;
    const struct iommu_piece *pieces;
    uint32_t count;
    uint16_t function;
    uint64_t bytes; /* that its tables map */
    struct iommu_finding *finding;
};

/* A device's entry. */
struct iommu_seen {
    const char *wrong; /* NULL = nothing */
    uint64_t entry;
    hpa_t root;
    unsigned level;
    uint32_t number;
};

/* What an entry of a table is: all its bits but the address. */
struct iommu_layout {
    uint64_t address;
    uint64_t table[TABLE_LEVELS]; /* that points to a table of that level */
    uint64_t large;               /* in a leaf above the last level */
    uint64_t leaf[ANY_RIGHTS];    /* by enum page_access */
    /* Where the tables of a function begin and at what level, and their number; false: it is
     * denied. */
    bool (*device)(const struct iommu_walk *w, struct iommu_seen *seen);
};

/* A table that somebody else could write to says nothing. */
static bool walk_owns(const struct iommu_walk *w, hpa_t table) {
    return range_contains(w->own->base.v, w->own->used, table.v, PAGE_SIZE);
}

static bool seen_wrong(struct iommu_seen *seen, const char *wrong) {
    seen->wrong = wrong;
    return false;
}

/* ---- VT-d: a root entry is a bus, a context entry a function, 16 bytes both ---- */

#define VTD_ADDRESS  BITS(12, 51)
#define VTD_NUMBER   BITS(8, 23)
#define VTD_WIDTH_39 1u
#define VTD_WIDTH_48 2u

static bool vtd_device(const struct iommu_walk *w, struct iommu_seen *seen) {
    const uint64_t *root = w->devices + 2 * (w->function / 256u);
    if (root[1] != 0 || (root[0] != 0 && (root[0] & ~VTD_ADDRESS) != 1)) {
        seen->entry = root[0];
        return seen_wrong(seen, "not the bits of a root entry");
    }
    if (root[0] == 0) {
        return false;
    }
    if (!walk_owns(w, HPA(root[0] & VTD_ADDRESS))) {
        seen->entry = root[0];
        return seen_wrong(seen, table_of_others);
    }
    const uint64_t *contexts = phys_pointer(HPA(root[0] & VTD_ADDRESS));
    const uint64_t *context = contexts + 2 * (w->function % 256u);
    seen->entry = context[0];
    if (context[0] == 0 && context[1] == 0) {
        return false;
    }
    uint64_t width = context[1] & ~VTD_NUMBER;
    if ((context[0] & ~VTD_ADDRESS) != 1 || (width != VTD_WIDTH_39 && width != VTD_WIDTH_48)) {
        return seen_wrong(seen, "not the bits of a context entry");
    }
    seen->root = HPA(context[0] & VTD_ADDRESS);
    seen->level = width == VTD_WIDTH_48 ? 4 : 3;
    seen->number = (uint32_t)((context[1] & VTD_NUMBER) / BIT(8));
    return true;
}

const struct iommu_layout iommu_layout_vtd = {
    .address = VTD_ADDRESS,
    .table = {[1] = BIT(0) | BIT(1), [2] = BIT(0) | BIT(1), [3] = BIT(0) | BIT(1)},
    .large = BIT(7),
    .leaf = {[PAGE_READ] = BIT(0), [PAGE_READ | PAGE_WRITE] = BIT(0) | BIT(1)},
    .device = vtd_device,
};

/* ---- AMD-Vi: 32 bytes for each function ---- */

#define AMD_ADDRESS      BITS(12, 51)
#define AMD_RIGHTS       (BIT(61) | BIT(62))
#define AMD_LEVEL(n)     ((uint64_t)(n) << 9)
#define AMD_DENIED       (BIT(0) | BIT(1)) /* valid, translated, by nothing */
#define AMD_IRQS_DENIED  BIT(0)            /* valid, and none passes */
#define AMD_IRQS_POWER   11u               /* so many in a table, by two */
#define AMD_IRQS_ALLOWED (BIT(0) | AMD_IRQS_POWER * BIT(1) | BIT(61))

/* What ACPI's table wants of a function: three bits and two for the third word's upper end, two for
 * the second word. */
static uint64_t amd_vi_wanted(const struct iommu *iommu, uint16_t function, unsigned word) {
    uint64_t wanted = 0;

    for (uint32_t i = 0; i < iommu->setting_count; i++) {
        const struct boot_dma_setting *s = &iommu->settings[i];
        if (function >= s->first && function <= s->last) {
            wanted |= word == 1 ? (s->bits & BITS(4, 5)) * BIT(36) : (s->bits & 0xc7) * BIT(56);
        }
    }
    return wanted;
}

/* Of the third word: no interrupt passes; of a source those of its table, which has none so far. */
static bool amd_vi_irqs_fine(const struct iommu_walk *w, uint64_t word) {
    const struct iommu *iommu = w->iommu;
    bool first_segment = w->devices == iommu->devices;
    bool source = false;

    for (uint32_t i = 0; i < iommu->source_count; i++) {
        source = source || (first_segment && iommu->sources[i] == w->function);
    }
    word ^= amd_vi_wanted(iommu, w->function, 2);
    if (!source) {
        return word == AMD_IRQS_DENIED;
    }
    if (!walk_owns(w, HPA(word & AMD_ADDRESS))) {
        return false;
    }
    const uint32_t *table = phys_pointer(HPA(word & AMD_ADDRESS));
    for (unsigned i = 0; i < BIT32(AMD_IRQS_POWER); i++) {
        if (table[i] != 0) {
            return false;
        }
    }
    return (word & ~AMD_ADDRESS) == AMD_IRQS_ALLOWED;
}

static bool amd_vi_device(const struct iommu_walk *w, struct iommu_seen *seen) {
    const uint64_t *entry = w->devices + 4 * (uint32_t)w->function;

    seen->entry = entry[0];
    uint64_t settings = entry[1] & ~0xffffull;
    if (!amd_vi_irqs_fine(w, entry[2]) || entry[3] != 0 ||
        settings != amd_vi_wanted(w->iommu, w->function, 1)) {
        return seen_wrong(seen, "bits of a device's entry that are not meant to be there");
    }
    if (entry[0] == AMD_DENIED && (entry[1] & 0xffff) == 0) {
        return false;
    }
    if ((entry[0] & ~AMD_ADDRESS) != (AMD_DENIED | AMD_LEVEL(4) | AMD_RIGHTS)) {
        return seen_wrong(seen, "not the bits of a device's entry");
    }
    seen->root = HPA(entry[0] & AMD_ADDRESS);
    seen->level = 4;
    seen->number = entry[1] & 0xffff;
    return true;
}

const struct iommu_layout iommu_layout_amd_vi = {
    .address = AMD_ADDRESS,
    .table = {[1] = BIT(0) | AMD_LEVEL(1) | AMD_RIGHTS,
              [2] = BIT(0) | AMD_LEVEL(2) | AMD_RIGHTS,
              [3] = BIT(0) | AMD_LEVEL(3) | AMD_RIGHTS},
    .leaf = {[PAGE_READ] = BIT(0) | BIT(60) | BIT(61),
             [PAGE_READ | PAGE_WRITE] = BIT(0) | BIT(60) | AMD_RIGHTS},
    .device = amd_vi_device,
};

/* ---- both ---- */

static bool walk_refuse(struct iommu_walk *w, uint64_t address, uint64_t entry, const char *wrong) {
    *w->finding = (struct iommu_finding){wrong, w->function, address, entry};
    return false;
}

/* The device's piece that holds the address; NULL if none does. */
static const struct iommu_piece *walk_piece(const struct iommu_walk *w, uint64_t address,
                                            uint64_t size) {
    for (uint32_t i = 0; i < w->count; i++) {
        const struct iommu_piece *p = &w->pieces[i];
        if (p->function == w->function && range_contains(p->address, p->size, address, size)) {
            return p;
        }
    }
    return NULL;
}

static bool walk_leaf(struct iommu_walk *w, uint64_t address, uint64_t entry, unsigned level) {
    uint64_t size = PAGE_SIZE << (INDEX_BITS * (level - 1));
    const struct iommu_piece *p = walk_piece(w, address, size);

    if (p == NULL) {
        return walk_refuse(w, address, entry, "it reaches what it is not to reach");
    }
    uint64_t bits = w->layout->leaf[p->access] | (level > 1 ? w->layout->large : 0);
    if ((entry & ~w->layout->address) != bits) {
        return walk_refuse(w, address, entry, "not the bits of such a page");
    }
    if ((entry & w->layout->address) != p->hpa.v + (address - p->address)) {
        return walk_refuse(w, address, entry, "not the planned frame");
    }
    w->bytes += size;
    return true;
}

/* Never deeper than there are levels. */
static bool walk_table(struct iommu_walk *w, hpa_t table, uint64_t from, unsigned level) {
    const uint64_t *entries = phys_pointer(table);
    const struct iommu_layout *layout = w->layout;

    if (!walk_owns(w, table)) {
        return walk_refuse(w, from, table.v, table_of_others);
    }

    for (uint64_t i = 0; i < TABLE_ENTRIES; i++) {
        uint64_t entry = entries[i];
        uint64_t address = from + (i << (12 + INDEX_BITS * (level - 1)));
        if (entry == 0) {
            continue;
        }
        bool fine;
        if (level > 1 && (entry & ~layout->address) == layout->table[level - 1]) {
            fine = walk_table(w, HPA(entry & layout->address), address, level - 1);
        } else if (level < TABLE_LEVELS) {
            fine = walk_leaf(w, address, entry, level);
        } else {
            fine = walk_refuse(w, address, entry, "a wrong entry");
        }
        if (!fine) {
            return false;
        }
    }
    return true;
}

static uint64_t planned_bytes(const struct iommu_walk *w) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < w->count; i++) {
        bytes += w->pieces[i].function == w->function ? w->pieces[i].size : 0;
    }
    return bytes;
}

/* Two devices with one number would share what the unit remembers. */
static bool walk_number(struct iommu_walk *w, uint32_t number, uint8_t *used, uint64_t entry) {
    if (number == 0 || number >= w->iommu->domains || number >= MAX_DOMAINS || used[number] != 0) {
        return walk_refuse(w, 0, entry, "a domain's number that is not its own");
    }
    used[number] = 1;
    return true;
}

static bool walk_device(struct iommu_walk *w, uint8_t *used) {
    struct iommu_seen seen = {0};
    bool allowed = w->layout->device(w, &seen);
    uint64_t planned = planned_bytes(w);

    if (seen.wrong != NULL) {
        return walk_refuse(w, 0, seen.entry, seen.wrong);
    }
    if (!allowed) {
        return planned == 0 || walk_refuse(w, 0, seen.entry, "it is denied what it is to reach");
    }
    if (planned == 0) {
        return walk_refuse(w, 0, seen.entry, "it is not to reach anything");
    }
    if (!walk_number(w, seen.number, used, seen.entry)) {
        return false;
    }
    w->bytes = 0;
    if (!walk_table(w, seen.root, 0, seen.level)) {
        return false;
    }
    return w->bytes == planned || walk_refuse(w, 0, seen.entry, "it does not reach all it is to");
}

static bool walk_devices(struct iommu_walk *w) {
    uint8_t used[MAX_DOMAINS] = {0};

    for (uint32_t function = 0; function < IOMMU_FUNCTIONS; function++) {
        w->function = (uint16_t)function;
        if (!walk_device(w, used)) {
            return false;
        }
    }
    return true;
}

enum status iommu_audit_domain(const struct iommu *iommu, const struct pool *own,
                               const struct iommu_domain *domain, const struct iommu_piece *pieces,
                               uint32_t count, struct iommu_finding *finding) {
    struct iommu_walk walk = {
        .iommu = iommu,
        .layout = iommu->driver->layout,
        .own = own,
        .pieces = pieces,
        .count = count,
        .function = count != 0 ? pieces[0].function : 0,
        .finding = finding,
    };

    *finding = (struct iommu_finding){0};
    bool fine = walk_table(&walk, phys_address(domain->tables.root), 0, TABLE_LEVELS) &&
                (walk.bytes == planned_bytes(&walk) ||
                 walk_refuse(&walk, 0, 0, "it does not reach all it is to"));
    return fine ? STATUS_OK : STATUS_INVALID;
}

enum status iommu_audit(const struct iommu *iommu, const struct pool *own,
                        const struct iommu_piece *pieces, uint32_t count,
                        struct iommu_finding *finding) {
    struct iommu_walk walk = {
        .iommu = iommu,
        .layout = iommu->driver->layout,
        .own = own,
        .devices = iommu->devices,
        .pieces = pieces,
        .count = count,
        .finding = finding,
    };
    *finding = (struct iommu_finding){0};
    bool fine = walk_devices(&walk);
    if (fine && iommu->elsewhere != NULL) { /* nothing is planned there */
        walk.devices = iommu->elsewhere;
        walk.count = 0;
        fine = walk_devices(&walk);
    }
    return fine ? STATUS_OK : STATUS_INVALID;
}
