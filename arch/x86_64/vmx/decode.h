/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From VT-x's raw exit words to the neutral struct vmexit: a const table by basic exit reason and
 * pure functions, the same on hardware and in the unit tests.
 * Source: Intel SDM vol. 3 "VM Exits" and appendix "VMX Basic Exit Reasons".
 */
#pragma once

#include "hv/dev/lapic.h"
#include "hv/vm/hvm.h"

enum vmx_need {
    NEED_LENGTH = BIT32(0),        /* instruction length */
    NEED_QUALIFICATION = BIT32(1), /* exit qualification */
    NEED_EVENT = BIT32(2),         /* exit interruption information and error code */
    NEED_PHYSICAL = BIT32(3),      /* guest-physical address */
    NEED_IDT = BIT32(4),           /* IDT-vectoring information: an event may have been cut off */
    NEED_GATE = BIT32(5),          /* the same, of an event that led to a task gate, as event */
};

struct vmx_raw {
    uint32_t reason, insn_len;
    uint32_t event, event_error;
    uint64_t qualification, physical;
};

struct vmx_reason {
    uint8_t kind;  /* enum exit_kind */
    uint8_t needs; /* enum vmx_need */
};

#define VMX_REASONS            86u
#define VMX_REASON_FAILED      BIT32(31) /* VM-entry failure */
#define VMX_REASON_BUS_LOCK    BIT32(26) /* the guest locked the bus before something else came */
#define VMX_REASON_APIC_ACCESS 44
#define VMX_EVENT_IRET_NMI     BIT32(12) /* NMI unblocking due to IRET */

extern const struct vmx_reason vmx_reasons[VMX_REASONS];

/*
 * The exit-reason word without what it says beside the reason. A bus lock that an event overtook
 * goes unpunished: a guest cannot time that.
 */
static inline uint32_t vmx_reason_strip(uint32_t word) {
    return word & ~VMX_REASON_BUS_LOCK;
}

/*
 * The entry for a raw exit-reason word; EXIT_UNKNOWN for what the table does not have. If that one
 * asks for the length, vmx_decode_unknown() has the last word.
 */
struct vmx_reason vmx_reason_find(uint32_t reason);

#define INSN_LENGTH_MAX 15u
/*
 * An exit of a reason from the future: with the length of an instruction it is one that this CPU
 * has and the guest's does not. All others are of the CPU's state, and nobody knows what is to be
 * done.
 */
static inline enum exit_kind vmx_decode_unknown(uint32_t insn_len) {
    return insn_len != 0 && insn_len <= INSN_LENGTH_MAX ? EXIT_INVALID_OPCODE : EXIT_UNKNOWN;
}

/* SDM "Exit Qualification for EPT Violations". */
static inline void vmx_decode_ept_violation(const struct vmx_raw *raw, struct vmexit *x) {
    uint64_t q = raw->qualification;
    x->fault = (struct exit_nested_fault){.gpa = GPA(raw->physical),
                                          .write = (q & BIT(1)) != 0,
                                          .execute = (q & BIT(2)) != 0,
                                          .in_page_walk = (q & BIT(7)) != 0 && (q & BIT(8)) == 0};
}

/* Fills in what x->kind says beyond the kind itself. */
void vmx_decode(const struct vmx_raw *raw, struct vmexit *x);

/* SDM "Exit Qualification for I/O Instructions": bit 3 is IN, 4 string, 5 REP. */
static inline void vmx_decode_io(uint64_t q, struct exit_io *io) {
    io->port = (uint16_t)(q >> 16);
    io->size = (uint8_t)((q & 7) + 1);
    io->flags = q >> 3 & 7;
}
