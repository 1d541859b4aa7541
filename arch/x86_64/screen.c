/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text cells on the firmware's framebuffer, in a font that was built in. Writes only (reading a
 * framebuffer is very slow) and keeps no state after screen_init(), so that panic may draw at any
 * moment. Called by the console layer and by panic.c.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"

#define GLYPH_WIDTH  8u
#define GLYPH_HEIGHT 16u
#define DOUBLE_FROM  1440u /* lines from which a cell is drawn twice as large */
#define MIN_WIDTH    640u
#define MIN_HEIGHT   480u

#define PIXEL_LIT  0x00c8c8c8u /* grey: the same in both pixel formats */
#define PIXEL_DARK 0x00000000u

extern const uint8_t font_glyphs[256][GLYPH_HEIGHT]; /* blob.S */

static volatile uint32_t *pixels;
static uint32_t stride, height, scale;
unsigned plat_screen_columns, plat_screen_rows;

void screen_init(const struct boot_framebuffer *fb) {
    if (fb->base.v == 0 || fb->width < MIN_WIDTH || fb->height < MIN_HEIGHT ||
        fb->stride < fb->width || fb->base.v % sizeof(uint32_t) != 0 ||
        fb->height > fb->size / sizeof(uint32_t) / fb->stride) {
        return;
    }
    pixels = phys_pointer(fb->base);
    stride = fb->stride;
    height = fb->height;
    scale = fb->height >= DOUBLE_FROM ? 2 : 1;
    plat_screen_columns = fb->width / (GLYPH_WIDTH * scale);
    plat_screen_rows = fb->height / (GLYPH_HEIGHT * scale);
}

void screen_clear(void) {
    for (uint64_t i = 0; i < (uint64_t)height * stride; i++) {
        pixels[i] = PIXEL_DARK;
    }
}

void plat_screen_draw(unsigned column, unsigned row, uint8_t character, bool inverse) {
    if (column >= plat_screen_columns || row >= plat_screen_rows) {
        return;
    }
    const uint8_t *glyph = font_glyphs[character];
    volatile uint32_t *line = pixels + (uint64_t)row * GLYPH_HEIGHT * scale * stride +
                              (uint64_t)column * GLYPH_WIDTH * scale;
    for (unsigned y = 0; y < GLYPH_HEIGHT * scale; y++, line += stride) {
        unsigned bits = inverse ? ~(unsigned)glyph[y / scale] : glyph[y / scale];
        for (unsigned x = 0; x < GLYPH_WIDTH * scale; x++) {
            line[x] = (bits >> (GLYPH_WIDTH - 1 - x / scale) & 1) != 0 ? PIXEL_LIT : PIXEL_DARK;
        }
    }
}
