/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The consoles and the operator's commands, tied to the VMs: see operator.c. */
#ifndef HV_MONITOR_OPERATOR_H
#define HV_MONITOR_OPERATOR_H

#include "hv/vm/vm.h"

/* The log gets its view; before anything else of hv/monitor. */
void operator_init_log(void);
/* One view a VM, the operator's commands, the focus on the first guest that starts by itself. vms
 * must stay valid. */
void operator_init(struct vm **vms, uint32_t count);

#endif
