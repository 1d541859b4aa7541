/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the partition from the config and the machine, with a reason for every guest that does not
 * fit. Called by boot/ and tools/bhcheck; what it makes goes to the hypervisor, which trusts
 * plan_check() alone.
 */
#pragma once

#include "config/fault.h"
#include "hv/plan/plan.h"

/*
 * Builds *plan for info->config. Every fault goes to *faults; STATUS_INVALID if there is any in it
 * then, so also one that config/ had put there: what that left zero (cpus, memory, kernel, initrd)
 * is not judged a second time, and the plan is not to be used. No file is looked into.
 */
MUST_USE enum status plan_build(const struct boot_info *info, struct plan *plan,
                                struct fault_list *faults);

/* The image a guest's path names; NULL if the path is empty or not there. */
const struct boot_image *boot_info_find_image(const struct boot_info *info, const char *path);
