/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. Used by the config
 * reader and by the log, both on untrusted bytes.
 */
#ifndef HV_LIB_UTF8_H
#define HV_LIB_UTF8_H

#include "hv/lib/types.h"

/* Bytes of the character at s (n bytes are there), its code in *code; 0 if it is not valid UTF-8.
 */
unsigned utf8_decode(const char *s, size_t n, uint32_t *code);

/* Writes code to out (4 bytes of room); returns the bytes used, 0 if there is no such character. */
unsigned utf8_encode(uint32_t code, char out[4]);

#endif
