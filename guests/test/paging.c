/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest paging of every kind: memory and a device are reached through it, also where the hypervisor
 * has to walk the guest's tables itself; large pages; NX, SMEP and SMAP refuse as they should.
 * Source: Intel SDM vol. 3 "Paging".
 */
#include "guests/test/guest.h"

#define APIC_VERSION 0xfee00030u
#define ALIAS        0xc0000000u /* where the local APIC's page, and a word of ours, show up too */
#define PRESENT      3ull
#define USER         4ull
#define LARGE        0x80ull
#define NO_EXECUTE   (1ull << 63)
#define WINDOW       (3ull << 39)
#define GIB          0x40000000ull

#define CR0_PAGED   0x80010033u
#define CR0_UNPAGED 0x00010033u
#define CR4_PSE     0x10u
#define CR4_PAE     0x20u
#define CR4_SMEP    (1ull << 20)
#define CR4_SMAP    (1ull << 21)
#define EFER        0xc0000080u
#define EFER_NXE    0x800ull

uint32_t legacy_read(uint32_t cr3, uint32_t cr4, uint32_t cr0, uint32_t address);

static uint64_t tables[8][512] __attribute__((aligned(4096)));
static volatile uint32_t word = 0x600d0b0f; /* as code: UD2 */

static uint32_t address_of(const volatile void *p) {
    return (uint32_t)(uintptr_t)p;
}

static void try_legacy(const char *text, uint32_t cr4, uint32_t cr0, uint32_t device,
                       uint32_t memory) {
    uint32_t version = apic_read(0x30);
    uint32_t seen = legacy_read(address_of(tables[0]), cr4, cr0, device);
    tap_line_value(seen == version, text, seen);
    seen = legacy_read(address_of(tables[0]), cr4, cr0, memory);
    tap_line_value(seen == word, "and memory with it", seen);
}

/* One to one but for the alias: first the device, then the word's 4 MiB. */
static void test_32bit(void) {
    uint32_t *directory = (uint32_t *)tables[0], *table = (uint32_t *)tables[1];
    for (uint32_t i = 0; i < 1024; i++) {
        directory[i] = i << 22 | LARGE | PRESENT;
        table[i] = 0;
    }
    table[0] = (APIC_VERSION & ~0xfffu) | PRESENT;
    table[1] = (address_of(&word) & ~0xfffu) | PRESENT;
    directory[ALIAS >> 22] = address_of(table) | PRESENT;
    try_legacy("32-bit paging: a device", CR4_PSE, CR0_PAGED, ALIAS + 0x30,
               ALIAS + 0x1000 + (address_of(&word) & 0xfff));
    try_legacy("32-bit paging, 4 MiB pages: a device", CR4_PSE, CR0_PAGED, APIC_VERSION,
               address_of(&word));
}

static void test_pae(void) {
    for (uint64_t g = 0; g < 4; g++) {
        tables[0][g] = address_of(tables[2 + g]) | 1;
        for (uint64_t i = 0; i < 512; i++) {
            tables[2 + g][i] = g << 30 | i << 21 | LARGE | PRESENT;
        }
    }
    tables[1][0] = (APIC_VERSION & ~0xfffull) | PRESENT;
    tables[1][1] = (address_of(&word) & ~0xfffull) | PRESENT;
    tables[2 + 3][0] = address_of(tables[1]) | PRESENT;
    try_legacy("PAE paging: a device", CR4_PAE, CR0_PAGED, ALIAS + 0x30,
               ALIAS + 0x1000 + (address_of(&word) & 0xfff));
    try_legacy("PAE paging, 2 MiB pages: a device", CR4_PAE, CR0_PAGED, APIC_VERSION,
               address_of(&word));
}

/* ---- 4 levels: a window of our own ---- */

static uint64_t *window[4]; /* the entry of each level that leads to WINDOW */

static void window_map(uint64_t to, uint64_t flags, unsigned level) {
    uint64_t *pml4;
    __asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
    window[3] = &pml4[WINDOW >> 39];
    for (unsigned l = 3; l > level; l--) {
        *window[l] = address_of(tables[l - 1]) | PRESENT | (flags & USER);
        window[l - 1] = &tables[l - 1][0];
    }
    *window[level] = to | PRESENT | (level > 0 ? LARGE : 0) | flags;
    __asm__ volatile("mov %0, %%cr3" ::"r"(pml4) : "memory");
}

static uint32_t window_read(uint64_t offset) {
    uint32_t value = 0;
    TRY("movl (%1), %0", ("=&r"(value)), ("r"(WINDOW + offset)));
    return value;
}

static void window_call(uint64_t offset) {
    TRY("jmp *%0", (), ("r"(WINDOW + offset)));
}

static void test_4level(void) {
    uint32_t r[4], version = apic_read(0x30), at = address_of(&word);
    static const char *const texts[] = {"4-level paging, 4 KiB page: a device",
                                        "4-level paging, 2 MiB page: a device",
                                        "4-level paging, 1 GiB page: a device"};
    cpuid(0x80000001, 0, r);
    for (unsigned level = 0; level < 3; level++) {
        uint64_t size = 0x1000ull << (9 * level);
        if (level == 2 && (r[3] & 1u << 26) == 0) {
            tap_skip(texts[2], "the CPU has no such pages");
            continue;
        }
        window_map(APIC_VERSION & ~(size - 1), 0, level);
        uint32_t seen = window_read(APIC_VERSION & (size - 1));
        tap_line_value(seen == version && trap_last.vector == NO_TRAP, texts[level], seen);
        window_map(at & ~(size - 1), 0, level);
        seen = window_read(at & (size - 1));
        tap_line_value(seen == word && trap_last.vector == NO_TRAP, "and memory with it", seen);
    }
}

static void expect_fault(uint64_t error, const char *text) {
    tap_line_value(trap_last.vector == 14 && trap_last.error == error, text,
                   (uint64_t)trap_last.vector << 32 | trap_last.error);
}

static void write_cr4(uint64_t value) {
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

/* SDM vol. 3 "Determination of Access Rights", "Page-Fault Exceptions". */
static void test_rights(void) {
    uint32_t page = address_of(&word) & ~0xfffu, offset = address_of(&word) & 0xfff;
    uint64_t efer, cr4 = read_cr4();
    uint32_t r[4];
    (void)try_read_msr(EFER, &efer);
    (void)try_write_msr(EFER, efer | EFER_NXE);
    window_map(page, NO_EXECUTE, 0);
    window_call(offset);
    expect_fault(0x11, "NX: no code");
    (void)window_read(offset);
    tap_line(trap_last.vector == NO_TRAP, "NX: data");
    window_map(page, 0, 0);
    (void)try_write_msr(EFER, efer);
    window_map(page, NO_EXECUTE, 0);
    (void)window_read(offset);
    expect_fault(9, "the NX bit without EFER.NXE is a reserved one");
    cpuid(7, 0, r);
    window_map(page, USER, 0);
    if ((r[1] & 1u << 7) != 0) {
        write_cr4(cr4 | CR4_SMEP);
        window_call(offset);
        expect_fault(0x11, "SMEP: no code of CPL 3");
        write_cr4(cr4);
    } else {
        tap_skip("SMEP: no code of CPL 3", "the CPU has none");
    }
    if ((r[1] & 1u << 20) != 0) {
        write_cr4(cr4 | CR4_SMAP);
        (void)window_read(offset);
        expect_fault(1, "SMAP: no data of CPL 3");
        __asm__ volatile("stac");
        (void)window_read(offset);
        __asm__ volatile("clac");
        tap_line(trap_last.vector == NO_TRAP, "SMAP: with AC it can be read");
        write_cr4(cr4);
    } else {
        tap_skip("SMAP: no data of CPL 3", "the CPU has none");
    }
    *window[3] = 0;
}

#define CR4_PKE      (1ull << 22)
#define KEY(n)       ((uint64_t)(n) << 59)
#define KEY_NO_READ  (1u << 2) /* of key 1 */
#define KEY_NO_WRITE (2u << 2)
#define IOAPIC_INDEX 0xfec00000u

#define CR0_WP (1ull << 16)

static void write_cr0(uint64_t value) {
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
}

static void write_pkru(uint32_t value) {
    __asm__ volatile("wrpkru" ::"a"(value), "c"(0), "d"(0) : "memory");
}

/* From a device, so that the hypervisor carries it out: the CPU has not looked at the destination.
 */
static void copy_from_device(uint64_t offset) {
    uint64_t from = IOAPIC_INDEX, to = WINDOW + offset;
    TRY("movsl", ("+S"(from), "+D"(to)), ());
}

/* SDM vol. 3 "Protection Keys". At CPL 0 they are for pages of CPL 3 all the same, but a key
 * forbids a write with CR0.WP only. */
static void test_keys(void) {
    static const char text[] = "protection keys: announced as switched";
    uint32_t page = address_of(&word) & ~0xfffu, offset = address_of(&word) & 0xfff;
    uint32_t r[4], old = word;
    uint64_t cr0, cr4 = read_cr4();
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    cpuid(7, 0, r);
    if ((r[2] & 1u << 3) == 0) {
        tap_skip("protection keys", "the CPU has none");
        return;
    }
    tap_line((r[2] & 1u << 4) == 0, "protection keys: OSPKE is clear at first");
    write_cr4(cr4 | CR4_PKE);
    cpuid(7, 0, r);
    tap_line((r[2] & 1u << 4) != 0, text);
    window_map(page, USER | KEY(1), 0);
    write_cr0(cr0 | CR0_WP);

    write_pkru(KEY_NO_READ);
    (void)window_read(offset);
    expect_fault(0x21, "protection keys: no access");
    write_pkru(KEY_NO_WRITE);
    tap_line(window_read(offset) == old && trap_last.vector == NO_TRAP,
             "protection keys: a page that may be read");
    TRY("movl $0, (%0)", (), ("r"(WINDOW + offset)));
    expect_fault(0x23, "protection keys: and not be written");
    copy_from_device(offset);
    expect_fault(0x23, "protection keys: nor by an instruction that is emulated");
    tap_line_value(word == old, "protection keys: it is as it was", word);
    write_pkru(0);
    copy_from_device(offset);
    tap_line(trap_last.vector == NO_TRAP && word != old, "protection keys: it can be allowed");
    word = old;

    write_cr0(cr0);
    write_cr4(cr4);
    cpuid(7, 0, r);
    tap_line((r[2] & 1u << 4) == 0, "protection keys: OSPKE is clear again");
    *window[3] = 0;
}

void test_paging(void) {
    if (option_number("legacy", 1) != 0) {
        try_legacy("no paging: a device", 0, CR0_UNPAGED, APIC_VERSION, address_of(&word));
        test_32bit();
        test_pae();
    } else {
        tap_skip("paging outside of long mode", "left out on the command line");
    }
    test_4level();
    test_rights();
    test_keys();
    uint32_t r[4];
    cpuid(7, 0, r);
    tap_line((r[2] & 1u << 16) == 0, "5-level paging is not announced");
}
