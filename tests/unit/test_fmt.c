// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/lib/fmt.c, mostly against the C library's snprintf. */
#include "tests/unit/test.h"

#include "hv/lib/fmt.h"

/* Same text and length as snprintf, in a buffer with room and in one without. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char want[200], seen[200], cut_want[7], cut_seen[7];                                       \
        int n = snprintf(want, sizeof(want), __VA_ARGS__);                                         \
        CHECK_U64(fmt_print(seen, sizeof(seen), __VA_ARGS__), (uint64_t)n);                        \
        CHECK_STR(seen, want);                                                                     \
        n = snprintf(cut_want, sizeof(cut_want), __VA_ARGS__);                                     \
        CHECK_U64(fmt_print(cut_seen, sizeof(cut_seen), __VA_ARGS__), (uint64_t)n);                \
        CHECK_STR(cut_seen, cut_want);                                                             \
    } while (0)

/* The point of these tests is the odd cases that compilers warn about. */
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

TEST(plain) {
    SAME("nothing to see");
    SAME("100%%");
    SAME("%c%c", 'a', 'b');
    SAME("%5c|%-5c|", 'a', 'b');
}

TEST(strings) {
    SAME("%s", "");
    SAME("%s and %s", "alpha", "beta");
    SAME("%10s|%-10s|", "right", "left");
    SAME("%.*s|%.*s|%.*s|%-6.*s|", 3, "cut", 0, "gone", 99, "all", 2, "cut");
    SAME("%s* %u*.", "star", 3u);
    char unterminated[3] = {'a', 'b', 'c'};
    SAME("%.*s", 3, unterminated);
    char buf[16];
    fmt_print(buf, sizeof(buf), "%s", (const char *)NULL);
    CHECK_STR(buf, "(null)");
}

TEST(unsigned_numbers) {
    static const unsigned values[] = {0, 1, 9, 10, 255, 0xabcdef, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        unsigned v = values[i];
        SAME("%u %x %08x", v, v, v);
        SAME("%#x|%#10x|%#010x|%-#10x|", v, v, v, v);
        SAME("%lu %llu %zu", (unsigned long)v, (unsigned long long)v, (size_t)v);
    }
    SAME("%llu %llx", (unsigned long long)UINT64_MAX, (unsigned long long)UINT64_MAX);
}

TEST(tiny_buffers) {
    char buf[4] = "abc";
    CHECK_U64(fmt_print(buf, 0, "%u", 12345), 5);
    CHECK_STR(buf, "abc");
    CHECK_U64(fmt_print(buf, 1, "%u", 12345), 5);
    CHECK_STR(buf, "");
    CHECK_U64(fmt_print(NULL, 0, "%s", "four"), 4);
}

TEST(unknown_stands) {
    char buf[32];
    CHECK_U64(fmt_print(buf, sizeof(buf), "a %q b"), 6);
    CHECK_STR(buf, "a %q b");
    fmt_print(buf, sizeof(buf), "%5.2f|%u", 1.0, 7);
    CHECK(strncmp(buf, "%5.2f|", 6) == 0);
    fmt_print(buf, sizeof(buf), "end %");
    CHECK_STR(buf, "end %");
}

TEST(sizes) {
    char buf[24];
    CHECK_STR(fmt_size(buf, 0), "0");
    CHECK_STR(fmt_size(buf, 1), "1");
    CHECK_STR(fmt_size(buf, 1023), "1023");
    CHECK_STR(fmt_size(buf, 1024), "1K");
    CHECK_STR(fmt_size(buf, 1536 * KIB), "1536K");
    CHECK_STR(fmt_size(buf, 512 * MIB), "512M");
    CHECK_STR(fmt_size(buf, 3 * GIB), "3G");
    CHECK_STR(fmt_size(buf, 3 * GIB + MIB), "3073M");
    CHECK_STR(fmt_size(buf, UINT64_MAX), "18446744073709551615");
}

TEST(dates) {
    static const struct {
        uint64_t seconds;
        const char *text;
    } dates[] = {
        {0, "1970-01-01 00:00:00"},          {951782400, "2000-02-29 00:00:00"},
        {951868799, "2000-02-29 23:59:59"},  {951868800, "2000-03-01 00:00:00"},
        {1798761599, "2026-12-31 23:59:59"}, {1798761600, "2027-01-01 00:00:00"},
        {4107542400, "2100-03-01 00:00:00"}, {4107542399, "2100-02-28 23:59:59"},
        {1582974245, "2020-02-29 11:04:05"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(dates); i++) {
        char text[FMT_DATE_SIZE];
        CHECK_STR(fmt_date(text, dates[i].seconds), dates[i].text);
    }
}

TEST(pci_functions) {
    char buf[FMT_PCI_SIZE];
    CHECK_STR(fmt_pci(buf, 0), "00:00.0");
    CHECK_STR(fmt_pci(buf, 0x0319), "03:03.1");
    CHECK_STR(fmt_pci(buf, 0xffff), "ff:1f.7");
}

TEST_MAIN(T(pci_functions), T(dates), T(plain), T(strings), T(unsigned_numbers), T(tiny_buffers),
          T(unknown_stands), T(sizes))
