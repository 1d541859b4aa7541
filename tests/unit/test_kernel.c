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
    FAULTS({"3:10:", "kernel (32M once running, from 16M on) and initrd (4M); write at least "
                     "\"74M\", with which Linux starts; programs need more"});
    /* What is enough to be started in may be too little for Linux to start. */
    configure(GUEST("alpha", "1", "52M"));
    CHECK(build() == STATUS_OK);
    CHECK_U64(kernel_memory_missed(&machine, &machine.config.guests[0]), 74 * MIB);
    configure(GUEST("alpha", "1", "74M"));
    CHECK(build() == STATUS_OK);
    CHECK_U64(kernel_memory_missed(&machine, &machine.config.guests[0]), 0);
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
}

/* What is often taken for a kernel is named, whatever type is asked for. */
TEST(foreign_files) {
    static const struct {
        unsigned at;
        const char *bytes, *words;
    } files[] = {
        {0, "\x1f\x8b", "is compressed: unpack it with gunzip"},
        {0,
         "\xfd"
         "7zXZ",
         "is compressed: unpack it with unxz"},
        {0, "\x28\xb5\x2f\xfd", "is compressed: unpack it with unzstd"},
        {0, "BZh9", "is compressed: unpack it with bunzip2"},
        {0, "070701", "is an initial ramdisk"},
        {0, "QFI\xfb", "is the image of a disk"},
        {0x28, "_FVH", "is UEFI firmware"},
        {0x38, "ARM\x64", "is a kernel for ARM"},
        {0x8001, "CD001", "is the image of a CD"},
        {0xfff0, "\xea\x5b\xe0", NULL}, /* its segment, 0F000h, is missing */
        {0xfff0, "\xfa\xfc\xe9\x0b\xf8", "is the BIOS of a PC"},
        {0xfff0, "\x0f\x09\xe9\x0b\xf8", "is the BIOS of a PC"},
        {0xfff0, "\xe9\x0b\x78", NULL}, /* forwards: out of the image */
    };
    static uint8_t file[0x10000];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        memset(file, 0, sizeof(file));
        memcpy(file + files[i].at, files[i].bytes, strlen(files[i].bytes));
        for (uint32_t type = BULKHEAD_KERNEL_ANY; type < BULKHEAD_KERNEL_TYPES; type++) {
            enum status s = kernel_parse(file, sizeof(file), type, &image, &why);
            bool named = why != NULL && files[i].words != NULL && strstr(why, files[i].words);
            CHECK(named == (files[i].words != NULL));
            CHECK((s == STATUS_OK) == (files[i].words == NULL && type == BULKHEAD_KERNEL_FLAT));
        }
    }
    memset(file, 0, sizeof(file));
    memcpy(file + 0xfff0, "\xea\x5b\xe0\x00\xf0", 5);
    CHECK(kernel_parse(file, sizeof(file), 0, &image, &why) == STATUS_INVALID);
    CHECK(strstr(why, "is the BIOS of a PC") != NULL);
    CHECK(kernel_parse(file + 1, sizeof(file) - 1, BULKHEAD_KERNEL_FLAT, &image, &why) ==
          STATUS_OK); /* no multiple of 64 KiB */
}

/* An EFI application before its accidental headers; a unified image; a bzImage stays one. */
TEST(efi_applications) {
    memset(kernel_file, 0, sizeof(kernel_file));
    memcpy(kernel_file, "MZ", 2);
    put_field(0x3c, 0x80, 4);
    memcpy(kernel_file + 0x80, "PE\0\0", 4);
    put_field(0x100, 0x1badb002, 4);
    put_field(0x108, 0u - 0x1badb002u, 4);
    CHECK(parse(sizeof(kernel_file)) == STATUS_INVALID);
    CHECK(strstr(why, "is an EFI application") != NULL);
    put_field(0x86, 2, 2);
    put_field(0x94, 0xf0, 2);
    memcpy(kernel_file + 0x98 + 0xf0 + 40, ".linux", 6);
    CHECK(parse(sizeof(kernel_file)) == STATUS_INVALID);
    CHECK(strstr(why, "is a unified kernel image") != NULL);
    for (size_t n = 0; n < 0x1b8; n++) { /* cut off anywhere: no byte too far */
        uint8_t *copy = malloc(n != 0 ? n : 1);
        memcpy(copy, kernel_file, n);
        CHECK(kernel_parse(copy, n, BULKHEAD_KERNEL_ANY, &image, &why) == STATUS_INVALID);
        free(copy);
    }
    make_kernel();
    memcpy(kernel_file, "MZ", 2);
    put_field(0x3c, 0x80, 4);
    memcpy(kernel_file + 0x80, "PE\0\0", 4);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
}

TEST(boot_sector) {
    memset(kernel_file, 0, sizeof(kernel_file));
    memcpy(kernel_file, "\xeb\x3c\x90", 3);
    put_field(0x1fe, 0xaa55, 2);
    CHECK(parse(512) == STATUS_INVALID);
    CHECK(strstr(why, "begins with a boot sector") != NULL);
    make_kernel();
    memcpy(kernel_file, "\xeb\x3c\x90", 3);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
}

static uint64_t unpacked(const char *bytes, size_t size) {
    return initrd_unpacked_size((const uint8_t *)bytes, size);
}

/* What the packers' headers say; where they say nothing likely, four times the size. */
TEST(initrd_sizes) {
    char b[400] = {0};
    memcpy(b, "\x1f\x8b\x08", 3);
    memcpy(b + 96, "\x00\x10\x00\x00", 4);
    CHECK_U64(unpacked(b, 100), 4096);
    memcpy(b + 96, "\x00\x00\x00\x00", 4);
    CHECK_U64(unpacked(b, 100), 400); /* zeros follow the last member */
    memcpy(b + 96, "\x00\x00\x00\x10", 4);
    CHECK_U64(unpacked(b, 100), 400);                     /* no packer is that good */
    memcpy(b, "\x28\xb5\x2f\xfd\xa0\x00\x20\x00\x00", 9); /* one segment, four bytes */
    CHECK_U64(unpacked(b, 100), 0x2000);
    memcpy(b, "\x28\xb5\x2f\xfd\x60\x00\x20", 7);
    CHECK_U64(unpacked(b, 100), 0x2100);
    memcpy(b, "\x28\xb5\x2f\xfd\x04\x58", 6); /* from a pipe: not known */
    CHECK_U64(unpacked(b, 100), 400);
    memset(b, 0, sizeof(b));
    memcpy(b,
           "\xfd"
           "7zXZ",
           6);
    memcpy(b + 80, "\x00\x02\x10\x80\x10\x10\x80\x20", 8); /* two blocks of 2048 and 4096 */
    memcpy(b + 96, "\x00\x00\x00\x00\x03\x00\x00\x00\x00\x04YZ", 12);
    CHECK_U64(unpacked(b, 108), 2048 + 4096);
    CHECK_U64(unpacked(b, 108 + 4 * 8), 2048 + 4096); /* padded */
    memcpy(b + 100, "\xff\xff\xff\xff", 4);
    CHECK_U64(unpacked(b, 108), 432);
    memset(b, 'x', sizeof(b));
    CHECK_U64(unpacked(b, 100), 400);
}

/* Plain archives first, as microcode comes; then a packed one. */
TEST(initrd_with_microcode) {
    char b[512] = {0};
    unsigned at = 0;
    at += (unsigned)sprintf(b, "070701%048d%08x%032d%08x%08d", 0, 9, 0, 5, 0) + 0;
    CHECK_U64(at, 110);
    memcpy(b + at, "file", 5);
    at = 116; /* the name's end */
    at += 12; /* nine bytes */
    sprintf(b + at, "070701%048d%08d%032d%08x%08d", 0, 0, 0, 11, 0);
    memcpy(b + at + 110, "TRAILER!!!", 11);
    CHECK_U64(unpacked(b, 300), 300);
    memcpy(b + 260, "\x1f\x8b", 2);
    memcpy(b + 356, "\x00\x04\x00\x00", 4);
    CHECK_U64(unpacked(b, 360), 260 + 1024);
    for (size_t n = 1; n < 360; n++) {
        char *copy = malloc(n);
        memcpy(copy, b, n);
        CHECK(unpacked(copy, n) >= n / 2);
        free(copy);
    }
}

TEST(memory_advised) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    /* 32M, 1M, 2M and 32M to start in; a 32nd. */
    CHECK_U64(kernel_memory_advised(&image, 50 * MIB, MIB, 2 * MIB), 70 * MIB);
    /* Files of 200M fill half of what is left. */
    CHECK_U64(kernel_memory_advised(&image, 50 * MIB, 50 * MIB, 200 * MIB), 498 * MIB);
    CHECK_U64(kernel_memory_advised(&image, 600 * MIB, MIB, 2 * MIB), 600 * MIB);
    image.unpacks = false;
    CHECK_U64(kernel_memory_advised(&image, 50 * MIB, MIB, 2 * MIB), 50 * MIB);
}

TEST_MAIN(T(good), T(old_header), T(type_of_file), T(foreign_files), T(efi_applications),
          T(boot_sector), T(initrd_sizes), T(initrd_with_microcode), T(memory_advised), T(refused),
          T(every_prefix), T(random_headers), T(memory_needed), T(memory_needed_by_a_large_file),
          T(initrd_out_of_reach), T(guest_faults), T(too_small_for_its_files))
