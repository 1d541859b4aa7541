// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UTF-8 encoding and strict decoding. Must not read past n. Called by the config reader and the log
 * on bytes that a guest or a file controls. Source: RFC 3629, "UTF-8 definition".
 */
#include "hv/lib/utf8.h"

static bool is_character(uint32_t code) {
    return code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);
}

unsigned utf8_decode(const char *s, size_t n, uint32_t *code) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: no overlong form */
    if (n == 0) {
        return 0;
    }
    uint8_t first = (uint8_t)s[0];
    unsigned length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : 4;
    if (length == 1) {
        *code = first;
        return 1;
    }
    if (length > n || (length == 4 && first >> 3 != 30)) {
        return 0;
    }
    uint32_t value = first & (0x7fu >> length);
    for (unsigned i = 1; i < length; i++) {
        uint8_t next = (uint8_t)s[i];
        if (next >> 6 != 2) {
            return 0;
        }
        value = value << 6 | (next & 0x3f);
    }
    if (value < lowest[length] || !is_character(value)) {
        return 0;
    }
    *code = value;
    return length;
}

unsigned utf8_encode(uint32_t code, char out[4]) {
    if (!is_character(code)) {
        return 0;
    }
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    unsigned length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (unsigned i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00u >> length & 0xff) | code);
    return length;
}
