/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nested page tables: one walker for Intel EPT, AMD NPT and the host's own tables, which differ in
 * a const format. Owns mapping and lookup. The audit walks by looking up one leaf or hole after the
 * other.
 * Sources: Intel SDM "The Extended Page Table Mechanism (EPT)", AMD APM "Nested Paging".
 */
#pragma once

#include "hv/mem/pool.h"

#define NPT_SPACE BIT(48) /* the addresses that four levels reach */

enum npt_access { NPT_READ = 1, NPT_WRITE = 2, NPT_EXECUTE = 4 };
enum npt_type { NPT_WB, NPT_WC, NPT_UC, NPT_TYPES };

/* Read is bit 0 and write is bit 1 in all of them; a leaf above the last level has bit 7. */
struct npt_format {
    uint64_t table_bits;                    /* set in every entry that points to a table */
    uint64_t leaf_bits;                     /* set in every leaf */
    uint64_t execute_bits, no_execute_bits; /* one of them is 0 */
    uint64_t type_bits[NPT_TYPES];
};

extern const struct npt_format npt_format_ept;
extern const struct npt_format npt_format_amd;  /* nested tables of AMD-V: user bit set */
extern const struct npt_format npt_format_host; /* the hypervisor's own: supervisor */

struct npt {
    const struct npt_format *format;
    struct pool *pool;
    uint64_t *root;
    unsigned max_level; /* largest leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
    bool shared;        /* tables are not its own: npt_fork() */
};

struct npt_leaf {
    uint64_t address; /* of the whole leaf */
    hpa_t hpa;
    uint64_t size;
    unsigned access; /* enum npt_access bits */
    enum npt_type type;
};

MUST_USE enum status npt_init(struct npt *npt, const struct npt_format *format, struct pool *pool,
                              unsigned max_level);

/*
 * Maps [address, address + size) to hpa with the largest pages that fit. All three are multiples of
 * 4 KiB, below 2^48 (address). STATUS_EXISTS if any of it is mapped already (what came before it
 * stays mapped), STATUS_NO_MEMORY when the pool is empty.
 */
MUST_USE enum status npt_map_range(struct npt *npt, uint64_t address, hpa_t hpa, uint64_t size,
                                   unsigned access, enum npt_type type);

/*
 * Makes out a root of its own over npt's tables, to map a few pages more: each call of
 * npt_map_range() on out copies the tables on its way. npt is not to change any more.
 */
MUST_USE enum status npt_fork(const struct npt *npt, struct npt *out);

/*
 * The leaf that maps address, as the CPU reads it, with type NPT_TYPES if an entry has bits that
 * npt_map_range() does not set. STATUS_NOT_FOUND if none: then leaf is the hole
 * around it, with no access (untouched if address is not below NPT_SPACE).
 */
MUST_USE enum status npt_lookup(const struct npt *npt, uint64_t address, struct npt_leaf *leaf);
