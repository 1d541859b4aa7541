/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See complete.h. */
#include "hv/monitor/complete.h"

#include "hv/lib/str.h"

bool complete_fits(const char *name, const char *word, size_t n) {
    return strlen(name) >= n && memcmp(name, word, n) == 0;
}

static size_t same_characters(const char *a, const char *b, size_t most) {
    size_t n = 0;
    while (n < most && a[n] != '\0' && a[n] == b[n]) {
        n++;
    }
    return n;
}

unsigned complete_word(const char *word, size_t n, const char *(*name)(unsigned), unsigned count,
                       unsigned *first, size_t *common) {
    unsigned found = 0;

    *first = count;
    *common = n;
    for (unsigned i = 0; i < count; i++) {
        if (!complete_fits(name(i), word, n)) {
            continue;
        }
        if (found == 0) {
            *first = i;
            *common = strlen(name(i));
        } else {
            *common = same_characters(name(*first), name(i), *common);
        }
        found++;
    }
    return found;
}
