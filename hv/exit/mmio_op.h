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
#include "hv/vm/vcpu.h"

/*
 * The memory operand. size is 1, 2, 4, 8; a value read has its upper bytes clear, those of a value
 * to write are clear too.
 */
typedef void (*mmio_accessor)(struct vcpu *v, gpa_t gpa, unsigned size, bool write,
                              uint64_t *value);

/*
 * Carries out insn on v's registers (RSP in its slot), rflags and the operand at gpa.
 * Read-modify-write is not atomic against other CPUs: a device has its own lock.
 */
void mmio_op_execute(const struct insn *insn, struct vcpu *v, gpa_t gpa, uint64_t *rflags,
                     mmio_accessor access);

#endif
