/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit of finished MSR and port bitmaps: see audit_policy.c. */
#ifndef HV_EXIT_AUDIT_POLICY_H
#define HV_EXIT_AUDIT_POLICY_H

#include "hv/vm/vcpu.h"

/* STATUS_INVALID, with the first difference in the log, if a bitmap lets pass what no table names.
 */
MUST_USE enum status audit_policy(const struct vcpu *v);

#endif
