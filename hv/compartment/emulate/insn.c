/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the walk over prefixes, opcode, ModRM, SIB, displacement, immediate, by the tables of
 * insn_table.c. Must not read beyond the bytes it was given nor look at guest state. See insn.h for
 * callers.
 */
#include "hv/compartment/emulate/insn_table.h"
#include "hv/lib/str.h"
#include "hv/lib/x86.h"

/* CR0, CR2, CR3, CR4, CR8. */
#define CR_NUMBERS 0x11du

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

/* With its map. */
static uint16_t take_opcode(struct decoder *d, struct insn *in) {
    uint8_t byte = (uint8_t)take(d, 1);
    while (note_prefix(d, in, byte)) {
        byte = (uint8_t)take(d, 1);
    }
    if (byte != 0x0f) {
        return byte;
    }
    byte = (uint8_t)take(d, 1);
    if (byte != 0x38) {
        return MAP_0F | byte;
    }
    return MAP_0F38 | (uint8_t)take(d, 1);
}

/* Looks at ModRM, leaving it where it is. */
static uint8_t peek(struct decoder *d) {
    d->cut = d->cut || d->at == d->end;
    return d->at < d->end ? d->bytes[d->at] : 0;
}

static bool prefix_fits(const struct decoder *d, const struct insn *in, enum prefix want) {
    switch (want) {
    case PREFIX_FREE:
        return true;
    case PREFIX_NO_REPEAT:
        return in->rep == 0;
    case PREFIX_NONE:
        return in->rep == 0 && !d->operand;
    case PREFIX_66: /* F2h and F3h go before it */
        return in->rep == 0 && d->operand;
    case PREFIX_F2:
        return in->rep == 0xf2;
    case PREFIX_F3:
    default:
        return in->rep == 0xf3;
    }
}

static bool digit_fits(struct decoder *d, uint8_t digit) {
    return digit == 0 || DIGIT(peek(d) >> 3 & 7) == digit;
}

/* NULL if there is no such instruction. */
static const struct device_row *find_device(struct decoder *d, const struct insn *in,
                                            uint16_t opcode) {
    for (size_t i = 0; i < device_row_count; i++) {
        const struct device_row *r = &device_rows[i];
        bool fits = opcode >= r->opcode && opcode <= r->opcode + r->more;
        if (fits && prefix_fits(d, in, r->prefix) && digit_fits(d, r->digit)) {
            return r;
        }
    }
    return NULL;
}

static const struct exit_row *find_exit(struct decoder *d, uint16_t opcode) {
    for (size_t i = 0; i < exit_row_count; i++) {
        const struct exit_row *r = &exit_rows[i];
        if (opcode == r->opcode && digit_fits(d, r->digit) &&
            (r->modrm == 0 || r->modrm == peek(d))) {
            return r;
        }
    }
    return NULL;
}

/* SDM vol. 1 "Operand Size and Address Size in 64-Bit Mode", vol. 3 "Mixing 16-Bit and 32-Bit
 * Code": the prefix chooses the other size, REX.W goes before it. */
static uint8_t operand_size(const struct decoder *d, const struct insn *in) {
    if ((d->rex & REX_W) != 0) {
        return 8;
    }
    return d->operand == (in->mode == 16) ? 4 : 2;
}

static uint8_t address_size(const struct decoder *d, const struct insn *in) {
    if (in->mode == 64) {
        return d->address ? 4 : 8;
    }
    return d->address == (in->mode == 16) ? 4 : 2;
}

/* One rule a line; where it is written, beside it. */
static uint8_t width_of(const struct decoder *d, const struct insn *in, enum width w,
                        uint16_t opcode) {
    bool byte = (opcode & 1) == 0; /* SDM vol. 2 "Operand Size (w) Bit" */
    uint8_t operand = operand_size(d, in);
    switch (w) {
    case WIDTH_NONE:
    case WIDTH_1:
        return 1;
    case WIDTH_2:
        return 2;
    case WIDTH_4:
        return 4;
    case WIDTH_8:
        return 8;
    case WIDTH_16:
        return 16;
    case WIDTH_OPERAND:
        return operand;
    case WIDTH_BIT_0:
        return byte ? 1 : operand;
    case WIDTH_BIT_0_2: /* "MOVZX", "MOVSX/MOVSXD" */
        return byte ? 1 : 2;
    case WIDTH_PORT: /* "INS/INSB/INSW/INSD": REX.W is ignored */
        return byte ? 1 : (uint8_t)min_u64(operand, 4);
    case WIDTH_STACK: /* SDM vol. 2 "Default 64-Bit Operand Size" */
        return in->mode == 64 && operand == 4 ? 8 : operand;
    case WIDTH_4_OR_8: /* "MOVNTI", "MOVD/MOVQ" */
        return (d->rex & REX_W) != 0 ? 8 : 4;
    }
    return 1;
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

/* Bytes of a displacement, by ModRM.mod. */
static unsigned displacement_size(unsigned mod, bool no_base, bool narrow) {
    if (mod == 1) {
        return 1;
    }
    if (mod == 2 || no_base) {
        return narrow ? 2 : 4;
    }
    return 0;
}

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
    m->disp = take(d, displacement_size(mod, no_base, narrow));
}

/* The register that ModRM.reg names; false if there is none of that number. */
static bool take_register(const struct decoder *d, enum other other, uint8_t bits,
                          struct insn *in) {
    in->reg = register_number(d, bits, REX_R);
    if (other == OTHER_SEGMENT) {
        in->reg = bits; /* REX.R is ignored: SDM vol. 2 "MOV" */
        return bits < INSN_SEGMENTS;
    }
    if (other == OTHER_REG && in->reg_size == 1 && d->rex == 0 && bits >= 4) {
        in->high_byte = true;
        in->reg = bits - 4;
    }
    return true;
}

static void take_other(struct decoder *d, enum other other, struct insn *in) {
    in->has_imm = other == OTHER_IMM || other == OTHER_IMM8 || other == OTHER_ONE;
    if (other == OTHER_IMM) {
        in->imm = take(d, (unsigned)min_u64(in->size, 4));
    } else if (other == OTHER_IMM8) {
        in->imm = take(d, 1);
    } else if (other == OTHER_ONE) {
        in->imm = 1;
    } else if (other == OTHER_CL) {
        in->reg = X86_RCX;
        in->reg_size = 1;
    }
}

static void set_segment(const struct decoder *d, struct insn *in) {
    if (d->segment != INSN_SEGMENTS) {
        in->mem.segment = d->segment;
    } else if (in->mode == 64) {
        in->mem.segment = INSN_DS; /* the four old segments are one flat space */
    }
}

static void set_row(const struct decoder *d, const struct device_row *r, uint16_t opcode,
                    struct insn *in) {
    in->op = r->op;
    in->unit = r->unit;
    in->reads = r->access != ACCESS_STORE;
    in->writes = r->access == ACCESS_STORE || r->access == ACCESS_MODIFY;
    in->to_memory = r->access != ACCESS_LOAD;
    in->aligned = r->aligned;
    in->condition = opcode & 15;
    in->size = width_of(d, in, r->memory, opcode);
    in->reg_size = r->reg == WIDTH_NONE ? in->size : width_of(d, in, r->reg, opcode);
}

/* The errors of insn_decode(), but for bytes that end too early. */
static enum status decode_device(struct decoder *d, enum exit_kind kind, uint16_t opcode,
                                 struct insn *in) {
    const struct device_row *r = find_device(d, in, opcode);
    if (r == NULL || (kind == EXIT_IO) != (r->place == PLACE_PORT) ||
        (r->wide_only && (d->rex & REX_W) == 0)) {
        return STATUS_UNSUPPORTED;
    }
    set_row(d, r, opcode, in);
    if (r->place == PLACE_OFFSET) {
        in->mem.disp = take(d, in->mem.address_size);
    } else if (r->place == PLACE_MODRM) {
        uint8_t modrm = (uint8_t)take(d, 1);
        if (modrm >> 6 == 3) {
            return STATUS_UNSUPPORTED;
        }
        if (!take_register(d, (enum other)r->other, modrm >> 3 & 7, in)) {
            return STATUS_INVALID;
        }
        take_memory(d, modrm, in->mode, &in->mem);
    } else {
        in->mem.base = X86_RSI;
    }
    set_segment(d, in);
    take_other(d, (enum other)r->other, in);
    return in->lock && !r->lock ? STATUS_INVALID : STATUS_OK;
}

/* Number and direction of MOV CR; false if there is no such control register. */
static bool set_cr(const struct decoder *d, const struct exit_row *r, struct insn *in) {
    in->cr.access = r->access;
    if (r->access == CR_SMSW) {
        in->cr.size = width_of(d, in, WIDTH_OPERAND, 0);
    }
    if (r->registers) {
        /* LOCK before CR0 is CR8, for code that has no REX; APM "MOV CRn". */
        in->cr.cr = in->lock && in->reg == 0 ? 8 : in->reg;
        in->lock = in->lock && in->reg != 0;
    }
    return (BIT(in->cr.cr) & CR_NUMBERS) != 0;
}

static enum status decode_exit(struct decoder *d, enum exit_kind kind, uint16_t opcode,
                               struct insn *in) {
    const struct exit_row *r = find_exit(d, opcode);
    if (r == NULL || r->kind != kind) {
        return STATUS_UNSUPPORTED;
    }
    if (r->modrm != 0 || r->operand || r->registers) {
        uint8_t modrm = (uint8_t)take(d, 1);
        in->reg = register_number(d, modrm >> 3, REX_R);
        if (r->registers || modrm >> 6 == 3) {
            in->cr.gpr = register_number(d, modrm, REX_B);
        } else {
            take_memory(d, modrm, in->mode, &in->mem);
        }
    }
    set_segment(d, in);
    if (kind == EXIT_CR && !set_cr(d, r, in)) {
        return STATUS_UNSUPPORTED;
    }
    return in->lock ? STATUS_INVALID : STATUS_OK;
}

enum status insn_decode(const uint8_t *bytes, size_t n, unsigned mode, enum exit_kind kind,
                        struct insn *out) {
    struct decoder d = {
        .bytes = bytes, .end = min_u64(n, INSN_MAX_LENGTH), .segment = INSN_SEGMENTS};
    struct insn in = {
        .mode = (uint8_t)mode,
        .mem = {.segment = INSN_DS, .base = INSN_NO_REG, .index = INSN_NO_REG, .scale = 1},
        .cr = {.gpr = INSN_NO_REG}};
    uint16_t opcode = take_opcode(&d, &in);
    in.mem.address_size = address_size(&d, &in);
    bool device = kind == EXIT_NESTED_FAULT || kind == EXIT_IO;
    enum status s =
        device ? decode_device(&d, kind, opcode, &in) : decode_exit(&d, kind, opcode, &in);
    if (d.cut) {
        return d.end == INSN_MAX_LENGTH ? STATUS_INVALID : STATUS_NOT_FOUND;
    }
    if (s == STATUS_OK) {
        in.length = (uint8_t)d.at;
        in.is_plain = in.op == INSN_MOV && !in.high_byte && (in.has_imm || in.reg != X86_RSP);
        *out = in;
    }
    return s;
}
