/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU's emulator remembers of 64-bit code: where a page of it was found, and what its last
 * instructions were. Nothing stale is ever believed: every table entry on the way and every byte is
 * compared with what it is now.
 */
#pragma once

#include "hv/compartment/emulate/insn.h"
#include "hv/compartment/emulate/walk.h"

/* Where a page of code was found. */
struct ALIGNED(64) code_page {
    uint64_t last, cr3; /* its last linear address; 0 = none */
    const uint8_t *bytes;
    const struct walk_step *end; /* of the steps that led there */
    struct walk_step steps[WALK_MAX_LEVELS];
};

/* An instruction: those of its bytes that count. Length 0: none yet. */
struct code_insn {
    uint64_t code[2], mask[2];
    struct insn insn;
};

#define CODE_PAGES 8
/* Found by two bytes and the kind: with another kind the same bytes are not there. */
#define CODE_INSNS 32
_Static_assert(EXIT_KINDS <= CODE_INSNS, "a kind is part of where an instruction is kept");

/* All zero: nothing is remembered. */
struct code_cache {
    struct code_page pages[CODE_PAGES]; /* by the low bits of RIP's page number */
    struct code_insn insns[CODE_INSNS];
};

/*
 * The instruction at at, as the cause of an exit of that kind, without a walk: in 64-bit mode,
 * where RIP is linear and the kind of paging fixed. So it is the guest's code as it is now,
 * whatever another vCPU does; that RIP may be executed, the CPU has found. NULL if anything differs
 * or was never seen.
 */
const struct insn *code_cache_find(struct code_cache *c, const struct hvm_code *at,
                                   enum exit_kind kind);

/* Remembers in, whose bytes are code, at at, in the page that a walk has found. */
void code_cache_keep(struct code_cache *c, const struct hvm_code *at, enum exit_kind kind,
                     const struct guest_memory *memory, const struct walk_page *page,
                     const uint8_t code[INSN_MAX_LENGTH], const struct insn *in);
