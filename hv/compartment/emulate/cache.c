/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what is remembered of code and the proof that it still holds. Reads guest memory, each word
 * once, and changes none. See cache.h.
 */
#include "hv/compartment/emulate/cache.h"

static struct code_insn *insn_slot(struct code_cache *c, uint64_t code, enum exit_kind kind) {
    return &c->insns[(code ^ code >> 8 ^ kind) % CODE_INSNS];
}

static struct code_page *page_slot(struct code_cache *c, uint64_t rip) {
    return &c->pages[rip / PAGE_SIZE % CODE_PAGES];
}

const struct insn *code_cache_find(struct code_cache *c, const struct hvm_code *at,
                                   enum exit_kind kind) {
    uint64_t code[2];
    const struct code_page *p = page_slot(c, at->rip);
    if (UNLIKELY(p->last != (at->rip | (PAGE_SIZE - 1)) || p->cr3 != at->cr3 || !at->is_64_bit)) {
        return NULL;
    }
    for (const struct walk_step *s = p->steps; s < p->end; s++) {
        if (UNLIKELY(__atomic_load_n((const uint64_t *)s->slot, __ATOMIC_ACQUIRE) != s->entry)) {
            return NULL;
        }
    }
    __builtin_memcpy(code, p->bytes + at->rip % PAGE_SIZE, sizeof(code)); /* once */
    const struct code_insn *i = insn_slot(c, code[0], kind);
    bool same =
        (((code[0] & i->mask[0]) ^ i->code[0]) | ((code[1] & i->mask[1]) ^ i->code[1])) == 0;
    /* Not over the page's end; less 1, length 0 is too long. */
    same = same && (uint64_t)i->insn.length - 1 <= p->last - at->rip;
    return LIKELY(same) ? &i->insn : NULL;
}

void code_cache_keep(struct code_cache *c, const struct hvm_code *at, enum exit_kind kind,
                     const struct guest_memory *memory, const struct walk_page *page,
                     const uint8_t code[INSN_MAX_LENGTH], const struct insn *in) {
    struct code_page *p = page_slot(c, at->rip);
    struct code_insn *i = insn_slot(c, code[0] | (uint64_t)code[1] << 8, kind);
    gpa_t gpa = GPA(ALIGN_DOWN(page->gpa.v, PAGE_SIZE));
    /* Both words of the last instruction can be read, even where it begins at the page's end. */
    const uint8_t *bytes = guest_memory_look(memory, gpa, PAGE_SIZE + sizeof(i->code));
    if (bytes == NULL) {
        return;
    }
    *p = (struct code_page){.last = at->rip | (PAGE_SIZE - 1),
                            .cr3 = at->cr3,
                            .bytes = bytes,
                            .end = p->steps + page->depth};
    __builtin_memcpy(p->steps, page->steps, sizeof(p->steps));
    *i = (struct code_insn){.insn = *in};
    __builtin_memset(i->mask, 0xff, in->length);
    __builtin_memcpy(i->code, code, in->length);
}
