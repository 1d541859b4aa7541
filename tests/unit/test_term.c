/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text terminal: cursor, wrap, scroll, sequences, and that only changed cells are drawn. */
#include "hv/monitor/term.h"
#include "tests/unit/fake_console.h"

/* 10 columns, 4 rows of text and the status row. */
static void start(void) {
    fake_console_set_up(false, 10, 5);
    term_init();
    term_flush();
}

static void put(const char *text) {
    term_write((const uint8_t *)text, strlen(text));
    term_flush();
}

TEST(first_flush_draws_all) {
    start();
    CHECK_U64(fake_screen.draws, 50);
    CHECK(fake_screen.inverse[4][0] && fake_screen.inverse[4][9]);
    CHECK(!fake_screen.inverse[3][9]);
}

TEST(text_and_lines) {
    start();
    put("ab\r\ncd\b\bC\tx");
    CHECK_STR(fake_screen_row(0), "ab");
    CHECK_STR(fake_screen_row(1), "Cd      x");
    put("\rE\nF");
    CHECK_STR(fake_screen_row(1), "Ed      x");
    CHECK_STR(fake_screen_row(2), " F");
    put("\r\b\t\t\t!");
    CHECK_STR(fake_screen_row(2), " F       !");
}

TEST(wrap_and_scroll) {
    start();
    put("0123456789");
    CHECK_STR(fake_screen_row(0), "0123456789");
    put("\r\n2nd"); /* a full line does not leave an empty one */
    CHECK_STR(fake_screen_row(1), "2nd");
    put("\r\nabcdefghijK\r\nlast\r\n");
    CHECK_STR(fake_screen_row(0), "abcdefghij");
    CHECK_STR(fake_screen_row(1), "K");
    CHECK_STR(fake_screen_row(2), "last");
    CHECK_STR(fake_screen_row(3), "");
    put("\n\n\n\n\n\nz");
    CHECK_STR(fake_screen_row(0), "");
    CHECK_STR(fake_screen_row(3), "z");
    for (char line = 'a'; line <= 'p'; line++) {
        put((const char[]){'\r', '\n', line, '\0'});
        CHECK_U64(fake_screen.character[3][0], line);
        CHECK(line < 'd' || fake_screen.character[0][0] == line - 3);
    }
}

TEST(cursor_sequences) {
    start();
    put("\x1b[3;4Hx\x1b[Hy\x1b[2;2fz");
    CHECK_STR(fake_screen_row(2), "   x");
    CHECK_STR(fake_screen_row(0), "y");
    CHECK_STR(fake_screen_row(1), " z");
    put("\x1b[Aa\x1b[2Bb\x1b[3Dc\x1b[3Cd\x1b[0Ce");
    CHECK_STR(fake_screen_row(0), "y a");
    CHECK_STR(fake_screen_row(2), " c b d e");
    put("\x1b[99;99H#\x1b[99A\x1b[99D*");
    CHECK_STR(fake_screen_row(3), "         #");
    CHECK_STR(fake_screen_row(0), "* a");
    put("\x1b[99999999999999999999B~");
    CHECK_STR(fake_screen_row(3), " ~       #");
}

TEST(erase_sequences) {
    start();
    put("aaaaaaaaa\r\nbbbbbbbbb\r\nccccccccc\r\nddddddddd");
    put("\x1b[2;4H\x1b[K");
    CHECK_STR(fake_screen_row(1), "bbb");
    put("\x1b[3;4H\x1b[1K");
    CHECK_STR(fake_screen_row(2), "    ccccc");
    put("\x1b[2K");
    CHECK_STR(fake_screen_row(2), "");
    put("\x1b[2;2H\x1b[1J");
    CHECK_STR(fake_screen_row(0), "");
    CHECK_STR(fake_screen_row(1), "  b");
    put("\x1b[4;3H\x1b[J");
    CHECK_STR(fake_screen_row(3), "dd");
    put("\x1b[2J");
    CHECK_STR(fake_screen_row(1), "");
    CHECK_STR(fake_screen_row(3), "");
}

TEST(unknown_is_swallowed) {
    start();
    put("a\x1b[?25l\x1b[6n\x1b[5;9r\x1b(B\x1b=\x1b[>0q\x01\x7f"
        "b");
    CHECK_STR(fake_screen_row(0), "ab");
    put("\x1b[1;2;3;4;5;6;7;8mc\x1b[3\rd");
    CHECK_STR(fake_screen_row(0), "abc");
    put("C"); /* CR inside the sequence worked, d ended it */
    CHECK_STR(fake_screen_row(0), "Cbc");
    put("\x1b[12");
    term_reset();
    put("e");
    CHECK(strchr(fake_screen_row(0), 'e') != NULL);
}

TEST(utf8) {
    start();
    put("\xc3\xa9|\xe2\x82\xac|\xf0\x9f\x98\x80|");
    CHECK_STR(fake_screen_row(0), "?|?|?|");
}

TEST(only_changes_are_drawn) {
    start();
    put("hello");
    unsigned before = fake_screen.draws;
    put("\rhelp");
    CHECK_U64(fake_screen.draws, before + 1);
    put("\r\n\x1b[K");
    CHECK_U64(fake_screen.draws, before + 1);
    term_set_status("abc");
    term_flush();
    CHECK_U64(fake_screen.draws, before + 4);
    CHECK_STR(fake_screen_row(4), "abc");
    term_set_status("a longer text than there are columns\n");
    term_flush();
    CHECK_STR(fake_screen_row(4), "a longer t");
}

TEST(no_screen) {
    fake_console_set_up(false, 0, 0);
    term_init();
    put("text");
    term_set_status("x");
    term_flush();
    CHECK_U64(fake_screen.draws, 0);
}

TEST(screen_beyond_the_limits) {
    fake_console_set_up(false, 250, 120);
    term_init();
    put("\x1b[200;250Hx");
    CHECK(fake_screen.character[TERM_MAX_ROWS - 2][TERM_MAX_COLUMNS - 1] == 'x');
    CHECK(fake_screen.inverse[TERM_MAX_ROWS - 1][0]);
}

/* Anything at all: the sanitizers and the fake screen watch the bounds. */
TEST(random_bytes) {
    static const char set[] = "\x1b\x1b\x1b[[[;;0123456789ABCDHfJKm?\r\n\b\tab";
    uint64_t r = 0x9e3779b97f4a7c15;
    start();
    for (unsigned i = 0; i < 300000; i++) {
        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        uint8_t byte = r % 8 == 0 ? (uint8_t)(r >> 8) : (uint8_t)set[(r >> 8) % (sizeof(set) - 1)];
        term_write(&byte, 1);
        if (i % 16 == 0) {
            term_flush();
        }
    }
    CHECK(fake_screen.draws > 1000);
}

TEST_MAIN(T(first_flush_draws_all), T(text_and_lines), T(wrap_and_scroll), T(cursor_sequences),
          T(erase_sequences), T(unknown_is_swallowed), T(utf8), T(only_changes_are_drawn),
          T(no_screen), T(screen_beyond_the_limits), T(random_bytes))
