/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a vCPU's compartment and coming back: see hv/abi/compartment.h. All that comes back is
 * checked as if the guest had sent it. What a compartment may not do, and one that does not come
 * back in time, ends its VM as crashed, with a report, and nothing else.
 */
#pragma once

#include "hv/exit/exit.h"

#define UPCALL_MAX_MS 1000u /* so long a compartment may take for one upcall */

/*
 * Has v's compartment do what the exchange page says; x is the exit that it is for, for the report
 * (EXIT_UNKNOWN: none, the guest's start).
 * False if it did not: the VM is leaving. On v's own CPU; host interrupts are taken meanwhile.
 */
MUST_USE bool compartment_upcall(struct vcpu *v, const struct vmexit *x, enum upcall upcall);

/* Ends its VM for an answer that means nothing: what, as in "its compartment WHAT". */
void compartment_refuse(struct vcpu *v, const struct vmexit *x, const char *what);
