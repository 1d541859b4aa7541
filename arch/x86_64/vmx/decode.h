/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From VT-x's raw exit words to the neutral struct vmexit: a const table by basic exit reason and
 * pure functions, the same on hardware and in the unit tests.
 * Source: Intel SDM vol. 3 "VM Exits" and appendix "VMX Basic Exit Reasons".
 */
#pragma once

#include "hv/vm/hvm.h"
#include "hv/vm/lapic.h"

enum vmx_need {
    NEED_LENGTH = BIT32(0),        /* instruction length */
    NEED_QUALIFICATION = BIT32(1), /* exit qualification */
    NEED_EVENT = BIT32(2),         /* exit interruption information and error code */
    NEED_IDT = BIT32(3),           /* IDT-vectoring information: an event may have been cut off */
    NEED_GATE = BIT32(4),          /* the same, of an event that led to a task gate, as event */
};

/* The basic exit reasons that we know. */
enum vmx_basic_reason {
    VMX_REASON_EXCEPTION = 0,
    VMX_REASON_EXTERNAL_INTERRUPT = 1,
    VMX_REASON_TRIPLE_FAULT = 2,
    VMX_REASON_INTERRUPT_WINDOW = 7,
    VMX_REASON_NMI_WINDOW = 8,
    VMX_REASON_TASK_SWITCH = 9,
    VMX_REASON_CPUID = 10,
    VMX_REASON_GETSEC = 11,
    VMX_REASON_HLT = 12,
    VMX_REASON_INVD = 13,
    VMX_REASON_RDPMC = 15,
    VMX_REASON_RSM = 17,
    VMX_REASON_VMCALL = 18,
    VMX_REASON_VMCLEAR = 19,
    VMX_REASON_VMLAUNCH = 20,
    VMX_REASON_VMPTRLD = 21,
    VMX_REASON_VMPTRST = 22,
    VMX_REASON_VMREAD = 23,
    VMX_REASON_VMRESUME = 24,
    VMX_REASON_VMWRITE = 25,
    VMX_REASON_VMXOFF = 26,
    VMX_REASON_VMXON = 27,
    VMX_REASON_CR_ACCESS = 28,
    VMX_REASON_IO = 30,
    VMX_REASON_RDMSR = 31,
    VMX_REASON_WRMSR = 32,
    VMX_REASON_GUEST_STATE = 33, /* VM entry failed */
    VMX_REASON_MSR_LOADING = 34, /* VM entry failed */
    VMX_REASON_MWAIT = 36,
    VMX_REASON_MONITOR = 39,
    VMX_REASON_ENTRY_MACHINE_CHECK = 41, /* VM entry failed */
    VMX_REASON_TPR_THRESHOLD = 43,
    VMX_REASON_APIC_ACCESS = 44,
    VMX_REASON_VIRTUAL_EOI = 45,
    VMX_REASON_EPT_VIOLATION = 48,
    VMX_REASON_INVEPT = 50,
    VMX_REASON_INVVPID = 53,
    VMX_REASON_WBINVD = 54,
    VMX_REASON_XSETBV = 55,
    VMX_REASON_APIC_WRITE = 56,
    VMX_REASON_VMFUNC = 59,
    VMX_REASON_ENCLS = 60,
    VMX_REASON_XSAVES = 63,
    VMX_REASON_XRSTORS = 64,
    VMX_REASON_PCONFIG = 65,
    VMX_REASON_UMWAIT = 67,
    VMX_REASON_TPAUSE = 68,
    VMX_REASON_LOADIWKEY = 69,
    VMX_REASON_ENCLV = 70,
    VMX_REASON_ENQCMD = 72,
    VMX_REASON_ENQCMDS = 73,
    VMX_REASON_BUS_LOCK = 74,
    VMX_REASON_SEAMCALL = 76,
    VMX_REASON_TDCALL = 77,
    VMX_REASON_RDMSRLIST = 78,
    VMX_REASON_WRMSRLIST = 79,
    VMX_REASON_URDMSR = 80,
    VMX_REASON_UWRMSR = 81,
    VMX_REASON_RDMSR_IMMEDIATE = 84,
    VMX_REASON_WRMSRNS_IMMEDIATE = 85,
    VMX_REASONS
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

/* The exit-reason word. */
#define VMX_REASON_BASIC     0xffffu   /* enum vmx_basic_reason */
#define VMX_REASON_WITH_LOCK BIT32(26) /* the guest locked the bus before something else came */
#define VMX_REASON_FAILED    BIT32(31) /* VM entry failed */
#define VMX_EVENT_IRET_NMI   BIT32(12) /* NMI unblocking due to IRET */

extern const struct vmx_reason vmx_reasons[VMX_REASONS];

/*
 * The exit-reason word without what it says beside the reason. A bus lock that an event overtook
 * goes unpunished: a guest cannot time that.
 */
static inline uint32_t vmx_reason_strip(uint32_t word) {
    return word & ~VMX_REASON_WITH_LOCK;
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

/* What the CPU has not written into "blocking by NMI" of the guest's state, so that we have to. */
enum vmx_nmi_blocking { NMI_BLOCKING_KEPT, NMI_BLOCKING_ENDS, NMI_BLOCKING_BEGINS };

/*
 * After an exit of a kind that NEED_IDT stands for: idt_event is the IDT-vectoring information. An
 * NMI that was cut off goes in again and blocks nothing yet; an IRET that faulted has unblocked
 * NMIs and will run again. SDM "Information for VM Exits During Execution of IRET" and "Information
 * About NMI Unblocking Due to IRET".
 */
enum vmx_nmi_blocking vmx_nmi_after_event(const struct vmx_raw *raw, uint32_t idt_event);

/* After the exit of a task switch, whatever becomes of it: an IRET ends the blocking and an NMI by
 * a task gate begins it. SDM "Treatment of Task Switches". */
enum vmx_nmi_blocking vmx_nmi_after_switch(const struct exit_task *t);

/* SDM "Exit Qualification for I/O Instructions": bit 3 is IN, 4 string, 5 REP. */
static inline void vmx_decode_io(uint64_t q, struct exit_io *io) {
    io->port = (uint16_t)(q >> 16);
    io->size = (uint8_t)((q & 7) + 1);
    io->flags = q >> 3 & 7;
}

/* As of struct hvm_ops. */
int vmx_msr_bit(uint32_t msr, bool write);
