/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way from an operand's registers to guest memory, as the CPU goes it: effective address,
 * segment, page tables, for each page that it touches. Must not write guest memory before all of an
 * operand is found. See operand.h.
 * Source: Intel SDM vol. 3 "Limit Checking", "Type Checking"; vol. 1 "Operand Addressing".
 */
#include "hv/exit/operand.h"

#include "hv/lib/str.h"

#define TYPE_CODE   BIT32(3)
#define TYPE_EXPAND BIT32(2) /* data: down */
#define TYPE_ACCESS BIT32(1) /* data: may be written; code: may be read */

/* The bit's number in a register, signed, reaches beyond the operand: SDM vol. 2 "BT". */
static bool names_far_bit(const struct insn *in) {
    bool bit = in->op == INSN_BT || in->op == INSN_BTS || in->op == INSN_BTR || in->op == INSN_BTC;
    return bit && !in->has_imm;
}

static uint64_t far_bit_offset(const struct insn *in, uint64_t reg) {
    unsigned unused = 64 - 8u * in->size;
    int64_t bit = (int64_t)(reg << unused) >> unused;
    int64_t bits = 8 * in->size;
    int64_t operands = bit >= 0 ? bit / bits : -((bits - 1 - bit) / bits);
    return (uint64_t)operands * in->size;
}

uint64_t operand_offset(struct vcpu *v, const struct insn *in, const struct insn_memory *m) {
    uint64_t offset = m->disp;
    if (m->rip_relative) {
        offset += hvm->get(v, HVM_RIP) + in->length;
    }
    if (m->base != INSN_NO_REG) {
        offset += v->regs[m->base];
    }
    if (m->index != INSN_NO_REG) {
        offset += v->regs[m->index] * m->scale;
    }
    if (names_far_bit(in)) {
        offset += far_bit_offset(in, v->regs[in->reg]);
    }
    return offset & operand_mask(m->address_size);
}

/* Outside 64-bit mode. */
static bool segment_allows(const struct hvm_segment *s, uint32_t offset, unsigned size,
                           unsigned access, bool real) {
    bool code = (s->attr & TYPE_CODE) != 0, may = (s->attr & TYPE_ACCESS) != 0;
    bool allowed = access == WALK_WRITE ? !code && may : !code || may;
    if ((s->attr & SEG_UNUSABLE) != 0 || (!allowed && !real)) {
        return false;
    }
    uint64_t low = 0, high = s->limit, last = (uint64_t)offset + size - 1;
    if (!code && (s->attr & TYPE_EXPAND) != 0) {
        low = high + 1;
        high = (s->attr & SEG_BIG) != 0 ? UINT32_MAX : UINT16_MAX;
    }
    return offset >= low && last <= high;
}

/* Where it begins, into *linear; STATUS_INVALID if its segment does not allow it. */
static enum status operand_linear(struct vcpu *v, const struct fetch *f, const struct insn *in,
                                  const struct access *a, uint64_t *linear) {
    struct hvm_segment segment = {.base = 0};
    uint64_t offset = operand_offset(v, in, a->mem);
    bool flat = f->mode == 64;
    if (!flat || a->mem->segment >= INSN_FS) {
        hvm->get_segment(v, (enum hvm_seg)a->mem->segment, &segment);
    }
    bool real = (f->s.cr0 & X86_CR0_PE) == 0;
    if (!flat && !segment_allows(&segment, (uint32_t)offset, a->size, a->kind, real)) {
        return STATUS_INVALID;
    }
    *linear = (segment.base + offset) & (flat ? UINT64_MAX : UINT32_MAX);
    return STATUS_OK;
}

/* Each page that size bytes at linear touch. */
static enum status operand_translate(struct vcpu *v, const struct fetch *f, const struct access *a,
                                     uint64_t linear, struct operand *out) {
    uint64_t mask = f->mode == 64 ? UINT64_MAX : UINT32_MAX;
    out->first = (unsigned)(PAGE_SIZE - linear % PAGE_SIZE);
    for (unsigned i = 0; i < (a->size > out->first ? 2 : 1); i++) {
        struct walk_page page;
        uint64_t at = (linear + i * out->first) & mask;
        enum status s = walk_translate(&v->vm->mem, &f->s, GVA(at), a->kind, &page);
        if (s == STATUS_DENIED) {
            hvm->set(v, HVM_CR2, at);
            vcpu_inject_exception(v, X86_PF, page.pf_error);
        }
        if (s != STATUS_OK) {
            return s;
        }
        out->gpa[i] = page.gpa;
    }
    return STATUS_OK;
}

bool operand_find(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                  const struct insn *in, const struct access *a, struct operand *out) {
    uint64_t linear = 0;
    enum status s = operand_linear(v, f, in, a, &linear);
    if (s == STATUS_OK && a->aligned && linear % a->size != 0) {
        vcpu_inject_exception(v, X86_GP, 0);
        return false;
    }
    if (s == STATUS_OK) {
        s = operand_translate(v, f, a, linear, out);
    }
    if (s == STATUS_INVALID) {
        vcpu_inject_exception(v, a->mem->segment == INSN_SS ? X86_SS : X86_GP, 0);
    } else if (s == STATUS_NOT_FOUND) {
        (void)exit_crash(v, x, "page tables in memory that is not there");
    }
    return s == STATUS_OK;
}

/* The largest access that a device may see of so many bytes. */
static unsigned part_size(unsigned left) {
    if (left >= 8) {
        return 8;
    }
    if (left >= 4) {
        return 4;
    }
    return left >= 2 ? 2 : 1;
}

void operand_access(struct vcpu *v, const struct operand *at, unsigned size, bool write,
                    uint64_t *value) {
    uint8_t *bytes = (uint8_t *)value;
    if (!write) {
        memset(value, 0, ALIGN_UP(size, sizeof(*value)));
    }
    for (unsigned done = 0, n; done < size; done += n) {
        bool second = done >= at->first;
        gpa_t gpa = GPA(at->gpa[second].v + done - (second ? at->first : 0));
        n = part_size((second ? size : (unsigned)min_u64(size, at->first)) - done);
        void *host = gmem_pointer(&v->vm->mem, gpa, n);
        if (host != NULL) {
            memcpy(write ? host : bytes + done, write ? bytes + done : host, n);
            continue;
        }
        uint64_t part = 0;
        memcpy(&part, bytes + done, n);
        mmio_access(v, gpa, n, write, &part);
        if (!write) {
            memcpy(bytes + done, &part, n);
        }
    }
}
