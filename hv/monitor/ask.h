/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the operator's commands look at a vCPU that runs: its own CPU is asked for a snapshot, which
 * may take a moment, and meanwhile the command is called again.
 */
#pragma once

#include "hv/vm/snapshot.h"

enum ask {
    ASK_WAIT,   /* call again */
    ASK_READY,  /* ask_snapshot() is of this vCPU */
    ASK_SILENT, /* its CPU does not answer */
};

/* Asks v, or looks what has become of that. One command asks at a time, for one vCPU. */
enum ask ask_vcpu(struct vcpu_public *v);

/* Is a question open, so that ask_vcpu() is to be called until it is answered? */
bool ask_is_open(void);

const struct vcpu_snapshot *ask_snapshot(void);
