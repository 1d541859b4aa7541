/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One loop over the four levels of 64-bit paging. Each table entry is read once and all decisions
 * are made on that copy: the guest may change it at any moment. Must never assert on what a table
 * says. See walk.h for callers.
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

#define ADDRESS_MASK 0x000ffffffffff000ull
#define LEVELS       4
#define MAX_ATTEMPTS 8

struct walk {
    const struct gmem *mem;
    const struct walk_state *s;
    uint64_t gva;
    unsigned access;
    uint64_t permissions; /* ENTRY_WRITE, ENTRY_USER: allowed by all levels; ENTRY_NX by any */
};

static bool nx_enabled(const struct walk *w) {
    return (w->s->efer & X86_EFER_NXE) != 0;
}

/* Bits that must be 0 in an entry; offset_mask covers what one entry of its level maps. */
static uint64_t reserved_bits(const struct walk *w, unsigned level, bool large,
                              uint64_t offset_mask) {
    uint64_t reserved = ADDRESS_MASK & ~(BIT(w->s->phys_bits) - 1);
    reserved |= nx_enabled(w) ? 0 : ENTRY_NX;
    reserved |= level == LEVELS ? ENTRY_LARGE : 0;
    /* Below a large page's address; bit 12 is its PAT bit. */
    return large ? reserved | (offset_mask & ~(BIT(13) - 1)) : reserved;
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
    /* RFLAGS.AC opens user pages, but not to what the CPU does on its own at CPL 3. */
    bool open = s->cpl != 3 && (s->rflags & X86_RFLAGS_AC) != 0;
    if (!user && user_page && (s->cr4 & X86_CR4_SMAP) != 0 && !open) {
        return false;
    }
    bool writable = (w->permissions & ENTRY_WRITE) != 0 || (!user && (s->cr0 & X86_CR0_WP) == 0);
    return (w->access & WALK_WRITE) == 0 || writable;
}

static enum status deny(const struct walk *w, uint32_t cause, uint32_t *pf_error) {
    bool fetch_told = nx_enabled(w) || (w->s->cr4 & X86_CR4_SMEP) != 0;
    *pf_error = cause | ((w->access & WALK_WRITE) != 0 ? WALK_PF_WRITE : 0) |
                ((w->access & WALK_USER) != 0 ? WALK_PF_USER : 0) |
                ((w->access & WALK_EXECUTE) != 0 && fetch_told ? WALK_PF_FETCH : 0);
    return STATUS_DENIED;
}

/* Sets bits in an entry; false if it is no longer what was read. */
static bool mark_entry(uint64_t *slot, uint64_t entry, uint64_t bits) {
    return (entry & bits) == bits ||
           __atomic_compare_exchange_n(slot, &entry, entry | bits, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* One way down; STATUS_TIMEOUT if an entry changed before it could be marked as used. */
static enum status descend(struct walk *w, gpa_t *gpa, uint32_t *pf_error) {
    uint64_t table = w->s->cr3 & ADDRESS_MASK & (BIT(w->s->phys_bits) - 1);
    w->permissions = ENTRY_WRITE | ENTRY_USER;
    for (unsigned level = LEVELS;; level--) {
        unsigned shift = PAGE_SHIFT + 9 * (level - 1);
        uint64_t offset_mask = BIT(shift) - 1;
        /* gmem's regions are page-aligned, so an aligned gpa is an aligned pointer. */
        uint64_t *slot = gmem_pointer(w->mem, GPA(table + (w->gva >> shift & 511) * 8), 8);
        if (slot == NULL) {
            return STATUS_NOT_FOUND;
        }
        uint64_t entry = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        bool large = (entry & ENTRY_LARGE) != 0 && (level == 2 || level == 3);
        bool last = level == 1 || large;
        if ((entry & ENTRY_PRESENT) == 0) {
            return deny(w, 0, pf_error);
        }
        if ((entry & reserved_bits(w, level, large, offset_mask)) != 0) {
            return deny(w, WALK_PF_PRESENT | WALK_PF_RESERVED, pf_error);
        }
        w->permissions = (w->permissions & (entry | ENTRY_NX)) | (entry & ENTRY_NX);
        if (last && !access_allowed(w)) {
            return deny(w, WALK_PF_PRESENT, pf_error);
        }
        bool dirties = last && (w->access & WALK_WRITE) != 0;
        if (!mark_entry(slot, entry, ENTRY_ACCESSED | (dirties ? ENTRY_DIRTY : 0))) {
            return STATUS_TIMEOUT;
        }
        table = entry & ADDRESS_MASK;
        if (last) {
            *gpa = GPA((table & ~offset_mask) | (w->gva & offset_mask));
            return STATUS_OK;
        }
    }
}

enum status walk_translate(const struct gmem *mem, const struct walk_state *s, gva_t gva,
                           unsigned access, gpa_t *gpa, uint32_t *pf_error) {
    struct walk w = {.mem = mem, .s = s, .gva = gva.v, .access = access};
    if ((s->cr0 & X86_CR0_PG) == 0) {
        *gpa = GPA(gva.v & UINT32_MAX);
        return STATUS_OK;
    }
    if ((s->efer & X86_EFER_LMA) == 0) {
        return STATUS_UNSUPPORTED;
    }
    if ((uint64_t)((int64_t)(gva.v << 16) >> 16) != gva.v) {
        return STATUS_INVALID;
    }
    enum status result = STATUS_TIMEOUT;
    for (unsigned i = 0; i < MAX_ATTEMPTS && result == STATUS_TIMEOUT; i++) {
        result = descend(&w, gpa, pf_error);
    }
    return result;
}
