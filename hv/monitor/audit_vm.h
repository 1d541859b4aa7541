/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of one finished VM: each root that its vCPUs can have, the records beside them, and
 * each vCPU's permission maps. Called once per VM before any guest runs, and in parts when the
 * operator asks.
 */
#pragma once

#include "hv/plan/boot_info.h"
#include "hv/vm/vm.h"

/* STATUS_INVALID, and the first difference in the log, if the VM is not what plan and policy say.
 */
MUST_USE enum status audit_vm(const struct boot_info *info, const struct vm *vm);

/* The same later, on a CPU of the VM's, which may run meanwhile: of the machine's plan no more is
 * known than what the VM has kept. A part of it, from where at has come to, of so many steps (see
 * hv/mem/audit.h) and a few more; at->through: that was the last one. */
MUST_USE enum status audit_vm_again(const struct vm *vm, struct audit_progress *at, uint32_t steps);
