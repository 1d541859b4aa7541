// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of config/kernel.c. */
#include "tests/unit/machine.h"

static struct kernel_header image;
static const char *why;

static enum status parse(uint64_t size) {
    why = "";
    return kernel_parse(kernel_file, size, &image, &why);
}

static uint64_t need(uint64_t initrd_size) {
    return kernel_memory_needed(&image, sizeof(kernel_file), initrd_size);
}

/* One field changed: refused with these words. */
static void check_refused(unsigned at, uint64_t value, unsigned bytes, const char *words) {
    make_kernel();
    put_field(at, value, bytes);
    memset(&image, 0x77, sizeof(image));
    CHECK(parse(sizeof(kernel_file)) == STATUS_INVALID);
    CHECK(why != NULL && strstr(why, words) != NULL);
    CHECK_U64(image.alignment, 0x77777777); /* untouched */
}

TEST(good) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(image.pref_address, 16 * MIB);
    CHECK_U64(image.init_size, 32 * MIB);
    CHECK_U64(image.alignment, 2 * MIB);
    CHECK(image.relocatable);
    CHECK_U64(image.initrd_max, 0x7fffffff);
    CHECK_U64(image.cmdline_max, 2047);
    put_field(0x1f1, 0, 1); /* 0 sectors means 4 */
    put_field(0x1f4, 0x100, 4);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    put_field(0x206, 0x20c, 2);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
}

TEST(refused) {
    check_refused(0x1fe, 0x55aa, 2, "not a bzImage");
    check_refused(0x202, 'X', 1, "not a bzImage");
    check_refused(0x206, 0x20b, 2, "older than 2.12");
    check_refused(0x211, 0, 1, "zImage");
    check_refused(0x236, 0x3e, 2, "64-bit entry");
    check_refused(0x201, 0x61, 1, "impossible length");
    check_refused(0x201, 0x80, 1, "impossible length");
    check_refused(0x1f4, (KERNEL_FILE_SIZE - 1024) / 16 + 1, 4, "truncated");
    check_refused(0x1f4, 0xffffffff, 4, "truncated");
    check_refused(0x1f1, 0xff, 1, "truncated");
    check_refused(0x1f4, 0x20, 4, "impossible sizes");
    check_refused(0x260, 0x1000, 4, "impossible sizes");
    check_refused(0x230, 0, 4, "alignment");
    check_refused(0x230, 0x300000, 4, "alignment");
    check_refused(0x230, 0x800, 4, "alignment");
    check_refused(0x258, 16 * MIB + 1, 8, "load address");
    check_refused(0x258, 0xfffffffffffff000, 8, "load address");
}

/* Every prefix is refused, in memory of just its size so that the sanitizer sees one byte too far.
 */
TEST(every_prefix) {
    make_kernel();
    for (size_t n = 0; n < sizeof(kernel_file); n += n < 0x2a0 ? 1 : 511) {
        uint8_t *copy = malloc(n != 0 ? n : 1);
        memcpy(copy, kernel_file, n);
        CHECK(kernel_parse(copy, n, &image, &why) == STATUS_INVALID);
        CHECK(why != NULL && (strstr(why, "truncated") != NULL || n < 0x26c));
        free(copy);
    }
}

TEST(random_headers) {
    uint32_t random = 1;
    for (int i = 0; i < 100000; i++) {
        make_kernel();
        for (unsigned j = 0; j < 3; j++) {
            random = random * 1664525 + 1013904223;
            kernel_file[0x1f1 + (random >> 8) % 0x90] = (uint8_t)(random >> 24);
        }
        if (parse(sizeof(kernel_file)) == STATUS_OK) {
            uint64_t needed = need(3 * MIB);
            CHECK(needed == 0 || needed >= image.pref_address + image.init_size + 3 * MIB);
            CHECK_U64(needed % (2 * MIB), 0);
        }
    }
}

/* By hand: where the kernel ends, the initrd in whole pages, 64 KiB of tables; in whole 2 MiB. */
TEST(memory_needed) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(need(3 * MIB + 5), 52 * MIB);
    CHECK_U64(need(0), 50 * MIB);
    CHECK_U64(need(2 * MIB - 64 * KIB), 50 * MIB);
    CHECK_U64(need(2 * MIB - 64 * KIB + 1), 52 * MIB);
    image.pref_address = 0;
    CHECK_U64(need(0), 36 * MIB); /* from 2 MiB on: above the first MiB, aligned */
    image.pref_address = 17 * MIB;
    CHECK_U64(need(0), 52 * MIB);
    image.relocatable = false;
    CHECK_U64(need(0), 50 * MIB);
}

/* The file is put into the guest's memory whole, above the first MiB. */
TEST(memory_needed_by_a_large_file) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(kernel_memory_needed(&image, 47 * MIB, 0), 50 * MIB);
    CHECK_U64(kernel_memory_needed(&image, 49 * MIB, 0), 52 * MIB);
    CHECK_U64(kernel_memory_needed(&image, 49 * MIB, 2 * MIB + 1), 54 * MIB);
    CHECK_U64(kernel_memory_needed(&image, UINT64_MAX, 0), 0);
}

TEST(initrd_out_of_reach) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(need(2 * GIB - 48 * MIB), 2 * GIB + 2 * MIB); /* up to the kernel's end, no more */
    CHECK_U64(need(2 * GIB - 48 * MIB + 1), 0);
    CHECK_U64(need(UINT64_MAX), 0);
    image.initrd_max = UINT64_MAX;
    CHECK_U64(need(2 * GIB), 2 * GIB + 50 * MIB);
    image.initrd_max = 16 * MIB;
    CHECK_U64(need(1), 0);
    CHECK_U64(need(0), 50 * MIB);
}

/* What is wrong with a guest's files, where the config names them. */
TEST(guest_faults) {
    make_machine();
    configure(GUEST("alpha", "1", "512M"));
    machine.images[0].size = KERNEL_FILE_SIZE - 16;
    FAULTS({"4:10:", "kernel = \"guests/vmlinuz\" is truncated"});
    machine.images[0].size = 100;
    FAULTS({"4:10:", "is not a bzImage"});
    make_machine();
    configure(GUEST("alpha", "1", "512M"));
    put_field(0x236, 0, 2);
    FAULTS({"4:10:", "no 64-bit entry"});
    make_kernel();
    put_field(0x238, 5, 4);
    FAULTS({"1:1:", "the cmdline has 13 bytes, but this kernel takes 5"});
    configure(GUEST("alpha", "1", "512M") GUEST("beta", "2", "512M"));
    FAULTS({"1:1:", "guest \"alpha\": the cmdline"}, {"6:1:", "guest \"beta\": the cmdline"});
}

TEST(too_small_for_its_files) {
    make_machine();
    configure(GUEST("alpha", "1", "50M"));
    FAULTS({"3:10:", "kernel (32M once running, from 16M on) and initrd (4M) where the kernel can "
                     "reach them; write at least \"52M\""});
    configure(GUEST("alpha", "1", "52M"));
    CHECK(build() == STATUS_OK);
    configure(GUEST("alpha", "1", "512M"));
    put_field(0x22c, 48 * MIB, 4);
    FAULTS({"4:10:", "take smaller ones"});
}

TEST_MAIN(T(good), T(refused), T(every_prefix), T(random_headers), T(memory_needed),
          T(memory_needed_by_a_large_file), T(initrd_out_of_reach), T(guest_faults),
          T(too_small_for_its_files))
