/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest touched guest-physical memory that is not its RAM: the instruction is fetched, decoded
 * and carried out on the device that lives there, or on nothing (all ones, writes lost). What the
 * decoder does not know stops that VM. Everything here is guest-controlled, and another vCPU may
 * change code and tables meanwhile: each is copied once.
 */
#include "hv/exit/mmio_op.h"

/* What the instructions that touched devices were, by their bytes, in 64-bit mode. */
struct mmio_insn {
    uint64_t code[2], mask[2];
    struct insn insn;
};
#define INSNS 16 /* found by the first two bytes */
_Static_assert(INSNS * sizeof(struct mmio_insn) <= PAGE_SIZE, "allocated by vm_create()");

static bool mmio_is_lapic(const struct vcpu *v, gpa_t gpa) {
    return (gpa.v & ~(PAGE_SIZE - 1)) == LAPIC_BASE &&
           (v->lapic.apic_base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

static uint64_t mmio_bus_access(struct vcpu *v, gpa_t gpa, unsigned size, bool write,
                                uint64_t value) {
    struct vm *vm = v->vm;
    const struct bus_entry *d = bus_find(&vm->mmio, gpa.v, size);
    uint64_t in = UINT64_MAX;
    if (d == NULL) {
        exit_violation(v, &v->refused[REFUSED_MEMORY], write ? "write of memory" : "read of memory",
                       gpa.v);
        return in;
    }
    lock_acquire(&vm->lock);
    if (write) {
        d->write(d->dev, gpa.v - d->base, size, value);
    } else {
        in = d->read(d->dev, gpa.v - d->base, size);
    }
    lock_release(&vm->lock);
    return in;
}

void mmio_access(struct vcpu *v, gpa_t gpa, unsigned size, bool write, uint64_t *value) {
    if (!mmio_is_lapic(v, gpa)) {
        *value = mmio_bus_access(v, gpa, size, write, *value);
    } else if (write) {
        lapic_mmio_write(&v->lapic, gpa.v % PAGE_SIZE, size, *value);
    } else {
        *value = lapic_mmio_read(&v->lapic, gpa.v % PAGE_SIZE);
    }
    *value &= UINT64_MAX >> (64 - 8 * size);
}

static struct mmio_insn *mmio_insn_of(struct vcpu *v, uint64_t code) {
    return &v->mmio_insns[(code ^ code >> 8) % INSNS];
}

/* NULL if it is not known; its bytes are copied once. */
static const struct insn *mmio_recall(struct vcpu *v) {
    const uint8_t *at = fetch_recall(v);
    if (UNLIKELY(at == NULL)) {
        return NULL;
    }
    uint64_t code[2];
    __builtin_memcpy(code, at, sizeof(code));
    const struct mmio_insn *m = mmio_insn_of(v, code[0]);
    bool same =
        (((code[0] & m->mask[0]) ^ m->code[0]) | ((code[1] & m->mask[1]) ^ m->code[1])) == 0;
    return LIKELY(same && m->insn.length != 0) ? &m->insn : NULL;
}

static void mmio_remember(struct vcpu *v, const struct fetch *f, const uint8_t *code,
                          const struct insn *in) {
    struct mmio_insn *m = mmio_insn_of(v, code[0] | (uint64_t)code[1] << 8);
    if (f->mode == 64) {
        fetch_remember(v, f);
        *m = (struct mmio_insn){.insn = *in};
        __builtin_memset(m->mask, 0xff, in->length);
        __builtin_memcpy(m->code, code, in->length);
    }
}

/* The one operand is where the fault says, unless it may be part of one that crosses a page. */
static bool mmio_crosses(struct vcpu *v, const struct insn *in, gpa_t gpa) {
    uint64_t offset = gpa.v % PAGE_SIZE;
    if (LIKELY(offset != 0 && offset <= PAGE_SIZE - in->size) || in->size == 1) {
        return false;
    }
    struct hvm_segment segment = {.base = 0};
    if (in->mode != 64 || in->mem.segment >= INSN_FS) {
        hvm->get_segment(v, (enum hvm_seg)in->mem.segment, &segment);
    }
    return operand_linear(v, in, &in->mem, &segment) % PAGE_SIZE > PAGE_SIZE - in->size;
}

static void mmio_at_fault(struct vcpu *v, const struct operand *at, unsigned size, bool write,
                          uint64_t *value) {
    mmio_access(v, at->gpa[0], size, write, value);
}

static void mmio_execute(struct vcpu *v, const struct insn *in, const struct operand *at,
                         mmio_accessor access) {
    bool sets_flags = in->op <= INSN_BTC;
    uint64_t rflags = sets_flags ? hvm->get(v, HVM_RFLAGS) : 0;
    mmio_op_execute(in, v, at, &rflags, access);
    if (sets_flags) {
        hvm->set(v, HVM_RFLAGS, rflags);
    }
}

/* All at one place, where the fault says. */
static inline enum action mmio_execute_at(struct vcpu *v, struct vmexit *x, const struct insn *in) {
    if (UNLIKELY(in->op != INSN_MOV)) {
        mmio_execute(v, in, &(struct operand){.gpa[0] = x->fault.gpa}, mmio_at_fault);
    } else if (in->to_memory) {
        uint64_t value = mmio_op_other(in, v->regs);
        mmio_access(v, x->fault.gpa, in->size, true, &value);
    } else {
        uint64_t value;
        mmio_access(v, x->fault.gpa, in->size, false, &value);
        mmio_op_load(in, v->regs, value);
    }
    if (UNLIKELY(in->reg == X86_RSP)) {
        hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    }
    x->insn_len = in->length;
    return ACTION_NEXT;
}

/* By the guest's page tables. */
static __attribute__((noinline)) enum action mmio_emulate(struct vcpu *v, struct vmexit *x) {
    uint8_t code[FETCH_MAX];
    struct fetch f;
    struct insn in;
    if (fetch_insn(v, x, &f, code, &in) != STATUS_OK) {
        return exit_crash(v, x, "instruction the emulator does not know");
    }
    if (in.op >= INSN_PUSH) {
        return in.op >= INSN_MOVS ? string_execute(v, x, &f, &in) : stack_execute(v, x, &f, &in);
    }
    if (!mmio_crosses(v, &in, x->fault.gpa)) {
        mmio_remember(v, &f, code, &in);
        return mmio_execute_at(v, x, &in);
    }
    struct operand at;
    if (!operand_find(v, x, &f, &in, &in.mem, in.size, in.to_memory ? WALK_WRITE : WALK_READ,
                      &at)) {
        return ACTION_RETRY;
    }
    mmio_execute(v, &in, &at, operand_access);
    hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    x->insn_len = in.length;
    return ACTION_NEXT;
}

enum action exit_nested_fault(struct vcpu *v, struct vmexit *x) {
    if (v->event.type != EVENT_NONE) {
        return exit_crash(v, x, "an event was delivered through memory that is not there");
    }
    if (x->fault.in_page_walk) {
        return exit_crash(v, x, "page tables in memory that is not there");
    }
    if (x->fault.execute) {
        return exit_crash(v, x, "code in memory that is not there");
    }
    const struct insn *in = mmio_recall(v);
    if (UNLIKELY(in == NULL)) {
        return mmio_emulate(v, x);
    }
    if (UNLIKELY(in->reg == X86_RSP || in->mem.base == X86_RSP)) {
        v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    }
    if (UNLIKELY(mmio_crosses(v, in, x->fault.gpa))) {
        return mmio_emulate(v, x);
    }
    return mmio_execute_at(v, x, in);
}
