/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and converts UTF-8; see utf8.h. Must not read past the text, whatever it holds. */
#include "config/utf8.h"

#include "hv/lib/str.h"

#define CONTINUATION      0x80u /* 10xxxxxx: six bits more */
#define CONTINUATION_MASK 0xc0u
#define CONTINUATION_BITS 6u
#define CODE_MAX          0x10ffffu
#define SURROGATES        0xd800u /* to DFFFh: halves of UTF-16 pairs, no characters */
#define SURROGATES_LOW    0xdc00u
#define SURROGATES_END    0xe000u
#define PLANE_SIZE        0x10000u
#define PAIR_BITS         10u /* of a code in each half */

/* By the first byte: how long the character is, and the least that needs this length. */
static const struct {
    uint8_t mask, lead, length;
    uint32_t least;
} forms[] = {
    {.mask = 0x80, .lead = 0x00, .length = 1, .least = 0},
    {.mask = 0xe0, .lead = 0xc0, .length = 2, .least = 0x80},
    {.mask = 0xf0, .lead = 0xe0, .length = 3, .least = 0x800},
    {.mask = 0xf8, .lead = 0xf0, .length = 4, .least = PLANE_SIZE},
};

static unsigned read_form(const char *s, size_t left, unsigned form, uint32_t *code) {
    uint32_t value = (uint8_t)*s & (uint8_t)~forms[form].mask;

    if (left < forms[form].length) {
        return 0;
    }
    for (unsigned i = 1; i < forms[form].length; i++) {
        uint8_t byte = (uint8_t)s[i];
        if ((byte & CONTINUATION_MASK) != CONTINUATION) {
            return 0;
        }
        value = value << CONTINUATION_BITS | (byte & (uint8_t)~CONTINUATION_MASK);
    }

    bool surrogate = value >= SURROGATES && value < SURROGATES_END;
    if (value < forms[form].least || value > CODE_MAX || surrogate) {
        return 0;
    }
    *code = value;
    return forms[form].length;
}

unsigned utf8_decode(const char *s, const char *end, uint32_t *code) {
    for (unsigned i = 0; s < end && i < ARRAY_SIZE(forms); i++) {
        if (((uint8_t)*s & forms[i].mask) == forms[i].lead) {
            return read_form(s, (size_t)(end - s), i, code);
        }
    }
    return 0;
}

bool utf8_to_utf16(const char *s, uint16_t *out, size_t size) {
    const char *end = s + strlen(s);
    size_t n = 0;

    while (s < end) {
        uint32_t code = 0;
        unsigned length = utf8_decode(s, end, &code);
        size_t words = code < PLANE_SIZE ? 1 : 2;
        if (length == 0 || size - n <= words) { /* a word stays for the 0 */
            return false;
        }
        if (words == 2) {
            uint32_t rest = code - PLANE_SIZE;
            out[n++] = (uint16_t)(SURROGATES | rest >> PAIR_BITS);
            code = SURROGATES_LOW | (rest & (BIT32(PAIR_BITS) - 1));
        }
        out[n++] = (uint16_t)code;
        s += length;
    }
    out[n] = 0;
    return true;
}

static char upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

bool utf8_names_equal(const char *a, const char *b) {
    while (*a != '\0' && upper(*a) == upper(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}
