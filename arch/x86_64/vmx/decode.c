/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pure decode of VT-x exits. No VMREAD here: the words come in as they were read. What the table
 * does not name is EXIT_UNKNOWN, which stops the VM.
 */
#include "arch/x86_64/vmx/decode.h"

/* SDM "Exit Qualification for Control-Register Accesses". */
static void decode_cr(const struct vmx_raw *raw, struct vmexit *x) {
    uint64_t q = raw->qualification;
    static const uint8_t access[4] = {CR_WRITE, CR_READ, CR_CLTS, CR_LMSW};
    x->cr = (struct exit_cr){.access = access[q >> 4 & 3],
                             .cr = (uint8_t)(q & 15),
                             .gpr = (uint8_t)(q >> 8 & 15),
                             .lmsw = (uint16_t)(q >> 16)};
}

/* SDM "Exit Qualification for APIC-Access VM Exits": of the types, 0 and 1 are reads and writes, 2
 * is a fetch, those from 10 on are the CPU's own walks of tables; 3 comes with an event that tells.
 */
static void decode_nested_fault(const struct vmx_raw *raw, struct vmexit *x) {
    uint64_t q = raw->qualification, type = q >> 12 & 15;
    if (raw->reason != VMX_REASON_APIC_ACCESS) {
        vmx_decode_ept_violation(raw, x);
        return;
    }
    x->fault = (struct exit_nested_fault){.gpa = GPA(LAPIC_BASE | (q & (PAGE_SIZE - 1))),
                                          .write = type == 1,
                                          .execute = type == 2,
                                          .in_page_walk = type >= 10};
}

static void decode_apic(const struct vmx_raw *raw, struct vmexit *x) {
    x->apic = (uint32_t)raw->qualification & (PAGE_SIZE - 1);
}

static void decode_exception(const struct vmx_raw *raw, struct vmexit *x) {
    struct event e = event_decode(raw->event, raw->event_error, raw->insn_len);
    x->event = e;
    if (e.type == EVENT_NMI) {
        x->kind = EXIT_HOST_NMI;
    } else if (e.vector == 18) {
        x->kind = EXIT_HOST_MCE;
    }
}

/* SDM "Exit Qualification for Task Switches". The length is that of an instruction, if one was the
 * cause. */
static void decode_task(const struct vmx_raw *raw, struct vmexit *x) {
    struct exit_task *t = &x->task;
    t->selector = (uint16_t)raw->qualification;
    t->source = raw->qualification >> 30 & 3;
    t->event =
        event_decode(t->source == TASK_GATE ? raw->event : 0, raw->event_error, raw->insn_len);
    x->insn_len = t->source == TASK_GATE ? t->event.insn_len : raw->insn_len;
}

#define INSN      NEED_LENGTH
#define INSN_QUAL (NEED_LENGTH | NEED_QUALIFICATION)

const struct vmx_reason vmx_reasons[VMX_REASONS] = {
    [0] = {EXIT_EXCEPTION, NEED_EVENT | NEED_QUALIFICATION | NEED_IDT | NEED_LENGTH},
    [1] = {EXIT_INTERRUPT, 0},
    [2] = {EXIT_TRIPLE_FAULT, 0},
    [7] = {EXIT_WINDOW, 0},
    [8] = {EXIT_NMI_WINDOW, 0},
    [9] = {EXIT_TASK_SWITCH, INSN_QUAL | NEED_GATE},
    [10] = {EXIT_CPUID, INSN},
    [11] = {EXIT_INVALID_OPCODE, INSN}, /* GETSEC */
    [12] = {EXIT_HLT, INSN},
    [13] = {EXIT_CACHE, INSN},       /* INVD */
    [15] = {EXIT_PRIVILEGED, INSN},  /* RDPMC: no counters, so #GP */
    [17] = {EXIT_INVALID_OPCODE, 0}, /* RSM outside SMM */
    [18] = {EXIT_HYPERCALL, INSN},
    /* VMCLEAR, VMLAUNCH, VMPTRLD, VMPTRST, VMREAD, VMRESUME, VMWRITE, VMXOFF, VMXON */
    [19 ... 27] = {EXIT_INVALID_OPCODE, INSN},
    [28] = {EXIT_CR, INSN_QUAL},
    [30] = {EXIT_IO, INSN_QUAL},
    [31] = {EXIT_RDMSR, INSN},
    [32] = {EXIT_WRMSR, INSN},
    [33 ... 34] = {EXIT_ENTRY_FAILED, NEED_QUALIFICATION}, /* invalid guest state, MSR loading */
    [36] = {EXIT_INVALID_OPCODE, INSN},                    /* MWAIT: hidden */
    [39] = {EXIT_INVALID_OPCODE, INSN},                    /* MONITOR: hidden */
    [41] = {EXIT_HOST_MCE, 0},                             /* machine check during VM entry */
    [43] = {EXIT_WINDOW, 0},                               /* TPR below threshold */
    [VMX_REASON_APIC_ACCESS] = {EXIT_NESTED_FAULT, NEED_QUALIFICATION | NEED_IDT},
    [45] = {EXIT_APIC_EOI, NEED_QUALIFICATION},
    [48] = {EXIT_NESTED_FAULT, NEED_QUALIFICATION | NEED_PHYSICAL | NEED_IDT},
    [50] = {EXIT_INVALID_OPCODE, INSN}, /* INVEPT */
    [53] = {EXIT_INVALID_OPCODE, INSN}, /* INVVPID */
    [54] = {EXIT_CACHE, INSN},          /* WBINVD */
    [55] = {EXIT_XSETBV, INSN},
    [56] = {EXIT_APIC_WRITE, NEED_QUALIFICATION},
    [59 ... 60] = {EXIT_INVALID_OPCODE, INSN}, /* VMFUNC, ENCLS */
    [63 ... 64] = {EXIT_INVALID_OPCODE, INSN}, /* XSAVES, XRSTORS: hidden */
    /* Some of these exit on a CPU that has them whatever the controls say. */
    [65] = {EXIT_INVALID_OPCODE, INSN},        /* PCONFIG */
    [67 ... 70] = {EXIT_INVALID_OPCODE, INSN}, /* UMWAIT, TPAUSE, LOADIWKEY, ENCLV */
    [72 ... 73] = {EXIT_INVALID_OPCODE, INSN}, /* ENQCMD, ENQCMDS */
    [74] = {EXIT_BUS_LOCK, NEED_IDT},          /* after the instruction */
    [76 ... 77] = {EXIT_INVALID_OPCODE, INSN}, /* SEAMCALL, TDCALL */
    /* RDMSRLIST, WRMSRLIST, URDMSR, UWRMSR */
    [78 ... 81] = {EXIT_INVALID_OPCODE, INSN},
    [84 ... 85] = {EXIT_INVALID_OPCODE, INSN}, /* RDMSR and WRMSRNS with an immediate */
};

/* Bits 15:0 are the reason; any flag above it makes the word one we did not ask for. */
struct vmx_reason vmx_reason_find(uint32_t reason) {
    uint32_t basic = reason & 0xffff;
    bool failed = (reason & VMX_REASON_FAILED) != 0;
    if (reason >= VMX_REASONS && reason == basic) {
        return (struct vmx_reason){EXIT_UNKNOWN, NEED_QUALIFICATION | NEED_LENGTH};
    }
    if (basic >= VMX_REASONS || (reason & ~(VMX_REASON_FAILED | 0xffffu)) != 0 ||
        failed != (basic == 33 || basic == 34 || basic == 41)) {
        return (struct vmx_reason){EXIT_UNKNOWN, NEED_QUALIFICATION};
    }
    return vmx_reasons[basic];
}

void vmx_decode(const struct vmx_raw *raw, struct vmexit *x) {
    static void (*const decoders[EXIT_KINDS])(const struct vmx_raw *raw, struct vmexit *x) = {
        [EXIT_CR] = decode_cr,
        [EXIT_NESTED_FAULT] = decode_nested_fault,
        [EXIT_EXCEPTION] = decode_exception,
        [EXIT_TASK_SWITCH] = decode_task,
        [EXIT_APIC_WRITE] = decode_apic,
        [EXIT_APIC_EOI] = decode_apic,
    };
    if (decoders[x->kind] != NULL) {
        decoders[x->kind](raw, x);
    }
}
