/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core and a VM's compartment say to each other. The compartment is a program of its own
 * (hv/compartment/), run as a second context of each vCPU in guest mode, under nested tables of its
 * own. The core fills a vCPU's exchange page and enters its compartment; that does the work and
 * calls the core: CORE_DONE, or a request. What the core takes from registers and from the exchange
 * page it checks as if the guest had sent it.
 */
#pragma once

#include "hv/abi/load.h"
#include "hv/lib/types.h"

/*
 * Addresses in the compartment. Its program, its data and its stacks lie in one span, the guest's
 * memory in a window: guest-physical address 0 appears at COMPARTMENT_WINDOW, so that no null
 * pointer reaches it.
 */
#define COMPARTMENT_BASE        0xffffffff80000000ull
#define COMPARTMENT_WINDOW      0x100000000000ull
#define COMPARTMENT_WINDOW_SIZE (512 * GIB)

/* COMPARTMENT_BASE in its physical memory: where no guest has RAM. */
#define COMPARTMENT_GPA 0xc0000000ull

/* From COMPARTMENT_BASE on: the program, a slot for each vCPU, the page tables. */
#define COMPARTMENT_SLOTS  0x200000ull
#define COMPARTMENT_TABLES 0x300000ull

/* Of a slot; what is not named is not mapped, so that a stack that overruns faults. */
#define COMPARTMENT_SLOT       0x10000ull
#define COMPARTMENT_STACK      0x1000ull
#define COMPARTMENT_STACK_SIZE 0x4000ull
#define COMPARTMENT_EXCHANGE   0x6000ull

/*
 * The program begins with this. Offsets from COMPARTMENT_BASE, of whole pages but for entry: up to
 * text_end code, up to rodata_end constants, up to data_end data with its first values, up to
 * bss_end data that begins as zero.
 */
#define COMPARTMENT_MAGIC 0x746d707261706d63ull
struct compartment_header {
    uint64_t magic;
    uint64_t entry, text_end, rodata_end, data_end, bss_end;
};

/* What the core wants. */
enum upcall {
    UPCALL_NOTHING, /* answered at once: what a way there and back costs */
    UPCALL_LOAD,    /* the guest's start: hv/abi/load.h */
    UPCALLS
};

/* In RAX of VMCALL or VMMCALL: what the compartment wants. All registers but RAX are kept. */
enum core_call {
    CORE_DONE, /* the upcall is answered: the call returns when the next one comes */
    CORE_CALLS
};

/* One page for each vCPU. */
struct exchange {
    uint32_t upcall;   /* enum upcall; from the core */
    uint32_t vmmcall;  /* from the core: the CPU's instruction is VMMCALL */
    uint64_t argument; /* of UPCALL_NOTHING: the guest's RBX, which means nothing */
    struct exchange_load load;
};
_Static_assert(sizeof(struct exchange) <= PAGE_SIZE, "one page");
