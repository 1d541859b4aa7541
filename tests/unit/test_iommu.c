/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOMMUs, both drivers against units that remember, lag and refuse: who reaches what, before and
 * after each change, what is told of the rest, and what becomes of units that do not do as they
 * are told.
 */
#include "tests/unit/iommu_kinds.h"

#define RW ((unsigned)PAGE_READ | (unsigned)PAGE_WRITE)
#define RO ((unsigned)PAGE_READ)

/* A long wait has an end: so many reads of registers at most. */
#define READS_AT_MOST (4 * IOMMU_PATIENCE)

static const uint16_t functions[] = {0x0000, 0x0001, 0x00ff, 0x1234, 0xffff};

static void expect_allowed(unsigned unit, uint16_t function, uint64_t address, bool write,
                           uint64_t hpa) {
    struct fake_answer a = kind->access(unit, function, address, write);
    CHECK_U64(a.result, FAKE_ALLOWED);
    CHECK_U64(a.hpa, hpa);
}

static void expect_no_fault(void) {
    struct iommu_fault fault;
    CHECK(!iommu_next_fault(&iommu, &fault));
}

/* It is held back, and that is told once. */
static void expect_denied(unsigned unit, uint16_t function, uint64_t address, bool write) {
    struct iommu_fault fault = {0};

    CHECK_U64(kind->access(unit, function, address, write).result, FAKE_DENIED);
    CHECK(iommu_next_fault(&iommu, &fault));
    CHECK_U64(fault.function, function);
    CHECK_U64(fault.address, ALIGN_DOWN(address, PAGE_SIZE));
    CHECK_U64(fault.write, write);
    CHECK(fault.why != NULL && strcmp(fault.why, "another reason") != 0);
    expect_no_fault();
}

static void expect_piece(unsigned unit, uint16_t function, const struct iommu_piece *p) {
    uint64_t last = p->size - 1;
    bool writes = (p->access & PAGE_WRITE) != 0;

    expect_allowed(unit, function, p->address, false, p->hpa.v);
    expect_allowed(unit, function, p->address + last, false, p->hpa.v + last);
    expect_allowed(unit, function, p->address + p->size / 2, false, p->hpa.v + p->size / 2);
    expect_denied(unit, function, p->address - 1, false);
    expect_denied(unit, function, p->address + p->size, true);
    if (writes) {
        expect_allowed(unit, function, p->address, true, p->hpa.v);
        expect_allowed(unit, function, p->address + last, true, p->hpa.v + last);
    } else {
        expect_denied(unit, function, p->address, true);
        expect_denied(unit, function, p->address + last, true);
    }
}

static void expect_nothing(unsigned unit) {
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        expect_denied(unit, functions[i], 0, false);
        expect_denied(unit, functions[i], 0x12345678, true);
        expect_denied(unit, functions[i], PAGETABLE_SPACE - 1, true);
    }
    CHECK_U64(fake_wrongs, 0);
}

/* ---- all is denied ---- */

TEST(start_denies_all) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world_reset(kinds[i]);
        CHECK_U64(kind->access(0, 0, 0x5000, true).result, FAKE_ALLOWED);
        world_add(0, false);
        CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
        CHECK_U64(kind->access(0, 0, 0x5000, true).result, FAKE_ALLOWED);
        world_start();
        expect_nothing(0);
    }
}

/* What it let through, and remembers, is over; what it reported is not told as ours. */
TEST(a_firmware_that_left_it_on) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world_reset(kinds[i]);
        kind->firmware(0);
        CHECK_U64(kind->access(0, 0, 0x5000, true).result, FAKE_ALLOWED);
        CHECK_U64(kind->access(0, 0, 0x40000800, true).result, FAKE_ALLOWED);
        world_add(0, false);
        CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
        world_start();
        expect_no_fault();
        expect_nothing(0);
        expect_denied(0, 0, 0x5000, true);
        expect_denied(0, 0, 0x40000800, true);
    }
}

/* The pointer's mode may not change while it translates: the unit would have to be off first. */
TEST(a_firmware_that_left_it_on_in_another_mode) {
    world_reset(&vtd);
    kind->firmware(0);
    fake_vtds[0].rtaddr |= BIT(10);
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
    expect_nothing(0);
}

TEST(protected_memory_is_given_back_last) {
    const struct iommu_piece piece = {0, 0x40000000, HPA(0x80000000), PAGE_SIZE, RW};
    world_reset(&vtd);
    kind->firmware(0);
    fake_vtds[0].pmen = BIT32(31) | BIT32(0);
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    CHECK_U64(iommu_allow(&iommu, 0, world_domain(0, 1, &piece, 1)), STATUS_OK);
    world_start();
    CHECK_U64(fake_vtds[0].pmen, 0);
    expect_piece(0, 0, &piece);
    CHECK_U64(fake_wrongs, 0);
}

/* ---- what is allowed ---- */

static const struct iommu_piece some_pieces[] = {
    {0, 0x5000, HPA(0x7000), PAGE_SIZE, RW},
    {0, 0x10000, HPA(0x123456000), 3 * PAGE_SIZE, RO},
    {0, 2 * MIB, HPA(6 * MIB), 2 * MIB + PAGE_SIZE, RW},
    {0, 8 * MIB, HPA(64 * MIB), 4 * MIB, RO},
    {0, 2 * GIB, HPA(5 * GIB), GIB, RW},
    {0, 511 * GIB, HPA(0xfffff000), 2 * PAGE_SIZE, RW},
};

static void expect_some_pieces(unsigned unit, uint16_t function) {
    for (size_t i = 0; i < ARRAY_SIZE(some_pieces); i++) {
        expect_piece(unit, function, &some_pieces[i]);
    }
    CHECK_U64(fake_wrongs, 0);
}

TEST(exactly_the_pieces) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (unsigned early = 0; early < 2; early++) {
            world_reset(kinds[i]);
            world_add(0, false);
            CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
            if (early == 0) {
                world_start();
                expect_nothing(0);
            }
            struct iommu_domain *d = world_domain(0, 1, some_pieces, ARRAY_SIZE(some_pieces));
            CHECK_U64(iommu_allow(&iommu, 0x1234, d), STATUS_OK);
            if (early != 0) {
                world_start();
            }
            expect_some_pieces(0, 0x1234);
            expect_denied(0, 0x1235, 0x5000, false);
            expect_denied(0, 0x0034, 0x5000, false);
            CHECK_U64(iommu_deny(&iommu, 0x1234, 1), STATUS_OK);
            expect_nothing(0);
        }
    }
}

TEST(two_devices) {
    const struct iommu_piece first = {0, 0x5000, HPA(0x7000), PAGE_SIZE, RW};
    const struct iommu_piece second = {0, 0x5000, HPA(0x9000), 2 * PAGE_SIZE, RW};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world(kinds[i]);
        CHECK_U64(iommu_allow(&iommu, 0x10, world_domain(0, 1, &first, 1)), STATUS_OK);
        CHECK_U64(iommu_allow(&iommu, 0x11, world_domain(1, 2, &second, 1)), STATUS_OK);
        expect_piece(0, 0x10, &first);
        expect_piece(0, 0x11, &second);
        CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_OK);
        expect_denied(0, 0x10, 0x5000, false);
        expect_piece(0, 0x11, &second);
        expect_nothing(0);
    }
}

/* The unit knew the old one by heart. */
TEST(another_domain_in_its_place) {
    const struct iommu_piece first = {0, 0x5000, HPA(0x7000), 2 * PAGE_SIZE, RW};
    const struct iommu_piece second = {0, 0x5000, HPA(0x9000), PAGE_SIZE, RO};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (uint16_t number = 1; number < 3; number++) {
            world(kinds[i]);
            CHECK_U64(iommu_allow(&iommu, 0x10, world_domain(0, 1, &first, 1)), STATUS_OK);
            expect_piece(0, 0x10, &first);
            CHECK_U64(iommu_allow(&iommu, 0x10, world_domain(1, number, &second, 1)), STATUS_OK);
            expect_piece(0, 0x10, &second);
            expect_denied(0, 0x10, 0x6000, false);
            CHECK_U64(fake_wrongs, 0);
        }
    }
}

/* A number that a device had goes to another device. */
TEST(a_number_that_was_in_use) {
    const struct iommu_piece first = {0, 0x5000, HPA(0x7000), 2 * PAGE_SIZE, RW};
    const struct iommu_piece second = {0, 0x5000, HPA(0x9000), PAGE_SIZE, RO};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world(kinds[i]);
        CHECK_U64(iommu_allow(&iommu, 0x10, world_domain(0, 1, &first, 1)), STATUS_OK);
        expect_piece(0, 0x10, &first);
        CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_OK);
        CHECK_U64(iommu_allow(&iommu, 0x11, world_domain(1, 1, &second, 1)), STATUS_OK);
        expect_piece(0, 0x11, &second);
        expect_denied(0, 0x11, 0x6000, false);
        expect_denied(0, 0x10, 0x5000, false);
        CHECK_U64(fake_wrongs, 0);
    }
}

TEST(nothing_is_forgotten_in_a_long_time) {
    const struct iommu_piece piece = {0, 0x5000, HPA(0x7000), PAGE_SIZE, RW};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world(kinds[i]);
        struct iommu_domain *d = world_domain(0, 1, &piece, 1);
        for (unsigned round = 0; round < 300; round++) { /* the queue goes round */
            CHECK_U64(iommu_allow(&iommu, 0x10, d), STATUS_OK);
            expect_allowed(0, 0x10, 0x5000, true, 0x7000);
            CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_OK);
            expect_denied(0, 0x10, 0x5000, true);
        }
        CHECK_U64(fake_wrongs, 0);
    }
}

/* A device that was never allowed anything needs no table to be denied. */
TEST(denied_without_memory) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world(kinds[i]);
        fake_alloc_limit = 0;
        CHECK_U64(iommu_deny(&iommu, 0x4242, 1), STATUS_OK);
        expect_nothing(0);
    }
}

/* ---- units that can less ---- */

TEST(of_39_bits) {
    const struct iommu_piece far = {0, 512 * GIB, HPA(0), PAGE_SIZE, RW};
    world_reset(&vtd);
    fake_vtds[1].cap &= ~BIT(10); /* one of two is enough */
    world_add(0, false);
    world_add(1, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
    struct iommu_domain *d = world_domain(0, 1, some_pieces, ARRAY_SIZE(some_pieces));
    CHECK_U64(iommu_map(&iommu, d, &far), STATUS_INVALID);
    CHECK_U64(iommu_allow(&iommu, 0x1234, d), STATUS_OK);
    expect_some_pieces(0, 0x1234);
    expect_some_pieces(1, 0x1234);
    /* Its tables of the third level are not there. */
    CHECK_U64(iommu_allow(&iommu, 0x1234, world_domain(1, 2, NULL, 0)), STATUS_OK);
    expect_nothing(0);
    expect_nothing(1);
}

TEST(of_48_bits) {
    const struct iommu_piece far = {0, 512 * GIB, HPA(0), PAGE_SIZE, RW};
    const struct iommu_piece beyond = {0, PAGETABLE_SPACE, HPA(0), PAGE_SIZE, RW};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world(kinds[i]);
        struct iommu_domain *d = world_domain(0, 1, &far, 1);
        CHECK_U64(iommu_map(&iommu, d, &beyond), STATUS_INVALID);
        CHECK_U64(iommu_allow(&iommu, 0x1234, d), STATUS_OK);
        expect_piece(0, 0x1234, &far);
        CHECK_U64(iommu_allow(&iommu, 0x1234, world_domain(1, 2, NULL, 0)), STATUS_OK);
        expect_nothing(0);
    }
}

TEST(of_small_pages) {
    const struct iommu_piece pieces[] = {{0, 2 * MIB, HPA(6 * MIB), 4 * MIB, RW},
                                         {0, 1 * GIB, HPA(5 * GIB), GIB, RW}};
    for (unsigned with_2m = 0; with_2m < 2; with_2m++) {
        world_reset(&vtd);
        fake_vtds[0].cap &= ~(BIT(35) | (with_2m != 0 ? 0 : BIT(34)));
        world_add(0, false);
        world_add(1, false); /* knows both: they share the tables */
        CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
        world_start();
        struct iommu_domain *d = world_domain(0, 1, pieces, 1 + with_2m);
        CHECK_U64(iommu_allow(&iommu, 0x1234, d), STATUS_OK);
        expect_piece(0, 0x1234, &pieces[0]);
        expect_piece(1, 0x1234, &pieces[0]);
        CHECK_U64(fake_wrongs, 0);
    }
}

/* As a whole life with that unit in front of it: denied, allowed, denied. */
static void expect_allowed_and_denied(unsigned unit) {
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
    expect_nothing(unit);
    struct iommu_domain *d = world_domain(0, 1, some_pieces, ARRAY_SIZE(some_pieces));
    CHECK_U64(iommu_allow(&iommu, 0x1234, d), STATUS_OK);
    expect_some_pieces(unit, 0x1234);
    CHECK_U64(iommu_deny(&iommu, 0x1234, 1), STATUS_OK);
    expect_nothing(unit);
}

/* It sees memory as it was when the driver last wrote it back. */
TEST(that_reads_past_the_caches) {
    world_reset(&vtd);
    fake_vtds[1].ecap &= ~BIT(0);
    world_add(0, false);
    world_add(1, false);
    fake_incoherent = true;
    expect_allowed_and_denied(1);
}

/* It keeps writes back until it is told. */
TEST(with_a_write_buffer) {
    world_reset(&vtd);
    fake_vtds[0].cap |= BIT(4);
    world_add(0, false);
    fake_incoherent = true;
    expect_allowed_and_denied(0);
}

/* One by one, then: each entry, and each number. */
TEST(that_cannot_forget_all_at_once) {
    const struct iommu_piece piece = {0, 0x5000, HPA(0x7000), PAGE_SIZE, RW};
    world_reset(&amd_vi);
    kind->firmware(0);
    fake_amd_vis[0].abilities = 0;
    fake_amd_vis[0].exclusion = 0;
    CHECK_U64(kind->access(0, 0x20, 0x5000, true).result, FAKE_ALLOWED);
    CHECK_U64(kind->access(0, 0xffff, 0x5000, true).result, FAKE_ALLOWED);
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
    CHECK(kind->commands(0) > IOMMU_FUNCTIONS);
    expect_denied(0, 0x20, 0x5000, true);
    expect_nothing(0);
    CHECK_U64(iommu_allow(&iommu, 0x10, world_domain(0, 1, &piece, 1)), STATUS_OK);
    expect_piece(0, 0x10, &piece);
    CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_OK);
    expect_nothing(0);
}

/* ACPI's flags, and what they are in the control register. */
TEST(flags_of_the_table) {
    static const uint64_t bits[] = {1, 8, 9, 11};
    for (unsigned i = 0; i < 6; i++) {
        const char *why;
        world_reset(&amd_vi);
        struct iommu_unit unit = {.machine = kind->unit(0), .size = kind->size};
        unit.control = (uint8_t)BIT32(i);
        CHECK_U64(iommu_add(&iommu, unit, &why), STATUS_OK);
        CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
        world_start();
        uint64_t flag = i < ARRAY_SIZE(bits) ? BIT(bits[i]) : 0;
        CHECK_U64(fake_amd_vis[0].control & ~flag, BIT(0) | BIT(2) | BIT(10) | BIT(12));
        CHECK_U64(fake_amd_vis[0].control & flag, flag);
    }
}

/* ---- several units ---- */

TEST(one_of_another_segment_allows_nobody) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world_reset(kinds[i]);
        world_add(0, false);
        world_add(1, true);
        world_add(2, false);
        CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
        struct iommu_domain *d = world_domain(0, 1, some_pieces, 1);
        CHECK_U64(iommu_allow(&iommu, 0x10, d), STATUS_OK);
        world_start();
        unsigned commands = kind->commands(1);
        expect_piece(0, 0x10, &some_pieces[0]);
        expect_piece(2, 0x10, &some_pieces[0]);
        expect_denied(1, 0x10, 0x5000, false);
        CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_OK);
        CHECK_U64(kind->commands(1), commands); /* it never knew */
        expect_nothing(0);
        expect_nothing(1);
        expect_nothing(2);
    }
}

/* ---- interrupts ---- */

#define VECTOR 0x31u

static int64_t interrupt_of(unsigned unit, uint16_t function, unsigned index) {
    return kind == &vtd ? fake_vtd_interrupt(&fake_vtds[unit], function, index)
                        : fake_amd_vi_interrupt(&fake_amd_vis[unit], function, index);
}

static void world_with_irqs(const struct kind *k, bool wide) {
    world_reset(k);
    for (unsigned i = 0; i < FAKE_UNITS; i++) {
        fake_vtds[i].ecap |= BIT(3) | (wide ? BIT(4) : 0);
        fake_vtds[i].cap |= BIT(59);
    }
    world_add(0, false);
    world_add(1, true);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    CHECK_U64(iommu_add_source(&iommu, 0x00a0), STATUS_OK);
    CHECK_U64(iommu_add_source(&iommu, 0x00a0), STATUS_OK); /* once more is the same */
    CHECK_U64(iommu.source_count, 1);
    CHECK_U64(iommu_add_source(&iommu, 0x0100), STATUS_OK);
}

TEST(interrupts_that_are_allowed) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (unsigned wide = 0; wide < 2; wide++) {
            struct iommu_irq irq = {0x00a0, VECTOR, 5, false, HPA(0)};
            uint16_t index = 99;
            world_with_irqs(kinds[i], wide != 0);
            world_start();
            CHECK(iommu.remaps);
            CHECK_U64(iommu.wide, kind == &vtd && wide != 0);
            CHECK(interrupt_of(0, 0x00a0, 0) == -1);
            CHECK_U64(iommu_allow_irq(&iommu, &irq, &index), STATUS_OK);
            CHECK_U64(index, 0);
            CHECK(interrupt_of(0, 0x00a0, 0) == (VECTOR | 5 << 8));
            CHECK(interrupt_of(0, 0x00a1, 0) == -1); /* of another */
            CHECK(interrupt_of(1, 0x00a0, 0) == -1); /* of another segment */
            CHECK(interrupt_of(0, 0x00a0, 1) == -1);
            irq = (struct iommu_irq){0x0100, VECTOR + 1, 0xfe, true, HPA(0)};
            CHECK_U64(iommu_allow_irq(&iommu, &irq, &index), STATUS_OK);
            CHECK_U64(index, 1);
            int64_t level = kind == &vtd ? BIT(40) : 0; /* AMD-Vi: the pin's alone */
            CHECK(interrupt_of(0, 0x0100, 1) == ((VECTOR + 1) | 0xfe << 8 | level));
            CHECK(interrupt_of(0, 0x00a0, 1) == -1);
            /* Targets that the unit's entries have no room for. */
            irq.apic_id = 0x12345;
            enum status s = iommu_allow_irq(&iommu, &irq, &index);
            CHECK_U64(s, iommu.wide ? STATUS_OK : STATUS_INVALID);
            irq = (struct iommu_irq){0x0200, VECTOR, 5, false, HPA(0)};
            CHECK_U64(iommu_allow_irq(&iommu, &irq, &index), STATUS_INVALID);
            CHECK_U64(fake_wrongs, 0);
        }
    }
}

/* An entry that goes to the core and one that is posted, in each order, with descriptors on both
 * sides of 4 GiB. The unit sees the old one or the new one, whole. */
TEST(interrupts_that_are_posted) {
    static const uint64_t places[] = {0x12345640, 0xffffffc0, 0x100000000, 0xfedcba9876543c0};
    struct iommu_irq core = {0x00a0, VECTOR, 5, false, HPA(0)};
    uint16_t index;
    world_with_irqs(&vtd, true);
    CHECK(iommu.posts);
    world_start();
    CHECK_U64(iommu_allow_irq(&iommu, &core, &index), STATUS_OK);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct iommu_irq posted = {0x00a0, (uint8_t)(0x31 + i), 5, false, HPA(places[i])};
        CHECK_U64(iommu_change_irq(&iommu, &posted, index), STATUS_OK);
        CHECK(interrupt_of(0, 0x00a0, index) == (int64_t)(FAKE_POSTED | (0x31 + i)));
        CHECK_U64(fake_vtd_posted_at, places[i]);
        CHECK(interrupt_of(0, 0x00a1, index) == -1); /* of another */
        if (i % 2 == 0) {
            CHECK_U64(iommu_change_irq(&iommu, &core, index), STATUS_OK);
            CHECK(interrupt_of(0, 0x00a0, index) == (VECTOR | 5 << 8));
        }
    }
    CHECK_U64(fake_wrongs, 0);
}

/* A change of one leaves the unit's others where they are. */
TEST(a_change_forgets_one_entry) {
    struct iommu_irq irq = {0x00a0, VECTOR, 5, false, HPA(0)};
    uint16_t index[3];
    world_with_irqs(&vtd, true);
    world_start();
    for (unsigned i = 0; i < ARRAY_SIZE(index); i++) {
        CHECK_U64(iommu_allow_irq(&iommu, &irq, &index[i]), STATUS_OK);
        CHECK(interrupt_of(0, 0x00a0, index[i]) == (VECTOR | 5 << 8)); /* known to it now */
    }
    CHECK_U64(fake_vtds[0].irqs.count, ARRAY_SIZE(index));
    irq.vector = VECTOR + 1;
    CHECK_U64(iommu_change_irq(&iommu, &irq, index[1]), STATUS_OK);
    CHECK_U64(fake_vtds[0].irqs.count, ARRAY_SIZE(index) - 1);
    CHECK(interrupt_of(0, 0x00a0, index[1]) == ((VECTOR + 1) | 5 << 8));
    CHECK_U64(fake_wrongs, 0);
}

/* All units, or none; and none of AMD's. */
TEST(who_can_post) {
    for (unsigned lacks = 0; lacks <= FAKE_UNITS; lacks++) {
        world_reset(&vtd);
        for (unsigned i = 0; i < FAKE_UNITS; i++) {
            fake_vtds[i].cap =
                i == lacks ? fake_vtds[i].cap & ~BIT(59) : fake_vtds[i].cap | BIT(59);
        }
        for (unsigned i = 0; i < FAKE_UNITS; i++) {
            world_add(i, false);
        }
        CHECK_U64(iommu.posts, lacks == FAKE_UNITS);
    }
    world_reset(&amd_vi);
    world_add(0, false);
    CHECK(!iommu.posts);
}

TEST(as_many_interrupts_as_there_are) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct iommu_irq irq = {0x00a0, VECTOR, 5, false, HPA(0)};
        uint16_t index = 0;
        world_with_irqs(kinds[i], false);
        world_start();
        for (unsigned n = 0; n < IOMMU_IRQS; n++) {
            irq.vector = (uint8_t)n;
            CHECK_U64(iommu_allow_irq(&iommu, &irq, &index), STATUS_OK);
            CHECK_U64(index, n);
        }
        CHECK_U64(iommu_allow_irq(&iommu, &irq, &index), STATUS_FULL);
        for (unsigned n = 0; n < IOMMU_IRQS; n++) {
            CHECK(interrupt_of(0, 0x00a0, n) == (int64_t)(n % 256 | 5 << 8));
        }
        for (unsigned n = 2; n < IOMMU_MAX_SOURCES; n++) {
            fake_ram_used -= kind == &vtd ? 0 : 2 * PAGE_SIZE; /* a table each: one place will do */
            CHECK_U64(iommu_add_source(&iommu, (uint16_t)(0x1000 + n)), STATUS_OK);
        }
        CHECK_U64(iommu_add_source(&iommu, 0x2000), STATUS_FULL);
        CHECK_U64(fake_wrongs, 0);
    }
}

/* What the pin of an I/O APIC holds then. */
TEST(pins) {
    struct iommu_irq irq = {0x00a0, VECTOR, 5, true, HPA(0)};
    CHECK_U64(vtd_driver.pin(0x8005, &irq), BIT(48) | 5ull << 49 | BIT(11) | BIT(15) | VECTOR);
    CHECK_U64(amd_vi_driver.pin(5, &irq), BIT(15) | 5);
    irq.level = false;
    CHECK_U64(vtd_driver.pin(5, &irq), BIT(48) | 5ull << 49 | VECTOR);
    CHECK_U64(amd_vi_driver.pin(5, &irq), 5);
}

/* All or none: an I/O APIC would be mute whose unit holds back what names no entry. */
TEST(interrupts_that_cannot_be_remapped) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (unsigned why = 0; why < 3; why++) {
            world_with_irqs(kinds[i], false);
            fake_vtds[0].gsts |= FAKE_IRE; /* the firmware's */
            iommu.remaps = iommu.remaps && why != 0;
            fake_vtds[1].stuck = why == 1 ? FAKE_SIRTP : 0;
            if (why == 2) {
                kind->stick(1);
            }
            iommu_start(&iommu);
            bool remaps = why == 1 && kind == &amd_vi; /* there is no such step */
            CHECK_U64(iommu.remaps, remaps);
            CHECK(iommu.units[0].on);
            if (!remaps && kind == &amd_vi) {
                CHECK(interrupt_of(0, 0x00a0, 0) == -2);
                CHECK(interrupt_of(0, 0x4444, 0) == -2);
            }
            CHECK(kind != &vtd || (fake_vtds[0].gsts & FAKE_IRE) == 0);
            expect_nothing(0);
        }
    }
}

TEST(interrupts_without_memory) {
    world_with_irqs(&amd_vi, false);
    fake_alloc_limit = 0;
    CHECK_U64(iommu_add_source(&iommu, 0x0200), STATUS_NO_MEMORY);
    CHECK_U64(iommu.source_count, 2);
}

TEST(an_interrupt_that_a_mute_unit_is_told_of) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct iommu_irq irq = {0x00a0, VECTOR, 5, false, HPA(0)};
        uint16_t index;
        world_with_irqs(kinds[i], false);
        world_start();
        kind->stick(0);
        CHECK_U64(iommu_allow_irq(&iommu, &irq, &index), STATUS_TIMEOUT);
    }
}

/* ---- what fails ---- */

TEST(no_memory) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        enum status s = STATUS_NO_MEMORY;
        unsigned limit = 0;
        for (; s != STATUS_OK && limit < 32; limit++) {
            world_reset(kinds[i]);
            world_add(0, false);
            world_add(1, true);
            fake_alloc_limit = limit;
            s = iommu_prepare(&iommu);
            CHECK(s == STATUS_OK || s == STATUS_NO_MEMORY);
            CHECK(!iommu.units[0].on && kind->commands(0) == 0); /* it was not touched */
            CHECK_U64(kind->access(0, 0, 0x5000, true).result, FAKE_ALLOWED);
        }
        CHECK(limit > 8 && s == STATUS_OK);
        world_start();
        /* A bus's table is made when it is needed. */
        enum status allowed = iommu_allow(&iommu, 0x10, world_domain(0, 1, some_pieces, 1));
        CHECK_U64(allowed, kind->driver == vtd.driver ? STATUS_NO_MEMORY : STATUS_OK);
        fake_alloc_limit = FAKE_NO_LIMIT;
        CHECK_U64(iommu_allow(&iommu, 0x10, &domains[0]), STATUS_OK);
        expect_piece(0, 0x10, &some_pieces[0]);
    }
}

static void expect_not_on(void) {
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    iommu_start(&iommu);
    CHECK(!iommu.units[0].on);
    CHECK(*kind->reads(0) < READS_AT_MOST);
    CHECK(iommu.units[1].on);
    expect_no_fault();
    expect_nothing(1);
    /* It is not asked again. */
    *kind->reads(0) = 0;
    CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_OK);
    CHECK_U64(*kind->reads(0), 0);
}

TEST(a_wait_that_never_ends) {
    static const uint32_t bits[] = {FAKE_TE, FAKE_SRTP, FAKE_QIE, FAKE_WBF};
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
        for (unsigned on = 0; on < 2; on++) {
            bool no_wait = on != 0 && bits[i] == FAKE_TE; /* it is on and stays on */
            world_reset(&vtd);
            if (on != 0) {
                kind->firmware(0);
            }
            fake_vtds[0].cap |= bits[i] == FAKE_WBF ? BIT(4) : 0;
            fake_vtds[0].stuck = bits[i];
            world_add(0, false);
            world_add(1, false);
            if (!no_wait) {
                expect_not_on();
            }
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world_reset(kinds[i]);
        world_add(0, false);
        world_add(1, false);
        kind->stick(0);
        expect_not_on();
    }
}

/* It never empties the ring of one that wants each entry forgotten. */
TEST(a_ring_that_stays_full) {
    world_reset(&amd_vi);
    fake_amd_vis[0].abilities = 0;
    world_add(0, false);
    world_add(1, false);
    kind->stick(0);
    expect_not_on();
}

TEST(a_unit_that_does_not_go_on) {
    world_reset(&amd_vi);
    world_add(0, false);
    world_add(1, false);
    fake_amd_vis[0].never_on = true;
    expect_not_on();
}

TEST(rings_that_do_not_stop) {
    world_reset(&amd_vi);
    kind->firmware(0);
    world_add(0, false);
    world_add(1, false);
    fake_amd_vis[0].runs_on = true;
    expect_not_on();
}

/* Memory that the firmware keeps from devices stays so: more is denied than need be. */
TEST(protection_that_does_not_end) {
    world_reset(&vtd);
    kind->firmware(0);
    fake_vtds[0].pmen = BIT32(31) | BIT32(0);
    fake_vtds[0].protects_on = true;
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
    CHECK_U64(kind->access(0, 0, 0, false).result, FAKE_DENIED);
}

TEST(faults_that_cannot_be_cleared) {
    struct iommu_fault fault;
    world_reset(&vtd);
    kind->firmware(0);
    fake_vtds[0].records_stay = true;
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    world_start();
    CHECK(iommu_next_fault(&iommu, &fault)); /* again and again, but each call ends */
}

/* The others forget all the same: one of them may be in front of the device. */
TEST(one_that_stops_while_it_is_at_work) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (unsigned broken = 0; broken < 2; broken++) {
            world_reset(kinds[i]);
            world_add(0, false);
            world_add(1, false);
            CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
            world_start();
            struct iommu_domain *d = world_domain(0, 1, some_pieces, 1);
            CHECK_U64(iommu_allow(&iommu, 0x10, d), STATUS_OK);
            expect_piece(1 - broken, 0x10, &some_pieces[0]);
            kind->stick(broken);
            CHECK_U64(iommu_deny(&iommu, 0x10, 1), STATUS_TIMEOUT);
            expect_denied(1 - broken, 0x10, 0x5000, false);
        }
    }
}

TEST(registers_that_do_not_answer) {
    world_reset(&vtd);
    world_add(0, false);
    CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
    fake_vtds[0].gone = true;
    iommu_start(&iommu);
    CHECK(!iommu.units[0].on);
    CHECK(*kind->reads(0) < READS_AT_MOST);
}

/* ---- limits ---- */

static void expect_refused(uint64_t size, const char *wanted) {
    const char *why = NULL;
    struct iommu_unit unit = {.machine = kind->unit(0), .size = size};
    CHECK_U64(iommu_add(&iommu, unit, &why), STATUS_UNSUPPORTED);
    CHECK_U64(iommu.unit_count, 0);
    CHECK_STR(why != NULL ? why : "", wanted);
}

TEST(units_that_cannot_be_used) {
    world_reset(&vtd);
    expect_refused(FAKE_VTD_RECORDS_AT + 16 * FAKE_VTD_RECORDS - 1,
                   "its fault records lie outside of its registers");
    fake_vtds[0].ecap = BIT(0);
    expect_refused(FAKE_VTD_SIZE, "it has no queued invalidation");
    fake_vtds[0].ecap = BIT(0) | BIT(1);
    fake_vtds[0].cap &= ~(BIT(9) | BIT(10));
    expect_refused(FAKE_VTD_SIZE, "it knows neither 39 nor 48 address bits, as others do");
    fake_vtds[0].cap = 0;
    expect_refused(FAKE_VTD_SIZE, "its registers do not answer");
    fake_vtds[0].gone = true;
    expect_refused(FAKE_VTD_SIZE, "its registers do not answer");
    /* Nothing is left of those that were refused. */
    CHECK_U64(iommu.space, PAGETABLE_SPACE);
    CHECK_U64(iommu.widths, UINT64_MAX);
    CHECK_U64(iommu.largest_level, 3);
    CHECK_U64(iommu.domains, IOMMU_FUNCTIONS);

    world_reset(&amd_vi);
    expect_refused(FAKE_AMD_VI_SIZE - 1, "its registers are too few");
    fake_amd_vis[0].gone = true;
    expect_refused(FAKE_AMD_VI_SIZE, "its registers do not answer");
}

TEST(too_many_units) {
    const char *why = NULL;
    world_reset(&vtd);
    for (unsigned i = 0; i < IOMMU_MAX_UNITS; i++) {
        world_add(i % FAKE_UNITS, false);
    }
    struct iommu_unit unit = {.machine = kind->unit(0), .size = kind->size};
    CHECK_U64(iommu_add(&iommu, unit, &why), STATUS_UNSUPPORTED);
    CHECK_STR(why, "there are too many");
}

TEST(numbers_of_domains) {
    static const uint32_t numbers[] = {16, 64, 256, 1024, 4096, 16384, 65536, 65536};
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        world_reset(&vtd);
        fake_vtds[0].cap = (FAKE_CAP_BASE & ~7ull) | i;
        fake_vtds[1].cap = FAKE_CAP_BASE | 7;
        world_add(0, false);
        world_add(1, false);
        CHECK_U64(iommu.domains, numbers[i]);
    }
}

/* ---- faults ---- */

static unsigned count_faults(void) {
    struct iommu_fault fault;
    unsigned count = 0;
    while (count < 10000 && iommu_next_fault(&iommu, &fault)) {
        count++;
    }
    return count;
}

/* Some are lost, and those after that are told again. */
TEST(more_faults_than_there_is_room_for) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        unsigned room = kinds[i] == &vtd ? FAKE_VTD_RECORDS : 255;
        world(kinds[i]);
        for (unsigned round = 0; round < 3; round++) {
            for (unsigned n = 0; n < 1000; n++) {
                CHECK_U64(kind->access(0, 0x10, 0x5000, true).result, FAKE_DENIED);
            }
            CHECK_U64(count_faults(), room);
            expect_no_fault();
        }
        expect_nothing(0);
    }
}

TEST(faults_of_two_units) {
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        world_reset(kinds[i]);
        world_add(0, false);
        world_add(1, true);
        CHECK_U64(iommu_prepare(&iommu), STATUS_OK);
        world_start();
        (void)kind->access(0, 0x10, 0x5000, true);
        (void)kind->access(1, 0x20, 0x6000, false);
        CHECK_U64(count_faults(), 2);
    }
}

/* Each reason has words of its own, and one that there is not has some too. */
TEST(reasons) {
    world(&vtd);
    for (unsigned reason = 0; reason < 256; reason++) {
        struct iommu_fault fault = {0};
        fake_vtd_fault(&fake_vtds[0], 0x10, 0x5123, false, reason);
        CHECK(iommu_next_fault(&iommu, &fault));
        CHECK(fault.why != NULL && fault.why[0] != '\0');
        CHECK((reason >= 1 && reason <= 9) == (strcmp(fault.why, "another reason") != 0) ||
              (reason >= 0x20 && reason <= 0x26));
    }
    world(&amd_vi);
    for (uint64_t code = 0; code < 16; code++) {
        struct iommu_fault fault = {0};
        fake_amd_vi_event(&fake_amd_vis[0], code << 60 | 0x10, 0x5123);
        CHECK(iommu_next_fault(&iommu, &fault));
        CHECK(fault.why != NULL && fault.why[0] != '\0');
        CHECK((code >= 1 && code <= 8) == (strcmp(fault.why, "another reason") != 0));
    }
}

TEST_MAIN(T(start_denies_all), T(a_firmware_that_left_it_on),
          T(a_firmware_that_left_it_on_in_another_mode), T(protected_memory_is_given_back_last),
          T(exactly_the_pieces), T(two_devices), T(another_domain_in_its_place),
          T(a_number_that_was_in_use), T(nothing_is_forgotten_in_a_long_time),
          T(denied_without_memory), T(of_39_bits), T(of_48_bits), T(of_small_pages),
          T(that_reads_past_the_caches), T(with_a_write_buffer), T(that_cannot_forget_all_at_once),
          T(flags_of_the_table), T(one_of_another_segment_allows_nobody),
          T(interrupts_that_are_allowed), T(interrupts_that_are_posted),
          T(a_change_forgets_one_entry), T(who_can_post), T(as_many_interrupts_as_there_are),
          T(pins), T(interrupts_that_cannot_be_remapped), T(interrupts_without_memory),
          T(an_interrupt_that_a_mute_unit_is_told_of), T(no_memory), T(a_wait_that_never_ends),
          T(a_ring_that_stays_full), T(a_unit_that_does_not_go_on), T(rings_that_do_not_stop),
          T(protection_that_does_not_end), T(faults_that_cannot_be_cleared),
          T(one_that_stops_while_it_is_at_work), T(registers_that_do_not_answer),
          T(units_that_cannot_be_used), T(too_many_units), T(numbers_of_domains),
          T(more_faults_than_there_is_room_for), T(faults_of_two_units), T(reasons))
