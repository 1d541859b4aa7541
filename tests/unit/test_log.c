// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of hv/lib/log.c. */
#include "tests/unit/test.h"

#include "hv/lib/log.h"

static uint64_t now;
static unsigned cpu;
static char line[LOG_LINE_MAX + 1];
static size_t line_length;
static unsigned lines;

static uint64_t hook_now(void) {
    return now;
}

static unsigned hook_cpu(void) {
    return cpu;
}

static void hook_write(enum log_level level, const char *text, size_t length) {
    (void)level;
    lines++;
    CHECK_U64(text[length], '\0');
    line_length = length;
    memcpy(line, text, length);
    line[length] = '\0';
}

static const struct log_hooks hooks = {hook_now, hook_cpu, hook_write, NULL};

static void start(enum log_level level) {
    now = 12345678;
    cpu = 1;
    lines = 0;
    line[0] = '\0';
    log_init(&hooks, level);
}

TEST(silent_before_init) {
    log_info("nobody hears this");
    CHECK_U64(lines, 0);
}

static uint64_t wall;

static uint64_t hook_wall(void) {
    return wall;
}

/* Once the time of day is known. */
TEST(date_and_time) {
    static const struct log_hooks with_date = {hook_now, hook_cpu, hook_write, hook_wall};
    start(LOG_INFO);
    log_init(&with_date, LOG_INFO);
    wall = 0;
    log_info("early");
    CHECK_STR(line, "[   12.345678] cpu1: early\n");
    wall = 1582974245;
    log_print(LOG_WARN, "alpha", "text");
    CHECK_STR(line, "2020-02-29 11:04:05 [   12.345678] cpu1 alpha: warning: text\n");
    char longest[300];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    log_info("%s", longest);
    CHECK_U64(line_length, LOG_LINE_MAX - 1);
    CHECK(line[line_length - 1] == '\n');
}

TEST(format) {
    start(LOG_INFO);
    log_print(LOG_INFO, "alpha", "%s %u", "text", 7);
    CHECK_STR(line, "[   12.345678] cpu1 alpha: text 7\n");
    CHECK_U64(line_length, strlen(line));
    log_info("text");
    CHECK_STR(line, "[   12.345678] cpu1: text\n");
    log_error("bad");
    CHECK_STR(line, "[   12.345678] cpu1: error: bad\n");
    log_print(LOG_WARN, "beta", "hm");
    CHECK_STR(line, "[   12.345678] cpu1 beta: warning: hm\n");
    now = 5;
    cpu = 255;
    log_info("%s", "");
    CHECK_STR(line, "[    0.000005] cpu255: \n");
    now = 123456789012345;
    log_info("late");
    CHECK_STR(line, "[123456789.012345] cpu255: late\n");
}

TEST(levels) {
    start(LOG_WARN);
    log_error("1");
    log_warn("2");
    CHECK_U64(lines, 2);
    log_info("no");
    log_print(LOG_DEBUG, NULL, "no");
    CHECK_U64(lines, 2);
    log_max_level = LOG_DEBUG;
    log_print(LOG_DEBUG, NULL, "3");
    CHECK_U64(lines, 3);
}

TEST(escapes) {
    start(LOG_INFO);
    log_info("%s", "a\nb\rc\033[2Jd\te\x7f");
    CHECK_STR(line, "[   12.345678] cpu1: a\\x0ab\\x0dc\\x1b[2Jd\\x09e\\x7f\n");
    log_info("%s", "\xc3\xa4 \xff \xc3");
    CHECK_STR(line, "[   12.345678] cpu1: \\xc3\\xa4 \\xff \\xc3\n");
    log_info("%s", "\xc2\x9b");
    CHECK_STR(line, "[   12.345678] cpu1: \\xc2\\x9b\n"); /* a one-character CSI */
}

/* Text of every length, of one kind of character: cut in time, in whole escapes, marked. */
static void check_cut(const char *unit, const char *shown) {
    static char text[4 * LOG_LINE_MAX];
    size_t prefix = strlen("[   12.345678] cpu1: ");
    for (size_t n = 0; n < LOG_LINE_MAX; n++) {
        text[0] = '\0';
        for (size_t i = 0; i < n; i++) {
            memcpy(text + i * strlen(unit), unit, strlen(unit) + 1);
        }
        log_info("%s", text);
        CHECK(line_length < LOG_LINE_MAX);
        CHECK(line[line_length - 1] == '\n');
        bool cut = prefix + n * strlen(shown) > LOG_LINE_MAX - 2 - 3;
        CHECK((line_length >= 4 && memcmp(line + line_length - 4, "...\n", 4) == 0) == cut);
        size_t body = line_length - prefix - (cut ? 4 : 1);
        CHECK_U64(body % strlen(shown), 0);
        CHECK(cut ? body + strlen(shown) > LOG_LINE_MAX - 2 - prefix - 3
                  : body == n * strlen(shown));
    }
}

TEST(cut) {
    start(LOG_INFO);
    check_cut("x", "x");
    check_cut("\x01", "\\x01");
}

TEST(limit) {
    start(LOG_INFO);
    now = 12400000; /* where a fifth of a second begins */
    struct log_limit limit = {0};
    uint32_t suppressed = 99;
    for (int i = 0; i < 20; i++) {
        CHECK(log_limit_pass(&limit, &suppressed));
        CHECK_U64(suppressed, 0);
    }
    CHECK(!log_limit_pass(&limit, &suppressed));
    CHECK(!log_limit_pass(&limit, &suppressed));
    now += 199999;
    CHECK(!log_limit_pass(&limit, &suppressed));
    now += 1;
    CHECK(log_limit_pass(&limit, &suppressed));
    CHECK_U64(suppressed, 3);
    CHECK(!log_limit_pass(&limit, &suppressed));
    now += 400000; /* two may pass: only the first one tells */
    CHECK(log_limit_pass(&limit, &suppressed));
    CHECK_U64(suppressed, 1);
    CHECK(log_limit_pass(&limit, &suppressed));
    CHECK_U64(suppressed, 0);
    now += 1000000;
    unsigned passed = 0;
    for (int i = 0; i < 50; i++) {
        passed += log_limit_pass(&limit, &suppressed);
    }
    CHECK_U64(passed, 5);
    now += 3600000000;
    passed = 0;
    for (int i = 0; i < 50; i++) {
        passed += log_limit_pass(&limit, &suppressed);
    }
    CHECK_U64(passed, 20);
    now = 0; /* a clock that goes back must not open the gates */
    CHECK(!log_limit_pass(&limit, &suppressed));
}

TEST(limit_at_time_zero) {
    uint32_t suppressed = 0;
    start(LOG_INFO);
    now = 0;
    struct log_limit limit = {0};
    unsigned passed = 0;
    for (int i = 0; i < 50; i++) {
        passed += log_limit_pass(&limit, &suppressed);
    }
    CHECK_U64(passed, 20);
}

TEST_MAIN(T(silent_before_init), T(date_and_time), T(format), T(levels), T(escapes), T(cut),
          T(limit), T(limit_at_time_zero))
