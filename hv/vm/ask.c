/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns which orders are refused, whoever gives them: at the prompt or in a guest that may. */
#include "hv/vm/public.h"

enum vm_asked vm_ask(struct vm_public *p, enum vm_command command, enum vm_command then) {
    bool restarts = then == VM_COMMAND_START;

    if (vcpu_is_missing(p->vcpus[0])) {
        return VM_ASKED_NO_CPU;
    }
    if (restarts && vm_state_is_off(__atomic_load_n(&p->state, __ATOMIC_ACQUIRE))) {
        return VM_ASKED_OFF;
    }
    return vm_command_both(p, command, then) ? VM_ASKED : VM_ASKED_TOO_MUCH;
}
