/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text as people write it: how near two words are, and UTF-8. Pure. */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Edit distance (insert, delete, replace, swap of neighbours), for "did you mean"; at most MAX,
 * which is that or more. */
#define TEXT_DISTANCE_MAX 6
unsigned text_distance(const char *a, const char *b);
/*
 * Bytes of the UTF-8 character at s (n bytes are there, untrusted), its code in *code; 0 if there
 * is none: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
unsigned text_decode_utf8(const char *s, size_t n, uint32_t *code);

#endif
