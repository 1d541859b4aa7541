/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM: its piece of the machine, its devices, its life. vm_create() builds it once from the plan;
 * starting, stopping and restarting happen on the host CPU of its first vCPU and touch nothing of
 * any other VM. Nothing is allocated after creation.
 */
#pragma once

#include "hv/dev/platform.h"
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
    struct lock lock; /* all devices below */
    struct uart uart;
    struct pic pic;
    struct ioapic ioapic;
    uint32_t next_lowest; /* atomic: the vCPU whose turn it is to take a lowest-priority message */
    struct pm pm;
    struct rtc rtc;
    struct pit pit;
    struct chipset chipset;
    struct bios bios;

    struct log_limit log_limit;
    uint32_t vcpu_count;
    struct vcpu vcpus[PLAN_MAX_VCPUS];
};

/* Builds the VM in its own budget; on failure the reason is in the log. */
MUST_USE enum status vm_create(const struct plan_vm *plan, struct vm **out);

/* Power-up state of all devices; the time of day stays as the guest has set it. */
void vm_reset_devices(struct vm *vm);

/*
 * What hv/abi.h promises a guest at its start, into its scrubbed memory; STATUS_NOT_FOUND if it is
 * too small, which boot/ has ruled out.
 */
MUST_USE enum status vm_load(struct vm *vm);

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
/* The one place that changes a state; before the line that tells of it. On the VM's own CPU. */
void vm_set_state(struct vm *vm, enum vm_state state);

/* One byte from the console; false = too many wait for the guest already. Any CPU. */
bool vm_console_input(struct vm *vm, uint8_t byte);
/* The console has room again for this VM's output. Any CPU. */
void vm_console_ready(struct vm *vm);

/* The state has changed, for hv/monitor/console.c to show. */
void vm_state_changed(struct vm *vm);

/* What answers at which ports and guest-physical pages, up to an entry of size 0. */
extern const struct bus_entry vm_ports[], vm_pages[];

const char *vm_state_name(enum vm_state state);

#define vm_log(vm, level, ...) log_print(level, (vm)->name, __VA_ARGS__)
