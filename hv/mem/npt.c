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

#define NPT_LEVELS    4u
#define NPT_ENTRIES   512u
#define NPT_ADDRESS   0x000ffffffffff000ull
#define NPT_SPACE     BIT(48)
#define NPT_NO_EXEC   BIT(63)
#define NPT_PAT_SMALL BIT(7)
#define NPT_PAT_LARGE BIT(12)

/*
 * EPT: bits 0-2 read, write, execute; 3-5 memory type; 6 ignore PAT; 7 large. The guest's own PAT
 * counts (bit 6 clear): RAM is WB here, and a guest may make it weaker for itself only.
 */
const struct npt_format npt_format_ept = {
    .name = "EPT",
    .table_bits = 7,
    .large_bit = BIT(7),
    .present_mask = 7,
    .read_bits = BIT(0),
    .write_bits = BIT(1),
    .execute_bits = BIT(2),
    .type_bits = {[NPT_WB] = 6 << 3, [NPT_WC] = 1 << 3, [NPT_UC] = 0},
    .type_bits_large = {[NPT_WB] = 6 << 3, [NPT_WC] = 1 << 3, [NPT_UC] = 0},
    .type_mask = 7 << 3,
    .type_mask_large = 7 << 3,
};

/* Nested tables of AMD-V: the CPU walks them as a user access, so every entry has U/S set. */
const struct npt_format npt_format_amd = {
    .name = "NPT",
    .table_bits = BIT(0) | BIT(1) | BIT(2),
    .leaf_bits = BIT(2),
    .large_bit = BIT(7),
    .present_mask = BIT(0),
    .read_bits = BIT(0),
    .write_bits = BIT(1),
    .no_execute_bits = NPT_NO_EXEC,
    .type_bits = {[NPT_WB] = 0, [NPT_WC] = NPT_PAT_SMALL, [NPT_UC] = BIT(3) | BIT(4)},
    .type_bits_large = {[NPT_WB] = 0, [NPT_WC] = NPT_PAT_LARGE, [NPT_UC] = BIT(3) | BIT(4)},
    .type_mask = BIT(3) | BIT(4) | NPT_PAT_SMALL,
    .type_mask_large = BIT(3) | BIT(4) | NPT_PAT_LARGE,
};

/* The hypervisor's own: supervisor, accessed and dirty set so that the CPU never writes them. */
const struct npt_format npt_format_host = {
    .name = "host",
    .table_bits = BIT(0) | BIT(1) | BIT(5),
    .leaf_bits = BIT(5) | BIT(6),
    .large_bit = BIT(7),
    .present_mask = BIT(0),
    .read_bits = BIT(0),
    .write_bits = BIT(1),
    .no_execute_bits = NPT_NO_EXEC,
    .type_bits = {[NPT_WB] = 0, [NPT_WC] = NPT_PAT_SMALL, [NPT_UC] = BIT(3) | BIT(4)},
    .type_bits_large = {[NPT_WB] = 0, [NPT_WC] = NPT_PAT_LARGE, [NPT_UC] = BIT(3) | BIT(4)},
    .type_mask = BIT(3) | BIT(4) | NPT_PAT_SMALL,
    .type_mask_large = BIT(3) | BIT(4) | NPT_PAT_LARGE,
};

static uint64_t npt_level_size(unsigned level) {
    return PAGE_SIZE << (9 * (level - 1));
}

static unsigned npt_index(uint64_t address, unsigned level) {
    return (unsigned)(address >> (PAGE_SHIFT + 9 * (level - 1))) % NPT_ENTRIES;
}

enum status npt_init(struct npt *npt, const struct npt_format *format, struct pool *pool,
                     unsigned max_level) {
    ASSERT(max_level >= 1 && max_level <= 3);
    uint64_t *root = pool_alloc(pool, PAGE_SIZE, PAGE_SIZE);
    if (root == NULL) {
        return STATUS_NO_MEMORY;
    }
    *npt = (struct npt){.format = format, .pool = pool, .root = root, .max_level = max_level};
    return STATUS_OK;
}

static uint64_t npt_leaf_entry(const struct npt_format *f, hpa_t hpa, unsigned level,
                               unsigned access, enum npt_type type) {
    uint64_t entry = hpa.v | f->leaf_bits;
    entry |= (access & NPT_READ) ? f->read_bits : 0;
    entry |= (access & NPT_WRITE) ? f->write_bits : 0;
    entry |= (access & NPT_EXECUTE) ? f->execute_bits : f->no_execute_bits;
    entry |= level > 1 ? f->large_bit | f->type_bits_large[type] : f->type_bits[type];
    return entry;
}

/* Largest level whose page starts at both addresses and fits into size. */
static unsigned npt_best_level(const struct npt *npt, uint64_t address, hpa_t hpa, uint64_t size) {
    unsigned level = npt->max_level;
    while (level > 1 && (((address | hpa.v) & (npt_level_size(level) - 1)) != 0 ||
                         size < npt_level_size(level))) {
        level--;
    }
    return level;
}

static enum status npt_map_leaf(struct npt *npt, uint64_t address, unsigned level, uint64_t entry) {
    const struct npt_format *f = npt->format;
    uint64_t *table = npt->root;
    for (unsigned at = NPT_LEVELS; at > level; at--) {
        uint64_t *slot = &table[npt_index(address, at)];
        if ((*slot & f->present_mask) == 0) {
            void *page = pool_alloc(npt->pool, PAGE_SIZE, PAGE_SIZE);
            if (page == NULL) {
                return STATUS_NO_MEMORY;
            }
            *slot = phys_address(page).v | f->table_bits;
        } else if (at < NPT_LEVELS && (*slot & f->large_bit) != 0) {
            return STATUS_EXISTS;
        }
        table = phys_pointer(HPA(*slot & NPT_ADDRESS));
    }
    uint64_t *slot = &table[npt_index(address, level)];
    if ((*slot & f->present_mask) != 0) {
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
    while (size != 0) {
        unsigned level = npt_best_level(npt, address, hpa, size);
        enum status s = npt_map_leaf(npt, address, level,
                                     npt_leaf_entry(npt->format, hpa, level, access, type));
        if (s != STATUS_OK) {
            return s;
        }
        address += npt_level_size(level);
        hpa.v += npt_level_size(level);
        size -= npt_level_size(level);
    }
    return STATUS_OK;
}

static enum npt_type npt_decode_type(const struct npt_format *f, uint64_t entry, unsigned level) {
    uint64_t bits = entry & (level > 1 ? f->type_mask_large : f->type_mask);
    const uint64_t *types = level > 1 ? f->type_bits_large : f->type_bits;
    for (unsigned t = 0; t < NPT_TYPES; t++) {
        if (types[t] == bits) {
            return (enum npt_type)t;
        }
    }
    return NPT_TYPES; /* no type of ours: the audit refuses it */
}

static void npt_decode_leaf(const struct npt_format *f, uint64_t address, uint64_t entry,
                            unsigned level, struct npt_leaf *leaf) {
    uint64_t size = npt_level_size(level);
    leaf->address = ALIGN_DOWN(address, size);
    leaf->hpa = HPA(entry & NPT_ADDRESS & ~(size - 1));
    leaf->size = size;
    leaf->type = npt_decode_type(f, entry, level);
    leaf->access = (entry & f->read_bits) ? (unsigned)NPT_READ : 0;
    leaf->access |= (entry & f->write_bits) ? (unsigned)NPT_WRITE : 0;
    bool execute = f->no_execute_bits != 0 ? (entry & f->no_execute_bits) == 0
                                           : (entry & f->execute_bits) != 0;
    leaf->access |= execute ? (unsigned)NPT_EXECUTE : 0;
}

static bool npt_is_leaf(const struct npt_format *f, uint64_t entry, unsigned level) {
    return level == 1 || (level < NPT_LEVELS && (entry & f->large_bit) != 0);
}

enum status npt_lookup(const struct npt *npt, uint64_t address, struct npt_leaf *leaf) {
    if (address >= NPT_SPACE) {
        return STATUS_NOT_FOUND;
    }
    const uint64_t *table = npt->root;
    for (unsigned level = NPT_LEVELS; level >= 1; level--) {
        uint64_t entry = table[npt_index(address, level)];
        if ((entry & npt->format->present_mask) == 0) {
            return STATUS_NOT_FOUND;
        }
        if (npt_is_leaf(npt->format, entry, level)) {
            npt_decode_leaf(npt->format, address, entry, level, leaf);
            return STATUS_OK;
        }
        table = phys_pointer(HPA(entry & NPT_ADDRESS));
    }
    return STATUS_NOT_FOUND;
}

static bool npt_walk_table(const struct npt *npt, const uint64_t *table, unsigned level,
                           uint64_t base, npt_visit visit, void *ctx) {
    for (unsigned i = 0; i < NPT_ENTRIES; i++) {
        uint64_t entry = table[i];
        uint64_t address = base + i * npt_level_size(level);
        if ((entry & npt->format->present_mask) == 0) {
            continue;
        }
        if (npt_is_leaf(npt->format, entry, level)) {
            struct npt_leaf leaf;
            npt_decode_leaf(npt->format, address, entry, level, &leaf);
            if (!visit(ctx, &leaf)) {
                return false;
            }
        } else if (!npt_walk_table(npt, phys_pointer(HPA(entry & NPT_ADDRESS)), level - 1, address,
                                   visit, ctx)) {
            return false;
        }
    }
    return true;
}

void npt_walk(const struct npt *npt, npt_visit visit, void *ctx) {
    (void)npt_walk_table(npt, npt->root, NPT_LEVELS, 0, visit, ctx);
}
