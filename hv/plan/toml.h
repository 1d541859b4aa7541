/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader for a subset of TOML 1.0 (https://toml.io/en/v1.0.0): comments, bare and quoted keys,
 * [dotted.table] headers, one-line basic and literal strings, integers, booleans. Everything else
 * that TOML has is refused by name. Knows nothing of our keys and does not look for duplicates:
 * config.c does. Called by config.c and the tests.
 */
#ifndef HV_PLAN_TOML_H
#define HV_PLAN_TOML_H

#include "hv/lib/types.h"
#include "hv/plan/fault.h"

#define TOML_KEY_SIZE    64
#define TOML_DEPTH_MAX   3
#define TOML_STRING_SIZE 1536

enum toml_kind { TOML_END, TOML_TABLE, TOML_VALUE };

/* TOML_BROKEN: the key is good, its value was refused and reported. */
enum toml_type { TOML_BROKEN, TOML_STRING, TOML_INTEGER, TOML_BOOLEAN };

struct toml_key {
    char text[TOML_KEY_SIZE]; /* cut if length is greater */
    size_t length;
    uint32_t column;
};

/* One table header or one key with its value. */
struct toml_item {
    enum toml_kind kind;
    enum toml_type type;
    bool broken;           /* something in this line was refused and reported */
    uint32_t line, column; /* of the header or of the key, from 1, in characters */
    uint32_t depth;        /* keys in the header, may exceed TOML_DEPTH_MAX; 1 for a value */
    struct toml_key keys[TOML_DEPTH_MAX];
    uint32_t value_column;
    int64_t integer;
    bool boolean;
    size_t length; /* of the string in bytes, may exceed what is stored */
    char string[TOML_STRING_SIZE];
};

struct toml {
    const char *start, *at, *end; /* this line, the next byte in it, its end */
    const char *next, *limit;     /* the next line, the end of the text */
    uint32_t line;
    uint32_t fault_line; /* the last line that had a fault: one is reported for each */
    struct fault_list *faults;
};

/* text (length bytes) is the file's content, untrusted; it must stay until the last toml_next(). */
void toml_init(struct toml *t, const char *text, size_t length, struct fault_list *faults);

/* The next item; lines that cannot be read are reported and passed over. */
enum toml_kind toml_next(struct toml *t, struct toml_item *item);

#endif
