/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of plan_check() that is about PCI devices. */
#pragma once

#include "hv/plan/plan.h"

/* False, and each broken rule told to report. The plan's shape is checked already. */
bool pci_check(const struct boot_info *info, const struct plan *plan, plan_report *report);
