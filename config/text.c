// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a file that people write needs beside hv/lib/str.c: edit distance and UTF-8. No allocation,
 * no locale. Called by toml.c and schema.c.
 */
#include "config/text.h"

#include "hv/lib/types.h"

/* Where the first letters agree nothing is gained by changing them. */
static unsigned distance(const char *a, const char *b, unsigned most) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    if (*a == *b || most == 0) {
        return *a != *b;
    }
    bool both = *a != '\0' && *b != '\0';
    uint64_t best = most;
    best = *a != '\0' ? min_u64(best, distance(a + 1, b, most - 1)) : best;
    best = *b != '\0' ? min_u64(best, distance(a, b + 1, most - 1)) : best;
    best = both ? min_u64(best, distance(a + 1, b + 1, most - 1)) : best;
    best = both && a[0] == b[1] && a[1] == b[0] ? min_u64(best, distance(a + 2, b + 2, most - 1))
                                                : best;
    return (unsigned)best + 1;
}

unsigned text_distance(const char *a, const char *b) {
    return distance(a, b, TEXT_DISTANCE_MAX - 1);
}

/* Source: RFC 3629, "UTF-8 definition". */
unsigned text_decode_utf8(const char *s, size_t n, uint32_t *code) {
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
