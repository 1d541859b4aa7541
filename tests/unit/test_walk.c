/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest page walk on hand-built tables: every level, every kind of fault, accessed and dirty
 * bits. */
#include "hv/lib/x86.h"
#include "hv/mem/walk.h"
#include "tests/unit/test.h"

#define RAM_SIZE 0x10000u

#define P    0x1ull
#define W    0x2ull
#define U    0x4ull
#define A    0x20ull
#define D    0x40ull
#define PS   0x80ull
#define NX   BIT(63)
#define NONE 0xdeadull

static uint8_t *ram;
static struct plan_region region;
static struct gmem mem;
static struct walk_state state;

static void put8(uint64_t gpa, uint64_t value) {
    memcpy(ram + gpa, &value, 8);
}

static uint64_t get8(uint64_t gpa) {
    uint64_t value;
    memcpy(&value, ram + gpa, 8);
    return value;
}

static void set_up(uint64_t cr4, uint64_t efer) {
    if (ram == NULL) {
        ram = aligned_alloc(4096, RAM_SIZE);
    }
    memset(ram, 0, RAM_SIZE);
    region = (struct plan_region){GPA(0), HPA((uintptr_t)ram), RAM_SIZE};
    mem = (struct gmem){&region, 1};
    state = (struct walk_state){
        .cr0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_WP,
        .cr3 = 0x1000,
        .cr4 = cr4,
        .efer = efer,
        .phys_bits = 40,
    };
}

/* 4 levels at 0x1000, 0x2000, 0x3000, 0x4000 for address 0; every entry P W U. */
static void set_up_long(void) {
    set_up(X86_CR4_PAE, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
    put8(0x1000, 0x2000 | P | W | U);
    put8(0x2000, 0x3000 | P | W | U);
    put8(0x3000, 0x4000 | P | W | U);
    put8(0x4000, 0x5000 | P | W | U);
}

/* The gpa, or NONE and the status and error code here. */
static enum status last_status;
static uint32_t last_error;

static uint64_t walk(uint64_t gva, unsigned access) {
    gpa_t gpa = GPA(NONE);
    last_error = 0xffff;
    last_status = walk_translate(&mem, &state, GVA(gva), access, &gpa, &last_error);
    if (last_status != STATUS_OK && gpa.v != NONE) {
        printf("# gpa was written on failure\n");
        test_failures++;
    }
    return gpa.v;
}

#define CHECK_FAULT(gva, access, error)                                                            \
    do {                                                                                           \
        CHECK_U64(walk(gva, access), NONE);                                                        \
        CHECK_U64(last_status, STATUS_DENIED);                                                     \
        CHECK_U64(last_error, error);                                                              \
    } while (0)

TEST(no_paging) {
    set_up(0, 0);
    state.cr0 = X86_CR0_PE;
    CHECK_U64(walk(0x123456789, WALK_WRITE), 0x23456789);
}

TEST(long_4k) {
    set_up_long();
    CHECK_U64(walk(0x123, WALK_READ), 0x5123);
    CHECK_U64(get8(0x1000), 0x2000 | P | W | U | A);
    CHECK_U64(get8(0x4000), 0x5000 | P | W | U | A);
    CHECK_U64(walk(0x123, WALK_WRITE | WALK_USER), 0x5123);
    CHECK_U64(get8(0x3000), 0x4000 | P | W | U | A);
    CHECK_U64(get8(0x4000), 0x5000 | P | W | U | A | D);
    /* All nine bits of each index: the last page of the lower half, and the upper half. */
    put8(0x1ff8, 0x2000 | P | W);
    put8(0x2ff8, 0x3000 | P | W);
    put8(0x3ff8, 0x4000 | P | W);
    put8(0x4ff8, 0x00000000abcde000 | P | W);
    CHECK_U64(walk(0xffffffffffffffff, WALK_READ), 0xabcdefff);
    put8(0x17f8, 0x2000 | P | W);
    CHECK_U64(walk(0x00007ffffffff000, WALK_READ), 0xabcde000);
}

TEST(not_present) {
    static const uint64_t entries[] = {0x1000, 0x2000, 0x3000, 0x4000};
    for (unsigned i = 0; i < 4; i++) {
        set_up_long();
        put8(entries[i], get8(entries[i]) & ~P);
        CHECK_FAULT(0, WALK_READ, 0);
        CHECK_FAULT(0, WALK_WRITE | WALK_USER, WALK_PF_WRITE | WALK_PF_USER);
        CHECK_FAULT(0, WALK_EXECUTE, WALK_PF_FETCH);
        /* Marked as used are the entries above the one that faults, as by the CPU. */
        for (unsigned j = 0; j < 4; j++) {
            CHECK_U64(get8(entries[j]) & (A | D), j < i ? A : 0);
        }
    }
}

TEST(canonical) {
    set_up_long();
    CHECK_U64(walk(0x0000800000000000, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_INVALID);
    CHECK_U64(walk(0xffff7fffffffffff, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_INVALID);
}

TEST(table_outside_ram) {
    set_up_long();
    put8(0x3000, 0x90000 | P | W | U);
    CHECK_U64(walk(0, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_NOT_FOUND);
    state.cr3 = 0xfffffff000;
    CHECK_U64(walk(0, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_NOT_FOUND);
    /* The last table of RAM is still inside. */
    set_up_long();
    put8(0x3000, (RAM_SIZE - 0x1000) | P | W | U);
    put8(RAM_SIZE - 8, 0x7000 | P | W | U);
    CHECK_U64(walk(0x1ff000, WALK_READ), 0x7000);
}

TEST(large_pages) {
    set_up_long();
    put8(0x3000, 0x12200000 | P | W | U | PS);
    CHECK_U64(walk(0x1fffff, WALK_WRITE), 0x123fffff);
    CHECK_U64(get8(0x3000), 0x12200000 | P | W | U | PS | A | D);
    put8(0x3000, 0x12200000 | BIT(12) | P | W | U | PS); /* PAT */
    CHECK_U64(walk(0x123456, WALK_READ), 0x12323456);
    put8(0x2000, 0x80000000 | P | W | U | PS);
    CHECK_U64(walk(0x3fffffff, WALK_READ), 0xbfffffff);
}

TEST(reserved_bits) {
    static const struct {
        uint64_t gpa, bits;
    } cases[] = {
        {0x1000, PS},           {0x1000, BIT(40)},      {0x2000, BIT(51)},
        {0x3000, BIT(45)},      {0x4000, BIT(40)},      {0x2000, PS | BIT(13)},
        {0x2000, PS | BIT(29)}, {0x3000, PS | BIT(13)}, {0x3000, PS | BIT(20)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up_long();
        put8(0x2000, 0x3000 | P | W | U);
        uint64_t entry = get8(cases[i].gpa);
        put8(cases[i].gpa,
             ((cases[i].bits & PS) != 0 && cases[i].gpa != 0x1000 ? P | W | U : entry) |
                 cases[i].bits);
        CHECK_FAULT(0, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
        CHECK_FAULT(0, WALK_WRITE | WALK_USER,
                    WALK_PF_PRESENT | WALK_PF_RESERVED | WALK_PF_WRITE | WALK_PF_USER);
    }
    set_up_long();
    put8(0x4000, 0x5000 | P | NX);
    state.efer &= ~X86_EFER_NXE;
    CHECK_FAULT(0, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
    /* Bits 62:52 are the guest's own in 4-level paging; 39 is an address bit with 40 bits. */
    put8(0x4000, 0x7ff0000000005000 | P | BIT(39));
    CHECK_U64(walk(0, WALK_READ), 0x8000005000);
}

TEST(permissions) {
    static const uint64_t entries[] = {0x1000, 0x2000, 0x3000, 0x4000};
    for (unsigned i = 0; i < 4; i++) {
        set_up_long();
        uint64_t full = get8(entries[i]);
        put8(entries[i], full & ~W);
        CHECK_U64(walk(0, WALK_READ | WALK_USER), 0x5000);
        CHECK_FAULT(0, WALK_WRITE | WALK_USER, WALK_PF_PRESENT | WALK_PF_WRITE | WALK_PF_USER);
        CHECK_FAULT(0, WALK_WRITE, WALK_PF_PRESENT | WALK_PF_WRITE);
        CHECK_U64(get8(0x4000) & D, 0);
        state.cr0 &= ~X86_CR0_WP;
        CHECK_U64(walk(0, WALK_WRITE), 0x5000);
        CHECK_FAULT(0, WALK_WRITE | WALK_USER, WALK_PF_PRESENT | WALK_PF_WRITE | WALK_PF_USER);
        put8(entries[i], full & ~U);
        CHECK_U64(walk(0, WALK_READ), 0x5000);
        CHECK_FAULT(0, WALK_READ | WALK_USER, WALK_PF_PRESENT | WALK_PF_USER);
        put8(entries[i], full | NX);
        CHECK_U64(walk(0, WALK_READ), 0x5000);
        CHECK_FAULT(0, WALK_EXECUTE, WALK_PF_PRESENT | WALK_PF_FETCH);
        CHECK_FAULT(0, WALK_EXECUTE | WALK_USER, WALK_PF_PRESENT | WALK_PF_FETCH | WALK_PF_USER);
        put8(entries[i], full);
        CHECK_U64(walk(0, WALK_EXECUTE), 0x5000);
    }
}

TEST(smep_and_smap) {
    set_up_long();
    state.cr4 |= X86_CR4_SMEP;
    CHECK_FAULT(0, WALK_EXECUTE, WALK_PF_PRESENT | WALK_PF_FETCH);
    CHECK_U64(walk(0, WALK_EXECUTE | WALK_USER), 0x5000);
    CHECK_U64(walk(0, WALK_WRITE), 0x5000);
    state.cr4 |= X86_CR4_SMAP;
    CHECK_FAULT(0, WALK_READ, WALK_PF_PRESENT);
    CHECK_FAULT(0, WALK_WRITE, WALK_PF_PRESENT | WALK_PF_WRITE);
    CHECK_U64(walk(0, WALK_READ | WALK_USER), 0x5000);
    state.rflags = X86_RFLAGS_AC;
    CHECK_U64(walk(0, WALK_WRITE), 0x5000);
    state.cpl = 3; /* implicit supervisor access: AC does not help */
    CHECK_FAULT(0, WALK_READ, WALK_PF_PRESENT);
    put8(0x4000, 0x5000 | P | W);
    CHECK_U64(walk(0, WALK_READ), 0x5000);
}

TEST(only_64_bit_paging) {
    set_up_long();
    state.efer &= ~X86_EFER_LMA;
    CHECK_U64(walk(0, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_UNSUPPORTED);
}

/* Whatever tables and registers hold, the walk ends with one of its statuses. */
TEST(random_tables) {
    uint64_t r = 0x9e3779b97f4a7c15;
    unsigned seen[STATUS_FULL + 1] = {0};
    set_up_long();
    for (unsigned i = 0; i < 200000; i++) {
        for (unsigned j = 0; j < 16; j++) {
            r ^= r << 13;
            r ^= r >> 7;
            r ^= r << 17;
            uint64_t high = r >> 60 == 0 ? r & 0xfff0000000000000 : 0;
            uint64_t low = r >> 56 == 3 ? r >> 12 & 0xff : P | W | U;
            put8((r & 0xfff8) % RAM_SIZE, high | (r >> 40 & 0x1f000) | low);
        }
        state.cr0 = X86_CR0_PG | (r & X86_CR0_WP);
        state.cr3 = r & 0xffff;
        state.cr4 = r >> 7 & (X86_CR4_PAE | X86_CR4_SMEP);
        state.efer = X86_EFER_LMA | (r >> 20 & X86_EFER_NXE);
        state.phys_bits = (uint8_t)(32 + r % 21);
        state.cpl = (uint8_t)(r >> 50 & 3);
        (void)walk((uint64_t)((int64_t)(r << 16) >> 16), r >> 30 & 7);
        seen[last_status]++;
    }
    CHECK(seen[STATUS_OK] > 1000);
    CHECK(seen[STATUS_DENIED] > 1000);
    CHECK(seen[STATUS_NOT_FOUND] > 1000);
    CHECK_U64(seen[STATUS_OK] + seen[STATUS_DENIED] + seen[STATUS_NOT_FOUND] + seen[STATUS_INVALID],
              200000);
}

TEST_MAIN(T(no_paging), T(long_4k), T(not_present), T(canonical), T(table_outside_ram),
          T(large_pages), T(reserved_bits), T(permissions), T(smep_and_smap), T(only_64_bit_paging),
          T(random_tables))
