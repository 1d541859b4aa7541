/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "map": who has what, read from what the CPUs read. See map.c. */
#pragma once

#include "hv/monitor/show.h"
#include "hv/plan/boot_info.h"
#include "hv/vm/vm.h"

/* Before plat_seal(), for each VM by its number: where its tables and bitmaps are. */
void map_add(const struct boot_info *info, unsigned number, const struct vm *vm);

/* What that VM has; the first one's lines begin with what nobody has. */
enum show map_show(const struct vm_public *vms, unsigned n, unsigned line);
