/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "Select Graphic Rendition", CSI m. Bold text in one of the eight dark colours is bright, as on
 * the Linux console; colours beyond the sixteen become the nearest of them. Sources: ECMA-48 "SGR";
 * xterm "Control Sequences", "Character Attributes".
 */
#include "hv/monitor/pen.h"

#define CUBE_FIRST 16u /* of the 256 colours: a cube of 6 x 6 x 6, then a ramp of greys */
#define CUBE_SIDE  6u
#define RAMP_FIRST 232u

#define EXTENDED_INDEX 5u
#define EXTENDED_RGB   2u

const struct pen pen_plain = {.ink = SCREEN_GREY, .paper = SCREEN_BLACK};

static uint32_t square(unsigned a, unsigned b) {
    unsigned distance = a > b ? a - b : b - a;
    return distance * distance;
}

static uint8_t nearest(unsigned red, unsigned green, unsigned blue) {
    static const uint8_t palette[SCREEN_COLOURS][3] = {
        {0, 0, 0},       {205, 0, 0},   {0, 205, 0},   {205, 205, 0},
        {0, 0, 238},     {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
        {127, 127, 127}, {255, 0, 0},   {0, 255, 0},   {255, 255, 0},
        {92, 92, 255},   {255, 0, 255}, {0, 255, 255}, {255, 255, 255},
    };
    uint8_t best = 0;
    uint32_t least = UINT32_MAX;
    for (uint8_t i = 0; i < SCREEN_COLOURS; i++) {
        uint32_t distance =
            square(red, palette[i][0]) + square(green, palette[i][1]) + square(blue, palette[i][2]);
        if (distance < least) {
            least = distance;
            best = i;
        }
    }
    return best;
}

static unsigned cube_level(unsigned step) {
    return step == 0 ? 0 : 55 + 40 * step;
}

static uint8_t indexed(unsigned index) {
    index &= 0xff;
    if (index < CUBE_FIRST) {
        return (uint8_t)index;
    }
    if (index >= RAMP_FIRST) {
        unsigned grey = 8 + 10 * (index - RAMP_FIRST);
        return nearest(grey, grey, grey);
    }
    index -= CUBE_FIRST;
    return nearest(cube_level(index / (CUBE_SIDE * CUBE_SIDE)),
                   cube_level(index / CUBE_SIDE % CUBE_SIDE), cube_level(index % CUBE_SIDE));
}

static bool is_sub(const struct seq *s, unsigned i) {
    return i < s->count && (s->subs >> i & 1) != 0;
}

/*
 * What follows 38 or 48 at i: 5 and an index, or 2 and three parts. Written with colons there may
 * be a colour space before the parts. Returns the last parameter that belongs to it.
 */
static unsigned select_extended(const struct seq *s, unsigned i, uint8_t *colour) {
    unsigned last = i + 1;
    if (is_sub(s, last)) {
        while (is_sub(s, last + 1)) {
            last++;
        }
    } else if (last < s->count) {
        last += s->parameters[last] == EXTENDED_RGB ? 3 : 1;
    }
    if (last >= s->count) {
        return last;
    }
    const uint16_t *p = s->parameters;
    if (p[i + 1] == EXTENDED_INDEX && last == i + 2) {
        *colour = indexed(p[last]);
    } else if (p[i + 1] == EXTENDED_RGB && last >= i + 4) {
        *colour = nearest(p[last - 2] & 0xff, p[last - 1] & 0xff, p[last] & 0xff);
    }
    return last;
}

static void select_attribute(struct pen *pen, unsigned n) {
    switch (n) {
    case 0:
        *pen = pen_plain;
        break;
    case 1:
        pen->bold = true;
        break;
    case 4:
        pen->underline = true;
        break;
    case 7:
        pen->inverse = true;
        break;
    case 8:
        pen->hidden = true;
        break;
    case 22:
        pen->bold = false;
        break;
    case 24:
        pen->underline = false;
        break;
    case 27:
        pen->inverse = false;
        break;
    case 28:
        pen->hidden = false;
        break;
    default: /* italic, blinking and others are not shown */
        break;
    }
}

static void select_colour(struct pen *pen, unsigned n) {
    if (n >= 30 && n <= 37) {
        pen->ink = (uint8_t)(n - 30);
    } else if (n == 39) {
        pen->ink = pen_plain.ink;
    } else if (n >= 40 && n <= 47) {
        pen->paper = (uint8_t)(n - 40);
    } else if (n == 49) {
        pen->paper = pen_plain.paper;
    } else if (n >= 90 && n <= 97) {
        pen->ink = (uint8_t)(n - 90 + SCREEN_BRIGHT);
    } else if (n >= 100 && n <= 107) {
        pen->paper = (uint8_t)(n - 100 + SCREEN_BRIGHT);
    }
}

void pen_select(struct pen *pen, const struct seq *s) {
    for (unsigned i = 0; i < s->count; i++) {
        unsigned n = s->parameters[i];
        if (n == 38) {
            i = select_extended(s, i, &pen->ink);
        } else if (n == 48) {
            i = select_extended(s, i, &pen->paper);
        } else if (n == 4 && is_sub(s, i + 1)) { /* 4:0 is none, others are kinds of it */
            pen->underline = s->parameters[i + 1] != 0;
            i++;
        } else if (n < 30) {
            select_attribute(pen, n);
        } else {
            select_colour(pen, n);
        }
    }
}

struct screen_cell pen_blank(const struct pen *pen) {
    return (struct screen_cell){' ', SCREEN_PAIR(pen_plain.ink, pen->paper), false};
}

struct screen_cell pen_cell(const struct pen *pen) {
    uint8_t ink = pen->ink;
    uint8_t paper = pen->paper;
    if (pen->bold && ink < SCREEN_BRIGHT) {
        ink += SCREEN_BRIGHT;
    }
    if (pen->inverse) {
        uint8_t swap = ink;
        ink = paper;
        paper = swap;
    }
    if (pen->hidden) {
        ink = paper;
    }
    return (struct screen_cell){' ', SCREEN_PAIR(ink, paper), pen->underline};
}
