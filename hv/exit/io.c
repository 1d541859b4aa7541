/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port I/O: every port exits; the VM's bus says which device answers. Ports of nobody read as all
 * ones and lose what is written, counted as refused. Port, size and data are guest-controlled.
 */
#include "hv/exit/operand.h"

/* The exit does not tell segment and address size on every CPU: the guest's code does. */
static __attribute__((noinline)) enum action io_string(struct vcpu *v, struct vmexit *x) {
    struct fetch f;
    struct insn in;
    if (fetch_insn(v, x->kind, &f, &in) != STATUS_OK || in.size != x->io.size ||
        (in.op == INSN_INS) != ((x->io.flags & IO_IN) != 0)) {
        return ACTION_RETRY; /* another vCPU has changed it */
    }
    return string_execute(v, x, &f, &in);
}

enum action exit_io(struct vcpu *v, struct vmexit *x) {
    const struct exit_io *io = &x->io;
    struct vm *vm = v->vm;
    if (UNLIKELY((io->flags & IO_STRING) != 0)) {
        return io_string(v, x);
    }
    const struct bus_entry *p = bus_find(vm_ports, io->port, io->size);
    if (UNLIKELY(p == NULL)) {
        exit_violation(v, &v->refused[REFUSED_PORT],
                       (io->flags & IO_IN) != 0 ? "read of port" : "write of port", io->port);
        if ((io->flags & IO_IN) != 0) {
            operand_set(&v->regs[X86_RAX], io->size, UINT32_MAX);
        }
        return ACTION_NEXT;
    }
    void *dev = (uint8_t *)vm + p->dev;
    lock_acquire(&vm->lock);
    if ((io->flags & IO_IN) != 0) {
        operand_set(&v->regs[X86_RAX], io->size, (uint32_t)p->read(dev, io->port, io->size));
    } else {
        p->write(dev, io->port, io->size, (uint32_t)(v->regs[X86_RAX] & (BIT(8 * io->size) - 1)));
    }
    lock_release(&vm->lock);
    return ACTION_NEXT;
}
