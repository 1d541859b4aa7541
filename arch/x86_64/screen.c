/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text cells on the firmware's framebuffers, in a font that was built in. Writes only (reading a
 * framebuffer is very slow) and keeps no state after screen_init(), so that panic may draw at any
 * moment. They are mapped write-combining: a row of pixels leaves in a few bursts. Called
 * by the console layer and by panic.c. Source: the PSF 1 format of Linux's console fonts.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/plan/screens.h"

#define GLYPH_WIDTH  8u
#define GLYPH_HEIGHT 16u
#define DOUBLE_FROM  1440u /* lines from which a dot is two by two pixels */

#define UNDERLINE_ROW 14u /* of a glyph's rows */

#define CODE_UNKNOWN 0xfffdu

/* blob.S. For each glyph the code points that look so, up to CODES_END. */
extern const uint8_t font_glyphs[256][GLYPH_HEIGHT];
extern const uint16_t font_codes[], font_codes_end[];
#define CODES_END  0xffffu
#define CODES_MOST 1024u

/* All of them show the same cells, as many as the smallest has room for. */
static SEALED struct screen {
    volatile uint32_t *pixels;
    uint32_t stride, height, red_shift;
    uint32_t scale; /* 1 or 2 */
} screens[BOOT_MAX_SCREENS];
static SEALED unsigned screen_count;
unsigned plat_screen_columns, plat_screen_rows;

/* Sorted by code. */
static SEALED struct screen_code {
    uint16_t code;
    uint8_t glyph;
} codes[CODES_MOST];
static SEALED unsigned code_count;

/* Of two glyphs for a code the first in the font is right. */
static void screen_add_code(uint16_t code, uint8_t glyph) {
    unsigned at = code_count;
    while (at != 0 && codes[at - 1].code > code) {
        codes[at] = codes[at - 1];
        at--;
    }
    codes[at] = (struct screen_code){code, glyph};
    code_count++;
}

static void screen_read_codes(void) {
    uint8_t glyph = 0;
    for (const uint16_t *c = font_codes; c < font_codes_end && code_count < CODES_MOST; c++) {
        if (*c == CODES_END) {
            glyph++;
        } else {
            screen_add_code(*c, glyph);
        }
    }
}

static bool screen_find_code(uint16_t code, uint8_t *glyph) {
    unsigned low = 0;
    unsigned high = code_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (codes[middle].code < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == code_count || codes[low].code != code) {
        return false;
    }
    *glyph = codes[low].glyph;
    return true;
}

/* What the font does not have and programs draw with, and what comes near it. */
static const uint16_t lookalikes[][2] = {
    {0x221a, 'v'},    {0x23ba, 0x2500}, {0x23bb, 0x2500}, {0x23bc, 0x2500}, {0x23bd, 0x2500},
    {0x2580, 0x2588}, {0x2584, 0x25a0}, {0x258c, 0x2588}, {0x2590, 0x2588}, {0x2593, 0x2592},
    {0x25c6, 0x2666}, {0x2713, 'v'},    {0x2714, 'v'},    {0x2715, 'x'},    {0x2717, 'x'},
    {0x276e, '<'},    {0x276f, '>'},    {0x2b24, 0x25cf},
};

static uint8_t screen_glyph(uint16_t code) {
    uint8_t glyph = '?';
    if (screen_find_code(code, &glyph)) {
        return glyph;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(lookalikes); i++) {
        if (lookalikes[i][0] == code && screen_find_code(lookalikes[i][1], &glyph)) {
            return glyph;
        }
    }
    (void)screen_find_code(CODE_UNKNOWN, &glyph);
    return glyph;
}

static void screen_add(const struct boot_framebuffer *fb) {
    struct screen *s = &screens[screen_count];
    s->pixels = phys_pointer(fb->base);
    s->stride = fb->stride;
    s->height = fb->height;
    s->red_shift = fb->red_first ? 0 : 16;
    s->scale = fb->height >= DOUBLE_FROM ? 2 : 1;

    unsigned columns = fb->width / (GLYPH_WIDTH * s->scale);
    unsigned rows = fb->height / (GLYPH_HEIGHT * s->scale);
    bool first = screen_count == 0;
    plat_screen_columns = first ? columns : (unsigned)min_u64(plat_screen_columns, columns);
    plat_screen_rows = first ? rows : (unsigned)min_u64(plat_screen_rows, rows);
    screen_count++;
}

void screen_init(const struct boot_framebuffer *fbs, unsigned count) {
    for (unsigned i = 0; i < count && screen_count < BOOT_MAX_SCREENS; i++) {
        if (screens_usable(&fbs[i])) {
            screen_add(&fbs[i]);
        }
    }
    if (screen_count != 0) {
        screen_read_codes();
    }
}

void screen_clear(void) {
    for (const struct screen *s = screens; s < screens + screen_count; s++) {
        for (uint64_t i = 0; i < (uint64_t)s->height * s->stride; i++) {
            s->pixels[i] = 0; /* black */
        }
    }
}

/* The colours that terminals agree on, a little softer; red, green, blue. */
static const uint8_t palette[SCREEN_COLOURS][3] = {
    {0x00, 0x00, 0x00}, {0xc0, 0x28, 0x28}, {0x28, 0xb0, 0x28}, {0xb8, 0x90, 0x20},
    {0x30, 0x50, 0xd8}, {0xb0, 0x30, 0xb0}, {0x20, 0xa8, 0xa8}, {0xc8, 0xc8, 0xc8},
    {0x70, 0x70, 0x70}, {0xff, 0x58, 0x58}, {0x58, 0xff, 0x58}, {0xff, 0xf0, 0x50},
    {0x68, 0x88, 0xff}, {0xff, 0x60, 0xff}, {0x58, 0xff, 0xff}, {0xff, 0xff, 0xff},
};

static uint32_t screen_pixel(const struct screen *s, unsigned colour) {
    const uint8_t *c = palette[colour % SCREEN_COLOURS];
    return (uint32_t)c[0] << s->red_shift | (uint32_t)c[1] << 8 |
           (uint32_t)c[2] << (16 - s->red_shift);
}

/*
 * Two pixels, which leave in one access. Their address is a multiple of one pixel's size only,
 * where the length of a line is an odd number.
 */
typedef uint64_t __attribute__((aligned(sizeof(uint32_t)))) screen_pair;
enum { PAIR_PAPER = 0, PAIR_INK = 3, PAIR_COUNT = 4 }; /* by two dots, the left one is bit 1 */

static void screen_make_pairs(uint64_t pairs[PAIR_COUNT], uint64_t paper, uint64_t ink) {
    pairs[PAIR_PAPER] = paper << 32 | paper;
    pairs[1] = ink << 32 | paper;
    pairs[2] = paper << 32 | ink;
    pairs[PAIR_INK] = ink << 32 | ink;
}

/* A glyph's row as one line of pixels, a dot a pixel. */
static void screen_draw_small(volatile uint32_t *line, unsigned dots, const uint64_t *pairs) {
    volatile screen_pair *to = (volatile screen_pair *)line;

    for (unsigned i = 0; i < GLYPH_WIDTH / 2; i++) {
        to[i] = pairs[dots >> (GLYPH_WIDTH - 2 - 2 * i) & 3];
    }
}

/* The same as two lines: a dot is a pair in both. */
static void screen_draw_large(volatile uint32_t *line, uint32_t stride, unsigned dots,
                              const uint64_t *pairs) {
    volatile screen_pair *upper = (volatile screen_pair *)line;
    volatile screen_pair *lower = (volatile screen_pair *)(line + stride);

    for (unsigned i = 0; i < GLYPH_WIDTH; i++) {
        bool lit = (dots >> (GLYPH_WIDTH - 1 - i) & 1) != 0;
        uint64_t pair = pairs[lit ? PAIR_INK : PAIR_PAPER];
        upper[i] = pair;
        lower[i] = pair;
    }
}

static void screen_draw_on(const struct screen *s, unsigned column, unsigned row,
                           struct screen_cell cell) {
    const uint8_t *glyph = font_glyphs[screen_glyph(cell.character)];
    volatile uint32_t *line = s->pixels + (uint64_t)row * GLYPH_HEIGHT * s->scale * s->stride +
                              (uint64_t)column * GLYPH_WIDTH * s->scale;
    uint64_t pairs[PAIR_COUNT];

    screen_make_pairs(pairs, screen_pixel(s, SCREEN_PAPER(cell.pair)),
                      screen_pixel(s, SCREEN_INK(cell.pair)));
    for (unsigned y = 0; y < GLYPH_HEIGHT; y++) {
        bool underlined = cell.underline && y == UNDERLINE_ROW;
        unsigned dots = underlined ? UINT8_MAX : glyph[y];

        if (s->scale == 1) {
            screen_draw_small(line, dots, pairs);
        } else {
            screen_draw_large(line, s->stride, dots, pairs);
        }
        line += (uint64_t)s->scale * s->stride;
    }
}

void plat_screen_draw(unsigned column, unsigned row, struct screen_cell cell) {
    if (column >= plat_screen_columns || row >= plat_screen_rows) {
        return;
    }
    for (const struct screen *s = screens; s < screens + screen_count; s++) {
        screen_draw_on(s, column, row, cell);
    }
}
