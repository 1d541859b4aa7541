/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "poweroff": every guest is stopped, then the machine is switched off. */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

/* Line 0 presses the power buttons. After it, it waits until all guests are off; a key ends that.
 */
enum show poweroff_show(struct vm_public *vms, unsigned count, unsigned line);
