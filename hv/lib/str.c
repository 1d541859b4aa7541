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

bool str_is_near(const char *wrong, const char *right) {
    size_t n = strlen(wrong);
    size_t m = strlen(right);
    size_t most = min_u64((m + 1) / 2, 2);

    if (m < 2) { /* every single letter would be near to it */
        return n == m && *wrong == *right;
    }

    for (; n != 0 && m != 0 && *wrong == *right; n--, m--) {
        wrong++;
        right++;
    }
    for (; n != 0 && m != 0 && wrong[n - 1] == right[m - 1]; n--) {
        m--;
    }
    return max_u64(n, m) <= most;
}
