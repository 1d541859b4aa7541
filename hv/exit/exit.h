/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens at an exit: one const table of handlers for both vendors. A handler does its work
 * and says how the guest goes on; advancing, injecting, halting and stopping are done in one place.
 * All of struct vmexit and every register is guest-controlled.
 */
#pragma once

#include "hv/vm/vm.h"

enum action {
    ACTION_NEXT = 0, /* the instruction is done: go on behind it */
    ACTION_DONE,     /* the guest stands behind what it did already */
    ACTION_HALT,     /* the instruction is done: wait for an event */
    ACTION_RETRY,    /* enter again where the guest stands (an event may have been queued) */
    ACTION_UPCALL,   /* ask its compartment, as upcall_prepare() was told: exit_answers then */
};

typedef enum action (*exit_handler)(struct vcpu *v, struct vmexit *x);

/* By enum exit_kind; every entry is filled. */
extern const exit_handler exit_table[EXIT_KINDS];
/* After ACTION_UPCALL, when the compartment has answered. Of kinds that say so alone. */
extern const exit_handler exit_answers[EXIT_KINDS];

enum action exit_cpuid(struct vcpu *v, struct vmexit *x);
enum action exit_hypercall(struct vcpu *v, struct vmexit *x);
enum action exit_rdmsr(struct vcpu *v, struct vmexit *x);
enum action exit_wrmsr(struct vcpu *v, struct vmexit *x);
enum action exit_io(struct vcpu *v, struct vmexit *x);
enum action exit_io_answered(struct vcpu *v, struct vmexit *x);
enum action exit_nested_fault(struct vcpu *v, struct vmexit *x);
enum action exit_nested_fault_answered(struct vcpu *v, struct vmexit *x);
enum action exit_cr(struct vcpu *v, struct vmexit *x);
enum action exit_xsetbv(struct vcpu *v, struct vmexit *x);
enum action exit_task_switch(struct vcpu *v, struct vmexit *x);

/* Queues the exception and retries. */
static inline enum action exit_inject(struct vcpu *v, enum x86_vector vector, uint32_t error) {
    vcpu_inject_exception(v, vector, error);
    return ACTION_RETRY;
}

/* Stops the VM as crashed, with a full report in the log. Returns ACTION_RETRY. */
enum action exit_crash(struct vcpu *v, const struct vmexit *x, const char *reason);

/* An upcall for x was not answered: the VM is leaving, and if that is the compartment's fault, with
 * a full report. Returns ACTION_RETRY. */
enum action exit_upcall_failed(struct vcpu *v, const struct vmexit *x);

/*
 * v->exits_left is 0: it gets another share of the exits that the config gives its guest, or waits
 * for one; on_limit says what else follows. False when the run loop must be left. On v's own CPU.
 */
MUST_USE bool over_limit(struct vcpu *v);

/* For ever on this CPU: runs v's VM (vCPU 0) or v whenever it is to run, waits in between. */
NORETURN void life_run(struct vcpu *v);
/* One round of it: vCPU 0 runs its VM from start to end, or waits once; another vCPU does its duty
 * if it has one. */
void life_step(struct vcpu *v);
void life_help(struct vcpu *v);
/* For ever on a CPU that cannot run guests, or has none (v is NULL). */
NORETURN void life_stay_out(struct vcpu *v);

/* STATUS_INVALID, with the first difference in the log, if a bitmap lets pass what no table names.
 */
MUST_USE enum status audit_policy(const struct vcpu *v);
/* The same for one of the maps, by its number. */
#define AUDIT_POLICY_MAPS 3u
MUST_USE enum status audit_policy_map(const struct vcpu *v, unsigned map);

/*
 * For a CPU that does not tell the length of the instruction that exited: finds x->insn_len, and
 * for EXIT_CR the rest of x->cr, of which cr and CR_READ or CR_WRITE come from the exit. False if
 * that is not possible, for another vCPU may have changed code or tables meanwhile, or if a fault
 * was queued: then enter the guest again where it stands.
 */
MUST_USE bool exit_find_length(struct vcpu *v, struct vmexit *x);
