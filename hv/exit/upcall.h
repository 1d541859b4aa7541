/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core asks the emulator (hv/compartment/emulate): each function runs it for v, over the
 * vCPU's registers, its VM's memory and devices. The handlers of the exits that go up to it are
 * in upcall.c as well, see exit.h.
 */
#pragma once

#include "hv/exit/exit.h"

/* All that the emulator holds of v as at power-up; v's CPUID is known by now. */
void upcall_init(struct vcpu *v);

/* Up to n bytes of code at v's RIP; returns how many can be read. */
size_t upcall_code(struct vcpu *v, uint8_t *out, size_t n);

/* May v load this CR3 for PAE paging? */
bool upcall_pdptes_valid(struct vcpu *v, uint64_t cr3);
