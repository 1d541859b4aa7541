/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's prompt in the log view. Owns the line editor and the table of commands; never
 * waits for a VM. Runs on the CPU that took the key, with no lock held.
 */
#pragma once

#include "hv/vm/vm.h"

/* Shows the prompt; after console_init(). vms must stay valid. */
void command_init(struct vm **vms, uint32_t count);

/* A key typed in the log view; none before command_init() does anything. */
void command_key(uint8_t key);
