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

TEST(near) {
    CHECK(str_is_near("start", "start"));
    CHECK(str_is_near("strat", "start"));
    CHECK(str_is_near("stat", "start"));
    CHECK(str_is_near("starrt", "start"));
    CHECK(str_is_near("Start", "start"));
    CHECK(str_is_near("st", "sto"));
    CHECK(str_is_near("so", "to"));
    CHECK(str_is_near("o", "to"));
    CHECK(!str_is_near("oo", "t"));
    CHECK(!str_is_near("o", "t"));
    CHECK(str_is_near("t", "t"));
    CHECK(!str_is_near("stpo", "start"));
    CHECK(!str_is_near("", "start"));
    CHECK(!str_is_near("start", "a"));
    CHECK(str_is_near("lgo", "log"));
    CHECK(!str_is_near("b", "a"));
    CHECK(!str_is_near("", "a"));
    CHECK(str_is_near("a", "a"));
}

TEST_MAIN(T(equal), T(copy), T(near))
