/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pixels of a cell: each letter's own, in its colours, on small screens and on large ones, and
 * none beside it.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/plan/boot_info.h"
#include "test.h"

#define GLYPH_WIDTH  8u
#define GLYPH_HEIGHT 16u
#define UNDERLINED   14u /* of a glyph's rows */
#define UNTOUCHED    0x12345678u
#define ODD          3u /* a line is by so many pixels longer than the screen is wide */

#define OUTSIDE 1000u /* a column that no screen has */

#define BLUE   4u
#define YELLOW 11u

/* Two letters with other dots in each row. Glyph 0 is A, glyph 1 is B, the others are nobody's. */
const uint8_t font_glyphs[256][GLYPH_HEIGHT] = {
    {0x80, 0x01, 0xaa, 0x55, 0x00, 0xff, 0x0f, 0xf0, 0x42, 0x18, 0x81, 0x7e, 0x24, 0x00, 0x99,
     0xc3},
    {0x01, 0xfe, 0x10, 0x20, 0x40, 0x80, 0x08, 0x04, 0x02, 0x01, 0xe7, 0x3c, 0x66, 0xbd, 0x5a,
     0xff},
};
extern const uint16_t font_codes[], font_codes_end[];
__asm__(".pushsection .rodata\n"
        ".balign 2\n"
        ".globl font_codes, font_codes_end\n"
        "font_codes: .short 'A', 0xffff, 'B', 0xffff\n"
        "font_codes_end:\n"
        ".popsection\n");

static struct boot_framebuffer make_screen(uint32_t width, uint32_t height, bool red_first) {
    struct boot_framebuffer fb = {
        .width = width, .height = height, .stride = width + ODD, .red_first = red_first};
    fb.size = (uint64_t)fb.stride * height * sizeof(uint32_t);
    uint32_t *pixels = aligned_alloc(PAGE_SIZE, ALIGN_UP(fb.size, PAGE_SIZE));
    for (uint64_t i = 0; i < fb.size / sizeof(uint32_t); i++) {
        pixels[i] = UNTOUCHED;
    }
    fb.base = phys_address(pixels);
    return fb;
}

/* How that pixel is to look once the cell, and no other, is drawn at that place. */
static uint32_t expected(unsigned x, unsigned y, unsigned scale, unsigned column, unsigned row,
                         const uint8_t *glyph, bool underline, uint32_t ink, uint32_t paper) {
    unsigned left = column * GLYPH_WIDTH * scale, top = row * GLYPH_HEIGHT * scale;
    if (x < left || y < top || x >= left + GLYPH_WIDTH * scale || y >= top + GLYPH_HEIGHT * scale) {
        return UNTOUCHED;
    }
    unsigned dot_x = (x - left) / scale, dot_y = (y - top) / scale;
    bool lit = (glyph[dot_y] & 0x80 >> dot_x) != 0 || (underline && dot_y == UNDERLINED);
    return lit ? ink : paper;
}

static uint64_t wrong_pixels(const struct boot_framebuffer *fb, unsigned scale, unsigned column,
                             unsigned row, unsigned glyph, bool underline, uint32_t ink,
                             uint32_t paper) {
    const uint32_t *pixels = phys_pointer(fb->base);
    uint64_t wrong = 0;
    for (unsigned y = 0; y < fb->height; y++) {
        for (unsigned x = 0; x < fb->stride; x++) {
            wrong += pixels[(uint64_t)y * fb->stride + x] !=
                     expected(x, y, scale, column, row, font_glyphs[glyph], underline, ink, paper);
        }
    }
    return wrong;
}

static void forget(const struct boot_framebuffer *fb) {
    uint32_t *pixels = phys_pointer(fb->base);
    for (uint64_t i = 0; i < (uint64_t)fb->height * fb->stride; i++) {
        pixels[i] = UNTOUCHED;
    }
}

/* Two at once: what they show is the same, in their own size and order of colours. */
TEST(a_cell_is_drawn_and_nothing_else) {
    struct boot_framebuffer fbs[] = {make_screen(3840, 2160, false), make_screen(1366, 1080, true)};
    const struct screen_cell a = {.character = 'A', .pair = SCREEN_PAIR(YELLOW, BLUE)};
    const struct screen_cell b = {
        .character = 'B', .pair = SCREEN_PAIR(BLUE, YELLOW), .underline = true};
    uint32_t yellow = 0xfff050, blue = 0x3050d8, yellow_red = 0x50f0ff, blue_red = 0xd85030;

    screen_init(fbs, ARRAY_SIZE(fbs));
    CHECK_U64(plat_screen_columns, 1366 / GLYPH_WIDTH);
    CHECK_U64(plat_screen_rows, 1080 / GLYPH_HEIGHT);

    plat_screen_draw(0, 0, a);
    CHECK_U64(wrong_pixels(&fbs[0], 2, 0, 0, 0, false, yellow, blue), 0);
    CHECK_U64(wrong_pixels(&fbs[1], 1, 0, 0, 0, false, yellow_red, blue_red), 0);

    forget(&fbs[0]);
    forget(&fbs[1]);
    plat_screen_draw(plat_screen_columns - 1, plat_screen_rows - 1, b);
    CHECK_U64(wrong_pixels(&fbs[0], 2, 169, 66, 1, true, blue, yellow), 0);
    CHECK_U64(wrong_pixels(&fbs[1], 1, 169, 66, 1, true, blue_red, yellow_red), 0);

    forget(&fbs[0]);
    plat_screen_draw(plat_screen_columns, 0, a);
    plat_screen_draw(0, plat_screen_rows, a);
    CHECK_U64(wrong_pixels(&fbs[0], 2, OUTSIDE, 0, 0, false, 0, 0), 0); /* none */
    free(phys_pointer(fbs[0].base));
    free(phys_pointer(fbs[1].base));
}

TEST_MAIN(T(a_cell_is_drawn_and_nothing_else))
