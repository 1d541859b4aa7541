/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "top": how busy the guests are, drawn in place until a key is typed. See
 * command.c.
 */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

enum show top_show(const struct vm_public *vms, unsigned count, unsigned line);
