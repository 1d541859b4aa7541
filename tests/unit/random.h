/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words that look random and are the same on each run: xorshift, which needs a seed other than 0.
 */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include "hv/lib/types.h"

static inline uint64_t random_next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
