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

static uint64_t sign_extend(uint64_t value, unsigned size) {
    uint64_t sign = BIT(8 * size - 1);
    return ((value & operand_mask(size)) ^ sign) - sign;
}

/* a op b with the arithmetic flags in *flags, CF in them being an input. */
static uint64_t alu(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags) {
    bool subtract = op == INSN_SUB || op == INSN_SBB || op == INSN_CMP;
    uint64_t carry = (op == INSN_ADC || op == INSN_SBB) ? *flags & FLAG_CF : 0;
    uint64_t result, carries = 0, overflow = 0; /* bit n is the carry (borrow) out of bit n */
    if (subtract || op == INSN_ADD || op == INSN_ADC) {
        uint64_t invert = subtract ? UINT64_MAX : 0;
        b ^= invert; /* a - b = a + ~b + 1 */
        result = a + b + (carry ^ (invert & 1));
        carries = ((a & b) | ((a | b) & ~result)) ^ invert;
        overflow = (a ^ result) & (b ^ result);
    } else {
        result = op == INSN_OR ? a | b : op == INSN_XOR ? a ^ b : a & b; /* AND, TEST */
    }
    unsigned top = 8 * size - 1;
    result &= operand_mask(size);
    *flags = (*flags & ~FLAGS_ARITHMETIC) | (carries >> top & 1) * FLAG_CF |
             (__builtin_parity((unsigned)result & 0xff) ? 0 : FLAG_PF) |
             (carries >> 3 & 1) * FLAG_AF | (result == 0 ? FLAG_ZF : 0) |
             (result >> top) * FLAG_SF | (overflow >> top & 1) * FLAG_OF;
    return result;
}

bool mmio_op_execute(const struct insn *in, uint64_t *regs, uint64_t *rflags, uint64_t *memory) {
    uint64_t other = mmio_op_other(in, regs), result = in->to_memory ? other : *memory;
    bool compares = in->op == INSN_CMP || in->op == INSN_TEST || in->op == INSN_BT;
    if (in->op <= INSN_TEST) {
        result = alu(in->op, in->to_memory ? *memory : other, result, in->size, rflags);
    } else if (in->op == INSN_BT) { /* the bit's number wraps, the operand being found */
        *rflags = (*rflags & ~FLAG_CF) | (*memory >> (other & (8u * in->size - 1)) & 1);
    } else if (in->op == INSN_MOVSX) {
        result = sign_extend(*memory, in->size);
    }
    if (in->op == INSN_XCHG || (!in->to_memory && !compares)) {
        mmio_op_load(in, regs, in->op == INSN_XCHG ? *memory : result);
    }
    *memory = result & operand_mask(in->size);
    return in->to_memory && !compares;
}
