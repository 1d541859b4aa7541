/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way from an operand's registers to guest memory, as the CPU goes it: effective address,
 * segment, page tables, for each page that it touches. Must not write guest memory before all of an
 * operand is found. See operand.h.
 * Source: Intel SDM vol. 3 "Limit Checking", "Type Checking"; vol. 1 "Operand Addressing".
 */
#include "hv/exit/operand.h"

#include "hv/lib/str.h"

#define TYPE_CODE        BIT32(3)
#define TYPE_EXPAND      BIT32(2) /* data: down */
#define TYPE_ACCESS      BIT32(1) /* data: may be written; code: may be read */
#define FAULT_SEGMENT(m) ((m)->segment == INSN_SS ? X86_SS : X86_GP)

uint64_t operand_linear(struct vcpu *v, const struct insn *in, const struct insn_memory *m,
                        const struct hvm_segment *segment) {
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
    if (in->op == INSN_BT && !in->has_imm) {
        /* The bit's number, signed, reaches beyond the operand. */
        unsigned unused = 64 - 8u * in->size, shift = in->size == 2 ? 4 : in->size == 4 ? 5 : 6;
        offset += (uint64_t)((int64_t)(v->regs[in->reg] << unused) >> unused >> shift) * in->size;
    }
    return (offset & operand_mask(m->address_size)) + segment->base;
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

/* One page's part. */
static bool operand_translate(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                              const struct insn_memory *m, uint64_t linear, unsigned access,
                              gpa_t *gpa) {
    struct walk_page page;
    enum status s = walk_translate(&v->vm->mem, &f->s, GVA(linear), access, &page);
    if (s == STATUS_OK) {
        *gpa = page.gpa;
    } else if (s == STATUS_DENIED) {
        hvm->set(v, HVM_CR2, linear);
        vcpu_inject_exception(v, X86_PF, page.pf_error);
    } else if (s == STATUS_INVALID) {
        vcpu_inject_exception(v, FAULT_SEGMENT(m), 0);
    } else if (s == STATUS_NOT_FOUND) {
        (void)exit_crash(v, x, "page tables in memory that is not there");
    }
    return s == STATUS_OK;
}

bool operand_find(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                  const struct insn *in, const struct insn_memory *m, unsigned size,
                  unsigned access, struct operand *out) {
    struct hvm_segment segment = {.base = 0};
    if (f->mode != 64 || m->segment >= INSN_FS) {
        hvm->get_segment(v, (enum hvm_seg)m->segment, &segment);
    }
    uint64_t linear = operand_linear(v, in, m, &segment);
    if (f->mode != 64) {
        if (!segment_allows(&segment, (uint32_t)(linear - segment.base), size, access,
                            (f->s.cr0 & X86_CR0_PE) == 0)) {
            vcpu_inject_exception(v, FAULT_SEGMENT(m), 0);
            return false;
        }
        linear = (uint32_t)linear;
    }
    out->first = (unsigned)(PAGE_SIZE - linear % PAGE_SIZE);
    uint64_t next = f->mode == 64 ? linear + out->first : (uint32_t)(linear + out->first);
    return operand_translate(v, x, f, m, linear, access, &out->gpa[0]) &&
           (size <= out->first || operand_translate(v, x, f, m, next, access, &out->gpa[1]));
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
