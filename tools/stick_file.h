/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of a stick's directory on this PC, found as a FAT volume finds them. */
#pragma once

#include "config/stick.h"

/* Says so and ends the program. */
NORETURN void stick_file_no_memory(void);

/* Before all others: the folder where the stick is mounted, or one to be copied to a stick; or a
 * config, whose files are looked for beside it as on a stick. False with errno if it is none. */
bool stick_file_begin(const char *place);

/* Was it a config? */
bool stick_file_is_alone(void);

/* Where this PC has a file of the stick, or NULL. */
const char *stick_file_place(const char *path);

/* The same of what lies beside a config that is alone. */
const char *stick_file_beside(const char *name);

/* A stick_reader. Memory that it takes is never given back. */
const char *stick_file_read(const char *path, hpa_t *base, uint64_t *size);
