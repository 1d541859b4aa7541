/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole file of the tree, for tests that compare with one. */
#ifndef TESTS_UNIT_READ_FILE_H
#define TESTS_UNIT_READ_FILE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/test.h"

/* Ends with a NUL that is not counted; the caller frees it. */
static inline char *read_file(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    CHECK(file != NULL);
    for (int c; file != NULL && (c = fgetc(file)) != EOF;) {
        fputc(c, out);
    }
    fclose(out);
    if (file != NULL) {
        fclose(file);
    }
    *size = length;
    return text;
}

#endif
