/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's compartment as the core sees it: a region of the VM's own budget, nested tables with the
 * guest's RAM (never executable), the region and the one shared copy of the program, and nothing
 * else. The guest's own tables map none of the region.
 */
#pragma once

#include "hv/abi/compartment.h"
#include "hv/lib/status.h"
#include "hv/lib/x86.h"
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
    uint8_t *region;      /* data, page tables, the pages of each vCPU's slot, of the devices */
    uint64_t region_size; /* bytes */
    uint64_t tables;      /* pages of its own page tables */
};

/* Registers of a context at its entry, beside what follows: no vector registers, no x87. */
#define COMPARTMENT_CR0                                                                            \
    (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP |    \
     X86_CR0_PG)
#define COMPARTMENT_PAT 0x0007040600070406ull
#define COMPARTMENT_DR7 0x400

/* Region and nested tables, once, from the VM's budget. */
MUST_USE enum status compartment_create(struct vm *vm);

/* Its windows onto channels show what the plan has there by now, as large as before. For a VM that
 * is off: CPUs are flushed at its start. */
void compartment_turn_windows(struct vm *vm);

/* As at the VM's start, on the CPU of its first vCPU while no other is in it. */
void compartment_reset(struct vm *vm);
/* All of its region is that byte. As there, host interrupts are taken in between. */
void compartment_fill(const struct vm *vm, uint8_t byte);

/* Its page tables, as CR3 has them; a vCPU's entry point, where its calls return, its stack and
 * exchange page, by address. */
uint64_t compartment_cr3(void);
uint64_t compartment_entry(void);
uint64_t compartment_called(void);
uint64_t compartment_slot(const struct vcpu *v);
uint64_t compartment_stack_top(const struct vcpu *v);
/* The general registers of v's second context at its entry point. vendor: what enter.S finds. */
void compartment_reset_context(struct vcpu *v, void *vendor);
struct exchange *compartment_exchange(const struct vcpu *v);
