/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest touched guest-physical memory that is not its RAM: the instruction is fetched, decoded
 * and carried out on the device that lives there, or on nothing (all ones, writes lost). What the
 * decoder does not know stops that VM. Everything here is guest-controlled, and another vCPU may
 * change code and tables meanwhile: each is copied once.
 */
#include "hv/exit/mmio_op.h"

static uint64_t mmio_bus_access(struct vcpu *v, gpa_t gpa, unsigned size, bool write,
                                uint64_t value) {
    struct vm *vm = v->vm;
    const struct bus_entry *d = bus_find(vm_pages, gpa.v, size);
    uint64_t in = UINT64_MAX;
    if (d == NULL) {
        exit_violation(v, &v->refused[REFUSED_MEMORY], write ? "write of memory" : "read of memory",
                       gpa.v);
        return in;
    }
    void *dev = (uint8_t *)vm + d->dev;
    lock_acquire(&vm->lock);
    if (write) {
        d->write(dev, gpa.v - d->base, size, value);
    } else {
        in = d->read(dev, gpa.v - d->base, size);
    }
    lock_release(&vm->lock);
    return in;
}

static inline __attribute__((always_inline)) uint64_t
mmio_read_write(struct vcpu *v, gpa_t gpa, unsigned size, bool write, uint64_t value) {
    if (!lapic_has_page(&v->lapic, gpa.v)) {
        return mmio_bus_access(v, gpa, size, write, value);
    }
    if (!write) {
        return lapic_mmio_read(&v->lapic, gpa.v % PAGE_SIZE);
    }
    lapic_mmio_write(&v->lapic, gpa.v % PAGE_SIZE, size, value);
    return value;
}

void mmio_access(struct vcpu *v, gpa_t gpa, unsigned size, bool write, uint64_t *value) {
    *value = mmio_read_write(v, gpa, size, write, *value) & operand_mask(size);
}

/* The one operand is where the fault says, unless it may be part of one that crosses a page. Where
 * its segment has a base, operand_find() sees. */
static bool mmio_may_cross(struct vcpu *v, const struct insn *in, gpa_t gpa) {
    uint64_t offset = gpa.v % PAGE_SIZE;
    if (LIKELY(offset != 0 && offset <= PAGE_SIZE - in->size) || in->size == 1) {
        return false;
    }
    v->regs[X86_RSP] = hvm->get(v, HVM_RSP);
    return in->mode != 64 || in->mem.segment >= INSN_FS ||
           operand_offset(v, in, &in->mem) % PAGE_SIZE > PAGE_SIZE - in->size;
}

/* One operand: at most where the fault says, which is a device, or over a page border. */
static inline __attribute__((always_inline)) enum action
mmio_execute(struct vcpu *v, struct vmexit *x, const struct insn *in, const struct operand *at) {
    if (UNLIKELY(in->op != INSN_MOV || at->first < in->size)) {
        uint64_t rflags = hvm->get(v, HVM_RFLAGS);
        uint64_t memory = 0;
        if (in->reads) {
            operand_access(v, at, in->size, false, &memory);
        }
        mmio_op_execute(in, v->regs, &rflags, &memory);
        if (in->writes) {
            operand_access(v, at, in->size, true, &memory);
        }
        hvm->set(v, HVM_RFLAGS, rflags);
    } else if (in->to_memory) {
        (void)mmio_read_write(v, at->gpa[0], in->size, true, mmio_op_other(in, v->regs));
    } else {
        mmio_op_load(in, v->regs, mmio_read_write(v, at->gpa[0], in->size, false, 0));
    }
    if (UNLIKELY(in->reg == X86_RSP)) {
        hvm->set(v, HVM_RSP, v->regs[X86_RSP]);
    }
    x->insn_len = in->length;
    return ACTION_NEXT;
}

static enum action operand_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                                   const struct insn *in) {
    const struct access a = {
        .mem = &in->mem, .size = in->size, .kind = in->writes ? WALK_WRITE : WALK_READ};
    struct operand at = {.gpa[0] = x->fault.gpa, .first = PAGE_SIZE};
    if (mmio_may_cross(v, in, x->fault.gpa) && !operand_find(v, x, f, in, &a, &at)) {
        return ACTION_RETRY;
    }
    return mmio_execute(v, x, in, &at);
}

/* SMSW, and a segment register to memory: 2 bytes. */
static enum action system_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                                  const struct insn *in) {
    const struct access a = {.mem = &in->mem, .size = in->size, .kind = WALK_WRITE};
    struct operand at;
    if (!operand_find(v, x, f, in, &a, &at)) {
        return ACTION_RETRY;
    }
    uint64_t value = f->s.cr0;
    if (in->op == INSN_MOV_SEGMENT) {
        struct hvm_segment segment;
        hvm->get_segment(v, (enum hvm_seg)in->reg, &segment);
        value = segment.selector;
    }
    operand_access(v, &at, in->size, true, &value);
    x->insn_len = in->length;
    return ACTION_NEXT;
}

/* By the guest's page tables. */
static __attribute__((noinline)) enum action mmio_emulate(struct vcpu *v, struct vmexit *x) {
    typedef enum action (*unit)(struct vcpu * v, struct vmexit * x, const struct fetch *f,
                                const struct insn *in);
    static const unit units[] = {
        [UNIT_OPERAND] = operand_execute, [UNIT_SYSTEM] = system_execute,
        [UNIT_STACK] = stack_execute,     [UNIT_STRING] = string_execute,
        [UNIT_VECTOR] = vector_execute,
    };
    struct fetch f;
    struct insn in;
    if (fetch_insn(v, x->kind, &f, &in) != STATUS_OK) {
        return exit_crash(v, x, "instruction the emulator does not know");
    }
    return units[in.unit](v, x, &f, &in);
}

enum action exit_nested_fault(struct vcpu *v, struct vmexit *x) {
    const char *beyond = v->event.type != EVENT_NONE
                             ? "an event was delivered through memory that is not there"
                         : x->fault.in_page_walk ? "page tables in memory that is not there"
                         : x->fault.execute      ? "code in memory that is not there"
                                                 : NULL;
    if (UNLIKELY(beyond != NULL)) {
        return exit_crash(v, x, beyond);
    }
    const struct insn *in = fetch_recall(v, EXIT_NESTED_FAULT);
    if (UNLIKELY(in == NULL || in->unit != UNIT_OPERAND || in->reg == X86_RSP ||
                 mmio_may_cross(v, in, x->fault.gpa))) {
        return mmio_emulate(v, x);
    }
    return mmio_execute(v, x, in, &(struct operand){{x->fault.gpa, GPA(0)}, PAGE_SIZE});
}
