// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/plan/fault.c. */
#include "tests/unit/test.h"

#include "config/fault.h"

TEST(add_and_format) {
    static struct fault_list list;
    memset(&list, 0, sizeof(list));
    fault_add(&list, 3, 10, "value %u", 7);
    fault_add(&list, 0, 0, "whole file");
    CHECK_U64(list.count, 2);
    CHECK_STR(list.faults[1].text, "bulkhead.toml:3:10: value 7");
    CHECK_STR(list.faults[0].text, "bulkhead.toml: whole file");
}

/* Of other files than the config: with those that concern all of it. */
TEST(other_files) {
    static struct fault_list list;
    memset(&list, 0, sizeof(list));
    fault_add(&list, 3, 10, "value");
    fault_add_file(&list, "bulkhead/microcode/a%s", "altered");
    CHECK_U64(list.count, 2);
    CHECK_STR(list.faults[0].text, "bulkhead/microcode/a%s: altered [BH1185]");
    for (unsigned i = 0; i < FAULT_MAX; i++) {
        fault_add_file(&list, "b", "altered");
    }
    CHECK_U64(list.count, FAULT_MAX);
    CHECK_U64(list.dropped, 2);
}

TEST(sorted_and_stable) {
    static struct fault_list list;
    static const struct {
        uint32_t line, column;
        const char *text;
    } in[] = {{5, 1, "f"}, {2, 9, "d"}, {2, 3, "b"}, {0, 0, "a"}, {2, 3, "c"}, {4, 1, "e"}};
    memset(&list, 0, sizeof(list));
    for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
        fault_add(&list, in[i].line, in[i].column, "%s", in[i].text);
    }
    for (uint32_t i = 0; i < list.count; i++) {
        char want[2] = {(char)('a' + i), '\0'};
        CHECK_STR(strrchr(list.faults[i].text, ' ') + 1, want);
    }
}

TEST(bounded) {
    static struct fault_list list;
    memset(&list, 0, sizeof(list));
    for (unsigned i = 0; i < FAULT_MAX + 5; i++) {
        fault_add(&list, i + 1, 1, "%0500u", 1);
    }
    CHECK_U64(list.count, FAULT_MAX);
    CHECK_U64(list.dropped, 5);
    CHECK_U64(strlen(list.faults[0].text), FAULT_TEXT_SIZE - 1);
    CHECK_U64(list.faults[FAULT_MAX - 1].line, FAULT_MAX);
}

TEST_MAIN(T(add_and_format), T(other_files), T(sorted_and_stable), T(bounded))
