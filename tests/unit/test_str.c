// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/lib/str.c. */
#include "tests/unit/test.h"

#include "hv/lib/str.h"

TEST(equal) {
    CHECK(str_equal("", ""));
    CHECK(str_equal("alpha", "alpha"));
    CHECK(!str_equal("alpha", "alph"));
    CHECK(!str_equal("alph", "alpha"));
    CHECK(!str_equal("alpha", "alphb"));
}

TEST(copy) {
    char buf[5] = "xxxx";
    CHECK(str_copy_n(buf, sizeof(buf), "abcdef", 4));
    CHECK_STR(buf, "abcd");
    CHECK(!str_copy_n(buf, sizeof(buf), "abcdef", 6));
    CHECK_STR(buf, "abcd");
    CHECK(str_copy_n(buf, sizeof(buf), "", 0));
    CHECK_STR(buf, "");
}

TEST_MAIN(T(equal), T(copy))
