/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executes one decoded instruction whose memory operand is a device register. Owns the arithmetic
 * and the flags; must not know what is behind an operand (the caller's read and write do) nor
 * advance RIP. Called by the handler of nested faults.
 * Source: Intel SDM vol. 2 "Instruction Set Reference", vol. 1 "EFLAGS Register".
 */
#ifndef HV_EXIT_MMIO_OP_H
#define HV_EXIT_MMIO_OP_H

#include "hv/exit/insn.h"

/*
 * The memory operand. size is 1, 2, 4, 8; a value read has its upper bytes clear, those of a value
 * to write are clear too. A status other than STATUS_OK ends the operation; no register has changed
 * then.
 */
struct mmio_access {
    enum status (*read)(void *ctx, unsigned size, uint64_t *value);
    enum status (*write)(void *ctx, unsigned size, uint64_t value);
    void *ctx;
};

/*
 * Carries out insn on regs (16, by x86 register number, RSP in its slot) and rflags.
 * Read-modify-write is not atomic against other CPUs: a device has its own lock.
 */
MUST_USE enum status mmio_op_execute(const struct insn *insn, uint64_t *regs, uint64_t *rflags,
                                     const struct mmio_access *access);

#endif
