/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest may do to others as their operator: those that the key control of its config names.
 * Its compartment asks by CORE_CONTROL, and is believed nothing.
 */
#pragma once

#include "hv/vm/vm.h"

/* Does what v's exchange page asks for; false if that is nonsense, or not its own to ask, and the
 * VM is leaving. On v's own CPU. */
MUST_USE bool vm_control_call(struct vcpu *v);
