/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's "logs" and "dmesg": what a view has said, as plain lines. See command.c. */
#pragma once

#include "hv/monitor/show.h"
#include "hv/vm/public.h"

/* The last 16 KiB of a guest's console. */
enum show lines_show_guest(const struct vm_public *vm, unsigned line);

/* Those of the log, without what the operator and the prompt have said between. */
enum show lines_show_log(unsigned line);
