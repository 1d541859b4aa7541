/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the raw tables of a VM in ascending order and holds each entry against what the plan wants
 * at its address. Must not use the builder's code, constants or records.
 *
 * No list of tables is needed to see that none is used twice: each has to map something planned,
 * and no frame is planned at two addresses.
 * Sources: Intel SDM vol. 3 "EPT Translation Mechanism"; AMD APM vol. 2 "Nested Paging",
 * "Long-Mode Page Translation".
 */
#include "hv/mem/audit.h"

#include "hv/lib/log.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"

#define TABLE_ENTRIES 512u
#define INDEX_BITS    9u /* of an address, a level */
#define ROOT_LEVEL    4u
#define LARGEST_LEVEL 3u      /* that can have leaves: of 1 GiB */
#define GUEST_SPACE   BIT(48) /* what four levels reach */
#define ENTRY_LARGE   BIT(7)
#define ENTRY_ADDRESS BITS(12, 51)
#define ENTRY_STEPS   8u /* of one that is looked at by itself */
#define PIECE_STEPS   8u
#define ANY_ACCESS    8u /* combinations of the rights of enum audit_access */

#define EPT_READ       BIT(0)
#define EPT_WRITE      BIT(1)
#define EPT_EXECUTE    BIT(2)
#define EPT_WRITE_BACK (6u * BIT(3))
#define EPT_IGNORE_PAT BIT(6) /* or else the guest's PAT could make its RAM uncached */

#define AMD_PRESENT  BIT(0)
#define AMD_WRITE    BIT(1)
#define AMD_USER     BIT(2) /* the CPU reads nested tables as a user does */
#define AMD_PWT      BIT(3)
#define AMD_PCD      BIT(4)
#define AMD_ACCESSED BIT(5)
#define AMD_DIRTY    BIT(6)
#define AMD_NX       BIT(63)

/* All bits of an entry but the address. What is not named here has to be 0, ignored bits too: a
 * later CPU may not ignore them. */
static const struct audit_layout {
    uint64_t table;              /* in an entry that leads to a table */
    uint64_t table_by_cpu;       /* in such an entry: the CPU sets it when it likes */
    uint64_t leaf;               /* in a leaf, whatever its rights */
    uint64_t device;             /* the same, of a device */
    uint64_t rights[ANY_ACCESS]; /* in a leaf, by enum audit_access without DEVICE */
} audit_layouts[AUDIT_FORMATS] = {
    /* Write-back is the type 6, uncached 0. Accessed and dirty bits are off in the EPT pointer. */
    [AUDIT_INTEL] =
        {
            .table = EPT_READ | EPT_WRITE | EPT_EXECUTE,
            .leaf = EPT_READ | EPT_WRITE_BACK | EPT_IGNORE_PAT,
            .device = EPT_READ | EPT_IGNORE_PAT,
            .rights =
                {
                    [AUDIT_READ] = 0,
                    [AUDIT_READ | AUDIT_WRITE] = EPT_WRITE,
                    [AUDIT_READ | AUDIT_EXECUTE] = EPT_EXECUTE,
                    [AUDIT_READ | AUDIT_WRITE | AUDIT_EXECUTE] = EPT_WRITE | EPT_EXECUTE,
                },
        },
    /* Write-back is entry 0 of the PAT: PWT, PCD and PAT are 0; uncached is entry 3. Accessed and
     * dirty are set from the start, so that no CPU writes to the leaves. */
    [AUDIT_AMD] =
        {
            .table = AMD_PRESENT | AMD_WRITE | AMD_USER,
            .table_by_cpu = AMD_ACCESSED,
            .leaf = AMD_PRESENT | AMD_USER | AMD_ACCESSED | AMD_DIRTY,
            .device = AMD_PRESENT | AMD_USER | AMD_ACCESSED | AMD_DIRTY | AMD_PWT | AMD_PCD,
            .rights =
                {
                    [AUDIT_READ] = AMD_NX,
                    [AUDIT_READ | AUDIT_WRITE] = AMD_WRITE | AMD_NX,
                    [AUDIT_READ | AUDIT_WRITE | AUDIT_EXECUTE] = AMD_WRITE,
                },
        },
};

/* An entry, and where it is: it stands for [gpa, gpa + size). */
struct audit_entry {
    uint64_t value, gpa, size;
    unsigned level; /* 4: in the root, 1: in the last table */
};

static bool audit_table(struct audit *a, hpa_t table, uint64_t gpa, unsigned level);

void audit_add_piece(struct audit *a, struct audit_piece piece) {
    uint32_t at = a->piece_count;

    if (piece.size == 0) {
        return;
    }
    ASSERT(at < AUDIT_MAX_PIECES && (piece.access & AUDIT_READ) != 0);
    ASSERT(range_contains(0, GUEST_SPACE, piece.gpa.v, piece.size));

    for (; at > 0 && a->pieces[at - 1].gpa.v > piece.gpa.v; at--) {
        a->pieces[at] = a->pieces[at - 1];
    }
    a->pieces[at] = piece;
    a->piece_count++;
}

void audit_add_ram(struct audit *a, unsigned access) {
    for (uint32_t i = 0; i < a->vm->region_count; i++) {
        const struct plan_region *r = &a->vm->regions[i];
        audit_add_piece(a, (struct audit_piece){
                               .gpa = r->gpa, .hpa = r->hpa, .size = r->size, .access = access});
    }
}

void audit_add_windows(struct audit *a) {
    for (uint32_t i = 0; i < a->vm->window_count; i++) {
        const struct plan_window *w = &a->vm->windows[i];
        bool device = w->kind == PLAN_DEVICE;
        bool writes = w->kind == PLAN_STORE || w->kind == PLAN_OURS || device;
        unsigned access = writes ? AUDIT_READ | AUDIT_WRITE : (unsigned)AUDIT_READ;
        access |= device ? (unsigned)AUDIT_DEVICE : 0;
        audit_add_piece(a, (struct audit_piece){
                               .gpa = w->gpa, .hpa = w->hpa, .size = w->size, .access = access});
    }
}

void audit_add_pmems(struct audit *a) {
    for (uint32_t i = 0; i < a->vm->window_count; i++) {
        const struct plan_window *w = &a->vm->windows[i];
        struct audit_piece piece = {w->gpa, w->hpa, w->size, AUDIT_READ | AUDIT_EXECUTE};
        if (w->kind == PLAN_PMEM) {
            audit_add_piece(a, piece);
        }
    }
}

static bool audit_is_ram_of(const struct plan_vm *vm, uint64_t hpa) {
    for (uint32_t i = 0; i < vm->region_count; i++) {
        if (range_contains(vm->regions[i].hpa.v, vm->regions[i].size, hpa, PAGE_SIZE)) {
            return true;
        }
    }
    return false;
}

static bool audit_is_budget_of(const struct plan_vm *vm, uint64_t hpa, uint64_t size) {
    return range_contains(vm->budget_base.v, vm->budget_size, hpa, size);
}

/* Whose the frame is that an entry leads to. */
static void audit_log_owner(const struct audit *a, uint64_t hpa) {
    uint32_t count = a->plan != NULL ? a->plan->vm_count : 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct plan_vm *vm = &a->plan->vms[i];
        bool ram = audit_is_ram_of(vm, hpa);

        if (ram || audit_is_budget_of(vm, hpa, PAGE_SIZE)) {
            log_error("audit: hpa %#llx is of the %s of %s" MSG(5001), (ull)hpa,
                      ram ? "RAM" : "budget", vm->config->name);
            return;
        }
    }
    log_error("audit: hpa %#llx is no%s VM's" MSG(5002), (ull)hpa, a->plan != NULL ? "" : "t this");
}

static bool audit_refuse(const struct audit *a, const struct audit_entry *e, const char *why) {
    log_error("audit: %s: gpa %#llx, entry %#llx at level %u: %s" MSG(5003), a->vm->config->name,
              (ull)e->gpa, (ull)e->value, e->level, why);
    audit_log_owner(a, e->value & ENTRY_ADDRESS);
    return false;
}

/* The first piece that ends after gpa, which never goes back within a walk. NULL if none does. */
static const struct audit_piece *audit_next_piece(struct audit *a, uint64_t gpa) {
    for (; a->next < a->piece_count; a->next++) {
        const struct audit_piece *p = &a->pieces[a->next];
        if (p->gpa.v + p->size > gpa) {
            return p;
        }
    }
    return NULL;
}

/* False if none are left. */
static bool audit_spend(struct audit *a, uint32_t steps) {
    a->steps -= (uint32_t)min_u64(steps, a->steps);
    return a->steps != 0;
}

static uint64_t audit_leaf_bits(const struct audit *a, unsigned access, unsigned level) {
    const struct audit_layout *layout = &audit_layouts[a->format];
    uint64_t bits = (access & AUDIT_DEVICE) != 0 ? layout->device : layout->leaf;
    uint64_t large = level > 1 ? ENTRY_LARGE : 0;

    return bits | layout->rights[access % ANY_ACCESS] | large;
}

/* Where nothing has to be. */
static bool audit_device(const struct audit *a, const struct audit_entry *e) {
    unsigned access = AUDIT_READ | AUDIT_WRITE | AUDIT_DEVICE;

    uint64_t hpa = e->value & ENTRY_ADDRESS;

    if (a->is_device == NULL || hpa % e->size != 0 || !a->is_device(a->of, hpa, e->size)) {
        return audit_refuse(a, e, "not empty, and no page of a device of this guest's");
    }
    return (e->value & ~ENTRY_ADDRESS) == audit_leaf_bits(a, access, e->level) ||
           audit_refuse(a, e, "not the bits of a device's page");
}

static bool audit_leaf(const struct audit *a, const struct audit_entry *e,
                       const struct audit_piece *p) {
    uint64_t frame = p->hpa.v + (e->gpa - p->gpa.v);
    uint64_t bits = audit_leaf_bits(a, p->access, e->level);

    if (!range_contains(p->gpa.v, p->size, e->gpa, e->size)) {
        return audit_refuse(a, e, "a page that is larger than what is planned there");
    }
    if (e->size > a->largest_page) {
        return audit_refuse(a, e, "a page that is larger than this CPU takes");
    }
    if (a->small_code && (p->access & AUDIT_EXECUTE) != 0 && e->size > PAGE_SIZE) {
        return audit_refuse(a, e, "an executable page that is larger than 4 KiB");
    }
    if ((e->value & ~ENTRY_ADDRESS) != bits) {
        return audit_refuse(a, e, "not the bits of such a page");
    }
    return (e->value & ENTRY_ADDRESS) == frame || audit_refuse(a, e, "not the planned frame");
}

/* A table that a guest could write would be no wall. */
static bool audit_is_mapped(const struct audit *a, uint64_t hpa, uint64_t size) {
    for (uint32_t i = 0; i < a->piece_count; i++) {
        if (range_overlaps(a->pieces[i].hpa.v, a->pieces[i].size, hpa, size)) {
            return true;
        }
    }
    return range_overlaps(a->other.base.v, a->other.size, hpa, size);
}

bool audit_keeps(const struct audit *a, const void *record, uint64_t size) {
    uint64_t hpa = phys_address(record).v;

    if (!audit_is_budget_of(a->vm, hpa, size)) {
        log_error("audit: %s: a record at %#llx is not of its budget" MSG(5004),
                  a->vm->config->name, (ull)hpa);
        return false;
    }
    if (audit_is_mapped(a, hpa, size)) {
        log_error("audit: %s: the guest can reach its record at %#llx" MSG(5005),
                  a->vm->config->name, (ull)hpa);
        return false;
    }
    return true;
}

static bool audit_pointer(struct audit *a, const struct audit_entry *e) {
    const struct audit_layout *layout = &audit_layouts[a->format];
    uint64_t table = e->value & ENTRY_ADDRESS;

    if ((e->value & ~(ENTRY_ADDRESS | layout->table_by_cpu)) != layout->table) {
        return audit_refuse(a, e, "not the bits of an entry that leads to a table");
    }
    if (!audit_is_budget_of(a->vm, table, PAGE_SIZE)) {
        return audit_refuse(a, e, "a table outside the VM's budget");
    }
    if (audit_is_mapped(a, table, PAGE_SIZE)) {
        return audit_refuse(a, e, "a table that the guest can reach");
    }
    (void)audit_spend(a, a->piece_count);
    return audit_table(a, HPA(table), e->gpa, e->level - 1);
}

/* Where nothing has to be, but may. A page counts where it is no larger than those there. */
static bool audit_is_empty(const struct audit *a, const struct audit_entry *e, bool page) {
    for (unsigned i = 0; i < AUDIT_EMPTIES; i++) {
        const struct audit_empty *empty = &a->empty[i];
        bool here = range_overlaps(empty->base, empty->size, e->gpa, e->size);
        if (here && (!page || e->size <= empty->largest)) {
            return true;
        }
    }
    return false;
}

static bool audit_entry(struct audit *a, const struct audit_entry *e) {
    const struct audit_piece *p = audit_next_piece(a, e->gpa);
    bool planned = p != NULL && range_overlaps(p->gpa.v, p->size, e->gpa, e->size);
    bool large = (e->value & ENTRY_LARGE) != 0 && e->level <= LARGEST_LEVEL;

    (void)audit_spend(a, ENTRY_STEPS);
    if (e->value == 0) {
        return !planned || audit_refuse(a, e, "nothing is mapped where something is planned");
    }
    if (!planned && !audit_is_empty(a, e, large || e->level == 1)) {
        return audit_refuse(a, e, "not empty, and nothing is planned there");
    }
    if (e->level > 1 && !large) {
        return audit_pointer(a, e);
    }
    return planned ? audit_leaf(a, e, p) : audit_device(a, e);
}

/* What a row of entries has to be, one after the other: empty, or the leaves of one piece. */
struct audit_row {
    uint64_t value, step; /* of the first one; from one to the next */
    uint64_t count;
};

static struct audit_row audit_row_at(struct audit *a, uint64_t gpa, uint64_t size, unsigned level) {
    const struct audit_piece *p = audit_next_piece(a, gpa);

    if (p == NULL) {
        return (struct audit_row){.count = TABLE_ENTRIES};
    }
    if (p->gpa.v > gpa) {
        return (struct audit_row){.count = (p->gpa.v - gpa) / size};
    }
    bool small = a->small_code && (p->access & AUDIT_EXECUTE) != 0;
    if (level > LARGEST_LEVEL || size > (small ? PAGE_SIZE : a->largest_page)) {
        return (struct audit_row){.count = 0};
    }
    uint64_t frame = p->hpa.v + (gpa - p->gpa.v);
    return (struct audit_row){.value = frame | audit_leaf_bits(a, p->access, level),
                              .step = size,
                              .count = (p->gpa.v + p->size - gpa) / size};
}

/* How many of the entries from first on are as audit_entry() would find them right: most are, and
 * this takes a tenth of the time. It looks at the next one. */
static uint64_t audit_row(struct audit *a, const uint64_t *entries, uint64_t first, uint64_t gpa,
                          unsigned level) {
    uint64_t size = PAGE_SIZE << (INDEX_BITS * (level - 1));
    struct audit_row row = audit_row_at(a, gpa, size, level);
    uint64_t left = min_u64(TABLE_ENTRIES - first, a->steps);
    uint64_t count = 0;

    row.count = min_u64(row.count, left);
    while (count < row.count && entries[first + count] == row.value) {
        row.value += row.step;
        count++;
    }
    (void)audit_spend(a, (uint32_t)count);
    return count;
}

/* audit_entry() comes back here for the table below: never deeper than there are levels. False:
 * refused. Without steps it ends where it is, which the place tells. */
static bool audit_table(struct audit *a, hpa_t table, uint64_t gpa, unsigned level) {
    const uint64_t *entries = phys_pointer(table);
    uint64_t size = PAGE_SIZE << (INDEX_BITS * (level - 1));
    uint64_t first = (max_u64(a->place->gpa, gpa) - gpa) / size;

    for (uint64_t i = first; i < TABLE_ENTRIES;) {
        uint64_t at = gpa + i * size;
        uint64_t row = at >= a->place->gpa ? audit_row(a, entries, i, at, level) : 0;

        if (row == 0) {
            struct audit_entry e = {entries[i], at, size, level};
            if (!audit_entry(a, &e)) {
                return false;
            }
            if (a->stopped) {
                return true;
            }
            row = 1;
        }
        i += row;
        a->place->gpa = gpa + i * size;
        a->stopped = a->steps == 0 && i < TABLE_ENTRIES;
        if (a->stopped) {
            return true;
        }
    }
    return true;
}

static bool audit_is_region(const struct plan_vm *vm, const struct audit_piece *p) {
    for (uint32_t i = 0; i < vm->region_count; i++) {
        const struct plan_region *r = &vm->regions[i];
        if (r->gpa.v == p->gpa.v && r->hpa.v == p->hpa.v && r->size == p->size) {
            return true;
        }
    }
    return false;
}

/* Nobody writes an image; of a channel each VM writes the half that is its own. */
static bool audit_is_window(const struct plan_vm *vm, const struct audit_piece *p) {
    for (uint32_t i = 0; i < vm->window_count; i++) {
        const struct plan_window *w = &vm->windows[i];
        bool device = w->kind == PLAN_DEVICE;
        bool writable = w->kind == PLAN_STORE || w->kind == PLAN_OURS || device;
        if (w->gpa.v == p->gpa.v && w->hpa.v == p->hpa.v && w->size == p->size) {
            return device == ((p->access & AUDIT_DEVICE) != 0) &&
                   (writable || (p->access & AUDIT_WRITE) == 0);
        }
    }
    return false;
}

/* Who owns what is in the plan, which plan_check() has checked; the frames of the pieces beside it
 * have to be the VM's own, too, or shared by all and written by none. */
static bool audit_owns_piece(const struct audit *a, const struct audit_piece *p) {
    const struct audit_frames *shared = &a->shared;
    bool is_shared = (p->access & AUDIT_WRITE) == 0 &&
                     range_contains(shared->base.v, shared->size, p->hpa.v, p->size);

    if (is_shared || audit_is_budget_of(a->vm, p->hpa.v, p->size) || audit_is_region(a->vm, p) ||
        audit_is_window(a->vm, p)) {
        return true;
    }
    log_error("audit: %s: gpa %#llx has frames that are not the VM's" MSG(5006),
              a->vm->config->name, (ull)p->gpa.v);
    audit_log_owner(a, p->hpa.v);
    return false;
}

/* At no address two, and no frame at two. */
static bool audit_overlap(const struct audit_piece *p, const struct audit_piece *q) {
    return range_overlaps(p->gpa.v, p->size, q->gpa.v, q->size) ||
           range_overlaps(p->hpa.v, p->size, q->hpa.v, q->size);
}

/* And those before it, with which it may not overlap. */
static bool audit_piece(const struct audit *a, uint32_t number) {
    const struct audit_piece *p = &a->pieces[number];

    if (!audit_owns_piece(a, p)) {
        return false;
    }
    for (uint32_t i = 0; i < number; i++) {
        if (audit_overlap(p, &a->pieces[i])) {
            log_error("audit: %s: gpa %#llx and %#llx overlap" MSG(5007), a->vm->config->name,
                      (ull)p->gpa.v, (ull)a->pieces[i].gpa.v);
            return false;
        }
    }
    return true;
}

static bool audit_pieces(struct audit *a) {
    while (a->steps != 0 && a->place->piece < a->piece_count) {
        if (!audit_piece(a, a->place->piece)) {
            return false;
        }
        (void)audit_spend(a, PIECE_STEPS + a->place->piece);
        a->place->piece++;
    }
    return true;
}

enum status audit_tables_part(struct audit *a, hpa_t root, struct audit_place *place,
                              uint32_t steps) {
    a->place = place;
    a->steps = steps;
    if (!audit_pieces(a)) {
        return STATUS_INVALID;
    }
    if (a->steps == 0) {
        return STATUS_OK;
    }
    if (root.v % PAGE_SIZE != 0 || !audit_is_budget_of(a->vm, root.v, PAGE_SIZE) ||
        audit_is_mapped(a, root.v, PAGE_SIZE)) {
        log_error("audit: %s: its root is at %#llx" MSG(5008), a->vm->config->name, (ull)root.v);
        audit_log_owner(a, root.v);
        return STATUS_INVALID;
    }

    a->next = 0;
    a->stopped = false;
    if (!audit_table(a, root, 0, ROOT_LEVEL)) {
        return STATUS_INVALID;
    }
    place->through = !a->stopped;
    return STATUS_OK;
}

enum status audit_tables(struct audit *a, hpa_t root) {
    struct audit_place place = {.gpa = 0};
    enum status s = STATUS_OK;

    while (s == STATUS_OK && !place.through) {
        s = audit_tables_part(a, root, &place, AUDIT_ALL_STEPS);
    }
    return s;
}
