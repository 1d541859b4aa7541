/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The start of a guest, by its own compartment (hv/abi/load.h). */
#pragma once

#include "hv/exit/exit.h"

/*
 * Has the compartment make of what vm_load() copied what the guest's first instruction finds. v is
 * vCPU 0 as at power-up, on its own CPU; host interrupts and orders are taken meanwhile. False if
 * the VM is leaving.
 */
MUST_USE bool load_guest(struct vcpu *v);
