/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of configuration faults: all of them are gathered, then shown at once. Each carries
 * file:line:column, the value, the rule it breaks and the fix. Bounded; what does not fit is
 * counted.
 */
#pragma once

#include "hv/lib/message.h"
#include "hv/lib/types.h"

#define FAULT_MAX       32
#define FAULT_TEXT_SIZE 360

struct fault {
    uint32_t line;              /* 0 = concerns the whole file */
    uint32_t column;            /* from 1, counted in characters */
    char text[FAULT_TEXT_SIZE]; /* "bulkhead.toml:3:10: " and value, rule, fix as sentences */
};

struct fault_list {
    const char *file; /* that lines are of; NULL = bulkhead.toml */
    uint32_t count;   /* stored entries */
    uint32_t dropped; /* faults that did not fit */
    struct fault faults[FAULT_MAX];
};

/* The list stays in the order of lines and columns, so that the admin reads down the file. */
void fault_add(struct fault_list *list, uint32_t line, uint32_t column, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The same for another file than the config. */
void fault_add_file(struct fault_list *list, const char *path, const char *why);
