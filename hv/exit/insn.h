/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoder for the instructions with which guests touch devices in memory, and for those that exit
 * by themselves. Owns the form of an instruction only: it reads no guest state and executes nothing
 * (that is mmio_op.c). Pure, called by the handler of nested faults and by fetch.c with bytes
 * copied from the guest.
 * Source: Intel SDM vol. 2 "Instruction Format" and "Opcode Map".
 */
#pragma once

#include "hv/vm/hvm.h"

#define INSN_MAX_LENGTH 15

/* The first eight are in the order of the opcode map (bits 5:3 of 00h-3Fh, /r of 80h-83h). */
enum insn_op {
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_TEST,
    INSN_BT,
    INSN_MOV,
    INSN_MOVZX,
    INSN_MOVSX, /* MOVSXD too */
    INSN_XCHG,
    INSN_PUSH, /* from here on: not one plain memory operand */
    INSN_POP,
    INSN_MOVS,
    INSN_STOS,
    INSN_INS, /* these two are an EXIT_IO */
    INSN_OUTS,
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
 * by itself only op, length and, for EXIT_CR, cr are set: cr.gpr is INSN_NO_REG if LMSW has a
 * memory operand, which is then in mem.
 */
struct insn {
    uint8_t op;       /* enum insn_op, or enum exit_kind */
    uint8_t length;   /* bytes, 1-15 */
    uint8_t mode;     /* 16, 32, 64 as given */
    uint8_t size;     /* bytes of the memory operand: 1, 2, 4, 8 */
    uint8_t reg_size; /* bytes of the register operand; differs for MOVZX, MOVSX */
    bool to_memory;   /* the memory operand is the destination (CMP, TEST: first operand) */
    bool has_imm;     /* the other operand is imm, not reg */
    bool high_byte;   /* reg is AH, CH, DH, BH (then reg is 0-3) */
    bool lock;
    uint8_t rep;  /* F2h or F3h; 0 = neither */
    uint8_t reg;  /* x86 register number */
    uint64_t imm; /* sign-extended */
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
