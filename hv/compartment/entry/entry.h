/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the compartment: its loop, its way to call the core, and what the CPU alone can tell. */
#pragma once

#include "hv/abi/compartment.h"

/* For ever, on the stack of one vCPU. */
NORETURN void compartment_main(struct exchange *e);

/* Calls the core: number is an enum core_call. Returns what the core left in RAX. */
uint64_t core_call(const struct exchange *e, uint64_t number);

/* The host's TSC. */
uint64_t compartment_tsc(void);

/* By RDRAND, on CPUs that have it: false if it has nothing to give, whatever the reason. */
bool compartment_rdrand(uint64_t *word);

/* A vCPU's page; of vCPUs that there are not none may be touched. */
struct exchange *compartment_page(unsigned vcpu);

/* What vCPU 0's exchange page has for all. */
struct exchange_vm *compartment_vm(void);

/* What the config gives the guest. */
const struct abi_devices *compartment_devices(void);

/* The guest's RAM as the compartment has it; gpa is in RAM. */
uint8_t *compartment_ram(uint64_t gpa);
