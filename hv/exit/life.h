/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a VM on the CPU of its first vCPU: start (scrub, load, enter), run, and what follows
 * when it ends: power-off, reset, crash and its policy, operator commands.
 */
#ifndef HV_EXIT_LIFE_H
#define HV_EXIT_LIFE_H

#include "hv/vm/vm.h"

/* What every vCPU needs from the policy tables once, at creation. */
void life_prepare_vcpu(struct vcpu *v);

/* For ever on this CPU: runs v's VM whenever it is to run, waits in between. */
NORETURN void life_run(struct vcpu *v);

#endif
