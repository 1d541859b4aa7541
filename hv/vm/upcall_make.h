/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a vCPU's compartment and back, written once and compiled into each vendor's file as
 * the run loop is (hv/exit/loop.h). upcall.c has what is rare on it. For those files alone: all
 * others call upcall().
 */
#pragma once

#include "hv/vm/upcall.h"

/* Something is special about v's upcalls: may one begin? */
MUST_USE bool upcall_may_begin(struct vcpu *v);

/* It has called the core, and not to say that it is done. False if the VM is leaving. */
MUST_USE bool upcall_called(struct vcpu *v);

/* Its run has ended otherwise. The same. */
MUST_USE bool upcall_ended(struct vcpu *v, const struct vmexit *end);

/* It is done and has told something, now or before. The same. */
MUST_USE bool upcall_told(struct vcpu *v);

/*
 * As upcall(), of what upcall_prepare() was told. run: until it calls the core, behind which it
 * stands then: true; or until anything else ends its run, at v->compartment_rip: false, and kind,
 * event and fault of *end are set.
 */
static inline __attribute__((always_inline)) bool
upcall_make(struct vcpu *v, const struct vmexit *x,
            bool (*run)(struct vcpu *v, struct vmexit *end)) {
    if (UNLIKELY(v->upcall_flags != 0) && !upcall_may_begin(v)) {
        return false;
    }
    v->upcall_exit = x;
    v->upcalls++;
    v->upcall_flags = UPCALL_RUNS;
    for (;;) {
        struct vmexit end;
        bool called = run(v, &end);
        if (LIKELY(called) && LIKELY(v->compartment.regs[X86_RAX] == CORE_DONE)) {
            break;
        }
        if (called ? !upcall_called(v) : !upcall_ended(v, &end)) {
            return false;
        }
    }
    v->upcall_flags ^= UPCALL_RUNS;
    bool plain = (EXCHANGE_READ(v->exchange->told) | v->upcall_flags) == 0;
    return LIKELY(plain) || upcall_told(v);
}
