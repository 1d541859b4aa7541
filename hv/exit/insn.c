/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the opcode table and the walk over prefixes, opcode, ModRM, SIB, displacement, immediate.
 * Must not read beyond the bytes it was given nor look at guest state. See insn.h for callers.
 */
#include "hv/exit/insn.h"

#include "hv/lib/str.h"
#include "hv/lib/x86.h"

#define MAP_0F   0x100
#define MAP_0F01 0x200 /* then ModRM */

#define MOV_CR      (MAP_0F | 0x20) /* bit 1: to the control register */
#define MOV_CR_MASK 0x3fd

enum form {
    FORM_MOFFS = BIT32(0),   /* address in the instruction; no ModRM */
    FORM_STRING = BIT32(1),  /* address in RSI, RDI; no ModRM */
    FORM_LOAD = BIT32(2),    /* memory is the source */
    FORM_IMM = BIT32(3),     /* immediate of the operand size, at most 4 bytes */
    FORM_IMM8 = BIT32(4),    /* one byte */
    FORM_ALU_OP = BIT32(5),  /* opcode bits 5:3 are the operation */
    FORM_ALU_REG = BIT32(6), /* ModRM.reg is the operation */
    FORM_EXTEND = BIT32(7),  /* register wider than memory: 1 or 2 bytes by opcode bit 0 */
    FORM_SXD = BIT32(8),     /* 64-bit mode only, 4 bytes into 8 */
    FORM_SELF = BIT32(9),    /* exits by itself: op is the exit's kind */
    FORM_RM = BIT32(10),     /* of these: ModRM names an operand */
    FORM_GROUP = BIT32(11),  /* ModRM.reg must be what FORM_REG() says */
};
#define FORM_REG(n) (FORM_GROUP | (n) << 12)

struct opcode {
    uint16_t value, mask; /* with MAP_0F, MAP_0F01 */
    uint8_t op;           /* enum insn_op */
    uint16_t form;
};

/* Bit 0 clear = byte operand. */
static const struct opcode opcodes[] = {
    {0x000, 0x3c6, INSN_ADD, FORM_ALU_OP},
    {0x002, 0x3c6, INSN_ADD, FORM_ALU_OP | FORM_LOAD},
    {0x063, 0x3ff, INSN_MOVSX, FORM_SXD | FORM_LOAD},
    {0x06c, 0x3fe, INSN_INS, FORM_STRING},
    {0x06e, 0x3fe, INSN_OUTS, FORM_STRING},
    {0x080, 0x3fe, INSN_ADD, FORM_ALU_REG | FORM_IMM},
    {0x083, 0x3ff, INSN_ADD, FORM_ALU_REG | FORM_IMM8},
    {0x084, 0x3fe, INSN_TEST, 0},
    {0x086, 0x3fe, INSN_XCHG, 0},
    {0x088, 0x3fe, INSN_MOV, 0},
    {0x08a, 0x3fe, INSN_MOV, FORM_LOAD},
    {0x08f, 0x3ff, INSN_POP, FORM_REG(0)},
    {0x0a0, 0x3fe, INSN_MOV, FORM_MOFFS | FORM_LOAD},
    {0x0a2, 0x3fe, INSN_MOV, FORM_MOFFS},
    {0x0a4, 0x3fe, INSN_MOVS, FORM_STRING},
    {0x0aa, 0x3fe, INSN_STOS, FORM_STRING},
    {0x0c6, 0x3fe, INSN_MOV, FORM_REG(0) | FORM_IMM},
    {0x0f6, 0x3fe, INSN_TEST, FORM_REG(0) | FORM_IMM},
    {0x0ff, 0x3ff, INSN_PUSH, FORM_REG(6)},
    {0x1a3, 0x3ff, INSN_BT, 0},
    {0x1b6, 0x3fe, INSN_MOVZX, FORM_EXTEND | FORM_LOAD},
    {0x1ba, 0x3ff, INSN_BT, FORM_REG(4) | FORM_IMM8},
    {0x1be, 0x3fe, INSN_MOVSX, FORM_EXTEND | FORM_LOAD},
    {0x0f4, 0x3ff, EXIT_HLT, FORM_SELF},
    {0x106, 0x3ff, EXIT_CR, FORM_SELF},                  /* CLTS */
    {0x108, 0x3fe, EXIT_CACHE, FORM_SELF},               /* INVD, WBINVD */
    {MOV_CR, MOV_CR_MASK, EXIT_CR, FORM_SELF | FORM_RM}, /* MOV CR */
    {0x130, 0x3ff, EXIT_WRMSR, FORM_SELF},
    {0x132, 0x3ff, EXIT_RDMSR, FORM_SELF},
    {0x133, 0x3ff, EXIT_PRIVILEGED, FORM_SELF}, /* RDPMC */
    {0x1a2, 0x3ff, EXIT_CPUID, FORM_SELF},
    {0x220, 0x338, EXIT_CR, FORM_SELF | FORM_RM}, /* SMSW */
    {0x230, 0x338, EXIT_CR, FORM_SELF | FORM_RM}, /* LMSW */
    {0x2c1, 0x3ff, EXIT_HYPERCALL, FORM_SELF},    /* VMCALL */
    {0x2d1, 0x3ff, EXIT_XSETBV, FORM_SELF},
    {0x2d9, 0x3ff, EXIT_HYPERCALL, FORM_SELF}, /* VMMCALL */
};

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

/* One run of the decoder. */
struct decoder {
    const uint8_t *bytes;
    size_t at, end;        /* end <= INSN_MAX_LENGTH */
    bool cut;              /* the bytes ended too early; those beyond were taken as 0 */
    bool operand, address; /* prefixes 66h and 67h */
    uint8_t segment;       /* override, INSN_SEGMENTS = none */
    uint8_t rex;           /* 0 = none */
};

/* The next size bytes, little-endian and sign-extended. */
static uint64_t take(struct decoder *d, unsigned size) {
    if (size == 0 || d->end - d->at < size) {
        d->cut = d->cut || size != 0;
        return 0;
    }
    uint64_t value = 0, sign = BIT(8 * size - 1);
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)d->bytes[d->at++] << 8 * i;
    }
    return (value ^ sign) - sign;
}

/* False if it is none. REX counts only right before the opcode. */
static bool note_prefix(struct decoder *d, struct insn *in, uint8_t byte) {
    uint8_t rex = 0;
    if (in->mode == 64 && (byte & 0xf0) == 0x40) {
        rex = byte;
    } else if ((byte & 0xe7) == 0x26) {
        /* ES, CS, SS, DS: no effect in 64-bit mode, and they do not undo FS or GS. */
        d->segment = in->mode != 64 ? byte >> 3 & 3 : d->segment;
    } else if (byte == 0x64 || byte == 0x65) {
        d->segment = (uint8_t)(INSN_FS + (byte & 1));
    } else if (byte == 0x66) {
        d->operand = true;
    } else if (byte == 0x67) {
        d->address = true;
    } else if (byte == 0xf0) {
        in->lock = true;
    } else if (byte == 0xf2 || byte == 0xf3) {
        in->rep = byte;
    } else {
        return false;
    }
    d->rex = rex;
    return true;
}

static uint16_t take_opcode(struct decoder *d, struct insn *in) {
    uint8_t byte = (uint8_t)take(d, 1);
    while (note_prefix(d, in, byte)) {
        byte = (uint8_t)take(d, 1);
    }
    if (byte != 0x0f) {
        return byte;
    }
    byte = (uint8_t)take(d, 1);
    return byte == 1 ? MAP_0F01 | (uint8_t)take(d, 1) : MAP_0F | byte;
}

static void set_sizes(const struct decoder *d, const struct opcode *o, uint16_t opcode,
                      struct insn *in) {
    bool self = (o->form & FORM_SELF) != 0; /* no byte among them */
    bool byte = (opcode & 1) == 0 && in->op != INSN_BT && !self;
    bool extend = (o->form & FORM_EXTEND) != 0;
    uint8_t word = (d->rex & REX_W) != 0 ? 8 : d->operand == (in->mode == 16) ? 4 : 2;
    if (in->op >= INSN_INS) {
        word = (uint8_t)min_u64(word, 4);
    } else if ((in->op == INSN_PUSH || in->op == INSN_POP) && in->mode == 64 && word == 4) {
        word = 8;
    }
    in->reg_size = byte && !extend ? 1 : word;
    in->size = byte ? 1 : extend ? 2 : (o->form & FORM_SXD) != 0 ? 4 : word;
    in->mem.address_size = in->mode == 64                   ? (d->address ? 4 : 8)
                           : d->address == (in->mode == 16) ? 4
                                                            : 2;
}

/* A register number: three bits of the instruction and one of REX. */
static uint8_t register_number(const struct decoder *d, unsigned bits, unsigned rex_bit) {
    return (uint8_t)((bits & 7) | ((d->rex & rex_bit) != 0 ? 8 : 0));
}

/* Base and index of the eight 16-bit forms. */
static const uint8_t forms16[8][2] = {
    {X86_RBX, X86_RSI},     {X86_RBX, X86_RDI},     {X86_RBP, X86_RSI},     {X86_RBP, X86_RDI},
    {X86_RSI, INSN_NO_REG}, {X86_RDI, INSN_NO_REG}, {X86_RBP, INSN_NO_REG}, {X86_RBX, INSN_NO_REG},
};

static void take_memory(struct decoder *d, uint8_t modrm, unsigned mode, struct insn_memory *m) {
    unsigned mod = modrm >> 6, low = modrm & 7;
    bool narrow = m->address_size == 2, has_sib = !narrow && low == 4;
    if (has_sib) {
        uint8_t sib = (uint8_t)take(d, 1);
        uint8_t index = register_number(d, sib >> 3, REX_X);
        m->index = index != X86_RSP ? index : INSN_NO_REG;
        m->scale = (uint8_t)(1u << (sib >> 6));
        low = sib & 7;
    }
    bool no_base = mod == 0 && low == (narrow ? 6 : 5);
    if (no_base) {
        m->rip_relative = mode == 64 && !has_sib;
    } else if (narrow) {
        m->base = forms16[low][0];
        m->index = forms16[low][1];
    } else {
        m->base = register_number(d, low, REX_B);
    }
    m->segment = m->base == X86_RBP || m->base == X86_RSP ? INSN_SS : INSN_DS;
    m->disp = take(d, mod == 1 ? 1 : mod == 2 || no_base ? (narrow ? 2 : 4) : 0);
}

/* False if it is not an instruction of ours after all. */
static bool take_modrm(struct decoder *d, const struct opcode *o, uint16_t opcode,
                       struct insn *in) {
    uint8_t modrm = (uint8_t)(opcode >= MAP_0F01 ? opcode : take(d, 1)), reg = modrm >> 3 & 7;
    in->reg = register_number(d, reg, REX_R);
    /* MOV CR has two registers whatever the upper bits say. */
    if (modrm >> 6 == 3 || (opcode & MOV_CR_MASK) == MOV_CR) {
        in->cr.gpr = register_number(d, modrm, REX_B);
        return (o->form & FORM_SELF) != 0;
    }
    if ((o->form & FORM_GROUP) != 0 && (o->form & FORM_REG(7)) != FORM_REG(reg)) {
        return false;
    }
    if ((o->form & FORM_ALU_REG) != 0) {
        in->op = reg;
    } else if (in->reg_size == 1 && d->rex == 0 && reg >= 4) {
        in->high_byte = true;
        in->reg = reg - 4;
    }
    take_memory(d, modrm, in->mode, &in->mem);
    return true;
}

static bool take_operands(struct decoder *d, const struct opcode *o, uint16_t opcode,
                          struct insn *in) {
    if ((o->form & FORM_MOFFS) != 0) {
        in->mem.disp = take(d, in->mem.address_size);
    } else if ((o->form & FORM_STRING) != 0) {
        in->mem.base = X86_RSI;
    } else if ((o->form & (FORM_SELF | FORM_RM)) != FORM_SELF && !take_modrm(d, o, opcode, in)) {
        return false;
    }
    if (d->segment != INSN_SEGMENTS) {
        in->mem.segment = d->segment;
    } else if (in->mode == 64) {
        in->mem.segment = INSN_DS; /* the four old segments are one flat space */
    }
    if (in->has_imm) {
        in->imm = take(d, (o->form & FORM_IMM8) != 0 ? 1 : in->size == 8 ? 4 : in->size);
    }
    return true;
}

/* What EXIT_CR needs to know; false if there is no such control register. */
static bool set_cr(uint16_t opcode, struct insn *in) {
    if (opcode >= MAP_0F01) {
        in->cr.access = (opcode & 0x10) != 0 ? CR_LMSW : CR_SMSW;
        in->cr.size = in->reg_size;
    } else {
        in->cr.access = CR_CLTS;
    }
    if ((opcode & MOV_CR_MASK) == MOV_CR) {
        in->cr.access = (opcode & 2) != 0 ? CR_WRITE : CR_READ;
        /* LOCK before CR0 is CR8, for code that has no REX; APM "MOV CRn". */
        in->cr.cr = in->lock && in->reg == 0 ? 8 : in->reg;
        in->lock = in->lock && in->reg != 0;
    }
    return (BIT(in->cr.cr) & 0x11d) != 0;
}

static bool decode(struct decoder *d, enum exit_kind kind, struct insn *in) {
    uint16_t opcode = take_opcode(d, in);
    const struct opcode *o = opcodes, *end = opcodes + ARRAY_SIZE(opcodes);
    while (o < end && (opcode & o->mask) != o->value) {
        o++;
    }
    /* MOVSXD without REX.W and ARPL share 63h: neither is of use on a device. */
    if (o == end || ((o->form & FORM_SXD) != 0 && (d->rex & REX_W) == 0)) {
        return false;
    }
    bool self = (o->form & FORM_SELF) != 0;
    if (kind != (self ? o->op : o->op >= INSN_INS ? EXIT_IO : EXIT_NESTED_FAULT)) {
        return false;
    }
    in->op = (o->form & FORM_ALU_OP) != 0 ? opcode >> 3 & 7 : o->op;
    in->to_memory = (o->form & (FORM_LOAD | FORM_SELF)) == 0;
    in->has_imm = (o->form & (FORM_IMM | FORM_IMM8)) != 0;
    set_sizes(d, o, opcode, in);
    return take_operands(d, o, opcode, in) && (kind != EXIT_CR || set_cr(opcode, in));
}

enum status insn_decode(const uint8_t *bytes, size_t n, unsigned mode, enum exit_kind kind,
                        struct insn *out) {
    struct decoder d = {
        .bytes = bytes, .end = min_u64(n, INSN_MAX_LENGTH), .segment = INSN_SEGMENTS};
    struct insn in = {
        .mode = (uint8_t)mode,
        .mem = {.segment = INSN_DS, .base = INSN_NO_REG, .index = INSN_NO_REG, .scale = 1},
        .cr = {.gpr = INSN_NO_REG}};
    bool known = decode(&d, kind, &in);
    if (d.cut) {
        return d.end == INSN_MAX_LENGTH ? STATUS_INVALID : STATUS_NOT_FOUND;
    }
    if (!known) {
        return STATUS_UNSUPPORTED;
    }
    /* SDM "LOCK - Assert LOCK# Signal Prefix": read-modify-write forms, memory the destination. */
    if (in.lock && (!in.to_memory || (in.op >= INSN_CMP && in.op != INSN_XCHG))) {
        return STATUS_INVALID;
    }
    in.length = (uint8_t)d.at;
    *out = in;
    return STATUS_OK;
}
