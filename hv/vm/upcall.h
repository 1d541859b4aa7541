/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a vCPU's compartment and coming back: see hv/abi/compartment.h. All that comes back is
 * checked as if the guest had sent it. What a compartment may not do, and one that does not come
 * back in time, ends its VM as crashed, with a report, and nothing else.
 */
#pragma once

#include "hv/lib/str.h"
#include "hv/vm/vm.h"

#define COMPARTMENT_FAILED "its compartment failed" MSG(3041) /* a reason to end a run */

#define UPCALL_MAX_MS 1000u /* so long a compartment may take for one upcall, */
#define UPCALL_LOOKS  4u    /* and is seen at work so often meanwhile */

/* What the next upcall is. */
static inline void upcall_prepare(struct vcpu *v, enum upcall what) {
    v->exchange->upcall = what;
    v->upcall = what;
}

/*
 * Has v's compartment do what the exchange page says, and takes what it tells. x is the exit that
 * it is for, for the report; NULL if it is for none. False if it did not: the VM is leaving. On v's
 * own CPU; host interrupts are taken meanwhile.
 */
MUST_USE static inline bool upcall(struct vcpu *v, const struct vmexit *x, enum upcall what) {
    upcall_prepare(v, what);
    return hvm->upcall(v, x);
}

/*
 * It has done what it may not: ends its VM with a line that says what, detail included. Returns
 * false. For whoever judges what a compartment has answered.
 */
bool upcall_refuse(struct vcpu *v, const char *what, const char *detail);

/* What it was, for a report. */
const char *upcall_name(enum upcall what);

/* A word of an exchange page, read once: as exchange_copy(). */
#define EXCHANGE_READ(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

/*
 * Copies out of an exchange page, once: other vCPUs of the VM may write it meanwhile, so that what
 * is checked and what is used must be one and the same.
 */
static inline void exchange_copy(void *to, const void *from, size_t size) {
    memcpy(to, from, size);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the compiler does not read it again */
}

/* Is there a local APIC's page, as v's compartment is to reach it, and is that an offset in it? */
static inline bool exchange_is_apic(const struct vcpu *v, uint64_t offset) {
    return offset < PAGE_SIZE && lapic_is_xapic(&v->lapic);
}

/* Takes what v's compartment has told, bits of enum told. False if any of that is nonsense: the VM
 * is leaving then. */
MUST_USE bool told_take(struct vcpu *v, uint32_t told);

/* Answers a call of v's compartment that is not CORE_DONE; number is what it has in RAX. False if
 * there is none such, or what it asks with is nonsense. */
MUST_USE bool core_call_answer(struct vcpu *v, uint64_t number);
