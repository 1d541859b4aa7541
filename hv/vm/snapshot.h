/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of a vCPU that runs, for whoever looks at it from another CPU: only its own CPU can
 * read them, so it is asked. Used by the operator's "regs".
 */
#pragma once

#include "hv/vm/vcpu.h"

struct vcpu_snapshot {
    uint64_t regs[16];              /* by enum x86_gpr */
    uint64_t system[HVM_REG_COUNT]; /* by enum hvm_reg */
    struct hvm_segment segments[HVM_SEG_COUNT];
    bool halted;    /* in HLT */
    uint32_t ready; /* atomic */
};

/*
 * Has v's own CPU fill *out, and waits for that at most wait_ticks of the TSC. False if it did not
 * answer: it does not run the vCPU now, or the vCPU waits for a startup message. Any CPU, one
 * caller at a time, no lock held.
 */
MUST_USE bool vcpu_snapshot_take(struct vcpu *v, struct vcpu_snapshot *out, uint64_t wait_ticks);

/* On v's own CPU, while it runs v: answers the one who asks, if any. */
void vcpu_snapshot_answer(struct vcpu *v);
