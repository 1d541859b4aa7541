/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest touched guest-physical memory that is not its RAM: the instruction is fetched, decoded
 * and carried out on the device that lives there, or on nothing (all ones, writes lost). What the
 * decoder does not know stops that VM. Everything here is guest-controlled, and another vCPU may
 * change code and tables meanwhile: each is copied once.
 */
#include "hv/exit/exit.h"
#include "hv/exit/fetch.h"
#include "hv/exit/mmio_op.h"
#include "hv/lib/range.h"

struct mmio_operand_place {
    gpa_t gpa;
    bool ram;
};

struct mmio {
    struct vcpu *v;
    struct mmio_operand_place place[2]; /* by enum mmio_operand */
};

static bool mmio_is_lapic(const struct vcpu *v, gpa_t gpa) {
    return (gpa.v & ~(PAGE_SIZE - 1)) == LAPIC_BASE &&
           (v->lapic.apic_base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

/* One access to whatever is at the operand's place; *value goes in or comes out. */
static enum status mmio_access(struct mmio *m, enum mmio_operand operand, unsigned size, bool write,
                               uint64_t *value) {
    struct vm *vm = m->v->vm;
    struct lapic *lapic = &m->v->lapic;
    gpa_t gpa = m->place[operand].gpa;
    if (m->place[operand].ram) {
        return write ? gmem_write(&vm->mem, gpa, value, size)
                     : gmem_read(&vm->mem, gpa, value, size);
    }
    const struct bus_entry *d = bus_find(&vm->bus.mmio, gpa.v, size);
    uint64_t in = UINT64_MAX;
    if (mmio_is_lapic(m->v, gpa)) {
        if (write) {
            lapic_mmio_write(lapic, gpa.v - LAPIC_BASE, size, *value);
        } else {
            in = lapic_mmio_read(lapic, gpa.v - LAPIC_BASE);
        }
    } else if (d == NULL) {
        (void)exit_violation(m->v, &m->v->refused.memory,
                             write ? "write of memory" : "read of memory", gpa.v);
    } else {
        lock_acquire(&vm->lock);
        if (write) {
            d->write(d->dev, gpa.v - d->base, size, *value);
        } else {
            in = d->read(d->dev, gpa.v - d->base, size);
        }
        lock_release(&vm->lock);
    }
    if (!write) {
        *value = size == 8 ? in : in & (BIT(8 * size) - 1);
    }
    return STATUS_OK;
}

static enum status mmio_read(void *ctx, enum mmio_operand operand, unsigned size, uint64_t *value) {
    *value = 0;
    return mmio_access(ctx, operand, size, false, value);
}

static enum status mmio_write(void *ctx, enum mmio_operand operand, unsigned size, uint64_t value) {
    return mmio_access(ctx, operand, size, true, &value);
}

/* MOVS has two memory operands, and the fault names only one: both are translated. */
static enum status mmio_place(struct mmio *m, const struct insn *insn,
                              const struct insn_memory *mem, enum mmio_operand operand,
                              unsigned access) {
    struct vcpu *v = m->v;
    struct insn_registers r = {.regs = v->regs, .rip = hvm->get(v, HVM_RIP)};
    for (unsigned i = 0; i < INSN_SEGMENTS; i++) {
        struct hvm_segment seg;
        hvm->get_segment(v, (enum hvm_seg)i, &seg); /* both enums have the encoding's order */
        r.base[i] = seg.base;
    }
    struct walk_state s;
    fetch_walk_state(v, &s);
    gva_t gva = insn_linear(insn, mem, &r);
    if (gva.v % PAGE_SIZE > PAGE_SIZE - insn->size) {
        return STATUS_UNSUPPORTED; /* across a page border: no driver does that to a device */
    }
    uint32_t pf_error;
    access |= s.cpl == 3 ? (unsigned)WALK_USER : 0;
    enum status st =
        walk_translate(&v->vm->mem, &s, gva, access, &m->place[operand].gpa, &pf_error);
    if (st == STATUS_OK) {
        m->place[operand].ram =
            gmem_pointer(&v->vm->mem, m->place[operand].gpa, insn->size) != NULL;
    }
    return st;
}

static enum status mmio_find_operands(struct mmio *m, const struct insn *insn,
                                      const struct vmexit *x) {
    if (insn->op == INSN_MOVS) {
        enum status s = mmio_place(m, insn, &insn->source, MMIO_SOURCE, WALK_READ);
        return s != STATUS_OK ? s : mmio_place(m, insn, &insn->mem, MMIO_OPERAND, WALK_WRITE);
    }
    m->place[MMIO_OPERAND] = (struct mmio_operand_place){.gpa = x->fault.gpa, .ram = false};
    bool inside = x->fault.gpa.v % PAGE_SIZE <= PAGE_SIZE - insn->size;
    return inside ? STATUS_OK : STATUS_UNSUPPORTED;
}

static enum action mmio_emulate(struct vcpu *v, struct vmexit *x) {
    uint8_t code[FETCH_MAX];
    struct insn insn;
    size_t n = fetch_code(v, code, sizeof(code));
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    if (insn_decode(code, n, fetch_mode(v), &insn) != STATUS_OK) {
        return exit_crash(v, x, "instruction the emulator does not know");
    }
    struct mmio m = {.v = v};
    enum status s = mmio_find_operands(&m, &insn, x);
    if (s == STATUS_TIMEOUT) {
        return ACTION_RETRY; /* other vCPUs kept changing the tables */
    }
    if (s != STATUS_OK) {
        return exit_crash(v, x, "device access of a form the emulator does not take");
    }
    uint64_t rsp = v->regs[X86_RSP], rflags = hvm->get(v, HVM_RFLAGS), new_rflags = rflags;
    const struct mmio_access access = {.read = mmio_read, .write = mmio_write, .ctx = &m};
    bool done = false;
    s = mmio_op_execute(&insn, v->regs, &new_rflags, &access, &done);
    if (s != STATUS_OK) {
        return exit_crash(v, x, "instruction the emulator could not carry out");
    }
    if (new_rflags != rflags) {
        hvm->set(v, HVM_RFLAGS, new_rflags);
    }
    if (v->regs[X86_RSP] != rsp) {
        hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    }
    x->insn_len = insn.length;
    return done ? ACTION_NEXT : ACTION_RETRY;
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
    return mmio_emulate(v, x);
}
