/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code that the guest runs: its mode and paging, its bytes, the instruction that exited. Reads
 * only, but for accessed bits of page tables. All is guest-controlled.
 */
#pragma once

#include "hv/compartment/emulate/emulation.h"

/* What addresses depend on, read once for an instruction. */
struct code {
    struct walk_state paging; /* with the rights of the guest's CPL */
    uint64_t rip;
    struct hvm_segment cs;
    unsigned mode;         /* 16, 32, 64 */
    struct walk_page page; /* where the first byte was found; see code_fetch() */
};

/* Fills in all but page. */
void code_read(struct emulation *e, struct code *c);

/* Copies up to n bytes of code at RIP and fills in c->page; returns how many could be read. */
size_t code_fetch(struct emulation *e, struct code *c, void *out, size_t n);

/* The instruction at RIP as the cause of this exit, and RSP into its slot of the registers; fills
 * in c. The errors of insn_decode(). */
MUST_USE enum status code_decode(struct emulation *e, struct code *c, struct insn *in);
