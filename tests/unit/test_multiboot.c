/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader starts kernels that are no Linux: Multiboot, ELF, flat; and what it leaves below 1 MiB
 * for those who search.
 */
#include "tests/unit/loading.h"

#define RAM         (16 * MIB)
#define FILE_SIZE   0x3000
#define INITRD_SIZE 0x1234
#define CMDLINE     "one two"
#define INITRD_PATH "guests/module"

static uint8_t file[FILE_SIZE], initrd[INITRD_SIZE];
static struct entry entry;

static void put(unsigned at, uint64_t value, unsigned bytes) {
    memcpy(file + at, &value, bytes);
}

static void stage(uint64_t type) {
    memset(initrd, 0x77, sizeof(initrd));
    stage_files(RAM, file, FILE_SIZE, initrd, INITRD_SIZE);
    stage_texts(INITRD_PATH, CMDLINE);
    start.high_ram = 2 * MIB;
    start.kernel_type = type;
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

#define NOTE 4u

/* Two segments: code at 1 MiB and data with zeros at 2 MiB; and a note, which is not loaded. */
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
    put_segment(class, 2, 3 * MIB, 3 * MIB, 0x1000, 0x40, 0x40);
    put(class == 1 ? 52 + 32 * 2 : 64 + 56 * 2, NOTE, 4);
}

static void put_multiboot(unsigned at, uint32_t flags) {
    put(at, 0x1badb002, 4);
    put(at + 4, flags, 4);
    put(at + 8, 0u - (0x1badb002u + flags), 4);
}

static void load_it(void) {
    CHECK_U64(run_load(), LOAD_DONE);
    entry = entry_left();
}

/* The two segments are there, the initrd as well, the rest from 1 MiB on is zero, up to the
 * tables. */
static void check_elf_memory(void) {
    CHECK(memcmp(ram + MIB, file + 0x1000, 0x800) == 0);
    CHECK(memcmp(ram + 2 * MIB, file + 0x1800, 0x1234) == 0);
    uint64_t bad = 0;
    for (uint64_t at = MIB; at < RAM - BULKHEAD_TABLES_SIZE; at++) {
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
    load_it();
    CHECK_U64(entry.address, MIB + 0x10);
    CHECK_U64(entry.mode, MODE_LONG);
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
    load_it();
    CHECK_U64(entry.address, MIB + 0x123);
}

/* In the free part below 640 KiB. */
TEST(low_segment) {
    make_elf(2);
    put_segment(2, 0, LOW_FREE, LOW_FREE, 0x1000, 0x800, LOW_FREE_END - LOW_FREE);
    stage(BULKHEAD_KERNEL_ELF);
    load_it();
    CHECK(memcmp(ram + LOW_FREE, file + 0x1000, 0x800) == 0);
    put_segment(2, 0, LOW_FREE, LOW_FREE, 0x1000, 0x800, LOW_FREE_END - LOW_FREE + 1);
    stage(BULKHEAD_KERNEL_ELF);
    check_load_refused(LOAD_OUTSIDE);
}

static void check_segment_refused(uint64_t at, uint64_t offset, uint64_t in_file, uint64_t size,
                                  enum load_status want) {
    make_elf(2);
    put_segment(2, 1, at, at, offset, in_file, size);
    stage(BULKHEAD_KERNEL_ELF);
    check_load_refused(want);
}

static void check_field_refused(unsigned at, uint64_t value, unsigned bytes) {
    make_elf(2);
    put(at, value, bytes);
    stage(BULKHEAD_KERNEL_ELF);
    check_load_refused(LOAD_NO_ELF);
}

TEST(elf64_refusals) {
    check_segment_refused(0xfff, 0x1800, 0x10, 0x10, LOAD_OUTSIDE);
    check_segment_refused(0xa0000, 0x1800, 0x10, 0x10, LOAD_OUTSIDE);
    check_segment_refused(0xfffff, 0x1800, 0x10, 0x10, LOAD_OUTSIDE);
    check_segment_refused(start.kernel.gpa - 0xf, 0x1800, 0x10, 0x10, LOAD_OUTSIDE);
    check_segment_refused(UINT64_MAX - 3, 0x1800, 1, 1, LOAD_OUTSIDE);
    check_segment_refused(2 * MIB, 0x1800, 0x10, UINT64_MAX - MIB, LOAD_OUTSIDE);
    check_segment_refused(MIB + 0x7ff, 0x1800, 0x10, 0x10, LOAD_OVERLAP);
    check_segment_refused(MIB, 0x1800, 0x10, 0x10, LOAD_OVERLAP);
    check_segment_refused(2 * MIB, 0x1800, 0x1801, 0x2000, LOAD_NO_ELF);
    check_segment_refused(2 * MIB, UINT64_MAX, 0x10, 0x10, LOAD_NO_ELF);
    check_segment_refused(2 * MIB, 0x1800, 0x11, 0x10, LOAD_NO_ELF);
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
    CHECK_U64(entry.mode, MODE_PROTECTED);
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
        load_it();
        CHECK_U64(entry.address, MIB + 0x10);
        check_multiboot();
        check_elf_memory();
        uint64_t module = get(PARAMS_GPA + 24, 4), map = get(PARAMS_GPA + 48, 4);
        CHECK_U64(get(PARAMS_GPA + 20, 4), 1);
        CHECK_U64(get(module, 4), start.initrd.gpa);
        CHECK_U64(get(module + 4, 4), start.initrd.gpa + INITRD_SIZE);
        CHECK_STR((const char *)ram + get(module + 8, 4), INITRD_PATH);
        CHECK_U64(get(PARAMS_GPA + 44, 4), 9 * 24);
        for (unsigned i = 0; i < 9; i++, map += 24) {
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
    load_it();
    CHECK_U64(get(PARAMS_GPA + 20, 4), 0);
    CHECK_U64(get(get(PARAMS_GPA + 24, 4), 8), 0);
    CHECK_STR((const char *)ram + get(PARAMS_GPA + 64, 4), "Bulkhead"); /* the loader's name */
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
        load_it();
        CHECK_U64(entry.address, MIB + 0x320);
        check_multiboot();
        CHECK(memcmp(ram + MIB, file + 0x100, ends[i][2]) == 0);
        CHECK_U64(ram[MIB + ends[i][2]], 0);
        CHECK_U64(ram[start.kernel.gpa + 0x500], 0);
    }
}

/* A kernel without other headers: its file is what lies in memory, from the first byte on. */
TEST(multiboot_of_the_whole_file) {
    make_addresses(0, 0);
    put(0x40c, MIB + 0x400, 4);
    stage(BULKHEAD_KERNEL_ANY);
    load_it();
    CHECK_U64(entry.address, MIB + 0x320);
    CHECK(memcmp(ram + MIB, file, FILE_SIZE) == 0);
}

TEST(multiboot_refusals) {
    make_addresses(MIB, 0);
    check_load_refused(LOAD_NO_MULTIBOOT);
    make_addresses(MIB + FILE_SIZE - 0x100 + 1, 0);
    check_load_refused(LOAD_NO_MULTIBOOT);
    make_addresses(MIB + 0x1000, MIB + 0xfff);
    check_load_refused(LOAD_NO_MULTIBOOT);
    make_addresses(0, 64 * MIB);
    check_load_refused(LOAD_OUTSIDE);
    make_addresses(0, 0);
    put(0x410, MIB + 0x301, 4); /* loaded from behind its own header on */
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_load_refused(LOAD_NO_MULTIBOOT);
    put(0x410, MIB - 0x101, 4); /* from before the file */
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_load_refused(LOAD_NO_MULTIBOOT);
    for (unsigned bit = 2; bit < 16; bit++) {
        make_elf(1);
        put_multiboot(0x400, 1u << bit);
        stage(BULKHEAD_KERNEL_ANY);
        check_load_refused(LOAD_NO_SCREEN);
    }
    make_elf(1);
    put_multiboot(0x1ff8, 3); /* reaches behind the first 8 KiB */
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_load_refused(LOAD_NO_HEADER);
    put_multiboot(0x402, 3); /* not aligned */
    stage(BULKHEAD_KERNEL_ANY);
    check_load_refused(LOAD_UNKNOWN_KIND);
    put_multiboot(0x404, 3);
    put(0x40c, 1, 4); /* is no checksum's place: still fine */
    put(0x40c - 4, 7, 4);
    stage(BULKHEAD_KERNEL_MULTIBOOT);
    check_load_refused(LOAD_NO_HEADER);
}

/* The header may be the last of a file. */
TEST(multiboot_at_the_end) {
    make_elf(1);
    put_multiboot(0x400, 3);
    CHECK(multiboot_knows(file, 0x400 + 12));
    CHECK(!multiboot_knows(file, 0x400 + 11));
    put_multiboot(0x400, 0x10003); /* with addresses it is longer */
    CHECK(multiboot_knows(file, 0x400 + 32));
    CHECK(!multiboot_knows(file, 0x400 + 31));
}

TEST(flat) {
    make_elf(2);
    memset(file, 0x90, 0x400);
    stage(BULKHEAD_KERNEL_ANY);
    check_load_refused(LOAD_UNKNOWN_KIND);
    stage(BULKHEAD_KERNEL_TYPES);
    check_load_refused(LOAD_UNKNOWN_KIND);
    stage(BULKHEAD_KERNEL_FLAT);
    load_it();
    CHECK_U64(entry.address, MIB);
    CHECK_U64(entry.mode, MODE_LONG);
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
        loaded += run_load() == LOAD_DONE;
    }
    CHECK(loaded > 100 && loaded < 900);
}

/* Each vector leads to its own entry, a near call in the firmware's segment. */
TEST(real_mode_vectors) {
    make_elf(2);
    stage(BULKHEAD_KERNEL_FLAT);
    load_it();
    for (unsigned i = 0; i < 256; i++) {
        CHECK_U64(get(4 * i, 2), 0xf000 + 4 * i);
        CHECK_U64(get(4 * i + 2, 2), 0xf000);
        CHECK_U64(ram[0xff000 + 4 * i], 0xe8);
    }
    CHECK_U64(get(0x400, 2), 0x3f8);
}

TEST(bios_data_and_coreboot) {
    make_elf(2);
    stage(BULKHEAD_KERNEL_FLAT);
    load_it();
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
          T(multiboot_without_module), T(multiboot_addresses), T(multiboot_of_the_whole_file),
          T(multiboot_refusals), T(multiboot_at_the_end), T(flat), T(random_headers),
          T(real_mode_vectors), T(bios_data_and_coreboot))
