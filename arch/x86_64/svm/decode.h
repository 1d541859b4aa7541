/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pure half of AMD-V: from the VMCB's exit words to the neutral struct vmexit, the intercepts
 * of every guest, the permission maps, and why the CPU refused a VMCB. The same on hardware and in
 * the unit tests.
 * Sources: AMD APM vol. 2 "SVM Intercept Codes", "Instruction Intercepts", "Event Injection",
 * "Canonicalization and Consistency Checks".
 */
#pragma once

#include "arch/x86_64/svm/vmcb.h"
#include "hv/vm/hvm.h"

enum svm_form {
    FORM_PLAIN,       /* nothing beyond the kind */
    FORM_INSTRUCTION, /* these have a length */
    FORM_MSR,
    FORM_CR,
    FORM_CR8, /* the same, but nothing else depends on it */
    FORM_IO,
    FORM_EVENT,
    FORM_NESTED_FAULT,
};

struct svm_exit {
    uint8_t kind; /* enum exit_kind */
    uint8_t form; /* enum svm_form */
};

extern const struct svm_exit svm_exits[SVM_EXITS];

/* The entry for an exit code; EXIT_UNKNOWN for what the table does not have. */
struct svm_exit svm_exit_find(uint64_t code);

/*
 * Fills in what the exit's form says beyond the kind. assists: the CPU has decode assists; without
 * them, or for LMSW and its like, a CR exit keeps insn_len 0 and cr.gpr 0xff: the instruction
 * tells.
 */
void svm_decode(const struct vmcb *c, enum svm_form form, bool assists, struct vmexit *x);

/* An event word of the VMCB as an event. Soft events are EVENT_NONE: their instruction runs again.
 */
struct event svm_event_decode(uint64_t word);
/* And back. */
static inline uint64_t svm_event_encode(const struct event *e) {
    return event_encode(e) | (e->has_error ? (uint64_t)e->error << 32 : 0);
}

/* APM "IOIO Intercept Information": bit 0 IN, 2 string, 3 REP, 4-6 the size. */
static inline void svm_decode_io(const struct vmcb *c, struct vmexit *x) {
    uint64_t q = c->exit_info1;
    x->io = (struct exit_io){
        .port = (uint16_t)(q >> 16), .size = q >> 4 & 7, .flags = (q & 1) | (q >> 1 & 6)};
    x->insn_len = (uint32_t)(c->exit_info2 - c->rip);
}

/* APM "Nested versus Guest Page Faults, Fault Ordering": bits as of a page fault's error code. */
static inline void svm_decode_nested_fault(const struct vmcb *c, struct vmexit *x) {
    uint64_t q = c->exit_info1;
    x->fault = (struct exit_nested_fault){.gpa = GPA(c->exit_info2),
                                          .write = (q & BIT(1)) != 0,
                                          .execute = (q & BIT(4)) != 0,
                                          .in_page_walk = (q & BIT(33)) != 0};
}

/* The intercepts that every guest has. */
void svm_set_intercepts(struct vmcb *c);
#define SVM_EXCEPTIONS (BIT32(X86_DB) | BIT32(X86_AC) | BIT32(X86_MC))

/* As of struct hvm_ops. */
int svm_msr_bit(uint32_t msr, bool write);

/* The rule that a VMCB breaks which the CPU refused, as far as we can tell. */
const char *svm_refusal(const struct vmcb *c);
