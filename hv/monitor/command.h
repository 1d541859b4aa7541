/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's prompt in the log view. Owns the line editor and the table of commands; never
 * waits for a VM. Called by console.c on one CPU at a time, whichever it is, with no lock held. No
 * call takes long: what a command shows is printed in pieces.
 */
#pragma once

#include "hv/vm/vm.h"

/* Shows the prompt and takes the keys of the log view; after console_init(). vms must stay valid.
 */
void command_init(struct vm_public *vms, uint32_t count);
