// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/lib/str.c and config/text.c. */
#include "tests/unit/test.h"

#include "config/text.h"
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

TEST(distance) {
    CHECK_U64(text_distance("", ""), 0);
    CHECK_U64(text_distance("", "abc"), 3);
    CHECK_U64(text_distance("abc", ""), 3);
    CHECK_U64(text_distance("memory", "memory"), 0);
    CHECK_U64(text_distance("memroy", "memory"), 1); /* a swap */
    CHECK_U64(text_distance("memry", "memory"), 1);
    CHECK_U64(text_distance("memoory", "memory"), 1);
    CHECK_U64(text_distance("memary", "memory"), 1);
    CHECK_U64(text_distance("kitten", "sitting"), 3);
    CHECK_U64(text_distance("ca", "abc"), 3); /* a swapped pair is not changed again */
    char longer[100];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[99] = '\0';
    CHECK_U64(text_distance(longer, longer + 1), 1);
    CHECK_U64(text_distance(longer, longer + 5), 5);
    CHECK_U64(text_distance(longer, longer + 6), TEXT_DISTANCE_MAX);
    CHECK_U64(text_distance(longer, "abc"), TEXT_DISTANCE_MAX); /* and no more */
    CHECK_U64(text_distance("abcdefghij", "0123456789"), TEXT_DISTANCE_MAX);
}

/* The reference: any code, surrogates included; returns the bytes used. */
static unsigned encode(uint32_t code, char out[4]) {
    unsigned length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    out[0] = (char)code;
    for (unsigned i = length - 1; i > 0; i--, code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3f));
        out[0] = (char)((0xf00u >> length & 0xff) | code >> 6);
    }
    return length;
}

TEST(utf8_round_trip) {
    for (uint32_t code = 0; code <= 0x110000; code++) {
        char bytes[4];
        uint32_t back = 0xffffffff;
        unsigned n = encode(code, bytes);
        bool exists = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
        if (text_decode_utf8(bytes, n, &back) != (exists ? n : 0) || (exists && back != code)) {
            CHECK_U64(code, UINT32_MAX); /* shows which */
            return;
        }
        if (n > 1) {
            CHECK(text_decode_utf8(bytes, n - 1, &back) == 0);
        }
    }
}

TEST(utf8_refuses) {
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xff",
        "\xf8\x88\x80\x80\x80",
        "\xc3(",
        "\xe2\x82",
        "\xfe",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint32_t code = 7;
        CHECK_U64(text_decode_utf8(bad[i], strlen(bad[i]), &code), 0);
        CHECK_U64(code, 7);
    }
    uint32_t code = 7;
    CHECK_U64(text_decode_utf8("", 0, &code), 0);
}

TEST_MAIN(T(equal), T(copy), T(distance), T(utf8_round_trip), T(utf8_refuses))
