/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parser of console bytes: which units a stream is cut into, and what is kept of each. */
#include "hv/monitor/seq.h"
#include "tests/unit/test.h"

static struct seq s;

/* One word a unit: t and the code point, c and the control, e or s with mark, intermediate, final
 * and parameters, then the bytes that were kept where they are not those that were fed. */
static const char *units(const char *bytes, size_t n) {
    static char out[4096];
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        do {
            if (!seq_feed(&s, (uint8_t)bytes[i])) {
                continue;
            }
            static const char kinds[] = {'t', 'c', 'e', 's'};
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%c", at == 0 ? "" : " ",
                                   kinds[s.kind]);
            if (s.kind == SEQ_TEXT || s.kind == SEQ_CONTROL) {
                at += (size_t)snprintf(out + at, sizeof(out) - at, "%x", s.code);
                continue;
            }
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s%c",
                                   s.mark == 0 ? "" : (char[]){(char)s.mark, '\0'},
                                   s.intermediate == 0 ? "" : (char[]){(char)s.intermediate, '\0'},
                                   (char)s.code);
            for (unsigned p = 0; s.kind == SEQ_CSI && p < s.count; p++) {
                at += (size_t)snprintf(out + at, sizeof(out) - at, "%c%u",
                                       (s.subs >> p & 1) != 0 ? ':' : ',', s.parameters[p]);
            }
        } while (s.again);
    }
    return out;
}

static void fresh(void) {
    memset(&s, 0xa5, sizeof(s));
    seq_reset(&s);
}

#define UNITS(bytes, want)                                                                         \
    do {                                                                                           \
        fresh();                                                                                   \
        CHECK_STR(units(bytes, sizeof(bytes) - 1), want);                                          \
        CHECK_U64(s.state, SEQ_GROUND);                                                            \
    } while (0)

TEST(text_and_controls) {
    UNITS("a~ ", "t61 t7e t20");
    UNITS("a\x7f", "t61"); /* DEL is nothing */
    UNITS("\n\x1f", "ca c1f");
    UNITS("\0", "c0");
}

/* Both ends of what each length can hold, and what it must not. */
TEST(utf8) {
    UNITS("\xc2\xa0\xdf\xbf", "ta0 t7ff");
    UNITS("\xe0\xa0\x80\xef\xbf\xbf", "t800 tffff");
    UNITS("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "t10000 t10ffff");
    UNITS("\xed\x9f\xbf\xee\x80\x80", "td7ff te000");
    /* Controls in disguise, surrogates, too long, too large. */
    UNITS("\xc2\x9f", "tfffd");
    UNITS("\xed\xa0\x80", "tfffd");
    UNITS("\xed\xbf\xbf", "tfffd");
    UNITS("\xe0\x9f\xbf", "tfffd");
    UNITS("\xf0\x8f\xbf\xbf", "tfffd");
    UNITS("\xf4\x90\x80\x80", "tfffd");
    /* No first byte. */
    UNITS("\x80", "tfffd");
    UNITS("\xbf", "tfffd");
    UNITS("\xc1", "tfffd");
    UNITS("\xf5", "tfffd");
    UNITS("\xff", "tfffd");
    /* Cut off: what comes next is itself. */
    UNITS("\xe2\x82x", "tfffd t78");
    UNITS("\xe2\xc3\xa9", "tfffd te9");
    UNITS("\xe2\n", "tfffd ca");
    UNITS("\xe2\x1b[m", "tfffd sm,0");
    fresh();
    units("\xe2\x82", 2);
    CHECK_U64(s.length, 2);
    units("\xac", 1);
    CHECK(s.length == 3 && memcmp(s.bytes, "\xe2\x82\xac", 3) == 0);
    units("\xff", 1);
    CHECK(s.length == 1 && s.bytes[0] == '?');
}

TEST(escapes) {
    UNITS("\x1b\x37", "e7");
    UNITS("\x1b(0", "e(0");
    UNITS("\x1b#8", "e#8");
    UNITS("\x1b \x30", "e 0");
    UNITS("\x1b([", "e(["); /* what follows an intermediate begins nothing */
    UNITS("\x1b(PX", "e(P t58");
    UNITS("\x1b~", "e~");
    UNITS("\x1b\x7f"
          "7",
          "e7");
    UNITS("\x1b\xe9x", "t78"); /* such a byte ends it */
    UNITS("\x1b\x1b\x37", "e7");
}

TEST(csi) {
    UNITS("\x1b[m", "sm,0");
    UNITS("\x1b[1;23H", "sH,1,23");
    UNITS("\x1b[;5H", "sH,0,5");
    UNITS("\x1b[38:2::1;4m", "sm,38:2:0:1,4");
    UNITS("\x1b[0123456789m", "sm,9999");
    UNITS("\x1b[9999;10000;9998m", "sm,9999,9999,9998");
    UNITS("\x1b[?25h", "s?h,25");
    UNITS("\x1b[<1u", "s<u,1");
    UNITS("\x1b[=1u", "s=u,1");
    UNITS("\x1b[>1u", "s>u,1");
    UNITS("\x1b[2 q", "s q,2");
    UNITS("\x1b[!p", "s!p,0");
    UNITS("\x1b[1/p", "s/p,1");
    UNITS("\x1b[@", "s@,0");
    UNITS("\x1b[~", "s~,0");
    UNITS("\x1b[1\x7fm", "sm,1");
    UNITS("\x1b[1\xe9mx", "t6d t78");
    UNITS("\x1b[1\x80mx", "t6d t78");
    UNITS("\x1b[1\n2m", "ca sm,12"); /* a control works in the middle */
    UNITS("\x1b[1\x18mx", "t6d t78");
    UNITS("\x1b[1\x1amx", "t6d t78");
    UNITS("\x1b[1\x07m", "c7 sm,1");
    UNITS("\x1b[1\x1b[2m", "sm,2");
    /* Sixteen parameters; what is more is added to none. */
    UNITS("\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16m",
          "sm,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16");
    UNITS("\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17:18m",
          "sm,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,18");
}

/* Of a sequence everything is forgotten at the next one's begin. */
TEST(nothing_is_left_of_the_last) {
    fresh();
    CHECK_STR(units("\x1b[?1:2;3 q\x1b[A", 13), "s? q,1:2,3 sA,0");
    CHECK_STR(units("\x1b(0\x1b"
                    "7",
                    5),
              "e(0 e7");
    CHECK(s.length == 2 && memcmp(s.bytes, "\x1b\x37", 2) == 0);
}

/* Titles, palettes, device control: swallowed to their end. */
TEST(strings) {
    UNITS("\x1b]0;title\x07z", "t7a");
    UNITS("\x1b]0;title\x1b\\z", "e\\ t7a");
    UNITS("\x1bPq\n#0\x18z", "t7a"); /* no control works in there but those that end it */
    UNITS("\x1bXa\x1az", "t7a");
    UNITS("\x1b^a\xe9\x07z", "t7a");
    UNITS("\x1b_a\x7f\x07z", "t7a");
    UNITS("\x1b]Rz", "t7a"); /* the Linux console's palette: no end, and seven digits */
    UNITS("\x1b]P1ff00ffz", "t7a");
    UNITS("\x1b]P1ff0\x07z", "t7a");
    UNITS("\x1b]P1ff0\n0ffz", "t7a");
    UNITS("\x1b]0R\x07z", "t7a");
    UNITS("\x1b]0P1234567\x07z", "t7a");
    UNITS("\x1bPR\x07z", "t7a");
    UNITS("\x1bPP1234567\x07z", "t7a");
    fresh();
    units("\x1b]0;title", 9);
    CHECK_U64(s.state, SEQ_IN_STRING);
}

/* Up to so many bytes are kept; of a longer one none, and it is carried out. */
TEST(length) {
    char text[SEQ_BYTES + 2];
    for (unsigned more = 0; more < 2; more++) {
        size_t n = SEQ_BYTES + more;
        fresh();
        memset(text, '0', sizeof(text));
        memcpy(text, "\x1b[", 2);
        text[n - 1] = 'm';
        CHECK_STR(units(text, n), "sm,0");
        CHECK_U64(s.length, more == 0 ? SEQ_BYTES : 0);
        CHECK(more != 0 || memcmp(s.bytes, text, SEQ_BYTES) == 0);
    }
}

TEST_MAIN(T(text_and_controls), T(utf8), T(escapes), T(csi), T(nothing_is_left_of_the_last),
          T(strings), T(length))
