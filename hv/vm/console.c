/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns which console it is. */
#include "hv/vm/public.h"

SEALED const struct vm_console *vm_console;
