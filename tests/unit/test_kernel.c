// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of config/kernel.c. */
#include "tests/unit/machine.h"

static struct kernel image;
static const char *why;

static enum status parse(uint64_t size) {
    why = "";
    return kernel_parse(kernel_file, size, BULKHEAD_KERNEL_ANY, &image, &why);
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
    CHECK_U64(image.cmdline_max, 0x77777777); /* untouched */
}

TEST(good) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(image.base, 16 * MIB);
    CHECK_U64(image.end, 48 * MIB);
    CHECK(!image.apart);
    CHECK_U64(image.initrd_max, 0x7fffffff);
    CHECK_U64(image.cmdline_max, 2047);
    put_field(0x1f1, 0, 1); /* 0 sectors means 4 */
    put_field(0x1f4, 0x100, 4);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    put_field(0x206, 0x20c, 2);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    put_field(0x236, 0, 2); /* of 32 bits */
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
}

/* Without the fields that came later, the old rules. */
TEST(old_header) {
    make_kernel();
    put_field(0x201, 0x2a, 1);
    put_field(0x206, 0x202, 2);
    memset(kernel_file + 0x22c, 0xff, 0x60);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(image.base, MIB);
    CHECK_U64(image.end, MIB + 8 * (KERNEL_FILE_SIZE - 1024));
    CHECK_U64(image.initrd_max, 0x37ffffff);
    CHECK_U64(image.cmdline_max, 255);
}

TEST(refused) {
    check_refused(0x1fe, 0x55aa, 2, "is no Linux bzImage");
    check_refused(0x202, 'X', 1, "is no Linux bzImage");
    check_refused(0x206, 0x201, 2, "older than 2.02");
    check_refused(0x211, 0, 1, "zImage");
    check_refused(0x201, 0x29, 1, "impossible length");
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
        CHECK(kernel_parse(copy, n, BULKHEAD_KERNEL_ANY, &image, &why) == STATUS_INVALID);
        CHECK(why != NULL && (strstr(why, "truncated") != NULL || n < 0x281));
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
            CHECK(needed == 0 || needed >= image.end + 3 * MIB);
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
    put_field(0x258, 0, 8);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(need(0), 36 * MIB); /* from 2 MiB on: above the first MiB, aligned */
    put_field(0x258, 17 * MIB, 8);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(need(0), 52 * MIB);
    put_field(0x234, 0, 1);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
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
    FAULTS({"4:10:", "is no Linux bzImage, Multiboot or 64-bit ELF kernel; for a flat binary"});
    make_machine();
    configure(GUEST("alpha", "1", "512M"));
    put_field(0x206, 0, 2);
    FAULTS({"4:10:", "older than 2.02"});
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

/* A type that the file is not; a flat binary, which only its type tells. */
TEST(type_of_file) {
    make_machine();
    configure(GUEST("alpha", "1", "512M") "type = \"linux\"\n");
    CHECK(build() == STATUS_OK);
    configure(GUEST("alpha", "1", "512M") "type = \"multiboot\"\n");
    FAULTS({"6:8:", "kernel = \"guests/vmlinuz\" has no Multiboot header in its first 8 KiB; name "
                    "another type, or none"});
    configure(GUEST("alpha", "1", "512M") "type = \"elf\"\n");
    FAULTS({"6:8:", "is not a 64-bit ELF file; name"});
    configure(GUEST("alpha", "1", "512M") "type = \"flat\"\n");
    FAULTS({"6:8:", "is not a flat binary: it is an ELF file or a bzImage; name"});
    memset(kernel_file, 0x90, sizeof(kernel_file));
    CHECK(build() == STATUS_OK);
    configure(GUEST("alpha", "1", "512M") "type = \"linux\"\n");
    FAULTS({"6:8:", "is no bzImage: it has no header with the letters HdrS; name"});
    configure(GUEST("alpha", "1", "512M"));
    FAULTS({"4:10:", "for a flat binary write type = \"flat\""});
    memcpy(kernel_file, "\x1f\x8b", 2);
    FAULTS({"4:10:", "is compressed: unpack it with gunzip"});
    memcpy(kernel_file, "MZ", 2);
    FAULTS({"4:10:", "is an EFI application"});
}

TEST_MAIN(T(good), T(old_header), T(type_of_file), T(refused), T(every_prefix), T(random_headers),
          T(memory_needed), T(memory_needed_by_a_large_file), T(initrd_out_of_reach),
          T(guest_faults), T(too_small_for_its_files))
