/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports of crashes, found in the log of an earlier start. */
#include "config/crash.h"
#include "hv/lib/str.h"
#include "test.h"

#define WEB(text)  "[    8.038450] cpu1 web: " text "\n"
#define MAIL(text) "[    8.038451] cpu2 mail: " text "\n"

static const char two[] = "[    1.000000] cpu0: Bulkhead\n" WEB("error: stopped: triple fault")
    WEB("  vcpu 0  exit x") MAIL("error: stopped: its compartment failed")
        WEB("  policy: on_crash \"stop\"") MAIL("  vcpu 1  exit y") WEB("restarting (1 of 3)")
            MAIL("  policy: on_crash \"halt\"") MAIL("halted");

static char out[CRASH_SIZE + 1];

static const char *copy(const char *text, const struct crash_report *report, size_t size) {
    size_t n = crash_copy(text, strlen(text), report, out, size);
    out[n] = '\0';
    return out;
}

TEST(each_report_has_its_own_lines) {
    struct crash_report r;
    size_t at = 0;
    CHECK(crash_find(two, strlen(two), &at, &r));
    CHECK_STR(copy(two, &r, CRASH_SIZE), WEB("error: stopped: triple fault") WEB("  vcpu 0  exit x")
                                             WEB("  policy: on_crash \"stop\""));
    CHECK(r.name_length == 3 && memcmp(r.name, "web", 3) == 0);
    CHECK(crash_find(two, strlen(two), &at, &r));
    CHECK_STR(copy(two, &r, CRASH_SIZE),
              MAIL("error: stopped: its compartment failed") MAIL("  vcpu 1  exit y")
                  MAIL("  policy: on_crash \"halt\""));
    CHECK(!crash_find(two, strlen(two), &at, &r));
    CHECK(!crash_find(two, strlen(two), &at, &r));
}

/* A guest of another name that ends or begins alike is another one. */
TEST(names_are_whole) {
    static const char text[] = WEB("error: stopped: x") "[    1.000000] cpu1 web2: no\n"
                                                        "[    1.000000] cpu1 cobweb: no\n"
                                                        "[    1.000000] cpu1: web no\n" WEB("yes");
    struct crash_report r;
    size_t at = 0;
    CHECK(crash_find(text, strlen(text), &at, &r));
    CHECK_STR(copy(text, &r, CRASH_SIZE), WEB("error: stopped: x") WEB("yes"));
}

TEST(a_panic_is_all_to_the_end) {
    static const char text[] = WEB("x: BULKHEAD PANIC") "BULKHEAD PANIC on CPU 0: x\nat 0x1\nend";
    struct crash_report r;
    size_t at = 0;
    CHECK(crash_find(text, strlen(text), &at, &r));
    CHECK(r.name == NULL);
    CHECK_STR(copy(text, &r, CRASH_SIZE), "BULKHEAD PANIC on CPU 0: x\nat 0x1\nend\n");
    CHECK(!crash_find(text, strlen(text), &at, &r));
}

/* No more than there is room for, in whole lines; and a report without an end has one. */
TEST(limits_are_kept) {
    static char text[64 * 1024];
    struct crash_report r;
    size_t at = 0, n = 0;
    CHECK(crash_find(two, strlen(two), &at, &r));
    CHECK_STR(copy(two, &r, strlen(WEB("error: stopped: triple fault")) + 5),
              WEB("error: stopped: triple fault"));
    CHECK_STR(copy(two, &r, 0), "");
    n += (size_t)sprintf(text, WEB("error: stopped: x"));
    for (unsigned i = 0; i < 300; i++) {
        n += (size_t)sprintf(text + n, "%s", i < 50 ? WEB("line") : MAIL("other"));
    }
    (void)sprintf(text + n, WEB("late"));
    at = 0;
    CHECK(crash_find(text, strlen(text), &at, &r));
    CHECK(strstr(copy(text, &r, CRASH_SIZE), "late") == NULL);
    CHECK_U64(strlen(out), strlen(WEB("error: stopped: x")) + 50 * strlen(WEB("line")));
    CHECK(!crash_find(text, 0, &(size_t){0}, &r));
    CHECK(!crash_find("\n\n", 2, &(size_t){0}, &r));
}

TEST(numbers_are_read) {
    CHECK_U64(crash_number("17.txt"), 17);
    CHECK_U64(crash_number("8.TXT"), 8);
    CHECK_U64(crash_number("999999989.txt"), 999999989);
    CHECK_U64(crash_number("1000000000.txt"), 0);
    CHECK_U64(crash_number("99999999999999999999.txt"), 0);
    CHECK_U64(crash_number("17"), 0);
    CHECK_U64(crash_number("17.txt~"), 0);
    CHECK_U64(crash_number("x17.txt"), 0);
    CHECK_U64(crash_number(".."), 0);
}

TEST_MAIN(T(each_report_has_its_own_lines), T(names_are_whole), T(a_panic_is_all_to_the_end),
          T(limits_are_kept), T(numbers_are_read))
