/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The partition: which VM owns which host CPUs and which host memory. plan_build() computes it,
 * plan_check() (written apart, sharing no code with it) says whether it keeps the rules. Both are
 * pure: they run in boot/ as part of the pre-flight, in the hypervisor, in tools/bhcheck and in
 * the unit tests.
 */
#ifndef HV_PLAN_PLAN_H
#define HV_PLAN_PLAN_H

#include "hv/lib/status.h"
#include "hv/plan/boot_info.h"
#include "hv/plan/fault.h"

#define PLAN_MAX_REGIONS 32 /* pieces one VM's memory may be made of */
#define PLAN_MAX_VCPUS   8u

/* Guest memory: gpa .. gpa + size is host memory hpa .. hpa + size. */
struct plan_region {
    gpa_t gpa;
    hpa_t hpa;
    uint64_t size; /* bytes; all three are multiples of 2 MiB but for odd leftovers of 4 KiB */
};

struct plan_vm {
    const struct config_guest *config;
    const struct boot_image *kernel;
    const struct boot_image *initrd; /* NULL = none */
    uint32_t cpu_count;
    uint32_t cpus[CONFIG_MAX_CPUS]; /* host CPU of each vCPU, ascending */
    uint32_t region_count;
    struct plan_region regions[PLAN_MAX_REGIONS]; /* ascending gpa */
    /* This VM's own budget of hypervisor memory: struct vm, vCPUs, nested tables, scrollback. */
    hpa_t budget_base;
    uint64_t budget_size;
};

struct plan_extent {
    uint64_t base, size;
};

/* Each piece that is taken leaves one extent more. */
#define PLAN_MAX_LEFT (BOOT_MAX_RANGES + CONFIG_MAX_GUESTS * (PLAN_MAX_REGIONS + 2))

struct plan {
    uint32_t vm_count;
    struct plan_vm vms[CONFIG_MAX_GUESTS]; /* in the order of the file */
    uint32_t left_count;
    struct plan_extent
        left[PLAN_MAX_LEFT]; /* free memory that nobody got, ascending; may be empty */
};

/*
 * The guest-physical layout every VM gets: RAM from 0 up to PLAN_LOW_RAM_END at most, the rest from
 * 4 GiB up; the gap below 4 GiB is for the local APIC, I/O APIC and the like.
 */
#define PLAN_LOW_RAM_END (3 * GIB)
#define PLAN_HIGH_RAM    (4 * GIB)

/*
 * Builds *plan for info->config. Every fault goes to *faults; STATUS_INVALID if there is any in it
 * then, so also one that config/ had put there: what that left zero (cpus, memory, kernel, initrd)
 * is not judged a second time, and the plan is not to be used. No file is looked into.
 */
MUST_USE enum status plan_build(const struct boot_info *info, struct plan *plan,
                                struct fault_list *faults);

/*
 * Checks a finished plan against the machine: every CPU and frame has one owner, guest memory lies
 * in MEM_FREE only and is disjoint from every budget, the sizes are those of the config, the
 * gpa layout is as above without holes or overlaps. Reports in the same manner.
 */
MUST_USE enum status plan_check(const struct boot_info *info, const struct plan *plan,
                                struct fault_list *faults);

/* Bytes of hypervisor memory a VM with this much memory and so many vCPUs is given. */
uint64_t plan_budget_size(uint64_t memory, uint32_t cpu_count);

#endif
