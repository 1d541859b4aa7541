/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of finished nested tables: what the CPU will read is compared with the plan, by code
 * that shares nothing with the code that built them. Called once per VM before seal().
 */
#pragma once

#include "hv/mem/npt.h"
#include "hv/plan/plan.h"

/*
 * STATUS_OK if the tables map exactly this VM's regions, to exactly the planned frames, all of
 * them write-back, and nothing else but the page at page_gpa, if that is not 0, to a frame of the
 * VM's budget. Otherwise STATUS_INVALID and the first difference in the log.
 */
MUST_USE enum status audit_tables(const struct npt *npt, const struct plan_vm *vm,
                                  uint64_t page_gpa);
