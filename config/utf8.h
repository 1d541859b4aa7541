/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8, as the config file and the names in it are written. Source: RFC 3629, "UTF-8 definition"
 * and "Syntax of UTF-8 Byte Sequences". Pure. Called by config/, boot/ and tools/bhcheck.
 */
#pragma once

#include "hv/lib/types.h"

/*
 * The character at s, which ends before end at the latest: its bytes, and its number in *code. 0 if
 * none is there: cut off, written longer than need be, half of a surrogate pair, above 10FFFFh.
 */
unsigned utf8_decode(const char *s, const char *end, uint32_t *code);

/* Writes s as UTF-16 with a 0 at the end; false if it is not UTF-8, or out (size words) too small.
 */
MUST_USE bool utf8_to_utf16(const char *s, uint16_t *out, size_t size);

/* True if both names are the same to every FAT driver: A to Z may be in either case. */
bool utf8_names_equal(const char *a, const char *b);
