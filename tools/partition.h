/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The partition of a machine as a map: CPUs, memory, PCI devices, each with its owner. */
#pragma once

#include "hv/plan/plan.h"

void partition_print(const struct boot_info *info, const struct plan *plan);
