/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the fetch of guest code in all modes of the CPU, and the length of an instruction that
 * exited when the CPU does not tell it. Reads only; a byte that cannot be reached ends the fetch.
 * Must not change guest state, but for accessed bits. Called by the handlers that need code bytes
 * and by a vendor's run loop.
 */
#include "hv/exit/cpuid.h"
#include "hv/exit/operand.h"

static void fetch_start(struct vcpu *v, struct fetch *f) {
    hvm->get_segment(v, HVM_CS, &f->cs);
    const struct cpuid_entry *e = cpuid_find(&v->cpuid, 0x80000008, 0);
    f->s = (struct walk_state){.cr0 = hvm->get(v, HVM_CR0),
                               .cr3 = hvm->get(v, HVM_CR3),
                               .cr4 = hvm->get(v, HVM_CR4),
                               .efer = hvm->get(v, HVM_EFER),
                               .rflags = hvm->get(v, HVM_RFLAGS),
                               .cpl = (uint8_t)vcpu_cpl(v),
                               .phys_bits = (uint8_t)max_u64(e->out[0] & 0xff, 36)};
    f->rip = hvm->get(v, HVM_RIP);
    f->mode = vcpu_in_64_bit_mode(v) ? 64 : (f->cs.attr & SEG_BIG) != 0 ? 32 : 16;
}

/* Outside 64-bit mode code ends with its segment, and IP does not wrap there. */
size_t fetch_bytes(struct vcpu *v, struct fetch *f, void *out, size_t n) {
    fetch_start(v, f);
    unsigned access = WALK_EXECUTE | (f->s.cpl == 3 ? (unsigned)WALK_USER : 0);
    uint64_t linear = f->rip + (f->mode == 64 ? 0 : f->cs.base), limit = f->cs.limit;
    if (f->mode != 64) {
        n = f->rip > limit ? 0 : min_u64(n, limit - f->rip + 1);
    }
    size_t done = 0;
    while (done < n) {
        struct walk_page next, *page = done == 0 ? &f->page : &next;
        uint64_t at = f->mode == 64 ? linear + done : (uint32_t)(linear + done);
        size_t part = min_u64(n - done, PAGE_SIZE - at % PAGE_SIZE);
        if (walk_translate(&v->vm->mem, &f->s, GVA(at), access, page) != STATUS_OK ||
            gmem_read(&v->vm->mem, page->gpa, (uint8_t *)out + done, part) != STATUS_OK) {
            break;
        }
        done += part;
    }
    return done;
}

size_t fetch_code(struct vcpu *v, uint8_t *out, size_t n, unsigned *mode) {
    struct fetch f;
    size_t done = fetch_bytes(v, &f, out, n);
    *mode = f.mode;
    return done;
}

enum status fetch_insn(struct vcpu *v, const struct vmexit *x, struct fetch *f,
                       uint8_t code[FETCH_MAX], struct insn *in) {
    size_t n = fetch_bytes(v, f, code, FETCH_MAX);
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    return insn_decode(code, n, f->mode, x->kind, in);
}

/* The operand of LMSW, from the register or the memory that it names. Executed at CPL 0 only. */
static bool fetch_lmsw(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                       const struct insn *in, uint16_t *value) {
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    uint64_t word = v->regs[in->cr.gpr & 15];
    struct operand at;
    if (in->cr.gpr == INSN_NO_REG) {
        if (!operand_find(v, x, f, in, &in->mem, 2, WALK_READ, &at)) {
            return false;
        }
        operand_access(v, &at, 2, false, &word);
    }
    *value = (uint16_t)word;
    return true;
}

/* The exit names the control register and whether it is read; the instruction all the rest. */
static bool fetch_cr(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                     const struct insn *in) {
    struct exit_cr *cr = &x->cr;
    if (in->cr.cr != cr->cr || (in->cr.access == CR_READ) != (cr->access == CR_READ)) {
        return false;
    }
    *cr = in->cr;
    return cr->access != CR_LMSW || fetch_lmsw(v, x, f, in, &cr->lmsw);
}

static struct fetch_hint *fetch_hint_of(struct vcpu *v, uint64_t rip) {
    return &v->hints[rip / PAGE_SIZE % ARRAY_SIZE(v->hints)];
}

void fetch_remember(struct vcpu *v, const struct fetch *f) {
    struct fetch_hint *h = fetch_hint_of(v, f->rip);
    gpa_t page = GPA(ALIGN_DOWN(f->page.gpa.v, PAGE_SIZE));
    const uint8_t *host = gmem_pointer(&v->vm->mem, page, PAGE_SIZE);
    if (f->mode == 64 && f->page.depth != 0 && host != NULL) {
        *h = (struct fetch_hint){
            f->rip | (PAGE_SIZE - 1), f->s.cr3, host, h->steps + f->page.depth, {{0}}};
        __builtin_memcpy(h->steps, f->page.steps, sizeof(h->steps));
    }
}

const uint8_t *fetch_recall(struct vcpu *v) {
    struct hvm_code code;
    hvm->get_code(v, &code);
    const struct fetch_hint *h = fetch_hint_of(v, code.rip);
    if (UNLIKELY(h->page != ((code.rip + FETCH_MAX) | (PAGE_SIZE - 1)) || h->cr3 != code.cr3 ||
                 !code.is_64_bit)) {
        return NULL;
    }
    for (const struct walk_step *s = h->steps; s < h->end; s++) {
        if (UNLIKELY(__atomic_load_n((const uint64_t *)s->slot, __ATOMIC_ACQUIRE) != s->entry)) {
            return NULL;
        }
    }
    return h->host + code.rip % PAGE_SIZE;
}

/* By the guest's page tables; notes where and what, so that the next time goes without them. */
static bool fetch_length_walk(struct vcpu *v, struct vmexit *x) {
    uint8_t code[FETCH_MAX] = {0};
    struct fetch f;
    struct insn in;
    size_t n = fetch_bytes(v, &f, code, sizeof(code));
    if (x->kind == EXIT_CR && insn_decode(code, n, f.mode, EXIT_PRIVILEGED, &in) == STATUS_OK) {
        x->kind = EXIT_UNKNOWN; /* SMSW where reads of CR0 exit: nothing can carry it out */
        return true;
    }
    if (insn_decode(code, n, f.mode, x->kind, &in) != STATUS_OK ||
        (x->kind == EXIT_CR && !fetch_cr(v, x, &f, &in))) {
        return false;
    }
    x->insn_len = in.length;
    if (x->kind != EXIT_CR && f.mode == 64 && in.length <= 4) {
        v->insns[x->kind] = (struct fetch_insn){0, UINT32_MAX >> (32 - 8 * in.length), in.length};
        __builtin_memcpy(&v->insns[x->kind].code, code, in.length);
        fetch_remember(v, &f);
    }
    return true;
}

/*
 * The fast way: where RIP's page was found the last time, and the bytes of the last instruction
 * that made an exit of this kind, which have the same length in 64-bit mode. All that can be wrong
 * after a race is the guest's own length.
 */
bool fetch_length(struct vcpu *v, struct vmexit *x) {
    const struct fetch_insn *last = &v->insns[x->kind];
    const uint8_t *at = LIKELY(last->length != 0) ? fetch_recall(v) : NULL;
    if (LIKELY(at != NULL)) {
        uint32_t code;
        __builtin_memcpy(&code, at, sizeof(code));
        if (LIKELY((code & last->mask) == last->code)) {
            x->insn_len = last->length;
            return true;
        }
    }
    return fetch_length_walk(v, x);
}
