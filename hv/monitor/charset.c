/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of characters. Sources: DEC VT220 Programmer Reference, "DEC Special Graphics"; Unicode
 * Standard Annex 11, "East Asian Width", blocks rather than single characters.
 */
#include "hv/monitor/charset.h"

#define LINE_DRAWING_FIRST 0x60u
#define LINE_DRAWING_LAST  0x7eu

struct code_range {
    uint32_t first, last;
};

static const struct code_range joining[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f},   {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},   {0x20d0, 0x20f0},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
};

static const struct code_range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x2e80, 0x303e},
    {0x3041, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97c},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6b},   {0xff01, 0xff60},   {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6c5}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool code_in(const struct code_range *ranges, size_t count, uint32_t code) {
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

int charset_width(uint32_t code) {
    if (code < joining[0].first) {
        return 1;
    }
    if (code_in(joining, ARRAY_SIZE(joining), code)) {
        return 0;
    }
    return code_in(wide, ARRAY_SIZE(wide), code) ? 2 : 1;
}

uint32_t charset_line_drawing(uint32_t code) {
    static const uint16_t drawing[] = {
        /* ` a b c */ 0x25c6, 0x2592, 0x2409, 0x240c,
        /* d e f g */ 0x240d, 0x240a, 0x00b0, 0x00b1,
        /* h i j k */ 0x2424, 0x240b, 0x2518, 0x2510,
        /* l m n o */ 0x250c, 0x2514, 0x253c, 0x23ba,
        /* p q r s */ 0x23bb, 0x2500, 0x23bc, 0x23bd,
        /* t u v w */ 0x251c, 0x2524, 0x2534, 0x252c,
        /* x y z { */ 0x2502, 0x2264, 0x2265, 0x03c0,
        /* | } ~   */ 0x2260, 0x00a3, 0x00b7,
    };
    _Static_assert(ARRAY_SIZE(drawing) == LINE_DRAWING_LAST - LINE_DRAWING_FIRST + 1, "complete");
    if (code < LINE_DRAWING_FIRST || code > LINE_DRAWING_LAST) {
        return code;
    }
    return drawing[code - LINE_DRAWING_FIRST];
}
