/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of plan_check() that is about PCI devices. */
#pragma once

#include "hv/plan/plan.h"

/* These are pages of a BAR of a function that the VM is given. */
bool pci_has_pages(const struct boot_info *info, const struct plan_vm *vm, uint64_t base,
                   uint64_t size);

/* False, and each broken rule told to report. The plan's shape is checked already. */
bool pci_check(const struct boot_info *info, const struct plan *plan, plan_report *report);
