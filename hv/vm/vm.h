/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM: its piece of the machine, its compartment, its life. vm_create() builds it once from the
 * plan; starting, stopping and restarting happen on the host CPU of its first vCPU and touch
 * nothing of any other VM. Nothing is allocated after creation.
 */
#pragma once

#include "hv/lib/clock.h"
#include "hv/lib/lock.h"
#include "hv/lib/log.h"
#include "hv/mem/audit.h"
#include "hv/mem/gmem.h"
#include "hv/mem/host_audit.h"
#include "hv/mem/pagetable.h"
#include "hv/vm/compartment.h"
#include "hv/vm/pci.h"
#include "hv/vm/public.h"
#include "hv/vm/vcpu.h"

#define VM_CRASH_LIMIT      3  /* restarts in a row after which on_crash = "restart" gives up */
#define VM_BIOS_CALLS_SHOWN 8  /* after each start */
#define VM_LONG_LIFE        60 /* seconds of running that make crashes and restarts count anew */

/* Why a run ends. */
enum vm_leave {
    LEAVE_NONE,
    LEAVE_POWER_OFF,
    LEAVE_RESET,
    LEAVE_CRASH,
    LEAVE_STOP,           /* a violation that is to stop it */
    LEAVE_KILL,           /* the operator's kill */
    LEAVE_OPERATOR_RESET, /* the operator's reset */
    LEAVE_FORCE,          /* the operator's stop, which it did not follow */
    LEAVE_MOVED,          /* another VM goes on in its place */
    LEAVE_KINDS
};

#define VM_PIECE MIB /* of its memory, to be written without taking host interrupts */

/* The operator's audit, see audit_turn.h. Times are ticks of the host's TSC. */
struct vm_audit {
    bool goes_on;
    uint32_t parts;
    uint64_t due, work, longest;
    struct host_view host; /* how far it is: first the CPU's own tables, then the VM's */
    struct audit_progress at;
};

/* See limit.h. The buckets hold parts of a unit; times are ticks of the host's TSC. */
struct vm_limits {
    struct lock lock;
    uint64_t begun; /* the period that goes on */
    int64_t left[LIMIT_BUCKETS];
    uint64_t tell_due[LIMITS];
    uint32_t noted, over; /* a bit for each that it was over in this period; not acted on yet */
};

struct vm {
    char name[CONFIG_NAME_SIZE];
    const struct plan_vm *plan;
    struct plan_vm *kept;     /* the same, from vm_keep_plan() on */
    struct vm_public *public; /* what of it other CPUs see */
    enum vm_leave leave;      /* atomic */
    char leave_reason[CONTROL_WHY];
    uint32_t crashes, restarts;     /* in a row */
    bool proved;                    /* see health.h */
    bool quiet;                     /* it restarts so often that this start is not told */
    uint32_t scrub_next;            /* atomic: the piece of RAM that the next free CPU scrubs */
    uint64_t scrub_told;            /* host TSC: when it was said how far that is */
    uint64_t restart_due, stop_due; /* host TSC, 0 = never */
    bool taking;                    /* it starts as the copy of another one, see move.h */
    bool paused;           /* atomic: its vCPUs are to stay out of the run loop, see pause.h */
    uint64_t paused_since; /* host TSC */
    uint64_t paused_ticks; /* since its start: so far its time is behind the host's */

    struct vm_audit audit;

    struct pool pool;
    struct pagetable npt;
    struct pagetable npt_xapic; /* with HVM_APIC, for vCPUs in xAPIC mode: */
    void *xapic_page; /* an empty page in the place of the registers, where the CPU puts its own */
    struct compartment compartment;
    struct gmem mem;
    uint64_t low_ram, high_ram; /* bytes */
    uint32_t phys_bits;         /* of the guest's CPUID: width of a physical address, 32-52 */

    struct dev_clock clock;
    struct exchange_vm *shared; /* what the compartment has of the whole VM */
    bool live;                  /* from UPCALL_START to the end of the run */
    struct lock console_lock;   /* console_taken: so many of the ring's bytes in this run */
    uint32_t console_taken;
    uint32_t next_lowest; /* atomic: the vCPU whose turn it is to take a lowest-priority message */
    uint32_t bios_calls_left; /* so many may still be told */

    struct vm_pci *pcis; /* plan->pci_count; with pci_lock held, as irqs */
    struct vm_irq *irqs; /* VM_IRQS */
    struct lock pci_lock;
    bool walled; /* by the IOMMU: dma is of plat_dma_make() */
    uint32_t dma;

    struct vm_limits limits;
    struct log_limit log_limit;
    uint32_t vcpu_count;
    struct vcpu vcpus[PLAN_MAX_VCPUS];
};

/* Builds the VM in its own budget, and fills public; on failure the reason is in the log. */
MUST_USE enum status vm_create(const struct plan_vm *plan, struct vm_public *public,
                               struct vm **out);

/* Copies what it needs of the plan, the config and the files' places into its records: from here on
 * it is independent of boot_info. */
MUST_USE enum status vm_keep_plan(struct vm *vm);

/*
 * What hv/abi.h promises a guest at its start, into its scrubbed memory; STATUS_NOT_FOUND if it is
 * too small, which boot/ has ruled out.
 */
MUST_USE enum status vm_load(struct vm *vm);

/* Asks the run loop of the VM to end, and why; the first reason wins: true if it is this one. Not
 * for a crash, which is vcpu_crash()'s. On any of its CPUs. */
bool vm_leave(struct vm *vm, enum vm_leave leave, const char *reason);

/* Rings at the other end of a channel, of those that the VM has. Any CPU. */
void vm_ring(const struct vm *vm, unsigned channel);

/*
 * A message signalled interrupt: what the I/O APIC sends, and PCI devices to come. Both words may
 * be guest-controlled; to another place than FEExxxxxh it is nothing. The same.
 */
void vm_send_msi(struct vm *vm, uint64_t address, uint32_t data);

/* LINT0 of the first vCPU has risen. The same. */
void vm_raise_lint0(struct vm *vm);

/* An interrupt message to the local APICs it names, which may leave out its sender. The same. */
void vm_deliver(struct vm *vm, const struct vcpu *sender, const struct apic_message *m);

/* hv/monitor/audit_vm.c's audit_vm_again(), which is above. Set before the first VM runs. */
extern enum status (*vm_audit_again)(const struct vm *vm, struct audit_progress *at,
                                     uint32_t steps);

/* On the VM's own CPU only: all that can be done now of what the operator asked for. */
void vm_take_orders(struct vm *vm);
/* The same: ends a guest that was to switch itself off in time. When it wants to be called again,
 * on the host's TSC, 0 = not. */
uint64_t vm_watch_stop(struct vm *vm);
/* Is there anything that leads from one state to the other? */
bool vm_may_become(enum vm_state from, enum vm_state to);
/* The one place that changes a state, to what it may become; before the line that tells of it. why:
 * more about the cause, or "". On the VM's own CPU. */
void vm_set_state(struct vm *vm, enum vm_state state, enum event_cause cause, const char *why);

#define vm_log(vm, level, ...) log_print(level, (vm)->name, __VA_ARGS__)
