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
#define DOUBLE_FROM  1440u /* lines from which a cell is drawn twice as large */

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
    uint32_t stride, height, scale, red_shift;
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

static void screen_draw_on(const struct screen *s, unsigned column, unsigned row,
                           struct screen_cell cell) {
    const uint8_t *glyph = font_glyphs[screen_glyph(cell.character)];
    uint32_t ink = screen_pixel(s, SCREEN_INK(cell.pair));
    uint32_t paper = screen_pixel(s, SCREEN_PAPER(cell.pair));
    volatile uint32_t *line = s->pixels + (uint64_t)row * GLYPH_HEIGHT * s->scale * s->stride +
                              (uint64_t)column * GLYPH_WIDTH * s->scale;
    for (unsigned y = 0; y < GLYPH_HEIGHT * s->scale; y++) {
        bool underlined = cell.underline && y / s->scale == UNDERLINE_ROW;
        unsigned bits = underlined ? UINT32_MAX : glyph[y / s->scale];
        for (unsigned x = 0; x < GLYPH_WIDTH * s->scale; x++) {
            line[x] = (bits >> (GLYPH_WIDTH - 1 - x / s->scale) & 1) != 0 ? ink : paper;
        }
        line += s->stride;
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
