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
#include "hv/mem/npt.h"
#include "hv/vm/vcpu.h"

#define VM_CRASH_LIMIT    3  /* restarts in a row after which on_crash = "restart" gives up */
#define VM_CRASH_FORGIVEN 60 /* seconds of running that make the count start again */

enum vm_state { VM_STOPPED, VM_OFF, VM_STARTING, VM_RUNNING, VM_CRASHED, VM_HALTED, VM_STATES };

/* What an operator asks for. */
enum vm_command { VM_COMMAND_NONE, VM_COMMAND_START, VM_COMMAND_STOP, VM_COMMAND_RESET };

struct vm {
    char name[CONFIG_NAME_SIZE];
    const struct plan_vm *plan;
    enum vm_state state; /* written by its own CPU, read by the monitor */
    uint32_t command;    /* enum vm_command, atomic: from the monitor */
    enum vm_leave leave;
    char leave_reason[64];
    uint32_t crashes; /* in a row */
    uint64_t started_tsc;
    uint64_t born_tsc; /* the hypervisor's first instruction, for the first start; then 0 */

    struct pool pool;
    struct npt npt;
    struct npt npt_xapic; /* with HVM_APIC, for vCPUs in xAPIC mode: */
    void *xapic_page; /* an empty page in the place of the registers, where the CPU puts its own */
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

/* From the monitor, any CPU: takes effect soon on the VM's CPU. */
void vm_command(struct vm *vm, enum vm_command command);

/* One byte from the console; false = too many wait for the guest already. Any CPU. */
bool vm_console_input(struct vm *vm, uint8_t byte);
/* The console has room again for this VM's output. Any CPU. */
void vm_console_ready(struct vm *vm);

/* What answers at which ports and guest-physical pages, up to an entry of size 0. */
extern const struct bus_entry vm_ports[], vm_pages[];

const char *vm_state_name(enum vm_state state);

#define vm_log(vm, level, ...) log_print(level, (vm)->name, __VA_ARGS__)
