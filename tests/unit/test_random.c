/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generator for CPUs without RDRAND, and which of the two a guest's devices draw on. */
#include "hv/compartment/entry/hardware.h"
#include "tests/unit/fake_machine.h"

/* RFC 8439, 2.3.2. */
TEST(block_function) {
    static const uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
                                    0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                                    0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c,
                                    0x00000001, 0x09000000, 0x4a000000, 0x00000000};
    static const uint32_t want[16] = {0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3,
                                      0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
                                      0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
                                      0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
    uint32_t out[16];

    (void)fake_machine_start();
    random_block(in, out);
    CHECK(memcmp(out, want, sizeof(want)) == 0);
}

/* RFC 8439, A.1, test vector 1: key, counter and nonce 0. The last word of the block comes first.
 */
TEST(the_first_block) {
    static const uint64_t want[RANDOM_WORDS] = {0x8665eeb269b687c3, 0x1ca11815f4b8436a,
                                                0x374ad8b83fe02477, 0x8d4857517c5941da};
    struct random r;
    random_start(&r, (uint64_t[4]){0});
    for (unsigned i = 0; i < RANDOM_WORDS; i++) {
        CHECK_U64(random_generate(&r), want[i]);
    }
}

TEST(seeds_and_what_is_left_of_them) {
    static const uint64_t seed[4] = {1, 2, 3, 4};
    struct random a, b;
    random_start(&a, seed);
    random_start(&b, seed);
    uint64_t first = random_generate(&a);
    CHECK_U64(random_generate(&b), first);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(random_generate(&a) != first);
    }
    /* Neither the key nor what was given is there any more. */
    CHECK(memcmp(a.key, seed, sizeof(seed)) != 0);
    random_start(&b, seed);
    first = random_generate(&b);
    for (unsigned i = 0; i < RANDOM_WORDS; i++) {
        CHECK(b.words[i] != first);
    }
    random_start(&b, (uint64_t[4]){1, 2, 3, 5});
    CHECK(random_generate(&b) != first);
}

TEST_MAIN(T(block_function), T(the_first_block), T(seeds_and_what_is_left_of_them))
