/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bhcheck says of the microcode files of a stick, or of a config that is alone. */
#pragma once

#include "config/fault.h"
#include "config/seal.h"

/* After stick_file_begin(): prints a line for each file in that folder, if there is one. Whether
 * one is for the machine's CPU only the machine can say. What the seal refuses goes to *faults. */
void microcode_show(char set, struct seal *seal, struct fault_list *faults);

/* After that, for mkstick: the files by their paths in a set, and where this PC has them. */
void microcode_list(void);
