/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way between the core and the emulator: which exits go up to it, what it is given, what
 * it may ask for, the bus that it reaches, and what its outcome means. See upcall.h.
 */
#include "hv/exit/upcall.h"

#include "hv/compartment/emulate/emulate.h"
#include "hv/exit/policy.h"
#include "hv/lib/phys.h"
#include "hv/lib/reg.h"
#include "hv/lib/str.h"
#include "hv/vm/devices.h"
#include "hv/vm/plat.h"

#define CPUID_WIDTHS       0x80000008u /* of addresses */
#define PHYS_BITS_AT_LEAST 36

struct upcall_state {
    struct emulation e; /* first: v->emulation */
    struct guest_region regions[PLAN_MAX_REGIONS];
};
_Static_assert(sizeof(struct upcall_state) <= VCPU_EMULATION_SIZE, "allocated by vm_create()");

/* ---- the bus: what is no device either is nothing, counted as refused ---- */

static uint64_t port_read(struct vcpu *v, uint64_t port, unsigned size) {
    struct bus_answer answer = vm_read_port(v->vm, port, size);
    if (UNLIKELY(answer.there == 0)) {
        exit_violation(v, &v->public.refused[REFUSED_PORT], "read of port", port);
    }
    return answer.value;
}

static void port_write(struct vcpu *v, uint64_t port, unsigned size, uint64_t value) {
    if (UNLIKELY(!vm_write_port(v->vm, port, size, value))) {
        exit_violation(v, &v->public.refused[REFUSED_PORT], "write of port", port);
    }
}

static uint64_t upcall_read(void *context, enum bus_space space, uint64_t at, unsigned size) {
    struct vcpu *v = context;
    if (space == BUS_PORT) {
        return port_read(v, at, size);
    }
    if (lapic_has_page(&v->lapic, at)) {
        return lapic_mmio_read(&v->lapic, at % PAGE_SIZE);
    }
    struct bus_answer answer = vm_read_page(v->vm, at, size);
    if (UNLIKELY(answer.there == 0)) {
        exit_violation(v, &v->public.refused[REFUSED_MEMORY], "read of memory", at);
        return UINT64_MAX;
    }
    return answer.value;
}

static void upcall_write(void *context, enum bus_space space, uint64_t at, unsigned size,
                         uint64_t value) {
    struct vcpu *v = context;
    if (space == BUS_PORT) {
        port_write(v, at, size, value);
        return;
    }
    if (lapic_has_page(&v->lapic, at)) {
        lapic_mmio_write(&v->lapic, at % PAGE_SIZE, size, value);
        return;
    }
    if (UNLIKELY(!vm_write_page(v->vm, at, size, value))) {
        exit_violation(v, &v->public.refused[REFUSED_MEMORY], "write of memory", at);
    }
}

/* ---- the vCPU's state ---- */

static uint64_t upcall_get(void *context, enum hvm_reg r) {
    return hvm->get(context, r);
}

static void upcall_set(void *context, enum hvm_reg r, uint64_t value) {
    hvm->set(context, r, value);
}

static void upcall_get_segment(void *context, enum hvm_seg s, struct hvm_segment *out) {
    hvm->get_segment(context, s, out);
}

static void upcall_set_segment(void *context, enum hvm_seg s, const struct hvm_segment *in) {
    hvm->set_segment(context, s, in);
}

static uint32_t upcall_get_pkru(UNUSED void *context) {
    return plat_pkru();
}

static void upcall_get_vector(UNUSED void *context, unsigned reg, uint64_t out[2]) {
    plat_vector_read(reg, out);
}

static void upcall_set_vector(UNUSED void *context, unsigned reg, const uint64_t in[2]) {
    plat_vector_write(reg, in);
}

static const struct emulation_ops upcall_ops = {
    .get = upcall_get,
    .set = upcall_set,
    .get_segment = upcall_get_segment,
    .set_segment = upcall_set_segment,
    .get_pkru = upcall_get_pkru,
    .read = upcall_read,
    .write = upcall_write,
    .get_vector = upcall_get_vector,
    .set_vector = upcall_set_vector,
};

void upcall_init(struct vcpu *v) {
    struct upcall_state *state = (struct upcall_state *)v->emulation;
    const struct plan_vm *plan = v->vm->plan;
    uint32_t widths = cpuid_find(&v->cpuid, CPUID_WIDTHS, 0)->out[0];
    memset(state, 0, sizeof(*state));
    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct plan_region *r = &plan->regions[i];
        state->regions[i] =
            (struct guest_region){.gpa = r->gpa.v, .size = r->size, .at = phys_pointer(r->hpa)};
    }

    struct emulation *e = &state->e;
    e->ops = &upcall_ops;
    e->context = v;
    e->regs = v->regs;
    e->memory = (struct guest_memory){.regions = state->regions, .count = plan->region_count};
    e->phys_bits = (uint8_t)max_u64(widths & 0xff, PHYS_BITS_AT_LEAST);
}

/* ---- what became of it ---- */

static enum action upcall_inject(struct vcpu *v, const struct emulated_fault *fault) {
    if (fault->vector == X86_PF) {
        hvm->set(v, HVM_CR2, fault->address);
    }
    return exit_inject(v, (enum x86_vector)fault->vector, fault->error);
}

/* What did not simply end behind the instruction. */
static __attribute__((noinline)) enum action upcall_end(const struct emulation *e,
                                                        enum emulated outcome) {
    struct vcpu *v = e->context;
    switch (outcome) {
    case EMULATED_NEXT:
        return ACTION_NEXT;
    case EMULATED_DONE:
        return ACTION_DONE;
    case EMULATED_RETRY:
        return ACTION_RETRY;
    case EMULATED_FAULT:
        return upcall_inject(v, &e->fault);
    case EMULATED_CRASH:
        return exit_crash(v, e->exit, e->reason);
    }
    return exit_crash(v, e->exit, "the emulator does not say how the guest goes on");
}

/* ---- the calls ---- */

static struct emulation *upcall_begin(struct vcpu *v, struct vmexit *x) {
    struct emulation *e = v->emulation;
    e->exit = x;
    hvm->get_code(v, &e->code);
    return e;
}

static __attribute__((noinline)) enum action upcall_port(struct vcpu *v, struct vmexit *x) {
    struct emulation *e = upcall_begin(v, x);
    return upcall_end(e, emulate_port(e));
}

/* What is read where nothing is. Compiled apart, so that the short way keeps nothing for it. */
static __attribute__((noinline)) uint64_t port_refused(struct vcpu *v, const struct exit_io *io) {
    const char *what = (io->flags & IO_IN) != 0 ? "read of port" : "write of port";
    exit_violation(v, &v->public.refused[REFUSED_PORT], what, io->port);
    return UINT64_MAX;
}

/* IN and OUT need no emulator. */
enum action exit_io(struct vcpu *v, struct vmexit *x) {
    const struct exit_io *io = &x->io;
    uint64_t *rax = &v->regs[X86_RAX];
    if (UNLIKELY((io->flags & IO_STRING) != 0)) {
        return upcall_port(v, x);
    }
    if ((io->flags & IO_IN) != 0) {
        struct bus_answer answer = vm_read_port(v->vm, io->port, io->size);
        if (UNLIKELY(answer.there == 0)) {
            answer.value = port_refused(v, io);
        }
        reg_set(rax, io->size, (uint32_t)answer.value);
    } else {
        uint64_t value = *rax & (BIT(8 * io->size) - 1);
        if (UNLIKELY(!vm_write_port(v->vm, io->port, io->size, value))) {
            (void)port_refused(v, io);
        }
    }
    return ACTION_NEXT;
}

/* What keeps a memory access from being an instruction on a device; NULL if nothing. */
static const char *memory_refusal(const struct vcpu *v, const struct exit_nested_fault *fault) {
    if (v->event.type != EVENT_NONE) {
        return "an event was delivered through memory that is not there";
    }
    if (fault->in_page_walk) {
        return "page tables in memory that is not there";
    }
    return fault->execute ? "code in memory that is not there" : NULL;
}

enum action exit_nested_fault(struct vcpu *v, struct vmexit *x) {
    const char *refusal = memory_refusal(v, &x->fault);
    if (UNLIKELY(refusal != NULL)) {
        return exit_crash(v, x, refusal);
    }
    struct emulation *e = upcall_begin(v, x);
    enum emulated outcome = emulate_memory(e);
    return LIKELY(outcome == EMULATED_NEXT) ? ACTION_NEXT : upcall_end(e, outcome);
}

/* After ACTION_DONE TF is the new task's, for what comes after its first instruction. */
enum action exit_task_switch(struct vcpu *v, struct vmexit *x) {
    struct emulation *e = upcall_begin(v, x);
    v->event = x->task.event; /* a fault on the way is one in its delivery */
    enum emulated outcome = emulate_task_switch(e);
    if (e->task_switched) {
        hvm->end_shadow(v);
        hvm->flush(v);
    }
    if (outcome == EMULATED_DONE) {
        v->event.type = EVENT_NONE;
    }
    return upcall_end(e, outcome);
}

bool exit_find_length(struct vcpu *v, struct vmexit *x) {
    struct emulation *e = upcall_begin(v, x);
    enum emulated outcome = emulate_length(e);
    if (LIKELY(outcome == EMULATED_NEXT)) {
        return true;
    }
    (void)upcall_end(e, outcome);
    return false;
}

bool upcall_pdptes_valid(struct vcpu *v, uint64_t cr3) {
    return emulate_pdptes_valid(v->emulation, cr3);
}
