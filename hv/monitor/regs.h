/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "regs": where a guest that says nothing is, and in what mode. */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

/*
 * Prints a line of what each vCPU's state and registers are. Asks the vCPU's CPU for them, and
 * gives up after some milliseconds.
 */
enum show regs_show(struct vm_public *vm, unsigned line);
