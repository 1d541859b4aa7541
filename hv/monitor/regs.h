/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "regs": where a guest that says nothing is, and in what mode. */
#pragma once

#include "hv/vm/vm.h"

/* Prints each vCPU's state and registers. Waits some milliseconds at most for each. */
void regs_show(struct vm *vm);
