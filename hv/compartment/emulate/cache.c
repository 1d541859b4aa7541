/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what is remembered of code, and what is needed for the proof that it still holds. Reads
 * guest memory and changes none. See cache.h.
 */
#include "hv/compartment/emulate/cache.h"

/* What stands for a step that was not made. */
static const uint64_t no_entry = 0;
static const struct walk_step no_step = {.slot = &no_entry, .entry = 0};

void code_cache_keep(struct code_cache *c, const struct hvm_code *at, enum exit_kind kind,
                     const struct guest_memory *memory, const struct walk_page *page,
                     const uint8_t code[INSN_MAX_LENGTH], const struct insn *in) {
    struct code_entry *e = &c->entries[at->rip % CODE_ENTRIES];
    /* Both words can be read, even where the instruction is the last of its page. */
    const uint8_t *bytes = guest_memory_look(memory, page->gpa, sizeof(e->code));

    if (bytes == NULL || page->depth > CODE_STEPS || in->length > PAGE_SIZE - at->rip % PAGE_SIZE) {
        return;
    }
    *e = (struct code_entry){
        .rip = at->rip, .cr3 = at->cr3, .bytes = bytes, .insn = *in, .kind = (uint8_t)kind};
    for (unsigned n = 0; n < CODE_STEPS; n++) {
        e->steps[n] = n < page->depth ? page->steps[n] : no_step;
    }
    __builtin_memset(e->mask, 0xff, in->length);
    __builtin_memcpy(e->code, code, in->length);
}
