/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two fake IOMMUs share: the machine's memory as a unit sees it, what a unit remembers of
 * tables until it is told to forget, and the operations that the drivers are given. A unit believes
 * the driver nothing: an address outside of the memory, a reserved bit, an order that the manual
 * forbids fails the test.
 */
#pragma once

#include "arch/x86_64/iommu/iommu.h"
#include "hv/lib/phys.h"
#include "tests/unit/test.h"

#define FAKE_UNITS    4u
#define FAKE_RAM      (8 * MIB)
#define FAKE_GARBAGE  0xa5 /* in memory that nobody wrote to; its lowest bit is "present" */
#define FAKE_CACHE    4096u
#define FAKE_NO_LIMIT 0xffffffffu
#define FAKE_LAG      3u /* so many reads until something is done */

/* What a unit read: an entry of a device, or of a table. */
struct fake_remembered {
    uint16_t function, domain;
    uint64_t key;
    uint64_t words[2], third;
};

struct fake_cache {
    unsigned count;
    struct fake_remembered all[FAKE_CACHE];
};

enum fake_result { FAKE_DENIED, FAKE_ALLOWED };
struct fake_answer {
    enum fake_result result;
    uint64_t hpa;
};

static ALIGNED(2 * MIB) uint8_t fake_ram[FAKE_RAM];
static uint8_t fake_behind[FAKE_RAM]; /* the same behind the CPU's caches */
static bool fake_incoherent;          /* units read there */
static uint64_t fake_ram_used;
static unsigned fake_allocs, fake_alloc_limit; /* so many succeed */
static unsigned fake_wrongs;

static void fake_wrong(const char *what, uint64_t value) {
    fake_wrongs++;
    test_failures++;
    printf("# a unit: %s: %#llx\n", what, (ull)value);
}

#define FAKE_MUST(e, value)                                                                        \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            fake_wrong(#e, (uint64_t)(value));                                                     \
        }                                                                                          \
    } while (0)

/* ---- memory ---- */

static void fake_ram_start(void) {
    memset(fake_ram, FAKE_GARBAGE, sizeof(fake_ram));
    memset(fake_behind, FAKE_GARBAGE, sizeof(fake_behind));
    fake_incoherent = false;
    fake_ram_used = 0;
    fake_allocs = 0;
    fake_alloc_limit = FAKE_NO_LIMIT;
    fake_wrongs = 0;
}

static void *fake_carve(uint64_t size) {
    void *at = fake_ram + fake_ram_used;
    ASSERT(size % PAGE_SIZE == 0 && size <= FAKE_RAM - fake_ram_used);
    fake_ram_used += size;
    return at;
}

static void *fake_alloc(uint64_t size) {
    fake_allocs++;
    if (fake_allocs > fake_alloc_limit) {
        return NULL;
    }
    void *at = fake_carve(ALIGN_UP(size, PAGE_SIZE));
    memset(at, 0, size);
    return at;
}

static uint64_t fake_offset(uint64_t hpa, uint64_t size) {
    uint64_t offset = hpa - (uintptr_t)fake_ram;
    FAKE_MUST(hpa % sizeof(uint64_t) == 0 || size == sizeof(uint32_t), hpa);
    ASSERT(offset <= FAKE_RAM - size);
    return offset;
}

static uint64_t fake_read_memory(uint64_t hpa) {
    uint64_t value;
    uint64_t offset = fake_offset(hpa, sizeof(value));
    memcpy(&value, (fake_incoherent ? fake_behind : fake_ram) + offset, sizeof(value));
    return value;
}

/* The queues, and what is written to memory, are coherent in each unit. */
static uint64_t fake_read_queue(uint64_t hpa) {
    uint64_t value;
    memcpy(&value, fake_ram + fake_offset(hpa, sizeof(value)), sizeof(value));
    return value;
}

static void fake_write_memory(uint64_t hpa, uint64_t value, uint64_t size) {
    memcpy(fake_ram + fake_offset(hpa, size), &value, size);
}

static void fake_write_back(const void *from, uint64_t size) {
    uint64_t offset = (uint64_t)((const uint8_t *)from - fake_ram);
    ASSERT(offset <= FAKE_RAM && size <= FAKE_RAM - offset);
    memcpy(fake_behind + offset, from, size);
}

/* ---- what is remembered ---- */

static const struct fake_remembered *fake_recall(const struct fake_cache *cache, uint16_t function,
                                                 uint16_t domain, uint64_t key) {
    for (unsigned i = 0; i < cache->count; i++) {
        const struct fake_remembered *r = &cache->all[i];
        if (r->function == function && r->domain == domain && r->key == key) {
            return r;
        }
    }
    return NULL;
}

static void fake_remember(struct fake_cache *cache, struct fake_remembered what) {
    ASSERT(cache->count < FAKE_CACHE);
    cache->all[cache->count] = what;
    cache->count++;
}

/* -1 = of any. */
static void fake_forget(struct fake_cache *cache, int function, int domain) {
    unsigned kept = 0;
    for (unsigned i = 0; i < cache->count; i++) {
        const struct fake_remembered *r = &cache->all[i];
        bool goes =
            (function < 0 || r->function == function) && (domain < 0 || r->domain == domain);
        if (!goes) {
            cache->all[kept] = *r;
            kept++;
        }
    }
    cache->count = kept;
}

static UNUSED void fake_forget_key(struct fake_cache *cache, uint64_t key) {
    unsigned kept = 0;
    for (unsigned i = 0; i < cache->count; i++) {
        if (cache->all[i].key != key) {
            cache->all[kept] = cache->all[i];
            kept++;
        }
    }
    cache->count = kept;
}

/* An entry of a table, as it was when it was last read. Holes are not remembered. */
static uint64_t fake_entry(struct fake_cache *cache, uint16_t domain, uint64_t table,
                           uint64_t address, unsigned level) {
    unsigned shift = 12 + 9 * (level - 1);
    uint64_t key = (address >> shift) << 3 | level;
    const struct fake_remembered *r = fake_recall(cache, 0, domain, key);
    if (r != NULL) {
        return r->words[0];
    }
    uint64_t entry = fake_read_memory(table + (address >> shift & 511) * sizeof(uint64_t));
    if ((entry & 1) != 0) {
        struct fake_remembered seen = {.domain = domain, .key = key, .words = {entry}};
        fake_remember(cache, seen);
    }
    return entry;
}
