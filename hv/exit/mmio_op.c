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

void mmio_op_set(uint64_t *reg, unsigned size, uint64_t value) {
    uint64_t mask = mask_of(size);
    *reg = (size >= 4 ? 0 : *reg & ~mask) | (value & mask);
}

static uint64_t sign_extend(uint64_t value, unsigned size) {
    uint64_t sign = BIT(8 * size - 1);
    return ((value & mask_of(size)) ^ sign) - sign;
}

uint64_t mmio_op_other(const struct insn *insn, const uint64_t *regs) {
    if (insn->has_imm) {
        return insn->imm & mask_of(insn->size);
    }
    return regs[insn->reg] >> (insn->high_byte ? 8 : 0) & mask_of(insn->reg_size);
}

void mmio_op_load(const struct insn *insn, uint64_t *regs, uint64_t value) {
    uint64_t *reg = &regs[insn->reg];
    if (insn->high_byte) {
        *reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
    } else {
        mmio_op_set(reg, insn->reg_size, value);
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

uint64_t mmio_op_alu(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags) {
    uint64_t keep = ~FLAGS_ARITHMETIC;
    if (op >= INSN_INC) { /* as an operation on two: INC and DEC leave CF, NOT leaves all flags */
        keep = op == INSN_NOT ? UINT64_MAX : op == INSN_NEG ? keep : keep | FLAG_CF;
        b = op == INSN_NEG ? a : op == INSN_NOT ? UINT64_MAX : 1;
        a = op == INSN_NEG ? 0 : a;
        op = op == INSN_INC ? INSN_ADD : op == INSN_NOT ? INSN_XOR : INSN_SUB;
    }
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
    *flags = (*flags & keep) | (flags_of(result, carries, overflow, size) & ~keep);
    return result & mask_of(size);
}

/* BT and its like: CF is the bit that was there; its number wraps, the operand being found. */
static uint64_t bit_op(enum insn_op op, uint64_t a, uint64_t number, unsigned size,
                       uint64_t *flags) {
    uint64_t bit = BIT(number & (8 * size - 1));
    *flags = (*flags & ~FLAG_CF) | ((a & bit) != 0 ? FLAG_CF : 0);
    return op == INSN_BTS ? a | bit : op == INSN_BTR ? a & ~bit : a ^ bit;
}

/* One memory operand and one other: read, compute, write. */
void mmio_op_execute(const struct insn *in, struct vcpu *v, const struct operand *at,
                     uint64_t *rflags, mmio_accessor access) {
    uint64_t other = mmio_op_other(in, v->regs), memory = 0;
    if (in->op != INSN_MOV || !in->to_memory) {
        access(v, at, in->size, false, &memory);
    }
    uint64_t destination = in->to_memory ? memory : other;
    uint64_t result = in->to_memory ? other : memory;
    if (in->op <= INSN_NOT) {
        result = mmio_op_alu(in->op, destination, result, in->size, rflags);
    } else if (in->op <= INSN_BTC) {
        result = bit_op(in->op, memory, other, in->size, rflags);
    } else if (in->op == INSN_MOVSX) {
        result = sign_extend(memory, in->size);
    }
    bool compares = in->op == INSN_CMP || in->op == INSN_TEST || in->op == INSN_BT;
    if (in->to_memory && !compares) {
        result &= mask_of(in->size);
        access(v, at, in->size, true, &result);
    }
    if (in->op == INSN_XCHG) {
        mmio_op_load(in, v->regs, memory);
    } else if (!in->to_memory && !compares) {
        mmio_op_load(in, v->regs, result);
    }
}
