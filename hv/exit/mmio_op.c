/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the results and flags of the instructions that insn.c decodes. Must not touch guest state
 * but the registers and flags handed in. See mmio_op.h.
 */
#include "hv/exit/mmio_op.h"

#define FLAG_CF BIT(0)
#define FLAG_PF BIT(2)
#define FLAG_AF BIT(4)
#define FLAG_ZF BIT(6)
#define FLAG_SF BIT(7)
#define FLAG_OF BIT(11)

#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static uint64_t mask_of(unsigned size) {
    return UINT64_MAX >> (64 - 8 * size);
}

static uint64_t sign_extend(uint64_t value, unsigned size) {
    uint64_t sign = BIT(8 * size - 1);
    return ((value & mask_of(size)) ^ sign) - sign;
}

static uint64_t read_register(const struct insn *insn, const uint64_t *regs) {
    return regs[insn->reg] >> (insn->high_byte ? 8 : 0) & mask_of(insn->reg_size);
}

/* 4 bytes clear the upper half, 1 and 2 leave the rest of the register as it is. */
static void write_register(const struct insn *insn, uint64_t *regs, uint64_t value) {
    uint64_t *reg = &regs[insn->reg];
    if (insn->high_byte) {
        *reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
    } else {
        uint64_t mask = mask_of(insn->reg_size);
        *reg = (insn->reg_size >= 4 ? 0 : *reg & ~mask) | (value & mask);
    }
}

/* carries: bit n is the carry (borrow) out of bit n; parity is of the low byte only. */
static uint64_t flags_of(uint64_t result, uint64_t carries, uint64_t overflow, unsigned size) {
    unsigned top = 8 * size - 1;
    bool odd = __builtin_parity((unsigned)result & 0xff);
    return (carries >> top & 1) * FLAG_CF | (odd ? 0 : FLAG_PF) | (carries >> 3 & 1) * FLAG_AF |
           ((result & mask_of(size)) == 0 ? FLAG_ZF : 0) | (result >> top & 1) * FLAG_SF |
           (overflow >> top & 1) * FLAG_OF;
}

/* a op b with the arithmetic flags in *flags, the carry flag in them being an input. */
static uint64_t alu(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags) {
    uint64_t carry = (op == INSN_ADC || op == INSN_SBB) ? *flags & FLAG_CF : 0;
    uint64_t result, carries = 0, overflow = 0;
    if (op == INSN_ADD || op == INSN_ADC) {
        result = a + b + carry;
        carries = (a & b) | ((a | b) & ~result);
        overflow = (a ^ result) & (b ^ result);
    } else if (op == INSN_SUB || op == INSN_SBB || op == INSN_CMP) {
        result = a - b - carry;
        carries = (~a & b) | ((~a | b) & result);
        overflow = (a ^ b) & (a ^ result);
    } else if (op == INSN_OR) {
        result = a | b;
    } else if (op == INSN_XOR) {
        result = a ^ b;
    } else { /* AND, TEST */
        result = a & b;
    }
    *flags = (*flags & ~FLAGS_ARITHMETIC) | flags_of(result, carries, overflow, size);
    return result & mask_of(size);
}

/* One memory operand and one other: read, compute, write. */
void mmio_op_execute(const struct insn *in, struct vcpu *v, gpa_t gpa, uint64_t *rflags,
                     mmio_accessor access) {
    uint64_t other = in->has_imm ? in->imm & mask_of(in->size) : read_register(in, v->regs);
    uint64_t memory = 0;
    if (in->op != INSN_MOV || !in->to_memory) {
        access(v, gpa, in->size, false, &memory);
    }
    uint64_t destination = in->to_memory ? memory : other;
    uint64_t result = in->to_memory ? other : memory;
    if (in->op <= INSN_TEST) {
        result = alu(in->op, destination, result, in->size, rflags);
    } else if (in->op == INSN_MOVSX) {
        result = sign_extend(memory, in->size);
    }
    bool compares = in->op == INSN_CMP || in->op == INSN_TEST;
    if (in->to_memory && !compares) {
        result &= mask_of(in->size);
        access(v, gpa, in->size, true, &result);
    }
    if (in->op == INSN_XCHG) {
        write_register(in, v->regs, memory);
    } else if (!in->to_memory && !compares) {
        write_register(in, v->regs, result);
    }
}
