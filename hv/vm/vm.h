/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM: its piece of the machine, its devices, its life. vm_create() builds it once from the plan;
 * starting, stopping and restarting happen on the host CPU of its first vCPU and touch nothing of
 * any other VM. Nothing is allocated after creation.
 */
#pragma once

#include "hv/lib/clock.h"
#include "hv/lib/lock.h"
#include "hv/lib/log.h"
#include "hv/mem/gmem.h"
#include "hv/mem/pagetable.h"
#include "hv/vm/compartment.h"
#include "hv/vm/vcpu.h"

#define VM_CRASH_LIMIT 3  /* restarts in a row after which on_crash = "restart" gives up */
#define VM_LONG_LIFE   60 /* seconds of running that make crashes and restarts count anew */

/* DELAYED: a restart that follows too soon is held back. STOPPING: its power button was pressed. */
enum vm_state {
    VM_STOPPED,
    VM_OFF,
    VM_CRASHED,
    VM_HALTED,
    VM_DELAYED,
    VM_STARTING,
    VM_RUNNING,
    VM_STOPPING,
    VM_STATES
};

/* What an operator asks for. STOP presses the power button, KILL pulls the plug. */
enum vm_command {
    VM_COMMAND_NONE,
    VM_COMMAND_START,
    VM_COMMAND_STOP,
    VM_COMMAND_KILL,
    VM_COMMAND_RESET,
    VM_COMMANDS
};

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
    LEAVE_KINDS
};

#define VM_PIECE MIB /* of its memory, to be written without taking host interrupts */

struct vm {
    char name[CONFIG_NAME_SIZE];
    const struct plan_vm *plan;
    enum vm_state state; /* vm_set_state() writes it, on its own CPU; read by the monitor */
    uint64_t orders;     /* atomic: what the operator asked for, see order.c */
    enum vm_leave leave; /* atomic */
    char leave_reason[64];
    uint32_t crashes, restarts; /* in a row */
    bool quiet;                 /* it restarts so often that this start is not told */
    uint32_t scrub_next;        /* atomic: the piece of RAM that the next free CPU scrubs */
    /* Host TSC. due: 0 = never. */
    uint64_t started_tsc, restart_due, stop_due;

    struct pool pool;
    struct pagetable npt;
    struct pagetable npt_xapic; /* with HVM_APIC, for vCPUs in xAPIC mode: */
    void *xapic_page; /* an empty page in the place of the registers, where the CPU puts its own */
    struct compartment compartment;
    struct gmem mem;
    uint64_t low_ram, high_ram; /* bytes */

    struct console_view *console; /* of hv/monitor/console.c */
    struct dev_clock clock;
    struct platform *platform; /* of hv/compartment/dev: for hv/vm/devices.c alone */
    bool intr;                 /* atomic: the level of the 8259s' INTR */
    uint32_t next_lowest; /* atomic: the vCPU whose turn it is to take a lowest-priority message */
    uint64_t bios_calls;  /* since the VM was made; shown by "stats" */
    uint32_t bios_calls_left; /* so many may still be told */

    struct log_limit log_limit;
    uint32_t vcpu_count;
    struct vcpu vcpus[PLAN_MAX_VCPUS];
};

/* Builds the VM in its own budget; on failure the reason is in the log. */
MUST_USE enum status vm_create(const struct plan_vm *plan, struct vm **out);

/*
 * What hv/abi.h promises a guest at its start, into its scrubbed memory; STATUS_NOT_FOUND if it is
 * too small, which boot/ has ruled out.
 */
MUST_USE enum status vm_load(struct vm *vm);

/* Asks the run loop of the VM to end, and why; the first reason wins. Any CPU. */
void vm_leave(struct vm *vm, enum vm_leave leave, const char *reason);

/*
 * A message signalled interrupt: what the I/O APIC sends, and PCI devices to come. Both words may
 * be guest-controlled; to another place than FEExxxxxh it is nothing. Any CPU.
 */
void vm_send_msi(struct vm *vm, uint64_t address, uint32_t data);

/* LINT0 of the first vCPU has risen. Any CPU. */
void vm_raise_lint0(struct vm *vm);

/* An interrupt message to the local APICs it names, which may leave out its sender. Any CPU. */
void vm_deliver(struct vm *vm, const struct vcpu *sender, const struct apic_message *m);

/* From the monitor, any CPU: done soon on the VM's CPU, after what was asked for before. False if
 * too much waits. */
bool vm_command(struct vm *vm, enum vm_command command);

/* On the VM's own CPU only: all that can be done now of what the operator asked for. */
void vm_take_orders(struct vm *vm);
/* The same: ends a guest that was to switch itself off in time. When it wants to be called again,
 * on the host's TSC, 0 = not. */
uint64_t vm_watch_stop(struct vm *vm);
/* Is there anything that leads from one state to the other? */
bool vm_may_become(enum vm_state from, enum vm_state to);
/* The one place that changes a state, to what it may become; before the line that tells of it. On
 * the VM's own CPU. */
void vm_set_state(struct vm *vm, enum vm_state state);

/* One byte leaves the guest's UART, for hv/monitor/console.c; false = no room now,
 * vm_console_ready() will follow. */
bool vm_transmit(struct vm *vm, uint8_t byte);

/* The state has changed, for hv/monitor/console.c to show. */
void vm_state_changed(struct vm *vm);

const char *vm_state_name(enum vm_state state);

#define vm_log(vm, level, ...) log_print(level, (vm)->name, __VA_ARGS__)
