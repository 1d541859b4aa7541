/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What other CPUs may know of a VM, and the one way in which they ask it for something: one struct,
 * struct vm_public. All else of a VM, its records and its RAM, is mapped on its own CPUs alone:
 * whoever runs elsewhere, above all hv/monitor, has this struct and no pointer to more. Nothing
 * here is trusted less or more than the rest of the core.
 */
#pragma once

#include "hv/abi/compartment.h"
#include "hv/lib/lock.h"
#include "hv/lib/log.h"
#include "hv/plan/plan.h"
#include "hv/vm/hvm.h"
#include "hv/vm/plat.h"

struct vcpu_snapshot;
struct vm;

/* DELAYED: a restart that follows too soon is held back. STOPPING: its power button was pressed.
 * PAUSED: in the middle of its run, and its time stands still. */
enum vm_state {
    VM_STOPPED,
    VM_OFF,
    VM_CRASHED,
    VM_HALTED,
    VM_DELAYED,
    VM_STARTING,
    VM_RUNNING,
    VM_STOPPING,
    VM_PAUSED,
    VM_STATES
};

/* What an operator asks for. STOP presses the power button, KILL pulls the plug. */
enum vm_command {
    VM_COMMAND_NONE,
    VM_COMMAND_START,
    VM_COMMAND_STOP,
    VM_COMMAND_KILL,
    VM_COMMAND_RESET,
    VM_COMMAND_PAUSE,
    VM_COMMAND_RESUME,
    VM_COMMAND_MOVE,  /* to vm_public's move_to */
    VM_COMMAND_TAKE,  /* from one VM to the other: it is to go on in its place */
    VM_COMMAND_AUDIT, /* its tables are held against the plan once more */
    VM_COMMANDS
};

enum refused { REFUSED_MSR, REFUSED_PORT, REFUSED_MEMORY, REFUSED_INSTRUCTION, REFUSED_KINDS };

/* What a vCPU's CPU has told of itself. */
enum vcpu_presence { VCPU_AWAITED, VCPU_HERE, VCPU_OUT /* it cannot run guests */ };

/*
 * The part of struct vm_public that a vCPU has. It lies in struct vcpu, in a page of its own that
 * every CPU maps: so an exit counts itself at a fixed place, and vCPUs share no cache line.
 */
struct vcpu_public {
    uint32_t requests;              /* enum vcpu_request, atomic: vcpu_request() */
    uint32_t cpu;                   /* the host's */
    uint32_t rung;                  /* atomic: another VM's bell waits: vcpu_ring() */
    uint32_t presence;              /* enum vcpu_presence, atomic */
    struct vcpu_snapshot *snapshot; /* atomic: where to, in the core's data; or NULL */
    /* Host TSC: how long it has waited so far, in HLT or for a startup message, and since when it
     * does; 0 = it does not. */
    uint64_t waited, waits_since;
    uint64_t exits[EXIT_KINDS];
    uint64_t refused[REFUSED_KINDS]; /* shown by "stats" */
};

/* A run that ended by a fault of the guest's or of its compartment's. */
struct vm_crash {
    uint64_t us; /* on the log's clock */
    uint64_t rip;
    uint32_t vcpu;
    bool compartment; /* it was that, and rip is its own */
    const char *work; /* the kind of exit, or what the compartment was asked for */
    char reason[CONTROL_WHY];
};

/* What has become of a VM, and why; the last of it is kept. */
#define VM_EVENTS 32u
struct vm_event {
    uint64_t us, unix_seconds; /* on the log's clock; since 1970 */
    enum event_cause cause;
    enum vm_state state; /* then */
    char why[CONTROL_WHY];
};
struct vm_events {
    struct lock lock;
    uint64_t count; /* ever; event i is at ring[i % size] */
    struct vm_event ring[VM_EVENTS];
};

/* Of a VM: in the core's data. */
struct vm_public {
    char name[CONFIG_NAME_SIZE];
    struct cpu_set cpus;
    uint64_t memory;           /* bytes */
    enum vm_state state;       /* atomic: vm_set_state() writes it, on the VM's own CPU */
    struct vm_public *move_to; /* the operator's */
    struct vm_public *hears;   /* atomic: who hears what is rung here; itself until a move */
    uint64_t orders;           /* atomic: what the operator asked for, see order.c */
    uint64_t started_tsc;
    uint64_t pool_used; /* bytes of its own records in use when its last start began */
    uint64_t bios_calls;
    uint64_t over[LIMITS]; /* atomic: periods in which it was over that limit; lines withheld */
    uint32_t crash_count;  /* atomic: since the hypervisor's start; see vm_last_crash() */
    struct vm_crash crashes[2]; /* the last one, and the one before */
    struct vm_events events;
    uint32_t links; /* atomic: a bit for each network adapter whose cable is plugged in */
    uint32_t wire_count, disk_count;
    bool has_vsock;
    char wires[ABI_NETS][CONFIG_NAME_SIZE]; /* that its adapters are on */
    struct console_view *console;           /* of hv/monitor/console.c */
    uint32_t vcpu_count;
    struct vcpu_public *vcpus[PLAN_MAX_VCPUS];
};

extern struct vm_public
    *vm_of_cpu[]; /* by host CPU, NULL if it runs none; fixed after plat_seal() */

/* Up, and without a guest: only once the machine is divided. */
static inline bool vcpu_cpu_is_free(unsigned cpu) {
    return plat_cpu_online(cpu) && vm_of_cpu[cpu] == NULL;
}

/* Its CPU did not come when it was started, or cannot run guests: no start of the VM will do. */
static inline bool vcpu_is_missing(const struct vcpu_public *p) {
    return !plat_cpu_online(p->cpu) || __atomic_load_n(&p->presence, __ATOMIC_ACQUIRE) == VCPU_OUT;
}

/* How long it has waited so far, until now on the host's TSC. */
static inline uint64_t vcpu_waited(const struct vcpu_public *p, uint64_t now) {
    uint64_t since = __atomic_load_n(&p->waits_since, __ATOMIC_RELAXED);
    bool waits = since != 0 && now > since;

    return __atomic_load_n(&p->waited, __ATOMIC_RELAXED) + (waits ? now - since : 0);
}

/* Nothing of it runs, and nothing will by itself. */
static inline bool vm_state_is_off(enum vm_state state) {
    return state == VM_STOPPED || state == VM_OFF || state == VM_CRASHED || state == VM_HALTED;
}

const char *vm_state_name(enum vm_state state);
/* In the middle of a run: its vCPUs have registers, and it is up since started_tsc. */
static inline bool vm_state_has_vcpus(enum vm_state state) {
    return state == VM_RUNNING || state == VM_STOPPING || state == VM_PAUSED;
}

/* Any CPU: sets request bits, and makes the vCPU's own CPU look at them. Takes no lock. */
void vcpu_request(struct vcpu_public *p, uint32_t bits);

/* Any CPU: another VM rings. A bell that waits already is no second one. */
void vcpu_ring(struct vcpu_public *p);

/* The queue of those is one word, four bits a request, the oldest in the lowest; 0 ends it. */
#define ORDER_BITS 4u
#define ORDER_MASK 0xfu
#define ORDER_LAST (64 - ORDER_BITS)

/* Any CPU: the same as the next, of two, or of none of them. */
bool vm_command_both(struct vm_public *p, enum vm_command command, enum vm_command then);

/* Any CPU: done soon on the VM's CPU, after what was asked for before. False if too much waits. */
static inline bool vm_command(struct vm_public *p, enum vm_command command) {
    return vm_command_both(p, command, VM_COMMAND_NONE);
}

/* What comes of an order, whoever gives it: it is taken, or why not. */
enum vm_asked {
    VM_ASKED,
    VM_ASKED_NO_CPU,   /* its first CPU is missing: nobody hears */
    VM_ASKED_OFF,      /* it does not run, and so is not restarted */
    VM_ASKED_TOO_MUCH, /* too much waits */
    VM_ASKED_KINDS
};

/* Any CPU: an order of an operator, at the prompt or in a guest, and what waits until it is done,
 * or NONE. Both or neither. */
MUST_USE enum vm_asked vm_ask(struct vm_public *p, enum vm_command command, enum vm_command then);

/* One CPU at a time. */
void vm_keep_crash(struct vm_public *p, const struct vm_crash *crash);
/* Any CPU: a copy of the last crash into *out. How many there were; 0 = none, *out is unchanged. */
uint32_t vm_last_crash(const struct vm_public *p, struct vm_crash *out);

/* On one of its own CPUs: something has become of it. why: more about the cause, or "". */
void vm_note(struct vm_public *p, enum event_cause cause, const char *why);
/*
 * Any CPU: a copy of event *at, counted from 0, into *out; or of the oldest there is, if that one
 * is gone, and *at is its number. False if there is none yet: *at is then the next one's. *end: the
 * next one's in any case. Takes no lock but one that this VM alone waits for.
 */
bool vm_event_after(struct vm_public *p, uint64_t *at, uint64_t *end, struct vm_event *out);

static inline bool vm_link_is_up(const struct vm_public *p, unsigned net) {
    return (__atomic_load_n(&p->links, __ATOMIC_RELAXED) >> net & 1) != 0;
}

/* Any CPU: plugs in the cable of a network adapter of the VM's, or pulls it out; at once if it
 * runs, and for its next runs too. */
void vm_set_link(struct vm_public *p, unsigned net, bool up);

/* What VMs want of the console, which is above them: hv/monitor/console.c. On the VM's own CPU. */
struct vm_console {
    /* One byte leaves the guest's UART or virtio console, with its console_lock held; false = no
     * room now, REQUEST_ROOM will follow. On any of its CPUs. */
    bool (*transmit)(struct vm *vm, uint8_t byte);
    /* What was typed, if it is for this VM, goes to vm_console_input(). */
    void (*type)(struct vm *vm);
    /* The state has changed, and is to be shown. */
    void (*state_changed)(struct vm_public *p);
    /*
     * For guests that operate this one, on any CPU. What it has printed, from byte *at on, or what
     * is left after that: *at is the first of them, *end is after the last that there is. As *at
     * CONTROL_AT_FIRST is where a terminal that begins to look would. Returns how many are in to;
     * takes no lock.
     */
    uint32_t (*read)(const struct vm_public *p, uint64_t *at, uint64_t *end, uint8_t *to,
                     uint32_t size);
    /* Types for it, as far as there is room beside the operator's keys; returns how many. */
    uint32_t (*put)(struct vm_public *p, const uint8_t *keys, uint32_t size);
};
extern const struct vm_console *vm_console; /* set before the first VM is made */
