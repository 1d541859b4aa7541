/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flight recorders of a guest, told to one that may control it: in the words of the operator's
 * "trace", which tools/bhtrace reads.
 */
#pragma once

#include "hv/vm/vm.h"

/*
 * The next line from c->at on, by which vCPU and line are counted: into c->bytes, c->size, with
 * c->at its number and c->end that after the last. c->at is v's compartment's. A vCPU's first line
 * waits for its CPU, some milliseconds at most, with host interrupts taken; CONTROL_TOO_MUCH if
 * another guest looks at this moment. On v's own CPU.
 */
enum control_done control_trace(struct vcpu *v, struct vm_public *p, struct exchange_control *c);
