// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of config/program.c: Multiboot and ELF files before the start. */
#include "tests/unit/machine.h"

static struct kernel k;
static const char *why;

/* Code at 1 MiB and data with zeros at 2 MiB; the second header is not to be loaded. */
static void make_elf(unsigned class) {
    const uint64_t wide[3][7] = {{1, 0x1000, MIB, MIB, 0x800, 0x800, 0},
                                 {4, UINT64_MAX, 0, 0, UINT64_MAX, 1, 0},
                                 {1, 0x1800, 2 * MIB, 2 * MIB, 0x1234, 0x5000, 0}};
    memset(kernel_file, 0, sizeof(kernel_file));
    memcpy(kernel_file, "\177ELF", 4);
    put_field(4, class, 1);
    put_field(5, 1, 1);
    put_field(16, 2, 2);
    put_field(18, class == 1 ? 3 : 62, 2);
    put_field(class == 1 ? 28 : 32, class == 1 ? 52 : 64, class * 4);
    put_field(class == 1 ? 42 : 54, class == 1 ? 32 : 56, 2);
    put_field(class == 1 ? 44 : 56, 3, 2);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned f = 0; f < 6; f++) {
            const unsigned at = class == 1 ? 52 + 32 * i + 4 * f : 64 + 56 * i + 8 * f;
            put_field(at, wide[i][f], class * 4);
        }
    }
}

static void put_multiboot(unsigned at, uint32_t flags) {
    put_field(at, 0x1badb002, 4);
    put_field(at + 4, flags, 4);
    put_field(at + 8, 0u - (0x1badb002u + flags), 4);
}

static enum status parse(uint32_t type) {
    return kernel_parse(kernel_file, sizeof(kernel_file), type, &k, &why);
}

static void check_good(uint32_t type, uint64_t base, uint64_t end) {
    CHECK(parse(type) == STATUS_OK);
    CHECK_U64(k.base, base);
    CHECK_U64(k.end, end);
    CHECK(k.apart);
    CHECK_U64(k.cmdline_max, CONFIG_CMDLINE_SIZE - 1);
}

static void check_refused(const char *words) {
    CHECK(parse(BULKHEAD_KERNEL_ANY) == STATUS_INVALID);
    CHECK(why != NULL && strstr(why, words) != NULL);
}

/* One field of the third program header, or of the file's. */
static void check_segment(unsigned number, uint64_t value, const char *words) {
    make_elf(2);
    put_field(64 + 56 * 2 + 8 * number, value, 8);
    check_refused(words);
}

static void check_field(unsigned at, uint64_t value, unsigned bytes, const char *words) {
    make_elf(2);
    put_field(at, value, bytes);
    check_refused(words);
}

TEST(elf64) {
    make_elf(2);
    check_good(BULKHEAD_KERNEL_ANY, MIB, 2 * MIB + 0x5000);
    check_good(BULKHEAD_KERNEL_ELF, MIB, 2 * MIB + 0x5000);
    check_field(16, 3, 2, "not position independent");
    check_field(18, 183, 2, "no executable for x86");
    check_field(5, 2, 1, "no executable for x86");
    check_field(54, 55, 2, "truncated or damaged");
    check_field(32, sizeof(kernel_file) - 3 * 56 + 1, 8, "truncated or damaged");
    check_field(32, UINT64_MAX - 55, 8, "truncated or damaged");
    check_field(56, 0, 2, "no segment to load");
    check_field(56, 0xffff, 2, "truncated or damaged");
    check_segment(1, sizeof(kernel_file) - 0x1233, "truncated or damaged");
    check_segment(1, UINT64_MAX, "truncated or damaged");
    check_segment(4, 0x5001, "truncated or damaged");
    check_segment(5, 0x1233, "truncated or damaged");
    check_segment(5, UINT64_MAX, "truncated or damaged");
    check_segment(3, UINT64_MAX - 0x4fff, "truncated or damaged");
    check_segment(3, 0xfff, "where the firmware is");
    check_segment(3, 0x8b001, "where the firmware is");
    check_segment(3, MIB - 1, "where the firmware is");
    check_segment(3, MIB + 0x7ff, "overlap");
    check_segment(3, MIB - 0x4fff, "where the firmware is");
    make_elf(2);
    put_field(64 + 56 * 2 + 8 * 3, 0x8b000, 8);
    check_good(BULKHEAD_KERNEL_ANY, 0x8b000, MIB + 0x800);
}

TEST(elf32) {
    make_elf(1);
    check_refused("32-bit ELF file without a Multiboot header");
    put_multiboot(0x1ff4, 3);
    check_good(BULKHEAD_KERNEL_ANY, MIB, 2 * MIB + 0x5000);
    put_multiboot(0x1ff4, 4);
    check_refused("video mode");
    put_multiboot(0x1ff4, 0);
    put_field(16, 1, 2);
    check_refused("no executable");
}

/* Linux before it is packed has notes that say so. */
TEST(vmlinux) {
    for (unsigned class = 1; class <= 2; class ++) {
        make_elf(class);
        unsigned second = class == 1 ? 52 + 32 : 64 + 56;
        put_field(second + (class == 1 ? 4 : 8), 0x800, class * 4);  /* where the notes are */
        put_field(second + (class == 1 ? 16 : 32), 0x40, class * 4); /* how many bytes */
        memcpy(kernel_file + 0x800, "\4\0\0\0\5\0\0\0\1\0\0\0GNU\0abcde\0\0\0", 24);
        memcpy(kernel_file + 0x818, "\6\0\0\0\4\0\0\0\1\1\0\0Linux\0\0\0", 20);
        check_refused("is a vmlinux");
        CHECK(parse(BULKHEAD_KERNEL_ELF) == STATUS_INVALID);
        memcpy(kernel_file + 0x818, "\4\0\0\0\6\0\0\0\6\0\0\0Xen\0linux\0", 22);
        check_refused("is a vmlinux");
        kernel_file[0x818 + 8] = 7;
        CHECK((parse(BULKHEAD_KERNEL_ANY) == STATUS_OK) == (class == 2));
        put_field(0x804, 0xffffffff, 4); /* a note longer than all */
        CHECK((parse(BULKHEAD_KERNEL_ANY) == STATUS_OK) == (class == 2));
        put_field(second + (class == 1 ? 16 : 32), sizeof(kernel_file), class * 4);
        CHECK((parse(BULKHEAD_KERNEL_ANY) == STATUS_OK) == (class == 2));
    }
}

TEST(too_many_segments) {
    make_elf(2);
    memmove(kernel_file + 0x400, kernel_file + 64, 56);
    put_field(32, 0x400, 8);
    for (unsigned i = 0; i < 17; i++) {
        memcpy(kernel_file + 0x400 + 56 * i, kernel_file + 64, 56);
        put_field(0x400 + 56 * i + 24, MIB + i * PAGE_SIZE, 8);
    }
    put_field(56, 16, 2);
    check_good(BULKHEAD_KERNEL_ELF, MIB, MIB + 15 * PAGE_SIZE + 0x800);
    put_field(56, 17, 2);
    check_refused("more than 16 segments");
}

/* The header at 400h of the file is at MIB + 300h in memory. */
static void make_addresses(uint32_t load, uint32_t load_end, uint32_t zero_end) {
    memset(kernel_file, 0, sizeof(kernel_file));
    put_multiboot(0x400, 0x10003);
    put_field(0x40c, MIB + 0x300, 4);
    put_field(0x410, load, 4);
    put_field(0x414, load_end, 4);
    put_field(0x418, zero_end, 4);
}

TEST(addresses) {
    make_addresses(MIB, 0, 0);
    check_good(BULKHEAD_KERNEL_ANY, MIB, MIB + sizeof(kernel_file) - 0x100);
    make_addresses(MIB, MIB + 0x1000, 0);
    check_good(BULKHEAD_KERNEL_ANY, MIB, MIB + 0x1000);
    make_addresses(MIB, 0, 9 * MIB);
    check_good(BULKHEAD_KERNEL_MULTIBOOT, MIB, 9 * MIB);
    CHECK_U64(kernel_memory_needed(&k, 2 * MIB, MIB), 14 * MIB); /* the file lies apart */
    make_addresses(MIB, MIB, 0);
    check_refused("truncated or damaged");
    make_addresses(MIB, MIB + sizeof(kernel_file) - 0xff, 0);
    check_refused("truncated or damaged");
    make_addresses(MIB, 0, MIB + 0x1000);
    check_refused("truncated or damaged");
    make_addresses(MIB + 0x301, 0, 0);
    check_refused("truncated or damaged");
    make_addresses(MIB - 0x100, 0, 0);
    check_refused("where the firmware is");
    memset(kernel_file, 0, sizeof(kernel_file));
    put_multiboot(0, 0);
    check_refused("without addresses");
}

TEST(random_headers) {
    uint32_t random = 1;
    for (int i = 0; i < 200000; i++) {
        make_elf(1 + (unsigned)i % 2);
        put_multiboot(0x300, i % 4 < 2 ? 0x10000 : 0);
        for (unsigned j = 0; j < 4; j++) {
            random = random * 1664525 + 1013904223;
            kernel_file[(random >> 8) % (j < 2 ? 0x100 : 0x320)] = (uint8_t)(random >> 24);
        }
        if (parse(BULKHEAD_KERNEL_ANY) == STATUS_OK) {
            CHECK(k.end > k.base);
            (void)kernel_memory_needed(&k, sizeof(kernel_file), MIB);
        }
    }
}

TEST_MAIN(T(elf64), T(elf32), T(vmlinux), T(too_many_segments), T(addresses), T(random_headers))
