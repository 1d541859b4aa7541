/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the decoder's two tables. What compilers and kernels use on devices is in them; others
 * (multiplication, jumps through memory, x87, MMX, VEX) stop the VM. See insn_table.h.
 */
#include "hv/compartment/emulate/insn_table.h"

/* One of the eight operations of 00h-3Fh and 80h-83h. */
#define ALU(code, number, name, how, may_lock)                                                     \
    {.opcode = (code),                                                                             \
     .more = 1,                                                                                    \
     .op = name,                                                                                   \
     .access = how,                                                                                \
     .memory = WIDTH_BIT_0,                                                                        \
     .lock = may_lock},                                                                            \
        {.opcode = (code) + 2,                                                                     \
         .more = 1,                                                                                \
         .op = name,                                                                               \
         .access = ACCESS_LOAD,                                                                    \
         .memory = WIDTH_BIT_0},                                                                   \
        {.opcode = 0x80,                                                                           \
         .more = 1,                                                                                \
         .digit = DIGIT(number),                                                                   \
         .op = name,                                                                               \
         .access = how,                                                                            \
         .memory = WIDTH_BIT_0,                                                                    \
         .other = OTHER_IMM,                                                                       \
         .lock = may_lock},                                                                        \
    {                                                                                              \
        .opcode = 0x83, .digit = DIGIT(number), .op = name, .access = how,                         \
        .memory = WIDTH_OPERAND, .other = OTHER_IMM8, .lock = may_lock                             \
    }

/* One of the eight of C0h, C1h, D0h-D3h. */
#define SHIFT(number, name)                                                                        \
    {.opcode = 0xc0,                                                                               \
     .more = 1,                                                                                    \
     .digit = DIGIT(number),                                                                       \
     .op = name,                                                                                   \
     .access = ACCESS_MODIFY,                                                                      \
     .memory = WIDTH_BIT_0,                                                                        \
     .other = OTHER_IMM8},                                                                         \
        {.opcode = 0xd0,                                                                           \
         .more = 1,                                                                                \
         .digit = DIGIT(number),                                                                   \
         .op = name,                                                                               \
         .access = ACCESS_MODIFY,                                                                  \
         .memory = WIDTH_BIT_0,                                                                    \
         .other = OTHER_ONE},                                                                      \
    {                                                                                              \
        .opcode = 0xd2, .more = 1, .digit = DIGIT(number), .op = name, .access = ACCESS_MODIFY,    \
        .memory = WIDTH_BIT_0, .other = OTHER_CL                                                   \
    }

/* BT and its like, of a register and of an immediate. */
#define BIT_OF(code, number, name, how, may_lock)                                                  \
    {.opcode = MAP_0F | (code),                                                                    \
     .op = name,                                                                                   \
     .access = how,                                                                                \
     .memory = WIDTH_OPERAND,                                                                      \
     .lock = may_lock},                                                                            \
    {                                                                                              \
        .opcode = MAP_0F | 0xba, .digit = DIGIT(number), .op = name, .access = how,                \
        .memory = WIDTH_OPERAND, .other = OTHER_IMM8, .lock = may_lock                             \
    }

#define VECTOR_ROW(code, before, name, how, width, strict)                                         \
    {                                                                                              \
        .opcode = (code), .prefix = before, .op = name, .unit = UNIT_VECTOR, .access = how,        \
        .memory = width, .other = OTHER_XMM, .aligned = strict                                     \
    }
#define VECTOR(code, before, name, how, width) VECTOR_ROW(code, before, name, how, width, false)
#define VECTOR_ALIGNED(code, before, how)      VECTOR_ROW(code, before, INSN_VECTOR, how, WIDTH_16, true)

const struct device_row device_rows[] = {
    /* MOV first: it is what most drivers use. */
    {.opcode = 0x88, .more = 1, .op = INSN_MOV, .access = ACCESS_STORE, .memory = WIDTH_BIT_0},
    {.opcode = 0x8a, .more = 1, .op = INSN_MOV, .access = ACCESS_LOAD, .memory = WIDTH_BIT_0},
    {.opcode = 0xc6,
     .more = 1,
     .digit = DIGIT(0),
     .op = INSN_MOV,
     .access = ACCESS_STORE,
     .memory = WIDTH_BIT_0,
     .other = OTHER_IMM},
    {.opcode = 0xa0,
     .more = 1,
     .place = PLACE_OFFSET,
     .op = INSN_MOV,
     .access = ACCESS_LOAD,
     .memory = WIDTH_BIT_0},
    {.opcode = 0xa2,
     .more = 1,
     .place = PLACE_OFFSET,
     .op = INSN_MOV,
     .access = ACCESS_STORE,
     .memory = WIDTH_BIT_0},
    {.opcode = MAP_0F | 0xb6,
     .more = 1,
     .op = INSN_MOVZX,
     .access = ACCESS_LOAD,
     .memory = WIDTH_BIT_0_2,
     .reg = WIDTH_OPERAND},
    {.opcode = MAP_0F | 0xbe,
     .more = 1,
     .op = INSN_MOVSX,
     .access = ACCESS_LOAD,
     .memory = WIDTH_BIT_0_2,
     .reg = WIDTH_OPERAND},
    /* MOVSXD without REX.W and ARPL share 63h: neither is of use on a device. */
    {.opcode = 0x63,
     .op = INSN_MOVSX,
     .access = ACCESS_LOAD,
     .memory = WIDTH_4,
     .reg = WIDTH_OPERAND,
     .wide_only = true},
    {.opcode = MAP_0F | 0xc3,
     .prefix = PREFIX_NONE,
     .op = INSN_MOV,
     .access = ACCESS_STORE,
     .memory = WIDTH_4_OR_8},
    {.opcode = MAP_0F38 | 0xf0,
     .prefix = PREFIX_NO_REPEAT,
     .op = INSN_MOVBE,
     .access = ACCESS_LOAD,
     .memory = WIDTH_OPERAND},
    {.opcode = MAP_0F38 | 0xf1,
     .prefix = PREFIX_NO_REPEAT,
     .op = INSN_MOVBE,
     .access = ACCESS_STORE,
     .memory = WIDTH_OPERAND},
    {.opcode = 0x8c,
     .op = INSN_MOV_SEGMENT,
     .unit = UNIT_SYSTEM,
     .access = ACCESS_STORE,
     .memory = WIDTH_2,
     .other = OTHER_SEGMENT},
    {.opcode = MAP_0F | 0x01,
     .digit = DIGIT(4),
     .op = INSN_SMSW,
     .unit = UNIT_SYSTEM,
     .access = ACCESS_STORE,
     .memory = WIDTH_2,
     .other = OTHER_NONE},
    /* arithmetic */
    ALU(0x00, 0, INSN_ADD, ACCESS_MODIFY, true),
    ALU(0x08, 1, INSN_OR, ACCESS_MODIFY, true),
    ALU(0x10, 2, INSN_ADC, ACCESS_MODIFY, true),
    ALU(0x18, 3, INSN_SBB, ACCESS_MODIFY, true),
    ALU(0x20, 4, INSN_AND, ACCESS_MODIFY, true),
    ALU(0x28, 5, INSN_SUB, ACCESS_MODIFY, true),
    ALU(0x30, 6, INSN_XOR, ACCESS_MODIFY, true),
    ALU(0x38, 7, INSN_CMP, ACCESS_COMPARE, false),
    {.opcode = 0x84, .more = 1, .op = INSN_TEST, .access = ACCESS_COMPARE, .memory = WIDTH_BIT_0},
    {.opcode = 0xf6,
     .more = 1,
     .digit = DIGIT(0),
     .op = INSN_TEST,
     .access = ACCESS_COMPARE,
     .memory = WIDTH_BIT_0,
     .other = OTHER_IMM},
    {.opcode = 0xf6,
     .more = 1,
     .digit = DIGIT(2),
     .op = INSN_NOT,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .other = OTHER_ONE,
     .lock = true},
    {.opcode = 0xf6,
     .more = 1,
     .digit = DIGIT(3),
     .op = INSN_NEG,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .other = OTHER_ONE,
     .lock = true},
    {.opcode = 0xfe,
     .more = 1,
     .digit = DIGIT(0),
     .op = INSN_INC,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .other = OTHER_ONE,
     .lock = true},
    {.opcode = 0xfe,
     .more = 1,
     .digit = DIGIT(1),
     .op = INSN_DEC,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .other = OTHER_ONE,
     .lock = true},
    /* shifts */
    SHIFT(0, INSN_ROL),
    SHIFT(1, INSN_ROR),
    SHIFT(2, INSN_RCL),
    SHIFT(3, INSN_RCR),
    SHIFT(4, INSN_SHL),
    SHIFT(5, INSN_SHR),
    SHIFT(6, INSN_SHL),
    SHIFT(7, INSN_SAR),
    /* bits */
    BIT_OF(0xa3, 4, INSN_BT, ACCESS_COMPARE, false),
    BIT_OF(0xab, 5, INSN_BTS, ACCESS_MODIFY, true),
    BIT_OF(0xb3, 6, INSN_BTR, ACCESS_MODIFY, true),
    BIT_OF(0xbb, 7, INSN_BTC, ACCESS_MODIFY, true),
    /* exchange */
    {.opcode = 0x86,
     .more = 1,
     .op = INSN_XCHG,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .lock = true},
    {.opcode = MAP_0F | 0xc0,
     .more = 1,
     .op = INSN_XADD,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .lock = true},
    {.opcode = MAP_0F | 0xb0,
     .more = 1,
     .op = INSN_CMPXCHG,
     .access = ACCESS_MODIFY,
     .memory = WIDTH_BIT_0,
     .lock = true},
    /* conditions */
    {.opcode = MAP_0F | 0x40,
     .more = 15,
     .op = INSN_CMOV,
     .access = ACCESS_LOAD,
     .memory = WIDTH_OPERAND},
    {.opcode = MAP_0F | 0x90,
     .more = 15,
     .op = INSN_SET,
     .access = ACCESS_STORE,
     .memory = WIDTH_1,
     .other = OTHER_NONE},
    /* stack */
    {.opcode = 0xff,
     .digit = DIGIT(6),
     .op = INSN_PUSH,
     .unit = UNIT_STACK,
     .access = ACCESS_LOAD,
     .memory = WIDTH_STACK,
     .other = OTHER_NONE},
    {.opcode = 0x8f,
     .digit = DIGIT(0),
     .op = INSN_POP,
     .unit = UNIT_STACK,
     .access = ACCESS_STORE,
     .memory = WIDTH_STACK,
     .other = OTHER_NONE},
    /* strings */
    {.opcode = 0xa4,
     .more = 1,
     .place = PLACE_STRING,
     .op = INSN_MOVS,
     .unit = UNIT_STRING,
     .memory = WIDTH_BIT_0},
    {.opcode = 0xa6,
     .more = 1,
     .place = PLACE_STRING,
     .op = INSN_CMPS,
     .unit = UNIT_STRING,
     .memory = WIDTH_BIT_0},
    {.opcode = 0xaa,
     .more = 1,
     .place = PLACE_STRING,
     .op = INSN_STOS,
     .unit = UNIT_STRING,
     .memory = WIDTH_BIT_0},
    {.opcode = 0xac,
     .more = 1,
     .place = PLACE_STRING,
     .op = INSN_LODS,
     .unit = UNIT_STRING,
     .memory = WIDTH_BIT_0},
    {.opcode = 0xae,
     .more = 1,
     .place = PLACE_STRING,
     .op = INSN_SCAS,
     .unit = UNIT_STRING,
     .memory = WIDTH_BIT_0},
    {.opcode = 0x6c,
     .more = 1,
     .place = PLACE_PORT,
     .op = INSN_INS,
     .unit = UNIT_STRING,
     .memory = WIDTH_PORT},
    {.opcode = 0x6e,
     .more = 1,
     .place = PLACE_PORT,
     .op = INSN_OUTS,
     .unit = UNIT_STRING,
     .memory = WIDTH_PORT},
    /* vectors: whole registers, not aligned and aligned; then parts of them */
    VECTOR(MAP_0F | 0x10, PREFIX_NONE, INSN_VECTOR, ACCESS_LOAD, WIDTH_16),      /* MOVUPS */
    VECTOR(MAP_0F | 0x10, PREFIX_66, INSN_VECTOR, ACCESS_LOAD, WIDTH_16),        /* MOVUPD */
    VECTOR(MAP_0F | 0x6f, PREFIX_F3, INSN_VECTOR, ACCESS_LOAD, WIDTH_16),        /* MOVDQU */
    VECTOR(MAP_0F | 0xf0, PREFIX_F2, INSN_VECTOR, ACCESS_LOAD, WIDTH_16),        /* LDDQU */
    VECTOR_ALIGNED(MAP_0F | 0x28, PREFIX_NONE, ACCESS_LOAD),                     /* MOVAPS */
    VECTOR_ALIGNED(MAP_0F | 0x28, PREFIX_66, ACCESS_LOAD),                       /* MOVAPD */
    VECTOR_ALIGNED(MAP_0F | 0x6f, PREFIX_66, ACCESS_LOAD),                       /* MOVDQA */
    VECTOR_ALIGNED(MAP_0F38 | 0x2a, PREFIX_66, ACCESS_LOAD),                     /* MOVNTDQA */
    VECTOR(MAP_0F | 0x11, PREFIX_NONE, INSN_VECTOR, ACCESS_STORE, WIDTH_16),     /* MOVUPS */
    VECTOR(MAP_0F | 0x11, PREFIX_66, INSN_VECTOR, ACCESS_STORE, WIDTH_16),       /* MOVUPD */
    VECTOR(MAP_0F | 0x7f, PREFIX_F3, INSN_VECTOR, ACCESS_STORE, WIDTH_16),       /* MOVDQU */
    VECTOR_ALIGNED(MAP_0F | 0x29, PREFIX_NONE, ACCESS_STORE),                    /* MOVAPS */
    VECTOR_ALIGNED(MAP_0F | 0x29, PREFIX_66, ACCESS_STORE),                      /* MOVAPD */
    VECTOR_ALIGNED(MAP_0F | 0x7f, PREFIX_66, ACCESS_STORE),                      /* MOVDQA */
    VECTOR_ALIGNED(MAP_0F | 0x2b, PREFIX_NONE, ACCESS_STORE),                    /* MOVNTPS */
    VECTOR_ALIGNED(MAP_0F | 0x2b, PREFIX_66, ACCESS_STORE),                      /* MOVNTPD */
    VECTOR_ALIGNED(MAP_0F | 0xe7, PREFIX_66, ACCESS_STORE),                      /* MOVNTDQ */
    VECTOR(MAP_0F | 0x10, PREFIX_F3, INSN_VECTOR, ACCESS_LOAD, WIDTH_4),         /* MOVSS */
    VECTOR(MAP_0F | 0x10, PREFIX_F2, INSN_VECTOR, ACCESS_LOAD, WIDTH_8),         /* MOVSD */
    VECTOR(MAP_0F | 0x11, PREFIX_F3, INSN_VECTOR, ACCESS_STORE, WIDTH_4),        /* MOVSS */
    VECTOR(MAP_0F | 0x11, PREFIX_F2, INSN_VECTOR, ACCESS_STORE, WIDTH_8),        /* MOVSD */
    VECTOR(MAP_0F | 0x6e, PREFIX_66, INSN_VECTOR, ACCESS_LOAD, WIDTH_4_OR_8),    /* MOVD, MOVQ */
    VECTOR(MAP_0F | 0x7e, PREFIX_66, INSN_VECTOR, ACCESS_STORE, WIDTH_4_OR_8),   /* MOVD, MOVQ */
    VECTOR(MAP_0F | 0x7e, PREFIX_F3, INSN_VECTOR, ACCESS_LOAD, WIDTH_8),         /* MOVQ */
    VECTOR(MAP_0F | 0xd6, PREFIX_66, INSN_VECTOR, ACCESS_STORE, WIDTH_8),        /* MOVQ */
    VECTOR(MAP_0F | 0x12, PREFIX_NONE, INSN_VECTOR_LOW, ACCESS_LOAD, WIDTH_8),   /* MOVLPS */
    VECTOR(MAP_0F | 0x13, PREFIX_NONE, INSN_VECTOR_LOW, ACCESS_STORE, WIDTH_8),  /* MOVLPS */
    VECTOR(MAP_0F | 0x12, PREFIX_66, INSN_VECTOR_LOW, ACCESS_LOAD, WIDTH_8),     /* MOVLPD */
    VECTOR(MAP_0F | 0x13, PREFIX_66, INSN_VECTOR_LOW, ACCESS_STORE, WIDTH_8),    /* MOVLPD */
    VECTOR(MAP_0F | 0x16, PREFIX_NONE, INSN_VECTOR_HIGH, ACCESS_LOAD, WIDTH_8),  /* MOVHPS */
    VECTOR(MAP_0F | 0x17, PREFIX_NONE, INSN_VECTOR_HIGH, ACCESS_STORE, WIDTH_8), /* MOVHPS */
    VECTOR(MAP_0F | 0x16, PREFIX_66, INSN_VECTOR_HIGH, ACCESS_LOAD, WIDTH_8),    /* MOVHPD */
    VECTOR(MAP_0F | 0x17, PREFIX_66, INSN_VECTOR_HIGH, ACCESS_STORE, WIDTH_8),   /* MOVHPD */
};
const size_t device_row_count = ARRAY_SIZE(device_rows);

const struct exit_row exit_rows[] = {
    {.opcode = 0xf4, .kind = EXIT_HLT},
    {.opcode = MAP_0F | 0x06, .kind = EXIT_CR, .access = CR_CLTS},
    {.opcode = MAP_0F | 0x08, .kind = EXIT_CACHE}, /* INVD */
    {.opcode = MAP_0F | 0x09, .kind = EXIT_CACHE}, /* WBINVD */
    {.opcode = MAP_0F | 0x20, .kind = EXIT_CR, .access = CR_READ, .registers = true},
    {.opcode = MAP_0F | 0x22, .kind = EXIT_CR, .access = CR_WRITE, .registers = true},
    {.opcode = MAP_0F | 0x30, .kind = EXIT_WRMSR},
    {.opcode = MAP_0F | 0x32, .kind = EXIT_RDMSR},
    {.opcode = MAP_0F | 0x33, .kind = EXIT_PRIVILEGED}, /* RDPMC */
    {.opcode = MAP_0F | 0xa2, .kind = EXIT_CPUID},
    {.opcode = MAP_0F | 0x01, .modrm = 0xc1, .kind = EXIT_HYPERCALL}, /* VMCALL */
    {.opcode = MAP_0F | 0x01, .modrm = 0xd1, .kind = EXIT_XSETBV},
    {.opcode = MAP_0F | 0x01, .modrm = 0xd9, .kind = EXIT_HYPERCALL}, /* VMMCALL */
    {.opcode = MAP_0F | 0x01,
     .digit = DIGIT(4),
     .kind = EXIT_CR,
     .access = CR_SMSW,
     .operand = true},
    {.opcode = MAP_0F | 0x01,
     .digit = DIGIT(6),
     .kind = EXIT_CR,
     .access = CR_LMSW,
     .operand = true},
};
const size_t exit_row_count = ARRAY_SIZE(exit_rows);
