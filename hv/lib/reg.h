/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of a general register, as x86 instructions of the sizes 1, 2, 4 and 8 see and write them.
 */
#pragma once

#include "hv/lib/types.h"

/* The low size bytes of a word. */
static inline uint64_t reg_mask(unsigned size) {
    static const uint64_t masks[] = {
        [1] = UINT8_MAX, [2] = UINT16_MAX, [4] = UINT32_MAX, [8] = UINT64_MAX};
    return masks[size];
}

/* The low size bytes of a register: 4 clear its upper half, 1 and 2 leave the rest. */
static inline void reg_set(uint64_t *reg, unsigned size, uint64_t value) {
    if (size == 1) {
        *reg = (*reg & ~0xffull) | (uint8_t)value;
    } else if (size == 2) {
        *reg = (*reg & ~0xffffull) | (uint16_t)value;
    } else {
        *reg = size == 8 ? value : (uint32_t)value;
    }
}
