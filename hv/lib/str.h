/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The C library functions that freestanding code may use, and a few of our own.
 * On hardware arch/x86_64/string.S and hv/lib/str.c provide them; the host tests use libc's mem*.
 */
#pragma once

#include "hv/lib/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

/* True if both strings are the same. */
bool str_equal(const char *a, const char *b);
/* True if wrong may be a misspelling of right: at one place up to two letters are left out, put in,
 * changed or swapped. */
bool str_is_near(const char *wrong, const char *right);
/* Copies s (n bytes) into dst as a string, cut at size - 1 (size is not 0); returns false if it was
 * cut. */
bool str_copy_n(char *dst, size_t size, const char *s, size_t n);
