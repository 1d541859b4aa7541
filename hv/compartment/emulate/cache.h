/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU's emulator remembers of 64-bit code: its last instructions, and where each was found.
 * Nothing stale is ever believed: every table entry on the way and every byte is compared with what
 * it is now.
 */
#pragma once

#include "hv/compartment/emulate/insn.h"
#include "hv/compartment/emulate/walk.h"

/* A guest has no tables of five levels: LA57 is hidden from it. */
#define CODE_STEPS 4

/* An instruction, and the bytes of it that count. Of a size that is quickly multiplied by. */
struct ALIGNED(256) code_entry {
    uint64_t rip, cr3;
    const uint8_t *bytes;               /* in the VM's RAM; there are as many as code has */
    struct walk_step steps[CODE_STEPS]; /* that led there; what is left of them always holds */
    uint64_t code[2], mask[2];
    struct insn insn;
    uint8_t kind; /* enum exit_kind that it was the cause of; EXIT_UNKNOWN: nothing is here */
};

/* Bytes of code that never share an entry. */
#define CODE_ENTRIES 64

/* All zero: nothing is remembered. */
struct code_cache {
    struct code_entry entries[CODE_ENTRIES]; /* by the low bits of RIP */
};

/*
 * The instruction at at, as the cause of an exit of that kind, without a walk: in 64-bit mode,
 * where RIP is linear and the kind of paging fixed. So it is the guest's code as it is now,
 * whatever another vCPU does; that RIP may be executed, the CPU has found. NULL if anything differs
 * or was never seen.
 */
static inline const struct insn *code_cache_find(const struct code_cache *c,
                                                 const struct hvm_code *at, enum exit_kind kind) {
    const struct code_entry *e = &c->entries[at->rip % CODE_ENTRIES];
    uint64_t low, high;

    if (UNLIKELY(e->rip != at->rip || e->cr3 != at->cr3 || e->kind != kind || !at->is_64_bit)) {
        return NULL;
    }
#pragma GCC unroll 4
    for (unsigned n = 0; n < CODE_STEPS; n++) {
        const struct walk_step *s = &e->steps[n];
        if (UNLIKELY(__atomic_load_n((const uint64_t *)s->slot, __ATOMIC_ACQUIRE) != s->entry)) {
            return NULL;
        }
    }
    __builtin_memcpy(&low, e->bytes, sizeof(low)); /* once */
    __builtin_memcpy(&high, e->bytes + sizeof(low), sizeof(high));
    bool same = (((low & e->mask[0]) ^ e->code[0]) | ((high & e->mask[1]) ^ e->code[1])) == 0;
    return LIKELY(same) ? &e->insn : NULL;
}

/* Remembers in, whose bytes are code, at at, in the page that a walk has found. */
void code_cache_keep(struct code_cache *c, const struct hvm_code *at, enum exit_kind kind,
                     const struct guest_memory *memory, const struct walk_page *page,
                     const uint8_t code[INSN_MAX_LENGTH], const struct insn *in);
