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

/* Which of the instruction's memory operands: insn->mem or, for MOVS alone, insn->source. */
enum mmio_operand { MMIO_OPERAND, MMIO_SOURCE };

/*
 * The caller knows for each operand whether it is a device register or RAM. size is 1, 2, 4, 8; a
 * value read has its upper bytes clear, those of a value to write are clear too. A status other
 * than STATUS_OK (a page fault, say) ends the operation; no register has changed then, and the
 * instruction can be started again. Translate a RAM operand before executing, lest a device
 * register be read twice because the store behind it faulted.
 */
struct mmio_access {
    enum status (*read)(void *ctx, enum mmio_operand operand, unsigned size, uint64_t *value);
    enum status (*write)(void *ctx, enum mmio_operand operand, unsigned size, uint64_t value);
    void *ctx;
};

/*
 * Carries out insn on regs (16, by x86 register number, RSP in its slot) and rflags. For REP it is
 * one iteration: *done tells whether the instruction is complete, so that RIP may move on; if
 * not, the guest runs it again, and takes its interrupts in between as on hardware.
 * Read-modify-write is not atomic against other CPUs: a device has its own lock.
 */
MUST_USE enum status mmio_op_execute(const struct insn *insn, uint64_t *regs, uint64_t *rflags,
                                     const struct mmio_access *access, bool *done);

#endif
