/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pause: all vCPUs of a VM leave the guest between two instructions and wait, each on its own
 * CPU, which takes host interrupts meanwhile. The guest's time stands still: TSC, timers and all
 * devices go on where they were, so that it has missed nothing. What comes for it meanwhile waits.
 */
#pragma once

#include "hv/lib/types.h"

struct vcpu;
struct vm;

/*
 * For the operator's orders, on the CPU of vCPU 0, which is out of the guest itself. Both return
 * once all others have followed; they may also do so by leaving, which is the end of the run.
 */
void vm_pause(struct vm *vm);
/* For how long it was paused, in ticks of the host's TSC. */
uint64_t vm_resume(struct vm *vm);
/* All others are out, or in again: paused. */
void vm_wait_others(const struct vm *vm, bool paused);
/* At a start: the clock of its devices, which has been behind the host's, is right again. */
void vm_forget_pauses(struct vm *vm);

/* Is it to wait? Not if its run has ended. */
bool vm_is_paused(const struct vm *vm);

/*
 * On v's own CPU, out of the run loop. Between begin and end it has no time and no timer; hold
 * takes what was asked for and keeps it until then, but answers who wants to see its registers.
 * Returns false if nothing came.
 */
void vcpu_pause_begin(struct vcpu *v);
bool vcpu_pause_hold(struct vcpu *v);
void vcpu_pause_end(struct vcpu *v);
