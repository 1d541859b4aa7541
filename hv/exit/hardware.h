/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core asks of a guest's hardware, that is of its compartment, beside the exits that go up
 * to it (exit.h). What comes back means nothing if the compartment fails; the VM is leaving then.
 */
#pragma once

#include "hv/exit/exit.h"

/* Up to n bytes of code at v's RIP; returns how many can be read. */
size_t hardware_code(struct vcpu *v, uint8_t *out, size_t n);

/* May v load this CR3 for PAE paging? */
bool hardware_pdptes_valid(struct vcpu *v, uint64_t cr3);
