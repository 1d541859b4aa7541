/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guests' firmware starts kernels that are no Linux: Multiboot, ELF, flat; and what it leaves
 * below 1 MiB for those who search. In a buffer that stands for the guest's memory.
 */
#include "guests/firmware/firmware.h"
#include "tests/unit/test.h"

#define RAM         (16 * MIB)
#define FILE_SIZE   0x3000
#define INITRD_SIZE 0x1234
#define CMDLINE     "one two"
#define INITRD_PATH "guests/module"

static uint8_t *ram;
static uint8_t file[FILE_SIZE];
static struct bulkhead_start start;
static struct entry entry;

static void put(unsigned at, uint64_t value, unsigned bytes) {
    memcpy(file + at, &value, bytes);
}

static uint64_t get(uint64_t gpa, unsigned bytes) {
    return number_at(ram, gpa, bytes);
}

static void stage(uint64_t type) {
    free(ram);
    ram = calloc(1, RAM);
    start =
        (struct bulkhead_start){.magic = BULKHEAD_START_MAGIC,
                                .size = sizeof(start),
                                .vcpu_count = 1,
                                .low_ram = RAM,
                                .high_ram = 2 * MIB,
                                .kernel.size = FILE_SIZE,
                                .initrd.size = INITRD_SIZE,
                                .initrd_path = {BULKHEAD_START_GPA + 0x100, strlen(INITRD_PATH)},
                                .cmdline = {BULKHEAD_START_GPA + 0x200, strlen(CMDLINE)},
                                .kernel_type = type};
    start.initrd.gpa = ALIGN_DOWN(RAM - BULKHEAD_TABLES_SIZE - INITRD_SIZE, PAGE_SIZE);
    start.kernel.gpa = ALIGN_DOWN(start.initrd.gpa - FILE_SIZE, PAGE_SIZE);
    memcpy(ram + start.kernel.gpa, file, FILE_SIZE);
    memset(ram + start.initrd.gpa, 0x77, INITRD_SIZE);
    strcpy((char *)ram + start.cmdline.gpa, CMDLINE);
    strcpy((char *)ram + start.initrd_path.gpa, INITRD_PATH);
    map_write(ram, &start);
    entry = (struct entry){.address = 0xa5a5};
}

/* The place of program header i and of its fields, by class. */
static void put_segment(unsigned class, unsigned i, uint64_t virtual, uint64_t physical,
                        uint64_t offset, uint64_t in_file, uint64_t in_memory) {
    if (class == 1) {
        const uint32_t words[] = {1,
                                  (uint32_t)offset,
                                  (uint32_t) virtual,
                                  (uint32_t)physical,
                                  (uint32_t)in_file,
                                  (uint32_t)in_memory,
                                  7,
                                  0};
        memcpy(file + 52 + 32 * i, words, sizeof(words));
    } else {
        const uint64_t words[] = {1 | 7ull << 32, offset, virtual, physical, in_file, in_memory, 0};
        memcpy(file + 64 + 56 * i, words, sizeof(words));
    }
}

/* Two segments: code at 1 MiB and data with zeros at 2 MiB; three headers. */
static void make_elf(unsigned class) {
    for (size_t i = 0; i < FILE_SIZE; i++) {
        file[i] = (uint8_t)(i * 13 + (i >> 8)) | 1;
    }
    memset(file, 0, 0x400);
    memcpy(file, "\177ELF", 4);
    put(4, class, 1);
    put(5, 1, 1);
    put(16, 2, 2);
    put(18, class == 1 ? 3 : 62, 2);
    put(24, MIB + 0x10, class * 4);
    put(class == 1 ? 28 : 32, class == 1 ? 52 : 64, class * 4);
    put(class == 1 ? 42 : 54, class == 1 ? 32 : 56, 2);
    put(class == 1 ? 44 : 56, 3, 2);
    put_segment(class, 0, MIB, MIB, 0x1000, 0x800, 0x800);
    put_segment(class, 1, 2 * MIB, 2 * MIB, 0x1800, 0x1234, 0x5000);
}

static void put_multiboot(unsigned at, uint32_t flags) {
    put(at, 0x1badb002, 4);
    put(at + 4, flags, 4);
    put(at + 8, 0u - (0x1badb002u + flags), 4);
}

static void load(void) {
    const char *why = kernel_load(ram, &start, 1000, &entry);
    CHECK_STR(why != NULL ? why : "", "");
}

static void check_refused(const char *words) {
    uint8_t *before = malloc(RAM);
    memcpy(before, ram, RAM);
    const char *why = kernel_load(ram, &start, 0, &entry);
    CHECK(why != NULL && strstr(why, words) != NULL);
    CHECK_U64(entry.address, 0xa5a5);
    CHECK(memcmp(before, ram, RAM) == 0);
    free(before);
}

/* The two segments are there, the initrd as well, the rest from 1 MiB on is zero. */
static void check_elf_memory(void) {
    CHECK(memcmp(ram + MIB, file + 0x1000, 0x800) == 0);
    CHECK(memcmp(ram + 2 * MIB, file + 0x1800, 0x1234) == 0);
    uint64_t bad = 0;
    for (uint64_t at = MIB; at < RAM; at++) {
        bool expected =
            at - MIB < 0x800 || at - 2 * MIB < 0x1234 || at - start.initrd.gpa < INITRD_SIZE;
        bad += ram[at] != 0 && !expected;
    }
    CHECK_U64(bad, 0);
    CHECK_STR((const char *)ram + start.cmdline.gpa, CMDLINE); /* no clock for these */
}

TEST(elf64) {
    make_elf(2);
    stage(BULKHEAD_KERNEL_ANY);
    load();
    CHECK_U64(entry.address, MIB + 0x10);
    CHECK_U64(entry.protected_mode, 0);
    CHECK_U64(entry.edi, BULKHEAD_START_GPA);
    CHECK_U64(entry.eax | entry.ebx | entry.esi, 0);
    check_elf_memory();
}

/* Linked high, loaded low: the entry is where its segment lies. */
TEST(elf64_entry_is_physical) {
    make_elf(2);
    put_segment(2, 0, 0xffffffff80000000, MIB, 0x1000, 0x800, 0x800);
    put(24, 0xffffffff80000123, 8);
    stage(BULKHEAD_KERNEL_ELF);
    load();
    CHECK_U64(entry.address, MIB + 0x123);
}

/* In the free part below 640 KiB. */
TEST(low_segment) {
    make_elf(2);
    put_segment(2, 0, LOW_FREE, LOW_FREE, 0x1000, 0x800, LOW_FREE_END - LOW_FREE);
    stage(BULKHEAD_KERNEL_ELF);
    load();
    CHECK(memcmp(ram + LOW_FREE, file + 0x1000, 0x800) == 0);
    put_segment(2, 0, LOW_FREE, LOW_FREE, 0x1000, 0x800, LOW_FREE_END - LOW_FREE + 1);
    stage(BULKHEAD_KERNEL_ELF);
    check_refused("outside of memory");
}

static void check_segment_refused(uint64_t at, uint64_t offset, uint64_t in_file, uint64_t size,
                                  const char *words) {
    make_elf(2);
    put_segment(2, 1, at, at, offset, in_file, size);
    stage(BULKHEAD_KERNEL_ELF);
    check_refused(words);
}

static void check_field_refused(unsigned at, uint64_t value, unsigned bytes) {
    make_elf(2);
    put(at, value, bytes);
    stage(BULKHEAD_KERNEL_ELF);
    check_refused("no complete 64-bit");
}

TEST(elf64_refusals) {
    check_segment_refused(0xfff, 0x1800, 0x10, 0x10, "outside of memory");
    check_segment_refused(0xa0000, 0x1800, 0x10, 0x10, "outside of memory");
    check_segment_refused(0xfffff, 0x1800, 0x10, 0x10, "outside of memory");
    check_segment_refused(start.kernel.gpa - 0xf, 0x1800, 0x10, 0x10, "outside of memory");
    check_segment_refused(UINT64_MAX - 3, 0x1800, 1, 1, "outside of memory");
    check_segment_refused(2 * MIB, 0x1800, 0x10, UINT64_MAX - MIB, "outside of memory");
    check_segment_refused(MIB + 0x7ff, 0x1800, 0x10, 0x10, "overlap");
    check_segment_refused(MIB, 0x1800, 0x10, 0x10, "overlap");
    check_segment_refused(2 * MIB, 0x1800, 0x1801, 0x2000, "no complete");
    check_segment_refused(2 * MIB, UINT64_MAX, 0x10, 0x10, "no complete");
    check_segment_refused(2 * MIB, 0x1800, 0x11, 0x10, "no complete");
    check_field_refused(4, 1, 1);                       /* class */
    check_field_refused(5, 2, 1);                       /* big-endian */
    check_field_refused(16, 3, 2);                      /* position independent */
    check_field_refused(18, 183, 2);                    /* another CPU */
    check_field_refused(32, FILE_SIZE - 3 * 56 + 1, 8); /* program headers */
    check_field_refused(32, UINT64_MAX, 8);
    check_field_refused(54, 55, 2);
    check_field_refused(56, 0, 2);
    check_field_refused(56, 0xffff, 2);
}

static void check_multiboot(void) {
    CHECK_U64(entry.protected_mode, 1);
    CHECK_U64(entry.eax, 0x2badb002);
    CHECK_U64(entry.ebx, PARAMS_GPA);
    CHECK_U64(get(PARAMS_GPA, 4), 0x24d);
    CHECK_U64(get(PARAMS_GPA + 4, 4), 639);
    CHECK_U64(get(PARAMS_GPA + 8, 4), (RAM - MIB - 64 * KIB) / KIB);
    CHECK_STR((const char *)ram + get(PARAMS_GPA + 16, 4), CMDLINE);
    CHECK_STR((const char *)ram + get(PARAMS_GPA + 64, 4), "Bulkhead");
}

TEST(multiboot_elf) {
    for (unsigned class = 1; class <= 2; class ++) {
        make_elf(class);
        put_multiboot(0x1ff4, 3); /* the last place but one: it ends at 2000h */
        stage(BULKHEAD_KERNEL_ANY);
        load();
        CHECK_U64(entry.address, MIB + 0x10);
        check_multiboot();
        check_elf_memory();
        uint64_t module = get(PARAMS_GPA + 24, 4), map = get(PARAMS_GPA + 48, 4);
        CHECK_U64(get(PARAMS_GPA + 20, 4), 1);
        CHECK_U64(get(module, 4), start.initrd.gpa);
        CHECK_U64(get(module + 4, 4), start.initrd.gpa + INITRD_SIZE);
        CHECK_STR((const char *)ram + get(module + 8, 4), INITRD_PATH);
        CHECK_U64(get(PARAMS_GPA + 44, 4), 8 * 24);
        for (unsigned i = 0; i < 8; i++, map += 24) {
            CHECK_U64(get(map, 4), 20);
            CHECK(memcmp(ram + map + 4, ram + start.memory_map.gpa + 20 * i, 20) == 0);
        }
    }
}

TEST(multiboot_without_module) {
    make_elf(1);
    put_multiboot(0x400, 0);
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    start.initrd.size = 0;
    load();
    CHECK_U64(get(PARAMS_GPA + 20, 4), 0);
    CHECK_U64(get(get(PARAMS_GPA + 24, 4), 8), 0);
}

/* Header at 400h of the file and at MIB + 300h in memory: the load begins at 100h of the file. */
static void make_addresses(uint32_t load_end, uint32_t zero_end) {
    make_elf(1);
    file[0] = 0; /* no ELF file */
    put_multiboot(0x400, 0x10003);
    put(0x40c, MIB + 0x300, 4);
    put(0x410, MIB, 4);
    put(0x414, load_end, 4);
    put(0x418, zero_end, 4);
    put(0x41c, MIB + 0x320, 4);
    stage(BULKHEAD_KERNEL_ANY);
}

TEST(multiboot_addresses) {
    const uint32_t ends[][3] = {
        {MIB + 0x1000, 0, 0x1000}, {MIB + 0x1000, MIB + 0x9000, 0x1000}, {0, 0, FILE_SIZE - 0x100}};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        make_addresses(ends[i][0], ends[i][1]);
        load();
        CHECK_U64(entry.address, MIB + 0x320);
        check_multiboot();
        CHECK(memcmp(ram + MIB, file + 0x100, ends[i][2]) == 0);
        CHECK_U64(ram[MIB + ends[i][2]], 0);
        CHECK_U64(ram[start.kernel.gpa + 0x500], 0);
    }
}

TEST(multiboot_refusals) {
    make_addresses(MIB, 0);
    check_refused("no complete");
    make_addresses(MIB + FILE_SIZE - 0x100 + 1, 0);
    check_refused("no complete");
    make_addresses(MIB + 0x1000, MIB + 0xfff);
    check_refused("no complete");
    make_addresses(0, 64 * MIB);
    check_refused("outside of memory");
    make_addresses(0, 0);
    put(0x410, MIB + 0x301, 4); /* loaded from behind its own header on */
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_refused("no complete");
    put(0x410, MIB - 0x101, 4); /* from before the file */
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_refused("no complete");
    for (unsigned bit = 2; bit < 16; bit++) {
        make_elf(1);
        put_multiboot(0x400, 1u << bit);
        stage(BULKHEAD_KERNEL_ANY);
        check_refused("video mode");
    }
    make_elf(1);
    put_multiboot(0x1ff8, 3); /* reaches behind the first 8 KiB */
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_refused("no Multiboot header");
    put_multiboot(0x402, 3); /* not aligned */
    stage(BULKHEAD_KERNEL_ANY);
    check_refused("of no kind");
    put_multiboot(0x404, 3);
    put(0x40c, 1, 4); /* is no checksum's place: still fine */
    put(0x40c - 4, 7, 4);
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_refused("no Multiboot header");
}

TEST(flat) {
    make_elf(2);
    memset(file, 0x90, 0x400);
    stage(BULKHEAD_KERNEL_ANY);
    check_refused("of no kind");
    stage(BULKHEAD_KERNEL_TYPES);
    check_refused("of no kind");
    stage(BULKHEAD_KERNEL_FLAT);
    load();
    CHECK_U64(entry.address, MIB);
    CHECK_U64(entry.protected_mode, 0);
    CHECK_U64(entry.edi, BULKHEAD_START_GPA);
    CHECK(memcmp(ram + MIB, file, FILE_SIZE) == 0);
    CHECK_U64(ram[MIB + FILE_SIZE], 0);
    CHECK_U64(ram[start.kernel.gpa], 0);
}

/* Whatever the headers say, nothing outside of the guest's memory is touched (the sanitizer sees).
 */
TEST(random_headers) {
    uint32_t random = 1, loaded = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        make_elf(1 + i % 2);
        put_multiboot(0x300, i % 4 < 2 ? 0x10000 : 0);
        for (unsigned j = 0; j < 3; j++) {
            random = random * 1664525 + 1013904223;
            file[(random >> 8) % (j < 2 ? 0xf0 : 0x320)] = (uint8_t)(random >> 24);
        }
        stage(i % 3 == 0 ? BULKHEAD_KERNEL_ELF : BULKHEAD_KERNEL_ANY);
        loaded += kernel_load(ram, &start, 0, &entry) == NULL;
    }
    CHECK(loaded > 100 && loaded < 900);
}

/* The firmware's, which the test program leaves out: only its address counts. */
const uint8_t bios_entries[BIOS_VECTORS * BIOS_ENTRY_SIZE];

/* Each vector leads to its own entry, in the firmware's segment. */
TEST(real_mode_vectors) {
    stage(BULKHEAD_KERNEL_FLAT);
    legacy_write_tables(ram, &start);
    for (unsigned i = 0; i < 256; i++) {
        CHECK_U64(get(4 * i, 2), ((uintptr_t)bios_entries + 4 * i) & 0xffff);
        CHECK_U64(get(4 * i + 2, 2), 0xf000);
    }
    CHECK_U64(get(0x400, 2), 0x3f8);
}

TEST(bios_data_and_coreboot) {
    stage(BULKHEAD_KERNEL_FLAT);
    legacy_write_tables(ram, &start);
    CHECK_U64(get(0x40e, 2) * 16, LOW_RAM_END);
    CHECK_U64(get(0x413, 2), 639);
    const uint64_t table = 0xf0000;
    CHECK(memcmp(ram + table, "LBIO", 4) == 0);
    uint64_t header = get(table + 4, 4), size = get(table + 12, 4), at = table + header;
    const uint64_t from[] = {table, at}, length[] = {header, size};
    for (unsigned i = 0; i < 2; i++) { /* with its own complement in it a sum is FFFFh */
        uint64_t total = i == 1 ? get(table + 16, 4) : 0;
        for (uint64_t j = 0; j < length[i]; j += 2) {
            total += get(from[i] + j, 2);
        }
        while (total > 0xffff) {
            total = (total & 0xffff) + (total >> 16);
        }
        CHECK_U64(total, 0xffff);
    }
    CHECK_U64(get(table + 20, 4), 1);
    CHECK_U64(get(at, 4), 1);
    CHECK_U64(get(at + 4, 4), size);
    CHECK_U64(size, 8 + start.memory_map.size);
    CHECK(memcmp(ram + at + 8, ram + start.memory_map.gpa, start.memory_map.size) == 0);
}

TEST_MAIN(T(elf64), T(elf64_entry_is_physical), T(low_segment), T(elf64_refusals), T(multiboot_elf),
          T(multiboot_without_module), T(multiboot_addresses), T(multiboot_refusals), T(flat),
          T(random_headers), T(real_mode_vectors), T(bios_data_and_coreboot))
