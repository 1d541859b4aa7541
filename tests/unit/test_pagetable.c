/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables in each format, the pool under them, and guest memory.
 */
#include "hv/lib/phys.h"
#include "hv/mem/gmem.h"
#include "hv/mem/pagetable.h"
#include "hv/plan/plan.h"
#include "test.h"

static const struct pagetable_format *const formats[] = {
    &pagetable_format_ept, &pagetable_format_amd, &pagetable_format_host, &pagetable_format_vtd,
    &pagetable_format_amd_vi};
static struct pool pool;
static struct pagetable npt;

static void start(const struct pagetable_format *format, unsigned max_level, size_t pages) {
    static void *memory;
    free(memory);
    memory = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
    pool_init(&pool, "test", HPA((uintptr_t)memory), pages * PAGE_SIZE);
    CHECK_U64(pagetable_init(&npt, format, &pool, max_level), STATUS_OK);
}

static void check_leaf(uint64_t address, uint64_t hpa, uint64_t size, unsigned access,
                       enum page_type type) {
    const struct pagetable_format *f = npt.format;
    bool for_devices = f == &pagetable_format_vtd || f == &pagetable_format_amd_vi;
    struct pagetable_leaf leaf;
    CHECK_U64(pagetable_lookup(&npt, address, &leaf), STATUS_OK);
    CHECK_U64(leaf.hpa.v + (address - leaf.address), hpa);
    CHECK_U64(leaf.size, size);
    /* Devices execute nothing and choose their caching themselves. */
    CHECK_U64(leaf.access, for_devices ? access & 3 : access);
    CHECK_U64(leaf.type, for_devices ? PAGE_WB : type);
}

TEST(largest_pages_that_fit) {
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        start(formats[f], 3, 64);
        /* 4 KiB before a 2 MiB border, then 1 GiB and some behind it. */
        uint64_t base = GIB - 2 * MIB - PAGE_SIZE, size = GIB + 6 * MIB;
        CHECK_U64(pagetable_map(&npt, base, HPA(base + 4 * GIB), size, 7, PAGE_WB), STATUS_OK);
        check_leaf(base, base + 4 * GIB, PAGE_SIZE, 7, PAGE_WB);
        check_leaf(GIB - MIB, 5 * GIB - MIB, 2 * MIB, 7, PAGE_WB);
        check_leaf(GIB + 5, 5 * GIB + 5, GIB, 7, PAGE_WB);
        check_leaf(2 * GIB + MIB, 6 * GIB + MIB, 2 * MIB, 7, PAGE_WB);
        struct pagetable_leaf leaf;
        CHECK_U64(pagetable_lookup(&npt, base - 1, &leaf), STATUS_NOT_FOUND);
        CHECK_U64(pagetable_lookup(&npt, base + size, &leaf), STATUS_NOT_FOUND);
        CHECK_U64(pagetable_lookup(&npt, UINT64_MAX, &leaf), STATUS_NOT_FOUND);
        CHECK_U64(pagetable_lookup(&npt, PAGETABLE_SPACE + base, &leaf), STATUS_NOT_FOUND);
        CHECK_U64(pagetable_map(&npt, 0, HPA(0), PAGE_SIZE, 7, PAGE_WB), STATUS_OK);
        CHECK_U64(pagetable_lookup(&npt, PAGETABLE_SPACE, &leaf), STATUS_NOT_FOUND);
    }
}

/* A large page wants both its addresses on its border, and all of it mapped. */
TEST(large_pages_want_both_addresses) {
    static const struct {
        uint64_t address, hpa, size, page; /* the page at the begin */
    } cases[] = {
        {2 * MIB, 2 * MIB + PAGE_SIZE, 4 * MIB, PAGE_SIZE},
        {2 * MIB + PAGE_SIZE, 2 * MIB, 4 * MIB, PAGE_SIZE},
        {2 * MIB, 2 * MIB, 2 * MIB - PAGE_SIZE, PAGE_SIZE},
        {2 * MIB, 2 * MIB, 2 * MIB, 2 * MIB},
        {GIB, 2 * MIB, GIB, 2 * MIB},
        {2 * MIB, GIB, GIB, 2 * MIB},
        {GIB, 2 * GIB, GIB - 2 * MIB, 2 * MIB},
        {GIB, 2 * GIB, GIB, GIB},
    };
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            start(formats[f], 3, 16);
            CHECK_U64(
                pagetable_map(&npt, cases[i].address, HPA(cases[i].hpa), cases[i].size, 7, PAGE_WB),
                STATUS_OK);
            check_leaf(cases[i].address, cases[i].hpa, cases[i].page, 7, PAGE_WB);
            uint64_t last = cases[i].size - PAGE_SIZE;
            struct pagetable_leaf leaf;
            CHECK_U64(pagetable_lookup(&npt, cases[i].address + last, &leaf), STATUS_OK);
            CHECK_U64(leaf.hpa.v + (cases[i].address + last - leaf.address), cases[i].hpa + last);
        }
    }
}

TEST(rights_and_types) {
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        start(formats[f], 2, 64);
        uint64_t at = 0;
        for (unsigned type = 0; type < PAGE_TYPES; type++) {
            for (unsigned access = 1; access < 8; access += 2) {
                for (unsigned large = 0; large < 2; large++) {
                    uint64_t size = large ? 2 * MIB : PAGE_SIZE;
                    CHECK_U64(pagetable_map(&npt, at, HPA(at), size, access, (enum page_type)type),
                              STATUS_OK);
                    check_leaf(at, at, size, access, (enum page_type)type);
                    at += 2 * MIB;
                }
            }
        }
    }
}

TEST(bits_the_cpu_reads) {
    start(&pagetable_format_ept, 3, 8);
    CHECK_U64(pagetable_map(&npt, 0, HPA(2 * MIB), 2 * MIB, 7, PAGE_WB), STATUS_OK);
    const uint64_t *pdpt = phys_pointer(HPA(npt.root[0] & ~0xfffull));
    const uint64_t *pd = phys_pointer(HPA(pdpt[0] & ~0xfffull));
    CHECK_U64(npt.root[0] & 0xfff, 7); /* read, write, execute, nothing else */
    CHECK_U64(pd[0], 2 * MIB | 0xf7);  /* large, WB whatever the guest's PAT says, RWX */
    start(&pagetable_format_amd, 3, 8);
    CHECK_U64(pagetable_map(&npt, 0, HPA(2 * MIB), 2 * MIB, 3, PAGE_WB), STATUS_OK);
    pdpt = phys_pointer(HPA(npt.root[0] & ~0xfffull));
    pd = phys_pointer(HPA(pdpt[0] & ~0xfffull));
    CHECK_U64(pd[0],
              BIT(63) | 2 * MIB | 0xe7); /* NX, large, dirty, accessed, user, write, present */
    start(&pagetable_format_host, 3, 8);
    CHECK_U64(pagetable_map(&npt, 0, HPA(2 * MIB), 2 * MIB, 3, PAGE_WB), STATUS_OK);
    pdpt = phys_pointer(HPA(npt.root[0] & ~0xfffull));
    pd = phys_pointer(HPA(pdpt[0] & ~0xfffull));
    CHECK_U64(npt.root[0] & 0xfff, 0x23);       /* accessed, write, present, no user */
    CHECK_U64(pd[0], BIT(63) | 2 * MIB | 0xe3); /* NX, large, dirty, accessed */
}

TEST(bits_a_vtd_unit_reads) {
    start(&pagetable_format_vtd, 3, 8);
    CHECK_U64(pagetable_map(&npt, 0, HPA(2 * MIB), 2 * MIB, 3, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_map(&npt, 2 * MIB, HPA(0), PAGE_SIZE, 1, PAGE_WB), STATUS_OK);
    const uint64_t *third = phys_pointer(HPA(npt.root[0] & ~0xfffull));
    const uint64_t *second = phys_pointer(HPA(third[0] & ~0xfffull));
    const uint64_t *first = phys_pointer(HPA(second[1] & ~0xfffull));
    CHECK_U64(npt.root[0] & 0xfff, 3); /* read, write */
    CHECK_U64(third[0] & 0xfff, 3);
    CHECK_U64(second[0], 2 * MIB | 0x83); /* large, write, read */
    CHECK_U64(first[0], 1);               /* read */
}

TEST(bits_an_amd_vi_unit_reads) {
    const uint64_t address = BITS(12, 51);
    start(&pagetable_format_amd_vi, 3, 8);
    CHECK_U64(pagetable_map(&npt, 0, HPA(2 * MIB), 2 * MIB, 3, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_map(&npt, 2 * MIB, HPA(0), PAGE_SIZE, 1, PAGE_WB), STATUS_OK);
    const uint64_t *third = phys_pointer(HPA(npt.root[0] & address));
    const uint64_t *second = phys_pointer(HPA(third[0] & address));
    const uint64_t *first = phys_pointer(HPA(second[1] & address));
    CHECK_U64(npt.root[0] & ~address, 0x6000000000000601); /* write, read, level 3, present */
    CHECK_U64(third[0] & ~address, 0x6000000000000401);    /* level 2 */
    CHECK_U64(second[1] & ~address, 0x6000000000000201);   /* level 1 */
    CHECK_U64(second[0], 0x7000000000000001 | 2 * MIB);    /* memory: write, read, coherent */
    CHECK_U64(first[0], 0x3000000000000001);               /* read, coherent */
}

TEST(refusals) {
    start(&pagetable_format_ept, 3, 6);
    CHECK_U64(pagetable_map(&npt, 0x1001, HPA(0), PAGE_SIZE, 7, PAGE_WB), STATUS_INVALID);
    CHECK_U64(pagetable_map(&npt, 0, HPA(0x10), PAGE_SIZE, 7, PAGE_WB), STATUS_INVALID);
    CHECK_U64(pagetable_map(&npt, 0, HPA(0), 5, 7, PAGE_WB), STATUS_INVALID);
    CHECK_U64(pagetable_map(&npt, BIT(48), HPA(0), PAGE_SIZE, 7, PAGE_WB), STATUS_INVALID);
    CHECK_U64(pagetable_map(&npt, BIT(48) - PAGE_SIZE, HPA(0), 2 * PAGE_SIZE, 7, PAGE_WB),
              STATUS_INVALID);
    CHECK_U64(pagetable_map(&npt, 0, HPA(0), PAGE_SIZE, PAGE_WRITE, PAGE_WB), STATUS_INVALID);
    CHECK_U64(pagetable_map(&npt, 0, HPA(0), PAGE_SIZE, 7, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_map(&npt, 0, HPA(MIB), PAGE_SIZE, 7, PAGE_WB), STATUS_EXISTS);
    CHECK_U64(pagetable_map(&npt, 0, HPA(0), 2 * MIB, 7, PAGE_WB), STATUS_EXISTS);
    CHECK_U64(pagetable_map(&npt, 4 * MIB, HPA(0), 2 * MIB, 7, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_map(&npt, 4 * MIB, HPA(0), PAGE_SIZE, 7, PAGE_WB), STATUS_EXISTS);
    CHECK_U64(pagetable_map(&npt, 512 * GIB, HPA(0), PAGE_SIZE, 7, PAGE_WB), STATUS_NO_MEMORY);
}

TEST(pool_hands_out_zeroed_aligned_pages) {
    start(&pagetable_format_ept, 1, 16); /* the root took one */
    memset((void *)(uintptr_t)(pool.base.v + PAGE_SIZE), 0xff, 4 * PAGE_SIZE);
    uint8_t *a = pool_alloc(&pool, 1);
    CHECK_U64((uintptr_t)a % PAGE_SIZE, 0);
    CHECK(a[0] == 0 && memcmp(a, a + 1, PAGE_SIZE - 1) == 0);
    uint64_t used = pool.used;
    CHECK(pool_alloc(&pool, 16 * PAGE_SIZE) == NULL);
    struct pool whole;
    pool_init(&whole, "whole", pool.base, 2 * PAGE_SIZE);
    CHECK(pool_alloc(&whole, 2 * PAGE_SIZE) != NULL); /* all there is */
    CHECK(pool_alloc(&whole, 1) == NULL);
    CHECK(pool_alloc(&pool, UINT64_MAX) == NULL);
    CHECK_U64(pool.used, used);
}

/* Against iTLB multihit: no leaf is larger than 4 KiB, and the budget counts every table. */
/* What is closed hands out nothing more; what it has handed out stays counted. */
TEST(a_pool_that_is_closed) {
    start(formats[0], 3, 4);
    CHECK(pool_alloc(&pool, PAGE_SIZE + 1) != NULL);
    CHECK_U64(pool.used, 3 * PAGE_SIZE);
    pool_close(&pool);
    CHECK(pool_alloc(&pool, 1) == NULL);
    CHECK_U64(pool.size, 3 * PAGE_SIZE);
    CHECK_U64(pool.used, 3 * PAGE_SIZE);
}

TEST(small_pages_only) {
    const uint64_t size = 6 * MIB + PAGE_SIZE;
    const uint64_t tables = plan_budget_size(size, 1, true) - plan_budget_size(size, 1, false);
    start(&pagetable_format_ept, 1, 16);
    uint64_t before = pool.used;
    CHECK_U64(pagetable_map(&npt, 0, HPA(16 * MIB), size, 7, PAGE_WB), STATUS_OK);
    for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
        check_leaf(at, 16 * MIB + at, PAGE_SIZE, 7, PAGE_WB);
    }
    CHECK_U64(pool.used - before, tables + 2 * PAGE_SIZE); /* and the two levels above */
}

/* For vCPUs with a virtual xAPIC page: the same tables, and that one page more. */
TEST(a_fork_leaves_the_tables_alone) {
    const uint64_t at = 0xfee00000;
    struct pagetable fork;
    struct pagetable_leaf leaf;
    start(&pagetable_format_ept, 3, 32);
    CHECK_U64(pagetable_map(&npt, 0, HPA(16 * MIB), 4 * MIB, 7, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_fork(&npt, &fork, &pool), STATUS_OK);
    CHECK_U64(pagetable_map(&fork, at, HPA(2 * GIB), PAGE_SIZE, 3, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_map(&fork, at, HPA(2 * GIB), PAGE_SIZE, 3, PAGE_WB), STATUS_EXISTS);
    CHECK_U64(pagetable_map(&fork, 2 * MIB, HPA(0), PAGE_SIZE, 3, PAGE_WB), STATUS_EXISTS);
    CHECK_U64(pagetable_lookup(&fork, at, &leaf), STATUS_OK);
    CHECK_U64(pagetable_lookup(&fork, 2 * MIB, &leaf), STATUS_OK);
    CHECK_U64(pagetable_lookup(&npt, at, &leaf), STATUS_NOT_FOUND);
    CHECK_U64(pagetable_lookup(&npt, 2 * MIB, &leaf), STATUS_OK);
}

/* What the fork copied once is its own, also where its pool is another. */
TEST(a_fork_copies_each_table_once) {
    static uint8_t memory[16 * PAGE_SIZE] ALIGNED(PAGE_SIZE);
    struct pool other;
    struct pagetable fork;
    struct pagetable_leaf leaf;

    start(&pagetable_format_host, 1, 32);
    CHECK_U64(pagetable_map(&npt, 0, HPA(16 * MIB), 4 * MIB, 3, PAGE_WB), STATUS_OK);
    uint64_t before = pool.used;
    pool_init(&other, "other", HPA((uintptr_t)memory), sizeof(memory));
    CHECK_U64(pagetable_fork(&npt, &fork, &other), STATUS_OK);
    CHECK_U64(pagetable_map(&fork, 4 * MIB, HPA(0), 64 * PAGE_SIZE, 3, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_unmap(&fork, 0, PAGE_SIZE), STATUS_OK);
    CHECK_U64(pagetable_protect(&fork, PAGE_SIZE, PAGE_SIZE, 1), STATUS_OK);
    CHECK_U64(pool.used, before);
    CHECK_U64(other.used, 5 * PAGE_SIZE); /* root, two above, one new and one copied of leaves */

    CHECK_U64(pagetable_lookup(&fork, 0, &leaf), STATUS_NOT_FOUND);
    CHECK_U64(pagetable_lookup(&fork, 4 * MIB + 63 * PAGE_SIZE, &leaf), STATUS_OK);
    CHECK_U64(pagetable_lookup(&npt, 4 * MIB, &leaf), STATUS_NOT_FOUND);
    check_leaf(0, 16 * MIB, PAGE_SIZE, 3, PAGE_WB);
    check_leaf(PAGE_SIZE, 16 * MIB + PAGE_SIZE, PAGE_SIZE, 3, PAGE_WB);

    /* Where the fork has no copy it shows what changes in the original. */
    CHECK_U64(pagetable_protect(&npt, 2 * MIB, PAGE_SIZE, 1), STATUS_OK);
    CHECK_U64(pagetable_lookup(&fork, 2 * MIB, &leaf), STATUS_OK);
    CHECK_U64(leaf.access, PAGE_READ);
}

/* Whose tables lie right behind its own are not its own. */
TEST(a_fork_before_the_original) {
    static uint8_t memory[32 * PAGE_SIZE] ALIGNED(PAGE_SIZE);
    struct pool first, second;
    struct pagetable fork;
    struct pagetable_leaf leaf;

    pool_init(&first, "first", HPA((uintptr_t)memory), 16 * PAGE_SIZE);
    pool_init(&second, "second", HPA((uintptr_t)memory + 16 * PAGE_SIZE), 16 * PAGE_SIZE);
    CHECK(pool_alloc(&first, 12 * PAGE_SIZE) != NULL);
    CHECK_U64(pagetable_init(&npt, &pagetable_format_ept, &second, 1), STATUS_OK);
    CHECK_U64(pagetable_map(&npt, 0, HPA(16 * MIB), 2 * PAGE_SIZE, 3, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_fork(&npt, &fork, &first), STATUS_OK);
    CHECK_U64(pagetable_unmap(&fork, 0, PAGE_SIZE), STATUS_OK);
    CHECK_U64(pagetable_lookup(&fork, 0, &leaf), STATUS_NOT_FOUND);
    check_leaf(0, 16 * MIB, PAGE_SIZE, 3, PAGE_WB);
}

/* Two pages out of the middle of a page of 1 GiB: all around stays, in the largest pages. */
TEST(protect_and_unmap_split_large_pages) {
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        uint64_t at = GIB + 6 * MIB + PAGE_SIZE;
        struct pagetable_leaf leaf;
        start(formats[f], 3, 16);
        CHECK_U64(pagetable_map(&npt, GIB, HPA(5 * GIB), GIB, 7, PAGE_UC), STATUS_OK);

        CHECK_U64(pagetable_protect(&npt, at, PAGE_SIZE, PAGE_READ), STATUS_OK);
        CHECK_U64(pagetable_unmap(&npt, at + PAGE_SIZE, PAGE_SIZE), STATUS_OK);
        check_leaf(at, at + 4 * GIB, PAGE_SIZE, 1, PAGE_UC);
        CHECK_U64(pagetable_lookup(&npt, at + PAGE_SIZE, &leaf), STATUS_NOT_FOUND);
        CHECK_U64(leaf.size, PAGE_SIZE);
        check_leaf(at - PAGE_SIZE, at - PAGE_SIZE + 4 * GIB, PAGE_SIZE, 7, PAGE_UC);
        check_leaf(at + 2 * PAGE_SIZE, at + 2 * PAGE_SIZE + 4 * GIB, PAGE_SIZE, 7, PAGE_UC);
        check_leaf(GIB + 4 * MIB, 5 * GIB + 4 * MIB, 2 * MIB, 7, PAGE_UC);
        check_leaf(2 * GIB - 1, 6 * GIB - 1, 2 * MIB, 7, PAGE_UC);

        /* A whole large page needs no splitting, and rights come back. */
        uint64_t used = pool.used;
        CHECK_U64(pagetable_unmap(&npt, GIB + 8 * MIB, 2 * MIB), STATUS_OK);
        CHECK_U64(pagetable_protect(&npt, at, PAGE_SIZE, 7), STATUS_OK);
        CHECK_U64(pool.used, used);
        check_leaf(at, at + 4 * GIB, PAGE_SIZE, 7, PAGE_UC);
        CHECK_U64(pagetable_lookup(&npt, GIB + 8 * MIB, &leaf), STATUS_NOT_FOUND);
    }
}

TEST(changes_that_are_refused) {
    start(&pagetable_format_host, 3, 4); /* the root, two tables, and one page more */
    CHECK_U64(pagetable_map(&npt, 0, HPA(0), 4 * MIB, 3, PAGE_WB), STATUS_OK);
    CHECK_U64(pagetable_unmap(&npt, 1, PAGE_SIZE), STATUS_INVALID);
    CHECK_U64(pagetable_unmap(&npt, BIT(48), PAGE_SIZE), STATUS_INVALID);
    CHECK_U64(pagetable_protect(&npt, 0, 2 * MIB, PAGE_WRITE), STATUS_INVALID);
    CHECK_U64(pagetable_protect(&npt, 0, 2 * MIB, 0), STATUS_INVALID);
    CHECK_U64(pagetable_protect(&npt, 4 * MIB, PAGE_SIZE, PAGE_READ), STATUS_NOT_FOUND);
    CHECK_U64(pagetable_unmap(&npt, 0, PAGE_SIZE), STATUS_OK);
    CHECK_U64(pagetable_unmap(&npt, 0, PAGE_SIZE), STATUS_NOT_FOUND);
    CHECK_U64(pagetable_unmap(&npt, 2 * MIB, PAGE_SIZE), STATUS_NO_MEMORY);
    check_leaf(2 * MIB, 2 * MIB, 2 * MIB, 3, PAGE_WB);
}

TEST(guest_memory_across_regions) {
    static uint8_t a[2 * PAGE_SIZE], b[PAGE_SIZE];
    const struct plan_region regions[] = {{GPA(0), phys_address(a), sizeof(a)},
                                          {GPA(sizeof(a)), phys_address(b), sizeof(b)},
                                          {GPA(GIB), phys_address(b), sizeof(b)}};
    struct gmem mem = {.regions = regions, .region_count = 2};
    hpa_t nowhere;
    uint64_t nothing;

    CHECK_U64(gmem_find(&mem, GPA(GIB), 1, &nowhere, &nothing), STATUS_NOT_FOUND);
    mem.region_count = 3;
    const struct {
        uint64_t gpa, size, part;
        const uint8_t *at; /* NULL: no RAM */
    } cases[] = {
        {0, 8, 8, a},
        {sizeof(a) - 3, 8, 3, a + sizeof(a) - 3},
        {sizeof(a), 8, 8, b},
        {sizeof(a) + sizeof(b) - 1, 8, 1, b + sizeof(b) - 1},
        {sizeof(a) + sizeof(b), 8, 0, NULL},
        {GIB, UINT64_MAX, sizeof(b), b},
        {GIB - 1, 8, 0, NULL},
        {UINT64_MAX - 2, 8, 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        hpa_t at;
        uint64_t part;
        enum status s = gmem_find(&mem, GPA(cases[i].gpa), cases[i].size, &at, &part);
        CHECK_U64(s, cases[i].at != NULL ? STATUS_OK : STATUS_NOT_FOUND);
        if (s == STATUS_OK) {
            CHECK_U64(part, cases[i].part);
            CHECK_U64(at.v, phys_address(cases[i].at).v);
        }
    }
}

TEST_MAIN(T(largest_pages_that_fit), T(large_pages_want_both_addresses), T(rights_and_types),
          T(bits_the_cpu_reads), T(bits_a_vtd_unit_reads), T(bits_an_amd_vi_unit_reads),
          T(refusals), T(pool_hands_out_zeroed_aligned_pages), T(small_pages_only),
          T(a_fork_leaves_the_tables_alone), T(a_fork_copies_each_table_once),
          T(a_fork_before_the_original), T(protect_and_unmap_split_large_pages),
          T(changes_that_are_refused), T(guest_memory_across_regions), T(a_pool_that_is_closed))
