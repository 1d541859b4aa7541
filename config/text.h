/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file is that was meant to be bulkhead.toml and is no TOML at all: saved as UTF-16, written
 * as YAML, damaged. Such a file has one cause, and the hundred syntax errors that follow from it
 * help nobody. Pure. Called by parse.c.
 */
#pragma once

#include "hv/lib/types.h"

/*
 * Why text (length bytes, untrusted) is no TOML, as a sentence with its fix, and the line where it
 * shows in *line; NULL if it may be TOML.
 */
const char *text_find_cause(const char *text, size_t length, uint32_t *line);
