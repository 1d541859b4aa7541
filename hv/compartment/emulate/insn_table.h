/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instructions that the decoder knows, as two tables: those that may touch a device in memory
 * or are string I/O, and those that exit by themselves. Data only; read by insn.c.
 * Source: Intel SDM vol. 2 "Opcode Map", and the instructions' own pages.
 */
#pragma once

#include "hv/compartment/emulate/insn.h"

/* An opcode is its last byte and one of these. */
#define MAP_0F   0x100
#define MAP_0F38 0x200

/* Bytes of an operand. */
enum width {
    WIDTH_NONE, /* has no such operand, or does not say */
    WIDTH_1,
    WIDTH_2,
    WIDTH_4,
    WIDTH_8,
    WIDTH_16,
    WIDTH_OPERAND, /* the operand size: 2, 4, 8 */
    WIDTH_BIT_0,   /* 1 if bit 0 of the opcode is clear, else the operand size */
    WIDTH_BIT_0_2, /* 1 if bit 0 of the opcode is clear, else 2 */
    WIDTH_PORT,    /* as WIDTH_BIT_0, at most 4 */
    WIDTH_STACK,   /* the operand size, but 4 is 8 in 64-bit mode */
    WIDTH_4_OR_8,  /* 8 with REX.W */
};

/* Where the memory operand stands. */
enum place {
    PLACE_MODRM,
    PLACE_OFFSET, /* its address in the instruction */
    PLACE_STRING, /* RSI, RDI */
    PLACE_PORT,   /* the same with a port: EXIT_IO */
};

enum access {
    ACCESS_LOAD,    /* memory is the source */
    ACCESS_STORE,   /* memory is the destination */
    ACCESS_MODIFY,  /* destination and source */
    ACCESS_COMPARE, /* as that, but nothing is written */
};

/* The operand that is not memory. */
enum other {
    OTHER_REG,
    OTHER_IMM,  /* of the operand size, at most 4 bytes */
    OTHER_IMM8, /* one byte */
    OTHER_ONE,  /* 1, not in the instruction */
    OTHER_CL,
    OTHER_XMM,
    OTHER_SEGMENT,
    OTHER_NONE,
};

/* Of the prefixes 66h, F2h and F3h, those that tell instructions of one opcode apart. */
enum prefix {
    PREFIX_FREE,      /* all may be there: operand size, repetition, or nothing */
    PREFIX_NO_REPEAT, /* neither F2h nor F3h */
    PREFIX_NONE,
    PREFIX_66,
    PREFIX_F2,
    PREFIX_F3,
};

/* ModRM.reg must be n. 0 = any. */
#define DIGIT(n) (8 | (n))

struct device_row {
    uint16_t opcode; /* the first, with MAP_0F, MAP_0F38 */
    uint8_t more;    /* so many opcodes behind it as well */
    uint8_t digit, prefix, place;
    uint8_t op, unit; /* enum insn_op, insn_unit */
    uint8_t access, memory, other;
    uint8_t reg;        /* enum width; WIDTH_NONE = as memory */
    bool lock, aligned; /* LOCK is allowed; insn.aligned */
    bool wide_only;     /* with REX.W only */
};

/* What exits by itself. */
struct exit_row {
    uint16_t opcode;
    uint8_t digit;
    uint8_t modrm;  /* must be this; 0 = any */
    uint8_t kind;   /* enum exit_kind */
    uint8_t access; /* EXIT_CR: enum cr_access */
    bool operand;   /* ModRM names one */
    bool registers; /* two of them, whatever ModRM.mod says: MOV CR */
};

extern const struct device_row device_rows[];
extern const struct exit_row exit_rows[];
extern const size_t device_row_count, exit_row_count;
