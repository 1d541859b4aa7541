/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One loop over the levels of all kinds of paging. Each table entry is read once and all decisions
 * are made on that copy: the guest may change it at any moment. Must never assert on what a table
 * says. See walk.h for callers.
 */
#include "hv/compartment/emulate/walk.h"

#include "hv/lib/x86.h"

#define ENTRY_PRESENT  BIT(0)
#define ENTRY_WRITE    BIT(1)
#define ENTRY_USER     BIT(2)
#define ENTRY_ACCESSED BIT(5)
#define ENTRY_DIRTY    BIT(6)
#define ENTRY_LARGE    BIT(7)
#define ENTRY_NX       BIT(63)
#define ENTRY_KEY(e)   ((unsigned)((e) >> 59) & 0xfu)

/* In PKRU, two bits a key. */
#define KEY_NO_ACCESS BIT32(0)
#define KEY_NO_WRITE  BIT32(1)

#define ADDRESS_MASK 0x000ffffffffff000ull
#define MAX_ATTEMPTS 8

/* A kind of paging. Levels count from the tables that name 4 KiB pages, which are level 1. */
struct format {
    uint8_t levels, index_bits;
    uint8_t entry_size;    /* bytes */
    uint8_t linear_bits;   /* of an address that is translated */
    uint8_t large;         /* the highest level whose entries can be pages; 0 = none */
    uint64_t root;         /* where CR3 holds the address of the first table */
    uint64_t reserved;     /* must be 0 in every entry, beside address bits that do not exist */
    uint64_t top_reserved; /* must be 0 in entries above level large */
    uint64_t top_implied;  /* these have no such bits: all is allowed, nothing is marked */
};

enum { FORMAT_32, FORMAT_32_LARGE, FORMAT_PAE, FORMAT_4_LEVELS, FORMAT_5_LEVELS };

/*
 * SDM "32-Bit Paging" without and with CR4.PSE, "PAE Paging", "4-Level Paging and 5-Level Paging".
 * Bit 5 of a PAE top entry is reserved, but a CPU that walks these with each access may mark it as
 * accessed (QEMU's AMD-V does).
 */
static const struct format formats[] = {
    [FORMAT_32] =
        {.levels = 2, .index_bits = 10, .entry_size = 4, .linear_bits = 32, .root = 0xfffff000},
    [FORMAT_32_LARGE] = {.levels = 2,
                         .index_bits = 10,
                         .entry_size = 4,
                         .linear_bits = 32,
                         .large = 2,
                         .root = 0xfffff000},
    [FORMAT_PAE] = {.levels = 3,
                    .index_bits = 9,
                    .entry_size = 8,
                    .linear_bits = 32,
                    .large = 2,
                    .root = 0xffffffe0,
                    .reserved = 0x7ff0000000000000,
                    .top_reserved = 0x80000000000001c6,
                    .top_implied = ENTRY_WRITE | ENTRY_USER | ENTRY_ACCESSED},
    [FORMAT_4_LEVELS] = {.levels = 4,
                         .index_bits = 9,
                         .entry_size = 8,
                         .linear_bits = 48,
                         .large = 3,
                         .root = ADDRESS_MASK,
                         .top_reserved = ENTRY_LARGE},
    [FORMAT_5_LEVELS] = {.levels = 5,
                         .index_bits = 9,
                         .entry_size = 8,
                         .linear_bits = 57,
                         .large = 3,
                         .root = ADDRESS_MASK,
                         .top_reserved = ENTRY_LARGE},
};

struct walk {
    const struct guest_memory *mem;
    const struct walk_state *s;
    const struct format *f;
    uint64_t gva;
    unsigned access;
    uint64_t permissions; /* ENTRY_WRITE, ENTRY_USER: allowed by all levels; ENTRY_NX by any */
};

static const struct format *format_of(const struct walk_state *s) {
    if ((s->cr4 & X86_CR4_PAE) == 0) {
        return (s->cr4 & X86_CR4_PSE) != 0 ? &formats[FORMAT_32_LARGE] : &formats[FORMAT_32];
    }
    if ((s->efer & X86_EFER_LMA) == 0) {
        return &formats[FORMAT_PAE];
    }
    return (s->cr4 & X86_CR4_LA57) != 0 ? &formats[FORMAT_5_LEVELS] : &formats[FORMAT_4_LEVELS];
}

static bool nx_enabled(const struct walk *w) {
    return (w->s->efer & X86_EFER_NXE) != 0 && w->f->entry_size == 8;
}

/* Bits that must be 0 in an entry; offset_mask covers what one entry of its level maps. */
static uint64_t reserved_bits(const struct walk *w, unsigned level, bool large,
                              uint64_t offset_mask) {
    uint64_t reserved = w->f->reserved | (ADDRESS_MASK & ~(BIT(w->s->phys_bits) - 1));
    reserved |= nx_enabled(w) ? 0 : ENTRY_NX;
    reserved |= level > w->f->large ? w->f->top_reserved : 0;
    /* Below a large page's address; bit 12 is its PAT bit. */
    return large ? reserved | (offset_mask & ~(BIT(13) - 1)) : reserved;
}

/* SDM "Determination of Access Rights". */
static bool access_allowed(const struct walk *w) {
    const struct walk_state *s = w->s;
    bool user = s->user, user_page = (w->permissions & ENTRY_USER) != 0;
    if (user && !user_page) {
        return false;
    }
    if ((w->access & WALK_EXECUTE) != 0) {
        bool smep = !user && user_page && (s->cr4 & X86_CR4_SMEP) != 0;
        return (w->permissions & ENTRY_NX) == 0 && !smep;
    }
    if (!user && user_page && (s->cr4 & X86_CR4_SMAP) != 0 && (s->rflags & X86_RFLAGS_AC) == 0) {
        return false;
    }
    bool writable = (w->permissions & ENTRY_WRITE) != 0 || (!user && (s->cr0 & X86_CR0_WP) == 0);
    return (w->access & WALK_WRITE) == 0 || writable;
}

/*
 * Protection keys are for data of user pages, and for long mode; entry is the one that names the
 * page. SDM "Protection Keys".
 */
static bool key_allows(const struct walk *w, uint64_t entry) {
    const struct walk_state *s = w->s;
    bool long_mode = w->f->levels >= 4;
    bool user_page = (w->permissions & ENTRY_USER) != 0;
    bool data = (w->access & WALK_EXECUTE) == 0;
    if (!long_mode || !user_page || !data || (s->cr4 & X86_CR4_PKE) == 0) {
        return true;
    }

    uint32_t rights = s->pkru >> (2 * ENTRY_KEY(entry));
    bool write = (w->access & WALK_WRITE) != 0 && (s->user || (s->cr0 & X86_CR0_WP) != 0);
    return (rights & (write ? KEY_NO_ACCESS | KEY_NO_WRITE : KEY_NO_ACCESS)) == 0;
}

static enum status deny(const struct walk *w, uint32_t cause, struct walk_page *page) {
    bool fetch_told = nx_enabled(w) || (w->s->cr4 & X86_CR4_SMEP) != 0;
    page->pf_error = cause | (fetch_told ? w->access : w->access & ~(uint32_t)WALK_EXECUTE);
    return STATUS_DENIED;
}

/* Sets bits in an entry; false if it is no longer what was read. */
static bool mark_entry(void *slot, unsigned size, uint64_t entry, uint64_t bits) {
    uint32_t half = (uint32_t)entry;
    return size == 8 ? __atomic_compare_exchange_n((uint64_t *)slot, &entry, entry | bits, false,
                                                   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
                     : __atomic_compare_exchange_n((uint32_t *)slot, &half, half | (uint32_t)bits,
                                                   false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* SDM "PSE-36": bits 20:13 of a 4 MiB page's entry are address bits 39:32. */
#define PSE36_BITS  BITS(13, 20)
#define PSE36_SHIFT 19

/* An entry of the guest's tables, read once. */
struct entry {
    void *slot;
    uint64_t raw;   /* as it stands there */
    uint64_t value; /* as all kinds of paging have it */
    uint64_t implied;
    unsigned level;
    bool large, last; /* it names a page above level 1; a page */
};

static uint64_t entry_mask(const struct format *f, unsigned level) {
    return BIT(PAGE_SHIFT + f->index_bits * (level - 1u)) - 1;
}

/* False if the table does not lie in RAM. */
static bool read_entry(const struct walk *w, uint64_t table, unsigned level, struct entry *out) {
    const struct format *f = w->f;
    uint64_t index = w->gva / (entry_mask(f, level) + 1) & (BIT(f->index_bits) - 1);
    /* Regions are page-aligned, so an aligned gpa is an aligned pointer. */
    void *slot = guest_memory_at(w->mem, GPA(table + index * f->entry_size), f->entry_size);
    if (slot == NULL) {
        return false;
    }

    uint64_t raw = f->entry_size == 8 ? __atomic_load_n((uint64_t *)slot, __ATOMIC_ACQUIRE)
                                      : __atomic_load_n((uint32_t *)slot, __ATOMIC_ACQUIRE);
    *out = (struct entry){.slot = slot, .raw = raw, .value = raw, .level = level};
    out->large = (raw & ENTRY_LARGE) != 0 && level >= 2 && level <= f->large;
    out->last = level == 1 || out->large;
    if (out->large && f->entry_size == 4) {
        out->value = (raw & ~PSE36_BITS) | (raw & PSE36_BITS) << PSE36_SHIFT;
    }
    if (level > f->large) {
        out->implied = f->top_implied;
    }
    return true;
}

/* Does it lead on, with the rights of all entries so far? Or else a page fault, as page says. */
static enum status judge_entry(struct walk *w, const struct entry *e, struct walk_page *page) {
    if ((e->value & ENTRY_PRESENT) == 0) {
        return deny(w, 0, page);
    }
    if ((e->value & reserved_bits(w, e->level, e->large, entry_mask(w->f, e->level))) != 0) {
        return deny(w, WALK_PF_PRESENT | WALK_PF_RESERVED, page);
    }

    uint64_t rights = e->value | e->implied;
    w->permissions = (w->permissions & (rights | ENTRY_NX)) | (rights & ENTRY_NX);
    if (!e->last) {
        return STATUS_OK;
    }
    if (!key_allows(w, e->value)) {
        return deny(w, WALK_PF_PRESENT | WALK_PF_KEY, page);
    }
    return access_allowed(w) ? STATUS_OK : deny(w, WALK_PF_PRESENT, page);
}

/* Accessed, and of a page that is written, dirty; notes the step with what stands there then. */
static enum status use_entry(const struct walk *w, const struct entry *e, struct walk_page *page) {
    uint64_t marks = ENTRY_ACCESSED;
    if (e->last && (w->access & WALK_WRITE) != 0) {
        marks |= ENTRY_DIRTY;
    }
    marks &= ~e->implied;
    if ((e->raw & marks) != marks && !mark_entry(e->slot, w->f->entry_size, e->raw, marks)) {
        return STATUS_TIMEOUT;
    }
    page->steps[page->depth++] = (struct walk_step){e->slot, e->raw | marks};
    return STATUS_OK;
}

/* One way down; STATUS_TIMEOUT if an entry changed before it could be marked as used. */
static enum status descend(struct walk *w, struct walk_page *page) {
    uint64_t table = w->s->cr3 & w->f->root;
    w->permissions = ENTRY_WRITE | ENTRY_USER;
    page->depth = 0;
    for (unsigned level = w->f->levels;; level--) {
        struct entry e;
        if (!read_entry(w, table, level, &e)) {
            return STATUS_NOT_FOUND;
        }
        enum status s = judge_entry(w, &e, page);
        if (s == STATUS_OK) {
            s = use_entry(w, &e, page);
        }
        if (s != STATUS_OK) {
            return s;
        }

        table = e.value & ADDRESS_MASK;
        if (e.last) {
            uint64_t offset = entry_mask(w->f, level);
            page->gpa = GPA((table & ~offset) | (w->gva & offset));
            return STATUS_OK;
        }
    }
}

enum status walk_translate(const struct guest_memory *mem, const struct walk_state *s, gva_t gva,
                           unsigned access, struct walk_page *page) {
    access |= s->user ? (unsigned)WALK_USER : 0;
    struct walk w = {.mem = mem, .s = s, .f = format_of(s), .gva = gva.v, .access = access};
    unsigned unused = 64u - w.f->linear_bits;
    if ((s->cr0 & X86_CR0_PG) == 0) {
        page->gpa = GPA(gva.v & UINT32_MAX);
        page->depth = 0;
        return STATUS_OK;
    }
    if (unused == 32) {
        w.gva &= UINT32_MAX;
    } else if ((uint64_t)((int64_t)(gva.v << unused) >> unused) != gva.v) {
        return STATUS_INVALID;
    }
    enum status result = STATUS_TIMEOUT;
    for (unsigned i = 0; i < MAX_ATTEMPTS && result == STATUS_TIMEOUT; i++) {
        result = descend(&w, page);
    }
    return result;
}

bool walk_pdptes_valid(const struct guest_memory *mem, uint64_t cr3, unsigned phys_bits) {
    const struct format *f = &formats[FORMAT_PAE];
    const uint64_t *entries = guest_memory_at(mem, GPA(cr3 & f->root), 4 * sizeof(uint64_t));
    uint64_t reserved = f->reserved | f->top_reserved | (ADDRESS_MASK & ~(BIT(phys_bits) - 1));
    bool valid = true;
    for (unsigned i = 0; entries != NULL && i < 4; i++) {
        uint64_t entry = __atomic_load_n(&entries[i], __ATOMIC_RELAXED);
        valid &= (entry & ENTRY_PRESENT) == 0 || (entry & reserved) == 0;
    }
    return valid;
}
