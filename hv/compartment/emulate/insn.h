/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoder for the instructions with which guests touch devices in memory, and for those that exit
 * by themselves. Owns the form of an instruction only: it reads no guest state and executes nothing
 * (that is mmio_op.c). Pure, called by code.c with bytes copied from the guest.
 * Source: Intel SDM vol. 2 "Instruction Format" and "Opcode Map".
 */
#pragma once

#include "hv/abi/exit.h"
#include "hv/lib/status.h"

#define INSN_MAX_LENGTH 15

enum insn_op {
    INSN_NONE, /* what exits by itself */
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_TEST,
    INSN_INC,
    INSN_DEC,
    INSN_NOT,
    INSN_NEG,
    INSN_ROL,
    INSN_ROR,
    INSN_RCL,
    INSN_RCR,
    INSN_SHL, /* SAL too */
    INSN_SHR,
    INSN_SAR,
    INSN_BT,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_MOV, /* MOVNTI too */
    INSN_MOVBE,
    INSN_MOVZX,
    INSN_MOVSX, /* MOVSXD too */
    INSN_CMOV,
    INSN_SET,
    INSN_XCHG,
    INSN_XADD,
    INSN_CMPXCHG,
    INSN_SMSW,
    INSN_MOV_SEGMENT, /* to memory */
    INSN_PUSH,
    INSN_POP,
    INSN_MOVS,
    INSN_CMPS,
    INSN_STOS,
    INSN_LODS,
    INSN_SCAS,
    INSN_INS, /* these two are an EXIT_IO */
    INSN_OUTS,
    INSN_VECTOR,      /* memory and the low bytes of an XMM register; a load clears the others */
    INSN_VECTOR_LOW,  /* the low half of an XMM register, the high one stays */
    INSN_VECTOR_HIGH, /* the other way round */
    INSN_OPS
};

/* What carries it out. */
enum insn_unit {
    UNIT_OPERAND, /* one memory operand; mmio_op.c */
    UNIT_SYSTEM,  /* the same, stored from elsewhere than a general register */
    UNIT_STACK,
    UNIT_STRING,
    UNIT_VECTOR,
};

/* In the order of their encoding. */
enum insn_segment { INSN_ES, INSN_CS, INSN_SS, INSN_DS, INSN_FS, INSN_GS, INSN_SEGMENTS };

#define INSN_NO_REG 0xff

struct insn_memory {
    uint8_t segment;      /* enum insn_segment */
    uint8_t base, index;  /* x86 register number or INSN_NO_REG */
    uint8_t scale;        /* 1, 2, 4, 8 */
    uint8_t address_size; /* bytes: 2, 4, 8 */
    bool rip_relative;    /* the displacement counts from the next instruction */
    uint64_t disp;        /* sign-extended */
};

/*
 * What touches a device always has a memory operand; register-only forms are refused. mem of a
 * string instruction is DS:RSI (or another segment), used or not; ES:RDI is not told. Of what exits
 * by itself only length, mem and, for EXIT_CR, cr are set: cr.gpr is INSN_NO_REG if LMSW has a
 * memory operand, which is then in mem.
 */
struct insn {
    uint8_t op, unit;   /* enum insn_op, insn_unit */
    uint8_t length;     /* bytes, 1-15 */
    uint8_t mode;       /* 16, 32, 64 as given */
    uint8_t size;       /* bytes of the memory operand: 1, 2, 4, 8, 16 */
    uint8_t reg_size;   /* bytes of the register operand; differs for MOVZX, MOVSX */
    bool reads, writes; /* what is done to the memory operand */
    bool to_memory;     /* the memory operand is the first: what is written or compared with */
    bool has_imm;       /* the other operand is imm, not reg */
    bool high_byte;     /* reg is AH, CH, DH, BH (then reg is 0-3) */
    bool aligned;       /* a memory operand that is not aligned to its size is a #GP */
    bool lock;
    bool is_plain; /* MOV of memory and a whole register, not RSP; or of an immediate to memory */
    uint8_t rep;   /* F2h or F3h; 0 = neither */
    uint8_t reg;   /* x86 register number; of XMM; enum insn_segment */
    uint8_t condition; /* of CMOV, SET: as encoded */
    uint64_t imm;      /* sign-extended */
    struct insn_memory mem;
    struct exit_cr cr;
};

/*
 * Decodes the instruction in bytes[0..n), all of it guest-controlled; mode is the width of the code
 * segment: 16, 32 or 64. kind is the exit that it is to be the cause of: EXIT_NESTED_FAULT for
 * those that touch devices, EXIT_IO for INS and OUTS.
 *   STATUS_NOT_FOUND    the bytes end before the instruction does: fetch more, up to 15
 *   STATUS_INVALID      the CPU itself would refuse it (too long, LOCK where it may not be)
 *   STATUS_UNSUPPORTED  no instruction of this table, of another kind, or without a memory operand
 */
MUST_USE enum status insn_decode(const uint8_t *bytes, size_t n, unsigned mode, enum exit_kind kind,
                                 struct insn *out);

/* Of the segments, these two have a base in 64-bit mode as well. */
static inline bool insn_has_base(const struct insn_memory *m) {
    return m->segment == INSN_FS || m->segment == INSN_GS;
}
