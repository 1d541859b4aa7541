/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the operands of an emulated instruction are: segments, linear addresses, the guest's page
 * tables with its rights, and the faults that the CPU would raise on the way; and the access to
 * what is there. Knows no instruction; called by the files that carry one out. All is
 * guest-controlled.
 */
#pragma once

#include "hv/compartment/emulate/code.h"

/* A memory operand: first bytes (all, if that is not less than its size) at gpa[0], the rest at
 * gpa[1]. */
struct operand {
    gpa_t gpa[2];
    unsigned first;
};

/* What an instruction wants of memory. */
struct access {
    const struct insn_memory *mem;
    uint8_t size; /* bytes, up to 16 */
    uint8_t kind; /* WALK_READ, WALK_WRITE */
    bool aligned; /* or else #GP(0) */
};

/* The offset of in's memory operand m in its segment. RIP and the registers (RSP in its slot) are
 * as they were before the instruction. */
uint64_t operand_offset(const struct emulation *e, const struct insn *in,
                        const struct insn_memory *m);

/* Translates what a names, with the guest's rights. False if the instruction ends here: e->outcome
 * says how. */
MUST_USE bool operand_find(struct emulation *e, const struct code *c, const struct insn *in,
                           const struct access *a, struct operand *out);

/* Reads or writes what operand_find() found: RAM, a device, or both. value has room for size bytes,
 * rounded up to whole words, of which a read clears the rest. */
void operand_access(struct emulation *e, const struct operand *at, unsigned size, bool write,
                    uint64_t *value);
