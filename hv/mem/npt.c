/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one page-table walker: four levels of 512 entries, in the format of the machine that will
 * read them. Must not know which vendor runs; called at VM creation and by the host's own set-up.
 * Sources: Intel SDM "The Extended Page Table Mechanism (EPT)" and "4-Level Paging"; AMD APM
 * "Nested Paging".
 */
#include "hv/mem/npt.h"

#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"

#define NPT_LEVELS  4u
#define NPT_ENTRIES 512u
#define NPT_ADDRESS 0x000ffffffffff000ull

#define NPT_LARGE      BIT(7)
#define EPT_TYPE       3 /* shift of the memory type */
#define EPT_IGNORE_PAT BIT(6)
#define PAGE_USER      BIT(2)
#define PAGE_PWT       BIT(3)
#define PAGE_PCD       BIT(4)
#define PAGE_USED      (BIT(5) | BIT(6)) /* accessed and dirty: the CPU never writes then */
#define PAGE_NX        BIT(63)

/*
 * EPT: bits 0-2 read, write, execute; 3-5 memory type; 6 ignore PAT; 7 large. The guest's own PAT
 * does not count: a guest that makes its RAM uncached would lock the bus of the whole machine with
 * each LOCK, and no device reads its RAM past the caches.
 */
const struct npt_format npt_format_ept = {
    .table_bits = NPT_READ | NPT_WRITE | NPT_EXECUTE,
    .leaf_bits = EPT_IGNORE_PAT,
    .execute_bits = NPT_EXECUTE,
    .type_bits = {[NPT_WB] = 6 << EPT_TYPE, [NPT_WC] = 1 << EPT_TYPE, [NPT_UC] = 0},
};

/* Nested tables of AMD-V: the CPU walks them as a user access, so every entry has U/S set. */
const struct npt_format npt_format_amd = {
    .table_bits = NPT_READ | NPT_WRITE | PAGE_USER,
    .leaf_bits = PAGE_USER | PAGE_USED,
    .no_execute_bits = PAGE_NX,
    .type_bits = {[NPT_WB] = 0, [NPT_WC] = PAGE_PWT, [NPT_UC] = PAGE_PCD | PAGE_PWT},
};

/* The hypervisor's own: supervisor. */
const struct npt_format npt_format_host = {
    .table_bits = NPT_READ | NPT_WRITE | BIT(5),
    .leaf_bits = PAGE_USED,
    .no_execute_bits = PAGE_NX,
    .type_bits = {[NPT_WB] = 0, [NPT_WC] = PAGE_PWT, [NPT_UC] = PAGE_PCD | PAGE_PWT},
};

static uint64_t npt_level_size(unsigned level) {
    return PAGE_SIZE << (9 * (level - 1));
}

static uint64_t *npt_slot(uint64_t *table, uint64_t address, unsigned level) {
    return &table[address / npt_level_size(level) % NPT_ENTRIES];
}

static bool npt_is_table(uint64_t entry, unsigned level) {
    bool leaf = level == 1 || (level < NPT_LEVELS && (entry & NPT_LARGE) != 0);
    return (entry & NPT_READ) != 0 && !leaf;
}

enum status npt_init(struct npt *npt, const struct npt_format *format, struct pool *pool,
                     unsigned max_level) {
    ASSERT(max_level >= 1 && max_level <= 3);
    uint64_t *root = pool_alloc(pool, PAGE_SIZE);
    if (root == NULL) {
        return STATUS_NO_MEMORY;
    }
    *npt = (struct npt){.format = format, .pool = pool, .root = root, .max_level = max_level};
    return STATUS_OK;
}

enum status npt_fork(const struct npt *npt, struct npt *out) {
    enum status s = npt_init(out, npt->format, npt->pool, npt->max_level);
    if (s == STATUS_OK) {
        memcpy(out->root, npt->root, PAGE_SIZE);
        out->shared = true;
    }
    return s;
}

static uint64_t npt_leaf_entry(const struct npt_format *f, hpa_t hpa, unsigned level,
                               unsigned access, enum npt_type type) {
    return hpa.v | f->leaf_bits | f->type_bits[type] | (access & (NPT_READ | NPT_WRITE)) |
           ((access & NPT_EXECUTE) != 0 ? f->execute_bits : f->no_execute_bits) |
           (level > 1 ? NPT_LARGE : 0);
}

static enum status npt_map_leaf(struct npt *npt, uint64_t address, unsigned level, uint64_t entry) {
    uint64_t *slot = npt_slot(npt->root, address, NPT_LEVELS);
    for (unsigned at = NPT_LEVELS; at > level; at--) {
        bool present = *slot != 0;
        if (present && !npt_is_table(*slot, at)) {
            return STATUS_EXISTS;
        }
        if (!present || npt->shared) {
            void *page = pool_alloc(npt->pool, PAGE_SIZE);
            if (page == NULL) {
                return STATUS_NO_MEMORY;
            }
            if (present) {
                memcpy(page, phys_pointer(HPA(*slot & NPT_ADDRESS)), PAGE_SIZE);
            }
            *slot = phys_address(page).v | npt->format->table_bits;
        }
        slot = npt_slot(phys_pointer(HPA(*slot & NPT_ADDRESS)), address, at - 1);
    }
    if (*slot != 0) {
        return STATUS_EXISTS;
    }
    *slot = entry;
    return STATUS_OK;
}

enum status npt_map_range(struct npt *npt, uint64_t address, hpa_t hpa, uint64_t size,
                          unsigned access, enum npt_type type) {
    if ((address | hpa.v | size) % PAGE_SIZE != 0 || !range_contains(0, NPT_SPACE, address, size) ||
        !range_contains(0, NPT_ADDRESS, hpa.v, size) || (access & NPT_READ) == 0) {
        return STATUS_INVALID;
    }
    for (uint64_t done = 0, step; done < size; done += step) {
        hpa_t to = HPA(hpa.v + done);
        unsigned level = npt->max_level; /* down to where it starts at both addresses and fits */
        while (level > 1 && (((address + done) | to.v) % npt_level_size(level) != 0 ||
                             size - done < npt_level_size(level))) {
            level--;
        }
        uint64_t entry = npt_leaf_entry(npt->format, to, level, access, type);
        enum status s = npt_map_leaf(npt, address + done, level, entry);
        if (s != STATUS_OK) {
            return s;
        }
        step = npt_level_size(level);
    }
    return STATUS_OK;
}

enum status npt_lookup(const struct npt *npt, uint64_t address, struct npt_leaf *leaf) {
    const struct npt_format *f = npt->format;
    unsigned level = NPT_LEVELS;
    if (address >= NPT_SPACE) {
        return STATUS_NOT_FOUND;
    }
    uint64_t entry = *npt_slot(npt->root, address, level);
    while (npt_is_table(entry, level)) {
        level--;
        entry = *npt_slot(phys_pointer(HPA(entry & NPT_ADDRESS)), address, level);
    }
    uint64_t size = npt_level_size(level);
    *leaf = (struct npt_leaf){.address = ALIGN_DOWN(address, size), .size = size};
    if (entry == 0) {
        return STATUS_NOT_FOUND;
    }
    bool execute = (entry & (f->execute_bits | f->no_execute_bits)) == f->execute_bits;
    leaf->hpa = HPA(ALIGN_DOWN(entry & NPT_ADDRESS, size));
    leaf->access = (unsigned)(entry & (NPT_READ | NPT_WRITE)) | (execute ? NPT_EXECUTE : 0u);
    while (leaf->type < NPT_TYPES &&
           entry != npt_leaf_entry(f, leaf->hpa, level, leaf->access, leaf->type)) {
        leaf->type++;
    }
    return STATUS_OK;
}
