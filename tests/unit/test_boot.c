/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of boot/ that need no firmware: the list of memory ranges, the ELF loader, the ACPI
 * tables, the choice of screens, page tables, the device path. What comes from outside is fed
 * broken in most tests.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot/no_firmware.h"
#include "hv/lib/phys.h"
#include "hv/plan/kept_log.h"
#include "hv/plan/screens.h"
#include "tests/unit/test.h"

static struct boot_info info;

/* Memory ranges. */

#define NOTHING 255

static void check_against_model(const uint8_t *model, unsigned pages) {
    uint64_t end = 0;
    unsigned covered = 0;
    for (uint32_t i = 0; i < info.range_count; i++) {
        const struct mem_range *r = &info.ranges[i];
        CHECK(r->size != 0 && (i == 0 || r->base.v >= end));
        CHECK(i == 0 || r->base.v > end || r->kind != info.ranges[i - 1].kind); /* merged */
        end = r->base.v + r->size;
        for (uint64_t at = r->base.v; at < end; at += PAGE_SIZE, covered++) {
            CHECK_U64(model[at / PAGE_SIZE], r->kind);
        }
    }
    for (unsigned p = 0; p < pages; p++) {
        covered -= model[p] != NOTHING;
    }
    CHECK_U64(covered, 0);
}

TEST(ranges_random) {
    uint32_t random = 12345;
    for (unsigned round = 0; round < 200; round++) {
        uint8_t model[64];
        memset(model, NOTHING, sizeof(model));
        memset(&info, 0, sizeof(info));
        for (unsigned step = 0; step < 30; step++) {
            random = random * 1664525 + 1013904223;
            unsigned base = random >> 8 & 63, kind = (random >> 16) % 3;
            unsigned size = (random >> 20) % (65 - base);
            CHECK_U64(ranges_set(&info, base * PAGE_SIZE, size * PAGE_SIZE, kind), STATUS_OK);
            memset(model + base, (int)kind, size);
            check_against_model(model, ARRAY_SIZE(model));
        }
    }
}

TEST(ranges_limits) {
    memset(&info, 0, sizeof(info));
    CHECK_U64(ranges_set(&info, 0xfffffffffffff000, 0x2000, MEM_FREE), STATUS_INVALID);
    CHECK_U64(info.range_count, 0);
    enum status status = STATUS_OK;
    uint32_t i = 0;
    for (; status == STATUS_OK && i < 2 * BOOT_MAX_RANGES; i++) {
        status = ranges_set(&info, 4 * i * PAGE_SIZE, 3 * PAGE_SIZE, MEM_FREE);
    }
    CHECK_U64(status, STATUS_FULL);
    CHECK_U64(info.range_count, i - 1);
    /* A hole in the middle of a range makes three of one: one free entry is not enough. */
    info.range_count = BOOT_MAX_RANGES - 1;
    CHECK_U64(ranges_set(&info, PAGE_SIZE, PAGE_SIZE, MEM_BULKHEAD), STATUS_FULL);
    CHECK_U64(info.ranges[0].size, 3 * PAGE_SIZE);
}

/* The ELF loader. */

#define ELF_SIZE 0x400
#define MEM_SIZE 0x2000

static ALIGNED(16) uint8_t elf[ELF_SIZE], memory[MEM_SIZE];

static void put(uint8_t *at, uint64_t value, unsigned size) {
    memcpy(at, &value, size);
}

/* One segment of 0x300 bytes at 0 with a 0x1000-byte tail, dynamic at 0x100, one relocation at
 * 0x200. */
static void make_elf(void) {
    memset(elf, 0, sizeof(elf));
    memset(memory, 0, sizeof(memory));
    memcpy(elf, "\177ELF\2\1\1", 7);
    put(elf + 16, 3, 2);     /* ET_DYN */
    put(elf + 18, 62, 2);    /* x86-64 */
    put(elf + 24, 0x280, 8); /* entry */
    put(elf + 32, 64, 8);    /* program headers */
    put(elf + 54, 56, 2);
    put(elf + 56, 2, 2);
    put(elf + 64, 1, 4);           /* PT_LOAD */
    put(elf + 64 + 32, 0x300, 8);  /* file size */
    put(elf + 64 + 40, 0x1300, 8); /* memory size */
    put(elf + 120, 2, 4);          /* PT_DYNAMIC */
    put(elf + 120 + 8, 0x100, 8);
    put(elf + 120 + 16, 0x100, 8);
    put(elf + 120 + 32, 0x30, 8);
    put(elf + 120 + 40, 0x30, 8);
    /* The program headers reach to 0xb0, the dynamic section starts behind. */
    put(elf + 0x100, 7, 8); /* DT_RELA */
    put(elf + 0x108, 0x200, 8);
    put(elf + 0x110, 8, 8); /* DT_RELASZ */
    put(elf + 0x118, 24, 8);
    put(elf + 0x200, 0x2f8, 8); /* where */
    put(elf + 0x208, 8, 8);     /* R_X86_64_RELATIVE */
    put(elf + 0x210, 0x123, 8); /* addend */
    elf[0x2ff] = 0xee;
}

TEST(elf_good) {
    make_elf();
    CHECK_U64(elf_span(elf), 0x1300);
    CHECK_U64((uintptr_t)elf_load(elf, memory), (uintptr_t)memory + 0x280);
    uint64_t seen;
    memcpy(&seen, memory + 0x2f8, 8);
    CHECK_U64(seen, (uintptr_t)memory + 0x123);
    CHECK_U64(memory[0x300], 0);
}

/* True if loading the file ends in a failed assertion. */
static bool load_dies(void) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        elf_load(elf, memory);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* A relocation that is passed over leaves a wrong address in the hypervisor. */
TEST(elf_other_relocations) {
    static const uint8_t tags[] = {17 /* DT_REL */, 2 /* DT_PLTRELSZ */, 35 /* DT_RELRSZ */};
    make_elf();
    CHECK(!load_dies());
    for (unsigned i = 0; i < ARRAY_SIZE(tags); i++) {
        make_elf();
        put(elf + 0x120, tags[i], 8);
        put(elf + 0x128, 8, 8);
        CHECK(load_dies());
    }
    make_elf();
    put(elf + 0x208, 6, 8); /* R_X86_64_GLOB_DAT */
    CHECK(load_dies());
}

/* ACPI. Tables lie below 4 GiB, as the real ones do. */

static struct {
    uint8_t rsdp[36], xsdt[76], madt[512], fadt[244], hpet[56], srat[256], spcr[80];
} * t;
static uint32_t madt_size;

static void seal(uint8_t *table, uint32_t size) {
    uint8_t sum = 0;
    put(table + 4, size, 4);
    table[9] = 0;
    for (uint32_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + table[i]);
    }
    table[9] = (uint8_t)-sum;
}

static void seal_rsdp(void) {
    uint8_t sum = 0;
    t->rsdp[8] = t->rsdp[32] = 0;
    for (unsigned i = 0; i < 20; i++) {
        sum = (uint8_t)(sum + t->rsdp[i]);
    }
    t->rsdp[8] = (uint8_t)-sum;
    for (unsigned i = sum = 0; i < 36; i++) {
        sum = (uint8_t)(sum + t->rsdp[i]);
    }
    t->rsdp[32] = (uint8_t)-sum;
}

static void add_madt(const char *bytes, uint8_t size) {
    memcpy(t->madt + madt_size, bytes, size);
    madt_size += size;
    seal(t->madt, madt_size);
}

static void make_roots(void) {
    uint8_t *tables[] = {t->spcr, t->madt, t->fadt, t->hpet};
    memcpy(t->xsdt, "XSDT", 4);
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        put(t->xsdt + 36 + 8 * i, (uintptr_t)tables[i], 8);
    }
    seal(t->xsdt, 36 + 4 * 8);
    memcpy(t->rsdp, "RSD PTR ", 8);
    t->rsdp[15] = 2;
    put(t->rsdp + 20, 36, 4);
    put(t->rsdp + 24, (uintptr_t)t->xsdt, 8);
    seal_rsdp();
}

static void make_acpi(void) {
    if (t == NULL) {
        t = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                 -1, 0);
        if (t == MAP_FAILED) {
            abort();
        }
    }
    memset(t, 0, sizeof(*t));
    memset(&info, 0, sizeof(info));
    memcpy(t->madt, "APIC", 4);
    put(t->madt + 36, 0xfee00000, 4);
    madt_size = 44;
    add_madt("\0\10\0\4\1\0\0\0", 8);                   /* CPU, APIC ID 4 */
    add_madt("\0\10\1\5\0\0\0\0", 8);                   /* disabled */
    add_madt("\0\10\1\6\2\0\0\0", 8);                   /* online capable */
    add_madt("\11\20\0\0\0\1\0\0\1\0\0\0\2\0\0\0", 16); /* x2APIC ID 0x100 */
    add_madt("\11\20\0\0\4\0\0\0\1\0\0\0\0\0\0\0", 16); /* APIC ID 4 once more */
    add_madt("\0\10\3\377\1\0\0\0", 8);                 /* broadcast: no CPU */
    add_madt("\1\14\0\0\0\0\300\376\0\0\0\0", 12);      /* I/O APIC */
    add_madt("\1\14\1\0\0\20\300\376\30\0\0\0", 12);    /* a second one, GSI 24 */
    add_madt("\2\12\0\0\2\0\0\0\0\0", 10);              /* IRQ 0 is GSI 2 */
    add_madt("\2\12\0\11\11\0\0\0\17\0", 10);           /* IRQ 9 low, level */
    add_madt("\2\12\0\20\2\0\0\0\0\0", 10);             /* IRQ 16: not ISA */
    memcpy(t->fadt, "FACP", 4);
    put(t->fadt + 76, 0x408, 4);
    put(t->fadt + 112, BIT(8), 4);
    seal(t->fadt, 116);
    memcpy(t->hpet, "HPET", 4);
    put(t->hpet + 44, 0xfed00000, 8);
    seal(t->hpet, 56);
    make_roots();
}

static void check_all_there(void) {
    CHECK_U64(info.rsdp.v, (uintptr_t)t->rsdp);
    CHECK_U64(info.cpu_count, 2);
    CHECK_U64(info.apic_ids[0], 4);
    CHECK_U64(info.apic_ids[1], 0x100);
    CHECK_U64(info.ioapic_count, 2);
    CHECK_U64(info.ioapics[1].base.v, 0xfec01000);
    CHECK_U64(info.ioapics[1].gsi_base, 24);
    CHECK_U64(info.isa_irqs[0].gsi, 2);
    CHECK(!info.isa_irqs[0].level && !info.isa_irqs[0].active_low);
    CHECK_U64(info.isa_irqs[9].gsi, 9);
    CHECK(info.isa_irqs[9].level && info.isa_irqs[9].active_low);
    CHECK_U64(info.pm_timer_port, 0x408);
    CHECK_U64(info.hpet_base.v, 0xfed00000);
}

static enum status read_acpi(void) {
    return acpi_read(phys_address(t->rsdp), &info);
}

TEST(acpi_good) {
    make_acpi();
    CHECK_U64(read_acpi(), STATUS_OK);
    check_all_there();
}

TEST(acpi_broken_root) {
    make_acpi();
    t->rsdp[10] ^= 1;
    CHECK_U64(read_acpi(), STATUS_INVALID);
    CHECK_U64(info.rsdp.v, 0);
    make_acpi();
    put(t->xsdt + 4, 20, 4); /* a length beyond reason */
    CHECK_U64(read_acpi(), STATUS_INVALID);
    CHECK_U64(info.cpu_count, 0);
    make_acpi();
    t->xsdt[0] ^= 1;
    CHECK_U64(read_acpi(), STATUS_INVALID);
}

/* A firmware that changes a table and forgets that: it means what it says. */
TEST(acpi_wrong_checksums) {
    make_acpi();
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.acpi_wrong_sums, 0);

    make_acpi();
    t->madt[10] ^= 1;
    t->xsdt[10] ^= 1;
    CHECK_U64(read_acpi(), STATUS_OK);
    check_all_there();
    CHECK_U64(info.acpi_wrong_sums, 2);
}

TEST(acpi_ioapic_at_0) {
    make_acpi();
    add_madt("\1\14\2\0\0\0\0\0\60\0\0\0", 12);
    CHECK_U64(read_acpi(), STATUS_OK);
    check_all_there();
}

TEST(acpi_broken_tables) {
    make_acpi();
    put(t->madt + 4, 20, 4); /* skipped, the others are read */
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.cpu_count, 0);
    CHECK_U64(info.pm_timer_port, 0x408);

    make_acpi();
    add_madt("\0\0", 2); /* an entry that would never end */
    CHECK_U64(read_acpi(), STATUS_OK);
    check_all_there();

    make_acpi();
    add_madt("\11\20\0\0\0\2\0\0", 8); /* an entry that ends behind the table */
    put(t->madt + madt_size, 1, 4);
    CHECK_U64(read_acpi(), STATUS_OK);
    check_all_there();

    make_acpi();
    put(t->fadt + 4, 0xffffffff, 4); /* a length beyond reason */
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.pm_timer_port, 0);
}

/* The console's line. Microsoft, "Serial Port Console Redirection Table". */
#define IO     1
#define MEMORY 0

static void make_spcr(unsigned type, unsigned space, unsigned bits, unsigned access,
                      uint64_t base) {
    make_acpi();
    memcpy(t->spcr, "SPCR", 4);
    t->spcr[36] = (uint8_t)type;
    t->spcr[40] = (uint8_t)space;
    t->spcr[41] = (uint8_t)bits;
    t->spcr[43] = (uint8_t)access;
    put(t->spcr + 44, base, 8);
}

static const struct boot_serial *read_spcr(uint32_t size) {
    seal(t->spcr, size);
    memset(&info, 0, sizeof(info));
    for (unsigned i = 0; i < ARRAY_SIZE(info.isa_irqs); i++) {
        info.isa_irqs[i].gsi = i;
    }
    CHECK_U64(read_acpi(), STATUS_OK);
    check_all_there();
    return &info.spcr;
}

TEST(acpi_spcr) {
    static const struct {
        unsigned type, space, bits, access, stride, width; /* stride 0: not to be used */
    } cases[] = {
        {0, IO, 8, 1, 1, 1},          {0, IO, 8, 0, 1, 1},      {1, IO, 0, 0, 1, 1},
        {0x12, IO, 32, 3, 4, 1},      {0, MEMORY, 8, 1, 1, 1},  {0, MEMORY, 32, 3, 4, 4},
        {0x12, MEMORY, 32, 1, 4, 1},  {0, MEMORY, 32, 2, 4, 4}, /* the Raspberry Pi's says a word,
                                                                   and means this */
        {0x14, MEMORY, 32, 32, 4, 4},                           /* bits, as some write them */
        {0, MEMORY, 16, 2, 2, 2},     {0, MEMORY, 64, 4, 0, 0}, {0, MEMORY, 33, 3, 0, 0},
        {0, 2, 8, 1, 0, 0},                                     /* PCI configuration space */
        {0, 0x7f, 8, 1, 0, 0},        {3, MEMORY, 32, 3, 0, 0}, /* an ARM PL011 */
        {2, IO, 8, 1, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t base = cases[i].space == IO ? 0x2f8 : 0x12fe042000;
        make_spcr(cases[i].type, cases[i].space, cases[i].bits, cases[i].access, base);
        const struct boot_serial *spcr = read_spcr(80);
        bool used = cases[i].stride != 0;
        CHECK_U64(spcr->base, used ? base : 0);
        CHECK_U64(spcr->in_memory, used && cases[i].space == MEMORY);
        CHECK_U64(spcr->stride, cases[i].stride);
        CHECK_U64(spcr->width, cases[i].width);
        CHECK_U64(spcr->keep_speed, used);
        CHECK_U64(spcr->irq, 0);
    }
}

/* A management controller has a table of its own, of whose words none is needed. */
TEST(acpi_management) {
    make_spcr(0, IO, 8, 1, 0x2f8);
    CHECK_U64(read_spcr(80)->base, 0x2f8);
    CHECK(!info.management);
    memcpy(t->spcr, "SPMI", 4);
    CHECK_U64(read_spcr(80)->base, 0);
    CHECK(info.management);
}

/* Configuration space in memory: by whole buses, at addresses that there are; and what holds back.
 */
TEST(acpi_mcfg) {
    static const struct {
        uint64_t base;
        uint8_t segment, first, last;
        bool good;
    } cases[] = {
        {0xe0000000, 0, 0, 255, true},  {0x7000000000, 1, 0x10, 0x1f, true},
        {0xe0000000, 2, 5, 5, true},    {0, 0, 0, 255, false},
        {0xe0001000, 0, 0, 255, false}, {0xe0000000, 0, 6, 5, false},
        {BIT(52), 0, 0, 0, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        make_acpi();
        memcpy(t->spcr, "MCFG", 4);
        put(t->spcr + 44, 0xf0000000, 8);
        put(t->spcr + 52, 0xffffff00000007, 8); /* its last four bytes are not used */
        t->spcr[55] = 3;
        put(t->spcr + 60, cases[i].base, 8);
        put(t->spcr + 68, cases[i].segment, 2);
        t->spcr[70] = cases[i].first;
        t->spcr[71] = cases[i].last;
        read_spcr(79); /* three bytes behind the two entries */
        CHECK_U64(info.ecam_count, cases[i].good ? 2 : 1);
        const struct boot_ecam *e = &info.ecams[0];
        CHECK(e->base.v == 0xf0000000 && e->segment == 7);
        CHECK(e->first_bus == 0 && e->last_bus == 3);
        if (cases[i].good) {
            e++;
            CHECK(e->base.v == cases[i].base && e->segment == cases[i].segment);
            CHECK(e->first_bus == cases[i].first && e->last_bus == cases[i].last);
        }
        read_spcr(75); /* the second one is cut off */
        CHECK_U64(info.ecam_count, 1);
        read_spcr(44);
        CHECK_U64(info.ecam_count, 0);
    }
}

TEST(acpi_spcr_interrupt) {
    static const struct {
        uint8_t type, irq;
        uint32_t gsi;
        uint8_t want;
    } cases[] = {
        {0, 4, 4, 0}, {1, 4, 0, 4}, {3, 3, 3, 3},   {2, 0, 4, 4},   {2, 0, 40, 0},
        {1, 2, 0, 0}, {1, 0, 0, 0}, {1, 16, 0, 0},  {3, 255, 3, 3}, {8, 4, 4, 0},
        {2, 0, 0, 0}, {2, 0, 1, 0}, {2, 0, 20, 10}, {2, 0, 2, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        make_spcr(0, IO, 8, 1, 0x3f8);
        add_madt("\2\12\0\12\24\0\0\0\0\0", 10); /* IRQ 10 arrives at 20 */
        t->spcr[52] = cases[i].type;
        t->spcr[53] = cases[i].irq;
        put(t->spcr + 54, cases[i].gsi, 4);
        CHECK_U64(read_spcr(80)->irq, cases[i].want);
    }
}

TEST(acpi_spcr_broken) {
    make_spcr(0, IO, 8, 1, 0x3f8);
    CHECK_U64(read_spcr(58)->base, 0x3f8); /* no field is missed after the interrupt */
    make_spcr(0, IO, 8, 1, 0x3f8);
    CHECK_U64(read_spcr(57)->base, 0);
    make_spcr(0, IO, 8, 1, 0x3f8);
    seal(t->spcr, 80);
    t->spcr[60] ^= 1; /* used all the same: the UART is tried before it is believed */
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.spcr.base, 0x3f8);
    CHECK_U64(info.acpi_wrong_sums, 1);
    make_spcr(0, IO, 8, 1, 0); /* as firmwares say that there is none */
    CHECK_U64(read_spcr(80)->base, 0);
}

/* Servers with two sockets have nine. */
TEST(acpi_many_ioapics) {
    make_acpi();
    for (uint8_t i = 2; i < 20; i++) {
        uint8_t entry[12] = {1, 12, i, 0, 0, 0x10, 0xc0, 0xfe, i};
        add_madt((const char *)entry, sizeof(entry));
    }
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.ioapic_count, 20);
    CHECK_U64(info.ioapics[19].gsi_base, 19);
}

/* What there is no room for is counted. */
TEST(acpi_many_cpus) {
    memset(&info, 0, sizeof(info));
    for (uint32_t id = 0; id < CONFIG_MAX_CPUS + 32; id++) {
        acpi_add_cpu(&info, 2 * id);
        acpi_add_cpu(&info, 0); /* once more */
    }
    CHECK_U64(info.cpu_count, CONFIG_MAX_CPUS);
    CHECK_U64(info.apic_ids[CONFIG_MAX_CPUS - 1], 2 * (CONFIG_MAX_CPUS - 1));
    CHECK_U64(info.cpus_left_out, 32);
}

/* ACPI appends fields to entries from version to version; one that is too short says nothing. */
TEST(acpi_madt_lengths) {
    make_acpi();
    add_madt("\0\12\4\7\1\0\0\0\0\0", 10);                      /* CPU 7 */
    add_madt("\11\24\0\0\0\2\0\0\1\0\0\0\2\0\0\0\0\0\0\0", 20); /* x2APIC ID 0x200 */
    add_madt("\1\20\2\0\0\40\300\376\60\0\0\0\0\0\0\0", 16);    /* I/O APIC, GSI 48 */
    add_madt("\2\14\0\5\5\0\0\0\17\0\0\0", 12);                 /* IRQ 5 low, level */
    add_madt("\0\12\5\377\1\0\0\0\0\0", 10);                    /* all CPUs, and so none */
    add_madt("\11\24\0\0\377\377\377\377\1\0\0\0\3\0\0\0\0\0\0\0", 20);
    add_madt("\0\6\5\10\1\0", 6); /* cut off */
    add_madt("\11\14\0\0\0\3\0\0\1\0\0\0", 12);
    add_madt("\1\10\3\0\0\60\300\376", 8);
    add_madt("\2\10\0\6\7\0\0\0", 8);
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.cpu_count, 4);
    CHECK_U64(info.apic_ids[2], 7);
    CHECK_U64(info.apic_ids[3], 0x200);
    CHECK_U64(info.ioapic_count, 3);
    CHECK_U64(info.ioapics[2].gsi_base, 48);
    CHECK(info.isa_irqs[5].level && info.isa_irqs[5].active_low);
    CHECK_U64(info.isa_irqs[6].gsi, 0);
}

TEST(acpi_pm_timer) {
    make_acpi();
    put(t->fadt + 112, 0, 4);
    seal(t->fadt, 244);
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.pm_timer_port, 0x408);

    make_acpi(); /* no I/O port */
    put(t->fadt + 76, 0xfed80808, 4);
    seal(t->fadt, 244);
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.pm_timer_port, 0);

    make_acpi(); /* hardware-reduced ACPI has none */
    put(t->fadt + 112, BIT(20), 4);
    seal(t->fadt, 244);
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.pm_timer_port, 0);
}

static uint32_t srat_size;

static void add_srat(const char *bytes, uint8_t size) {
    memcpy(t->srat + srat_size, bytes, size);
    srat_size += size;
    seal(t->srat, srat_size);
}

/* Needs 8 GiB or more for the number of a node that takes more than a byte. */
TEST(acpi_nodes) {
    make_acpi();
    memcpy(t->srat, "SRAT", 4);
    srat_size = 48;
    add_srat("\0\20\3\4\1\0\0\0\0\2\0\0\0\0\0\0", 16); /* APIC ID 4: node 203h */
    add_srat("\2\30\0\0\1\0\0\0\0\1\0\0\1\0\0\0"       /* x2APIC ID 100h: node 1 */
             "\0\0\0\0\0\0\0\0",
             24);
    add_srat("\0\20\7\4\0\0\0\0\0\0\0\0\0\0\0\0", 16);  /* disabled */
    add_srat("\0\20\1\11\1\0\0\0\0\0\0\0\0\0\0\0", 16); /* a CPU that is not there */
    add_srat("\1\50\1\0\0\0\0\0\0\0\0\0\2\0\0\0"        /* 8 GiB from 8 GiB on: node 1 */
             "\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0",
             40);
    add_srat("\1\50\2\0\0\0\0\0\0\0\0\0\4\0\0\0" /* no size */
             "\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0",
             40);
    add_srat("\1\50\2\0\0\0\0\0\0\0\0\0\4\0\0\0" /* ends beyond all addresses */
             "\377\377\377\377\377\377\377\377\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0",
             40);
    add_srat("\1\20\2\0\0\0\0\0\0\0\0\0\4\0\0\0", 16); /* cut off */
    put(t->xsdt + 36 + 4 * 8, (uintptr_t)t->srat, 8);
    seal(t->xsdt, 36 + 5 * 8);
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.cpu_nodes[0], 0x203);
    CHECK_U64(info.cpu_nodes[1], 1);
    CHECK_U64(info.node_count, 1);
    CHECK_U64(info.nodes[0].base.v, 8 * GIB);
    CHECK_U64(info.nodes[0].size, 8 * GIB);
    CHECK_U64(info.nodes[0].number, 1);

    make_acpi(); /* no such table: all memory is the same */
    CHECK_U64(read_acpi(), STATUS_OK);
    CHECK_U64(info.node_count, 0);
}

/* The log of the start before. */

static struct kept_log kept;
static char kept_text[KEPT_LOG_TEXT];

static void make_kept_log(uint64_t written) {
    memset(&kept, 0, sizeof(kept));
    kept_log_begin(&kept, 0);
    for (uint64_t i = written < 2 * KEPT_LOG_TEXT ? 0 : written - 2 * KEPT_LOG_TEXT; i < written;
         i++) {
        char c = (char)('a' + i % 23);
        kept_log_put(&kept, i, &c, 1);
    }
}

TEST(kept_log_whole) {
    static const uint64_t written[] = {0, 1, 1000, KEPT_LOG_TEXT - 1, KEPT_LOG_TEXT};
    for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
        make_kept_log(written[i]);
        CHECK_U64(kept_log_read(&kept, kept_text), written[i]);
        for (uint64_t n = 0; n < written[i]; n++) {
            CHECK(kept_text[n] == (char)('a' + n % 23));
        }
    }
}

/* Of a long log the end is there, in order. */
TEST(kept_log_wrapped) {
    static const uint64_t more[] = {1, 777, KEPT_LOG_TEXT + 5, 1000000};
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
        make_kept_log(KEPT_LOG_TEXT + more[i]);
        CHECK_U64(kept_log_read(&kept, kept_text), KEPT_LOG_TEXT);
        for (uint64_t n = 0; n < KEPT_LOG_TEXT; n++) {
            CHECK(kept_text[n] == (char)('a' + (n + more[i]) % 23));
        }
    }
}

/* Memory that holds something else, or has forgotten some bits. */
TEST(kept_log_broken) {
    for (unsigned i = 0; i < sizeof(kept.mark); i++) {
        make_kept_log(100);
        kept.mark[i] ^= 4;
        CHECK_U64(kept_log_read(&kept, kept_text), 0);
    }
    make_kept_log(100);
    memcpy(kept.text, "a\x1b\n\r\t\0\x7f\xff~ ", 10);
    kept_log_read(&kept, kept_text);
    CHECK(memcmp(kept_text, "a?\n\r\t???~ ", 10) == 0);
    kept.written = UINT64_MAX;
    CHECK_U64(kept_log_read(&kept, kept_text), KEPT_LOG_TEXT);
}

/* Screens. */

#define FB_BASE 0xc0000000

/* The console's screen, at a place of its own. */
static struct screen_found good_screen(unsigned number) {
    uint64_t base = FB_BASE + number * 16 * MIB;
    struct boot_framebuffer fb = {HPA(base), 1024 * 768 * 4, 1024, 768, 1024, false};
    return (struct screen_found){fb, true};
}

static void check_screens(const struct screen_found *found, unsigned count, const char *chosen) {
    memset(&info, 0, sizeof(info));
    screens_choose(found, count, &info);
    CHECK_U64(info.screen_count, strlen(chosen));
    for (unsigned i = 0; i < info.screen_count; i++) {
        CHECK_U64(info.screens[i].base.v, found[chosen[i] - '0'].fb.base.v);
    }
}

TEST(screens_of_the_console) {
    struct screen_found found[6];
    for (unsigned i = 0; i < ARRAY_SIZE(found); i++) {
        found[i] = good_screen(i);
    }
    check_screens(found, 0, "");
    check_screens(found, 1, "0");
    check_screens(found, 3, "012");
    check_screens(found, 6, "0123"); /* no room for more */
    found[0].console = false;
    check_screens(found, 3, "12");
    found[1].console = found[2].console = false;
    check_screens(found, 3, "0"); /* nobody knows which */
    found[0].fb.base = HPA(0);
    check_screens(found, 3, "1");
    found[2].console = true;
    check_screens(found, 3, "2");
    found[2].fb.base = HPA(0); /* the firmware's own can only be drawn on by itself */
    check_screens(found, 3, "1");
}

TEST(screens_left_out) {
    static const struct {
        struct boot_framebuffer fb;
        bool good;
    } cases[] = {
        {{HPA(FB_BASE), 16 * MIB, 640, 480, 640, false}, true},
        {{HPA(FB_BASE), 16 * MIB, 639, 480, 640, false}, false},
        {{HPA(FB_BASE), 16 * MIB, 640, 479, 640, false}, false},
        {{HPA(FB_BASE), 16 * MIB, 640, 480, 639, false}, false},
        {{HPA(FB_BASE + 2), 16 * MIB, 640, 480, 640, false}, false},
        {{HPA(BIT(47) - 16 * MIB), 16 * MIB, 640, 480, 640, false}, true},
        {{HPA(BIT(47) - 16 * MIB), 16 * MIB + 1, 640, 480, 640, false}, false},
        {{HPA(BIT(47)), 16 * MIB, 640, 480, 640, false}, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct screen_found found = {cases[i].fb, true};
        memset(&info, 0, sizeof(info));
        screens_choose(&found, 1, &info);
        CHECK_U64(info.screen_count, cases[i].good ? 1 : 0);
    }
}

/* The firmware's sum of its screens has the place of one of them. */
TEST(screens_overlap) {
    struct screen_found found[3] = {good_screen(0), good_screen(0), good_screen(1)};
    check_screens(found, 3, "02");
    found[1].fb.base.v += found[0].fb.size - 4;
    check_screens(found, 3, "02");
    found[1].fb.base.v += 4;
    check_screens(found, 3, "012");
    found[1].fb.base.v = FB_BASE - found[1].fb.size + 4;
    check_screens(found, 3, "02");
}

/* Its lines are what the firmware draws by. */
TEST(screens_size) {
    struct screen_found found = good_screen(0);
    found.fb.size = 4096;
    found.fb.stride = 1056;
    screens_choose(&found, 1, &info);
    CHECK_U64(info.screen_count, 1);
    CHECK_U64(info.screens[0].size, 1056 * 768 * 4);
    found.fb.size = 16 * MIB;
    screens_choose(&found, 1, &info);
    CHECK_U64(info.screens[0].size, 16 * MIB);
}

TEST(screens_pixels) {
    uint32_t pixels[64] = {[3] = 0x5aa55a, [10] = 0xff5aa55a, [20] = 0x5aa55a};
    CHECK_U64(pixels_search(pixels, 4, 64, 0x5aa55a), 10);
    CHECK_U64(pixels_search(pixels, 11, 20, 0x5aa55a), 20);
    CHECK_U64(pixels_search(pixels, 11, 21, 0x5aa55a), 20);
    CHECK_U64(pixels_search(pixels, 21, 64, 0x5aa55a), 64);
}

/* The firmware's page tables. */

#define PTE_PRESENT BIT(0)
#define PTE_WRITE   BIT(1)
#define PTE_LARGE   BIT(7)
#define PTE_NX      BIT(63)

typedef uint64_t page_table[512];

/* Five levels; what is mapped is at WHERE, by an index of its own at each level. */
static struct { page_table pml5, pml4, pdpt, pd, pt[2]; } * tables;
#define WHERE (1ull << 48 | 2ull << 39 | 3ull << 30 | 4ull << 21 | 510ull << 12)

static uint64_t table_entry(const page_table table) {
    return (uintptr_t)table | PTE_PRESENT;
}

/* Four pages, across the border of two tables: nothing may be executed, nor written. */
static void make_tables(void) {
    if (tables == NULL) {
        tables = mmap(NULL, sizeof(*tables), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        if (tables == MAP_FAILED) {
            abort();
        }
    }
    memset(tables, 0, sizeof(*tables));
    tables->pml5[1] = table_entry(tables->pml4);
    tables->pml4[2] = table_entry(tables->pdpt) | PTE_NX;
    tables->pdpt[3] = table_entry(tables->pd);
    tables->pd[4] = table_entry(tables->pt[0]);
    tables->pd[5] = table_entry(tables->pt[1]) | PTE_NX;
    for (unsigned i = 0; i < 4; i++) {
        tables->pt[i / 2][i < 2 ? 510 + i : i - 2] = (WHERE + i * PAGE_SIZE) | PTE_PRESENT | PTE_NX;
    }
}

static bool open_tables(uint64_t base, uint64_t size) {
    return tables_open(phys_address(tables->pml5), 5, base, size);
}

static bool is_open(uint64_t entry) {
    return (entry & (PTE_PRESENT | PTE_WRITE | PTE_NX)) == (PTE_PRESENT | PTE_WRITE);
}

TEST(tables_small_pages) {
    make_tables();
    CHECK(open_tables(WHERE + PAGE_SIZE, 2 * PAGE_SIZE));
    CHECK(is_open(tables->pml5[1]) && is_open(tables->pml4[2]) && is_open(tables->pdpt[3]));
    CHECK(is_open(tables->pd[4]) && is_open(tables->pd[5]));
    CHECK_U64(tables->pt[0][511], (WHERE + PAGE_SIZE) | PTE_PRESENT | PTE_WRITE);
    CHECK(is_open(tables->pt[1][0]));
    CHECK(!is_open(tables->pt[0][510]) && !is_open(tables->pt[1][1])); /* its neighbours */
}

TEST(tables_four_levels) {
    make_tables();
    CHECK(tables_open(phys_address(tables->pml4), 4, WHERE, PAGE_SIZE));
    CHECK(is_open(tables->pml4[2]) && is_open(tables->pt[0][510]));
    CHECK_U64(tables->pml5[1], table_entry(tables->pml4));
}

/* The bit of a large page in an entry for a small one is its memory type. */
TEST(tables_large_pages) {
    make_tables();
    tables->pd[4] = ALIGN_DOWN(WHERE, 2 * MIB) | PTE_PRESENT | PTE_LARGE | PTE_NX;
    tables->pt[1][0] |= PTE_LARGE;
    CHECK(open_tables(WHERE, 4 * PAGE_SIZE));
    CHECK(is_open(tables->pd[4]) && is_open(tables->pt[1][0]) && is_open(tables->pt[1][1]));

    make_tables();
    tables->pdpt[3] = ALIGN_DOWN(WHERE, GIB) | PTE_PRESENT | PTE_LARGE | PTE_NX;
    CHECK(open_tables(WHERE, 4 * PAGE_SIZE));
    CHECK(is_open(tables->pdpt[3]));
    CHECK_U64(tables->pd[4], table_entry(tables->pt[0]));
}

TEST(tables_holes) {
    make_tables();
    uint64_t *levels[] = {&tables->pml5[1], &tables->pml4[2], &tables->pdpt[3], &tables->pd[5],
                          &tables->pt[1][1]};
    for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
        make_tables();
        *levels[i] &= ~PTE_PRESENT;
        CHECK(!open_tables(WHERE, 4 * PAGE_SIZE));
        CHECK((*levels[i] & PTE_WRITE) == 0);
    }
    make_tables();
    CHECK(open_tables(WHERE, 0));
    CHECK(!is_open(tables->pt[0][510]));
}

/* All of it or not, and nothing is changed. */
TEST(tables_are_read) {
    make_tables();
    hpa_t root = phys_address(tables->pml5);
    CHECK(tables_map(root, 5, WHERE, 4 * PAGE_SIZE));
    CHECK(!tables_map(root, 5, WHERE, 5 * PAGE_SIZE));
    CHECK(!tables_map(root, 5, WHERE - PAGE_SIZE, 2 * PAGE_SIZE));
    CHECK(tables_map(phys_address(tables->pml4), 4, WHERE, PAGE_SIZE));
    CHECK_U64(tables->pt[0][510], WHERE | PTE_PRESENT | PTE_NX);
    CHECK_U64(tables->pml5[1], table_entry(tables->pml4));
}

/* Device paths. UEFI Specification "Generic Device Path Structures", "Hard Drive". */

enum { ACPI_NODE = 2, MEDIA_NODE = 4, END_NODE = 0x7f, HARD_DRIVE = 1, CD_ROM = 2 };
enum { SIGNATURE_NONE, SIGNATURE_MBR, SIGNATURE_GUID };

static uint8_t path[4096];
static size_t path_length;

/* Appends a node of length bytes, its body 0, 1, 2 and so on; returns where it begins. */
static uint8_t *path_node(uint8_t type, uint8_t subtype, uint16_t length) {
    uint8_t *node = path + path_length;
    node[0] = type;
    node[1] = subtype;
    node[2] = (uint8_t)length;
    node[3] = (uint8_t)(length >> 8);
    for (unsigned i = 4; i < length; i++) {
        node[i] = (uint8_t)i;
    }
    path_length += length;
    return node;
}

static void path_begin(void) {
    memset(path, 0, sizeof(path));
    path_length = 0;
    path_node(ACPI_NODE, 1, 12);
}

/* The partition's signature: bytes 24 to 39 of its node, and what kind it is in byte 41. */
static uint8_t *path_partition(uint8_t signature_type) {
    uint8_t *node = path_node(MEDIA_NODE, HARD_DRIVE, 42);
    node[40] = 2; /* a GUID partition table; that is the disk's matter */
    node[41] = signature_type;
    return node;
}

TEST(device_path_guid) {
    static const uint8_t want[UUID_SIZE] = {27, 26, 25, 24, 29, 28, 31, 30,
                                            32, 33, 34, 35, 36, 37, 38, 39};
    uint8_t uuid[UUID_SIZE] = {0};
    path_begin();
    path_partition(SIGNATURE_GUID);
    path_node(MEDIA_NODE, 4, 20);
    path_node(END_NODE, 0xff, 4);
    CHECK(device_path_partition(path, uuid));
    CHECK(memcmp(uuid, want, sizeof(want)) == 0);
}

TEST(device_path_other_signature) {
    uint8_t uuid[UUID_SIZE] = {0};
    path_begin();
    path_partition(SIGNATURE_MBR);
    path_node(END_NODE, 0xff, 4);
    CHECK(device_path_partition(path, uuid));
    for (unsigned i = 0; i < UUID_SIZE; i++) {
        CHECK_U64(uuid[i], 24 + i);
    }
}

/* A node's length has 16 bits, and one longer than today's is read. */
TEST(device_path_long_nodes) {
    uint8_t uuid[UUID_SIZE] = {0};
    path_begin();
    path_node(ACPI_NODE, 3, 0x123);
    uint8_t *node = path_node(MEDIA_NODE, HARD_DRIVE, 60);
    node[41] = SIGNATURE_GUID;
    path_node(END_NODE, 0xff, 4);
    CHECK(device_path_partition(path, uuid));
    CHECK_U64(uuid[0], 27);
}

/* Other media, other types with the same subtype, and nodes too short are no partition. */
TEST(device_path_no_partition) {
    uint8_t uuid[UUID_SIZE];
    memset(uuid, 0xee, sizeof(uuid));
    path_begin();
    path_node(MEDIA_NODE, CD_ROM, 42);
    path_node(ACPI_NODE, HARD_DRIVE, 42);
    path_node(MEDIA_NODE, HARD_DRIVE, 41);
    path_node(END_NODE, 0xff, 4);
    path_partition(SIGNATURE_GUID); /* after the end */
    CHECK(!device_path_partition(path, uuid));
    for (unsigned i = 0; i < UUID_SIZE; i++) {
        CHECK_U64(uuid[i], 0xee);
    }
}

/* A node of less than its own header would be walked for ever, or into its own middle. */
TEST(device_path_broken) {
    for (uint16_t length = 0; length <= 4; length++) {
        uint8_t uuid[UUID_SIZE];
        path_begin();
        uint8_t *node = path_node(ACPI_NODE, 1, 4);
        path_length += length < 4 ? (size_t)length : 0;
        path_partition(SIGNATURE_GUID);
        path_node(END_NODE, 0xff, 4);
        node[2] = (uint8_t)length;
        CHECK_U64(device_path_partition(path, uuid), length == 4);
    }
}

/* A path without an end is left after 64 nodes. */
TEST(device_path_without_end) {
    for (unsigned before = 61; before < 70; before++) {
        uint8_t uuid[UUID_SIZE];
        path_begin();
        for (unsigned i = 0; i < before; i++) {
            path_node(ACPI_NODE, 1, 4);
        }
        path_partition(SIGNATURE_GUID);
        CHECK_U64(device_path_partition(path, uuid), 1 + before < 64);
    }
}

/* How the machine is switched off. A DSDT of which the package's bytes are the end. */
static void make_dsdt(const char *aml, uint32_t size) {
    static uint8_t *dsdt;
    make_acpi();
    if (dsdt == NULL) {
        dsdt = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        (void)mprotect(dsdt + PAGE_SIZE, PAGE_SIZE, PROT_NONE); /* nothing behind it is read */
    }
    uint8_t *at = dsdt + PAGE_SIZE - 36 - size;
    memset(at, 0, 36);
    memcpy(at, "DSDT", 4);
    memcpy(at + 36, aml, size);
    put(at + 4, 36 + size, 4);
    put(t->fadt + 40, (uintptr_t)at, 4);
    put(t->fadt + 48, 0xb2, 4);
    t->fadt[52] = 0xf0;
    put(t->fadt + 64, 0x604, 4);
    seal(t->fadt, 116);
    CHECK(read_acpi() == STATUS_OK);
}

TEST(soft_off) {
    static const struct {
        const char *aml;
        uint32_t size;
        bool known;
        uint8_t a, b;
    } cases[] = {
        {"xx\010_S5_\022\006\004\0\0\0\0", 14, true, 0, 0},             /* QEMU's */
        {"xx\010\\_S5_\022\007\004\012\005\012\007\0", 16, true, 5, 7}, /* bytes, from the root */
        {"xx\010_S5_\022\006\002\001\013\006\0", 14, true, 1, 6},       /* one; a word */
        {"xx\010_S5_\022\007\001\014\003\0\0\0", 15, true, 3, 0}, /* a single one, of 32 bits */
        {"xx\010_S5_\022\101\0\001\012\002\0", 14, true, 2, 0},   /* a length of two bytes */
        {"xx_S5_\010_S5_\022\004\001\001\0", 15, true, 1, 0},     /* the first is no definition */
        {"xx\010_S5_\022\006\002\012\010\0", 14, false, 0, 0},    /* no such type */
        {"xx\010_S5_\022\006\0\001\0", 12, false, 0, 0},          /* empty */
        {"xx\010_S5_\021\006\002\001\001", 13, false, 0, 0},      /* a buffer */
        {"xx\010_S5_\022\006\002\160\001", 13, false, 0, 0},      /* not a constant */
        {"xx\010_S5_\022\006\002\001", 11, false, 0, 0},          /* cut off */
        {"xx\010_S5_\022\006\002\001\013\001", 13, false, 0, 0},
        {"xx\010_S5_\022\301", 9, false, 0, 0},
        {"xx\010_S5_", 7, false, 0, 0},
        {"xx\010_S4_\022\006\004\0\0\0\0", 14, false, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        make_dsdt(cases[i].aml, cases[i].size);
        CHECK(info.power_off.known == cases[i].known);
        CHECK_U64(info.power_off.type_a, cases[i].a);
        CHECK_U64(info.power_off.type_b, cases[i].b);
        CHECK_U64(info.power_off.control_a, cases[i].known ? 0x604 : 0);
        CHECK_U64(info.power_off.smi_command, cases[i].known ? 0xb2 : 0);
    }
    make_dsdt(cases[1].aml, cases[1].size);
    CHECK_U64(info.power_off.acpi_enable, 0xf0);
    CHECK_U64(info.power_off.control_b, 0);
}

/* Wide addresses come first; registers in memory are none that the core could write to. */
TEST(soft_off_by_wide_addresses) {
    make_dsdt("xx\010_S5_\022\006\004\001\001\0\0", 14);
    uint64_t dsdt = 0;
    memcpy(&dsdt, t->fadt + 40, 4);
    put(t->fadt + 40, 0, 4);
    put(t->fadt + 140, dsdt, 8);
    t->fadt[172] = 1;
    put(t->fadt + 176, 0x1804, 8);
    t->fadt[184] = 1;
    put(t->fadt + 188, 0x1904, 8);
    seal(t->fadt, 244);
    memset(&info, 0, sizeof(info));
    CHECK(read_acpi() == STATUS_OK);
    CHECK(info.power_off.known);
    CHECK_U64(info.power_off.control_a, 0x1804);
    CHECK_U64(info.power_off.control_b, 0x1904);
    t->fadt[172] = 0; /* in memory: the old field counts */
    seal(t->fadt, 244);
    CHECK(read_acpi() == STATUS_OK);
    CHECK_U64(info.power_off.control_a, 0x604);
    put(t->fadt + 64, 0, 4);
    put(t->fadt + 140, 0, 8);
    seal(t->fadt, 244);
    memset(&info, 0, sizeof(info));
    CHECK(read_acpi() == STATUS_OK);
    CHECK(!info.power_off.known);
}

TEST_MAIN(T(soft_off), T(soft_off_by_wide_addresses), T(ranges_random), T(ranges_limits),
          T(elf_good), T(elf_other_relocations), T(acpi_good), T(acpi_broken_root),
          T(acpi_wrong_checksums), T(acpi_ioapic_at_0), T(acpi_many_ioapics), T(acpi_many_cpus),
          T(acpi_broken_tables), T(acpi_madt_lengths), T(acpi_spcr), T(acpi_management),
          T(acpi_mcfg), T(acpi_spcr_interrupt), T(acpi_spcr_broken), T(acpi_pm_timer),
          T(acpi_nodes), T(tables_small_pages), T(tables_four_levels), T(tables_large_pages),
          T(tables_holes), T(tables_are_read), T(kept_log_whole), T(kept_log_wrapped),
          T(kept_log_broken), T(screens_of_the_console), T(screens_left_out), T(screens_overlap),
          T(screens_size), T(screens_pixels), T(device_path_guid), T(device_path_other_signature),
          T(device_path_long_nodes), T(device_path_no_partition), T(device_path_broken),
          T(device_path_without_end))
