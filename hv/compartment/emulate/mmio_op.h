/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executes one decoded instruction whose memory operand is a device register. Owns the arithmetic
 * and the flags; must not know what is behind an operand (the caller reads and writes it) nor
 * advance RIP. Called by the handler of nested faults.
 * Source: Intel SDM vol. 2 "Instruction Set Reference", vol. 1 "EFLAGS Register".
 */
#pragma once

#include "hv/compartment/emulate/insn.h"
#include "hv/lib/reg.h"

/*
 * Carries out insn, which has one memory operand of the value *memory (0 if it does not read it),
 * on regs (RSP in its slot) and rflags. If it writes memory, *memory is what is to be written then,
 * its upper bytes being clear. Read-modify-write is not atomic against other CPUs: a device has its
 * own lock.
 */
void mmio_op_execute(const struct insn *insn, uint64_t *regs, uint64_t *rflags, uint64_t *memory);

/* The flags of a - b, of operands of size bytes. */
void mmio_op_compare(uint64_t a, uint64_t b, unsigned size, uint64_t *rflags);

/* The operand that is not in memory, and the register that a load ends in. */
static inline uint64_t mmio_op_other(const struct insn *insn, const uint64_t *regs) {
    if (insn->has_imm) {
        return insn->imm & reg_mask(insn->size);
    }
    return regs[insn->reg] >> (insn->high_byte ? 8 : 0) & reg_mask(insn->reg_size);
}

static inline void mmio_op_load(const struct insn *insn, uint64_t *regs, uint64_t value) {
    uint64_t *reg = &regs[insn->reg];
    if (insn->high_byte) {
        *reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
    } else {
        reg_set(reg, insn->reg_size, value);
    }
}
