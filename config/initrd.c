// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How large an initial ramdisk is once Linux has unpacked it, as far as its headers tell. Nothing
 * is unpacked here. The file is untrusted: what its numbers lead to is checked, a sum that they
 * make up is bounded. Sources: Linux Documentation "initramfs buffer format"; RFC 1952 "Member
 * trailer"; RFC 8878 "Zstandard Frames"; The .xz File Format "Stream Footer", "Index".
 */
#include "config/kernel.h"
#include "hv/lib/str.h"

/* What is assumed where no header tells; and what none of the packers reaches. */
#define USUAL_FACTOR 4
#define MOST_FACTOR  1100

#define ZSTD_SINGLE_SEGMENT 0x20u
#define CPIO_ALIGNMENT      4u

struct bytes {
    const uint8_t *at;
    uint64_t size;
};

static bool begins(struct bytes b, const char *text, size_t n) {
    return b.size >= n && memcmp(b.at, text, n) == 0;
}
#define BEGINS(b, text) begins(b, text, sizeof(text) - 1)

/* The last four bytes are the size, modulo 2^32, of the last member, which is mostly the only one.
 */
static uint64_t gzip_size(struct bytes b) {
    return b.size >= 18 ? number_at(b.at, b.size - 4, 4) : 0;
}

/* The frame's header may have it, in a field of a width that depends. */
static uint64_t zstd_size(struct bytes b) {
    static const uint8_t dictionary_sizes[] = {0, 1, 2, 4};
    enum { DESCRIPTOR = 4, LONGEST = 18 };
    if (b.size < LONGEST) {
        return 0;
    }
    unsigned descriptor = b.at[DESCRIPTOR];
    bool single = (descriptor & ZSTD_SINGLE_SEGMENT) != 0;
    unsigned at = DESCRIPTOR + 1u + (single ? 0 : 1) + dictionary_sizes[descriptor & 3];
    switch (descriptor >> 6) {
    case 0:
        return single ? number_at(b.at, at, 1) : 0;
    case 1:
        return number_at(b.at, at, 2) + 256;
    case 2:
        return number_at(b.at, at, 4);
    default:
        return number_at(b.at, at, 8);
    }
}

/* A number of seven bits a byte; false if it does not end within the bytes or is too long. */
static bool xz_number(struct bytes b, uint64_t *at, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 63 && *at < b.size; shift += 7) {
        uint8_t byte = b.at[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

/* The index before the footer has the size of each block. */
static uint64_t xz_size(struct bytes b) {
    enum { FOOTER = 12, BACKWARD = 4, UNIT = 4 };
    while (b.size >= FOOTER && b.at[b.size - 1] == 0) { /* padding */
        b.size--;
    }
    if (b.size < FOOTER || memcmp(b.at + b.size - 2, "YZ", 2) != 0) {
        return 0;
    }
    uint64_t length = (number_at(b.at, b.size - FOOTER + BACKWARD, 4) + 1) * UNIT;
    if (length > b.size - FOOTER) {
        return 0;
    }
    struct bytes index = {b.at + b.size - FOOTER - length, length};
    uint64_t at = 1, records = 0, total = 0;
    if (index.at[0] != 0 || !xz_number(index, &at, &records)) {
        return 0;
    }
    for (; records > 0; records--) {
        uint64_t packed = 0, unpacked = 0;
        if (!xz_number(index, &at, &packed) || !xz_number(index, &at, &unpacked) ||
            unpacked > KERNEL_SIZE_LIMIT) {
            return 0;
        }
        total = min_u64(total + unpacked, KERNEL_SIZE_LIMIT);
    }
    return total;
}

/* The old format of lzma alone. */
static uint64_t lzma_size(struct bytes b) {
    enum { SIZE = 5, HEADER = 13 };
    return b.size >= HEADER ? number_at(b.at, SIZE, 8) : 0;
}

static const struct {
    const char *magic;
    uint32_t magic_size;
    uint64_t (*size)(struct bytes b); /* 0: not known */
} packers[] = {
    {"\x1f\x8b", 2, gzip_size},
    {"\x28\xb5\x2f\xfd", 4, zstd_size},
    {"\xfd"
     "7zXZ",
     5, xz_size},
    {"\x5d\x00\x00", 3, lzma_size},
};

/* The rest of a file behind a cpio archive that is not packed: microcode comes so. */
static struct bytes cpio_skip(struct bytes b) {
    enum { HEADER = 110, FILE_SIZE = 54, NAME_SIZE = 94, DIGITS = 8 };
    static const char last[] = "TRAILER!!!";
    bool ended = false;
    uint64_t at = 0;
    while (!ended && b.size - at >= HEADER && memcmp(b.at + at, "07070", 5) == 0) {
        uint64_t numbers[2] = {0, 0};
        for (unsigned i = 0; i < 2 * DIGITS; i++) {
            uint8_t c = b.at[at + (i < DIGITS ? FILE_SIZE : NAME_SIZE - DIGITS) + i];
            uint64_t digit = c <= '9' ? c & 0xfu : (c & 0xfu) + 9;
            numbers[i / DIGITS] = numbers[i / DIGITS] << 4 | (digit & 0xf);
        }
        uint64_t name = at + HEADER;
        uint64_t data = ALIGN_UP(name + numbers[1], CPIO_ALIGNMENT);
        uint64_t end = ALIGN_UP(data + numbers[0], CPIO_ALIGNMENT);
        ended = b.size - name >= sizeof(last) && memcmp(b.at + name, last, sizeof(last)) == 0;
        at = min_u64(end, b.size);
    }
    while (at < b.size && b.at[at] == 0) {
        at++;
    }
    return (struct bytes){b.at + at, b.size - at};
}

uint64_t initrd_unpacked_size(const uint8_t *file, uint64_t size) {
    struct bytes b = cpio_skip((struct bytes){file, size});
    uint64_t plain = size - b.size;
    uint64_t unpacked = 0;
    if (b.size == 0) {
        return plain;
    }
    for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
        if (begins(b, packers[i].magic, packers[i].magic_size)) {
            unpacked = packers[i].size(b);
        }
    }
    bool likely = unpacked >= b.size / 2 && unpacked / MOST_FACTOR <= b.size;
    return plain + (likely ? unpacked : b.size * USUAL_FACTOR);
}
