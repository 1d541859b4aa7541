/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both drivers, each with its fake units, for tests that hold for either.
 */
#pragma once

#include "tests/unit/fake_amd_vi.h"
#include "tests/unit/fake_vtd.h"

#define DOMAINS      4u
#define DOMAIN_PAGES 64u

struct kind {
    const struct iommu_driver *driver;
    const struct iommu_ops *ops;
    uint64_t size; /* of a unit's registers */
    void (*start)(void);
    void *(*unit)(unsigned n);
    void (*firmware)(unsigned n); /* leaves it on */
    void (*stick)(unsigned n);    /* carries no command out any more */
    unsigned (*commands)(unsigned n);
    unsigned *(*reads)(unsigned n);
    struct fake_answer (*access)(unsigned n, uint16_t function, uint64_t address, bool write);
};

static void *vtd_unit(unsigned n) {
    return &fake_vtds[n];
}

static void vtd_firmware(unsigned n) {
    fake_vtd_firmware(&fake_vtds[n]);
}

static void vtd_stick(unsigned n) {
    fake_vtds[n].queue_stuck = true;
}

static unsigned vtd_commands(unsigned n) {
    return fake_vtds[n].commands;
}

static unsigned *vtd_reads(unsigned n) {
    return &fake_vtds[n].reads;
}

static struct fake_answer vtd_access(unsigned n, uint16_t function, uint64_t address, bool write) {
    return fake_vtd_access(&fake_vtds[n], function, address, write);
}

static void *amd_vi_unit(unsigned n) {
    return &fake_amd_vis[n];
}

static void amd_vi_firmware(unsigned n) {
    fake_amd_vi_firmware(&fake_amd_vis[n]);
}

static void amd_vi_stick(unsigned n) {
    fake_amd_vis[n].queue_stuck = true;
}

static unsigned amd_vi_commands(unsigned n) {
    return fake_amd_vis[n].commands;
}

static unsigned *amd_vi_reads(unsigned n) {
    return &fake_amd_vis[n].reads;
}

static struct fake_answer amd_vi_access(unsigned n, uint16_t function, uint64_t address,
                                        bool write) {
    return fake_amd_vi_access(&fake_amd_vis[n], function, address, write);
}

static UNUSED const struct kind vtd = {
    .driver = &vtd_driver,
    .ops = &fake_vtd_ops,
    .size = FAKE_VTD_SIZE,
    .start = fake_vtd_start,
    .unit = vtd_unit,
    .firmware = vtd_firmware,
    .stick = vtd_stick,
    .commands = vtd_commands,
    .reads = vtd_reads,
    .access = vtd_access,
};

static UNUSED const struct kind amd_vi = {
    .driver = &amd_vi_driver,
    .ops = &fake_amd_vi_ops,
    .size = FAKE_AMD_VI_SIZE,
    .start = fake_amd_vi_start,
    .unit = amd_vi_unit,
    .firmware = amd_vi_firmware,
    .stick = amd_vi_stick,
    .commands = amd_vi_commands,
    .reads = amd_vi_reads,
    .access = amd_vi_access,
};

static UNUSED const struct kind *const kinds[] = {&vtd, &amd_vi};

/* ---- the machine of a test ---- */

static struct iommu iommu;
static const struct kind *kind; /* that the test is at */
static struct iommu_domain domains[DOMAINS];
static struct pool pools[DOMAINS];

static void world_reset(const struct kind *k) {
    kind = k;
    k->start();
    iommu_init(&iommu, k->driver, k->ops);
    memset(domains, 0, sizeof(domains));
}

static UNUSED void world_add(unsigned n, bool elsewhere) {
    const char *why = NULL;
    struct iommu_unit unit = {.machine = kind->unit(n), .size = kind->size, .elsewhere = elsewhere};
    CHECK_U64(iommu_add(&iommu, unit, &why), STATUS_OK);
}

static UNUSED void world_start(void) {
    iommu_start(&iommu);
    for (unsigned i = 0; i < iommu.unit_count; i++) {
        CHECK(iommu.units[i].on);
    }
}

/* One unit, at work. */
static UNUSED void world(const struct kind *k) {
    world_reset(k);
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
}

/* A domain of that number, which maps these pieces; their function is not looked at. */
static UNUSED struct iommu_domain *world_domain(unsigned slot, uint16_t number,
                                                const struct iommu_piece *pieces, unsigned count) {
    struct iommu_domain *domain = &domains[slot];
    void *base = fake_carve(DOMAIN_PAGES * PAGE_SIZE);

    pool_init(&pools[slot], "domain", phys_address(base), DOMAIN_PAGES * PAGE_SIZE);
    domain->number = number;
    CHECK_U64(iommu_make_domain(&iommu, domain, &pools[slot]), STATUS_OK);
    for (unsigned i = 0; i < count; i++) {
        CHECK_U64(iommu_map(&iommu, domain, &pieces[i]), STATUS_OK);
    }
    return domain;
}
