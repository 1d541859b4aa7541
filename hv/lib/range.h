/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Half-open ranges of 64-bit addresses or numbers.
 * Every test is written so that no sum can overflow.
 */
#pragma once

#include "hv/lib/status.h"

/* True if [base, base + size) lies inside [outer_base, outer_base + outer_size); sizes may be 0. */
static inline bool range_contains(uint64_t outer_base, uint64_t outer_size, uint64_t base,
                                  uint64_t size) {
    return base >= outer_base && base - outer_base <= outer_size &&
           size <= outer_size - (base - outer_base);
}

/* True if number is one of the count from first on. One comparison: below first, the difference
 * wraps around to a large one. */
static inline bool range_has_number(uint32_t first, uint32_t count, uint32_t number) {
    return number - first < count;
}

/* True if both ranges share at least one address. */
static inline bool range_overlaps(uint64_t base_a, uint64_t size_a, uint64_t base_b,
                                  uint64_t size_b) {
    return base_a < base_b ? base_b - base_a < size_a && size_b != 0
                           : base_a - base_b < size_b && size_a != 0;
}

/* True if base + size does not pass 2^64. */
static inline bool range_valid(uint64_t base, uint64_t size) {
    return size <= UINT64_MAX - base;
}
