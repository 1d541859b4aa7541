/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's audit of a VM, which goes on in parts on the CPU of its first vCPU: all of it in
 * one go would keep that CPU for as much as tenths of a second from the guest and from host
 * interrupts. Between two parts the guest has nine tenths of the time. In a VM that does not run
 * part follows on part, with host interrupts between them.
 */
#pragma once

#include "hv/lib/types.h"

struct vm;

/* All on the CPU of vCPU 0. Begins; one that goes on is left to end, and that is said. */
void vm_audit_begin(struct vm *vm);
/* One part, if one goes on: true. A part that finds something ends the run. */
bool vm_audit_part(struct vm *vm);
/* The same, once its time has come. When it wants to be called again, on the host's TSC, 0 = not.
 */
uint64_t vm_watch_audit(struct vm *vm);
/* The run loop begins: it is to call vm_watch_audit(). */
void vm_audit_follow(struct vm *vm);
/* The VM has ended, or become another: what was seen of it may be true no longer. */
void vm_audit_anew(struct vm *vm);
