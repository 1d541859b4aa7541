/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of a host CPU's own tables: what the builder makes of the list passes, and each page
 * too much, too little, of another guest, or with another bit is found. "Physical" memory is this
 * process's own, and the pieces are ranges that nobody touches.
 */
#include "hv/lib/phys.h"
#include "hv/mem/host_audit.h"
#include "hv/mem/pagetable.h"
#include "test.h"

#define PAGES 64u
#define CPU   1u /* the one under test, which runs VM 0 */

enum { TEXT, CONSTANTS, DATA, GUARD, SCREEN, APIC, MY_STACK, OTHERS_STACK, PUBLIC, RECORDS, LARGE };
enum { OTHERS_RECORDS = LARGE + 1, OTHERS_RAM, OWN_RAM, TABLES, PIECES };

static uint8_t memory[PAGES * PAGE_SIZE] ALIGNED(PAGE_SIZE);
static struct pool pool;
static struct pagetable tables;
static struct host_view view;

static struct host_piece pieces[PIECES] = {
    [TEXT] = {0x200000, 0x3000, HOST_CORE, HOST_RX, HOST_ANYBODY},
    [CONSTANTS] = {0x203000, 0x2000, HOST_CORE, HOST_R, HOST_ANYBODY},
    [DATA] = {0x205000, 0x4000, HOST_CORE, HOST_RW, HOST_ANYBODY},
    [GUARD] = {0x209000, 0x1000, HOST_HOLE, HOST_RIGHTS, HOST_ANYBODY},
    [SCREEN] = {0xe0000000, 4 * MIB, HOST_DEVICES, HOST_RW_WC, HOST_ANYBODY},
    [APIC] = {0xfee00000, 0x1000, HOST_DEVICES, HOST_RW_UC, HOST_ANYBODY},
    [MY_STACK] = {0x20a000, 0x4000, HOST_STACKS, HOST_RW, CPU},
    [OTHERS_STACK] = {0x20f000, 0x4000, HOST_STACKS, HOST_RW, 0},
    [PUBLIC] = {0x400000, 0x1000, HOST_PUBLIC, HOST_RW, HOST_ANYBODY},
    [RECORDS] = {0x401000, 0x9000, HOST_RECORDS, HOST_RW, 0},
    [LARGE] = {0x600000, 6 * MIB, HOST_RECORDS, HOST_RW, 0},
    [OWN_RAM] = {0x1200000, 2 * MIB, HOST_RAM, HOST_RW, 0},
    [OTHERS_RECORDS] = {0x40a000, 0x9000, HOST_RECORDS, HOST_RW, 1},
    [OTHERS_RAM] = {0xc00000, 4 * MIB, HOST_RAM, HOST_RW, 1},
};
static const struct host_map map = {.pieces = pieces, .count = PIECES};

static const struct {
    unsigned access;
    enum page_type type;
} how[HOST_RIGHTS] = {[HOST_RX] = {5, PAGE_WB},
                      [HOST_R] = {1, PAGE_WB},
                      [HOST_RW] = {3, PAGE_WB},
                      [HOST_RW_UC] = {3, PAGE_UC},
                      [HOST_RW_WC] = {3, PAGE_WC}};

static void map_piece(unsigned i) {
    const struct host_piece *p = &pieces[i];
    CHECK_U64(pagetable_map(&tables, p->base, HPA(p->base), p->size, how[p->rights].access,
                            how[p->rights].type),
              STATUS_OK);
}

static void start(void) {
    static const uint8_t mine[] = {TEXT,     CONSTANTS, DATA,    SCREEN, APIC,
                                   MY_STACK, PUBLIC,    RECORDS, LARGE,  TABLES};
    pool_init(&pool, "test", phys_address(memory), sizeof(memory));
    pieces[TABLES] =
        (struct host_piece){(uintptr_t)memory, sizeof(memory), HOST_CORE, HOST_RW, HOST_ANYBODY};
    CHECK_U64(pagetable_init(&tables, &pagetable_format_host, &pool, 3), STATUS_OK);
    for (size_t i = 0; i < ARRAY_SIZE(mine); i++) {
        map_piece(mine[i]);
    }
}

static enum status audit_parts(const struct host_map *m, uint32_t steps, unsigned *parts) {
    enum status s = STATUS_OK;

    view = (struct host_view){.next = 0};
    for (*parts = 0; s == STATUS_OK && !view.through; ++*parts) {
        uint64_t before = view.next;
        s = host_audit_part(m, phys_address(tables.root), CPU, 0, &view, steps);
        CHECK(s != STATUS_OK || view.next > before);
    }
    return s;
}

/* In parts it is the same. */
static enum status audit(void) {
    enum status s = host_audit(&map, phys_address(tables.root), CPU, 0, &view);
    struct host_view whole = view;
    unsigned parts;

    CHECK_U64(audit_parts(&map, 50, &parts), s);
    CHECK(view.wrong == whole.wrong && view.of == whole.of && view.entry == whole.entry);
    CHECK(memcmp(view.bytes, whole.bytes, sizeof(whole.bytes)) == 0);
    return s;
}

static void refused(const char *why) {
    CHECK_U64(audit(), STATUS_INVALID);
    CHECK_STR(view.wrong, why);
}

/* The raw entry of a leaf. */
static uint64_t *entry_of(uint64_t address, unsigned level) {
    uint64_t *table = tables.root;
    for (unsigned at = 4; at > level; at--) {
        uint64_t entry = table[address >> (12 + 9 * (at - 1)) & 511];
        table = phys_pointer(HPA(entry & 0xffffffffff000));
    }
    return &table[address >> (12 + 9 * (level - 1)) & 511];
}

TEST(what_is_planned_passes_and_is_counted) {
    start();
    CHECK_U64(audit(), STATUS_OK);
    CHECK_U64(view.bytes[HOST_CORE], 9 * PAGE_SIZE + sizeof(memory));
    CHECK_U64(view.bytes[HOST_DEVICES], 4 * MIB + PAGE_SIZE);
    CHECK_U64(view.bytes[HOST_PUBLIC], PAGE_SIZE);
    CHECK_U64(view.bytes[HOST_STACKS], 4 * PAGE_SIZE);
    CHECK_U64(view.bytes[HOST_RECORDS], 9 * PAGE_SIZE + 6 * MIB);
    CHECK_U64(view.bytes[HOST_RAM], 0);
    CHECK_U64(view.bytes[HOST_HOLE], 0);
}

/* What lies behind the list's last piece is none. */
TEST(what_is_behind_the_last) {
    static struct host_piece more[PIECES + 1];
    struct host_map other = {.pieces = more, .count = PIECES};

    start();
    memcpy(more, pieces, sizeof(pieces));
    more[PIECES] = (struct host_piece){0x10000000, PAGE_SIZE, HOST_CORE, HOST_RW, HOST_ANYBODY};
    CHECK_U64(host_audit(&other, phys_address(tables.root), CPU, 0, &view), STATUS_OK);
    CHECK_U64(pagetable_map(&tables, 0x10000000, HPA(0x10000000), PAGE_SIZE, 3, PAGE_WB),
              STATUS_OK);
    CHECK_U64(host_audit(&other, phys_address(tables.root), CPU, 0, &view), STATUS_INVALID);
    CHECK_STR(view.wrong, "what is nobody's is mapped");
}

TEST(parts_of_any_size) {
    static const uint32_t sizes[] = {1, 8, 9, 511, 512, 1000, UINT32_MAX};
    start();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned parts;
        CHECK_U64(audit_parts(&map, sizes[i], &parts), STATUS_OK);
        CHECK(sizes[i] == UINT32_MAX ? parts == 1 : parts > 1);
        CHECK_U64(view.bytes[HOST_CORE], 9 * PAGE_SIZE + sizeof(memory));
    }
}

/* A page of its own guest's RAM, writable, at that one address: nothing else, and nowhere else. */
TEST(the_page_that_is_kept) {
    const uint64_t kept = BIT(47) + MIB;
    const struct host_map keeps = {.pieces = pieces, .count = PIECES, .kept = kept};
    const struct {
        uint64_t address, frame;
        unsigned access;
        enum status status;
    } pages[] = {
        {kept, pieces[OWN_RAM].base + 5 * PAGE_SIZE, PAGE_READ | PAGE_WRITE, STATUS_OK},
        {kept, pieces[OWN_RAM].base, PAGE_READ, STATUS_INVALID},
        {kept, pieces[OWN_RAM].base, PAGE_READ | PAGE_EXECUTE, STATUS_INVALID},
        {kept, pieces[OTHERS_RAM].base, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
        {kept, pieces[OTHERS_RECORDS].base, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
        {kept, pieces[OTHERS_STACK].base, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
        {kept, pieces[DATA].base, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
        {kept, 64 * GIB, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
        {kept + PAGE_SIZE, pieces[OWN_RAM].base, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
        {kept - PAGE_SIZE, pieces[OWN_RAM].base, PAGE_READ | PAGE_WRITE, STATUS_INVALID},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        unsigned parts;
        start();
        CHECK_U64(audit_parts(&keeps, 50, &parts), STATUS_OK); /* it may be closed as well */
        CHECK_U64(pagetable_map(&tables, pages[i].address, HPA(pages[i].frame), PAGE_SIZE,
                                pages[i].access, PAGE_WB),
                  STATUS_OK);
        CHECK_U64(audit_parts(&keeps, 50, &parts), pages[i].status);
        CHECK_U64(audit(), STATUS_INVALID);
    }
    start(); /* where none is kept, address 0 is no exception */
    CHECK_U64(pagetable_map(&tables, 0, HPA(pieces[OWN_RAM].base), PAGE_SIZE,
                            PAGE_READ | PAGE_WRITE, PAGE_WB),
              STATUS_OK);
    CHECK_U64(audit(), STATUS_INVALID);
}

/* What others have is not there, whoever looks, and no RAM of its own guest's either. */
TEST(what_is_anothers) {
    static const uint8_t others[] = {OTHERS_RECORDS, OTHERS_RAM, OWN_RAM, OTHERS_STACK, GUARD};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        const struct host_piece *p = &pieces[others[i]];
        start();
        CHECK_U64(pagetable_map(&tables, p->base, HPA(p->base), PAGE_SIZE, 3, PAGE_WB), STATUS_OK);
        refused("what is another's is mapped");
        CHECK(view.of == p);
        CHECK_U64(view.address, p->base);
        CHECK_U64(view.entry & 0xffffffffff000, p->base);

        /* At another address, and read-only. */
        start();
        CHECK_U64(pagetable_map(&tables, BIT(46), HPA(p->base), PAGE_SIZE, 1, PAGE_WB), STATUS_OK);
        refused("what is another's is mapped");
        CHECK(view.of == p);
    }
    start();
    CHECK_U64(host_audit(&map, phys_address(tables.root), CPU, 1, &view), STATUS_INVALID);
    CHECK(view.of == &pieces[RECORDS]);
    start();
    CHECK_U64(host_audit(&map, phys_address(tables.root), 0, 0, &view), STATUS_INVALID);
    CHECK(view.of == &pieces[MY_STACK]);
    start();
    CHECK_U64(host_audit(&map, phys_address(tables.root), CPU, HOST_ANYBODY, &view),
              STATUS_INVALID);
}

TEST(what_is_nobodys) {
    start();
    CHECK_U64(pagetable_map(&tables, 64 * GIB, HPA(64 * GIB), GIB, 3, PAGE_WB), STATUS_OK);
    refused("what is nobody's is mapped");
    CHECK(view.of == NULL);
    CHECK_U64(view.address, 64 * GIB);
    start();
    CHECK_U64(pagetable_map(&tables, 0, HPA(0), PAGE_SIZE, PAGE_READ, PAGE_WB), STATUS_OK);
    refused("what is nobody's is mapped");
}

TEST(pages_at_a_second_address_or_across_a_border) {
    start();
    CHECK_U64(pagetable_map(&tables, BIT(47), HPA(pieces[DATA].base), PAGE_SIZE, 3, PAGE_WB),
              STATUS_OK);
    refused("a page is not at its own address");
    start();
    *entry_of(10 * MIB, 2) =
        0; /* the large piece's last page; the one before it goes beyond the end */
    pieces[LARGE].size = 3 * MIB;
    refused("a page reaches out of its piece");
    pieces[LARGE].size = 6 * MIB;
}

/* One bit too many or too few, in each kind of leaf and in a table's entry. */
TEST(every_bit_counts) {
    static const struct {
        unsigned piece, level;
    } leaves[] = {{TEXT, 1}, {CONSTANTS, 1}, {DATA, 1}, {APIC, 1}, {SCREEN, 2}, {LARGE, 2}};
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            bool address = bit >= 12 && bit < 52;
            if (address || (bit == 7 && leaves[i].level == 2)) {
                continue;
            }
            start();
            *entry_of(pieces[leaves[i].piece].base, leaves[i].level) ^= BIT(bit);
            refused("a page has other rights than planned");
        }
    }
    for (unsigned bit = 0; bit < 12; bit++) {
        start();
        *entry_of(pieces[TEXT].base, 2) ^= BIT(bit);
        CHECK_U64(audit(), STATUS_INVALID);
    }
}

TEST(what_is_missing) {
    static const uint8_t some[] = {TEXT, DATA, MY_STACK, PUBLIC, RECORDS, LARGE, SCREEN};
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        start();
        CHECK_U64(pagetable_unmap(&tables, pieces[some[i]].base, PAGE_SIZE), STATUS_OK);
        refused("not all that is planned is mapped");
    }
}

/* It is not read, so what lies there makes no difference. */
TEST(tables_where_none_may_be) {
    static const uint8_t bad[] = {OWN_RAM,        TEXT,   CONSTANTS, SCREEN,
                                  OTHERS_RECORDS, PUBLIC, MY_STACK};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        start();
        tables.root[300] = pieces[bad[i]].base | 0x23;
        refused("a table lies where none may be");
        CHECK_U64(host_audit(&map, HPA(pieces[bad[i]].base), CPU, 0, &view), STATUS_INVALID);
        CHECK_STR(view.wrong, "the root is not the core's");
    }
    start();
    tables.root[511] = 128 * GIB | 0x23;
    refused("a table lies where none may be");
}

TEST_MAIN(T(what_is_planned_passes_and_is_counted), T(parts_of_any_size), T(the_page_that_is_kept),
          T(what_is_anothers), T(what_is_nobodys), T(pages_at_a_second_address_or_across_a_border),
          T(every_bit_counts), T(what_is_missing), T(tables_where_none_may_be),
          T(what_is_behind_the_last))
