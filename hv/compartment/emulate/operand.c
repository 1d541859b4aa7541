/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way from an operand's registers to guest memory, as the CPU goes it: effective address,
 * segment, page tables, for each page that it touches. Must not write guest memory before all of an
 * operand is found. See operand.h.
 * Source: Intel SDM vol. 3 "Limit Checking", "Type Checking"; vol. 1 "Operand Addressing".
 */
#include "hv/compartment/emulate/operand.h"

#include "hv/compartment/emulate/descriptor.h"

#include "hv/lib/reg.h"
#include "hv/lib/str.h"

/* A memory operand's segment is looked up by the number that the decoder has given it. */
_Static_assert((int)INSN_ES == (int)HVM_ES && (int)INSN_CS == (int)HVM_CS &&
                   (int)INSN_SS == (int)HVM_SS && (int)INSN_DS == (int)HVM_DS &&
                   (int)INSN_FS == (int)HVM_FS && (int)INSN_GS == (int)HVM_GS,
               "segments have the same numbers");

/* The bit's number in a register, signed, reaches beyond the operand: SDM vol. 2 "BT". */
static bool names_far_bit(const struct insn *in) {
    bool bit = in->op == INSN_BT || in->op == INSN_BTS || in->op == INSN_BTR || in->op == INSN_BTC;
    return bit && !in->has_imm;
}

static uint64_t far_bit_offset(const struct insn *in, uint64_t reg) {
    unsigned unused = 64 - 8u * in->size;
    int64_t bit = (int64_t)(reg << unused) >> unused;
    int64_t operands = bit >> __builtin_ctz(8u * in->size); /* rounds down */
    return (uint64_t)operands * in->size;
}

uint64_t operand_offset(const struct emulation *e, const struct insn *in,
                        const struct insn_memory *m) {
    uint64_t offset = m->disp;
    if (m->rip_relative) {
        offset += e->code->rip + in->length;
    }
    if (m->base != INSN_NO_REG) {
        offset += e->regs[m->base];
    }
    if (m->index != INSN_NO_REG) {
        offset += e->regs[m->index] * m->scale;
    }
    if (names_far_bit(in)) {
        offset += far_bit_offset(in, e->regs[in->reg]);
    }
    return offset & reg_mask(m->address_size);
}

/* Outside 64-bit mode. */
static bool segment_allows(const struct hvm_segment *s, uint32_t offset, unsigned size,
                           unsigned access, bool real) {
    bool code = (s->attr & DESCRIPTOR_CODE) != 0, may = (s->attr & DESCRIPTOR_ACCESS) != 0;
    bool allowed = access == WALK_WRITE ? !code && may : !code || may;
    if ((s->attr & SEG_UNUSABLE) != 0 || (!allowed && !real)) {
        return false;
    }
    uint64_t low = 0, high = s->limit, last = (uint64_t)offset + size - 1;
    if (!code && (s->attr & DESCRIPTOR_EXPAND) != 0) {
        low = high + 1;
        high = (s->attr & SEG_BIG) != 0 ? UINT32_MAX : UINT16_MAX;
    }
    return offset >= low && last <= high;
}

/* Where it begins, into *linear; STATUS_INVALID if its segment does not allow it. */
static enum status operand_linear(struct emulation *e, const struct code *c, const struct insn *in,
                                  const struct access *a, uint64_t *linear) {
    struct hvm_segment segment = {.base = 0};
    uint64_t offset = operand_offset(e, in, a->mem);
    bool flat = c->mode == 64;
    if (!flat || insn_has_base(a->mem)) {
        emulation_get_segment(e, (enum hvm_seg)a->mem->segment, &segment);
    }
    bool real = (c->paging.cr0 & X86_CR0_PE) == 0;
    if (!flat && !segment_allows(&segment, (uint32_t)offset, a->size, a->kind, real)) {
        return STATUS_INVALID;
    }
    *linear = (segment.base + offset) & (flat ? UINT64_MAX : UINT32_MAX);
    return STATUS_OK;
}

/* Each page that size bytes at linear touch. */
static enum status operand_translate(struct emulation *e, const struct code *c,
                                     const struct access *a, uint64_t linear, struct operand *out) {
    uint64_t mask = c->mode == 64 ? UINT64_MAX : UINT32_MAX;
    out->first = (unsigned)(PAGE_SIZE - linear % PAGE_SIZE);
    for (unsigned i = 0; i < (a->size > out->first ? 2 : 1); i++) {
        struct walk_page page;
        uint64_t at = (linear + i * out->first) & mask;
        enum status s = walk_translate(&e->memory, &c->paging, GVA(at), a->kind, &page);
        if (s == STATUS_DENIED) {
            (void)emulation_page_fault(e, at, page.pf_error);
        }
        if (s != STATUS_OK) {
            return s;
        }
        out->gpa[i] = page.gpa;
    }
    return STATUS_OK;
}

bool operand_find(struct emulation *e, const struct code *c, const struct insn *in,
                  const struct access *a, struct operand *out) {
    uint64_t linear = 0;
    enum status s = operand_linear(e, c, in, a, &linear);
    if (s == STATUS_OK && a->aligned && linear % a->size != 0) {
        return emulation_fault(e, X86_GP, 0);
    }
    if (s == STATUS_OK) {
        s = operand_translate(e, c, a, linear, out);
    }

    if (s == STATUS_INVALID) {
        return emulation_fault(e, a->mem->segment == INSN_SS ? X86_SS : X86_GP, 0);
    }
    if (s == STATUS_NOT_FOUND) {
        return emulation_crash(e, CRASH_TABLES);
    }
    if (s == STATUS_TIMEOUT) {
        e->outcome = EMULATED_RETRY;
    }
    return s == STATUS_OK; /* or STATUS_DENIED: the page fault is noted */
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

/* Of a device: size bytes, up to 8. */
static void operand_device(struct emulation *e, gpa_t gpa, unsigned size, bool write,
                           uint8_t *bytes) {
    uint64_t value = 0;
    if (write) {
        memcpy(&value, bytes, size);
        emulation_write(e, BUS_MEMORY, gpa.v, size, value);
    } else {
        value = emulation_read(e, BUS_MEMORY, gpa.v, size);
        memcpy(bytes, &value, size);
    }
}

void operand_access(struct emulation *e, const struct operand *at, unsigned size, bool write,
                    uint64_t *value) {
    uint8_t *bytes = (uint8_t *)value;
    if (!write) {
        memset(value, 0, ALIGN_UP(size, sizeof(*value)));
    }
    for (unsigned done = 0, n; done < size; done += n) {
        bool second = done >= at->first;
        gpa_t gpa = GPA(at->gpa[second].v + done - (second ? at->first : 0));
        n = part_size((second ? size : (unsigned)min_u64(size, at->first)) - done);
        void *to = write ? guest_memory_at(&e->memory, gpa, n) : NULL;
        const void *from = write ? NULL : guest_memory_look(&e->memory, gpa, n);
        if (to != NULL) {
            memcpy(to, bytes + done, n);
        } else if (from != NULL) {
            memcpy(bytes + done, from, n);
        } else {
            operand_device(e, gpa, n, write, bytes + done);
        }
    }
}
