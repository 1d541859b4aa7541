/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the one question that the operator can have open, and how long it waits. See ask.h. */
#include "hv/monitor/ask.h"

#include "hv/vm/plat.h"

/* A CPU answers after its kick, which takes microseconds, but where firmware (SMM) or a hypervisor
 * below this one has it; one that scrubs or starts does not. */
#define WAITS_A_SECOND 10u

static struct question {
    struct vcpu_snapshot snapshot;
    bool open;
    uint64_t since; /* host TSC */
} question;

enum ask ask_vcpu(struct vcpu_public *v) {
    if (!question.open) { /* a guest that controls others may ask at the same moment */
        question.open = vcpu_snapshot_ask(v, &question.snapshot);
        question.since = plat_tsc();
    }
    if (!question.open) {
        return ASK_WAIT;
    }
    bool late = plat_tsc() - question.since > plat_tsc_hz() / WAITS_A_SECOND;
    if (vcpu_snapshot_is_ready(&question.snapshot)) {
        question.open = false;
        return ASK_READY;
    }
    if (late && vcpu_snapshot_withdraw(v, &question.snapshot)) {
        question.open = false;
        return ASK_SILENT;
    }
    return ASK_WAIT;
}

bool ask_is_open(void) {
    return question.open;
}

const struct vcpu_snapshot *ask_snapshot(void) {
    return &question.snapshot;
}
