/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Colours and attributes, each number of CSI m by itself: what it changes, and what it leaves. */
#include "hv/monitor/pen.h"
#include "tests/unit/test.h"

static struct pen pen;

/* The parameters between CSI and m. */
static void select_text(const char *parameters) {
    char text[64];
    struct seq s;
    snprintf(text, sizeof(text), "\x1b[%sm", parameters);
    seq_reset(&s);
    for (const char *at = text; *at != '\0'; at++) {
        bool complete = seq_feed(&s, (uint8_t)*at);
        CHECK(complete == (*at == 'm'));
    }
    pen_select(&pen, &s);
}

static void select_number(unsigned n) {
    char text[8];
    snprintf(text, sizeof(text), "%u", n);
    select_text(text);
}

static bool same(const struct pen *a, const struct pen *b) {
    return a->ink == b->ink && a->paper == b->paper && a->bold == b->bold &&
           a->underline == b->underline && a->inverse == b->inverse && a->hidden == b->hidden;
}

/* What a number does to a pen, said once more. */
static struct pen expected(struct pen p, unsigned n) {
    bool on = n < 20;
    bool *const attributes[10] = {
        [1] = &p.bold, [4] = &p.underline, [7] = &p.inverse, [8] = &p.hidden};
    unsigned off = n == 22 ? 1 : n - 20; /* 21 is a double underline elsewhere, 22 ends bold */
    unsigned which = on ? n : off;
    unsigned tens = n / 10 * 10;
    uint8_t colour = (uint8_t)(n - tens);

    if (n == 0) {
        return pen_plain;
    }
    if (n < 30) {
        if (which < 10 && attributes[which] != NULL && n != 21) {
            *attributes[which] = on;
        }
        return p;
    }
    if (colour == 9 && tens == 30) {
        p.ink = SCREEN_GREY;
    } else if (colour == 9 && tens == 40) {
        p.paper = SCREEN_BLACK;
    } else if (colour < 8 && (tens == 30 || tens == 90)) {
        p.ink = (uint8_t)(colour + (tens == 90 ? 8 : 0));
    } else if (colour < 8 && (tens == 40 || tens == 100)) {
        p.paper = (uint8_t)(colour + (tens == 100 ? 8 : 0));
    }
    return p;
}

TEST(every_number) {
    static const struct pen begin[] = {
        {.ink = SCREEN_GREY, .paper = SCREEN_BLACK},
        {.ink = 9, .paper = 12, .bold = true, .underline = true, .inverse = true, .hidden = true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(begin); i++) {
        for (unsigned n = 0; n < 130; n++) {
            struct pen want = expected(begin[i], n);
            if (n == 38 || n == 48) {
                continue; /* more follows */
            }
            pen = begin[i];
            select_number(n);
            CHECK(same(&pen, &want));
            if (!same(&pen, &want)) {
                printf("# that was CSI %u m\n", n);
            }
        }
    }
}

static const struct pen odd = {.ink = 9, .paper = 12};

static void check(const char *parameters, struct pen want) {
    pen = odd;
    select_text(parameters);
    CHECK(same(&pen, &want));
    if (!same(&pen, &want)) {
        printf("# that was CSI %s m\n", parameters);
    }
}

/* What belongs to a colour is no number of its own, and what does not is one. */
TEST(how_much_belongs_to_a_colour) {
    static const struct {
        const char *parameters;
        struct pen want;
    } cases[] = {
        {"38;5;2;1", {.ink = 2, .paper = 12, .bold = true}},
        {"48;5;2;1", {.ink = 9, .paper = 2, .bold = true}},
        {"38:5:2;1", {.ink = 2, .paper = 12, .bold = true}},
        {"38;2;0;0;0;1", {.ink = 0, .paper = 12, .bold = true}},
        {"38:2:0:0:0;1", {.ink = 0, .paper = 12, .bold = true}},
        {"38:2:7:0:0:0;1", {.ink = 0, .paper = 12, .bold = true}}, /* with a colour space */
        {"38:5:2:1;4", {.ink = 9, .paper = 12, .underline = true}},
        {"38:2:0:0;4", {.ink = 9, .paper = 12, .underline = true}},
        {"38;9;1;4", {.ink = 9, .paper = 12, .underline = true}}, /* there is no such kind */
        {"38;5", {.ink = 9, .paper = 12}},
        {"38;2;1;1", {.ink = 9, .paper = 12}},
        {"38", {.ink = 9, .paper = 12}},
        {"1;38;5;4", {.ink = 4, .paper = 12, .bold = true}},
        {"38;5;4;48;5;3", {.ink = 4, .paper = 3}},
        {"38;5;260", {.ink = 4, .paper = 12}},         /* of eight bits */
        {"38;2;256;256;511", {.ink = 4, .paper = 12}}, /* as well: 0, 0, 255 */
        {"4:3;1", {.ink = 9, .paper = 12, .underline = true, .bold = true}},
        {"4:0;1", {.ink = 9, .paper = 12, .bold = true}},
        {"4;3;1", {.ink = 9, .paper = 12, .underline = true, .bold = true}},
        {"4;0;1", {.ink = SCREEN_GREY, .paper = SCREEN_BLACK, .bold = true}},
        {"4:1", {.ink = 9, .paper = 12, .underline = true}},
        {"1;4", {.ink = 9, .paper = 12, .underline = true, .bold = true}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        check(cases[i].parameters, cases[i].want);
    }
}

/* xterm's sixteen. */
static const uint8_t palette[SCREEN_COLOURS][3] = {
    {0, 0, 0},     {205, 0, 0},     {0, 205, 0},     {205, 205, 0},   {0, 0, 238}, {205, 0, 205},
    {0, 205, 205}, {229, 229, 229}, {127, 127, 127}, {255, 0, 0},     {0, 255, 0}, {255, 255, 0},
    {92, 92, 255}, {255, 0, 255},   {0, 255, 255},   {255, 255, 255},
};

/* The first of those that are nearest. */
static unsigned nearest(const int *rgb) {
    unsigned best = 0;
    long least = 1000000;
    for (unsigned i = 0; i < SCREEN_COLOURS; i++) {
        long sum = 0;
        for (unsigned part = 0; part < 3; part++) {
            long d = rgb[part] - palette[i][part];
            sum += d * d;
        }
        if (sum < least) {
            least = sum;
            best = i;
        }
    }
    return best;
}

static struct seq rgb_sequence(bool ink, const int *rgb) {
    return (struct seq){
        .count = 5,
        .parameters = {ink ? 38 : 48, 2, (uint16_t)rgb[0], (uint16_t)rgb[1], (uint16_t)rgb[2]}};
}

/* Of the whole cube, close enough that no border between two colours may lie elsewhere. */
TEST(every_colour_is_the_nearest) {
    int rgb[3];
    for (rgb[0] = 0; rgb[0] < 256; rgb[0] += 3) {
        for (rgb[1] = 0; rgb[1] < 256; rgb[1] += 5) {
            for (rgb[2] = rgb[1] % 3; rgb[2] < 256; rgb[2] += 3) {
                struct seq s = rgb_sequence(rgb[2] % 2 == 0, rgb);
                pen = odd;
                pen_select(&pen, &s);
                if ((rgb[2] % 2 == 0 ? pen.ink : pen.paper) != nearest(rgb)) {
                    test_failures++;
                    printf("# %d, %d, %d: expected %u\n", rgb[0], rgb[1], rgb[2], nearest(rgb));
                    return;
                }
            }
        }
    }
}

TEST(every_index) {
    static const int levels[] = {0, 95, 135, 175, 215, 255};
    for (unsigned index = 0; index < 256; index++) {
        unsigned cube = index - 16;
        int grey = (int)(8 + 10 * (index - 232));
        int of_cube[3] = {levels[cube / 36 % 6], levels[cube / 6 % 6], levels[cube % 6]};
        int of_ramp[3] = {grey, grey, grey};
        unsigned want = index < 16 ? index : nearest(index < 232 ? of_cube : of_ramp);
        struct seq s = {.count = 3, .parameters = {38, 5, (uint16_t)index}};
        pen = odd;
        pen_select(&pen, &s);
        CHECK_U64(pen.ink, want);
        CHECK_U64(pen.paper, odd.paper);
    }
}

static void check_cell(struct pen p, unsigned ink, unsigned paper) {
    struct screen_cell cell = pen_cell(&p);
    CHECK_U64(cell.pair, SCREEN_PAIR(ink, paper));
    CHECK_U64(cell.underline, p.underline);
    CHECK_U64(cell.character, ' ');
    struct screen_cell blank = pen_blank(&p);
    CHECK_U64(blank.pair, SCREEN_PAIR(SCREEN_GREY, p.paper));
    CHECK(!blank.underline && blank.character == ' ');
}

TEST(cells) {
    check_cell((struct pen){.ink = 1, .paper = 4}, 1, 4);
    check_cell((struct pen){.ink = 1, .paper = 4, .underline = true}, 1, 4);
    check_cell((struct pen){.ink = 1, .paper = 4, .bold = true}, 9, 4);
    check_cell((struct pen){.ink = 7, .paper = 4, .bold = true}, 15, 4);
    check_cell((struct pen){.ink = 8, .paper = 4, .bold = true}, 8, 4);
    check_cell((struct pen){.ink = 15, .paper = 4, .bold = true}, 15, 4);
    check_cell((struct pen){.ink = 1, .paper = 4, .inverse = true}, 4, 1);
    check_cell((struct pen){.ink = 1, .paper = 4, .inverse = true, .bold = true}, 4, 9);
    check_cell((struct pen){.ink = 1, .paper = 4, .hidden = true}, 4, 4);
    check_cell((struct pen){.ink = 1, .paper = 4, .hidden = true, .inverse = true}, 1, 1);
}

TEST_MAIN(T(every_number), T(how_much_belongs_to_a_colour), T(every_colour_is_the_nearest),
          T(every_index), T(cells))
