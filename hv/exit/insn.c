/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the opcode table and the walk over prefixes, opcode, ModRM, SIB, displacement, immediate.
 * Must not read beyond the bytes it was given nor look at guest state. See insn.h for callers.
 */
#include "hv/exit/insn.h"

#include "hv/lib/str.h"
#include "hv/lib/x86.h"

#define MAP_0F 0x100

enum form {
    FORM_MODRM = BIT32(0),
    FORM_MOFFS = BIT32(1),    /* address in the instruction */
    FORM_STRING = BIT32(2),   /* ES:rDI, and seg:rSI for MOVS */
    FORM_BYTE0 = BIT32(3),    /* opcode bit 0 clear = byte operand */
    FORM_LOAD1 = BIT32(4),    /* opcode bit 1 set = memory is the source */
    FORM_STORE1 = BIT32(5),   /* opcode bit 1 set = memory is the destination */
    FORM_STORE = BIT32(6),    /* memory is the destination */
    FORM_IMM = BIT32(7),      /* immediate of the operand size, at most 4 bytes */
    FORM_IMM8 = BIT32(8),     /* one byte */
    FORM_GROUP = BIT32(9),    /* ModRM.reg must be .group */
    FORM_ALU_OP = BIT32(10),  /* opcode bits 5:3 are the operation */
    FORM_ALU_REG = BIT32(11), /* ModRM.reg is the operation */
    FORM_EXTEND = BIT32(12),  /* register wider than memory: 1 or 2 bytes by opcode bit 0 */
    FORM_SXD = BIT32(13),     /* 64-bit mode only, 4 bytes into 8 */
};

struct opcode {
    uint16_t value, mask; /* with MAP_0F for the two-byte map */
    uint8_t op;           /* enum insn_op */
    uint8_t group;
    uint32_t form;
};

#define WHOLE 0x1ff

/* The first match counts; what device drivers use most stands first. */
static const struct opcode opcodes[] = {
    {0x088, 0x1fc, INSN_MOV, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE | FORM_LOAD1},
    {0x0c6, 0x1fe, INSN_MOV, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE | FORM_IMM | FORM_GROUP},
    {0x0a0, 0x1fc, INSN_MOV, 0, FORM_MOFFS | FORM_BYTE0 | FORM_STORE1},
    {0x1b6, 0x1fe, INSN_MOVZX, 0, FORM_MODRM | FORM_EXTEND},
    {0x1be, 0x1fe, INSN_MOVSX, 0, FORM_MODRM | FORM_EXTEND},
    {0x063, WHOLE, INSN_MOVSX, 0, FORM_MODRM | FORM_SXD},
    {0x086, 0x1fe, INSN_XCHG, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE},
    {0x000, 0x1c4, INSN_ADD, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE | FORM_LOAD1 | FORM_ALU_OP},
    {0x080, 0x1fe, INSN_ADD, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE | FORM_IMM | FORM_ALU_REG},
    {0x083, WHOLE, INSN_ADD, 0, FORM_MODRM | FORM_STORE | FORM_IMM8 | FORM_ALU_REG},
    {0x084, 0x1fe, INSN_TEST, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE},
    {0x0f6, 0x1fe, INSN_TEST, 0, FORM_MODRM | FORM_BYTE0 | FORM_STORE | FORM_IMM | FORM_GROUP},
    {0x1a3, WHOLE, INSN_BT, 0, FORM_MODRM | FORM_STORE},
    {0x1ba, WHOLE, INSN_BT, 4, FORM_MODRM | FORM_STORE | FORM_IMM8 | FORM_GROUP},
    {0x0aa, 0x1fe, INSN_STOS, 0, FORM_STRING | FORM_BYTE0 | FORM_STORE},
    {0x0a4, 0x1fe, INSN_MOVS, 0, FORM_STRING | FORM_BYTE0 | FORM_STORE},
};

struct cursor {
    const uint8_t *bytes;
    size_t at, end; /* end <= INSN_MAX_LENGTH */
};

struct prefixes {
    bool operand, address, lock, rep;
    uint8_t segment; /* INSN_SEGMENTS = none */
    uint8_t rex;     /* 0 = none */
};

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

/* The next size bytes, little-endian and sign-extended. */
static enum status take(struct cursor *c, unsigned size, uint64_t *out) {
    if (c->end - c->at < size) {
        return c->end == INSN_MAX_LENGTH ? STATUS_INVALID : STATUS_NOT_FOUND;
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)c->bytes[c->at++] << 8 * i;
    }
    uint64_t sign = size == 0 ? 0 : BIT(8 * size - 1);
    *out = (value ^ sign) - sign;
    return STATUS_OK;
}

static enum status take_byte(struct cursor *c, uint8_t *out) {
    uint64_t value;
    enum status s = take(c, 1, &value);
    if (s == STATUS_OK) {
        *out = (uint8_t)value;
    }
    return s;
}

static bool note_prefix(uint8_t byte, unsigned mode, struct prefixes *p) {
    switch (byte) {
    case 0x66:
        p->operand = true;
        return true;
    case 0x67:
        p->address = true;
        return true;
    case 0xf0:
        p->lock = true;
        return true;
    case 0xf2:
    case 0xf3:
        p->rep = true;
        return true;
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        /* ES, CS, SS, DS: no effect in 64-bit mode, and they do not undo FS or GS. */
        if (mode != 64) {
            p->segment = (uint8_t)(byte >> 3 & 3);
        }
        return true;
    case 0x64:
    case 0x65:
        p->segment = (uint8_t)(INSN_FS + (byte & 1));
        return true;
    default:
        return false;
    }
}

/* Prefixes in any order; REX counts only right before the opcode. Ends with the opcode in *opcode.
 */
static enum status take_opcode(struct cursor *c, unsigned mode, struct prefixes *p,
                               uint16_t *opcode) {
    uint8_t byte;
    for (;;) {
        enum status s = take_byte(c, &byte);
        if (s != STATUS_OK) {
            return s;
        }
        if (mode == 64 && (byte & 0xf0) == 0x40) {
            p->rex = byte;
        } else if (note_prefix(byte, mode, p)) {
            p->rex = 0;
        } else {
            break;
        }
    }
    *opcode = byte;
    if (byte == 0x0f) {
        enum status s = take_byte(c, &byte);
        if (s != STATUS_OK) {
            return s;
        }
        *opcode = (uint16_t)(MAP_0F | byte);
    }
    return STATUS_OK;
}

static const struct opcode *find_opcode(uint16_t value) {
    for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
        if ((value & opcodes[i].mask) == opcodes[i].value) {
            return &opcodes[i];
        }
    }
    return NULL;
}

static unsigned operand_size(const struct opcode *o, uint16_t opcode, unsigned mode,
                             const struct prefixes *p) {
    if ((o->form & FORM_BYTE0) != 0 && (opcode & 1) == 0) {
        return 1;
    }
    if ((p->rex & REX_W) != 0) {
        return 8;
    }
    return p->operand == (mode == 16) ? 4 : 2;
}

static uint8_t address_size(unsigned mode, const struct prefixes *p) {
    if (mode == 64) {
        return p->address ? 4 : 8;
    }
    return p->address == (mode == 16) ? 4 : 2;
}

/* Base and index of the eight 16-bit forms. */
static const uint8_t forms16[8][2] = {
    {X86_RBX, X86_RSI},     {X86_RBX, X86_RDI},     {X86_RBP, X86_RSI},     {X86_RBP, X86_RDI},
    {X86_RSI, INSN_NO_REG}, {X86_RDI, INSN_NO_REG}, {X86_RBP, INSN_NO_REG}, {X86_RBX, INSN_NO_REG},
};

static enum status take_memory16(struct cursor *c, uint8_t modrm, struct insn_memory *m) {
    unsigned mod = modrm >> 6;
    unsigned rm = modrm & 7;
    unsigned disp_size = mod;
    m->base = forms16[rm][0];
    m->index = forms16[rm][1];
    if (mod == 0 && rm == 6) {
        m->base = INSN_NO_REG;
        disp_size = 2;
    }
    m->segment = m->base == X86_RBP ? INSN_SS : INSN_DS;
    return take(c, disp_size, &m->disp);
}

static enum status take_memory32(struct cursor *c, uint8_t modrm, unsigned mode, uint8_t rex,
                                 struct insn_memory *m) {
    unsigned mod = modrm >> 6;
    unsigned low = modrm & 7; /* base register before REX */
    bool sib_form = low == 4;
    if (sib_form) {
        uint8_t sib;
        enum status s = take_byte(c, &sib);
        if (s != STATUS_OK) {
            return s;
        }
        uint8_t index = (uint8_t)((sib >> 3 & 7) | ((rex & REX_X) != 0 ? 8 : 0));
        if (index != X86_RSP) {
            m->index = index;
            m->scale = (uint8_t)(1u << (sib >> 6));
        }
        low = sib & 7;
    }
    unsigned disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (mod == 0 && low == X86_RBP) {
        disp_size = 4;
        m->rip_relative = mode == 64 && !sib_form;
    } else {
        m->base = (uint8_t)(low | ((rex & REX_B) != 0 ? 8 : 0));
    }
    m->segment = m->base == X86_RBP || m->base == X86_RSP ? INSN_SS : INSN_DS;
    return take(c, disp_size, &m->disp);
}

static enum status take_modrm(struct cursor *c, const struct opcode *o, const struct prefixes *p,
                              struct insn *in) {
    uint8_t modrm;
    enum status s = take_byte(c, &modrm);
    if (s != STATUS_OK) {
        return s;
    }
    uint8_t reg = modrm >> 3 & 7;
    if (modrm >> 6 == 3 || ((o->form & FORM_GROUP) != 0 && reg != o->group)) {
        return STATUS_UNSUPPORTED;
    }
    if ((o->form & FORM_ALU_REG) != 0) {
        in->op = reg;
    } else if (!in->has_imm) {
        in->high_byte = in->reg_size == 1 && p->rex == 0 && reg >= 4;
        in->reg = (uint8_t)(in->high_byte ? reg - 4 : reg | ((p->rex & REX_R) != 0 ? 8 : 0));
    }
    return in->mem.address_size == 2 ? take_memory16(c, modrm, &in->mem)
                                     : take_memory32(c, modrm, in->mode, p->rex, &in->mem);
}

/* In 64-bit mode the four old segments are one flat space: report them as DS, whatever the base. */
static void set_segment(struct insn_memory *m, unsigned mode, uint8_t override) {
    if (override != INSN_SEGMENTS) {
        m->segment = override;
    } else if (mode == 64) {
        m->segment = INSN_DS;
    }
}

static enum status take_operands(struct cursor *c, const struct opcode *o, const struct prefixes *p,
                                 struct insn *in) {
    enum status s = STATUS_OK;
    if ((o->form & FORM_MODRM) != 0) {
        s = take_modrm(c, o, p, in);
    } else if ((o->form & FORM_MOFFS) != 0) {
        s = take(c, in->mem.address_size, &in->mem.disp);
        in->mem.disp &= UINT64_MAX >> (64 - 8 * in->mem.address_size);
    }
    if (s == STATUS_OK && in->has_imm) {
        unsigned size = (o->form & FORM_IMM8) != 0 ? 1 : in->size;
        s = take(c, size > 4 ? 4 : size, &in->imm);
    }
    if (s != STATUS_OK) {
        return s;
    }
    if ((o->form & FORM_STRING) == 0) {
        set_segment(&in->mem, in->mode, p->segment);
        return STATUS_OK;
    }
    in->rep = p->rep;
    if (in->op == INSN_MOVS) {
        in->source = in->mem;
        in->source.base = X86_RSI;
        set_segment(&in->source, in->mode, p->segment);
    }
    in->mem.base = X86_RDI;
    in->mem.segment = INSN_ES;
    return STATUS_OK;
}

/* SDM "LOCK - Assert LOCK# Signal Prefix": read-modify-write forms with a memory destination. */
static bool lock_allowed(const struct insn *in) {
    return in->to_memory && (in->op == INSN_XCHG || in->op < INSN_CMP);
}

enum status insn_decode(const uint8_t *bytes, size_t n, unsigned mode, struct insn *out) {
    struct cursor c = {bytes, 0, min_u64(n, INSN_MAX_LENGTH)};
    struct prefixes p = {.segment = INSN_SEGMENTS};
    uint16_t opcode;
    enum status s = take_opcode(&c, mode, &p, &opcode);
    if (s != STATUS_OK) {
        return s;
    }
    const struct opcode *o = find_opcode(opcode);
    /* MOVSXD without REX.W and ARPL share 63h: neither is of use on a device. */
    if (o == NULL || ((o->form & FORM_SXD) != 0 && (p.rex & REX_W) == 0)) {
        return STATUS_UNSUPPORTED;
    }
    struct insn in = {
        .op = (o->form & FORM_ALU_OP) != 0 ? (uint8_t)(opcode >> 3 & 7) : o->op,
        .mode = (uint8_t)mode,
        .lock = p.lock,
        .has_imm = (o->form & (FORM_IMM | FORM_IMM8)) != 0,
        .mem = {.segment = INSN_DS,
                .base = INSN_NO_REG,
                .index = INSN_NO_REG,
                .scale = 1,
                .address_size = address_size(mode, &p)},
    };
    in.reg_size = (uint8_t)operand_size(o, opcode, mode, &p);
    in.size = in.reg_size;
    if ((o->form & FORM_EXTEND) != 0) {
        in.size = (opcode & 1) != 0 ? 2 : 1;
    } else if ((o->form & FORM_SXD) != 0) {
        in.size = 4;
    }
    bool bit1 = (opcode & 2) != 0;
    in.to_memory = (o->form & FORM_STORE1) != 0
                       ? bit1
                       : (o->form & FORM_STORE) != 0 && !((o->form & FORM_LOAD1) != 0 && bit1);
    s = take_operands(&c, o, &p, &in);
    if (s != STATUS_OK) {
        return s;
    }
    if (in.lock && !lock_allowed(&in)) {
        return STATUS_INVALID;
    }
    in.length = (uint8_t)c.at;
    *out = in;
    return STATUS_OK;
}

gva_t insn_linear(const struct insn *insn, const struct insn_memory *mem,
                  const struct insn_registers *r) {
    uint64_t offset = mem->disp;
    if (mem->base != INSN_NO_REG) {
        offset += r->regs[mem->base];
    }
    if (mem->index != INSN_NO_REG) {
        offset += r->regs[mem->index] * mem->scale;
    }
    if (mem->rip_relative) {
        offset += r->rip + insn->length;
    }
    if (insn->op == INSN_BT && !insn->has_imm) {
        /* The register is a signed bit offset that may lie far outside the operand. */
        unsigned shift = 64 - 8u * insn->size;
        int64_t bits = (int64_t)(r->regs[insn->reg] << shift) >> shift;
        offset += (uint64_t)(bits >> 3) & ~(uint64_t)(insn->size - 1u);
    }
    offset &= UINT64_MAX >> (64 - 8 * mem->address_size);
    if (insn->mode == 64) {
        return GVA(mem->segment >= INSN_FS ? offset + r->base[mem->segment] : offset);
    }
    return GVA((offset + r->base[mem->segment]) & UINT32_MAX);
}
