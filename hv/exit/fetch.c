/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the fetch of guest code in all modes of the CPU, and the length of an instruction that
 * exited when the CPU does not tell it. Reads only; a byte that cannot be reached ends the fetch.
 * Must not change guest state, but for accessed bits. Called by the handlers that need code bytes
 * and by a vendor's run loop.
 */
#include "hv/exit/operand.h"
#include "hv/exit/policy.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"

/* Outside 64-bit mode code ends with its segment, and IP does not wrap there. */
size_t fetch_bytes(struct vcpu *v, struct fetch *f, void *out, size_t n) {
    hvm->get_segment(v, HVM_CS, &f->cs);
    const struct cpuid_entry *e = cpuid_find(&v->cpuid, 0x80000008, 0);
    f->s = (struct walk_state){.cr0 = hvm->get(v, HVM_CR0),
                               .cr3 = hvm->get(v, HVM_CR3),
                               .cr4 = hvm->get(v, HVM_CR4),
                               .efer = hvm->get(v, HVM_EFER),
                               .rflags = hvm->get(v, HVM_RFLAGS),
                               .pkru = plat_pkru(),
                               .user = vcpu_cpl(v) == 3,
                               .phys_bits = (uint8_t)max_u64(e->out[0] & 0xff, 36)};
    f->rip = hvm->get(v, HVM_RIP);
    f->mode = vcpu_in_64_bit_mode(v) ? 64 : (f->cs.attr & SEG_BIG) != 0 ? 32 : 16;
    uint64_t linear = f->rip + (f->mode == 64 ? 0 : f->cs.base), limit = f->cs.limit;
    if (f->mode != 64) {
        n = f->rip > limit ? 0 : min_u64(n, limit - f->rip + 1);
    }
    size_t done = 0;
    while (done < n) {
        const void *host;
        struct walk_page next, *page = done == 0 ? &f->page : &next;
        uint64_t at = f->mode == 64 ? linear + done : (uint32_t)(linear + done);
        size_t part = min_u64(n - done, PAGE_SIZE - at % PAGE_SIZE);
        if (walk_translate(&v->vm->mem, &f->s, GVA(at), WALK_EXECUTE, page) != STATUS_OK ||
            (host = gmem_pointer(&v->vm->mem, page->gpa, part)) == NULL) {
            break;
        }
        memcpy((uint8_t *)out + done, host, part);
        done += part;
    }
    return done;
}

/* An instruction of 64-bit code. */
struct fetch_insn {
    uint64_t code[2], mask[2];
    struct insn insn; /* length 0: none yet */
};
/* Found by two bytes and the kind: with another kind the same bytes are not there. */
#define INSNS 32
_Static_assert(EXIT_KINDS <= INSNS && INSNS * sizeof(struct fetch_insn) <= PAGE_SIZE,
               "allocated by vm_create()");

static struct fetch_insn *fetch_slot(struct vcpu *v, uint64_t code, enum exit_kind kind) {
    return &v->insns[(code ^ code >> 8 ^ kind) % INSNS];
}

static struct fetch_hint *fetch_hint_of(struct vcpu *v, uint64_t rip) {
    return &v->hints[rip / PAGE_SIZE % ARRAY_SIZE(v->hints)];
}

const struct insn *fetch_recall(struct vcpu *v, enum exit_kind kind) {
    struct hvm_code at;
    uint64_t code[2];
    hvm->get_code(v, &at);
    const struct fetch_hint *h = fetch_hint_of(v, at.rip);
    if (UNLIKELY(h->page != (at.rip | (PAGE_SIZE - 1)) || h->cr3 != at.cr3 || !at.is_64_bit)) {
        return NULL;
    }
    for (const struct walk_step *s = h->steps; s < h->end; s++) {
        if (UNLIKELY(__atomic_load_n((const uint64_t *)s->slot, __ATOMIC_ACQUIRE) != s->entry)) {
            return NULL;
        }
    }
    __builtin_memcpy(code, h->host + at.rip % PAGE_SIZE, sizeof(code)); /* once */
    const struct fetch_insn *i = fetch_slot(v, code[0], kind);
    bool same =
        (((code[0] & i->mask[0]) ^ i->code[0]) | ((code[1] & i->mask[1]) ^ i->code[1])) == 0;
    /* Not over the page's end; less 1, length 0 is too long. */
    same = same && (uint64_t)i->insn.length - 1 <= h->page - at.rip;
    return LIKELY(same) ? &i->insn : NULL;
}

enum status fetch_insn(struct vcpu *v, enum exit_kind kind, struct fetch *f, struct insn *in) {
    uint8_t code[INSN_MAX_LENGTH] = {0};
    size_t n = fetch_bytes(v, f, code, sizeof(code));
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    enum status s = insn_decode(code, n, f->mode, kind, in);
    if (s != STATUS_OK || f->mode != 64 || f->page.depth == 0) {
        return s;
    }
    /* Where its page was found, and what the instruction is. */
    struct fetch_hint *h = fetch_hint_of(v, f->rip);
    struct fetch_insn *i = fetch_slot(v, code[0] | (uint64_t)code[1] << 8, kind);
    gpa_t page = GPA(ALIGN_DOWN(f->page.gpa.v, PAGE_SIZE));
    const uint8_t *host = gmem_pointer(&v->vm->mem, page, PAGE_SIZE + sizeof(i->code));
    if (host != NULL) {
        *h = (struct fetch_hint){
            f->rip | (PAGE_SIZE - 1), f->s.cr3, host, h->steps + f->page.depth, {{0}}};
        __builtin_memcpy(h->steps, f->page.steps, sizeof(h->steps));
        *i = (struct fetch_insn){.insn = *in};
        __builtin_memset(i->mask, 0xff, in->length);
        __builtin_memcpy(i->code, code, in->length);
    }
    return s;
}

/* Does in want no more than registers, which need no walk? LMSW and SMSW may have memory. */
static bool fetch_is_plain(const struct insn *in) {
    bool word = in->cr.access == CR_LMSW || in->cr.access == CR_SMSW;
    return !word || in->cr.gpr != INSN_NO_REG;
}

/* The exit names the control register and whether it is read; the instruction all the rest. */
static bool fetch_cr(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                     const struct insn *in) {
    struct exit_cr *cr = &x->cr;
    bool reads = in->cr.access == CR_READ || in->cr.access == CR_SMSW;
    if (in->cr.cr != cr->cr || reads != (cr->access == CR_READ)) {
        return false;
    }
    *cr = in->cr;
    uint64_t word = v->regs[cr->gpr & 15];
    if (!fetch_is_plain(in)) {
        bool store = cr->access == CR_SMSW;
        struct operand at;
        const struct access word_access = {
            .mem = &in->mem, .size = 2, .kind = store ? WALK_WRITE : WALK_READ};
        if (!operand_find(v, x, f, in, &word_access, &at)) {
            return false;
        }
        word = hvm->get(v, HVM_CR0); /* what SMSW stores */
        operand_access(v, &at, 2, store, &word);
    }
    cr->lmsw = (uint16_t)word;
    return true;
}

bool fetch_length(struct vcpu *v, struct vmexit *x) {
    struct fetch f;
    struct insn found;
    const struct insn *in = fetch_recall(v, x->kind);
    if (LIKELY(in != NULL && fetch_is_plain(in))) {
        if (UNLIKELY(x->kind == EXIT_CR)) {
            v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
            if (!fetch_cr(v, x, NULL, in)) {
                return false;
            }
        }
    } else {
        in = &found;
        if (fetch_insn(v, x->kind, &f, &found) != STATUS_OK) {
            return false;
        }
        if (x->kind == EXIT_CR && !fetch_cr(v, x, &f, in)) {
            return false;
        }
    }
    x->insn_len = in->length;
    return true;
}
