/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's compartment as the core sees it: a region of the VM's own budget, nested tables with the
 * guest's RAM (never executable), the region and the one shared copy of the program, and nothing
 * else. The guest's own tables map none of the region.
 */
#pragma once

#include "hv/abi/compartment.h"
#include "hv/lib/status.h"
#include "hv/mem/pagetable.h"

struct vcpu;
struct vm;

/* The first members of struct vcpu, and so all that the entry code of both vendors knows. */
struct vcpu_context {
    uint64_t regs[16];
    uint64_t host_stack;
    void *vendor;
};

struct compartment {
    struct pagetable npt;
    uint8_t *region;      /* data, page tables, then the pages of each vCPU's slot */
    uint64_t region_size; /* bytes */
    uint64_t tables;      /* pages of its own page tables */
};

/* Bytes of a VM's budget for the region of so many vCPUs and so much of guest-physical memory. */
uint64_t compartment_region_size(const struct compartment_header *h, uint64_t top, uint32_t vcpus);

/* Region and nested tables, once, from the VM's budget. */
MUST_USE enum status compartment_create(struct vm *vm);

/* As at the VM's start, on the CPU of its first vCPU while no other is in it. */
void compartment_reset(struct vm *vm);

/* Its page tables, as CR3 has them; a vCPU's entry point, stack and exchange page, by address. */
uint64_t compartment_cr3(void);
uint64_t compartment_entry(void);
uint64_t compartment_slot(const struct vcpu *v);
struct exchange *compartment_exchange(const struct vcpu *v);
