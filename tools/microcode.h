/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bhcheck says of a stick's microcode files. */
#pragma once

#include "config/fault.h"
#include "config/seal.h"

/* Prints a line for each file in the stick's folder of them, if there is one. Whether one is for
 * the machine's CPU only the machine can say. What the seal refuses goes to *faults. */
void microcode_show(const char *stick, char set, struct seal *seal, struct fault_list *faults);
