/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One loop for all paging modes, which differ in a const format. Each table entry is read once and
 * all decisions are made on that copy: the guest may change it at any moment. Must never assert on
 * what a table says. See walk.h for callers.
 */
#include "hv/mem/walk.h"

#include "hv/lib/x86.h"

#define ENTRY_PRESENT  BIT(0)
#define ENTRY_WRITE    BIT(1)
#define ENTRY_USER     BIT(2)
#define ENTRY_ACCESSED BIT(5)
#define ENTRY_DIRTY    BIT(6)
#define ENTRY_LARGE    BIT(7)
#define ENTRY_NX       BIT(63)

#define ADDRESS_MASK    0x000ffffffffff000ull
#define MAX_LEVELS      5
#define MAX_ATTEMPTS    8
#define PAE_PDPTE_LEVEL 3

struct paging {
    uint8_t levels;
    uint8_t entry_size;
    uint8_t index_bits;
    uint8_t large_levels; /* bit n: an entry of level n may be a page */
    uint64_t cr3_mask;
    uint64_t reserved; /* in every entry, whatever the registers say */
};

static const struct paging paging_32 = {2, 4, 10, 0, 0xfffff000, 0};
static const struct paging paging_32_pse = {2, 4, 10, BIT(2), 0xfffff000, 0};
static const struct paging paging_pae = {3, 8, 9, BIT(2), 0xffffffe0, 0x7ff0000000000000};
static const struct paging paging_4level = {4, 8, 9, BIT(2) | BIT(3), ADDRESS_MASK, 0};
static const struct paging paging_5level = {5, 8, 9, BIT(2) | BIT(3), ADDRESS_MASK, 0};

static const struct paging *paging_mode(const struct walk_state *s) {
    if ((s->efer & X86_EFER_LMA) != 0) {
        return (s->cr4 & X86_CR4_LA57) != 0 ? &paging_5level : &paging_4level;
    }
    if ((s->cr4 & X86_CR4_PAE) != 0) {
        return &paging_pae;
    }
    return (s->cr4 & X86_CR4_PSE) != 0 ? &paging_32_pse : &paging_32;
}

struct walk {
    const struct gmem *mem;
    const struct walk_state *s;
    const struct paging *mode;
    uint64_t gva;
    unsigned access;
    uint32_t fault;       /* error-code bits on STATUS_DENIED */
    uint64_t permissions; /* ENTRY_WRITE, ENTRY_USER: allowed by all levels; ENTRY_NX by any */
    unsigned depth;       /* entries that were used */
    void *slots[MAX_LEVELS];
    uint64_t entries[MAX_LEVELS];
    uint64_t gpa;
};

static bool nx_enabled(const struct walk *w) {
    return (w->s->efer & X86_EFER_NXE) != 0 && w->mode->entry_size == 8;
}

/* gmem's regions are page-aligned, so an aligned gpa is an aligned pointer. */
static enum status read_entry(struct walk *w, uint64_t gpa, uint64_t *entry) {
    void *slot = gmem_pointer(w->mem, GPA(gpa), w->mode->entry_size);
    if (slot == NULL) {
        return STATUS_NOT_FOUND;
    }
    *entry = w->mode->entry_size == 8 ? __atomic_load_n((uint64_t *)slot, __ATOMIC_ACQUIRE)
                                      : __atomic_load_n((uint32_t *)slot, __ATOMIC_ACQUIRE);
    w->slots[w->depth] = slot;
    w->entries[w->depth++] = *entry;
    return STATUS_OK;
}

/* Bits that must be 0 in this entry of this level. */
static uint64_t reserved_bits(const struct walk *w, uint64_t entry, unsigned level) {
    uint64_t beyond = ADDRESS_MASK & ~(BIT(w->s->phys_bits) - 1);
    bool large = level > 1 && (entry & ENTRY_LARGE) != 0;
    if (w->mode->entry_size == 4) {
        /* PSE-36: bits 20:13 of a large page are address bits 39:32, bit 21 is always reserved. */
        unsigned extra = w->s->phys_bits > 40 ? 8 : w->s->phys_bits - 32u;
        return large && w->mode->large_levels != 0 ? BIT(22) - BIT(13 + extra) : 0;
    }
    uint64_t reserved = w->mode->reserved | beyond | (nx_enabled(w) ? 0 : ENTRY_NX);
    if (w->mode == &paging_pae && level == PAE_PDPTE_LEVEL) {
        return reserved | ENTRY_NX | 0x1e6;
    }
    if (large) {
        bool allowed = (w->mode->large_levels >> level & 1) != 0;
        /* Below the page's address; bit 12 is its PAT bit. */
        reserved |= allowed ? BIT(12 + 9 * (level - 1)) - BIT(13) : ENTRY_LARGE;
    }
    return reserved;
}

static uint64_t page_address(const struct walk *w, uint64_t entry, unsigned level) {
    uint64_t offset_mask = BIT(12 + w->mode->index_bits * (level - 1)) - 1;
    uint64_t base = entry & ADDRESS_MASK & ~offset_mask;
    if (w->mode->entry_size == 4) {
        base &= UINT32_MAX;
        if (level > 1) {
            base |= (entry >> 13 & 0xff) << 32;
        }
    }
    return base | (w->gva & offset_mask);
}

/* Down to the page; collects permissions. */
static enum status descend(struct walk *w) {
    uint64_t table = w->s->cr3 & w->mode->cr3_mask & (BIT(w->s->phys_bits) - 1);
    for (unsigned level = w->mode->levels;; level--) {
        uint64_t entry;
        unsigned shift = 12 + w->mode->index_bits * (level - 1);
        uint64_t index = w->gva >> shift & (BIT(w->mode->index_bits) - 1);
        enum status s = read_entry(w, table + index * w->mode->entry_size, &entry);
        if (s != STATUS_OK) {
            return s;
        }
        if ((entry & ENTRY_PRESENT) == 0) {
            return STATUS_DENIED;
        }
        if ((entry & reserved_bits(w, entry, level)) != 0) {
            w->fault |= WALK_PF_PRESENT | WALK_PF_RESERVED;
            return STATUS_DENIED;
        }
        if (w->mode == &paging_pae && level == PAE_PDPTE_LEVEL) {
            w->depth--; /* has neither permissions nor an accessed bit */
        } else {
            w->permissions &= entry | ENTRY_NX;
            w->permissions |= entry & ENTRY_NX;
        }
        bool large = (entry & ENTRY_LARGE) != 0 && (w->mode->large_levels >> level & 1) != 0;
        if (level == 1 || large) {
            w->gpa = page_address(w, entry, level);
            return STATUS_OK;
        }
        table = entry & ADDRESS_MASK;
    }
}

/* SDM "Determination of Access Rights". */
static bool access_allowed(const struct walk *w) {
    const struct walk_state *s = w->s;
    bool user = (w->access & WALK_USER) != 0;
    bool user_page = (w->permissions & ENTRY_USER) != 0;
    if (user && !user_page) {
        return false;
    }
    if ((w->access & WALK_EXECUTE) != 0) {
        bool smep = !user && user_page && (s->cr4 & X86_CR4_SMEP) != 0;
        return (w->permissions & ENTRY_NX) == 0 && !smep;
    }
    if (!user && user_page && (s->cr4 & X86_CR4_SMAP) != 0) {
        /* RFLAGS.AC opens user pages, but not to what the CPU does on its own at CPL 3. */
        if (s->cpl == 3 || (s->rflags & X86_RFLAGS_AC) == 0) {
            return false;
        }
    }
    bool writable = (w->permissions & ENTRY_WRITE) != 0 || (!user && (s->cr0 & X86_CR0_WP) == 0);
    return (w->access & WALK_WRITE) == 0 || writable;
}

/* False if the entry is no longer what was read. */
static bool update_entry(const struct walk *w, unsigned i, uint64_t bits) {
    if ((w->entries[i] & bits) == bits) {
        return true;
    }
    uint64_t old = w->entries[i];
    if (w->mode->entry_size == 8) {
        return __atomic_compare_exchange_n((uint64_t *)w->slots[i], &old, old | bits, false,
                                           __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    uint32_t old32 = (uint32_t)old;
    return __atomic_compare_exchange_n((uint32_t *)w->slots[i], &old32, (uint32_t)(old | bits),
                                       false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static bool mark_used(const struct walk *w) {
    for (unsigned i = 0; i < w->depth; i++) {
        bool dirty = i + 1 == w->depth && (w->access & WALK_WRITE) != 0;
        if (!update_entry(w, i, ENTRY_ACCESSED | (dirty ? ENTRY_DIRTY : 0))) {
            return false;
        }
    }
    return true;
}

static bool canonical(const struct walk *w) {
    unsigned unused = 64 - (12 + 9u * w->mode->levels);
    return (uint64_t)((int64_t)(w->gva << unused) >> unused) == w->gva;
}

static uint32_t fault_code(const struct walk *w) {
    bool fetch_told = nx_enabled(w) || (w->s->cr4 & X86_CR4_SMEP) != 0;
    return w->fault | ((w->access & WALK_WRITE) != 0 ? WALK_PF_WRITE : 0) |
           ((w->access & WALK_USER) != 0 ? WALK_PF_USER : 0) |
           ((w->access & WALK_EXECUTE) != 0 && fetch_told ? WALK_PF_FETCH : 0);
}

enum status walk_translate(const struct gmem *mem, const struct walk_state *s, gva_t gva,
                           unsigned access, gpa_t *gpa, uint32_t *pf_error) {
    bool long_mode = (s->efer & X86_EFER_LMA) != 0;
    struct walk w = {.mem = mem, .s = s, .mode = paging_mode(s), .access = access};
    w.gva = long_mode ? gva.v : gva.v & UINT32_MAX;
    if ((s->cr0 & X86_CR0_PG) == 0) {
        *gpa = GPA(w.gva);
        return STATUS_OK;
    }
    if (long_mode && !canonical(&w)) {
        return STATUS_INVALID;
    }
    for (unsigned attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        w.permissions = ENTRY_WRITE | ENTRY_USER;
        w.depth = 0;
        w.fault = 0;
        enum status result = descend(&w);
        if (result == STATUS_OK && !access_allowed(&w)) {
            w.fault = WALK_PF_PRESENT;
            result = STATUS_DENIED;
        }
        if (result == STATUS_DENIED) {
            *pf_error = fault_code(&w);
        }
        if (result != STATUS_OK) {
            return result;
        }
        if (mark_used(&w)) {
            *gpa = GPA(w.gpa);
            return STATUS_OK;
        }
    }
    return STATUS_TIMEOUT;
}
