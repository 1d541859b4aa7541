/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See trace.h. Reads the text and the stack that it is given, nothing else.
 * Source: Intel SDM vol. 2 "CALL—Call Procedure", "ModR/M and SIB Bytes".
 */
#include "arch/x86_64/trace.h"

#include "hv/lib/str.h"

#define CALL_REL32      0xe8u
#define CALL_REL32_SIZE 5u
#define GROUP5          0xffu
#define GROUP5_CALL     2u /* ModRM.reg */

enum { MODRM_MOD_SHIFT = 6, MODRM_REG_SHIFT = 3, MODRM_FIELD = 7 };
enum { MOD_DISP0 = 0, MOD_DISP8 = 1, MOD_DISP32 = 2, MOD_REGISTER = 3 };
enum { RM_SIB = 4, RM_DISP32 = 5 };

static bool trace_calls_text(const struct trace_text *text, uint64_t offset) {
    int32_t distance = 0;

    if (offset < CALL_REL32_SIZE || text->base[offset - CALL_REL32_SIZE] != CALL_REL32) {
        return false;
    }
    memcpy(&distance, text->base + offset - sizeof(distance), sizeof(distance));
    return offset + (uint64_t)(int64_t)distance < text->size;
}

/* Bytes of opcode FF with this ModRM and the SIB byte that may follow it. */
static unsigned trace_group5_size(uint8_t modrm, uint8_t sib) {
    unsigned mod = modrm >> MODRM_MOD_SHIFT;
    unsigned rm = modrm & MODRM_FIELD;
    unsigned size = 2;

    if (mod == MOD_REGISTER) {
        return size;
    }
    if (rm == RM_SIB) {
        size++;
        rm = sib & MODRM_FIELD; /* its base: 5 stands for a displacement there, too */
    }
    if (mod == MOD_DISP8) {
        return size + 1;
    }
    return mod == MOD_DISP32 || rm == RM_DISP32 ? size + 4 : size;
}

/* Through a register or through memory; a REX prefix before it changes nothing. */
static bool trace_calls_pointer(const struct trace_text *text, uint64_t offset) {
    static const uint8_t sizes[] = {2, 3, 4, 6, 7};

    for (size_t i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= offset; i++) {
        const uint8_t *insn = text->base + offset - sizes[i];
        bool is_call =
            insn[0] == GROUP5 && (insn[1] >> MODRM_REG_SHIFT & MODRM_FIELD) == GROUP5_CALL;
        uint8_t sib = sizes[i] > 2 ? insn[2] : 0;

        if (is_call && trace_group5_size(insn[1], sib) == sizes[i]) {
            return true;
        }
    }
    return false;
}

bool trace_follows_call(const struct trace_text *text, uint64_t offset) {
    if (offset >= text->size) {
        return false;
    }
    return trace_calls_text(text, offset) || trace_calls_pointer(text, offset);
}

size_t trace_find(const struct trace_text *text, const uint64_t *stack, size_t words, uint32_t *out,
                  size_t max) {
    size_t found = 0;

    for (size_t i = 0; i < words && found < max; i++) {
        uint64_t offset = stack[i] - (uintptr_t)text->base; /* below the text it is huge */

        if (trace_follows_call(text, offset)) {
            out[found++] = (uint32_t)offset;
        }
    }
    return found;
}
