/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "trace": the flight recorders of a guest's vCPUs. See command.c. */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

enum show trace_show(struct vm_public *vm, unsigned line);
