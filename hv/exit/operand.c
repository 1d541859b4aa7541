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
    if (in->op == INSN_BT && in->to_memory && !in->has_imm) { /* not an exit kind of that number */
        /* The bit's number, signed, reaches beyond the operand. */
        unsigned unused = 64 - 8u * in->size, shift = in->size == 2 ? 4 : in->size == 4 ? 5 : 6;
        offset += (uint64_t)((int64_t)(v->regs[in->reg] << unused) >> unused >> shift) * in->size;
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

bool operand_find(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                  const struct insn *in, const struct insn_memory *m, unsigned size,
                  unsigned access, struct operand *out) {
    struct hvm_segment segment = {.base = 0};
    uint64_t offset = operand_offset(v, in, m), mask = f->mode == 64 ? UINT64_MAX : UINT32_MAX;
    enum status s = STATUS_OK;
    if (f->mode != 64 || m->segment >= INSN_FS) {
        hvm->get_segment(v, (enum hvm_seg)m->segment, &segment);
    }
    if (f->mode != 64 &&
        !segment_allows(&segment, (uint32_t)offset, size, access, (f->s.cr0 & X86_CR0_PE) == 0)) {
        s = STATUS_INVALID;
    }
    uint64_t linear = (segment.base + offset) & mask;
    out->first = (unsigned)(PAGE_SIZE - linear % PAGE_SIZE);
    for (unsigned i = 0; s == STATUS_OK && i < (size > out->first ? 2 : 1); i++) {
        struct walk_page page;
        uint64_t at = (linear + i * out->first) & mask;
        s = walk_translate(&v->vm->mem, &f->s, GVA(at), access, &page);
        if (s == STATUS_OK) {
            out->gpa[i] = page.gpa;
        } else if (s == STATUS_DENIED) {
            hvm->set(v, HVM_CR2, at);
            vcpu_inject_exception(v, X86_PF, page.pf_error);
        }
    }
    if (s == STATUS_INVALID) {
        vcpu_inject_exception(v, m->segment == INSN_SS ? X86_SS : X86_GP, 0);
    } else if (s == STATUS_NOT_FOUND) {
        (void)exit_crash(v, x, "page tables in memory that is not there");
    }
    return s == STATUS_OK;
}

void operand_access(struct vcpu *v, const struct operand *at, unsigned size, bool write,
                    uint64_t *value) {
    uint64_t all = 0;
    for (unsigned done = 0, n; done < size; done += n) {
        bool second = done >= at->first;
        gpa_t gpa = GPA(at->gpa[second].v + done - (second ? at->first : 0));
        unsigned left = (second ? size : (unsigned)min_u64(size, at->first)) - done;
        n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        uint64_t part = *value >> 8 * done & operand_mask(n);
        void *host = gmem_pointer(&v->vm->mem, gpa, n);
        if (host == NULL) {
            mmio_access(v, gpa, n, write, &part);
        } else {
            memcpy(write ? host : (void *)&part, write ? (const void *)&part : host, n);
        }
        all |= part << 8 * done;
    }
    *value = write ? *value : all;
}
