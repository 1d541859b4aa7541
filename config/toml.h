/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader for a subset of TOML 1.0 (https://toml.io/en/v1.0.0): comments, bare and quoted keys,
 * [dotted.table] headers, one-line basic and literal strings, arrays of such strings. Values
 * without quotes are handed on as they stand; everything else that TOML has is refused by name.
 * Knows nothing of our keys and does not look for duplicates: parse.c does. Called by parse.c and
 * the tests.
 */
#pragma once

#include "config/fault.h"
#include "hv/lib/types.h"

#define TOML_NAME_SIZE  64
#define TOML_DEPTH_MAX  3
#define TOML_VALUE_SIZE 2048
#define TOML_TEXTS_MAX  16

enum toml_kind { TOML_END, TOML_TABLE, TOML_PAIR };

struct toml_name {
    char text[TOML_NAME_SIZE]; /* cut if it is longer */
    uint32_t column;
};

/* One text of an array: where it stands in the file, and in the item's value, with a NUL behind. */
struct toml_text {
    uint32_t line, column;
    size_t start, length;
};

/* One table header or one key with its value. */
struct toml_item {
    enum toml_kind kind;
    bool broken;           /* something in it was refused and reported: a pair has no value then */
    bool quoted;           /* the value is a string */
    bool array;            /* it is an array of strings: texts */
    uint32_t line, column; /* of the header or of the key, from 1, in characters */
    uint32_t depth;        /* names in the header, may exceed TOML_DEPTH_MAX; 1 for a pair */
    struct toml_name names[TOML_DEPTH_MAX + 1]; /* the last one takes what is deeper */
    uint32_t value_column;
    size_t length; /* of the value in bytes, may exceed what is stored */
    char value[TOML_VALUE_SIZE];
    uint32_t text_count;
    struct toml_text texts[TOML_TEXTS_MAX];
};

struct toml {
    const char *start, *at, *end; /* this line, the next byte in it, its end */
    const char *next, *limit;     /* the next line, the end of the text */
    uint32_t line;
    bool complained; /* about this item: one fault is reported for each */
    bool not_utf8;   /* and about the encoding: one for the whole file */
    struct fault_list *faults;
};

/* text (length bytes) is the file's content, untrusted; it must stay until the last toml_next(). */
void toml_init(struct toml *t, const char *text, size_t length, struct fault_list *faults);

/* The next item; lines that cannot be read are reported and passed over. */
enum toml_kind toml_next(struct toml *t, struct toml_item *item);
