/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's own page tables, walked in software: linear address to guest-physical address, as
 * the CPU would do it. Used when an instruction is emulated. Owns no state; reads the tables
 * through struct guest_memory only. Everything else here is guest-controlled.
 * Source: Intel SDM vol. 3 "Paging".
 */
#pragma once

#include "hv/abi/guest_memory.h"

/* Kinds of access and what is wrong with one, as in a page fault's error code. */
enum walk_access {
    WALK_READ = 0,
    WALK_PF_PRESENT = BIT32(0),
    WALK_WRITE = BIT32(1),
    WALK_USER = BIT32(2), /* by walk_state's user, not to be given */
    WALK_PF_RESERVED = BIT32(3),
    WALK_EXECUTE = BIT32(4),
    WALK_PF_KEY = BIT32(5),
};

/* The guest's registers as the CPU holds them. */
struct walk_state {
    uint64_t cr0, cr3, cr4, efer, rflags;
    uint32_t pkru;     /* counts with CR4.PKE only */
    bool user;         /* CPL 3 */
    uint8_t phys_bits; /* physical-address width that the guest's CPUID states, 32-52 */
};

#define WALK_MAX_LEVELS 5

/* Where a linear address leads, and by which way. */
struct walk_page {
    gpa_t gpa;
    uint32_t pf_error; /* STATUS_DENIED only */
    uint32_t depth;    /* table entries passed; none without paging */
    struct walk_step {
        const void *slot;     /* in this VM's RAM */
        uint64_t entry;       /* what it held when the walk was done */
    } steps[WALK_MAX_LEVELS]; /* the last one names the page */
};

/*
 * Translates gva (one byte of it: an access that crosses a page needs two calls) by the paging that
 * CR0, CR4 and EFER choose. Outside long mode only 32 bits of gva count. Sets accessed and dirty
 * bits as the CPU does; PAE's PDPTEs are read from memory each time.
 *   STATUS_DENIED     page fault: page->pf_error is its error code, CR2 would be gva
 *   STATUS_INVALID    gva is not canonical: #GP, or #SS for a stack access
 *   STATUS_NOT_FOUND  a table does not lie in this VM's RAM
 *   STATUS_TIMEOUT    other vCPUs kept changing the tables: let the guest try again
 */
MUST_USE enum status walk_translate(const struct guest_memory *mem, const struct walk_state *s,
                                    gva_t gva, unsigned access, struct walk_page *page);

/*
 * The four entries that CR3 names for PAE paging: false if one that is present has a reserved bit
 * set, which a CPU refuses with #GP when it loads them. Where no RAM is, none is present.
 */
bool walk_pdptes_valid(const struct guest_memory *mem, uint64_t cr3, unsigned phys_bits);
