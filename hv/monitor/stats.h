/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

/*
 * One line of what a VM has done, NAME NUMBER each: exits, refusals and BIOS calls since the
 * hypervisor's start, its devices' counters since its own. What is 0 is left out, but for frames
 * and requests. The devices' come from the VM's own CPU, while it runs.
 */
enum show stats_show(struct vm_public *vm, unsigned line);
