/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of what devices can reach: tables as the drivers make them pass, and each single bit
 * that is another one is found, also where a unit ignores it, for none is there by plan.
 */
#include "tests/unit/iommu_kinds.h"

#define RW ((unsigned)PAGE_READ | (unsigned)PAGE_WRITE)
#define RO ((unsigned)PAGE_READ)

#define FIRST  0x0010u
#define SECOND 0x0118u
#define NOBODY 0x0011u /* on the bus of the first */
#define LONELY 0x0200u /* on a bus with nobody */

static const struct iommu_piece plan[] = {
    {FIRST, 0x5000, HPA(0x5000), PAGE_SIZE, RW},      {FIRST, 0x10000, HPA(0x10000), PAGE_SIZE, RO},
    {SECOND, 0x5000, HPA(0x9000), 2 * PAGE_SIZE, RW}, {FIRST, 4 * MIB, HPA(8 * MIB), 4 * MIB, RW},
    {FIRST, 8 * MIB, HPA(16 * MIB), 2 * MIB, RO},     {FIRST, 2 * GIB, HPA(5 * GIB), GIB, RW},
};

static struct iommu_finding finding;
static struct pool own;

static enum status audit(void) {
    return iommu_audit(&iommu, &own, plan, ARRAY_SIZE(plan), &finding);
}

/* The domain of what is planned for a function. */
static void allow(unsigned slot, uint16_t function) {
    struct iommu_domain *domain = world_domain(slot, (uint16_t)(slot + 1), NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(plan); i++) {
        if (plan[i].function == function) {
            CHECK_U64(iommu_map(&iommu, domain, &plan[i]), STATUS_OK);
        }
    }
    CHECK_U64(iommu_allow(&iommu, function, domain), STATUS_OK);
}

/* In the order in which the hypervisor goes: tables, audit, start. narrow: 39 bits. */
static void tables(const struct kind *k, bool narrow) {
    world_reset(k);
    own = (struct pool){"own", phys_address(fake_ram), FAKE_RAM, FAKE_RAM};
    fake_vtds[0].cap &= narrow ? ~BIT(10) : ~0ull;
    world_add(0, false);
    world_add(1, true);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    allow(0, FIRST);
    allow(1, SECOND);
}

/* Three ways: VT-d of 48 and of 39 bits, AMD-Vi. */
#define WAYS 3u
static void tables_of_way(unsigned way) {
    tables(way == 2 ? &amd_vi : &vtd, way == 1);
}

static void expect_found(const uint64_t *word, unsigned bit, const char *what) {
    bool refused = audit() == STATUS_INVALID && finding.wrong != NULL;
    if (!refused) {
        test_failures++;
        printf("# %s: %s: bit %u of %#llx is not found\n", kind->driver->name, what, bit,
               (ull)*word);
    }
}

/* Of a device's entry: VT-d 2 words, AMD-Vi 4. */
static uint64_t *entry_in(void *devices, uint16_t function, unsigned *words) {
    uint64_t *table = devices;
    if (kind == &amd_vi) {
        *words = 4;
        return table + 4 * function;
    }
    *words = 2;
    uint64_t *contexts = phys_pointer(HPA(table[2 * (function >> 8)] & BITS(12, 51)));
    return contexts != NULL ? contexts + 2 * (function & 0xff) : NULL;
}

static uint64_t *entry_of(uint16_t function) {
    unsigned words;
    return entry_in(iommu.devices, function, &words);
}

/* Another number of a domain, that nobody has, does as well: units only tell by it which of the
 * translations they remember are whose. */
static bool free_numbers;
/* An empty table of interrupts is as good as another one: which is whose is not planned. */
static bool free_tables;

static bool is_empty_page(uint64_t hpa) {
    uint64_t offset = (hpa & BITS(12, 51)) - (uintptr_t)fake_ram;
    for (uint64_t i = 0; offset < FAKE_RAM && i < PAGE_SIZE; i++) {
        if (fake_ram[offset + i] != 0) {
            return false;
        }
    }
    return offset < FAKE_RAM;
}

static bool is_free_number(const uint64_t *word, unsigned bit) {
    unsigned lowest = kind == &amd_vi ? 0 : 8;
    uint64_t now = (*word ^ 1ull << bit) >> lowest & 0xffff;
    bool of_numbers = free_numbers && (word == entry_of(FIRST) + 1 || word == entry_of(SECOND) + 1);
    return of_numbers && bit >= lowest && bit < lowest + 9 && now > 2 && now < 512;
}

/* All bits of a word, one at a time. */
static void flip(uint64_t *word, const char *what) {
    uint64_t was = *word;
    for (unsigned bit = 0; bit < 64; bit++) {
        if (is_free_number(word, bit) ||
            (free_tables && bit >= 12 && bit < 52 && is_empty_page(was ^ 1ull << bit))) {
            continue;
        }
        *word = was ^ 1ull << bit;
        expect_found(word, bit, what);
        *word = was;
    }
}

/* ---- what passes ---- */

TEST(a_good_set_passes) {
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        CHECK_U64(audit(), STATUS_OK);
        CHECK(finding.wrong == NULL);
        world_start();
        CHECK_U64(audit(), STATUS_OK);
    }
}

TEST(nobody_at_all_passes) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world(kinds[i]);
        CHECK_U64(iommu_audit(&iommu, &own, NULL, 0, &finding), STATUS_OK);
    }
}

TEST(one_that_was_denied_again) {
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        CHECK_U64(iommu_deny(&iommu, FIRST, 1), STATUS_OK);
        CHECK_U64(audit(), STATUS_INVALID);
        CHECK_U64(finding.function, FIRST);
        CHECK_STR(finding.wrong, "it is denied what it is to reach");
        allow(2, FIRST);
        CHECK_U64(audit(), STATUS_OK);
    }
}

/* ---- each bit ---- */

TEST(a_bit_of_a_devices_entry) {
    static const uint16_t functions[] = {FIRST, SECOND, NOBODY};
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        for (size_t f = 0; f < ARRAY_SIZE(functions); f++) {
            unsigned words;
            uint64_t *entry = entry_in(iommu.devices, functions[f], &words);
            free_numbers = functions[f] != NOBODY;
            for (unsigned w = 0; w < words; w++) {
                flip(&entry[w], "a device's entry");
            }
            free_numbers = false;
        }
        CHECK_U64(audit(), STATUS_OK);
    }
}

/* Also where nobody is. */
TEST(a_bit_of_a_buss_entry) {
    for (unsigned way = 0; way < 2; way++) {
        tables_of_way(way);
        uint64_t *root = iommu.devices;
        for (unsigned bus = 0; bus < 3; bus++) {
            flip(&root[2 * bus], "a bus's entry");
            flip(&root[2 * bus + 1], "the other half of a bus's entry");
        }
        CHECK_U64(audit(), STATUS_OK);
    }
}

TEST(a_bit_of_a_table) {
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        unsigned used = 0;
        for (unsigned d = 0; d < 2; d++) {
            uint64_t *words = phys_pointer(pools[d].base);
            /* With 39 bits, the first table is the builder's alone. */
            unsigned from = way == 1 ? 512 : 0;
            for (uint64_t w = from; w < pools[d].used / sizeof(*words); w++) {
                if (words[w] != 0) {
                    flip(&words[w], "a table");
                    used++;
                }
            }
        }
        CHECK(used >= (way == 1 ? 12 : 14));
        CHECK_U64(audit(), STATUS_OK);
    }
}

TEST(a_bit_of_an_empty_entry) {
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        unsigned from = way == 1 ? 512 : 0;
        uint64_t *words = phys_pointer(pools[0].base);
        for (uint64_t w = from + 511; w < pools[0].used / sizeof(*words); w += 512) {
            CHECK_U64(words[w], 0);
            flip(&words[w], "an empty entry of a table");
        }
        CHECK_U64(audit(), STATUS_OK);
    }
}

TEST(a_bit_for_another_segment) {
    tables(&amd_vi, false);
    for (unsigned w = 0; w < 4; w++) {
        flip((uint64_t *)iommu.elsewhere + 4 * FIRST + w, "an entry of another segment");
    }
    CHECK_U64(audit(), STATUS_OK);
    for (unsigned way = 0; way < 2; way++) {
        tables_of_way(way);
        uint64_t *root = iommu.elsewhere;
        root[0] = ((uint64_t *)iommu.devices)[0];
        expect_found(&root[0], 0, "a bus of another segment");
        root[0] = 0;
        flip(&root[1], "a bus of another segment");
        CHECK_U64(audit(), STATUS_OK);
    }
}

/* ---- what is well formed, and wrong ---- */

static void expect_wrong(uint16_t function, const char *wrong) {
    CHECK_U64(audit(), STATUS_INVALID);
    CHECK_U64(finding.function, function);
    CHECK_STR(finding.wrong != NULL ? finding.wrong : "", wrong);
}

TEST(the_entry_of_another) {
    for (unsigned way = 0; way < WAYS; way++) {
        const char *const not_planned = "it is not to reach anything";
        unsigned words;
        tables_of_way(way);
        uint64_t *first = entry_in(iommu.devices, FIRST, &words);
        memcpy(entry_of(NOBODY), first, words * sizeof(*first));
        expect_wrong(NOBODY, not_planned);

        tables_of_way(way);
        memcpy(entry_of(SECOND), first, words * sizeof(*first));
        expect_wrong(SECOND, "a domain's number that is not its own");

        tables_of_way(way);
        uint64_t number = entry_of(SECOND)[1];
        memcpy(entry_of(SECOND), first, words * sizeof(*first));
        entry_of(SECOND)[1] = number;
        expect_wrong(SECOND, "not the planned frame");
    }
}

TEST(a_number_twice) {
    const char *const wrong = "a domain's number that is not its own";
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        entry_of(SECOND)[1] = entry_of(FIRST)[1];
        expect_wrong(SECOND, wrong);
        tables_of_way(way);
        uint64_t one = kind == &amd_vi ? 1 : BIT(8);
        entry_of(FIRST)[1] -= one; /* 0 */
        expect_wrong(FIRST, wrong);
        entry_of(FIRST)[1] += 512 * one;
        expect_wrong(FIRST, wrong);
    }
}

/* The first leaf of the smallest pages, and the table that it is in. */
static uint64_t *leaf_of(unsigned slot, uint64_t hpa) {
    uint64_t *words = phys_pointer(pools[slot].base);
    for (uint64_t w = 0; w < pools[slot].used / sizeof(*words); w++) {
        if (words[w] != 0 && (words[w] & BITS(12, 51)) == hpa) {
            return &words[w];
        }
    }
    return NULL;
}

TEST(pages) {
    static const struct {
        uint64_t hpa, size;
    } leaves[] = {{0x5000, PAGE_SIZE}, {0x10000, PAGE_SIZE}, {10 * MIB, 2 * MIB}, {5 * GIB, GIB}};
    for (unsigned way = 0; way < WAYS; way++) {
        for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
            tables_of_way(way);
            uint64_t *leaf = leaf_of(0, leaves[i].hpa);
            uint64_t was = *leaf;
            *leaf = was + leaves[i].size;
            expect_wrong(FIRST, "not the planned frame");
            *leaf = was - PAGE_SIZE;
            expect_wrong(FIRST, "not the planned frame");
            *leaf = 0;
            expect_wrong(FIRST, "it does not reach all it is to");
            *leaf = was;
            /* The next one, where it was not planned. */
            if (leaf[2] == 0) {
                leaf[2] = was + 2 * leaves[i].size;
                expect_wrong(FIRST, "it reaches what it is not to reach");
                leaf[2] = 0;
            }
            CHECK_U64(audit(), STATUS_OK);
        }
    }
}

TEST(a_plan_of_more_or_less) {
    for (unsigned way = 0; way < WAYS; way++) {
        struct iommu_piece other[ARRAY_SIZE(plan)];
        tables_of_way(way);
        CHECK_U64(iommu_audit(&iommu, &own, plan, 2, &finding), STATUS_INVALID);
        CHECK_U64(iommu_audit(&iommu, &own, plan, ARRAY_SIZE(plan) - 1, &finding), STATUS_INVALID);
        CHECK_U64(finding.function, FIRST);
        memcpy(other, plan, sizeof(plan));
        other[1].access = RW;
        CHECK_U64(iommu_audit(&iommu, &own, other, ARRAY_SIZE(plan), &finding), STATUS_INVALID);
        CHECK_STR(finding.wrong, "not the bits of such a page");
        other[1].access = RO;
        other[2].size += PAGE_SIZE;
        CHECK_U64(iommu_audit(&iommu, &own, other, ARRAY_SIZE(plan), &finding), STATUS_INVALID);
        CHECK_U64(finding.function, SECOND);
        other[2] = (struct iommu_piece){LONELY, 0, HPA(0), PAGE_SIZE, RW};
        CHECK_U64(iommu_audit(&iommu, &own, other, ARRAY_SIZE(plan), &finding), STATUS_INVALID);
    }
}

/* The tables of a domain alone, before anybody is let into it. */
TEST(a_domain_by_itself) {
    for (unsigned way = 0; way < WAYS; way++) {
        static ALIGNED(PAGE_SIZE) uint8_t memory[16 * PAGE_SIZE];
        tables_of_way(way);
        own = (struct pool){"own", phys_address(memory), sizeof(memory), 0};
        struct iommu_domain domain = {.number = 9};
        struct iommu_piece ram[] = {{0, 0, HPA(0x40000000), 2 * MIB, RW},
                                    {0, 4 * GIB, HPA(0x50000000), PAGE_SIZE, RW}};
        CHECK_U64(iommu_make_domain(&iommu, &domain, &own), STATUS_OK);
        for (size_t i = 0; i < ARRAY_SIZE(ram); i++) {
            CHECK_U64(iommu_map(&iommu, &domain, &ram[i]), STATUS_OK);
        }
        CHECK_U64(iommu_audit_domain(&iommu, &own, &domain, ram, 2, &finding), STATUS_OK);
        CHECK_U64(iommu_audit_domain(&iommu, &own, &domain, ram, 1, &finding), STATUS_INVALID);
        CHECK_STR(finding.wrong, "it reaches what it is not to reach");
        ram[1].size = 2 * PAGE_SIZE;
        CHECK_U64(iommu_audit_domain(&iommu, &own, &domain, ram, 2, &finding), STATUS_INVALID);
        CHECK_STR(finding.wrong, "it does not reach all it is to");
        ram[1].size = PAGE_SIZE;
        ram[0].hpa = HPA(0x41000000);
        CHECK_U64(iommu_audit_domain(&iommu, &own, &domain, ram, 2, &finding), STATUS_INVALID);
        CHECK_STR(finding.wrong, "not the planned frame");
        struct pool elsewhere = {"elsewhere", HPA(0x1000), PAGE_SIZE, PAGE_SIZE};
        ram[0].hpa = HPA(0x40000000);
        CHECK_U64(iommu_audit_domain(&iommu, &elsewhere, &domain, ram, 2, &finding),
                  STATUS_INVALID);
    }
}

/* A table that leads to itself ends at the last level. */
TEST(a_table_in_a_circle) {
    for (unsigned way = 0; way < WAYS; way++) {
        tables_of_way(way);
        uint64_t *root = phys_pointer(HPA(entry_of(FIRST)[0] & BITS(12, 51)));
        root[0] = (root[0] & ~BITS(12, 51)) | phys_address(root).v;
        CHECK_U64(audit(), STATUS_INVALID);
        CHECK_U64(finding.function, FIRST);
    }
}

/* Functions that may raise interrupts, and those of which the firmware's table wants more. */
TEST(interrupts_of_amd_vi) {
    static const struct boot_dma_setting settings[] = {{FIRST, FIRST, 0x37},
                                                       {NOBODY, SECOND, 0xc4}};
    static const uint16_t functions[] = {FIRST, NOBODY, SECOND, LONELY};
    world_reset(&amd_vi);
    own = (struct pool){"own", phys_address(fake_ram), FAKE_RAM, FAKE_RAM};
    iommu.settings = settings;
    iommu.setting_count = ARRAY_SIZE(settings);
    world_add(0, false);
    world_add(1, true);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    CHECK_U64(iommu_add_source(&iommu, NOBODY), STATUS_OK);
    CHECK_U64(iommu_add_source(&iommu, LONELY), STATUS_OK);
    allow(0, FIRST);
    allow(1, SECOND);
    CHECK_U64(entry_of(FIRST)[2], BIT(0) | 7ull << 56);
    CHECK_U64(entry_of(FIRST)[1], 1 | BIT(40) | BIT(41));
    CHECK_U64(audit(), STATUS_OK);
    for (size_t f = 0; f < ARRAY_SIZE(functions); f++) {
        free_tables = functions[f] == NOBODY || functions[f] == LONELY;
        flip(&entry_of(functions[f])[2], "what is said of interrupts");
        free_tables = false;
    }
    uint64_t *table = phys_pointer(HPA(entry_of(LONELY)[2] & BITS(12, 51)));
    flip(&table[0], "a table of interrupts");
    flip(&table[511], "a table of interrupts");
    CHECK_U64(audit(), STATUS_OK);
    world_start();
    CHECK_U64(fake_amd_vi_access(&fake_amd_vis[0], LONELY, 0, true).result, FAKE_DENIED);
    CHECK_U64(fake_wrongs, 0);
}

TEST_MAIN(T(a_good_set_passes), T(nobody_at_all_passes), T(one_that_was_denied_again),
          T(a_bit_of_a_devices_entry), T(a_bit_of_a_buss_entry), T(a_bit_of_a_table),
          T(a_bit_of_an_empty_entry), T(a_bit_for_another_segment), T(the_entry_of_another),
          T(a_number_twice), T(pages), T(a_plan_of_more_or_less), T(a_domain_by_itself),
          T(a_table_in_a_circle), T(interrupts_of_amd_vi))
