/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal: cursor, wrap, scroll, sequences, colours, and that only changed cells are drawn. */
#include "hv/monitor/grid.h"
#include "hv/monitor/term.h"
#include "hv/monitor/term_state.h"
#include "tests/unit/fake_console.h"
#include "tests/unit/random.h"

static struct seq seq;
static char passed[4096]; /* what an admin's terminal would get */
static size_t passed_length;

void hv_console_work(void) {
}

static unsigned flush(void) {
    struct grid_change changes[16];
    unsigned before = fake_screen.draws;
    while (grid_is_dirty()) {
        unsigned n = grid_take(changes, ARRAY_SIZE(changes));
        CHECK(n <= ARRAY_SIZE(changes));
        for (unsigned i = 0; i < n; i++) {
            plat_screen_draw(changes[i].column, changes[i].row, changes[i].cell);
        }
    }
    return fake_screen.draws - before;
}

/* 10 columns, 4 rows of text and the status row. */
static void start(void) {
    fake_console_set_up(false, 10, 5);
    term_init();
    seq_reset(&seq);
    flush();
}

static void feed(uint8_t byte) {
    do {
        if (seq_feed(&seq, byte) && term_put(&seq)) {
            char control = (char)seq.code;
            const void *from = seq.kind == SEQ_CONTROL ? (const void *)&control : seq.bytes;
            size_t n = seq.kind == SEQ_CONTROL ? 1 : seq.length;
            CHECK(n <= SEQ_BYTES);
            if (passed_length + n < sizeof(passed)) {
                memcpy(passed + passed_length, from, n);
                passed_length += n;
            }
        }
    } while (seq.again);
}

static unsigned put(const char *text) {
    passed_length = 0;
    for (; *text != '\0'; text++) {
        feed((uint8_t)*text);
    }
    passed[passed_length] = '\0';
    return flush();
}

static struct screen_cell at(unsigned row, unsigned column) {
    return fake_screen.cells[row][column];
}

/* The cell's colours, ink and paper; the cursor is elsewhere. */
static unsigned pair(unsigned row, unsigned column) {
    return at(row, column).pair;
}

TEST(first_flush_draws_what_is_not_black) {
    fake_console_set_up(false, 10, 5);
    term_init();
    CHECK_U64(flush(), 11); /* the status row, and the cursor */
    CHECK(fake_screen_inverse(4, 0) && fake_screen_inverse(4, 9));
    CHECK(fake_screen_inverse(0, 0) && !fake_screen_inverse(3, 9));
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
    put("\x1b[H\x1b[2J1\v2\f3\x1b[20h\n4\x1b[20l");
    CHECK_STR(fake_screen_row(1), " 2");
    CHECK_STR(fake_screen_row(2), "  3");
    CHECK_STR(fake_screen_row(3), "4");
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
        CHECK_U64(at(3, 0).character, line);
        CHECK(line < 'd' || at(0, 0).character == line - 3);
    }
    /* What erases takes the last character of a full line, and then no wrap is owed any more. */
    static const char *const erasing[] = {"\x1b[K",  "\x1b[J", "\x1b[X",
                                          "\x1b[2J", "\x1b[@", "\x1b[P"};
    for (unsigned i = 0; i < ARRAY_SIZE(erasing); i++) {
        put("\x1b[2J\x1b[H0123456789");
        put(erasing[i]);
        put("Z");
        CHECK_U64(at(0, 9).character, 'Z');
        CHECK_STR(fake_screen_row(1), "");
    }
    put("\x1b[2J\x1b[H\x1b[?7l0123456789AB");
    CHECK_STR(fake_screen_row(0), "012345678B");
    CHECK_STR(fake_screen_row(1), "");
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
    put("\x1b[2J\x1b[2d\x1b[5G5\x1b[3`3\x1b[2a6\x1b[e7\x1b[2Fp\x1b[3En");
    CHECK_STR(fake_screen_row(1), "  3 56");
    CHECK_STR(fake_screen_row(2), "      7");
    CHECK_STR(fake_screen_row(0), "p");
    CHECK_STR(fake_screen_row(3), "n");
}

TEST(erase_sequences) {
    start();
    put("aaaaaaaaa\r\nbbbbbbbbb\r\nccccccccc\r\nddddddddd");
    put("\x1b[2;4H\x1b[K");
    CHECK_STR(fake_screen_row(1), "bbb");
    put("\x1b[3;4H\x1b[1K");
    CHECK_STR(fake_screen_row(2), "    ccccc");
    put("\x1b[6G\x1b[2X");
    CHECK_STR(fake_screen_row(2), "    c  cc");
    put("\x1b[2K");
    CHECK_STR(fake_screen_row(2), "");
    put("\x1b[2;2H\x1b[1J");
    CHECK_STR(fake_screen_row(0), "");
    CHECK_STR(fake_screen_row(1), "  b");
    put("\x1b[4;3H\x1b[J");
    CHECK_STR(fake_screen_row(3), "dd");
    put("\x1b[3J\x1b[7J");
    CHECK_STR(fake_screen_row(3), "dd");
    put("\x1b[2J");
    CHECK_STR(fake_screen_row(1), "");
    CHECK_STR(fake_screen_row(3), "");
    put("\x1b#3"); /* a line of double height: not here */
    CHECK_STR(fake_screen_row(3), "");
    put("\x1b#8");
    CHECK_STR(fake_screen_row(3), "EEEEEEEEEE");
}

TEST(insert_and_delete) {
    start();
    put("abcdef\x1b[3G\x1b[2@\x1b[8G\x1b[99@");
    CHECK_STR(fake_screen_row(0), "ab  cde");
    put("\x1b[2G\x1b[3P");
    CHECK_STR(fake_screen_row(0), "acde");
    put("\x1b[2G\x1b[4hXY\x1b[4lZ");
    CHECK_STR(fake_screen_row(0), "aXYZde");
    put("\x1b[2J\x1b[H1\r\n2\r\n3\r\n4\x1b[2;5H\x1b[L+");
    CHECK_STR(fake_screen_row(1), "+");
    CHECK_STR(fake_screen_row(2), "2");
    CHECK_STR(fake_screen_row(3), "3");
    put("\x1b[2;1H\x1b[2M");
    CHECK_STR(fake_screen_row(1), "3");
    CHECK_STR(fake_screen_row(2), "");
    put("\x1b[S");
    CHECK_STR(fake_screen_row(0), "3");
    put("\x1b[2T");
    CHECK_STR(fake_screen_row(2), "3");
    put("\x1b[99T");
    CHECK_STR(fake_screen_row(2), "");
}

static void expect_cursor(int row, int column) {
    CHECK_U64((uint64_t)term.at.row, (uint64_t)row);
    CHECK_U64((uint64_t)term.at.column, (uint64_t)column);
}

/* From a margin itself it is the end, in both directions. */
TEST(rows_up_and_down_to_the_margins) {
    start();
    put("\x1b[2;3r\x1b[2;5H\x1b[A");
    expect_cursor(1, 4);
    put("\x1b[3;5H\x1b[B");
    expect_cursor(2, 4);
    put("\x1b[1;5H\x1b[9B"); /* from above them */
    expect_cursor(2, 4);
    put("\x1b[4;5H\x1b[9A"); /* from below */
    expect_cursor(1, 4);
    put("\x1b[4;5H\x1b[9B");
    expect_cursor(3, 4);
    put("\x1b[1;2H\x1b[Z"); /* a tab backwards, by one column */
    expect_cursor(0, 0);
}

/* The second cell of a wide character is blank, whatever stood there. */
TEST(a_wide_character_over_text) {
    start();
    put("abcd");
    put("\r\xe4\xb8\xad");
    CHECK_U64(at(0, 1).character, ' ');
    CHECK_U64(at(0, 2).character, 'c');
}

TEST(margins) {
    start();
    put("1\r\n2\r\n3\r\n4\x1b[2;3r");
    put("\x1b[3;1H\n"); /* the middle moves up */
    CHECK_STR(fake_screen_row(0), "1");
    CHECK_STR(fake_screen_row(1), "3");
    CHECK_STR(fake_screen_row(2), "");
    CHECK_STR(fake_screen_row(3), "4");
    put("\x1b[2;1H\x1bM"); /* and down */
    CHECK_STR(fake_screen_row(1), "");
    CHECK_STR(fake_screen_row(2), "3");
    put("\x1b[4;1H\n5\x1b[L"); /* below the margins nothing moves */
    CHECK_STR(fake_screen_row(3), "5");
    put("\x1b[?6h\x1b[1;1Ho\x1b[9;3Hp\x1b[?6l");
    CHECK_STR(fake_screen_row(1), "o");
    CHECK_STR(fake_screen_row(2), "3 p");
    put("\x1b[3;1H\x1b[9Au"); /* up to the margin only */
    CHECK_STR(fake_screen_row(1), "u");
    put("\x1b[3;2r\x1b[r\x1b[4;1H\x1b"
        "D"); /* a wrong one is nothing, none is all */
    CHECK_STR(fake_screen_row(0), "u");
    put("\x1b[H\x1bM\x1b"
        "Ex");
    CHECK_STR(fake_screen_row(0), "");
    CHECK_STR(fake_screen_row(1), "x");
}

TEST(tabs) {
    start();
    put("\x1b[3g\x1b[4G\x1bH\x1b[6G\x1bH\r\ta\tb\tc\x1b[2Zd");
    CHECK_STR(fake_screen_row(0), "   d b   c");
    put("\x1b[4G\x1b[g\r\x1b[K\te\r\x1b[If");
    CHECK_STR(fake_screen_row(0), "     f");
}

TEST(line_drawing) {
    start();
    put("\x1b(0lqk\x1b(Blqk\x1b)0\x0ex\x0fx");
    static const uint16_t want[] = {0x250c, 0x2500, 0x2510, 'l', 'q', 'k', 0x2502, 'x'};
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        CHECK_U64(at(0, i).character, want[i]);
    }
    put("\r\xe2\x94\x8c\x1b[3b");
    CHECK_U64(at(0, 3).character, 0x250c);
}

TEST(saved_cursor) {
    start();
    put("\x1b[2;3H\x1b[7m\x1b(0\x1b"
        "7\x1b[m\x1b(B\x1b[H\x1b"
        "8q");
    CHECK_U64(at(1, 2).character, 0x2500);
    CHECK_U64(pair(1, 2), SCREEN_PAIR(SCREEN_BLACK, SCREEN_GREY));
    put("\x1b[0m\x1b(B\x1b[4;1H\x1b[s\x1b[H\x1b[uq");
    CHECK_STR(fake_screen_row(3), "q");
}

TEST(alternate_screen) {
    start();
    put("shell\x1b[?1049h\x1b[Hvim\x1b[2;1Hmore");
    CHECK_STR(fake_screen_row(0), "vim");
    put("\x1b[?1049l!");
    CHECK_STR(fake_screen_row(0), "shell!");
    CHECK_STR(fake_screen_row(1), "");
    put("\x1b[?47h");
    CHECK_STR(fake_screen_row(0), "vim");
    put("\x1b[?47l\x1b[?1049h");
    CHECK_STR(fake_screen_row(0), "");
    put("\x1b[?1049l\x1b[H\x1b[?1048h\x1b[4;4H\x1b[?1048lS");
    CHECK_STR(fake_screen_row(0), "Shell!");
}

TEST(colours) {
    start();
    put("\x1b[31;42ma\x1b[1mb\x1b[22;7mc\x1b[0;93;104md\x1b[39;49me\x1b[0;4mf");
    CHECK_U64(pair(0, 0), SCREEN_PAIR(1, 2));
    CHECK_U64(pair(0, 1), SCREEN_PAIR(9, 2));
    CHECK_U64(pair(0, 2), SCREEN_PAIR(2, 1));
    CHECK_U64(pair(0, 3), SCREEN_PAIR(11, 12));
    CHECK_U64(pair(0, 4), SCREEN_PAIR(7, 0));
    CHECK(!at(0, 4).underline && at(0, 5).underline);
    put("\x1b[2J\x1b[H\x1b[0;38;5;196ma\x1b[48;2;0;0;250mb\x1b[38:2::255:255:255mc\x1b[0;38;5;9;1md"
        "\x1b[0;4:3me\x1b[4:0mf\x1b[8;31mg\x1b[28mh");
    CHECK_U64(pair(0, 0), SCREEN_PAIR(9, 0));
    CHECK_U64(pair(0, 1), SCREEN_PAIR(9, 4));
    CHECK_U64(pair(0, 2), SCREEN_PAIR(15, 4));
    CHECK_U64(pair(0, 3), SCREEN_PAIR(9, 0));
    CHECK(at(0, 4).underline && !at(0, 5).underline);
    CHECK_U64(pair(0, 6), SCREEN_PAIR(0, 0));
    CHECK_U64(pair(0, 7), SCREEN_PAIR(1, 0));
    put("\x1b[0;44m\x1b[2J"); /* what is erased takes the colour */
    CHECK_U64(pair(2, 5), SCREEN_PAIR(7, 4));
    put("\x1b[38m\x1b[38;5m\x1b[48;2;1m\x1b[38;2;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18mz");
    CHECK_U64(at(0, 8).character, 'z');
}

/* Every colour of the palette by its parts is itself, and so is its nearest neighbour. */
TEST(palette) {
    static const uint8_t parts[SCREEN_COLOURS][3] = {
        {0, 0, 0},       {205, 0, 0},   {0, 205, 0},   {205, 205, 0},
        {0, 0, 238},     {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
        {127, 127, 127}, {255, 0, 0},   {0, 255, 0},   {255, 255, 0},
        {92, 92, 255},   {255, 0, 255}, {0, 255, 255}, {255, 255, 255},
    };
    start();
    for (unsigned colour = 0; colour < SCREEN_COLOURS; colour++) {
        for (unsigned part = 0; part < 3; part++) {
            for (int step = -4; step <= 4; step += 4) {
                char text[64];
                int rgb[3] = {parts[colour][0], parts[colour][1], parts[colour][2]};
                rgb[part] += step;
                rgb[part] = rgb[part] < 0 ? 0 : rgb[part] > 255 ? 255 : rgb[part];
                snprintf(text, sizeof(text), "\x1b[H\x1b[0;48;2;%d;%d;%dma", rgb[0], rgb[1],
                         rgb[2]);
                put(text);
                CHECK_U64(pair(0, 0), SCREEN_PAIR(7, colour));
            }
        }
    }
}

/* Of the 256 indexed colours: the corners of the cube and both ends of the ramp of greys. */
TEST(indexed_colours) {
    static const struct {
        unsigned index, colour;
    } known[] = {
        {15, 15},  {16, 0},   {18, 4},   {21, 4},  {46, 10}, {51, 14}, {160, 1}, {196, 9},
        {201, 13}, {226, 11}, {231, 15}, {232, 0}, {238, 8}, {243, 8}, {255, 7},
    };
    start();
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        char text[64];
        snprintf(text, sizeof(text), "\x1b[H\x1b[0;48;5;%uma", known[i].index);
        put(text);
        CHECK_U64(pair(0, 0), SCREEN_PAIR(7, known[i].colour));
    }
}

TEST(cursor_is_seen) {
    start();
    put("ab");
    CHECK(fake_screen_inverse(0, 2) && !fake_screen_inverse(0, 1));
    CHECK_U64(put("\x1b[2;1H"), 2);
    CHECK(fake_screen_inverse(1, 0) && !fake_screen_inverse(0, 2));
    put("\x1b[?25l");
    CHECK(!fake_screen_inverse(1, 0));
    put("\x1b[?25h");
    CHECK(fake_screen_inverse(1, 0));
}

TEST(unknown_is_swallowed) {
    start();
    put("a\x1b[?2026h\x1b=\x1b[>0q\x01\x7f\x1b]0;title\x07\x1bPq#0\x1b\\\x1b]R\x1b]P1ff0000\x1b[=1u"
        "b");
    CHECK_STR(fake_screen_row(0), "ab");
    put("\x1b[1;2;3;4;5;6;7;8;9;1;2;3;4;5;6;7;8;9;1;2mc\x1b[3\rd");
    CHECK_STR(fake_screen_row(0), "abc");
    put("C"); /* CR inside the sequence worked, d ended it: row 3 */
    CHECK_STR(fake_screen_row(2), "C");
    put("\x1b[12\x18"
        "e\x1b[1\x1b[Hf");
    CHECK_STR(fake_screen_row(2), "Ce");
    CHECK_STR(fake_screen_row(0), "fbc");
}

TEST(utf8) {
    start();
    put("\xc3\xa9|\xe2\x82\xac|\xf0\x9f\x98\x80|");
    CHECK_U64(at(0, 0).character, 0xe9);
    CHECK_U64(at(0, 2).character, 0x20ac);
    CHECK_U64(at(0, 4).character, SEQ_REPLACEMENT); /* beyond 16 bits, and two cells wide */
    CHECK_U64(at(0, 6).character, '|');
    put("\x1b[2J\x1b[H\xef\xbf\xbf\xf0\x90\x80\x80"); /* the last of 16 bits, the first beyond */
    CHECK_U64(at(0, 0).character, 0xffff);
    CHECK_U64(at(0, 1).character, SEQ_REPLACEMENT);
    put("\x1b[2J\x1b[He\xcc\x81|\xe4\xb8\xad|\xe2\x82|\xff|\xc0\x80");
    CHECK_U64(at(0, 1).character, '|'); /* what joins is not shown */
    CHECK_U64(at(0, 2).character, 0x4e2d);
    CHECK_U64(at(0, 4).character, '|');
    CHECK_U64(at(0, 5).character, SEQ_REPLACEMENT);
    CHECK_U64(at(0, 6).character, '|');
    CHECK_U64(at(0, 7).character, SEQ_REPLACEMENT);
    put("\x1b[2J\x1b[H\xed\xa0\x80\xe0\x80\xaf\xc2\x9b"
        "c");
    CHECK_U64(at(0, 3).character, 'c');
    CHECK_STR(passed + 7, "???c");
}

/* Of the private modes: these, and no other. */
TEST(modes_that_may_pass) {
    static const unsigned pass[] = {1,    5,    6,    7,    12,   25,   47,   66,   1000, 1002,
                                    1003, 1004, 1005, 1006, 1015, 1047, 1048, 1049, 2004};
    size_t next = 0;
    start();
    for (unsigned mode = 0; mode < 2100; mode++) {
        bool may = next < ARRAY_SIZE(pass) && pass[next] == mode;
        char text[16];
        next += may;
        snprintf(text, sizeof(text), "\x1b[?%uh", mode);
        put(text);
        CHECK_STR(passed, may ? text : "");
        snprintf(text, sizeof(text), "\x1b[?25;%ul", mode); /* all or nothing */
        put(text);
        CHECK_STR(passed, may ? text : "");
    }
}

/* What would make the admin's terminal answer, or leave it changed for good, does not get there. */
TEST(what_may_pass) {
    static const char *const pass[] = {
        "text \xc3\xa4",
        "\r\n\b\t\a",
        "\x1b[1;31m",
        "\x1b[2J",
        "\x1b[3;4H",
        "\x1b(0",
        "\x0e",
        "\x1b[?25l",
        "\x1b[?1049h",
        "\x1b[?1h",
        "\x1b=",
        "\x1b[4h",
        "\x1b[2 q",
        "\x1b[1;5r",
        "\x1bM",
        "\x1b"
        "7",
    };
    static const char *const hold[] = {
        "\x05",
        "\x11",
        "\x13",
        "\x1b[c",
        "\x1b[>c",
        "\x1b[=c",
        "\x1b[6n",
        "\x1b[5n",
        "\x1b[?6n",
        "\x1bZ",
        "\x1b[21t",
        "\x1b[x",
        "\x1b[?2004$p",
        "\x1b[>q",
        "\x1b[<u",
        "\x1b[1$}",
        "\x1b[?u",
        "\x1b[>4;2m",
        "\x1b[2h",
        "\x1b[12l",
        "\x1b[?3h",
        "\x1b]0;t\x07",
        "\x1b]52;c;?\x1b"
        "\\",
        "\x1bP$qm\x1b",
        "\x1b%@",
        "\x9b"
        "6n\x1b[Z",
        "\xc2\x9b",
    };
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(pass); i++) {
        put(pass[i]);
        CHECK_STR(passed, pass[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(hold); i++) {
        seq_reset(&seq);
        put(hold[i]);
        CHECK(strchr(passed, hold[i][0]) == NULL);
    }
}

static const char *ask(const char *question) {
    static char answer[TERM_ANSWER_MAX + 1];
    put(question);
    answer[term_answer(answer, 8, 3)] = '\0';
    return answer;
}

TEST(questions) {
    start();
    CHECK_STR(ask("\x1b[c"), "\x1b[?6c");
    CHECK_STR(ask("\x1bZ"), "\x1b[?6c");
    CHECK_STR(ask("\x1b[5n"), "\x1b[0n");
    CHECK_STR(ask("\x1b[2;5H\x1b[6n"), "\x1b[2;5R");
    CHECK_STR(ask("\x1b[H\x1b[6n"), "\x1b[1;1R");
    CHECK_STR(ask("\x1b[2;4r\x1b[?6h\x1b[2;2H\x1b[6n"), "\x1b[2;2R");
    CHECK_STR(ask("\x1b[?6l\x1b[r\x1b[999;999H\x1b[6n"), "\x1b[3;8R"); /* what it may admit to */
    CHECK_STR(ask("\x1b[7n"), "");
    CHECK_STR(ask("x"), "");
}

TEST(reset) {
    start();
    put("abc\x1b[2;3r\x1b[?6h\x1b[?7l\x1b[4h\x1b[7m\x1b(0\x0e\x1b[?25l\x1b[3g\x1b[?1049h");
    term_reset();
    flush();
    CHECK_STR(fake_screen_row(0), "");
    put("q\tq\x1b[4;9H12\r\n");
    CHECK_STR(fake_screen_row(3), "");
    CHECK_STR(fake_screen_row(2), "        12");
    CHECK_U64(pair(2, 8), SCREEN_PAIR(SCREEN_GREY, SCREEN_BLACK));
    put("\x1b[2;3r\x1b[7m\x1b(0\x1b[!pq\x1b"
        "cQ");
    CHECK_STR(fake_screen_row(0), "Q");
}

/* ESC [ ! p: each mode by itself, with the text as it is. */
TEST(soft_reset) {
    start();
    put("0123456789\x1b[2;3r\x1b[!p\x1b[4;1H\n"); /* margins */
    CHECK_STR(fake_screen_row(0), "");
    put("\x1b[Habc\x1b[4h\x1b[!p\x1b[Hx"); /* insertion */
    CHECK_STR(fake_screen_row(0), "xbc");
    put("\x1b[2;3r\x1b[?6h\x1b[!p\x1b[Hy"); /* origin */
    CHECK_STR(fake_screen_row(0), "ybc");
    put("\x1b[?7l\x1b[!p\x1b[H0123456789z"); /* wrap */
    CHECK_STR(fake_screen_row(1), "z");
    put("\x1b[2J\x1b[H\x1b[20h\x1b[!p12\n3"); /* new lines */
    CHECK_STR(fake_screen_row(1), "  3");
    put("\x1b[?25l\x1b[!p"); /* the cursor */
    CHECK(fake_screen_inverse(1, 3));
    put("\x1b[1;4;41m\x1b(0\x1b[!p\x1b[Hq"); /* the pen, the character set */
    CHECK_U64(at(0, 0).character, 'q');
    CHECK(!at(0, 0).underline);
    CHECK_U64(pair(0, 0), SCREEN_PAIR(SCREEN_GREY, SCREEN_BLACK));
    put("\x1b)0\x0e\x1b[!p\x1b[Hq\x0er\x0f"); /* both of them */
    CHECK_STR(fake_screen_row(0), "qr");
    put("\x1b[3;3H\x1b[32m\x1b"
        "7\x1b[!p\x1b"
        "8s"); /* the saved cursor */
    CHECK_STR(fake_screen_row(0), "sr");
    CHECK_U64(pair(0, 0), SCREEN_PAIR(SCREEN_GREY, SCREEN_BLACK));
    /* What was owed at a line's end is none any more. */
    put("\x1b[2J\x1b[H0123456789\x1b[!pX");
    CHECK_STR(fake_screen_row(0), "012345678X");
}

/* ESC c: also what the other screen has kept, and what CSI b repeats. */
TEST(full_reset) {
    start();
    put("\x1b[3;3H\x1b"
        "7\x1b[?47hother\x1b[2;2H\x1b"
        "7a\x1b"
        "c\x1b[2b.");
    CHECK_STR(fake_screen_row(0), "  .");
    put("\x1b"
        "8x");
    CHECK_STR(fake_screen_row(0), "x .");
    put("\x1b[?47h\x1b"
        "8y");
    CHECK_STR(fake_screen_row(0), "y");
    CHECK_STR(fake_screen_row(1), "");
    put("\x1b"
        "c");
    CHECK(fake_screen_inverse(0, 0));
    CHECK_U64(term_answer(passed, 80, 24), 0);
    /* A question that nobody has answered is none any more. */
    feed('\x1b');
    feed('Z');
    term_reset();
    CHECK_U64(term_answer(passed, 80, 24), 0);
}

/* Where each of these leaves the cursor: an x is written there. */
TEST(where_the_cursor_goes) {
    static const struct {
        const char *text;
        unsigned row, column;
    } cases[] = {
        {"\x1b[3;5H\x1b[2;3r", 0, 0},
        {"\x1b[3;5H\x1b[r", 0, 0},
        {"\x1b[3;5H\x1b[3;3r", 2, 4}, /* no margins: one line cannot scroll */
        {"\x1b[3;5H\x1b[4;9r", 2, 4},
        {"\x1b[3;5H\x1b[3;9r", 0, 0},
        {"\x1b[3;5H\x1b[2;3r\x1b[?6h", 1, 0},
        {"\x1b[2;3r\x1b[?6h\x1b[3;5H\x1b[?6l", 0, 0},
        {"\x1b[2;3r\x1b[?6h\x1b[2d", 2, 0},
        {"\x1b[3;5H\x1b#8", 0, 0},
        {"\x1b[3;5H\x1b[L", 2, 0},
        {"\x1b[3;5H\x1b[M", 2, 0},
        {"\x1b[3;5H\x1b[S", 2, 4},
        {"\x1b[3;5H\x1b[T", 2, 4},
        {"\x1b[3;5H\x1b[K", 2, 4},
        {"\x1b[3;5H\x1b[2J", 2, 4},
        {"\x1b[3;5H\x1b"
         "D",
         3, 4},
        {"\x1b[3;5H\x1b"
         "E",
         3, 0},
        {"\x1b[3;5H\x1bM", 1, 4},
        {"\x1b[3;5H\x1b[A", 1, 4},
        {"\x1b[3;5H\x1b[0A", 1, 4},
        {"\x1b[3;5H\x1b[E", 3, 0},
        {"\x1b[3;5H\x1b[F", 1, 0},
        {"\x1b[3;5H\x1b[G", 2, 0},
        {"\x1b[3;5H\x1b[d", 0, 4},
        {"\x1b[3;5H\x1b[H", 0, 0},
        {"\x1b[3;5H\x1b[2H", 1, 0},
        {"\x1b[3;5H\x1b[;3H", 0, 2},
        {"\x1b[3;5H\t", 2, 8},
        {"\x1b[3;5H\t\t", 2, 9},
        {"\x1b[3;5H\x1b[2I", 2, 9},
        {"\x1b[3;9H\x1b[Z", 2, 0},
        {"\x1b[3;10H\x1b[Z", 2, 8},
        {"\x1b[3;10H\x1b[2Z", 2, 0},
        {"\x1b[3;10H\x1b[9Z", 2, 0},
        /* A margin on the way holds, from within only. */
        {"\x1b[2;3r\x1b[3;5H\x1b[9A", 1, 4},
        {"\x1b[2;3r\x1b[2;5H\x1b[9B", 2, 4},
        {"\x1b[2;3r\x1b[1;5H\x1b[9A", 0, 4},
        {"\x1b[2;3r\x1b[1;5H\x1b[9B", 2, 4},
        {"\x1b[2;3r\x1b[4;5H\x1b[9B", 3, 4},
        {"\x1b[2;3r\x1b[4;5H\x1b[9A", 1, 4},
        {"\x1b[2;3r\x1b[3;5H\n", 2, 4},
        {"\x1b[2;3r\x1b[4;5H\n", 3, 4},
        {"\x1b[2;3r\x1b[2;5H\x1bM", 1, 4},
        {"\x1b[2;3r\x1b[1;5H\x1bM", 0, 4},
        /* At a line's end, where a wrap is owed. */
        {"0123456789", 1, 0},
        {"0123456789\x1b[C", 0, 9},
        {"0123456789\b", 0, 8},
        {"0123456789\r", 0, 0},
        {"0123456789\n", 1, 9},
        {"0123456789\x1b[?7l\x1b[?7h", 0, 9},
        {"\x1b[2;1H0123456789\x1bM", 0, 9},
        {"0123456789\x1b[?25l", 1, 0},
        /* Two cells wide: the last column has no room. */
        {"\x1b[1;9H\xe4\xb8\xad", 1, 0},
        {"\x1b[1;10H\xe4\xb8\xad", 1, 2},
        {"\x1b[1;10H\x1b[?7l\xe4\xb8\xad", 0, 9},
        /* The alternate screen: 1049 keeps the cursor for the way back. */
        {"\x1b[3;5H\x1b[?1049h\x1b[H\x1b[?1049l", 2, 4},
        {"\x1b[3;5H\x1b[?1047h\x1b[2;2H\x1b[?1047l", 1, 1},
        {"\x1b[3;5H\x1b[?47h\x1b[2;2H\x1b[?47l", 1, 1},
        {"\x1b[3;5H\x1b[?1049l", 2, 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        start();
        put(cases[i].text);
        put("x");
        CHECK_U64(at(cases[i].row, cases[i].column).character, 'x');
        if (at(cases[i].row, cases[i].column).character != 'x') {
            printf("# that was %s\n", cases[i].text + 1);
        }
    }
}

/* Which cells each of these leaves of four full rows. */
TEST(what_is_erased_and_moved) {
    static const struct {
        const char *text, *rows[4];
    } cases[] = {
        {"\x1b[2;4H\x1b[1K", {"aaaaaaaaaa", "    bbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[2K", {"aaaaaaaaaa", "", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[3K", {"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[J", {"aaaaaaaaaa", "bbb", "", ""}},
        {"\x1b[2;4H\x1b[1J", {"", "    bbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[3J", {"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[X", {"aaaaaaaaaa", "bbb bbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[99X", {"aaaaaaaaaa", "bbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[7P", {"aaaaaaaaaa", "bbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[6P", {"aaaaaaaaaa", "bbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[6@", {"aaaaaaaaaa", "bbb      b", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;4H\x1b[L", {"aaaaaaaaaa", "", "bbbbbbbbbb", "cccccccccc"}},
        {"\x1b[2;4H\x1b[M", {"aaaaaaaaaa", "cccccccccc", "dddddddddd", ""}},
        {"\x1b[S", {"bbbbbbbbbb", "cccccccccc", "dddddddddd", ""}},
        {"\x1b[T", {"", "aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"}},
        {"\x1b[3S", {"dddddddddd", "", "", ""}},
        {"\x1b[3T", {"", "", "", "aaaaaaaaaa"}},
        {"\x1b[4S", {"", "", "", ""}},
        {"\x1b[2;3r\x1b[S", {"aaaaaaaaaa", "cccccccccc", "", "dddddddddd"}},
        {"\x1b[2;3r\x1b[T", {"aaaaaaaaaa", "", "bbbbbbbbbb", "dddddddddd"}},
        {"\x1b[2;3r\x1b[1;1H\x1b[L", {"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;3r\x1b[2;1H\x1b[L", {"aaaaaaaaaa", "", "bbbbbbbbbb", "dddddddddd"}},
        {"\x1b[2;3r\x1b[3;1H\x1b[M", {"aaaaaaaaaa", "bbbbbbbbbb", "", "dddddddddd"}},
        {"\x1b[4;1H\n", {"bbbbbbbbbb", "cccccccccc", "dddddddddd", ""}},
        {"\x1b[1;1H\x1bM", {"", "aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"}},
        {"\x1b[?1047h\x1b[2;1Hx\x1b[?1047l",
         {"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[?47h\x1b[2;1Hx\x1b[?1047l\x1b[?47h", {"", "", "", ""}},
        {"\x1b[?1049h\x1b[2;1Hx\x1b[?1049l\x1b[?47h", {"", "x", "", ""}},
        {"\x1b[?1047h\x1b[2;1Hx\x1b[?47l\x1b[?1047h", {"", "x", "", ""}},
        {"\x1b[?1047h\x1b[2;1Hx\x1b[?47l\x1b[?1049h", {"", "", "", ""}},
        {"\x1b[?1049h\x1b[2;1Hx\x1b[?1049h", {"", "x", "", ""}}, /* it is shown already */
        {"\x1b[2;4H\x1b[4h\x1b[3bz", {"aaaaaaaaaa", "bbbdddzbbb", "cccccccccc", "dddddddddd"}},
        {"\x1b[4;9H\x1b[4h\x1b[4b", {"bbbbbbbbbb", "cccccccccc", "dddddddddd", "dd"}},
        {"\x1b[2;9H\x1b[4h\xe4\xb8\xad", {"aaaaaaaaaa", "bbbbbbbb?", "cccccccccc", "dddddddddd"}},
        {"\x1b[2;9H\x1b[4hxy", {"aaaaaaaaaa", "bbbbbbbbxy", "cccccccccc", "dddddddddd"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        start();
        put("aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd");
        put(cases[i].text);
        for (unsigned row = 0; row < 4; row++) {
            CHECK_STR(fake_screen_row(row), cases[i].rows[row]);
        }
    }
}

/* A blank cell has the paper of the moment, wherever it comes from. */
TEST(blanks_have_the_paper) {
    static const struct {
        const char *text;
        unsigned row, column;
    } cases[] = {
        {"\x1b[K", 1, 9},  {"\x1b[J", 3, 0}, {"\x1b[1J", 0, 0},     {"\x1b[X", 1, 3},
        {"\x1b[@", 1, 3},  {"\x1b[P", 1, 9}, {"\x1b[L", 1, 0},      {"\x1b[M", 3, 0},
        {"\x1b[S", 3, 0},  {"\x1b[T", 0, 0}, {"\x1b[4;1H\n", 3, 0}, {"\x1b[1;1H\x1bM", 0, 0},
        {"\x1b[2J", 0, 9},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        start();
        put("aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd\x1b[2;4H\x1b[31;44m\x1b[?25l");
        put(cases[i].text);
        CHECK_U64(pair(cases[i].row, cases[i].column), SCREEN_PAIR(SCREEN_GREY, 4));
    }
}

/* The last column has no tab stop, and there may be none at all. */
TEST(tabs_of_the_widest_screen) {
    fake_console_set_up(false, 240, 5);
    term_init();
    seq_reset(&seq);
    put("\x1b[999I!");
    CHECK_U64(at(0, 239).character, '!');
    put("\r\x1b[3g\t?\x1b[2;240H\x1b[Z+");
    CHECK_U64(at(0, 239).character, '?');
    CHECK_U64(at(1, 0).character, '+');
}

/* A screen of one row of text and the status is the smallest. */
TEST(sizes_of_screens) {
    fake_console_set_up(false, 10, 2);
    term_init();
    seq_reset(&seq);
    put("a\r\nb");
    CHECK_STR(fake_screen_row(0), "b");
    fake_console_set_up(false, 10, 1); /* too small: as without one */
    term_init();
    put("\x1b[24;80H\x1b[6n");
    CHECK_STR(ask("\x1b[24;80H\x1b[6n"), "\x1b[3;8R");
    CHECK(!grid_is_dirty());
    fake_console_set_up(false, 0, 5);
    term_init();
    put("x");
    CHECK(!grid_is_dirty());
}

TEST(only_changes_are_drawn) {
    start();
    put("hello");
    CHECK_U64(put("\rhelp"), 3); /* and the cursor, where it was and is */
    CHECK_U64(put("\r\n\x1b[K"), 2);
    grid_set_status("abc");
    CHECK_U64(flush(), 3);
    CHECK_STR(fake_screen_row(4), "abc");
    grid_set_status("a longer text than there are columns\n");
    flush();
    CHECK_STR(fake_screen_row(4), "a longer t");
}

/* However much has changed, a piece of the work is small. */
TEST(pieces_are_small) {
    struct grid_change changes[64];
    fake_console_set_up(false, 240, 67);
    term_init();
    flush();
    put("\x1b#8");
    put("\x1b#8");
    feed('\x1b');
    feed('c'); /* all rows are to be looked at, and every cell is another */
    unsigned pieces = 0;
    unsigned cells = 0;
    for (; grid_is_dirty(); pieces++) {
        cells += grid_take(changes, ARRAY_SIZE(changes));
    }
    CHECK_U64(cells, 240 * 66);
    CHECK(pieces >= 240 * 66 / 64);
}

TEST(four_rows_are_compared_at_once) {
    struct grid_change changes[64];
    fake_console_set_up(false, 80, 25);
    term_init();
    flush();
    for (const char *c = "a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh"; *c != '\0'; c++) {
        feed((uint8_t)*c);
    }
    CHECK_U64(grid_take(changes, ARRAY_SIZE(changes)), 4);
    CHECK(grid_is_dirty());
    CHECK_U64(grid_take(changes, ARRAY_SIZE(changes)), 4 + 1); /* and the cursor */
    CHECK(!grid_is_dirty());
}

TEST(no_screen) {
    fake_console_set_up(false, 0, 0);
    term_init();
    put("text");
    grid_set_status("x");
    CHECK(!grid_is_dirty());
    CHECK_U64(flush(), 0);
    CHECK_STR(ask("\x1b[2;5H\x1b[6n"), "\x1b[2;5R"); /* it is a terminal all the same */
}

TEST(screen_beyond_the_limits) {
    fake_console_set_up(false, 250, 120);
    term_init();
    put("\x1b[200;250Hx");
    CHECK_U64(at(GRID_MAX_ROWS - 2, GRID_MAX_COLUMNS - 1).character, 'x');
    CHECK(fake_screen_inverse(GRID_MAX_ROWS - 1, 0));
}

/* Anything at all: the sanitizers, the grid's own checks and the fake screen watch the bounds. */
TEST(random_bytes) {
    static const char set[] =
        "\x1b\x1b\x1b\x1b[[[[[;;;0123456789?!>$ @ABCDEFGHIJKLMPSTXZ`abcdefghlmnrsu"
        "()0BDEMc78#\r\n\b\t\x0e\x0f\xe2\x94\x80\xc3\xe4\xb8\xad";
    uint64_t r = 0x9e3779b97f4a7c15;
    for (unsigned size = 0; size < 3; size++) {
        fake_console_set_up(false, size == 0 ? 10 : size == 1 ? 80 : 1, size == 2 ? 2 : 5);
        term_init();
        seq_reset(&seq);
        for (unsigned i = 0; i < 400000; i++) {
            (void)random_next(&r);
            char answer[TERM_ANSWER_MAX];
            feed(r % 8 == 0 ? (uint8_t)(r >> 8) : (uint8_t)set[(r >> 8) % (sizeof(set) - 1)]);
            CHECK(term_answer(answer, 80, 24) < sizeof(answer));
            if (i % 16 == 0) {
                flush();
            }
        }
    }
    CHECK(fake_screen.draws > 1000);
}

/* Each parameter of a sequence is a mode of its own. */
TEST(several_modes_at_once) {
    start();
    put("abc\r\x1b[4;20hX\n"); /* inserting; a line feed goes to the line's begin */
    CHECK_STR(fake_screen_row(0), "Xabc");
    put("Y");
    CHECK_STR(fake_screen_row(1), "Y");
    put("\x1b[4;20l\x1b[1;1HZ\n-");
    CHECK_STR(fake_screen_row(0), "Zabc");
    CHECK_STR(fake_screen_row(1), "Y-");
    put("\x1b[?47;7l\x1b[1;10HAB"); /* the second one: no wrap */
    CHECK_STR(fake_screen_row(0), "Zabc     B");
    CHECK_STR(fake_screen_row(1), "Y-");
    put("\x1b[?47;7h\x1b[1;10HAB"); /* and back, on the alternate screen */
    CHECK_STR(fake_screen_row(0), "         A");
    CHECK_STR(fake_screen_row(1), "B");
}

/* xterm, mode 1047: the alternate screen is cleared when it is left, all of it. */
TEST(mode_1047_clears_what_it_leaves) {
    start();
    put("main\x1b[?1047h\x1b[1;1Hfirst\x1b[4;1Hlast\x1b[?1047l");
    CHECK_STR(fake_screen_row(0), "main");
    put("\x1b[?47h");
    for (unsigned row = 0; row < 4; row++) {
        CHECK_STR(fake_screen_row(row), "");
    }
}

/* What a view costs is what it writes: its share of the console's time is measured by that. */
TEST(work_is_counted_in_cells) {
    static const struct {
        const char *text;
        unsigned cells;
    } acts[] = {
        {"abc", 3},         {"\x1b[@", 7 + 1}, /* the rest of the row moves, and a blank comes */
        {"\x1b[P", 7 + 1},                     /* as well */
        {"\x1b[S", 4 + 10},                    /* each row has another place, and one is blank */
        {"\x1b[T", 4 + 10}, {"\x1b[2K", 10},   {"\x1b[2J", 40}, {"\x1b[3;3H", 0},
    };
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(acts); i++) {
        uint64_t before = grid_written();
        put(acts[i].text);
        CHECK_U64(grid_written() - before, acts[i].cells);
    }
    CHECK(!at(4, 0).underline); /* the status row is plain */
}

TEST_MAIN(T(four_rows_are_compared_at_once), T(first_flush_draws_what_is_not_black),
          T(text_and_lines), T(wrap_and_scroll), T(cursor_sequences), T(erase_sequences),
          T(insert_and_delete), T(margins), T(tabs), T(line_drawing), T(saved_cursor),
          T(alternate_screen), T(colours), T(palette), T(indexed_colours), T(cursor_is_seen),
          T(unknown_is_swallowed), T(utf8), T(modes_that_may_pass), T(what_may_pass), T(questions),
          T(reset), T(soft_reset), T(full_reset), T(where_the_cursor_goes),
          T(what_is_erased_and_moved), T(rows_up_and_down_to_the_margins),
          T(a_wide_character_over_text), T(blanks_have_the_paper), T(tabs_of_the_widest_screen),
          T(sizes_of_screens), T(only_changes_are_drawn), T(pieces_are_small), T(no_screen),
          T(screen_beyond_the_limits), T(random_bytes), T(several_modes_at_once),
          T(mode_1047_clears_what_it_leaves), T(work_is_counted_in_cells))
