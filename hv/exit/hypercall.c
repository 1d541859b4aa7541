/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest can ask of Bulkhead by VMCALL or VMMCALL: numbers, arguments and results are in
 * hv/abi.h, what is done in one table. Every register is guest-controlled.
 */
#include "hv/abi.h"
#include "hv/exit/exit.h"
#include "hv/vm/memory.h"
#include "hv/vm/upcall.h"

#define GAVE_UP "gave up" MSG(3039)

/* The text is the guest's: copied once, and escaped by the log. */
static enum action hypercall_give_up(struct vcpu *v, UNUSED struct vmexit *x) {
    char text[HYPERCALL_TEXT_MAX + 1] = "";
    uint64_t size = min_u64(v->regs[X86_RCX], HYPERCALL_TEXT_MAX);
    if (vm_memory_read(v->vm, GPA(v->regs[X86_RBX]), text, size) != STATUS_OK) {
        text[0] = '\0';
    }
    vm_log(v->vm, LOG_WARN, GAVE_UP ": %s", text[0] != '\0' ? text : "it does not say why");
    vcpu_crash(v, exit_kind_names[EXIT_HYPERCALL], GAVE_UP);
    return ACTION_RETRY;
}

/* For measuring, and for the tests of the compartment. */
static enum action hypercall_upcall(struct vcpu *v, struct vmexit *x) {
    v->exchange->argument = v->regs[X86_RBX];
    v->regs[X86_RAX] = 0;
    return upcall(v, x, UPCALL_NOTHING) ? ACTION_NEXT : exit_upcall_failed(v, x);
}

static enum action hypercall_unknown(struct vcpu *v, UNUSED struct vmexit *x) {
    v->regs[X86_RAX] = HYPERCALL_UNKNOWN;
    return ACTION_NEXT;
}

/* The highest CPL that may call; above it is #UD. */
enum privilege { FOR_KERNELS = 0, FOR_ALL = 3 };

struct hypercall {
    uint64_t number;
    enum privilege privilege;
    exit_handler act;
};

/* HYPERCALL_NOP is answered before anybody looks here. */
static const struct hypercall hypercalls[] = {
    {.number = HYPERCALL_UPCALL, .privilege = FOR_ALL, .act = hypercall_upcall},
    {.number = HYPERCALL_GIVE_UP, .privilege = FOR_KERNELS, .act = hypercall_give_up},
};
static const struct hypercall no_hypercall = {.privilege = FOR_KERNELS, .act = hypercall_unknown};

static const struct hypercall *hypercall_find(uint64_t number) {
    for (size_t i = 0; i < ARRAY_SIZE(hypercalls); i++) {
        if (hypercalls[i].number == number) {
            return &hypercalls[i];
        }
    }
    return &no_hypercall;
}

/* What is for all does not ask for the CPL, which costs a VMREAD. */
enum action exit_hypercall(struct vcpu *v, struct vmexit *x) {
    if (LIKELY(v->regs[X86_RAX] == HYPERCALL_NOP)) {
        return ACTION_NEXT;
    }
    const struct hypercall *call = hypercall_find(v->regs[X86_RAX]);
    if (call->privilege != FOR_ALL && vcpu_cpl(v) > (unsigned)call->privilege) {
        return exit_inject(v, X86_UD, 0);
    }
    return call->act(v, x);
}
