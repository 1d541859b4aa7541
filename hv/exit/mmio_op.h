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
#include "hv/exit/operand.h"

/*
 * The memory operand. size is 1, 2, 4, 8; a value read has its upper bytes clear, those of a value
 * to write are clear too.
 */
typedef void (*mmio_accessor)(struct vcpu *v, const struct operand *at, unsigned size, bool write,
                              uint64_t *value);

/*
 * Carries out insn, which has one memory operand, on v's registers (RSP in its slot), rflags and
 * that operand.
 * Read-modify-write is not atomic against other CPUs: a device has its own lock.
 */
void mmio_op_execute(const struct insn *insn, struct vcpu *v, const struct operand *at,
                     uint64_t *rflags, mmio_accessor access);

/* a op b (a alone up from INSN_INC) with the arithmetic flags in *flags, CF in them being an input.
 * op is up to INSN_NOT. */
uint64_t mmio_op_alu(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags);

/* The operand that is not in memory, and the register that a load ends in. */
uint64_t mmio_op_other(const struct insn *insn, const uint64_t *regs);
void mmio_op_load(const struct insn *insn, uint64_t *regs, uint64_t value);

/* Writes the low size bytes of a register: 4 clear the upper half, 1 and 2 leave the rest. */
void mmio_op_set(uint64_t *reg, unsigned size, uint64_t value);

#endif
