/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the results and flags of the instructions that insn.c decodes. Must not touch guest state
 * but the registers and flags handed in. See mmio_op.h.
 */
#include "hv/compartment/emulate/mmio_op.h"

#define FLAG_CF BIT(0)
#define FLAG_PF BIT(2)
#define FLAG_AF BIT(4)
#define FLAG_ZF BIT(6)
#define FLAG_SF BIT(7)
#define FLAG_OF BIT(11)

static uint64_t sign_extend(uint64_t value, unsigned size) {
    uint64_t sign = BIT(8 * size - 1);
    return ((value & reg_mask(size)) ^ sign) - sign;
}

/* One instruction being carried out. */
struct run {
    const struct insn *in;
    uint64_t *regs, *rflags, *memory;
    uint64_t other; /* the operand that is not memory */
};

static void set_flag(uint64_t *flags, uint64_t flag, bool on) {
    *flags = on ? *flags | flag : *flags & ~flag;
}

/* Those that a result tells by itself. */
static void set_result_flags(uint64_t *flags, uint64_t result, unsigned size) {
    set_flag(flags, FLAG_ZF, result == 0);
    set_flag(flags, FLAG_SF, (result >> (8 * size - 1) & 1) != 0);
    set_flag(flags, FLAG_PF, !__builtin_parity((unsigned)result & 0xff));
}

/* a + b + carry, or a - b - carry; with all arithmetic flags. */
static uint64_t add(uint64_t a, uint64_t b, bool carry, bool subtract, unsigned size,
                    uint64_t *flags) {
    uint64_t invert = subtract ? UINT64_MAX : 0;
    b ^= invert; /* a - b = a + ~b + 1 */
    uint64_t result = a + b + (subtract != carry);
    /* Bit n is the carry (borrow) out of bit n. */
    uint64_t carries = ((a & b) | ((a | b) & ~result)) ^ invert;
    uint64_t overflow = (a ^ result) & (b ^ result);
    unsigned top = 8 * size - 1;

    result &= reg_mask(size);
    set_flag(flags, FLAG_CF, (carries >> top & 1) != 0);
    set_flag(flags, FLAG_AF, (carries >> 3 & 1) != 0);
    set_flag(flags, FLAG_OF, (overflow >> top & 1) != 0);
    set_result_flags(flags, result, size);
    return result;
}

/* AND, OR, XOR: AF is undefined. */
static uint64_t logic(uint64_t result, unsigned size, uint64_t *flags) {
    *flags &= ~(FLAG_CF | FLAG_AF | FLAG_OF);
    set_result_flags(flags, result, size);
    return result;
}

void mmio_op_compare(uint64_t a, uint64_t b, unsigned size, uint64_t *rflags) {
    (void)add(a, b, false, true, size, rflags);
}

static uint64_t alu(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags) {
    bool carry = (*flags & FLAG_CF) != 0;
    switch ((unsigned)op) {
    case INSN_ADD:
        return add(a, b, false, false, size, flags);
    case INSN_ADC:
        return add(a, b, carry, false, size, flags);
    case INSN_SBB:
        return add(a, b, carry, true, size, flags);
    case INSN_OR:
        return logic(a | b, size, flags);
    case INSN_XOR:
        return logic(a ^ b, size, flags);
    case INSN_AND:
    case INSN_TEST:
        return logic(a & b, size, flags);
    default: /* SUB, CMP */
        return add(a, b, false, true, size, flags);
    }
}

static void run_alu(const struct run *r) {
    const struct insn *in = r->in;
    uint64_t first = in->to_memory ? *r->memory : r->other;
    uint64_t second = in->to_memory ? r->other : *r->memory;
    uint64_t result = alu((enum insn_op)in->op, first, second, in->size, r->rflags);
    if (in->to_memory) {
        *r->memory = result; /* of CMP and TEST nobody looks at it */
    } else if (in->op != INSN_CMP) {
        mmio_op_load(in, r->regs, result);
    }
}

/* CF stays. */
static void run_inc(const struct run *r) {
    uint64_t carry = *r->rflags & FLAG_CF;
    *r->memory = add(*r->memory, 1, false, r->in->op == INSN_DEC, r->in->size, r->rflags);
    *r->rflags = (*r->rflags & ~FLAG_CF) | carry;
}

static void run_not(const struct run *r) {
    *r->memory = ~*r->memory & reg_mask(r->in->size);
}

static void run_neg(const struct run *r) {
    *r->memory = add(0, *r->memory, false, true, r->in->size, r->rflags);
}

/* What moves in at the free end. */
enum fill { FILL_ZERO, FILL_SIGN, FILL_OUT /* the bit that moves out */, FILL_CARRY };
static const struct {
    bool left, arithmetic; /* arithmetic: the result's flags are set */
    enum fill fill;
} shifts[INSN_OPS] = {
    [INSN_ROL] = {.left = true, .fill = FILL_OUT},
    [INSN_ROR] = {.fill = FILL_OUT},
    [INSN_RCL] = {.left = true, .fill = FILL_CARRY},
    [INSN_RCR] = {.fill = FILL_CARRY},
    [INSN_SHL] = {.left = true, .arithmetic = true, .fill = FILL_ZERO},
    [INSN_SHR] = {.arithmetic = true, .fill = FILL_ZERO},
    [INSN_SAR] = {.arithmetic = true, .fill = FILL_SIGN},
};

/* One bit further; *carry is CF before and after. */
static uint64_t shift_once(enum insn_op op, uint64_t value, unsigned top, bool *carry) {
    bool left = shifts[op].left;
    bool sign = (value >> top & 1) != 0;
    bool out = left ? sign : (value & 1) != 0;
    const bool in[] = {
        [FILL_ZERO] = false, [FILL_SIGN] = sign, [FILL_OUT] = out, [FILL_CARRY] = *carry};
    uint64_t bit = in[shifts[op].fill];

    *carry = out;
    return left ? value << 1 | bit : value >> 1 | bit << top;
}

/* Bit by bit, at most 63 times; OF of more than one bit is undefined, and so is AF. */
static void run_shift(const struct run *r) {
    enum insn_op op = (enum insn_op)r->in->op;
    unsigned top = 8u * r->in->size - 1;
    unsigned count = (unsigned)r->other & (r->in->size == 8 ? 63 : 31);
    uint64_t value = *r->memory, mask = reg_mask(r->in->size);
    bool carry = (*r->rflags & FLAG_CF) != 0;
    if (count == 0) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        value = shift_once(op, value, top, &carry) & mask;
    }
    bool sign = (value >> top & 1) != 0;
    bool next = shifts[op].left ? carry : (value >> (top - 1) & 1) != 0;

    *r->memory = value;
    set_flag(r->rflags, FLAG_CF, carry);
    set_flag(r->rflags, FLAG_OF, sign != next);
    if (shifts[op].arithmetic) {
        set_result_flags(r->rflags, value, r->in->size);
    }
}

/* The bit's number wraps, the operand being found. All flags but CF and ZF are undefined. */
static void run_bit(const struct run *r) {
    uint64_t bit = BIT(r->other & (8u * r->in->size - 1));
    set_flag(r->rflags, FLAG_CF, (*r->memory & bit) != 0);
    if (r->in->op == INSN_BTS) {
        *r->memory |= bit;
    } else if (r->in->op == INSN_BTR) {
        *r->memory &= ~bit;
    } else if (r->in->op == INSN_BTC) {
        *r->memory ^= bit;
    }
}

static void run_mov(const struct run *r) {
    if (r->in->to_memory) {
        *r->memory = r->other;
    } else {
        mmio_op_load(r->in, r->regs, *r->memory); /* MOVZX too */
    }
}

static void run_movsx(const struct run *r) {
    mmio_op_load(r->in, r->regs, sign_extend(*r->memory, r->in->size));
}

static void run_movbe(const struct run *r) {
    uint64_t value = r->in->to_memory ? r->other : *r->memory;
    value = __builtin_bswap64(value) >> (64 - 8 * r->in->size);
    if (r->in->to_memory) {
        *r->memory = value;
    } else {
        mmio_op_load(r->in, r->regs, value);
    }
}

/* SDM vol. 1 "EFLAGS Condition Codes": eight questions; bit 0 of the code turns the answer round.
 */
static bool condition(uint8_t code, uint64_t flags) {
    bool less = ((flags & FLAG_SF) != 0) != ((flags & FLAG_OF) != 0);
    const bool answers[8] = {
        (flags & FLAG_OF) != 0,
        (flags & FLAG_CF) != 0,
        (flags & FLAG_ZF) != 0,
        (flags & (FLAG_CF | FLAG_ZF)) != 0,
        (flags & FLAG_SF) != 0,
        (flags & FLAG_PF) != 0,
        less,
        less || (flags & FLAG_ZF) != 0,
    };
    return answers[code >> 1 & 7] != ((code & 1) != 0);
}

/* The register is written in any case: 4 bytes of it clear its upper half. */
static void run_cmov(const struct run *r) {
    bool moves = condition(r->in->condition, *r->rflags);
    mmio_op_load(r->in, r->regs, moves ? *r->memory : r->other);
}

static void run_set(const struct run *r) {
    *r->memory = condition(r->in->condition, *r->rflags);
}

static void run_xchg(const struct run *r) {
    mmio_op_load(r->in, r->regs, *r->memory);
    *r->memory = r->other;
}

static void run_xadd(const struct run *r) {
    uint64_t sum = add(*r->memory, r->other, false, false, r->in->size, r->rflags);
    mmio_op_load(r->in, r->regs, *r->memory);
    *r->memory = sum;
}

/* Memory is written in any case, with what it was if it is not RAX's value. */
static void run_cmpxchg(const struct run *r) {
    uint64_t *rax = &r->regs[X86_RAX];
    unsigned size = r->in->size;
    mmio_op_compare(*rax & reg_mask(size), *r->memory, size, r->rflags);
    if ((*r->rflags & FLAG_ZF) != 0) {
        *r->memory = r->other;
    } else {
        reg_set(rax, size, *r->memory);
    }
}

static void (*const runs[INSN_OPS])(const struct run *r) = {
    [INSN_ADD] = run_alu,     [INSN_OR] = run_alu,      [INSN_ADC] = run_alu,
    [INSN_SBB] = run_alu,     [INSN_AND] = run_alu,     [INSN_SUB] = run_alu,
    [INSN_XOR] = run_alu,     [INSN_CMP] = run_alu,     [INSN_TEST] = run_alu,
    [INSN_INC] = run_inc,     [INSN_DEC] = run_inc,     [INSN_NOT] = run_not,
    [INSN_NEG] = run_neg,     [INSN_ROL] = run_shift,   [INSN_ROR] = run_shift,
    [INSN_RCL] = run_shift,   [INSN_RCR] = run_shift,   [INSN_SHL] = run_shift,
    [INSN_SHR] = run_shift,   [INSN_SAR] = run_shift,   [INSN_BT] = run_bit,
    [INSN_BTS] = run_bit,     [INSN_BTR] = run_bit,     [INSN_BTC] = run_bit,
    [INSN_MOV] = run_mov,     [INSN_MOVBE] = run_movbe, [INSN_MOVZX] = run_mov,
    [INSN_MOVSX] = run_movsx, [INSN_CMOV] = run_cmov,   [INSN_SET] = run_set,
    [INSN_XCHG] = run_xchg,   [INSN_XADD] = run_xadd,   [INSN_CMPXCHG] = run_cmpxchg,
};

void mmio_op_execute(const struct insn *in, uint64_t *regs, uint64_t *rflags, uint64_t *memory) {
    const struct run r = {in, regs, rflags, memory, mmio_op_other(in, regs)};
    runs[in->op](&r);
}
