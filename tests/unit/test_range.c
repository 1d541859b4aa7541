// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/lib/range.h: every answer against a count with wider numbers. */
#include "tests/unit/test.h"

#include "hv/lib/range.h"

static const uint64_t edges[] = {0,
                                 1,
                                 2,
                                 3,
                                 0x1000,
                                 0x7fffffffffffffff,
                                 0x8000000000000000,
                                 UINT64_MAX - 2,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};

typedef unsigned __int128 wide;

TEST(contains) {
    for (size_t i = 0; i < ARRAY_SIZE(edges) * ARRAY_SIZE(edges); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(edges) * ARRAY_SIZE(edges); j++) {
            uint64_t a = edges[i / ARRAY_SIZE(edges)], n = edges[i % ARRAY_SIZE(edges)];
            uint64_t b = edges[j / ARRAY_SIZE(edges)], m = edges[j % ARRAY_SIZE(edges)];
            bool want = b >= a && (wide)b + m <= (wide)a + n;
            CHECK(range_contains(a, n, b, m) == want);
        }
    }
}

TEST(overlaps) {
    for (size_t i = 0; i < ARRAY_SIZE(edges) * ARRAY_SIZE(edges); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(edges) * ARRAY_SIZE(edges); j++) {
            uint64_t a = edges[i / ARRAY_SIZE(edges)], n = edges[i % ARRAY_SIZE(edges)];
            uint64_t b = edges[j / ARRAY_SIZE(edges)], m = edges[j % ARRAY_SIZE(edges)];
            wide low = a > b ? a : b;
            wide end_a = (wide)a + n, end_b = (wide)b + m;
            bool want = low < (end_a < end_b ? end_a : end_b);
            CHECK(range_overlaps(a, n, b, m) == want);
        }
    }
}

TEST(valid) {
    CHECK(range_valid(0, 0));
    CHECK(range_valid(0, UINT64_MAX));
    CHECK(range_valid(UINT64_MAX, 0));
    CHECK(!range_valid(UINT64_MAX, 1));
    CHECK(!range_valid(2, UINT64_MAX));
}

TEST_MAIN(T(contains), T(overlaps), T(valid))
