/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns page tables of every kind: four levels of 512 entries, in the format of the machine that
 * will read them. Must not know which vendor runs, and flushes no CPU's translations: its caller
 * knows who uses the tables. Called at VM creation and by the host's own set-up. Sources: Intel SDM
 * "The Extended Page Table Mechanism (EPT)" and "4-Level Paging"; AMD APM "Nested Paging";
 * Intel VT-d "Second-Stage Paging Entries"; AMD IOMMU "I/O Page Tables for Host Translations".
 *
 *   level   4        3         2        1
 *         root -> entries -> entries -> leaves of 4 KiB
 *                    `- leaf    `- leaf of 2 MiB
 *                       of 1 GiB
 */
#include "hv/mem/pagetable.h"

#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"

#define PAGETABLE_LEVELS  4u
#define PAGETABLE_ENTRIES 512u
#define PAGETABLE_ADDRESS 0x000ffffffffff000ull

#define PAGETABLE_LARGE BIT(7)
#define EPT_EXECUTE     BIT(2)
#define EPT_TYPE        3 /* shift of the memory type */
#define EPT_IGNORE_PAT  BIT(6)
#define PAGE_PRESENT    BIT(0)
#define PAGE_WRITABLE   BIT(1)
#define PAGE_USER       BIT(2)
#define PAGE_PWT        BIT(3)
#define PAGE_PCD        BIT(4)
#define PAGE_USED       (BIT(5) | BIT(6)) /* accessed and dirty: the CPU never writes then */
#define PAGE_NX         BIT(63)

#define AMD_VI_LEVEL    BITS(9, 11)
#define AMD_VI_COHERENT BIT(60)
#define AMD_VI_READ     BIT(61)
#define AMD_VI_WRITE    BIT(62)

/*
 * EPT: bits 0-2 read, write, execute; 3-5 memory type; 6 ignore PAT; 7 large. The guest's own PAT
 * does not count: a guest that makes its RAM uncached would lock the bus of the whole machine with
 * each LOCK, and no device reads its RAM past the caches.
 */
const struct pagetable_format pagetable_format_ept = {
    .read_bits = PAGE_PRESENT,
    .write_bits = PAGE_WRITABLE,
    .execute_bits = EPT_EXECUTE,
    .table_bits = PAGE_PRESENT | PAGE_WRITABLE | EPT_EXECUTE,
    .leaf_bits = EPT_IGNORE_PAT,
    .large_bits = PAGETABLE_LARGE,
    .type_bits = {[PAGE_WB] = 6 << EPT_TYPE, [PAGE_WC] = 1 << EPT_TYPE, [PAGE_UC] = 0},
};

/* Nested tables of AMD-V: the CPU walks them as a user access, so every entry has U/S set. */
const struct pagetable_format pagetable_format_amd = {
    .read_bits = PAGE_PRESENT,
    .write_bits = PAGE_WRITABLE,
    .no_execute_bits = PAGE_NX,
    .table_bits = PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER,
    .leaf_bits = PAGE_USER | PAGE_USED,
    .large_bits = PAGETABLE_LARGE,
    .type_bits = {[PAGE_WB] = 0, [PAGE_WC] = PAGE_PWT, [PAGE_UC] = PAGE_PCD | PAGE_PWT},
};

/* The hypervisor's own: supervisor. */
const struct pagetable_format pagetable_format_host = {
    .read_bits = PAGE_PRESENT,
    .write_bits = PAGE_WRITABLE,
    .no_execute_bits = PAGE_NX,
    .table_bits = PAGE_PRESENT | PAGE_WRITABLE | BIT(5),
    .leaf_bits = PAGE_USED,
    .large_bits = PAGETABLE_LARGE,
    .type_bits = {[PAGE_WB] = 0, [PAGE_WC] = PAGE_PWT, [PAGE_UC] = PAGE_PCD | PAGE_PWT},
};

/* Devices' accesses: of second-stage tables a device knows reading and writing alone. */
const struct pagetable_format pagetable_format_vtd = {
    .read_bits = PAGE_PRESENT,
    .write_bits = PAGE_WRITABLE,
    .table_bits = PAGE_PRESENT | PAGE_WRITABLE,
    .large_bits = PAGETABLE_LARGE,
};

/* An entry of level 0 points to memory. FC, on a leaf: the device's accesses are coherent. */
const struct pagetable_format pagetable_format_amd_vi = {
    .read_bits = PAGE_PRESENT | AMD_VI_READ,
    .write_bits = AMD_VI_WRITE,
    .table_bits = PAGE_PRESENT | AMD_VI_READ | AMD_VI_WRITE,
    .leaf_bits = AMD_VI_COHERENT,
    .level_bits = AMD_VI_LEVEL,
};

static uint64_t pagetable_level_size(unsigned level) {
    return PAGE_SIZE << (9 * (level - 1));
}

static uint64_t *pagetable_slot(uint64_t *table, uint64_t address, unsigned level) {
    return &table[address / pagetable_level_size(level) % PAGETABLE_ENTRIES];
}

static bool pagetable_is_table(const struct pagetable_format *f, uint64_t entry, unsigned level) {
    bool leaf = level == 1 || (level < PAGETABLE_LEVELS && (entry & f->large_bits) != 0);
    if (f->level_bits != 0) {
        leaf = (entry & f->level_bits) == 0;
    }
    return (entry & PAGE_PRESENT) != 0 && !leaf;
}

/* The entry that points to a table of that level. */
static uint64_t pagetable_table_entry(const struct pagetable_format *f, const uint64_t *table,
                                      unsigned level) {
    uint64_t lowest = f->level_bits & -f->level_bits;
    return phys_address(table).v | f->table_bits | level * lowest;
}

static uint64_t *pagetable_below(uint64_t entry) {
    return phys_pointer(HPA(entry & PAGETABLE_ADDRESS));
}

enum status pagetable_fork(const struct pagetable *from, struct pagetable *out, struct pool *pool) {
    uint64_t *root = pool_alloc(pool, PAGE_SIZE);
    if (root == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(root, from->root, PAGE_SIZE);
    *out = *from;
    out->pool = pool;
    out->root = root;
    out->own = pool->used;
    return STATUS_OK;
}

enum status pagetable_init(struct pagetable *t, const struct pagetable_format *format,
                           struct pool *pool, unsigned max_level) {
    ASSERT(max_level >= 1 && max_level <= 3);
    uint64_t *root = pool_alloc(pool, PAGE_SIZE);
    if (root == NULL) {
        return STATUS_NO_MEMORY;
    }
    *t = (struct pagetable){
        .format = format, .pool = pool, .root = root, .max_level = max_level, .own = pool->used};
    return STATUS_OK;
}

/* A pool hands out ascending addresses, so a fork's own tables lie behind those it began with. */
static bool pagetable_owns(const struct pagetable *t, const uint64_t *table) {
    const struct pool *pool = t->pool;
    return range_contains(pool->base.v + t->own, pool->size - t->own, phys_address(table).v,
                          PAGE_SIZE);
}

/* Makes the slot of that level, which is empty or leads to a table, lead to a table of t's own.
 * NULL when the pool is empty. */
static uint64_t *pagetable_own_table(struct pagetable *t, uint64_t *slot, unsigned level) {
    uint64_t *old = *slot != 0 ? pagetable_below(*slot) : NULL;
    if (old != NULL && pagetable_owns(t, old)) {
        return old;
    }

    uint64_t *table = pool_alloc(t->pool, PAGE_SIZE);
    if (table != NULL) {
        if (old != NULL) {
            memcpy(table, old, PAGE_SIZE);
        }
        *slot = pagetable_table_entry(t->format, table, level - 1);
    }
    return table;
}

static uint64_t pagetable_rights(const struct pagetable_format *f, unsigned access) {
    uint64_t rights = (access & PAGE_EXECUTE) != 0 ? f->execute_bits : f->no_execute_bits;
    rights |= (access & PAGE_READ) != 0 ? f->read_bits : 0;
    rights |= (access & PAGE_WRITE) != 0 ? f->write_bits : 0;
    return rights;
}

static uint64_t pagetable_leaf_entry(const struct pagetable_format *f, hpa_t hpa, unsigned level,
                                     unsigned access, enum page_type type) {
    uint64_t entry = hpa.v | f->leaf_bits | f->type_bits[type] | pagetable_rights(f, access);
    return entry | (level > 1 ? f->large_bits : 0);
}

/* The slot of a leaf of this level at address, in a table of t's own. */
static enum status pagetable_reach(struct pagetable *t, uint64_t address, unsigned level,
                                   uint64_t **out) {
    uint64_t *slot = pagetable_slot(t->root, address, PAGETABLE_LEVELS);
    for (unsigned at = PAGETABLE_LEVELS; at > level; at--) {
        if (*slot != 0 && !pagetable_is_table(t->format, *slot, at)) {
            return STATUS_EXISTS;
        }
        uint64_t *table = pagetable_own_table(t, slot, at);
        if (table == NULL) {
            return STATUS_NO_MEMORY;
        }
        slot = pagetable_slot(table, address, at - 1);
    }
    *out = slot;
    return STATUS_OK;
}

/* Is address the first one of a table of this level? Then the slot before it is in another. */
static bool pagetable_begins_table(uint64_t address, unsigned level) {
    return address % pagetable_level_size(level + 1) == 0;
}

static bool pagetable_takes(uint64_t address, uint64_t size) {
    return (address | size) % PAGE_SIZE == 0 && range_contains(0, PAGETABLE_SPACE, address, size);
}

enum status pagetable_map(struct pagetable *t, uint64_t address, hpa_t hpa, uint64_t size,
                          unsigned access, enum page_type type) {
    if (!pagetable_takes(address, size) || hpa.v % PAGE_SIZE != 0 ||
        !range_contains(0, PAGETABLE_ADDRESS, hpa.v, size) || (access & PAGE_READ) == 0) {
        return STATUS_INVALID;
    }
    for (uint64_t done = 0; done < size;) {
        uint64_t *slot;
        unsigned level = t->max_level; /* down to where it starts at both addresses and fits */
        while (level > 1 &&
               (((address + done) | (hpa.v + done)) % pagetable_level_size(level) != 0 ||
                size - done < pagetable_level_size(level))) {
            level--;
        }
        enum status s = pagetable_reach(t, address + done, level, &slot);
        const uint64_t step = pagetable_level_size(level);
        do { /* along the table: a larger one could begin only where that ends */
            if (s != STATUS_OK || *slot != 0) {
                return s != STATUS_OK ? s : STATUS_EXISTS;
            }
            *slot = pagetable_leaf_entry(t->format, HPA(hpa.v + done), level, access, type);
            slot++;
            done += step;
        } while (size - done >= step && !pagetable_begins_table(address + done, level));
    }
    return STATUS_OK;
}

/* Puts a table of smaller leaves in the place of a large one. Nothing else changes. */
static enum status pagetable_split(struct pagetable *t, uint64_t *slot, unsigned level) {
    uint64_t *table = pool_alloc(t->pool, PAGE_SIZE);
    uint64_t size = pagetable_level_size(level - 1);
    uint64_t first = level - 1 > 1 ? *slot : *slot & ~t->format->large_bits;
    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint64_t i = 0; i < PAGETABLE_ENTRIES; i++) {
        table[i] = first + i * size;
    }
    *slot = pagetable_table_entry(t->format, table, level - 1);
    return STATUS_OK;
}

/*
 * The slot of the leaf or hole at address, in a table of t's own. A leaf that reaches out of
 * [address, end) is split until it does not.
 */
static enum status pagetable_find(struct pagetable *t, uint64_t address, uint64_t end,
                                  uint64_t **slot, unsigned *level) {
    *level = PAGETABLE_LEVELS;
    *slot = pagetable_slot(t->root, address, *level);
    while (**slot != 0) {
        uint64_t size = pagetable_level_size(*level);
        if (!pagetable_is_table(t->format, **slot, *level)) {
            if (address % size == 0 && end - address >= size) {
                return STATUS_OK;
            }
            enum status s = pagetable_split(t, *slot, *level);
            if (s != STATUS_OK) {
                return s;
            }
        }
        uint64_t *table = pagetable_own_table(t, *slot, *level);
        if (table == NULL) {
            return STATUS_NO_MEMORY;
        }
        (*level)--;
        *slot = pagetable_slot(table, address, *level);
    }
    return STATUS_OK;
}

/* The entry with other rights. */
static uint64_t pagetable_with_access(const struct pagetable_format *f, uint64_t entry,
                                      unsigned access) {
    entry &= ~(f->read_bits | f->write_bits | f->execute_bits | f->no_execute_bits);
    return entry | pagetable_rights(f, access);
}

/* Without any access the range becomes a hole. */
static enum status pagetable_change(struct pagetable *t, uint64_t address, uint64_t size,
                                    unsigned access) {
    if (!pagetable_takes(address, size)) {
        return STATUS_INVALID;
    }
    for (uint64_t at = address, end = address + size; at < end;) {
        uint64_t *slot;
        unsigned level;
        enum status s = pagetable_find(t, at, end, &slot, &level);
        if (s != STATUS_OK) {
            return s;
        }
        if (*slot == 0) {
            return STATUS_NOT_FOUND;
        }
        do { /* the smallest leaves along a table, up to its first hole */
            *slot = access != 0 ? pagetable_with_access(t->format, *slot, access) : 0;
            slot++;
            at += pagetable_level_size(level);
        } while (level == 1 && at < end && !pagetable_begins_table(at, level) && *slot != 0);
    }
    return STATUS_OK;
}

enum status pagetable_protect(struct pagetable *t, uint64_t address, uint64_t size,
                              unsigned access) {
    return (access & PAGE_READ) != 0 ? pagetable_change(t, address, size, access) : STATUS_INVALID;
}

enum status pagetable_unmap(struct pagetable *t, uint64_t address, uint64_t size) {
    return pagetable_change(t, address, size, 0);
}

unsigned pagetable_access(const struct pagetable_format *f, uint64_t entry) {
    uint64_t execute_bits = f->execute_bits | f->no_execute_bits;
    unsigned access = (entry & f->read_bits) != 0 ? PAGE_READ : 0u;

    access |= (entry & f->write_bits) != 0 ? PAGE_WRITE : 0u;
    if (execute_bits != 0 && (entry & execute_bits) == f->execute_bits) {
        access |= PAGE_EXECUTE;
    }
    return access;
}

enum status pagetable_lookup(const struct pagetable *t, uint64_t address,
                             struct pagetable_leaf *leaf) {
    const struct pagetable_format *f = t->format;
    unsigned level = PAGETABLE_LEVELS;
    if (address >= PAGETABLE_SPACE) {
        return STATUS_NOT_FOUND;
    }
    uint64_t entry = *pagetable_slot(t->root, address, level);
    while (pagetable_is_table(f, entry, level)) {
        level--;
        entry = *pagetable_slot(pagetable_below(entry), address, level);
    }
    uint64_t size = pagetable_level_size(level);
    *leaf = (struct pagetable_leaf){.address = ALIGN_DOWN(address, size), .size = size};
    if (entry == 0) {
        return STATUS_NOT_FOUND;
    }
    leaf->hpa = HPA(ALIGN_DOWN(entry & PAGETABLE_ADDRESS, size));
    leaf->access = pagetable_access(f, entry);
    while (leaf->type < PAGE_TYPES &&
           entry != pagetable_leaf_entry(f, leaf->hpa, level, leaf->access, leaf->type)) {
        leaf->type++;
    }
    return STATUS_OK;
}
