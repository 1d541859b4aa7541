/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what states are called, and which console it is. */
#include "hv/vm/public.h"

SEALED const struct vm_console *vm_console;

const char *vm_state_name(enum vm_state state) {
    static const char *const names[VM_STATES] = {
        [VM_STOPPED] = "stopped", [VM_OFF] = "off",           [VM_CRASHED] = "crashed",
        [VM_HALTED] = "halted",   [VM_DELAYED] = "delayed",   [VM_STARTING] = "starting",
        [VM_RUNNING] = "running", [VM_STOPPING] = "stopping", [VM_PAUSED] = "paused",
    };
    return names[state];
}
