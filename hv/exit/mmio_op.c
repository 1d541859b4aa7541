/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the results and flags of the instructions that insn.c decodes. Must not touch guest state
 * but the registers and flags handed in. See mmio_op.h.
 */
#include "hv/exit/mmio_op.h"

#include "hv/lib/x86.h"

#define FLAG_CF BIT(0)
#define FLAG_PF BIT(2)
#define FLAG_AF BIT(4)
#define FLAG_ZF BIT(6)
#define FLAG_SF BIT(7)
#define FLAG_DF BIT(10)
#define FLAG_OF BIT(11)

#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static uint64_t mask_of(unsigned size) {
    return UINT64_MAX >> (64 - 8 * size);
}

static uint64_t sign_extend(uint64_t value, unsigned size) {
    uint64_t sign = BIT(8 * size - 1);
    return ((value & mask_of(size)) ^ sign) - sign;
}

/* 4 bytes clear the upper half, 1 and 2 leave the rest of the register as it is. */
static void write_sized(uint64_t *reg, unsigned size, uint64_t value) {
    if (size >= 4) {
        *reg = value & mask_of(size);
    } else {
        *reg = (*reg & ~mask_of(size)) | (value & mask_of(size));
    }
}

static uint64_t read_register(const struct insn *insn, const uint64_t *regs) {
    return regs[insn->reg] >> (insn->high_byte ? 8 : 0) & mask_of(insn->reg_size);
}

static void write_register(const struct insn *insn, uint64_t *regs, uint64_t value) {
    uint64_t *reg = &regs[insn->reg];
    if (insn->high_byte) {
        *reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
    } else {
        write_sized(reg, insn->reg_size, value);
    }
}

/* Zero, sign and parity of a result; parity is of the low byte only. */
static uint64_t result_flags(uint64_t result, unsigned size) {
    uint64_t flags = 0;
    if ((result & mask_of(size)) == 0) {
        flags |= FLAG_ZF;
    }
    if ((result >> (8 * size - 1) & 1) != 0) {
        flags |= FLAG_SF;
    }
    if (__builtin_popcount((unsigned)result & 0xff) % 2 == 0) {
        flags |= FLAG_PF;
    }
    return flags;
}

/* carries: bit n is the carry (borrow) out of bit n. */
static uint64_t carry_flags(uint64_t carries, uint64_t overflow, unsigned size) {
    unsigned top = 8 * size - 1;
    return (carries >> top & 1) * FLAG_CF | (carries >> 3 & 1) * FLAG_AF |
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
    *flags = (*flags & ~FLAGS_ARITHMETIC) | result_flags(result, size) |
             carry_flags(carries, overflow, size);
    return result & mask_of(size);
}

struct operation {
    const struct insn *insn;
    uint64_t *regs, *rflags;
    const struct mmio_access *access;
};

static enum status load(const struct operation *o, enum mmio_operand operand, uint64_t *value) {
    uint64_t v = 0;
    enum status s = o->access->read(o->access->ctx, operand, o->insn->size, &v);
    if (s == STATUS_OK) {
        *value = v & mask_of(o->insn->size);
    }
    return s;
}

static enum status store(const struct operation *o, uint64_t value) {
    return o->access->write(o->access->ctx, MMIO_OPERAND, o->insn->size,
                            value & mask_of(o->insn->size));
}

static uint64_t other_operand(const struct operation *o) {
    return o->insn->has_imm ? o->insn->imm & mask_of(o->insn->size)
                            : read_register(o->insn, o->regs);
}

static enum status execute_mov(const struct operation *o) {
    uint64_t value;
    if (o->insn->to_memory) {
        return store(o, other_operand(o));
    }
    enum status s = load(o, MMIO_OPERAND, &value);
    if (s == STATUS_OK) {
        bool sign = o->insn->op == INSN_MOVSX;
        write_register(o->insn, o->regs, sign ? sign_extend(value, o->insn->size) : value);
    }
    return s;
}

static enum status execute_xchg(const struct operation *o) {
    uint64_t value;
    enum status s = load(o, MMIO_OPERAND, &value);
    if (s == STATUS_OK) {
        s = store(o, read_register(o->insn, o->regs));
    }
    if (s == STATUS_OK) {
        write_register(o->insn, o->regs, value);
    }
    return s;
}

static enum status execute_alu(const struct operation *o) {
    const struct insn *insn = o->insn;
    uint64_t memory;
    enum status s = load(o, MMIO_OPERAND, &memory);
    if (s != STATUS_OK) {
        return s;
    }
    uint64_t other = other_operand(o);
    uint64_t flags = *o->rflags;
    uint64_t result = alu(insn->op, insn->to_memory ? memory : other,
                          insn->to_memory ? other : memory, insn->size, &flags);
    if (insn->op != INSN_CMP && insn->op != INSN_TEST) {
        if (!insn->to_memory) {
            write_register(insn, o->regs, result);
        } else if ((s = store(o, result)) != STATUS_OK) {
            return s;
        }
    }
    *o->rflags = flags;
    return STATUS_OK;
}

static enum status execute_bt(const struct operation *o) {
    uint64_t memory;
    enum status s = load(o, MMIO_OPERAND, &memory);
    if (s == STATUS_OK) {
        uint64_t bit = other_operand(o) & (8u * o->insn->size - 1);
        *o->rflags = (*o->rflags & ~FLAG_CF) | (memory >> bit & 1) * FLAG_CF;
    }
    return s;
}

/* Steps rSI or rDI by the direction flag, within the address size. */
static void step_index(const struct operation *o, enum x86_gpr reg) {
    uint64_t step = (*o->rflags & FLAG_DF) != 0 ? 0 - (uint64_t)o->insn->size : o->insn->size;
    write_sized(&o->regs[reg], o->insn->mem.address_size, o->regs[reg] + step);
}

static enum status execute_string(const struct operation *o, bool *done) {
    const struct insn *insn = o->insn;
    uint64_t count = o->regs[X86_RCX] & mask_of(insn->mem.address_size);
    if (insn->rep && count == 0) {
        return STATUS_OK;
    }
    uint64_t value = o->regs[X86_RAX];
    enum status s = insn->op == INSN_MOVS ? load(o, MMIO_SOURCE, &value) : STATUS_OK;
    if (s == STATUS_OK) {
        s = store(o, value);
    }
    if (s != STATUS_OK) {
        return s;
    }
    step_index(o, X86_RDI);
    if (insn->op == INSN_MOVS) {
        step_index(o, X86_RSI);
    }
    if (insn->rep) {
        write_sized(&o->regs[X86_RCX], insn->mem.address_size, count - 1);
        *done = count == 1;
    }
    return STATUS_OK;
}

enum status mmio_op_execute(const struct insn *insn, uint64_t *regs, uint64_t *rflags,
                            const struct mmio_access *access, bool *done) {
    const struct operation o = {insn, regs, rflags, access};
    bool complete = true;
    enum status s;
    switch ((enum insn_op)insn->op) {
    case INSN_MOV:
    case INSN_MOVZX:
    case INSN_MOVSX:
        s = execute_mov(&o);
        break;
    case INSN_XCHG:
        s = execute_xchg(&o);
        break;
    case INSN_BT:
        s = execute_bt(&o);
        break;
    case INSN_STOS:
    case INSN_MOVS:
        s = execute_string(&o, &complete);
        break;
    case INSN_ADD:
    case INSN_OR:
    case INSN_ADC:
    case INSN_SBB:
    case INSN_AND:
    case INSN_SUB:
    case INSN_XOR:
    case INSN_CMP:
    case INSN_TEST:
        s = execute_alu(&o);
        break;
    default:
        return STATUS_UNSUPPORTED;
    }
    if (s == STATUS_OK) {
        *done = complete;
    }
    return s;
}
