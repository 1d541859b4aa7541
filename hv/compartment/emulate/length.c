/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the length of an instruction that exited, and the operands of MOV CR, LMSW and SMSW, where
 * the CPU does not tell them. Also the two small questions of emulate.h.
 */
#include "hv/compartment/emulate/emulate.h"
#include "hv/compartment/emulate/operand.h"

/* Does in want no more than registers, which need no walk? LMSW and SMSW may have memory. */
static bool is_plain(const struct insn *in) {
    bool word = in->cr.access == CR_LMSW || in->cr.access == CR_SMSW;
    return !word || in->cr.gpr != INSN_NO_REG;
}

/* The word of memory that LMSW loads or SMSW stores. False if the instruction ends here. */
static bool access_word(struct emulation *e, const struct code *c, const struct insn *in,
                        uint64_t *word) {
    bool store = in->cr.access == CR_SMSW;
    const struct access a = {.mem = &in->mem, .size = 2, .kind = store ? WALK_WRITE : WALK_READ};
    struct operand at;
    if (!operand_find(e, c, in, &a, &at)) {
        return false;
    }
    *word = c->paging.cr0;
    operand_access(e, &at, 2, store, word);
    return true;
}

/* The exit names the control register and whether it is read. */
static bool cr_fits(const struct exit_cr *exit, const struct insn *in) {
    bool reads = in->cr.access == CR_READ || in->cr.access == CR_SMSW;
    return in->cr.cr == exit->cr && reads == (exit->access == CR_READ);
}

/* The instruction tells all the rest. c is of those that are not plain. */
static enum emulated fill_cr(struct emulation *e, const struct code *c, const struct insn *in) {
    struct exit_cr *cr = &e->exit->cr;
    if (!cr_fits(cr, in)) {
        return EMULATED_RETRY;
    }
    *cr = in->cr;
    if (cr->gpr == X86_RSP && cr->access == CR_LMSW) {
        e->regs[X86_RSP] = emulation_get(e, HVM_RSP);
    }
    uint64_t word = e->regs[cr->gpr & 15];
    if (!is_plain(in) && !access_word(e, c, in, &word)) {
        return e->outcome;
    }
    cr->lmsw = (uint16_t)word;
    return EMULATED_NEXT;
}

static __attribute__((noinline)) enum emulated decode_length(struct emulation *e) {
    struct code c;
    struct insn in;
    enum emulated outcome = EMULATED_NEXT;
    if (code_decode(e, &c, &in) != STATUS_OK) {
        return EMULATED_RETRY;
    }
    if (e->exit->kind == EXIT_CR) {
        outcome = fill_cr(e, &c, &in);
    }
    if (outcome == EMULATED_NEXT) {
        e->exit->insn_len = in.length;
    }
    return outcome;
}

/* Of an instruction that is remembered. */
static __attribute__((noinline)) enum emulated recall_cr(struct emulation *e,
                                                         const struct insn *in) {
    if (!is_plain(in)) {
        return decode_length(e);
    }
    enum emulated outcome = fill_cr(e, NULL, in);
    if (outcome == EMULATED_NEXT) {
        e->exit->insn_len = in->length;
    }
    return outcome;
}

enum emulated emulate_length(struct emulation *e) {
    const struct insn *in = code_cache_find(&e->cache, e->code, e->exit->kind);
    if (UNLIKELY(in == NULL)) {
        return decode_length(e);
    }
    if (UNLIKELY(e->exit->kind == EXIT_CR)) {
        return recall_cr(e, in);
    }
    e->exit->insn_len = in->length;
    return EMULATED_NEXT;
}

size_t emulate_code(struct emulation *e, uint8_t *out, size_t n) {
    struct code c;
    code_read(e, &c);
    return code_fetch(e, &c, out, n);
}

bool emulate_pdptes_valid(const struct emulation *e, uint64_t cr3) {
    return walk_pdptes_valid(&e->memory, cr3, e->phys_bits);
}
