/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random words for a test that is a fuzzer's target as well: from a seed, or from the fuzzer.
 */
#ifndef TESTS_UNIT_FAKE_INPUT_H
#define TESTS_UNIT_FAKE_INPUT_H

#include "tests/unit/random.h"

static uint64_t input_seed;
static const uint8_t *input; /* NULL = from the seed */
static size_t input_left;

static inline uint64_t random_word(void) {
    uint64_t word = 0;
    if (input != NULL) {
        for (unsigned i = 0; i < 8 && input_left != 0; i++, input_left--) {
            word = word << 8 | *input++;
        }
        return word;
    }
    return random_next(&input_seed);
}

static inline bool input_is_over(void) {
    return input != NULL && input_left == 0;
}

#ifdef FUZZ
/* The test's: to the end of the input. other: what the first bit of it chooses. */
static void run_input(bool other);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size != 0) {
        input = data + 1;
        input_left = size - 1;
        run_input((data[0] & 1) != 0);
    }
    return 0;
}
#endif

#endif
