/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the exits that a guest's hardware answers, in its compartment: what it is given of each, and
 * what its outcome means. All that comes back is judged as if the guest had sent it.
 */
#include "hv/exit/hardware.h"

#include "hv/lib/range.h"
#include "hv/lib/reg.h"
#include "hv/lib/str.h"
#include "hv/vm/devices.h"
#include "hv/vm/upcall.h"

#define INSN_LONGEST 15u

/* ---- what goes up ---- */

static inline void hardware_copy_four(uint64_t *to, const uint64_t *from) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
    to[3] = from[3];
}

static inline void hardware_copy_regs(uint64_t *to, const uint64_t *from) {
    hardware_copy_four(to, from);
    hardware_copy_four(to + 4, from + 4);
    hardware_copy_four(to + 8, from + 8);
    hardware_copy_four(to + 12, from + 12);
}

/* More than one: most instructions on devices write one or none. */
static __attribute__((noinline)) void hardware_take_all_regs(struct vcpu *v) {
    hardware_copy_regs(v->regs, v->exchange->regs);
}

static inline void hardware_take_regs(struct vcpu *v) {
    uint32_t set = EXCHANGE_READ(v->exchange->regs_set);

    if (range_has_number(EMULATED_REGS_ONE, ARRAY_SIZE(v->regs), set)) {
        uint32_t one = set - EMULATED_REGS_ONE;
        v->regs[one] = EXCHANGE_READ(v->exchange->regs[one]);
    } else if (set != EMULATED_REGS_NONE) {
        hardware_take_all_regs(v);
    }
}

/* What the compartment is to do for the exit. */
static inline enum action hardware_go_up(struct vcpu *v, enum upcall what) {
    upcall_prepare(v, what);
    return ACTION_UPCALL;
}

static inline void hardware_begin(struct vcpu *v, const struct vmexit *x) {
    struct exchange *e = v->exchange;

    e->exit = *x;
    hvm->get_code(v, &e->code_at);
}

/* ---- what became of it ---- */

/* What an instruction can raise that is emulated. */
#define RAISES                                                                                     \
    (BIT(X86_DE) | BIT(X86_DB) | BIT(X86_UD) | BIT(X86_NM) | BIT(X86_DF) | BIT(X86_TS) |           \
     BIT(X86_NP) | BIT(X86_SS) | BIT(X86_GP) | BIT(X86_PF) | BIT(X86_AC))
#define RAISES_ERROR 0xffffu

#define NO_TABLES "page tables in memory that is not there" MSG(3034)

static enum action hardware_refuse(struct vcpu *v, const struct vmexit *x, const char *what) {
    (void)upcall_refuse(v, what, "");
    return exit_upcall_failed(v, x);
}

static enum action hardware_raise(struct vcpu *v, const struct vmexit *x) {
    struct emulated_fault fault;

    exchange_copy(&fault, &v->exchange->fault, sizeof(fault));
    if (fault.vector >= X86_VECTORS || (RAISES >> fault.vector & 1) == 0 ||
        fault.error > RAISES_ERROR) {
        return hardware_refuse(v, x, "raised for its guest what no instruction does");
    }
    if (fault.vector == X86_PF) {
        hvm->set(v, HVM_CR2, fault.address);
    }
    return exit_inject(v, (enum x86_vector)fault.vector, fault.error);
}

static enum action hardware_crash(struct vcpu *v, const struct vmexit *x) {
    static const char *const reasons[CRASHES] = {
        [CRASH_INSTRUCTION] = "instruction the emulator does not know" MSG(3033),
        [CRASH_TABLES] = NO_TABLES,
        [CRASH_TASK_PLACE] = "a task switch over a page's end or to no memory" MSG(3035),
        [CRASH_TASK_KIND] = "a switch of a 16-bit or virtual-8086 task, not emulated" MSG(3036),
    };
    uint32_t crash = EXCHANGE_READ(v->exchange->crash);

    if (crash >= CRASHES) {
        return hardware_refuse(v, x, "gave up for no reason");
    }
    return exit_crash(v, x, reasons[crash]);
}

/* What did not simply end behind the instruction. */
static __attribute__((noinline)) enum action hardware_end(struct vcpu *v, const struct vmexit *x,
                                                          uint32_t outcome) {
    switch (outcome) {
    case EMULATED_DONE:
        return ACTION_DONE;
    case EMULATED_RETRY:
        return ACTION_RETRY;
    case EMULATED_FAULT:
        return hardware_raise(v, x);
    case EMULATED_CRASH:
        return hardware_crash(v, x);
    default:
        return hardware_refuse(v, x, "does not say how its guest goes on");
    }
}

/* False if x->insn_len is none. */
static inline bool hardware_take_length(const struct vcpu *v, struct vmexit *x) {
    uint32_t length = EXCHANGE_READ(v->exchange->exit.insn_len);

    x->insn_len = length;
    return length <= INSN_LONGEST;
}

/* The compartment is to emulate x: registers, too, go there and come back. */
static inline void hardware_emulate(struct vcpu *v, const struct vmexit *x) {
    hardware_begin(v, x);
    hardware_copy_regs(v->exchange->regs, v->regs);
}

static inline enum action hardware_emulated(struct vcpu *v, struct vmexit *x) {
    hardware_take_regs(v);
    uint32_t outcome = EXCHANGE_READ(v->exchange->outcome);
    if (UNLIKELY(outcome != EMULATED_NEXT)) {
        return hardware_end(v, x, outcome);
    }
    return LIKELY(hardware_take_length(v, x))
               ? ACTION_NEXT
               : hardware_refuse(v, x, "found an instruction that is too long");
}

/* In the middle of the exit's handler, which has more to do after it. */
static __attribute__((noinline)) enum action hardware_emulate_now(struct vcpu *v, struct vmexit *x,
                                                                  enum upcall what) {
    hardware_emulate(v, x);
    if (UNLIKELY(!upcall(v, x, what))) {
        return exit_upcall_failed(v, x);
    }
    return hardware_emulated(v, x);
}

/* ---- the exits ---- */

static __attribute__((noinline)) enum action exit_io_nothing(struct vcpu *v, struct vmexit *x) {
    bool write = (x->io.flags & IO_IN) == 0;

    vcpu_refuse_access(v, BUS_PORT, write, x->io.port);
    if (!write) {
        reg_set(&v->regs[X86_RAX], x->io.size, UINT32_MAX);
    }
    return ACTION_NEXT;
}

/* Of IN and OUT the exit tells all. */
enum action exit_io(struct vcpu *v, struct vmexit *x) {
    const struct exit_io *io = &x->io;
    struct exchange *e = v->exchange;

    if (UNLIKELY((io->flags & IO_STRING) != 0)) {
        return hardware_emulate_now(v, x, UPCALL_STRING);
    }
    e->space = BUS_PORT;
    e->at = io->port;
    e->size = io->size;
    if ((io->flags & IO_IN) != 0) {
        return hardware_go_up(v, UPCALL_READ);
    }
    e->argument = v->regs[X86_RAX] & reg_mask(io->size);
    return hardware_go_up(v, UPCALL_WRITE);
}

enum action exit_io_answered(struct vcpu *v, struct vmexit *x) {
    const struct exit_io *io = &x->io;
    const struct exchange *e = v->exchange;

    if (UNLIKELY(EXCHANGE_READ(e->there) == 0)) {
        return exit_io_nothing(v, x);
    }
    if ((io->flags & IO_IN) != 0) {
        reg_set(&v->regs[X86_RAX], io->size, (uint32_t)EXCHANGE_READ(e->argument));
    }
    return ACTION_NEXT;
}

/* The memory access is no instruction on a device. */
static __attribute__((noinline)) enum action memory_refuse(struct vcpu *v, struct vmexit *x) {
    const char *what = "code in memory that is not there" MSG(3037);

    if (v->event.type != EVENT_NONE) {
        what = "an event was delivered through memory that is not there" MSG(3038);
    } else if (x->fault.in_page_walk) {
        what = NO_TABLES;
    }
    return exit_crash(v, x, what);
}

/* The registers of the local APIC stay the core's: one that is read is sent along. */
enum action exit_nested_fault(struct vcpu *v, struct vmexit *x) {
    struct exchange *e = v->exchange;
    if (UNLIKELY(v->event.type != EVENT_NONE || x->fault.in_page_walk || x->fault.execute)) {
        return memory_refuse(v, x);
    }
    uint64_t page = lapic_page(&v->lapic);
    e->apic_page = page;
    e->apic_at = UINT64_MAX;
    if (!x->fault.write && ALIGN_DOWN(x->fault.gpa.v, PAGE_SIZE) == page) {
        e->apic_at = x->fault.gpa.v % PAGE_SIZE;
        e->apic_value = lapic_mmio_read(&v->lapic, e->apic_at);
    }
    hardware_emulate(v, x);
    return hardware_go_up(v, UPCALL_MEMORY);
}

enum action exit_nested_fault_answered(struct vcpu *v, struct vmexit *x) {
    return hardware_emulated(v, x);
}

/* After ACTION_DONE TF is the new task's, for what comes after its first instruction. */
enum action exit_task_switch(struct vcpu *v, struct vmexit *x) {
    v->exchange->task_switched = 0;
    v->event = x->task.event; /* a fault on the way is one in its delivery */
    enum action action = hardware_emulate_now(v, x, UPCALL_TASK);
    if (EXCHANGE_READ(v->exchange->task_switched) != 0) {
        hvm->end_shadow(v);
        hvm->flush(v);
    }
    if (action == ACTION_DONE) {
        v->event.type = EVENT_NONE;
    }
    return action;
}

/* ---- the rest ---- */

/* What EXIT_CR's instruction tells, of which gpr may be any (none: memory); the control register
 * and the direction are the exit's. */
static bool hardware_take_cr(const struct vcpu *v, struct vmexit *x) {
    struct exit_cr cr;

    exchange_copy(&cr, &v->exchange->exit.cr, sizeof(cr));
    bool reads = cr.access == CR_READ || cr.access == CR_SMSW;
    bool sized = cr.size == 2 || cr.size == 4 || cr.size == 8;

    if (cr.cr != x->cr.cr || cr.access > CR_SMSW || reads != (x->cr.access == CR_READ) ||
        (cr.access == CR_SMSW && !sized)) {
        return false;
    }
    x->cr = cr;
    return true;
}

static __attribute__((noinline)) bool hardware_no_length(struct vcpu *v, struct vmexit *x) {
    uint32_t outcome = EXCHANGE_READ(v->exchange->outcome);
    (void)hardware_end(v, x, outcome);
    return false;
}

bool exit_find_length(struct vcpu *v, struct vmexit *x) {
    hardware_begin(v, x);
    if (x->kind == EXIT_CR && x->cr.cr == 0) { /* LMSW's operand may be one */
        hardware_copy_regs(v->exchange->regs, v->regs);
    }
    if (UNLIKELY(!upcall(v, x, UPCALL_LENGTH))) {
        (void)exit_upcall_failed(v, x);
        return false;
    }
    if (UNLIKELY(EXCHANGE_READ(v->exchange->outcome) != EMULATED_NEXT)) {
        return hardware_no_length(v, x);
    }
    if (UNLIKELY(!hardware_take_length(v, x) || (x->kind == EXIT_CR && !hardware_take_cr(v, x)))) {
        (void)hardware_refuse(v, x, "found another instruction than the CPU");
        return false;
    }
    return true;
}

bool hardware_pdptes_valid(struct vcpu *v, uint64_t cr3) {
    struct exchange *e = v->exchange;

    e->argument = cr3;
    return upcall(v, NULL, UPCALL_PDPTES) && EXCHANGE_READ(e->argument) != 0;
}
