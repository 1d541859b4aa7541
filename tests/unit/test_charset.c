/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which characters take no cell or two, up to both ends of each block, and DEC's line drawing. */
#include "hv/monitor/charset.h"
#include "tests/unit/test.h"

/* All others take one. Of Unicode's blocks: what joins, and what is wide. */
static const struct {
    uint32_t first, last;
    int width;
} blocks[] = {
    {0x300, 0x36f, 0},     /* combining diacritical marks */
    {0x483, 0x489, 0},     /* Cyrillic */
    {0x591, 0x5bd, 0},     /* Hebrew */
    {0x64b, 0x65f, 0},     /* Arabic */
    {0x1100, 0x115f, 2},   /* Hangul Jamo, leading */
    {0x1ab0, 0x1aff, 0},   /* combining, extended */
    {0x1dc0, 0x1dff, 0},   /* combining, supplement */
    {0x200b, 0x200f, 0},   /* zero width space, joiners, marks of direction */
    {0x202a, 0x202e, 0},   /* embeddings */
    {0x2060, 0x2064, 0},   /* word joiner, invisible operators */
    {0x20d0, 0x20f0, 0},   /* combining, for symbols */
    {0x231a, 0x231b, 2},   /* watch, hourglass */
    {0x23e9, 0x23ec, 2},   /* double triangles */
    {0x2e80, 0x303e, 2},   /* CJK radicals to punctuation */
    {0x3041, 0x4dbf, 2},   /* kana to CJK extension A */
    {0x4e00, 0xa4cf, 2},   /* CJK ideographs, Yi */
    {0xa960, 0xa97c, 2},   /* Hangul Jamo, extended */
    {0xac00, 0xd7a3, 2},   /* Hangul */
    {0xf900, 0xfaff, 2},   /* CJK compatibility ideographs */
    {0xfe00, 0xfe0f, 0},   /* variation selectors */
    {0xfe20, 0xfe2f, 0},   /* combining half marks */
    {0xfe30, 0xfe6b, 2},   /* CJK compatibility forms */
    {0xfeff, 0xfeff, 0},   /* byte order mark */
    {0xff01, 0xff60, 2},   /* full width */
    {0xffe0, 0xffe6, 2},   /* full width signs */
    {0x1f300, 0x1f64f, 2}, /* pictures, faces */
    {0x1f680, 0x1f6c5, 2}, /* transport */
    {0x1f900, 0x1f9ff, 2}, /* more pictures */
    {0x20000, 0x3fffd, 2}, /* CJK extensions */
    {0xe0100, 0xe01ef, 0}, /* more variation selectors */
};

TEST(width_of_every_character) {
    size_t block = 0;
    for (uint32_t code = 0x20; code <= 0x10ffff; code++) {
        if (block < ARRAY_SIZE(blocks) && code > blocks[block].last) {
            block++;
        }
        bool inside = block < ARRAY_SIZE(blocks) && code >= blocks[block].first;
        int want = inside ? blocks[block].width : 1;
        if (charset_width(code) != want) {
            CHECK_U64(charset_width(code), want);
            printf("# that was U+%04X\n", code);
        }
    }
}

/* From ` to ~, as Unicode has them. */
TEST(line_drawing) {
    static const uint32_t want[] = {U'◆', U'▒', U'␉', U'␌', U'␍', U'␊', U'°', U'±',
                                    U'␤', U'␋', U'┘', U'┐', U'┌', U'└', U'┼', U'⎺',
                                    U'⎻', U'─', U'⎼', U'⎽', U'├', U'┤', U'┴', U'┬',
                                    U'│', U'≤', U'≥', U'π', U'≠', U'£', U'·'};
    for (uint32_t i = 0; i < ARRAY_SIZE(want); i++) {
        CHECK_U64(charset_line_drawing('`' + i), want[i]);
    }
    CHECK_U64(charset_line_drawing('_'), '_');
    CHECK_U64(charset_line_drawing(0x7f), 0x7f);
    CHECK_U64(charset_line_drawing('A'), 'A');
    CHECK_U64(charset_line_drawing(0xe9), 0xe9);
}

TEST_MAIN(T(width_of_every_character), T(line_drawing))
