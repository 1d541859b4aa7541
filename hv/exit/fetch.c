/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the fetch of guest code in all modes of the CPU, and the length of an instruction that
 * exited when the CPU does not tell it. Reads only; a byte that cannot be reached ends the fetch.
 * Must not change guest state, but for accessed bits. Called by the handlers that need code bytes
 * and by a vendor's run loop.
 */
#include "hv/exit/cpuid.h"
#include "hv/exit/exit.h"
#include "hv/exit/insn.h"
#include "hv/mem/walk.h"

#define ATTR_BIG BIT32(14)

/* One fetch: the guest's state, read once; where the first byte was found. */
struct fetch {
    struct walk_state s;
    struct hvm_segment cs;
    uint64_t rip;
    unsigned mode;
    struct walk_page page;
};

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
    f->mode = vcpu_in_64_bit_mode(v) ? 64 : (f->cs.attr & ATTR_BIG) != 0 ? 32 : 16;
}

/* Copies up to n bytes at a linear address. */
static size_t fetch_linear(struct vcpu *v, struct fetch *f, uint64_t linear, unsigned access,
                           void *out, size_t n) {
    size_t done = 0;
    while (done < n) {
        struct walk_page page;
        uint64_t at = f->mode == 64 ? linear + done : (uint32_t)(linear + done);
        size_t part = min_u64(n - done, PAGE_SIZE - at % PAGE_SIZE);
        if (walk_translate(&v->vm->mem, &f->s, GVA(at), access, &page) != STATUS_OK ||
            gmem_read(&v->vm->mem, page.gpa, (uint8_t *)out + done, part) != STATUS_OK) {
            break;
        }
        f->page = done == 0 ? page : f->page;
        done += part;
    }
    return done;
}

/* Code at RIP; outside 64-bit mode it ends with its segment, and IP does not wrap there. */
static size_t fetch_bytes(struct vcpu *v, struct fetch *f, void *out, size_t n) {
    fetch_start(v, f);
    unsigned access = WALK_EXECUTE | (f->s.cpl == 3 ? (unsigned)WALK_USER : 0);
    uint64_t base = f->mode == 64 ? 0 : f->cs.base, limit = f->cs.limit;
    if (f->mode != 64) {
        n = f->rip > limit ? 0 : min_u64(n, limit - f->rip + 1);
    }
    return fetch_linear(v, f, base + f->rip, access, out, n);
}

size_t fetch_code(struct vcpu *v, uint8_t *out, size_t n, unsigned *mode) {
    struct fetch f;
    size_t done = fetch_bytes(v, &f, out, n);
    *mode = f.mode;
    return done;
}

/* The operand of LMSW, from the register or the memory that it names. Executed at CPL 0 only. */
static bool fetch_lmsw(struct vcpu *v, struct fetch *f, const struct insn *in, uint16_t *value) {
    const struct insn_memory *m = &in->mem;
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    if (in->cr.gpr != INSN_NO_REG) {
        *value = (uint16_t)v->regs[in->cr.gpr];
        return true;
    }
    struct hvm_segment segment;
    hvm->get_segment(v, (enum hvm_seg)m->segment, &segment);
    uint64_t offset = m->disp + (m->rip_relative ? f->rip + in->length : 0);
    offset += m->base != INSN_NO_REG ? v->regs[m->base] : 0;
    offset += m->index != INSN_NO_REG ? v->regs[m->index] * m->scale : 0;
    offset &= UINT64_MAX >> (64 - 8 * m->address_size);
    offset += f->mode != 64 || m->segment >= INSN_FS ? segment.base : 0;
    return fetch_linear(v, f, offset, WALK_READ, value, 2) == 2;
}

/* The exit names the control register and whether it is read; the instruction all the rest. */
static bool fetch_cr(struct vcpu *v, struct fetch *f, const struct insn *in, struct exit_cr *cr) {
    if (in->cr.cr != cr->cr || (in->cr.access == CR_READ) != (cr->access == CR_READ)) {
        return false;
    }
    *cr = in->cr;
    return cr->access != CR_LMSW || fetch_lmsw(v, f, in, &cr->lmsw);
}

/* By the guest's page tables; notes where and what, so that the next time goes without them. */
static bool fetch_length_walk(struct vcpu *v, struct vmexit *x, struct fetch_hint *hint) {
    uint8_t code[FETCH_MAX] = {0};
    struct fetch f;
    struct insn in;
    size_t n = fetch_bytes(v, &f, code, sizeof(code));
    if (x->kind == EXIT_CR && insn_decode(code, n, f.mode, EXIT_PRIVILEGED, &in) == STATUS_OK) {
        x->kind = EXIT_UNKNOWN; /* SMSW where reads of CR0 exit: nothing can carry it out */
        return true;
    }
    if (insn_decode(code, n, f.mode, x->kind, &in) != STATUS_OK ||
        (x->kind == EXIT_CR && !fetch_cr(v, &f, &in, &x->cr))) {
        return false;
    }
    x->insn_len = in.length;
    gpa_t page = GPA(ALIGN_DOWN(f.page.gpa.v, PAGE_SIZE));
    const uint8_t *host = gmem_pointer(&v->vm->mem, page, PAGE_SIZE);
    if (x->kind != EXIT_CR && f.mode == 64 && in.length <= 4 && f.page.slot != NULL &&
        host != NULL) {
        v->insns[x->kind] = (struct fetch_insn){0, UINT32_MAX >> (32 - 8 * in.length), in.length};
        __builtin_memcpy(&v->insns[x->kind].code, code, in.length);
        *hint =
            (struct fetch_hint){f.rip | (PAGE_SIZE - 1), f.s.cr3, f.page.entry, f.page.slot, host};
    }
    return true;
}

/*
 * The fast way: where RIP's page was found the last time, and the bytes of the last instruction
 * that made an exit of this kind. Both hold in 64-bit mode (CS.L), where RIP is linear, the kind of
 * paging is fixed, and the same bytes have the same length. The pointers are into this VM's own RAM
 * for ever, whatever the guest does; all it can make wrong is its own length. CR3 and the page's
 * entry are as they were. Upper levels are not looked at: if they changed and led to other code at
 * this RIP, the CPU has just executed an instruction of this kind there while one stands here too,
 * and their lengths differ only if one has prefixes that do nothing. A CPU's own TLB may hold on to
 * old entries in the same way.
 */
bool fetch_length(struct vcpu *v, struct vmexit *x) {
    uint64_t rip = hvm->get(v, HVM_RIP);
    struct fetch_hint *h = &v->hints[rip / PAGE_SIZE % ARRAY_SIZE(v->hints)];
    const struct fetch_insn *last = &v->insns[x->kind];
    if (LIKELY(h->page == ((rip + 3) | (PAGE_SIZE - 1)))) { /* all four bytes are in it */
        struct hvm_segment cs;
        uint32_t code;
        hvm->get_segment(v, HVM_CS, &cs);
        __builtin_memcpy(&code, h->host + rip % PAGE_SIZE, sizeof(code));
        if (LIKELY((code & last->mask) == last->code && last->length != 0 &&
                   (cs.attr & SEG_LONG) != 0 &&
                   __atomic_load_n(h->slot, __ATOMIC_RELAXED) == h->entry &&
                   hvm->get(v, HVM_CR3) == h->cr3)) {
            x->insn_len = last->length;
            return true;
        }
    }
    return fetch_length_walk(v, x, h);
}
