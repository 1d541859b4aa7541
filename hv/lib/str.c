// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Strings: comparison, bounded copy. Must not read or write past the size it is given. Called
 * everywhere.
 */
#include "hv/lib/str.h"

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
