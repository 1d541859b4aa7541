/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of a vCPU its own CPU alone can read, its registers, its last exits and its VM's devices'
 * counters, for whoever looks at it from another one. Used by the operator's "regs", "stats" and
 * "trace".
 */
#pragma once

#include "hv/vm/vcpu.h"

struct vcpu_snapshot {
    uint64_t regs[16];              /* by enum x86_gpr */
    uint64_t system[HVM_REG_COUNT]; /* by enum hvm_reg */
    struct hvm_segment segments[HVM_SEG_COUNT];
    struct abi_counts devices; /* of the VM, in vCPU 0's alone; from its compartment */
    struct recorder recorder;
    bool off;       /* it is in no run: its registers are not here */
    bool halted;    /* in HLT */
    bool waiting;   /* after INIT, for a startup message */
    uint32_t ready; /* atomic */
};

/*
 * Has v's own CPU fill *out, which may take until vcpu_snapshot_is_ready() or never: that CPU does
 * not run the vCPU now. *out lies in the core's data and must stay valid until it is ready or
 * withdrawn. False: somebody else asks it at this moment. Any CPU, no lock held.
 */
MUST_USE bool vcpu_snapshot_ask(struct vcpu_public *v, struct vcpu_snapshot *out);
bool vcpu_snapshot_is_ready(const struct vcpu_snapshot *s);

/* Takes the question back. False if it is too late: it will be ready at any moment. */
bool vcpu_snapshot_withdraw(struct vcpu_public *v, struct vcpu_snapshot *out);

/* On v's own CPU, in v's run or between two: answers the one who asks, if any. */
void vcpu_snapshot_answer(struct vcpu *v);
