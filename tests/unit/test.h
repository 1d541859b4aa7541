/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest unit-test frame: a file lists its tests in TEST_MAIN; every CHECK that fails prints
 * file:line, what was expected and what was seen, and the test goes on. Output is TAP; run one test
 * again with its name as the argument.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/lib/types.h"

struct test {
    const char *name;
    void (*run)(void);
};

static unsigned test_failures;

#define TEST(name) static void name(void)

#define CHECK(e)                                                                                   \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            test_failures++;                                                                       \
            printf("# %s:%d: expected %s\n", __FILE__, __LINE__, #e);                              \
        }                                                                                          \
    } while (0)

#define CHECK_U64(seen, want)                                                                      \
    do {                                                                                           \
        uint64_t check_s = (uint64_t)(seen), check_w = (uint64_t)(want);                           \
        if (check_s != check_w) {                                                                  \
            test_failures++;                                                                       \
            printf("# %s:%d: %s: expected 0x%" PRIx64 " (%" PRIu64 "), saw 0x%" PRIx64             \
                   " (%" PRIu64 ")\n",                                                             \
                   __FILE__, __LINE__, #seen, check_w, check_w, check_s, check_s);                 \
        }                                                                                          \
    } while (0)

#define CHECK_STR(seen, want)                                                                      \
    do {                                                                                           \
        const char *check_s = (seen), *check_w = (want);                                           \
        if (strcmp(check_s, check_w) != 0) {                                                       \
            test_failures++;                                                                       \
            printf("# %s:%d: %s: expected \"%s\", saw \"%s\"\n", __FILE__, __LINE__, #seen,        \
                   check_w, check_s);                                                              \
        }                                                                                          \
    } while (0)

static UNUSED int test_main(const struct test *tests, size_t count, int argc, char **argv) {
    unsigned failed = 0, number = 0;
    for (size_t i = 0; i < count; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0) {
            continue;
        }
        test_failures = 0;
        tests[i].run();
        failed += test_failures != 0;
        printf("%s %u - %s\n", test_failures ? "not ok" : "ok", ++number, tests[i].name);
        if (test_failures) {
            printf("# again: %s %s\n", argv[0], tests[i].name);
        }
    }
    printf("1..%u\n", number);
    return failed != 0 || number == 0;
}

#define T(name)                                                                                    \
    { #name, name }
#define TEST_MAIN(...)                                                                             \
    int main(int argc, char **argv) {                                                              \
        static const struct test tests[] = {__VA_ARGS__};                                          \
        return test_main(tests, ARRAY_SIZE(tests), argc, argv);                                    \
    }

#endif
