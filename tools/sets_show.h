/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which set of a stick the next start is of, by the code that chooses at boot. Called by bhcheck.
 */
#pragma once

#include "config/sets.h"

/* After stick_file_begin(): says which sets the stick has, if there are two, and which comes next.
 * Memory may know more by then: that a set on trial has come up. */
char sets_show(void);
