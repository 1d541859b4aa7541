/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest touched guest-physical memory that is not its RAM: the instruction is fetched, decoded
 * and carried out on the device that lives there, or on nothing (all ones, writes lost). What the
 * decoder does not know stops that VM. Everything here is guest-controlled, and another vCPU may
 * change code and tables meanwhile: each is copied once.
 */
#include "hv/exit/exit.h"
#include "hv/exit/mmio_op.h"

static bool mmio_is_lapic(const struct vcpu *v, gpa_t gpa) {
    return (gpa.v & ~(PAGE_SIZE - 1)) == LAPIC_BASE &&
           (v->lapic.apic_base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

/* One access to whatever is there; *value goes in or comes out. */
static void mmio_access(struct vcpu *v, gpa_t gpa, unsigned size, bool write, uint64_t *value) {
    struct vm *vm = v->vm;
    const struct bus_entry *d = bus_find(&vm->mmio, gpa.v, size);
    uint64_t in = UINT64_MAX;
    if (mmio_is_lapic(v, gpa)) {
        if (write) {
            lapic_mmio_write(&v->lapic, gpa.v - LAPIC_BASE, size, *value);
        } else {
            in = lapic_mmio_read(&v->lapic, gpa.v - LAPIC_BASE);
        }
    } else if (d == NULL) {
        exit_violation(v, &v->refused[REFUSED_MEMORY], write ? "write of memory" : "read of memory",
                       gpa.v);
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
}

static enum action mmio_emulate(struct vcpu *v, struct vmexit *x) {
    uint8_t code[FETCH_MAX];
    struct insn insn;
    unsigned mode;
    size_t n = fetch_code(v, code, sizeof(code), &mode);
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    if (insn_decode(code, n, mode, x->kind, &insn) != STATUS_OK) {
        return exit_crash(v, x, "instruction the emulator does not know");
    }
    if (x->fault.gpa.v % PAGE_SIZE > PAGE_SIZE - insn.size) {
        return exit_crash(v, x, "device access across a page border");
    }
    uint64_t rsp = v->regs[X86_RSP], rflags = hvm->get(v, HVM_RFLAGS), new_rflags = rflags;
    mmio_op_execute(&insn, v, x->fault.gpa, &new_rflags, mmio_access);
    if (new_rflags != rflags) {
        hvm->set(v, HVM_RFLAGS, new_rflags);
    }
    if (v->regs[X86_RSP] != rsp) {
        hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    }
    x->insn_len = insn.length;
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
    return mmio_emulate(v, x);
}
