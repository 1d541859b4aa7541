/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's line: keys as a terminal sends them, history, and bytes that make no sense. */
#include "hv/monitor/line.h"
#include "tests/unit/test.h"

static struct line l;

/* Types keys; "|" stands in the result where the cursor is. */
static const char *typed(const char *keys) {
    static char seen[LINE_SIZE + 1];
    for (; *keys != '\0'; keys++) {
        if (line_key(&l, (uint8_t)*keys)) {
            line_next(&l);
        }
    }
    CHECK_U64(strlen(l.text), l.length);
    CHECK(l.cursor <= l.length);
    snprintf(seen, sizeof(seen), "%.*s|%s", (int)l.cursor, l.text, l.text + l.cursor);
    return seen;
}

static void fresh(void) {
    memset(&l, 0, sizeof(l));
}

TEST(editing) {
    fresh();
    CHECK_STR(typed("stop alpha"), "stop alpha|");
    CHECK_STR(typed("\x1b[D\x1b[D"), "stop alp|ha");
    CHECK_STR(typed("X"), "stop alpX|ha");
    CHECK_STR(typed("\x7f\b"), "stop al|ha");
    CHECK_STR(typed("\x1b[C\x1b[C\x1b[C"), "stop alha|");
    CHECK_STR(typed("\x1b[H\x1b[3~"), "|top alha");
    CHECK_STR(typed("\x01\b\x04"), "|op alha");
    CHECK_STR(typed("\x1bOF\x1b[D\x0b"), "op alh|");
    CHECK_STR(typed("\x17"), "op |");
    CHECK_STR(typed("\x17"), "|");
    CHECK_STR(typed("\x17\x1b[D\x1b[3~\x7f"), "|");
    CHECK_STR(typed(" \x17"), "|"); /* a single blank is all there is */
    CHECK_STR(typed("abc\x02\x15"), "|");
    CHECK_STR(typed("abc\x02\x02\x06\x03"), "|");
    CHECK_STR(typed("abc\x1b[1~x\x1b[4~y\x1b[7~v\x1b[8~z\x05"), "vxabcyz|");
    CHECK_STR(typed("\x1b[1;5D!"), "vxabcy!|z"); /* with a modifier it is the same key */
}

TEST(history) {
    fresh();
    CHECK_STR(typed("one\rtwo\r\ntwo\rthree\r\r"), "|");
    CHECK_STR(typed("half"), "half|");
    CHECK_STR(typed("\x1b[A"), "three|");
    CHECK_STR(typed("\x10"), "two|");
    CHECK_STR(typed("\x1b[A\x1b[A\x1b[A"), "one|");
    CHECK_STR(typed("\x1b[B\x1b[B"), "three|");
    CHECK_STR(typed("\x0e"), "half|");
    CHECK_STR(typed("\x1b[B"), "half|");
    CHECK_STR(typed("\x1b[A s\r\x1b[A"), "three s|");
    CHECK_STR(typed("\x1b[A"), "three|"); /* an old line that was changed is a new one */
    CHECK_STR(typed("\x03\x1b[A"), "three s|");
    fresh();
    for (unsigned i = 0; i < 40; i++) {
        char number[8];
        snprintf(number, sizeof(number), "%u\r", i);
        typed(number);
    }
    for (unsigned i = 0; i < 40; i++) {
        typed("\x1b[A");
    }
    CHECK_STR(typed(""), "24|"); /* the last sixteen are kept */
}

TEST(what_is_no_key) {
    fresh();
    CHECK_STR(typed("a\x1b[99999999999~b\x1b[?25h\x1b[Zc\x1bOPd"), "abcd|");
    CHECK_STR(typed("\x1b[?@e\x1b[1;~\x1b[F\b"), "abcd|"); /* from @ on a byte ends it */
    CHECK_STR(typed("\x1bx"), "abcdx|");
    CHECK_STR(typed("\x1b\x1b[D"), "abcd|x");
    CHECK_STR(typed("\x1b["), "abcd|x");
    CHECK_STR(typed("\x15"), "|");
    CHECK_STR(typed("\x1bq[D"), "q[D|"); /* ESC is for the next key alone */
    CHECK_STR(typed("\x1b["), "q[D|");
    CHECK_STR(typed("\x15"), "|"); /* a control key ends a sequence that was cut off */
    CHECK_STR(typed("\xc3\xa4\t\x1c\n"), "|");
    for (unsigned i = 0; i < 300; i++) {
        typed("x");
    }
    CHECK_U64(l.length, LINE_SIZE - 1);
    CHECK_STR(typed("\x01y\x05"), typed(""));
    CHECK_U64(l.length, LINE_SIZE - 1);
}

TEST(any_bytes) {
    uint32_t random = 7;
    fresh();
    for (unsigned i = 0; i < 300000 && test_failures == 0; i++) {
        static const char often[] = "\x1b[AOBCDH3~\r\x17\x7f";
        random = random * 1664525 + 1013904223;
        uint8_t byte = (uint8_t)(random >> 24);
        if (line_key(&l, (random >> 16 & 3) != 0 ? byte : (uint8_t)often[byte % 14])) {
            line_next(&l);
        }
        CHECK(l.length < LINE_SIZE && l.cursor <= l.length && strlen(l.text) == l.length);
    }
}

TEST_MAIN(T(editing), T(history), T(what_is_no_key), T(any_bytes))
