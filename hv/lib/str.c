// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Strings: comparison, bounded copy, edit distance. No allocation, no locale. Must not write past
 * the size it is given. Called everywhere.
 */
#include "hv/lib/str.h"

/* Longer words than this are never a misspelling of one of our keys. */
#define DISTANCE_MAX 64

bool str_equal(const char *a, const char *b) {
    size_t n = strlen(a);
    return str_equal_n(a, n, b);
}

bool str_equal_n(const char *s, size_t n, const char *t) {
    return strlen(t) == n && memcmp(s, t, n) == 0;
}

bool str_copy_n(char *dst, size_t size, const char *s, size_t n) {
    if (size == 0) {
        return false;
    }
    size_t taken = n < size ? n : size - 1;
    memcpy(dst, s, taken);
    dst[taken] = '\0';
    return taken == n;
}

static uint8_t min_u8(unsigned a, unsigned b) {
    return (uint8_t)(a < b ? a : b);
}

/* Optimal string alignment over three rows: the one being filled and the two before it. */
unsigned str_distance(const char *a, const char *b) {
    size_t length_a = strlen(a), length_b = strlen(b);
    if (length_a > DISTANCE_MAX || length_b > DISTANCE_MAX) {
        return str_equal(a, b) ? 0 : (unsigned)(length_a > length_b ? length_a : length_b);
    }
    uint8_t rows[3][DISTANCE_MAX + 1];
    for (size_t j = 0; j <= length_b; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= length_a; i++) {
        uint8_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= length_b; j++) {
            uint8_t best = min_u8(above[j] + 1u, row[j - 1] + 1u);
            best = min_u8(best, above[j - 1] + (a[i - 1] != b[j - 1] ? 1u : 0u));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = min_u8(best, above2[j - 2] + 1u);
            }
            row[j] = best;
        }
    }
    return rows[length_a % 3][length_b];
}
