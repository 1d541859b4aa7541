/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loader starts Linux: what a 64-bit entry point is promised, and a 32-bit one. */
#include "tests/unit/loading.h"

#define RAM          (32 * MIB)
#define SETUP_SIZE   (4 * 512)
#define KERNEL_SIZE  (64 * KIB)
#define INITRD_SIZE  (3 * MIB + 123)
#define PREFERRED    (16 * MIB)
#define INIT_SIZE    (4 * MIB)
#define CMDLINE      "console=ttyS0 quiet"
#define CMDLINE_MOST 100

static uint8_t kernel[SETUP_SIZE + KERNEL_SIZE + 77], initrd[INITRD_SIZE];
static struct entry entry;

static void put(unsigned at, uint64_t value, unsigned bytes) {
    memcpy(kernel + at, &value, bytes);
}

static void stage(uint64_t size) {
    stage_files(size, kernel, sizeof(kernel), initrd, sizeof(initrd));
    stage_texts("guests/web.img", CMDLINE);
}

/* The kernel's file, with a header that is right. */
static void write_kernel(void) {
    for (size_t i = 0; i < sizeof(kernel); i++) {
        kernel[i] = (uint8_t)(i * 31 + (i >> 8)) | 1;
    }
    memset(kernel + 0x1f1, 0, 0x290 - 0x1f1);
    put(0x1f1, SETUP_SIZE / 512 - 1, 1);
    put(0x1f4, KERNEL_SIZE / 16, 4);
    put(0x1fe, 0xaa55, 2);
    put(0x200, 0x66eb, 2); /* jump over the header, which ends at 268h */
    memcpy(kernel + 0x202, "HdrS", 4);
    put(0x206, 0x020f, 2);
    put(0x211, 0x01, 1);
    put(0x22c, 0x7fffffff, 4);
    put(0x230, 0x200000, 4);
    put(0x234, 1, 1);
    put(0x236, 0x03, 2);
    put(0x238, CMDLINE_MOST, 4);
    put(0x258, PREFERRED, 8);
    put(0x260, INIT_SIZE, 4);
    put(0x268, 0xffffffff, 4); /* past the header: must not be copied */
}

static void fresh(void) {
    write_kernel();
    for (size_t i = 0; i < sizeof(initrd); i++) {
        initrd[i] = (uint8_t)(i * 7 + (i >> 9)) | 1;
    }
    stage(RAM);
}

static void load_it(void) {
    CHECK_U64(run_load(), LOAD_DONE);
    entry = entry_left();
}

/* Kernel and initrd are in these places whole, and all else above the first MiB is zero, up to the
 * tables. */
static void check_memory(uint64_t kernel_at, uint64_t initrd_at) {
    CHECK(memcmp(ram + kernel_at, kernel + SETUP_SIZE, KERNEL_SIZE) == 0);
    CHECK(memcmp(ram + initrd_at, initrd, start.initrd.size) == 0);
    uint64_t bad = 0;
    for (uint64_t at = MIB; at < start.low_ram - BULKHEAD_TABLES_SIZE; at++) {
        bad += ram[at] != 0 && at - kernel_at >= KERNEL_SIZE && at - initrd_at >= start.initrd.size;
    }
    CHECK_U64(bad, 0);
}

TEST(boot_params) {
    fresh();
    load_it();
    const uint8_t *p = ram + PARAMS_GPA;
    CHECK_U64(entry.address, PREFERRED + 0x200);
    CHECK_U64(number_at(p, 0x070, 8), RAM - BULKHEAD_TABLES_SIZE);
    CHECK_U64(p[0x1ef], 0);
    CHECK(memcmp(p + 0x202, "HdrS", 4) == 0);
    CHECK_U64(number_at(p, 0x206, 2), 0x020f);
    CHECK_U64(p[0x210], 0xff);
    CHECK_U64(p[0x211], 0x81);
    CHECK_U64(number_at(p, 0x1fa, 2), 0xffff);
    CHECK_U64(number_at(p, 0x214, 4), PREFERRED);
    CHECK_U64(number_at(p, 0x268, 4), 0);
    CHECK_STR((const char *)ram + number_at(p, 0x228, 4), CMDLINE);
    CHECK_U64(number_at(p, 0x21c, 4), INITRD_SIZE);
    CHECK_U64(number_at(p, 0x0c0, 8), 0);
    uint64_t at = number_at(p, 0x218, 4);
    CHECK_U64(at % PAGE_SIZE, 0);
    CHECK(at >= PREFERRED + INIT_SIZE && at + INITRD_SIZE <= RAM - BULKHEAD_TABLES_SIZE);
    check_memory(PREFERRED, at);
}

TEST(e820) {
    static const uint64_t want[][3] = {{0, 0x9fc00, 1},
                                       {0x9fc00, 0x60400, 2},
                                       {MIB, RAM - MIB - 64 * KIB, 1},
                                       {RAM - 64 * KIB, 60 * KIB, 3},
                                       {RAM - 4 * KIB, 4 * KIB, 4},
                                       {0xe0100000, MIB, 2},
                                       {0xfec00000, 4 * KIB, 2},
                                       {0xfee00000, 4 * KIB, 2},
                                       {4 * GIB, 2 * MIB, 1}};
    for (unsigned count = 8; count <= 9; count++) {
        fresh();
        start.high_ram = count == 9 ? 2 * MIB : 0;
        load_it();
        const uint8_t *p = ram + PARAMS_GPA;
        CHECK_U64(p[0x1e8], count);
        for (unsigned i = 0; i < count; i++) {
            CHECK_U64(number_at(p, 0x2d0 + 20 * i, 8), want[i][0]);
            CHECK_U64(number_at(p, 0x2d8 + 20 * i, 8), want[i][1]);
            CHECK_U64(number_at(p, 0x2e0 + 20 * i, 4), want[i][2]);
        }
        CHECK_U64(number_at(p, 0x2d0 + 20 * count, 8), 0);
    }
}

TEST(no_initrd) {
    fresh();
    memset(ram + start.initrd.gpa, 0, sizeof(initrd));
    start.initrd.size = 0;
    load_it();
    CHECK_U64(get(PARAMS_GPA + 0x218, 8), 0);
    check_memory(PREFERRED, 0);
}

/* All the memory that there is may be just enough. */
TEST(just_enough_memory) {
    const uint64_t most = RAM - BULKHEAD_TABLES_SIZE - PREFERRED;
    for (unsigned with = 0; with < 2; with++) {
        uint64_t own = with != 0 ? ALIGN_UP(INITRD_SIZE, PAGE_SIZE) : 0;
        for (unsigned more = 0; more < 2; more++) {
            fresh();
            put(0x260, most - own + more, 4);
            stage(RAM);
            start.initrd.size = with != 0 ? start.initrd.size : 0;
            if (more == 0) {
                load_it();
            } else {
                check_load_refused(LOAD_NO_ROOM);
            }
        }
    }
}

/* The file may lie where the kernel goes, above and below its place, and far from it. */
TEST(kernel_over_its_own_file) {
    for (uint64_t page = 0; page <= 48; page += 8) {
        fresh();
        memset(ram + start.kernel.gpa, 0, sizeof(kernel));
        start.kernel.gpa = PREFERRED + (page - 24) * PAGE_SIZE;
        memcpy(ram + start.kernel.gpa, kernel, sizeof(kernel));
        load_it();
        check_memory(PREFERRED, start.initrd.gpa);
    }
}

/* initrd_addr_max under the top of memory: the initrd moves down, over its old place or not. */
TEST(initrd_within_reach) {
    const uint64_t reaches[] = {31 * MIB, 30 * MIB + 0x1800, 25 * MIB};
    for (size_t i = 0; i < ARRAY_SIZE(reaches); i++) {
        fresh();
        put(0x22c, reaches[i] - 1, 4);
        stage(RAM);
        load_it();
        uint64_t at = get(PARAMS_GPA + 0x218, 4);
        CHECK_U64(at, ALIGN_DOWN(reaches[i] - INITRD_SIZE, PAGE_SIZE));
        check_memory(PREFERRED, at);
    }
}

TEST(low_kernels_move_up) {
    fresh();
    put(0x258, 0, 8);
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, 2 * MIB + 0x200); /* above the first MiB, aligned */
    put(0x258, 17 * MIB, 8);
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, 18 * MIB + 0x200);
    put(0x234, 0, 1);
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, 17 * MIB + 0x200); /* cannot be moved */
}

/* Without a 64-bit entry point: the first byte, in protected mode. */
TEST(protected_mode) {
    fresh();
    load_it();
    CHECK_U64(entry.mode, MODE_LONG);
    CHECK_U64(entry.esi, PARAMS_GPA);
    put(0x236, 0xfe, 2);
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, PREFERRED);
    CHECK_U64(entry.mode, MODE_PROTECTED);
    CHECK_U64(entry.esi, PARAMS_GPA);
    CHECK_U64(entry.eax | entry.ebx | entry.edi, 0);
    put(0x236, 0xff, 2);
    put(0x206, 0x20b, 2); /* has no such field yet */
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, PREFERRED);
}

/* Version 2.02: the header ends at 22Ch, what follows is code. */
TEST(old_headers) {
    fresh();
    put(0x201, 0x2a, 1);
    put(0x206, 0x202, 2);
    memset(kernel + 0x22c, 0xff, 0x60);
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, MIB);
    CHECK_U64(entry.mode, MODE_PROTECTED);
    CHECK_U64(get(PARAMS_GPA + 0x22c, 8), 0);
    uint64_t at = get(PARAMS_GPA + 0x218, 4);
    CHECK_U64(at, start.initrd.gpa);
    check_memory(MIB, at);
    /* 2.05 can be moved, but has no address of its own: as low as it goes. */
    put(0x201, 0x36, 1);
    put(0x206, 0x205, 2);
    put(0x22c, 0x7fffffff, 4);
    put(0x230, 0x1000000, 4);
    put(0x234, 1, 1);
    stage(RAM);
    load_it();
    CHECK_U64(entry.address, MIB);
    /* The flag of a 64-bit entry point is the header's last field; then half of it is missing. */
    put(0x206, 0x20c, 2);
    put(0x236, 0x03, 2);
    for (unsigned missing = 0; missing < 2; missing++) {
        put(0x201, 0x36 - missing, 1);
        stage(RAM);
        load_it();
        CHECK_U64(entry.mode, missing == 0 ? MODE_LONG : MODE_PROTECTED);
    }
}

static void check_field_refused(unsigned at, uint64_t value, unsigned bytes,
                                enum load_status want) {
    fresh();
    put(at, value, bytes);
    stage(RAM);
    start.kernel_type = BULKHEAD_KERNEL_LINUX;
    check_load_refused(want);
}

TEST(refusals) {
    check_field_refused(0x1fe, 0, 2, LOAD_NO_LINUX);
    check_field_refused(0x202, 0, 4, LOAD_NO_LINUX);
    check_field_refused(0x206, 0x201, 2, LOAD_NO_LINUX);
    check_field_refused(0x211, 0, 1, LOAD_NO_LINUX);
    check_field_refused(0x201, 0x29, 1, LOAD_NO_LINUX);
    check_field_refused(0x201, 0x80, 1, LOAD_NO_LINUX);
    check_field_refused(0x1f1, 0xff, 1, LOAD_NO_LINUX);
    check_field_refused(0x1f4, (KERNEL_SIZE + 96) / 16, 4, LOAD_NO_LINUX);
    check_field_refused(0x1f4, 0x20, 4, LOAD_NO_LINUX);
    check_field_refused(0x230, 0, 4, LOAD_NO_ROOM);
    check_field_refused(0x258, RAM, 8, LOAD_NO_ROOM);
    check_field_refused(0x258, UINT64_MAX - PAGE_SIZE + 1, 8, LOAD_NO_ROOM);
    check_field_refused(0x260, 13 * MIB, 4, LOAD_NO_ROOM);
    check_field_refused(0x22c, 23 * MIB, 4, LOAD_NO_ROOM);
    check_field_refused(0x238, strlen(CMDLINE) - 1, 4, LOAD_LONG_LINE);
    fresh();
    put(0x260, 16 * MIB, 4); /* too much without an initrd as well */
    stage(RAM);
    start.initrd.size = 0;
    check_load_refused(LOAD_NO_ROOM);
    fresh();
    put(0x238, strlen(CMDLINE), 4);
    stage(RAM);
    load_it();
}

static const uint32_t amd[] = {0, 0x68747541, 0x444d4163, 0x69746e65};

/* The command line that a kernel gets on an AMD CPU whose TSC has so many kHz. */
static const char *told(const char *line, uint32_t khz) {
    static uint32_t intel[4];
    memcpy(intel, cpuid[LOAD_LEAF_VENDOR], sizeof(intel));
    memcpy(cpuid[LOAD_LEAF_VENDOR], amd, sizeof(amd));
    cpuid[LOAD_LEAF_TIMING][0] = khz;
    fresh();
    memset(ram + start.cmdline.gpa, '#', 64);
    stage_texts("", line);
    CHECK_U64(run_load(), LOAD_DONE);
    memcpy(cpuid[LOAD_LEAF_VENDOR], intel, sizeof(intel));
    const char *at = (const char *)ram + get(PARAMS_GPA + 0x228, 4);
    CHECK_U64(start.cmdline.size, strlen(at));
    CHECK_STR((const char *)ram + start.name.gpa, "web"); /* the line grows over nothing */
    return at;
}

TEST(clock_is_told) {
    CHECK_STR(told("quiet", 2400123), "quiet tsc_early_khz=2400123");
    CHECK_STR(told("", 999), " tsc_early_khz=999");
    CHECK_STR(told("quiet", UINT32_MAX), "quiet tsc_early_khz=4294967295");
    CHECK_STR(told("quiet", 0), "quiet");
    CHECK_STR(told("tsc_early_khz=1 quiet", 2400123), "tsc_early_khz=1 quiet");
    CHECK_STR(told("tsc_early_khz=", 2400123), "tsc_early_khz=");
    CHECK_STR(told("quiet tsc_early_khz=", 2400123), "quiet tsc_early_khz=");
    CHECK_STR(told("tsc_early_khz", 999), "tsc_early_khz tsc_early_khz=999");
}

TEST(intel_cpus_tell_it_themselves) {
    cpuid[LOAD_LEAF_TIMING][0] = 2400123;
    fresh();
    load_it();
    CHECK_STR((const char *)ram + start.cmdline.gpa, CMDLINE);
}

TEST(clock_keeps_to_the_kernels_line) {
    char line[CMDLINE_MOST];
    memset(line, 'a', sizeof(line));
    const size_t most = CMDLINE_MOST - strlen(" tsc_early_khz=1000");
    line[most + 1] = '\0';
    CHECK_U64(strlen(told(line, 1000)), most + 1);
    line[most] = '\0';
    CHECK_U64(strlen(told(line, 1000)), CMDLINE_MOST);
}

/* Whatever the header says, nothing outside of the guest's memory is touched (the sanitizer sees).
 */
TEST(random_headers) {
    uint32_t random = 1, loaded = 0;
    for (uint32_t i = 0; i < 300; i++) {
        write_kernel();
        for (unsigned j = 0; j < 2; j++) {
            random = random * 1664525 + 1013904223;
            kernel[0x1f1 + (random >> 8) % 0x77] = (uint8_t)(random >> 24);
        }
        stage_files(RAM, kernel, sizeof(kernel), initrd, PAGE_SIZE); /* small, so quick */
        stage_texts("guests/web.img", CMDLINE);
        start.kernel_type = BULKHEAD_KERNEL_LINUX;
        loaded += run_load() == LOAD_DONE;
    }
    CHECK(loaded > 50 && loaded < 280);
}

TEST_MAIN(T(clock_is_told), T(intel_cpus_tell_it_themselves), T(random_headers),
          T(clock_keeps_to_the_kernels_line), T(boot_params), T(e820), T(no_initrd),
          T(just_enough_memory), T(kernel_over_its_own_file), T(initrd_within_reach),
          T(low_kernels_move_up), T(protected_mode), T(old_headers), T(refusals))
