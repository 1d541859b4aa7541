/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference manual of bulkhead.toml (docs/config.md), from the schema table to stdout.
 */
#ifndef TOOLS_MANUAL_H
#define TOOLS_MANUAL_H

void manual_print(void);

#endif
