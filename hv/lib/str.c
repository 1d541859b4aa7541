// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Strings: comparison, bounded copy, edit distance, UTF-8. No allocation, no locale. Must not read
 * or write past the size it is given. Called everywhere.
 */
#include "hv/lib/str.h"

/* Longer words than this are never a misspelling of one of our keys. */
#define DISTANCE_MAX 64

bool str_equal(const char *a, const char *b) {
    size_t n = strlen(a);
    return strlen(b) == n && memcmp(a, b, n) == 0;
}

bool str_copy_n(char *dst, size_t size, const char *s, size_t n) {
    size_t taken = min_u64(n, size - 1);
    memcpy(dst, s, taken);
    dst[taken] = '\0';
    return taken == n;
}

/* Optimal string alignment over three rows: the one being filled and the two before it. */
unsigned str_distance(const char *a, const char *b) {
    size_t length_a = strlen(a), length_b = strlen(b);
    if (length_a > DISTANCE_MAX || length_b > DISTANCE_MAX) {
        return DISTANCE_MAX;
    }
    uint8_t rows[3][DISTANCE_MAX + 1];
    for (size_t j = 0; j <= length_b; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= length_a; i++) {
        uint8_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= length_b; j++) {
            uint64_t best = min_u64(above[j], row[j - 1]) + 1;
            best = min_u64(best, above[j - 1] + (a[i - 1] != b[j - 1] ? 1u : 0u));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = min_u64(best, above2[j - 2] + 1u);
            }
            row[j] = (uint8_t)best;
        }
    }
    return rows[length_a % 3][length_b];
}

/* Source: RFC 3629, "UTF-8 definition". */
unsigned utf8_decode(const char *s, size_t n, uint32_t *code) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: no overlong form */
    uint32_t first = n != 0 ? (uint8_t)s[0] : 0xff;
    unsigned ones = (unsigned)__builtin_clz(~(first << 24)), length = ones == 0 ? 1 : ones;
    uint32_t value = first & (0x7fu >> ones);
    if (ones == 1 || ones > 4 || length > n) {
        return 0;
    }
    for (unsigned i = 1; i < length; i++) {
        if (((uint8_t)s[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (s[i] & 0x3f);
    }
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < lowest[length] || surrogate || value > 0x10ffff) {
        return 0;
    }
    *code = value;
    return length;
}
