/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest may use in a second of what it can use without end and others pay for: exits, bytes
 * on its console, lines in the log. The config says how much, and what follows where it is more:
 * hv/exit/over_limit.c sees to that. Exits and bytes are two buckets of a second's worth,
 * filled each tenth of a second. A vCPU takes its exits out of the first in shares, so that an exit
 * costs a decrement. Lines that are too many are withheld.
 */
#pragma once

#include "hv/vm/vm.h"

/* At each start: the buckets are full. On the CPU of vCPU 0, as long as no other runs. */
void limit_begin(struct vm *vm);

/*
 * The next share for v, into v->exits_left: then 0. Or there is none, one exit is left, and until
 * then on the host's TSC v has to wait. *over: a bit for each enum config_limit that the guest was
 * found to be over, once in each tenth of a second. On v's own CPU.
 */
MUST_USE uint64_t limit_take(struct vcpu *v, uint32_t *over);

/* v's guest has written so many bytes to its console. The same. */
void limit_console(struct vcpu *v, uint32_t bytes);

/* May a line that v's guest has caused be told now? How many were withheld before it into
 * *suppressed. The same. */
MUST_USE bool limit_log_pass(struct vcpu *v, uint32_t *suppressed);
