/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the raw tables of one CPU. The bits stand here a second time, from the manuals, and the
 * walk trusts no entry: a table is read only where the CPU may reach it.
 *
 * That the sizes add up shows that nothing is missing: every page lies in a piece, at its own
 * address, so none is counted twice.
 * Sources: Intel SDM "4-Level Paging", "Page Attribute Table (PAT)"; the PAT itself is HOST_PAT in
 * arch/x86_64/cpu.h.
 */
#include "hv/mem/host_audit.h"

#include "hv/lib/phys.h"
#include "hv/lib/range.h"

#define TABLE_ENTRIES 512u
#define INDEX_BITS    9u
#define ROOT_LEVEL    4u
#define LARGEST_LEVEL 3u /* that can have leaves */
#define ENTRY_STEPS   8u /* of one that is not empty */

#define ENTRY_PRESENT  BIT(0)
#define ENTRY_WRITE    BIT(1)
#define ENTRY_PWT      BIT(3)
#define ENTRY_PCD      BIT(4)
#define ENTRY_ACCESSED BIT(5)
#define ENTRY_DIRTY    BIT(6)
#define ENTRY_LARGE    BIT(7)
#define ENTRY_NX       BIT(63)
#define ENTRY_ADDRESS  BITS(12, 51)

/* All bits of an entry but the address. Never a user's, never global. */
#define TABLE_BITS (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED)
#define LEAF_BITS  (ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_DIRTY)

static const uint64_t rights_bits[HOST_RIGHTS] = {
    [HOST_RX] = LEAF_BITS,
    [HOST_R] = LEAF_BITS | ENTRY_NX,
    [HOST_RW] = LEAF_BITS | ENTRY_NX | ENTRY_WRITE,
    [HOST_RW_UC] = LEAF_BITS | ENTRY_NX | ENTRY_WRITE | ENTRY_PCD | ENTRY_PWT,
    [HOST_RW_WC] = LEAF_BITS | ENTRY_NX | ENTRY_WRITE | ENTRY_PWT,
};

struct host_walk {
    const struct host_map *map;
    uint32_t cpu, vm;
    struct host_view *view;
    const struct host_piece *last; /* that was found; most often the next page is of it, too */
    uint32_t steps;                /* left of this part */
    bool stopped;                  /* none was, in the middle of a table */
};

struct host_entry {
    uint64_t value, address, size;
    unsigned level;
};

static bool host_table(struct host_walk *w, hpa_t table, uint64_t address, unsigned level);

static bool host_may(const struct host_walk *w, const struct host_piece *p) {
    switch (p->kind) {
    case HOST_CORE:
    case HOST_DEVICES:
    case HOST_PUBLIC:
        return true;
    case HOST_STACKS:
        return p->owner == w->cpu;
    case HOST_RECORDS:
        return p->owner == w->vm;
    case HOST_RAM:
    case HOST_HOLE:
    case HOST_KINDS:
    default:
        return false;
    }
}

static void host_spend(struct host_walk *w, uint32_t steps) {
    w->steps -= (uint32_t)min_u64(steps, w->steps);
}

/* The piece that has some of it, NULL = none. */
static const struct host_piece *host_find(struct host_walk *w, uint64_t base, uint64_t size) {
    if (w->last != NULL && range_contains(w->last->base, w->last->size, base, size)) {
        return w->last;
    }
    for (uint32_t i = 0; i < w->map->count; i++) {
        const struct host_piece *p = &w->map->pieces[i];
        if (range_overlaps(p->base, p->size, base, size)) {
            host_spend(w, i);
            w->last = p;
            return p;
        }
    }
    return NULL;
}

static bool host_refuse(struct host_walk *w, const struct host_entry *e, const char *why) {
    w->view->wrong = why;
    w->view->address = e->address;
    w->view->entry = e->value;
    w->view->of = host_find(w, e->value & ENTRY_ADDRESS, e->size);
    return false;
}

/* The page that the VM's guest and this CPU have in common while it runs. */
static bool host_is_kept(const struct host_walk *w, const struct host_entry *e,
                         const struct host_piece *p) {
    return w->map->kept != 0 && e->address == w->map->kept && e->level == 1 &&
           p->kind == HOST_RAM && p->owner == w->vm &&
           (e->value & ~ENTRY_ADDRESS) == rights_bits[HOST_RW];
}

static bool host_leaf(struct host_walk *w, const struct host_entry *e) {
    uint64_t frame = e->value & ENTRY_ADDRESS;
    uint64_t large = e->level > 1 ? ENTRY_LARGE : 0;
    const struct host_piece *p = host_find(w, frame, e->size);

    if (p == NULL) {
        return host_refuse(w, e, "what is nobody's is mapped");
    }
    if (host_is_kept(w, e, p)) {
        return true;
    }
    if (!host_may(w, p)) {
        return host_refuse(w, e, "what is another's is mapped");
    }
    if (!range_contains(p->base, p->size, frame, e->size)) {
        return host_refuse(w, e, "a page reaches out of its piece");
    }
    if (e->address != frame) {
        return host_refuse(w, e, "a page is not at its own address");
    }
    if ((e->value & ~ENTRY_ADDRESS) != (rights_bits[p->rights] | large)) {
        return host_refuse(w, e, "a page has other rights than planned");
    }
    w->view->bytes[p->kind] += e->size;
    return true;
}

/* A table is core memory or of this VM's records, and writable like them. */
static bool host_pointer(struct host_walk *w, const struct host_entry *e) {
    uint64_t table = e->value & ENTRY_ADDRESS;
    const struct host_piece *p = host_find(w, table, PAGE_SIZE);
    bool good = p != NULL && host_may(w, p) && (p->kind == HOST_CORE || p->kind == HOST_RECORDS);

    if (!good || p->rights != HOST_RW) {
        return host_refuse(w, e, "a table lies where none may be");
    }
    if ((e->value & ~ENTRY_ADDRESS) != TABLE_BITS) {
        return host_refuse(w, e, "not the bits of an entry that leads to a table");
    }
    return host_table(w, HPA(table), e->address, e->level - 1);
}

/* host_pointer() comes back here for the table below: never deeper than there are levels. False:
 * refused. */
static bool host_table(struct host_walk *w, hpa_t table, uint64_t address, unsigned level) {
    const uint64_t *entries = phys_pointer(table);
    uint64_t size = PAGE_SIZE << (INDEX_BITS * (level - 1));
    uint64_t first = (max_u64(w->view->next, address) - address) / size;

    for (uint64_t i = first; i < TABLE_ENTRIES; i++) {
        struct host_entry e = {entries[i], address + i * size, size, level};
        bool leaf = level == 1 || ((e.value & ENTRY_LARGE) != 0 && level <= LARGEST_LEVEL);
        bool good = true;

        host_spend(w, e.value == 0 ? 1 : ENTRY_STEPS);
        if (e.value != 0) {
            good = leaf ? host_leaf(w, &e) : host_pointer(w, &e);
        }
        if (!good || w->stopped) {
            return good;
        }
        w->view->next = e.address + size;
        w->stopped = w->steps == 0 && i + 1 < TABLE_ENTRIES;
        if (w->stopped) {
            return true;
        }
    }
    return true;
}

/* That nothing is missing. */
static bool host_is_all(struct host_walk *w) {
    uint64_t planned[HOST_KINDS] = {0};

    for (uint32_t i = 0; i < w->map->count; i++) {
        const struct host_piece *p = &w->map->pieces[i];
        planned[p->kind] += host_may(w, p) ? p->size : 0;
    }
    for (unsigned k = 0; k < HOST_KINDS; k++) {
        if (planned[k] != w->view->bytes[k]) {
            w->view->wrong = "not all that is planned is mapped";
            return false;
        }
    }
    return true;
}

enum status host_audit_part(const struct host_map *map, hpa_t root, uint32_t cpu, uint32_t vm,
                            struct host_view *view, uint32_t steps) {
    struct host_walk w = {.map = map, .cpu = cpu, .vm = vm, .view = view, .steps = steps};
    struct host_entry cr3 = {.value = root.v, .size = PAGE_SIZE};

    const struct host_piece *p = host_find(&w, root.v, PAGE_SIZE);
    if (p == NULL || p->kind != HOST_CORE || p->rights != HOST_RW) {
        (void)host_refuse(&w, &cr3, "the root is not the core's");
        return STATUS_INVALID;
    }
    if (!host_table(&w, root, 0, ROOT_LEVEL)) {
        return STATUS_INVALID;
    }
    view->through = !w.stopped;
    return !view->through || host_is_all(&w) ? STATUS_OK : STATUS_INVALID;
}

enum status host_audit(const struct host_map *map, hpa_t root, uint32_t cpu, uint32_t vm,
                       struct host_view *view) {
    enum status s = STATUS_OK;

    *view = (struct host_view){.wrong = NULL};
    while (s == STATUS_OK && !view->through) {
        s = host_audit_part(map, root, cpu, vm, view, UINT32_MAX);
    }
    return s;
}
