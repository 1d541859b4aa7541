/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the compartment: its loop, and its way to call the core. */
#pragma once

#include "hv/abi/compartment.h"

/* For ever, on the stack of one vCPU. */
NORETURN void compartment_main(struct exchange *e);

/* Calls the core: number is an enum core_call. Returns what the core left in RAX. */
uint64_t core_call(const struct exchange *e, uint64_t number);
