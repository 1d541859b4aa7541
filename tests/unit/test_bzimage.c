// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/plan/bzimage.c. */
#include "tests/unit/machine.h"

#include "hv/plan/bzimage.h"

static struct bzimage image;
static const char *why;

static enum status parse(uint64_t size) {
    why = "";
    return bzimage_parse(kernel_file, size, &image, &why);
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
    CHECK_U64(image.setup_size, 1024);
    CHECK_U64(image.kernel_size, KERNEL_FILE_SIZE - 1024);
    CHECK_U64(image.pref_address, 16 * MIB);
    CHECK_U64(image.init_size, 32 * MIB);
    CHECK_U64(image.alignment, 2 * MIB);
    CHECK(image.relocatable);
    CHECK_U64(image.initrd_max, 0x7fffffff);
    CHECK_U64(image.cmdline_max, 2047);
    CHECK_U64(image.header_size, 0x202 + 0x6a - 0x1f1);
    put_field(0x1f1, 0, 1); /* 0 sectors means 4 */
    put_field(0x1f4, 0x100, 4);
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK_U64(image.setup_size, 5 * 512);
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
        CHECK(bzimage_parse(copy, n, &image, &why) == STATUS_INVALID);
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
            CHECK(image.setup_size <= sizeof(kernel_file));
            CHECK(image.kernel_size <= sizeof(kernel_file) - image.setup_size);
            CHECK(image.header_size <= 0x290 - 0x1f1);
            struct guest_layout layout;
            if (guest_layout_compute(&image, 3 * MIB, 3 * GIB, &layout) == STATUS_OK) {
                CHECK(layout.kernel.v >= MIB);
                CHECK(layout.kernel.v + image.init_size <= layout.initrd.v);
                CHECK(layout.initrd.v + 3 * MIB <= layout.acpi.v);
            }
        }
    }
}

static struct guest_layout layout;

static enum status place(uint64_t initrd_size, uint64_t ram) {
    memset(&layout, 0x77, sizeof(layout));
    return guest_layout_compute(&image, initrd_size, ram, &layout);
}

TEST(layout_places) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK(place(3 * MIB + 5, 512 * MIB) == STATUS_OK);
    CHECK_U64(layout.kernel.v, 16 * MIB);
    CHECK_U64(layout.acpi.v, 512 * MIB - 64 * KIB);
    CHECK_U64(layout.initrd.v, 509 * MIB - 64 * KIB - 4 * KIB);
    CHECK_U64(layout.needed, 52 * MIB);
    CHECK(place(0, 512 * MIB) == STATUS_OK);
    CHECK_U64(layout.initrd.v, 0);
    CHECK_U64(layout.needed, 50 * MIB);
    CHECK(place(0, 48 * MIB + 64 * KIB) == STATUS_OK);
    CHECK(place(0, 48 * MIB + 60 * KIB) == STATUS_NO_MEMORY);
    CHECK(place(4096, 3 * GIB) == STATUS_OK);
    CHECK_U64(layout.initrd.v, 2 * GIB - 4096); /* under initrd_max, not at the top of RAM */
    CHECK_U64(layout.acpi.v, 3 * GIB - 64 * KIB);
}

TEST(layout_moves_low_kernels_up) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    image.pref_address = 0;
    CHECK(place(0, 64 * MIB) == STATUS_OK);
    CHECK_U64(layout.kernel.v, 2 * MIB); /* above the first MiB, aligned */
    image.pref_address = 17 * MIB;
    CHECK(place(0, 64 * MIB) == STATUS_OK);
    CHECK_U64(layout.kernel.v, 18 * MIB);
    image.relocatable = false;
    CHECK(place(0, 64 * MIB) == STATUS_OK);
    CHECK_U64(layout.kernel.v, 17 * MIB);
}

/* The named need is just enough: it works with it and fails with 2 MiB less. */
TEST(layout_need_is_exact) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    for (uint64_t size = 0; size < 5 * MIB; size += 77777) {
        CHECK(place(size, 16 * MIB) == STATUS_NO_MEMORY);
        CHECK_U64(layout.kernel.v, 0x7777777777777777); /* untouched */
        uint64_t needed = layout.needed;
        CHECK_U64(needed % (2 * MIB), 0);
        CHECK(place(size, needed) == STATUS_OK);
        CHECK(size == 0 || layout.initrd.v >= layout.kernel.v + image.init_size);
        CHECK(place(size, needed - 2 * MIB) == STATUS_NO_MEMORY);
    }
}

TEST(layout_out_of_reach) {
    make_kernel();
    CHECK(parse(sizeof(kernel_file)) == STATUS_OK);
    CHECK(place(2 * GIB - 48 * MIB, 3 * GIB) == STATUS_OK); /* up to the kernel's end, no more */
    CHECK_U64(layout.initrd.v, 48 * MIB);
    CHECK(place(2 * GIB - 48 * MIB + 1, 3 * GIB) == STATUS_NO_MEMORY);
    CHECK_U64(layout.needed, 0);
    CHECK(place(UINT64_MAX, 3 * GIB) == STATUS_NO_MEMORY);
    CHECK_U64(layout.needed, 0);
    image.initrd_max = UINT64_MAX;
    CHECK(place(2 * GIB, 3 * GIB) == STATUS_OK);
    image.initrd_max = 16 * MIB;
    CHECK(place(1, 3 * GIB) == STATUS_NO_MEMORY);
    CHECK_U64(layout.needed, 0);
}

TEST_MAIN(T(good), T(refused), T(every_prefix), T(random_headers), T(layout_places),
          T(layout_moves_low_kernels_up), T(layout_need_is_exact), T(layout_out_of_reach))
