/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of nested tables, fed by the builder: what is planned passes; each bit of each kind of
 * entry, flipped, is found; so is each wrong bit in the builder's own formats, each wrong frame,
 * page and table. What may differ without harm is listed with its reason, in harmless[].
 */
#include "hv/lib/log.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/mem/audit.h"
#include "hv/mem/pagetable.h"
#include "test.h"

#define POOL_PAGES 64
#define APIC_PAGE  0xfee00000ull
#define ADDRESS    BITS(12, 51)
#define LEVELS     4u
#define ALL        (AUDIT_READ | AUDIT_WRITE | AUDIT_EXECUTE)

static const struct pagetable_format *const formats[AUDIT_FORMATS] = {
    [AUDIT_INTEL] = &pagetable_format_ept,
    [AUDIT_AMD] = &pagetable_format_amd,
};

/* Bits that the audit lets be as they are. */
static const struct {
    enum audit_format format;
    bool leaf;
    uint64_t bits;
    const char *why;
} harmless[] = {
    {AUDIT_AMD, false, BIT(5), "accessed: the CPU sets it when it walks through, as it likes"},
};

static struct config_guest names[2] = {{.name = "audited"}, {.name = "other"}};
static struct plan plan;
static struct pool pools[2];
static struct pagetable npt, fork;
static ALIGNED(PAGE_SIZE) uint8_t memory[2 * POOL_PAGES * PAGE_SIZE];
static struct audit audit;
static uint64_t apic_frame;

/* Two VMs; the first has RAM in leaves of each size. Only tables are ever read: RAM is numbers. */
static void make_plan(void) {
    memset(memory, 0, sizeof(memory));
    plan = (struct plan){.vm_count = 2};
    plan.vms[0] = (struct plan_vm){.region_count = 2,
                                   .regions = {{GPA(0), HPA(16 * MIB), 4 * MIB + PAGE_SIZE},
                                               {GPA(4 * GIB), HPA(8 * GIB), 2 * GIB}}};
    plan.vms[1] =
        (struct plan_vm){.region_count = 1, .regions = {{GPA(0), HPA(16 * GIB), 4 * MIB}}};
    for (unsigned i = 0; i < 2; i++) {
        plan.vms[i].config = &names[i];
        plan.vms[i].budget_base = HPA((uintptr_t)memory + i * POOL_PAGES * PAGE_SIZE);
        plan.vms[i].budget_size = POOL_PAGES * PAGE_SIZE;
        pool_init(&pools[i], names[i].name, plan.vms[i].budget_base, plan.vms[i].budget_size);
    }
}

/* A builder with a wrong format may fail by itself. */
static bool built;

static void map(struct pagetable *in, uint64_t gpa, uint64_t hpa, uint64_t size, unsigned access) {
    built &= pagetable_map(in, gpa, HPA(hpa), size, access, PAGE_WB) == STATUS_OK;
}

static void map_ram(struct pagetable *in, const struct plan_vm *vm) {
    for (uint32_t i = 0; i < vm->region_count; i++) {
        const struct plan_region *r = &vm->regions[i];
        map(in, r->gpa.v, r->hpa.v, r->size, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE);
    }
}

static struct audit expected(enum audit_format format) {
    struct audit a = {.plan = &plan, .vm = &plan.vms[0], .format = format, .largest_page = GIB};
    audit_add_ram(&a, ALL);
    return a;
}

/* Tables by this format, and a fork with a page of the budget, that nobody executes. */
static void build(const struct pagetable_format *by, enum audit_format format, unsigned max_level) {
    make_plan();
    built = true;
    CHECK_U64(pagetable_init(&npt, by, &pools[0], max_level), STATUS_OK);
    map_ram(&npt, &plan.vms[0]);
    apic_frame = phys_address(pool_alloc(&pools[0], PAGE_SIZE)).v;
    CHECK_U64(pagetable_fork(&npt, &fork, &pools[0]), STATUS_OK);
    map(&fork, APIC_PAGE, apic_frame, PAGE_SIZE, PAGE_READ | PAGE_WRITE);
    audit = expected(format);
    audit_add_piece(&audit, (struct audit_piece){GPA(APIC_PAGE), HPA(apic_frame), PAGE_SIZE,
                                                 AUDIT_READ | AUDIT_WRITE});
}

/* In parts, each with what is planned said anew. */
static enum status audit_parts(const struct audit *what, const struct pagetable *t, uint32_t steps,
                               unsigned *parts) {
    struct audit_place place = {.gpa = 0};
    enum status s = STATUS_OK;

    for (*parts = 0; s == STATUS_OK && !place.through; ++*parts) {
        struct audit a = *what;
        struct audit_place before = place;
        s = audit_tables_part(&a, phys_address(t->root), &place, steps);
        CHECK(s != STATUS_OK || place.gpa > before.gpa || place.piece > before.piece);
    }
    return s;
}

/* The same verdict, whole and in parts. */
static enum status audit_fork(void) {
    struct audit what = audit;
    unsigned parts;
    enum status s = audit_tables(&audit, phys_address(fork.root));

    CHECK_U64(audit_parts(&what, &fork, 300, &parts), s);
    return s;
}

static enum status audit_plain(enum audit_format format) {
    struct audit a = expected(format);
    return audit_tables(&a, phys_address(npt.root));
}

static uint64_t *entry_of(const struct pagetable *in, uint64_t address, unsigned level) {
    uint64_t *table = in->root;
    for (unsigned at = LEVELS; at > level; at--) {
        table = phys_pointer(HPA(table[address >> (12 + 9 * (at - 1)) & 511] & ADDRESS));
    }
    return &table[address >> (12 + 9 * (level - 1)) & 511];
}

TEST(what_is_planned_passes) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        for (unsigned level = 1; level <= 2; level++) {
            make_plan();
            plan.vms[0].regions[1].size = 4 * MIB; /* 4 KiB pages for 2 GiB would be too many */
            CHECK_U64(pagetable_init(&npt, formats[f], &pools[0], level), STATUS_OK);
            map_ram(&npt, &plan.vms[0]);
            CHECK_U64(audit_plain(f), STATUS_OK);
        }
        build(formats[f], f, 3);
        CHECK_U64(audit_plain(f), STATUS_OK);
        CHECK_U64(audit_fork(), STATUS_OK);
        CHECK_U64(audit_fork(), STATUS_OK); /* and again */
        CHECK_U64(audit_plain(!f), STATUS_INVALID);
    }
}

/* However few steps: the same is found, each entry is looked at, none in vain. */
TEST(parts_of_any_size_come_to_the_end) {
    static const uint32_t sizes[] = {1, 2, 7, 8, 9, 100, 511, 512, 513, 1000, AUDIT_ALL_STEPS};
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            unsigned parts;
            struct audit what = audit;
            CHECK_U64(audit_parts(&what, &fork, sizes[i], &parts), STATUS_OK);
            CHECK(sizes[i] == AUDIT_ALL_STEPS ? parts == 1 : parts > 1);
        }
    }
}

/* In 4 KiB pages, where all entries lie one after the other: so many and a few more. */
TEST(a_part_is_no_longer_than_it_may_be) {
    const uint32_t steps = 200;
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        make_plan();
        plan.vms[0].region_count = 1;
        CHECK_U64(pagetable_init(&npt, formats[f], &pools[0], 1), STATUS_OK);
        map_ram(&npt, &plan.vms[0]);
        struct audit_place place = {.gpa = 0};
        unsigned parts = 0;
        while (place.gpa < 4 * MIB) {
            struct audit a = expected(f);
            uint64_t before = place.gpa;
            CHECK_U64(audit_tables_part(&a, phys_address(npt.root), &place, steps), STATUS_OK);
            CHECK(place.gpa - before <= (steps + 1) * PAGE_SIZE);
            parts++;
        }
        CHECK(parts >= 4 * MIB / PAGE_SIZE / (steps + 1) && parts < 16);
    }
}

/* Before the tables its pieces are judged: each costs a comparison with each one before it. */
TEST(many_pieces_come_in_parts) {
    static const uint32_t seen[] = {9, 15, 20, 24, 28, 31};
    build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
    struct audit many = {.plan = &plan, .vm = &plan.vms[0], .format = AUDIT_INTEL};
    uint8_t *frames = pool_alloc(&pools[0], 32 * PAGE_SIZE);
    for (uint32_t i = 0; i < 32; i++) {
        audit_add_piece(&many, (struct audit_piece){GPA(GIB + i * MIB),
                                                    HPA(phys_address(frames).v + i * PAGE_SIZE),
                                                    PAGE_SIZE, AUDIT_READ});
    }
    struct audit_place place = {.gpa = 0};
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        struct audit a = many;
        CHECK_U64(audit_tables_part(&a, phys_address(npt.root), &place, 100), STATUS_OK);
        CHECK_U64(place.piece, seen[i]);
        CHECK_U64(place.gpa, 0);
    }
}

/* What lies behind the last piece, or the last region, is none. */
TEST(what_is_behind_the_last) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        plan.vms[0].regions[2] = (struct plan_region){GPA(7 * GIB), HPA(20 * GIB), 4 * MIB};
        CHECK_U64(audit_plain(f), STATUS_OK);
        uint64_t frame = phys_address(pool_alloc(&pools[0], PAGE_SIZE)).v;
        map(&npt, 8 * GIB, frame, PAGE_SIZE, PAGE_READ);
        struct audit a = expected(f);
        a.pieces[a.piece_count] =
            (struct audit_piece){GPA(8 * GIB), HPA(frame), PAGE_SIZE, AUDIT_READ};
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);
    }
}

/* What has been wrong from the start, and what goes wrong before the part that comes to it. */
TEST(a_fault_behind_the_first_part) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        struct audit_place place = {.gpa = 0};
        struct audit a = audit;
        CHECK_U64(audit_tables_part(&a, phys_address(fork.root), &place, 100), STATUS_OK);
        CHECK(!place.through && place.gpa > 0 && place.gpa < APIC_PAGE);
        *entry_of(&fork, APIC_PAGE, 1) ^= BIT(1);
        enum status s = STATUS_OK;
        while (s == STATUS_OK && !place.through) {
            a = audit;
            s = audit_tables_part(&a, phys_address(fork.root), &place, 100);
        }
        CHECK_U64(s, STATUS_INVALID);
        CHECK(place.gpa <= APIC_PAGE);
    }
}

/* A table above the place is not believed because it was right a part before. */
TEST(a_table_that_changes_between_two_parts) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        for (unsigned level = 2; level <= 4; level++) {
            build(formats[f], f, 3);
            struct audit_place place = {.gpa = 0};
            struct audit a = audit;
            while (place.gpa <= APIC_PAGE - 2 * PAGE_SIZE) {
                a = audit;
                CHECK_U64(audit_tables_part(&a, phys_address(fork.root), &place, 1), STATUS_OK);
            }
            *entry_of(&fork, APIC_PAGE, level) =
                plan.vms[1].budget_base.v | (*entry_of(&fork, APIC_PAGE, level) & ~ADDRESS);
            a = audit;
            CHECK_U64(audit_tables_part(&a, phys_address(fork.root), &place, 1), STATUS_INVALID);
        }
    }
}

static bool is_harmless(enum audit_format format, bool leaf, unsigned bit) {
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
        if (harmless[i].format == format && harmless[i].leaf == leaf &&
            (harmless[i].bits >> bit & 1) != 0) {
            return true;
        }
    }
    return false;
}

/* One entry of each kind: of tables at each level, of leaves of each size, empty at each level. */
TEST(each_bit_of_each_kind_of_entry) {
    static const struct {
        uint64_t gpa;
        unsigned level;
        bool leaf;
    } kinds[] = {
        {0, 4, false},
        {0, 3, false},
        {4 * MIB, 2, false},
        {APIC_PAGE, 3, false},
        {APIC_PAGE, 2, false},
        {0, 2, true},
        {2 * MIB, 2, true},
        {4 * MIB, 1, true},
        {4 * GIB, 3, true},
        {5 * GIB, 3, true},
        {APIC_PAGE, 1, true},
        {512 * GIB, 4, true}, /* empty ones */
        {BIT(48) - PAGE_SIZE, 4, true},
        {GIB, 3, true},
        {6 * MIB, 2, true},
        {4 * MIB + PAGE_SIZE, 1, true},
        {APIC_PAGE + PAGE_SIZE, 1, true},
    };
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
            uint64_t *entry = entry_of(&fork, kinds[i].gpa, kinds[i].level);
            for (unsigned bit = 0; bit < 64; bit++) {
                bool seen;
                *entry ^= BIT(bit);
                seen = audit_fork() != STATUS_OK;
                *entry ^= BIT(bit);
                if (seen == is_harmless(f, kinds[i].leaf, bit)) {
                    printf("# format %u, kind %zu, bit %u: %s\n", f, i, bit,
                           seen ? "found, listed as harmless" : "not found");
                    test_failures++;
                }
            }
        }
        CHECK_U64(audit_fork(), STATUS_OK);
    }
}

/* Each bit of each word of the builder's format: found wherever the tables come out as others. */
TEST(each_bit_of_the_builders_format) {
    static uint8_t good[sizeof(memory)];
    enum { WORDS = sizeof(struct pagetable_format) / sizeof(uint64_t) };
    unsigned found[AUDIT_FORMATS] = {0};

    for (unsigned n = 0; n < AUDIT_FORMATS * WORDS * 64; n++) {
        enum audit_format f = n / 64 / WORDS;
        unsigned word = n / 64 % WORDS, bit = n % 64;
        union {
            struct pagetable_format format;
            uint64_t words[WORDS];
        } wrong = {*formats[f]};
        wrong.words[word] ^= BIT(bit);
        if ((BIT(bit) & ADDRESS) != 0) {
            continue; /* the builder itself would follow it; wrong frames: below */
        }

        build(formats[f], f, 3);
        memcpy(good, memory, sizeof(good));
        build(&wrong.format, f, 3);
        bool other = !built || memcmp(good, memory, sizeof(good)) != 0;
        bool seen = !built || audit_fork() != STATUS_OK;
        found[f] += seen;
        if (seen != other && !is_harmless(f, false, bit)) {
            printf("# format %u, word %u, bit %u: not found\n", f, word, bit);
            test_failures++;
        }
    }
    CHECK(found[AUDIT_INTEL] > 20 && found[AUDIT_AMD] > 20);
}

/* With all rights that a piece of a root can have. */
TEST(rights) {
    static const unsigned rights[] = {PAGE_READ, PAGE_READ | PAGE_WRITE, PAGE_READ | PAGE_EXECUTE,
                                      PAGE_READ | PAGE_WRITE | PAGE_EXECUTE};
    for (unsigned n = 0; n < AUDIT_FORMATS * ARRAY_SIZE(rights) * ARRAY_SIZE(rights); n++) {
        enum audit_format f = n / ARRAY_SIZE(rights) / ARRAY_SIZE(rights);
        unsigned is = rights[n % ARRAY_SIZE(rights)];
        unsigned planned = rights[n / ARRAY_SIZE(rights) % ARRAY_SIZE(rights)];

        build(formats[f], f, 3);
        uint64_t frame = phys_address(pool_alloc(&pools[0], 4 * PAGE_SIZE)).v;
        map(&npt, GIB, frame, 4 * PAGE_SIZE, is);
        struct audit a = expected(f);
        audit_add_piece(&a, (struct audit_piece){GPA(GIB), HPA(frame), 4 * PAGE_SIZE, planned});
        CHECK_U64(audit_tables(&a, phys_address(npt.root)),
                  is == planned ? STATUS_OK : STATUS_INVALID);
    }
}

/* Whatever the order in which they are added. */
TEST(pieces_in_any_order) {
    static const uint64_t orders[][3] = {{GIB, 2 * GIB, 3 * GIB},
                                         {3 * GIB, 2 * GIB, GIB},
                                         {2 * GIB, 3 * GIB, GIB},
                                         {3 * GIB, GIB, 2 * GIB}};
    for (size_t o = 0; o < ARRAY_SIZE(orders); o++) {
        build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
        struct audit a = {.plan = &plan, .vm = &plan.vms[0], .format = AUDIT_INTEL};
        a.largest_page = GIB;
        CHECK_U64(pagetable_init(&npt, formats[AUDIT_INTEL], &pools[0], 3), STATUS_OK);
        for (unsigned i = 0; i < ARRAY_SIZE(orders[o]); i++) {
            uint64_t frame = phys_address(pool_alloc(&pools[0], PAGE_SIZE)).v, gpa = orders[o][i];
            map(&npt, gpa, frame, PAGE_SIZE, PAGE_READ);
            audit_add_piece(&a, (struct audit_piece){GPA(gpa), HPA(frame), PAGE_SIZE, AUDIT_READ});
        }
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_OK);
    }
}

TEST(wrong_frames) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        const uint64_t frames[] = {0,
                                   16 * GIB,                  /* the other VM's RAM */
                                   plan.vms[1].budget_base.v, /* its tables */
                                   phys_address(npt.root).v,  /* our own */
                                   16 * MIB + PAGE_SIZE,      /* our RAM, in another place */
                                   BIT(51),                   /* nobody's */
                                   apic_frame + PAGE_SIZE};
        for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
            static const uint64_t gpas[] = {4 * MIB, APIC_PAGE};
            for (size_t g = 0; g < ARRAY_SIZE(gpas); g++) {
                uint64_t *entry = entry_of(&fork, gpas[g], 1), good = *entry;
                *entry = (good & ~ADDRESS) | frames[i];
                CHECK_U64(audit_fork(), STATUS_INVALID);
                *entry = good;
            }
        }
        uint64_t *a = entry_of(&fork, 0, 2), *b = entry_of(&fork, 2 * MIB, 2), swap = *a;
        *a = *b;
        CHECK_U64(audit_fork(), STATUS_INVALID); /* twice the same */
        *b = swap;
        CHECK_U64(audit_fork(), STATUS_INVALID); /* each in the other's place */
        *a = swap;
        CHECK_U64(audit_fork(), STATUS_INVALID);
    }
}

TEST(missing_and_extra_pages) {
    static const uint64_t free_gpas[] = {4 * MIB + PAGE_SIZE,   6 * MIB,          3 * GIB,
                                         APIC_PAGE - PAGE_SIZE, 6 * GIB,          512 * GIB,
                                         BIT(48) - PAGE_SIZE,   4 * GIB - 2 * MIB};
    static const uint64_t planned[][2] = {
        {0, 2}, {2 * MIB, 2}, {4 * MIB, 1},   {4 * GIB, 3},   {5 * GIB, 3},  {0, 3},
        {0, 4}, {4 * MIB, 2}, {APIC_PAGE, 1}, {APIC_PAGE, 2}, {APIC_PAGE, 3}};
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        for (size_t i = 0; i < ARRAY_SIZE(free_gpas); i++) {
            build(formats[f], f, 3);
            map(&fork, free_gpas[i], 16 * MIB, PAGE_SIZE, PAGE_READ);
            CHECK_U64(audit_fork(), STATUS_INVALID);
        }
        for (size_t i = 0; i < ARRAY_SIZE(planned); i++) {
            build(formats[f], f, 3);
            *entry_of(&fork, planned[i][0], (unsigned)planned[i][1]) = 0;
            CHECK_U64(audit_fork(), STATUS_INVALID);
        }
        CHECK(built);

        build(formats[f], f, 3); /* a table for nothing, and one for nothing but empty ones */
        struct pagetable empty;
        CHECK_U64(pagetable_init(&empty, formats[f], &pools[0], 3), STATUS_OK);
        *entry_of(&fork, 3 * GIB - PAGE_SIZE, 3) =
            phys_address(empty.root).v | formats[f]->table_bits;
        CHECK_U64(audit_fork(), STATUS_INVALID);
    }
}

/* The pieces beside the RAM are the budget's too, or else two VMs could share them. */
TEST(pieces_are_the_vms_own) {
    static const uint64_t others[] = {16 * GIB, 20 * GIB, 0};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
        map(&npt, GIB, others[i], PAGE_SIZE, PAGE_READ);
        struct audit a = expected(AUDIT_INTEL);
        audit_add_piece(&a, (struct audit_piece){GPA(GIB), HPA(others[i]), PAGE_SIZE, AUDIT_READ});
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);
    }
}

/* What all VMs share: read, executed, and never written. */
TEST(shared_pieces) {
    static const unsigned rights[] = {AUDIT_READ, AUDIT_READ | AUDIT_EXECUTE,
                                      AUDIT_READ | AUDIT_WRITE, ALL};
    static ALIGNED(PAGE_SIZE) uint8_t image[2 * PAGE_SIZE];
    for (unsigned n = 0; n < 2 * ARRAY_SIZE(rights); n++) {
        unsigned access = rights[n / 2];
        uint64_t size = n % 2 != 0 ? 2 * PAGE_SIZE : PAGE_SIZE; /* the second page is not shared */
        build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
        map(&npt, GIB, phys_address(image).v, size, access);
        struct audit a = expected(AUDIT_INTEL);
        a.shared = (struct audit_frames){phys_address(image), PAGE_SIZE};
        audit_add_piece(&a, (struct audit_piece){GPA(GIB), phys_address(image), size, access});
        bool good = (access & AUDIT_WRITE) == 0 && size == PAGE_SIZE;
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), good ? STATUS_OK : STATUS_INVALID);
    }
}

/* One frame at two addresses, one address with two frames. */
TEST(pieces_that_overlap) {
    static const uint64_t second[][2] = {{GIB + 8 * PAGE_SIZE, 0},
                                         {GIB + 8 * PAGE_SIZE, PAGE_SIZE},
                                         {GIB + PAGE_SIZE, 4 * PAGE_SIZE},
                                         {GIB + 2 * PAGE_SIZE, 4 * PAGE_SIZE}};
    for (size_t i = 0; i < ARRAY_SIZE(second); i++) {
        build(formats[AUDIT_AMD], AUDIT_AMD, 3);
        uint64_t frame = phys_address(pool_alloc(&pools[0], 8 * PAGE_SIZE)).v;
        uint64_t gpa = second[i][0], hpa = frame + second[i][1];
        map(&npt, GIB, frame, 2 * PAGE_SIZE, PAGE_READ);
        map(&npt, gpa == GIB + PAGE_SIZE ? GIB + 2 * PAGE_SIZE : gpa, hpa, 2 * PAGE_SIZE,
            PAGE_READ);
        struct audit a = expected(AUDIT_AMD);
        audit_add_piece(&a, (struct audit_piece){GPA(GIB), HPA(frame), 2 * PAGE_SIZE, AUDIT_READ});
        audit_add_piece(&a, (struct audit_piece){GPA(gpa), HPA(hpa), 2 * PAGE_SIZE, AUDIT_READ});
        CHECK_U64(audit_tables(&a, phys_address(npt.root)),
                  i == ARRAY_SIZE(second) - 1 ? STATUS_OK : STATUS_INVALID);
    }
}

/* A table, or the root, where another root of the VM lets somebody write. */
TEST(tables_that_another_root_maps) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        const hpa_t tables[] = {phys_address(fork.root), HPA(*entry_of(&fork, 0, 4) & ADDRESS),
                                HPA(*entry_of(&fork, APIC_PAGE, 2) & ADDRESS)};
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
            audit.other = (struct audit_frames){tables[i], PAGE_SIZE};
            CHECK_U64(audit_fork(), STATUS_INVALID);
        }
        audit.other = (struct audit_frames){phys_address(pool_alloc(&pools[0], 1)), PAGE_SIZE};
        CHECK_U64(audit_fork(), STATUS_OK);
    }
}

TEST(records_are_out_of_reach) {
    build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
    const uint8_t *record = pool_alloc(&pools[0], 3 * PAGE_SIZE);
    hpa_t hpa = phys_address(record);
    CHECK(audit_keeps(&audit, record, 3 * PAGE_SIZE));
    CHECK(!audit_keeps(&audit, memory + POOL_PAGES * PAGE_SIZE, PAGE_SIZE)); /* another VM's */
    CHECK(!audit_keeps(&audit, &audit, sizeof(audit)));
    CHECK(!audit_keeps(&audit, phys_pointer(HPA(apic_frame)), PAGE_SIZE));
    audit.other = (struct audit_frames){HPA(hpa.v + 2 * PAGE_SIZE), PAGE_SIZE};
    CHECK(audit_keeps(&audit, record, 2 * PAGE_SIZE));
    CHECK(!audit_keeps(&audit, record, 3 * PAGE_SIZE));
}

static char said[4096];

static void keep(UNUSED enum log_level level, const char *line, size_t length) {
    strncat(said, line, length < sizeof(said) - strlen(said) ? length : 0);
}
static uint64_t no_time(void) {
    return 0;
}
static unsigned first_cpu(void) {
    return 0;
}

TEST(the_log_says_whose_a_frame_is) {
    static const struct log_hooks hooks = {no_time, first_cpu, keep, NULL};
    static const struct {
        uint64_t hpa;
        const char *text;
    } frames[] = {
        {16 * GIB, "is of the RAM of other"},
        {16 * MIB + PAGE_SIZE, "is of the RAM of audited"},
        {16 * GIB + 4 * MIB, "is no VM's"},
        {0, "is of the budget of other"}, /* filled in below */
    };
    log_init(&hooks, LOG_INFO);
    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
        uint64_t *entry = entry_of(&fork, 4 * MIB, 1);
        uint64_t hpa = frames[i].hpa != 0 ? frames[i].hpa : plan.vms[1].budget_base.v;
        *entry = (*entry & ~ADDRESS) | hpa;
        said[0] = '\0';
        CHECK_U64(audit_fork(), STATUS_INVALID);
        CHECK(strstr(said, frames[i].text) != NULL);
        CHECK(strstr(said, "audited: gpa 0x400000, entry") != NULL);
        CHECK(strstr(said, "at level 1: not the planned frame") != NULL);
    }

    struct pagetable root; /* in another's budget */
    build(formats[AUDIT_INTEL], AUDIT_INTEL, 3);
    CHECK_U64(pagetable_init(&root, formats[AUDIT_INTEL], &pools[1], 3), STATUS_OK);
    said[0] = '\0';
    CHECK_U64(audit_tables(&audit, phys_address(root.root)), STATUS_INVALID);
    CHECK(strstr(said, "audited: its root is at") != NULL);
    CHECK(strstr(said, "is of the budget of other") != NULL);
    log_init(NULL, LOG_ERROR);
}

/* Right in all they map, and in the wrong place: the copy of a table is put instead of it. */
TEST(tables_of_others) {
    static const uint64_t pointers[][2] = {{0, 4}, {0, 3}, {4 * MIB, 2}, {APIC_PAGE, 2}};
    for (unsigned n = 0; n < AUDIT_FORMATS * ARRAY_SIZE(pointers); n++) {
        enum audit_format f = n / ARRAY_SIZE(pointers);
        static ALIGNED(PAGE_SIZE) uint8_t outside[PAGE_SIZE];
        void *places[] = {outside, memory + POOL_PAGES * PAGE_SIZE /* the other VM's */,
                          phys_pointer(HPA(apic_frame)), NULL};
        build(formats[f], f, 3);
        uint64_t *entry = entry_of(&fork, pointers[n % ARRAY_SIZE(pointers)][0],
                                   (unsigned)pointers[n % ARRAY_SIZE(pointers)][1]);
        const void *table = phys_pointer(HPA(*entry & ADDRESS));
        places[3] = pool_alloc(&pools[0], PAGE_SIZE); /* this one is right */
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
            uint64_t good = *entry;
            memcpy(places[i], table, PAGE_SIZE);
            *entry = (good & ~ADDRESS) | phys_address(places[i]).v;
            CHECK_U64(audit_fork(), i == 3 ? STATUS_OK : STATUS_INVALID);
            *entry = good;
        }
    }
}

/* And so with the root itself. */
TEST(roots_of_others) {
    static ALIGNED(PAGE_SIZE) uint8_t outside[2 * PAGE_SIZE];
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        struct pagetable other;
        CHECK_U64(pagetable_init(&other, formats[f], &pools[1], 3), STATUS_OK);
        map_ram(&other, &plan.vms[1]);
        CHECK_U64(audit_tables(&audit, phys_address(other.root)), STATUS_INVALID);
        memcpy(other.root, fork.root, PAGE_SIZE);
        CHECK_U64(audit_tables(&audit, phys_address(other.root)), STATUS_INVALID);
        memcpy(outside, fork.root, PAGE_SIZE);
        CHECK_U64(audit_tables(&audit, phys_address(outside)), STATUS_INVALID);
        memcpy(phys_pointer(HPA(apic_frame)), fork.root, PAGE_SIZE);
        CHECK_U64(audit_tables(&audit, HPA(apic_frame)), STATUS_INVALID);
        CHECK_U64(audit_tables(&audit, HPA(phys_address(fork.root).v + 8)), STATUS_INVALID);
        CHECK_U64(audit_fork(), STATUS_OK);
    }
}

/* A page whose tables say that the guest may write them. */
TEST(a_table_that_the_guest_can_write) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        uint64_t table = *entry_of(&npt, 4 * MIB, 2) & ADDRESS;
        map(&npt, GIB, table, PAGE_SIZE, PAGE_READ | PAGE_WRITE);
        struct audit a = expected(f);
        audit_add_piece(
            &a, (struct audit_piece){GPA(GIB), HPA(table), PAGE_SIZE, AUDIT_READ | AUDIT_WRITE});
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);
    }
}

/* What is a device's is not cached, and memory is; tables may be empty where BARs come later. */
TEST(pages_of_a_device) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        uint64_t frame = phys_address(pool_alloc(&pools[0], PAGE_SIZE)).v;
        CHECK_U64(pagetable_map(&npt, GIB, HPA(frame), PAGE_SIZE, PAGE_READ | PAGE_WRITE, PAGE_UC),
                  STATUS_OK);
        struct audit_piece piece = {GPA(GIB), HPA(frame), PAGE_SIZE,
                                    AUDIT_READ | AUDIT_WRITE | AUDIT_DEVICE};
        struct audit a = expected(f);
        audit_add_piece(&a, piece);
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_OK);
        a = expected(f);
        piece.access = AUDIT_READ | AUDIT_WRITE;
        audit_add_piece(&a, piece);
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);

        CHECK_U64(pagetable_unmap(&npt, GIB, PAGE_SIZE), STATUS_OK);
        CHECK_U64(audit_plain(f), STATUS_INVALID); /* an empty table that nobody wants */
        a = expected(f);
        a.empty[0] = (struct audit_empty){GIB, 2 * MIB, PAGE_SIZE};
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_OK);
        map(&npt, GIB, frame, PAGE_SIZE, PAGE_READ);
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);
    }
}

#define LARGE_BAR (32 * GIB)

static bool is_of_large_bar(UNUSED const void *of, uint64_t hpa, uint64_t size) {
    return range_contains(LARGE_BAR, 2 * GIB, hpa, size);
}

/* Where BARs come later, no page is larger than what its window has tables for, and all of each is
 * the device's. */
TEST(large_pages_of_a_device) {
    const struct {
        uint64_t gpa, hpa, size;
        uint64_t largest[AUDIT_EMPTIES];
        bool good;
    } rows[] = {
        {16 * GIB, LARGE_BAR, 2 * MIB, {PAGE_SIZE, 2 * MIB}, true},
        {16 * GIB, LARGE_BAR, PAGE_SIZE, {PAGE_SIZE, 2 * MIB}, true},
        {17 * GIB - 2 * MIB, LARGE_BAR + 2 * GIB - 2 * MIB, 2 * MIB, {PAGE_SIZE, 2 * MIB}, true},
        {17 * GIB, LARGE_BAR, 2 * MIB, {PAGE_SIZE, 2 * MIB}, false},
        {16 * GIB - 2 * MIB, LARGE_BAR, 2 * MIB, {PAGE_SIZE, 2 * MIB}, false},
        {GIB, LARGE_BAR, 2 * MIB, {PAGE_SIZE, 2 * MIB}, false}, /* in the first window */
        {GIB, LARGE_BAR, 2 * MIB, {2 * MIB, PAGE_SIZE}, true},
        {16 * GIB, LARGE_BAR, 2 * MIB, {2 * MIB, PAGE_SIZE}, false},
        {16 * GIB, LARGE_BAR, GIB, {PAGE_SIZE, 2 * MIB}, false},
        {16 * GIB, LARGE_BAR, GIB, {PAGE_SIZE, GIB}, true},
        {16 * GIB, LARGE_BAR - 2 * MIB, 2 * MIB, {PAGE_SIZE, 2 * MIB}, false},
        {16 * GIB, LARGE_BAR + 2 * GIB, 2 * MIB, {PAGE_SIZE, 2 * MIB}, false},
    };
    for (size_t i = 0; i < AUDIT_FORMATS * ARRAY_SIZE(rows); i++) {
        unsigned f = i % AUDIT_FORMATS, n = (unsigned)(i / AUDIT_FORMATS);
        build(formats[f], f, 3);
        CHECK_U64(pagetable_map(&npt, rows[n].gpa, HPA(rows[n].hpa), rows[n].size,
                                PAGE_READ | PAGE_WRITE, PAGE_UC),
                  STATUS_OK);
        struct audit a = expected(f);
        a.empty[0] = (struct audit_empty){GIB, 2 * MIB, rows[n].largest[0]};
        a.empty[1] = (struct audit_empty){16 * GIB, GIB, rows[n].largest[1]};
        a.is_device = is_of_large_bar;
        CHECK_U64(audit_tables(&a, phys_address(npt.root)),
                  rows[n].good ? STATUS_OK : STATUS_INVALID);
        if (rows[n].size == 2 * MIB) { /* a frame that begins within a large page */
            uint64_t *entry = entry_of(&npt, rows[n].gpa, 2);
            *entry += PAGE_SIZE;
            CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);
        }
    }
}

/* The first of its pieces is one of them; none of no size is. */
TEST(a_record_in_its_first_piece) {
    struct audit a = {.vm = &plan.vms[0]};
    make_plan();
    uint64_t record = plan.vms[0].budget_base.v;
    audit_add_piece(&a, (struct audit_piece){GPA(GIB), HPA(record), 0, AUDIT_READ});
    CHECK_U64(a.piece_count, 0);
    CHECK(audit_keeps(&a, phys_pointer(HPA(record)), PAGE_SIZE));
    audit_add_piece(&a, (struct audit_piece){GPA(GIB), HPA(record), PAGE_SIZE, AUDIT_READ});
    CHECK_U64(a.piece_count, 1);
    CHECK(!audit_keeps(&a, phys_pointer(HPA(record)), PAGE_SIZE));
}

/* Larger than the CPU takes; against iTLB multihit, which needs code in large pages. */
TEST(sizes_of_pages) {
    for (unsigned f = 0; f < AUDIT_FORMATS; f++) {
        build(formats[f], f, 3);
        audit.largest_page = 2 * MIB;
        CHECK_U64(audit_fork(), STATUS_INVALID);
        build(formats[f], f, 3);
        audit.small_code = true;
        CHECK_U64(audit_fork(), STATUS_INVALID);
        for (uint32_t i = 0; i < audit.piece_count; i++) {
            CHECK_U64(audit.pieces[i].access, audit.pieces[i].gpa.v == APIC_PAGE ? 3 : ALL);
        }

        make_plan(); /* one page of 2 MiB among small ones */
        plan.vms[0].region_count = 1;
        CHECK_U64(pagetable_init(&npt, formats[f], &pools[0], 1), STATUS_OK);
        map_ram(&npt, &plan.vms[0]);
        struct audit a = expected(f);
        a.small_code = true;
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_OK);
        *entry_of(&npt, 2 * MIB, 2) = 18 * MIB | (*entry_of(&npt, 2 * MIB, 1) & ~ADDRESS) | BIT(7);
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID);
        a.small_code = false;
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_OK);
        *entry_of(&npt, 4 * MIB, 2) = 20 * MIB | (*entry_of(&npt, 4 * MIB, 1) & ~ADDRESS) | BIT(7);
        CHECK_U64(audit_tables(&a, phys_address(npt.root)), STATUS_INVALID); /* beyond its end */
    }
}

TEST_MAIN(T(what_is_planned_passes), T(parts_of_any_size_come_to_the_end),
          T(a_part_is_no_longer_than_it_may_be), T(a_fault_behind_the_first_part),
          T(a_table_that_changes_between_two_parts), T(each_bit_of_each_kind_of_entry),
          T(each_bit_of_the_builders_format), T(rights), T(pieces_in_any_order), T(wrong_frames),
          T(missing_and_extra_pages), T(pieces_are_the_vms_own), T(shared_pieces),
          T(pieces_that_overlap), T(tables_that_another_root_maps), T(records_are_out_of_reach),
          T(the_log_says_whose_a_frame_is), T(tables_of_others), T(roots_of_others),
          T(a_table_that_the_guest_can_write), T(pages_of_a_device), T(large_pages_of_a_device),
          T(a_record_in_its_first_piece), T(sizes_of_pages), T(many_pieces_come_in_parts),
          T(what_is_behind_the_last))
