/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two doors by which arch/ enters the hypervisor proper; implemented in hv/monitor/start.c. */
#ifndef HV_VM_START_H
#define HV_VM_START_H

#include "hv/plan/boot_info.h"

/*
 * On the boot CPU, all other CPUs waiting: plan, VMs, audit, seal. entry_tsc is the host TSC at the
 * hypervisor's first instruction. Returns when the machine is divided.
 */
void hv_start(const struct boot_info *info, uint64_t entry_tsc);

/* On every CPU after hv_start(): runs what the plan gave it, for ever. */
NORETURN void hv_cpu_main(unsigned cpu);

#endif
