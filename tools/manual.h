/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference manual of bulkhead.toml (docs/config.md), from the schema table to stdout.
 */
#ifndef TOOLS_MANUAL_H
#define TOOLS_MANUAL_H

#include <stdbool.h>

void manual_print(void);
/* One key, in each table that has it; false, and said, if none has. */
bool manual_explain(const char *name);

#endif
