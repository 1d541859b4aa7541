/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest page walk on hand-built tables: every level, every kind of fault, accessed and dirty
 * bits. */
#include "hv/compartment/emulate/walk.h"
#include "hv/lib/x86.h"
#include "tests/unit/random.h"
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
static struct guest_region region;
static struct guest_memory mem;
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
    region = (struct guest_region){.gpa = 0, .size = RAM_SIZE, .at = ram};
    mem = (struct guest_memory){&region, 1, 0};
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
static struct walk_page last_page;

static uint64_t walk(uint64_t gva, unsigned access) {
    last_page = (struct walk_page){.gpa = GPA(NONE), .pf_error = 0xffff};
    state.user = (access & WALK_USER) != 0;
    last_status = walk_translate(&mem, &state, GVA(gva), access & ~(unsigned)WALK_USER, &last_page);
    last_error = last_page.pf_error;
    if (last_status != STATUS_OK && last_page.gpa.v != NONE) {
        printf("# gpa was written on failure\n");
        test_failures++;
    }
    return last_page.gpa.v;
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
    CHECK_U64(last_page.depth, 0);
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
        CHECK_FAULT(0, WALK_WRITE | WALK_USER, WALK_WRITE | WALK_USER);
        CHECK_FAULT(0, WALK_EXECUTE, WALK_EXECUTE);
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
                    WALK_PF_PRESENT | WALK_PF_RESERVED | WALK_WRITE | WALK_USER);
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
        CHECK_FAULT(0, WALK_WRITE | WALK_USER, WALK_PF_PRESENT | WALK_WRITE | WALK_USER);
        CHECK_FAULT(0, WALK_WRITE, WALK_PF_PRESENT | WALK_WRITE);
        CHECK_U64(get8(0x4000) & D, 0);
        state.cr0 &= ~X86_CR0_WP;
        CHECK_U64(walk(0, WALK_WRITE), 0x5000);
        CHECK_FAULT(0, WALK_WRITE | WALK_USER, WALK_PF_PRESENT | WALK_WRITE | WALK_USER);
        put8(entries[i], full & ~U);
        CHECK_U64(walk(0, WALK_READ), 0x5000);
        CHECK_FAULT(0, WALK_READ | WALK_USER, WALK_PF_PRESENT | WALK_USER);
        put8(entries[i], full | NX);
        CHECK_U64(walk(0, WALK_READ), 0x5000);
        CHECK_FAULT(0, WALK_EXECUTE, WALK_PF_PRESENT | WALK_EXECUTE);
        CHECK_FAULT(0, WALK_EXECUTE | WALK_USER, WALK_PF_PRESENT | WALK_EXECUTE | WALK_USER);
        put8(entries[i], full);
        CHECK_U64(walk(0, WALK_EXECUTE), 0x5000);
    }
}

TEST(smep_and_smap) {
    set_up_long();
    state.cr4 |= X86_CR4_SMEP;
    CHECK_FAULT(0, WALK_EXECUTE, WALK_PF_PRESENT | WALK_EXECUTE);
    CHECK_U64(walk(0, WALK_EXECUTE | WALK_USER), 0x5000);
    CHECK_U64(walk(0, WALK_WRITE), 0x5000);
    state.cr4 |= X86_CR4_SMAP;
    CHECK_FAULT(0, WALK_READ, WALK_PF_PRESENT);
    CHECK_FAULT(0, WALK_WRITE, WALK_PF_PRESENT | WALK_WRITE);
    CHECK_U64(walk(0, WALK_READ | WALK_USER), 0x5000);
    state.rflags = X86_RFLAGS_AC;
    CHECK_U64(walk(0, WALK_WRITE), 0x5000);
    state.rflags = 0;
    put8(0x4000, 0x5000 | P | W);
    CHECK_U64(walk(0, WALK_READ), 0x5000);
}

/* SDM "Protection Keys": data of user pages, by the key of the entry that names the page. */
TEST(protection_keys) {
    const uint32_t no_access = 1u << 10, no_write = 2u << 10; /* of key 5 */
    const uint64_t key = 5ull << 59;
    set_up_long();
    put8(0x1000, get8(0x1000) | 1ull << 59); /* not a key here */
    put8(0x4000, get8(0x4000) | key);
    state.pkru = no_access | no_write;
    CHECK_U64(walk(0, WALK_WRITE | WALK_USER), 0x5000); /* keys are off */
    put8(0x4000, (get8(0x4000) & ~D));

    state.cr4 |= X86_CR4_PKE;
    state.pkru = ~no_access & ~no_write; /* all other keys */
    CHECK_U64(walk(0, WALK_WRITE | WALK_USER), 0x5000);
    put8(0x4000, (get8(0x4000) & ~D));

    state.pkru = no_write;
    CHECK_U64(walk(0, WALK_READ | WALK_USER), 0x5000);
    CHECK_U64(walk(0, WALK_READ), 0x5000);
    CHECK_FAULT(0, WALK_WRITE | WALK_USER, 0x27);
    CHECK_FAULT(0, WALK_WRITE, 0x23);
    CHECK_U64(get8(0x4000) & D, 0);
    state.cr0 &= ~X86_CR0_WP; /* of the kernel's writes alone */
    CHECK_FAULT(0, WALK_WRITE | WALK_USER, 0x27);
    CHECK_U64(walk(0, WALK_WRITE), 0x5000);

    state.pkru = no_access;
    CHECK_FAULT(0, WALK_READ | WALK_USER, 0x25);
    CHECK_FAULT(0, WALK_READ, 0x21);
    CHECK_FAULT(0, WALK_WRITE, 0x23);
    CHECK_U64(walk(0, WALK_EXECUTE | WALK_USER), 0x5000);

    /* Both reasons at once, and a page that is not a user's. */
    put8(0x4000, (0x5000 | P | U) | key);
    CHECK_FAULT(0, WALK_WRITE | WALK_USER, 0x27);
    put8(0x4000, (0x5000 | P | W) | key);
    CHECK_U64(walk(0, WALK_WRITE), 0x5000);
    CHECK_FAULT(0, WALK_READ | WALK_USER, 5);
}

/*
 * All kinds of paging on one pattern: tables at 0x1000, 0x2000 ..., the page at 0x7000, and an
 * address whose indexes differ. The numbers are worked out by hand from the manual's figures.
 */
struct paging {
    const char *name;
    uint64_t cr4, efer, gva;
    unsigned levels, size;   /* size of an entry */
    uint64_t index[5];       /* of the table below, the top first */
    unsigned plain;          /* so many levels at the top have neither permissions nor marks */
    uint64_t reserved[5][4]; /* bits of the entry that must be 0, each alone; 0 = no more */
    uint64_t free[5];        /* bits that must not matter */
};

#define LONG     (X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE)
#define BEYOND   BIT(40), BIT(51)
#define IGNORED4 (BIT(62) | BIT(52) | 0xe00)
#define PAGE_PAT PS /* in the entry of a 4 KiB page */

static const struct paging pagings[] = {
    {"32-bit",
     0,
     X86_EFER_NXE,
     0xdeadc123,
     2,
     4,
     {0x37a, 0x2dc},
     0,
     {{0}},
     {0xe00 | PS | D, PAGE_PAT}},
    {"PSE", X86_CR4_PSE, 0, 0xdeadc123, 2, 4, {0x37a, 0x2dc}, 0, {{0}}, {0xe00 | D, PAGE_PAT}},
    {"PAE",
     X86_CR4_PAE,
     X86_EFER_NXE,
     0xdeadc123,
     3,
     8,
     {0x3, 0xf5, 0xdc},
     1,
     {{NX, W, U | A, PS}, {BEYOND, BIT(52), BIT(62)}, {BEYOND, BIT(52), BIT(62)}},
     {0xe18, 0xe00, 0xe00 | PAGE_PAT}},
    {"4-level",
     X86_CR4_PAE,
     LONG,
     0xffff9eadbeefc123,
     4,
     8,
     {0x13d, 0xb6, 0x1f7, 0xfc},
     0,
     {{BEYOND, PS}, {BEYOND}, {BEYOND}, {BEYOND}},
     {IGNORED4, IGNORED4, IGNORED4, IGNORED4 | PAGE_PAT}},
    {"5-level",
     X86_CR4_PAE | X86_CR4_LA57,
     LONG,
     0xff5a9eadbeefc123,
     5,
     8,
     {0x15a, 0x13d, 0xb6, 0x1f7, 0xfc},
     0,
     {{BEYOND, PS}, {BEYOND, PS}, {BEYOND}, {BEYOND}, {BEYOND}},
     {IGNORED4, IGNORED4, IGNORED4, IGNORED4, IGNORED4 | PAGE_PAT}},
};

static uint64_t slot_of(const struct paging *p, unsigned i) {
    return 0x1000 * (i + 1) + p->index[i] * p->size;
}

static uint64_t entry_of(const struct paging *p, unsigned i) {
    return get8(slot_of(p, i)) & UINT64_MAX >> (64 - 8 * p->size);
}

static void set_entry(const struct paging *p, unsigned i, uint64_t value) {
    memcpy(ram + slot_of(p, i), &value, p->size);
}

static void set_up_paging(const struct paging *p) {
    set_up(p->cr4, p->efer);
    state.cr3 |= 0x18; /* PCD, PWT; also of PAE's CR3, whose tables need 32 bytes only */
    for (unsigned i = 0; i < p->levels; i++) {
        uint64_t next = i + 1 < p->levels ? 0x1000 * (i + 2) : 0x7000;
        set_entry(p, i, next | P | (i < p->plain ? 0 : W | U));
    }
}

/* One of the checks below for one kind and level, whose name is printed if it fails. */
static void each_level(void (*check)(const struct paging *p, unsigned i)) {
    for (size_t k = 0; k < ARRAY_SIZE(pagings); k++) {
        for (unsigned i = 0; i < pagings[k].levels; i++) {
            unsigned before = test_failures;
            set_up_paging(&pagings[k]);
            check(&pagings[k], i);
            if (test_failures != before) {
                printf("# %s, entry %u from the top\n", pagings[k].name, i);
            }
        }
    }
}

static void check_marks(const struct paging *p, unsigned i) {
    bool leaf = i + 1 == p->levels;
    uint64_t plain = i < p->plain ? 0 : A, entry = entry_of(p, i);
    CHECK_U64(walk(p->gva, WALK_READ | WALK_USER), 0x7123);
    CHECK_U64(entry_of(p, i), entry | plain);
    CHECK_U64(last_page.depth, p->levels);
    CHECK(last_page.steps[i].entry == entry_of(p, i) &&
          last_page.steps[i].slot == ram + slot_of(p, i));
    CHECK_U64(walk(p->gva, WALK_WRITE | WALK_USER), 0x7123);
    CHECK_U64(entry_of(p, i), entry | plain | (leaf ? D : 0));
    CHECK_U64(last_page.steps[i].entry, entry_of(p, i));
    if (p->size == 4) { /* the neighbour is not touched */
        CHECK_U64(get8(slot_of(p, i)) >> 32, 0);
    }
    if (p->gva >> 32 == 0) { /* outside long mode only 32 bits count */
        CHECK_U64(walk(p->gva | 0x12300000000, WALK_READ), 0x7123);
    }
}

static void check_absent(const struct paging *p, unsigned i) {
    unsigned fetch = p->size == 8 ? WALK_EXECUTE : 0;
    set_entry(p, i, entry_of(p, i) & ~P);
    CHECK_FAULT(p->gva, WALK_READ, 0);
    CHECK_FAULT(p->gva, WALK_WRITE | WALK_USER, WALK_WRITE | WALK_USER);
    CHECK_FAULT(p->gva, WALK_EXECUTE, fetch);
    state.cr4 |= X86_CR4_SMEP;
    CHECK_FAULT(p->gva, WALK_EXECUTE, WALK_EXECUTE);
    for (unsigned j = 0; j < p->levels; j++) {
        CHECK_U64(entry_of(p, j) & (A | D), j < i && j >= p->plain ? A : 0);
    }
}

static void check_reserved(const struct paging *p, unsigned i) {
    uint64_t entry = entry_of(p, i);
    for (unsigned j = 0; j < 4 && p->reserved[i][j] != 0; j++) {
        set_entry(p, i, entry | p->reserved[i][j]);
        CHECK_FAULT(p->gva, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
    }
    set_entry(p, i, entry | p->free[i]);
    CHECK_U64(walk(p->gva, WALK_READ), 0x7123);
    if (p->size == 8) {
        set_entry(p, i, entry | NX);
        state.efer &= ~X86_EFER_NXE;
        CHECK_FAULT(p->gva, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
    }
}

static void check_permissions(const struct paging *p, unsigned i) {
    uint64_t entry = entry_of(p, i);
    if (i < p->plain) {
        return;
    }
    set_entry(p, i, entry & ~W);
    CHECK_FAULT(p->gva, WALK_WRITE, WALK_PF_PRESENT | WALK_WRITE);
    CHECK_U64(walk(p->gva, WALK_READ | WALK_USER), 0x7123);
    state.cr0 &= ~X86_CR0_WP;
    CHECK_U64(walk(p->gva, WALK_WRITE), 0x7123);
    set_entry(p, i, entry & ~U);
    CHECK_FAULT(p->gva, WALK_READ | WALK_USER, WALK_PF_PRESENT | WALK_USER);
    state.cr4 |= X86_CR4_SMEP | X86_CR4_SMAP; /* it is the kernel's own now */
    CHECK_U64(walk(p->gva, WALK_EXECUTE), 0x7123);
    set_entry(p, i, entry);
    CHECK_FAULT(p->gva, WALK_EXECUTE, WALK_PF_PRESENT | WALK_EXECUTE);
    CHECK_FAULT(p->gva, WALK_READ, WALK_PF_PRESENT);
    if (p->size == 8) {
        set_entry(p, i, entry | NX);
        CHECK_FAULT(p->gva, WALK_EXECUTE | WALK_USER, WALK_PF_PRESENT | WALK_EXECUTE | WALK_USER);
    }
}

TEST(all_kinds_marks) {
    each_level(check_marks);
}

TEST(all_kinds_absent) {
    each_level(check_absent);
}

TEST(all_kinds_reserved) {
    each_level(check_reserved);
}

TEST(all_kinds_permissions) {
    each_level(check_permissions);
}

/* 4 MiB pages are there with CR4.PSE only, and bits 20:13 are address bits 39:32 (PSE-36). */
TEST(pages_of_4m) {
    set_up_paging(&pagings[1]);
    set_entry(&pagings[1], 0, 0x12400000 | P | W | U | PS);
    CHECK_U64(walk(0xdeadc123, WALK_WRITE), 0x126dc123);
    CHECK_U64(entry_of(&pagings[1], 0), 0x12400000 | P | W | U | PS | A | D);
    CHECK_U64(last_page.depth, 1);
    CHECK_U64(last_page.steps[0].entry, 0x12400000 | P | W | U | PS | A | D);
    set_entry(&pagings[1], 0, 0x12400000 | 0xa5 << 13 | BIT(12) | P | PS);
    CHECK_U64(walk(0xdeadc123, WALK_READ), 0xa5126dc123);
    set_entry(&pagings[1], 0, 0x12400000 | BIT(21) | P | PS);
    CHECK_FAULT(0xdeadc123, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
    state.phys_bits = 36;
    set_entry(&pagings[1], 0, 0x12400000 | BIT(16) | P | PS);
    CHECK_U64(walk(0xdeadc123, WALK_READ), 0x8126dc123);
    set_entry(&pagings[1], 0, 0x12400000 | BIT(17) | P | PS);
    CHECK_FAULT(0xdeadc123, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
}

TEST(pages_of_2m_with_pae) {
    set_up_paging(&pagings[2]);
    set_entry(&pagings[2], 1, 0x812200000 | P | W | U | PS);
    CHECK_U64(walk(0xdeadc123, WALK_WRITE), 0x8122dc123);
    CHECK_U64(entry_of(&pagings[2], 1), 0x812200000 | P | W | U | PS | A | D);
    set_entry(&pagings[2], 1, 0x812200000 | BIT(13) | P | W | U | PS);
    CHECK_FAULT(0xdeadc123, WALK_READ, WALK_PF_PRESENT | WALK_PF_RESERVED);
}

/* PAE's first table needs 32 bytes of alignment only: CR3 has 27 bits for it. */
TEST(root_of_pae) {
    set_up(X86_CR4_PAE, X86_EFER_NXE);
    state.cr3 = 0xffffffff00001fe0 | 0x1f;
    put8(0x1fe8, 0x2000 | P);
    put8(0x2000, 0x3000 | P | W);
    put8(0x3000, 0x7000 | P | W);
    CHECK_U64(walk(0x40000000, WALK_READ), 0x7000);
}

/* The four entries that PAE's CR3 loads, in the last bytes of memory; the next would be outside. */
TEST(four_entries_of_cr3) {
    enum { AT = RAM_SIZE - 32 };
    static const struct {
        uint64_t entry;
        bool valid;
    } cases[] = {
        {0x5000 | P, true},
        {0x5000 | P | BIT(3) | BIT(4), true},  /* how its table is cached */
        {0x5000 | P | BIT(9) | BIT(11), true}, /* the system's own */
        {BIT(39) | P, true},
        {BIT(40) | P, false}, /* wider than the CPU's addresses */
        {0x5000 | P | W, false},
        {0x5000 | P | U, false},
        {0x5000 | P | BIT(5), true}, /* reserved, but QEMU marks it as accessed */
        {0x5000 | P | BIT(8), false},
        {0x5000 | P | NX, false},
        {NX | BIT(40) | W | U, true}, /* not there: nothing is looked at */
    };
    set_up(X86_CR4_PAE, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned slot = 0; slot < 4; slot++) {
            put8(AT + 8 * slot, cases[i].entry);
            CHECK_U64(walk_pdptes_valid(&mem, AT | 0x1f, 40), cases[i].valid);
            put8(AT + 8 * slot, 0x5000 | P);
        }
    }
    CHECK(walk_pdptes_valid(&mem, AT | BIT(32), 40)); /* CR3 has 32 bits here */
    put8(AT - 8, W | P);                              /* before the first */
    CHECK(walk_pdptes_valid(&mem, AT, 40));
}

TEST(canonical_with_5_levels) {
    set_up_paging(&pagings[4]);
    CHECK_U64(walk(0x0100000000000000, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_INVALID);
    CHECK_U64(walk(0xfeffffffffffffff, WALK_READ), NONE);
    CHECK_U64(last_status, STATUS_INVALID);
    CHECK_FAULT(0x00ffffffffffffff, WALK_READ, 0);
    CHECK_FAULT(0xff00000000000000, WALK_READ, 0);
}

/* Whatever tables and registers hold, the walk ends with one of its statuses. */
TEST(random_tables) {
    uint64_t r = 0x9e3779b97f4a7c15;
    unsigned seen[STATUS_FULL + 1] = {0};
    set_up_long();
    for (unsigned i = 0; i < 200000; i++) {
        for (unsigned j = 0; j < 16; j++) {
            (void)random_next(&r);
            uint64_t high = r >> 60 == 0 ? r & 0xfff0000000000000 : 0;
            uint64_t low = r >> 56 == 3 ? r >> 12 & 0xff : P | W | U;
            put8((r & 0xfff8) % RAM_SIZE, high | (r >> 40 & 0x1f000) | low);
        }
        state.cr0 = X86_CR0_PG | (r & X86_CR0_WP);
        state.cr3 = r & 0xffff;
        state.cr4 = r >> 7 & (X86_CR4_PAE | X86_CR4_PSE | X86_CR4_LA57 | X86_CR4_SMEP);
        state.efer = r >> 20 & (X86_EFER_LMA | X86_EFER_NXE);
        state.phys_bits = (uint8_t)(32 + r % 21);
        (void)walk((uint64_t)((int64_t)(r << 16) >> 16),
                   r >> 30 & (WALK_WRITE | WALK_USER | WALK_EXECUTE));
        seen[last_status]++;
    }
    CHECK(seen[STATUS_OK] > 1000);
    CHECK(seen[STATUS_DENIED] > 1000);
    CHECK(seen[STATUS_NOT_FOUND] > 1000);
    CHECK_U64(seen[STATUS_OK] + seen[STATUS_DENIED] + seen[STATUS_NOT_FOUND] + seen[STATUS_INVALID],
              200000);
}

TEST_MAIN(T(no_paging), T(long_4k), T(not_present), T(canonical), T(table_outside_ram),
          T(large_pages), T(reserved_bits), T(permissions), T(smep_and_smap), T(protection_keys),
          T(all_kinds_marks), T(all_kinds_absent), T(all_kinds_reserved), T(all_kinds_permissions),
          T(pages_of_4m), T(pages_of_2m_with_pae), T(root_of_pae), T(four_entries_of_cr3),
          T(canonical_with_5_levels), T(random_tables))
