/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a new set of the stick has come up: that is so once each guest that starts with the
 * machine has run for the config's "trial" at a stretch, or has switched itself off. The next start
 * is told (plat_keep_healthy()), which makes it the good set. See config/sets.h.
 */
#pragma once

#include "hv/plan/boot_info.h"
#include "hv/vm/vm.h"

/* Before the first VM runs; all but the first do nothing if this start is no trial. */
void health_init(const struct boot_info *info);

/* On the VM's first CPU: a run has begun. */
void health_begin(struct vm *vm);

/* The same, now and then: when it wants to be called again, host TSC; 0 = no more. */
uint64_t health_watch(struct vm *vm);

/* The same: the run has ended, its state is the one that follows. If the guest does not come up,
 * the machine restarts from here; unless the operator has ended it, who sees to it then. */
void health_end(struct vm *vm, enum vm_leave leave, bool stopping);
