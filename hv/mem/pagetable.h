/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables: Intel's EPT, AMD's nested tables, the host's own, and those of the IOMMUs, which
 * differ in a const format.
 * Owns mapping, rights, splitting and lookup. Nothing here flushes a CPU's translations. The audits
 * (hv/mem/audit.c) read the same tables by code of their own.
 * Sources: Intel SDM "The Extended Page Table Mechanism (EPT)", AMD APM "Nested Paging", Intel VT-d
 * "Second-Stage Paging Entries", AMD IOMMU "I/O Page Tables for Host Translations".
 */
#pragma once

#include "hv/mem/pool.h"

#define PAGETABLE_SPACE BIT(48) /* the addresses that four levels reach */

enum page_access { PAGE_READ = 1, PAGE_WRITE = 2, PAGE_EXECUTE = 4 };
enum page_type { PAGE_WB, PAGE_WC, PAGE_UC, PAGE_TYPES };

/* Bit 0 is set in everything that is not a hole. */
struct pagetable_format {
    uint64_t read_bits, write_bits;         /* in a leaf that can be read, or written to */
    uint64_t execute_bits, no_execute_bits; /* one of them is 0, or both: no such right */
    uint64_t table_bits;                    /* set in every entry that points to a table */
    uint64_t leaf_bits;                     /* set in every leaf */
    uint64_t large_bits;                    /* the same, above the last level */
    uint64_t level_bits; /* hold the level of the table that an entry points to; 0 = no such bits,
                            and large_bits tell a leaf */
    uint64_t type_bits[PAGE_TYPES];
};

extern const struct pagetable_format pagetable_format_ept;
extern const struct pagetable_format
    pagetable_format_amd; /* nested tables of AMD-V: user bit set */
extern const struct pagetable_format pagetable_format_host; /* the hypervisor's own: supervisor */
extern const struct pagetable_format pagetable_format_vtd;
extern const struct pagetable_format pagetable_format_amd_vi;

struct pagetable {
    const struct pagetable_format *format;
    struct pool *pool;
    uint64_t *root;
    unsigned max_level; /* largest leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
    uint64_t own;       /* tables in the pool from this offset on are its own: pagetable_fork() */
};

struct pagetable_leaf {
    uint64_t address; /* of the whole leaf */
    hpa_t hpa;
    uint64_t size;
    unsigned access; /* enum page_access bits */
    enum page_type type;
};

MUST_USE enum status pagetable_init(struct pagetable *t, const struct pagetable_format *format,
                                    struct pool *pool, unsigned max_level);

/*
 * Maps [address, address + size) to hpa with the largest pages that fit. All three are multiples of
 * 4 KiB, below 2^48 (address). STATUS_EXISTS if any of it is mapped already (what came before it
 * stays mapped), STATUS_NO_MEMORY when the pool is empty.
 */
MUST_USE enum status pagetable_map(struct pagetable *t, uint64_t address, hpa_t hpa, uint64_t size,
                                   unsigned access, enum page_type type);

/*
 * Give a mapped range other rights, or make a hole of it. A larger page that reaches out of the
 * range is split. STATUS_NOT_FOUND at the first hole (what came before it is changed),
 * STATUS_NO_MEMORY when the pool is empty. No table is given back. CPUs that use the tables have to
 * be flushed afterwards.
 */
MUST_USE enum status pagetable_protect(struct pagetable *t, uint64_t address, uint64_t size,
                                       unsigned access);
MUST_USE enum status pagetable_unmap(struct pagetable *t, uint64_t address, uint64_t size);

/*
 * Makes out a root of its own over the tables of from. Whatever is changed in out copies the tables
 * on its way into pool, once each; from stays as it is. What is changed in from later is seen
 * through out as well, where out has no copy.
 */
MUST_USE enum status pagetable_fork(const struct pagetable *from, struct pagetable *out,
                                    struct pool *pool);

/* enum page_access bits of a leaf; nobody executes where there is no such right. */
unsigned pagetable_access(const struct pagetable_format *f, uint64_t entry);

/*
 * The leaf that maps address, as the CPU reads it, with type PAGE_TYPES if an entry has bits that
 * pagetable_map() does not set. STATUS_NOT_FOUND if none: then leaf is the hole
 * around it, with no access (untouched if address is not below PAGETABLE_SPACE).
 */
MUST_USE enum status pagetable_lookup(const struct pagetable *t, uint64_t address,
                                      struct pagetable_leaf *leaf);
