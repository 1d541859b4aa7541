/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM is three things: its RAM, the region of its compartment, and the records of its vCPUs. While
 * it is paused, nothing of it is anywhere else but the pages of its disks and its halves of
 * channels. Here the three and the pages are copied from one VM to another one, on other CPUs and
 * in other memory, which goes on in its place. Channels are not copied: the two VMs swap them. The
 * first one is overwritten before the other's first instruction.
 *
 * Each side works on its own CPUs and in its own memory; the other's it reads through the window.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/lib/types.h"

struct vcpu;
struct vcpu_saved;
struct vm;

/*
 * On the CPU of the first vCPU of a VM that is paused, in this order: it offers itself to another
 * VM, which is to be asked then; waits until that has taken all, and overwrites what it was. False
 * if the other did not take it: nothing has changed then. One VM at a time: offer is false if
 * another one is at it.
 */
MUST_USE bool vm_move_offer(struct vm *vm);
MUST_USE bool vm_move_wait(struct vm *vm);

/*
 * On the CPU of the first vCPU of a VM that is off: takes what is offered, but for the vCPUs.
 * STATUS_NOT_FOUND if nothing is, STATUS_UNSUPPORTED if that is not of the same size in all, or not
 * of the same files.
 */
MUST_USE enum status vm_move_take(struct vm *vm);
/* Then on each vCPU's own, after its power-up. A word in RAM that its local APIC knows by a pointer
 * is still the other VM's. */
void vcpu_move_take(struct vcpu *v);
/* Then, once all have: returns when the other VM is no more. */
void vm_move_end(void);

/* All that the CPU has of v goes into its records. On v's own CPU, out of the run loop. */
void vcpu_save(struct vcpu *v);
