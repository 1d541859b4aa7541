/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the fetch of guest code in all modes of the CPU. A byte that cannot be reached ends the
 * fetch. Must not change guest state but for accessed bits. See code.h.
 */
#include "hv/compartment/emulate/code.h"

#include "hv/compartment/emulate/descriptor.h"
#include "hv/lib/str.h"

void code_read(struct emulation *e, struct code *c) {
    struct hvm_segment ss;
    emulation_get_segment(e, HVM_CS, &c->cs);
    emulation_get_segment(e, HVM_SS, &ss);
    c->rip = e->code->rip;
    c->paging = (struct walk_state){.cr0 = emulation_get(e, HVM_CR0),
                                    .cr3 = e->code->cr3,
                                    .cr4 = emulation_get(e, HVM_CR4),
                                    .efer = emulation_get(e, HVM_EFER),
                                    .rflags = emulation_get(e, HVM_RFLAGS),
                                    .pkru = e->ops->get_pkru(e->context),
                                    .user = descriptor_dpl(ss.attr) == 3,
                                    .phys_bits = e->phys_bits};
    c->mode = (c->cs.attr & SEG_BIG) != 0 ? 32 : 16;
    if (e->code->is_64_bit) {
        c->mode = 64;
    }
}

/* Outside 64-bit mode code ends with its segment, and IP does not wrap there. */
size_t code_fetch(struct emulation *e, struct code *c, void *out, size_t n) {
    bool flat = c->mode == 64;
    uint64_t linear = c->rip + (flat ? 0 : c->cs.base);
    uint64_t limit = c->cs.limit;
    if (!flat) {
        n = c->rip > limit ? 0 : min_u64(n, limit - c->rip + 1);
    }

    size_t done = 0;
    while (done < n) {
        struct walk_page next;
        struct walk_page *page = done == 0 ? &c->page : &next;
        uint64_t at = flat ? linear + done : (uint32_t)(linear + done);
        size_t part = min_u64(n - done, PAGE_SIZE - at % PAGE_SIZE);
        if (walk_translate(&e->memory, &c->paging, GVA(at), WALK_EXECUTE, page) != STATUS_OK) {
            break;
        }
        const void *bytes = guest_memory_look(&e->memory, page->gpa, part);
        if (bytes == NULL) {
            break;
        }
        memcpy((uint8_t *)out + done, bytes, part);
        done += part;
    }
    return done;
}

enum status code_decode(struct emulation *e, struct code *c, struct insn *in) {
    uint8_t bytes[INSN_MAX_LENGTH] = {0};
    code_read(e, c);
    size_t n = code_fetch(e, c, bytes, sizeof(bytes));
    e->regs[X86_RSP] = emulation_get(e, HVM_RSP);
    enum status s = insn_decode(bytes, n, c->mode, e->exit->kind, in);
    if (s == STATUS_OK && c->mode == 64 && c->page.depth != 0) {
        code_cache_keep(&e->cache, e->code, e->exit->kind, &e->memory, &c->page, bytes, in);
    }
    return s;
}
