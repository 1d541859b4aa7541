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

/*
 * SDM "Exit Qualification for APIC-Access VM Exits", bits 15:12. With a physical access the CPU has
 * gone through a table of its own, in an event's delivery or not; type 3 comes with an event that
 * tells.
 */
enum { TYPE_WRITE = 1, TYPE_FETCH = 2, TYPE_PHYSICAL_EVENT = 10, TYPE_PHYSICAL = 15 };

static void decode_nested_fault(const struct vmx_raw *raw, struct vmexit *x) {
    uint64_t q = raw->qualification, type = q >> 12 & 15;
    if (raw->reason != VMX_REASON_APIC_ACCESS) {
        vmx_decode_ept_violation(raw, x);
        return;
    }
    bool physical = type == TYPE_PHYSICAL_EVENT || type == TYPE_PHYSICAL;
    x->fault = (struct exit_nested_fault){.gpa = GPA(LAPIC_BASE | (q & (PAGE_SIZE - 1))),
                                          .write = type == TYPE_WRITE,
                                          .execute = type == TYPE_FETCH,
                                          .in_page_walk = physical};
}

static void decode_apic(const struct vmx_raw *raw, struct vmexit *x) {
    x->apic = (uint32_t)raw->qualification & (PAGE_SIZE - 1);
}

static void decode_exception(const struct vmx_raw *raw, struct vmexit *x) {
    struct event e = event_decode(raw->event, raw->event_error, raw->insn_len);
    x->event = e;
    if (e.type == EVENT_NMI) {
        x->kind = EXIT_HOST_NMI;
    } else if (e.vector == X86_MC) {
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
    [VMX_REASON_EXCEPTION] = {EXIT_EXCEPTION,
                              NEED_EVENT | NEED_QUALIFICATION | NEED_IDT | NEED_LENGTH},
    [VMX_REASON_EXTERNAL_INTERRUPT] = {EXIT_INTERRUPT, 0},
    [VMX_REASON_TRIPLE_FAULT] = {EXIT_TRIPLE_FAULT, 0},
    [VMX_REASON_INTERRUPT_WINDOW] = {EXIT_WINDOW, 0},
    [VMX_REASON_NMI_WINDOW] = {EXIT_NMI_WINDOW, 0},
    [VMX_REASON_TASK_SWITCH] = {EXIT_TASK_SWITCH, INSN_QUAL | NEED_GATE},
    [VMX_REASON_CPUID] = {EXIT_CPUID, INSN},
    [VMX_REASON_GETSEC] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_HLT] = {EXIT_HLT, INSN},
    [VMX_REASON_INVD] = {EXIT_CACHE, INSN},
    [VMX_REASON_RDPMC] = {EXIT_PRIVILEGED, INSN}, /* no counters, so #GP */
    [VMX_REASON_RSM] = {EXIT_INVALID_OPCODE, 0},  /* outside SMM */
    [VMX_REASON_VMCALL] = {EXIT_HYPERCALL, INSN},
    [VMX_REASON_VMCLEAR] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMLAUNCH] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMPTRLD] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMPTRST] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMREAD] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMRESUME] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMWRITE] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMXOFF] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_VMXON] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_CR_ACCESS] = {EXIT_CR, INSN_QUAL},
    [VMX_REASON_IO] = {EXIT_IO, INSN_QUAL},
    [VMX_REASON_RDMSR] = {EXIT_RDMSR, INSN},
    [VMX_REASON_WRMSR] = {EXIT_WRMSR, INSN},
    [VMX_REASON_GUEST_STATE] = {EXIT_ENTRY_FAILED, NEED_QUALIFICATION},
    [VMX_REASON_MSR_LOADING] = {EXIT_ENTRY_FAILED, NEED_QUALIFICATION},
    [VMX_REASON_MWAIT] = {EXIT_INVALID_OPCODE, INSN},   /* hidden */
    [VMX_REASON_MONITOR] = {EXIT_INVALID_OPCODE, INSN}, /* hidden */
    [VMX_REASON_ENTRY_MACHINE_CHECK] = {EXIT_HOST_MCE, 0},
    [VMX_REASON_TPR_THRESHOLD] = {EXIT_WINDOW, 0},
    [VMX_REASON_APIC_ACCESS] = {EXIT_NESTED_FAULT, NEED_QUALIFICATION | NEED_IDT},
    [VMX_REASON_VIRTUAL_EOI] = {EXIT_APIC_EOI, NEED_QUALIFICATION},
    [VMX_REASON_EPT_VIOLATION] = {EXIT_NESTED_FAULT, 0}, /* vmx_read_ept_violation() */
    [VMX_REASON_INVEPT] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_INVVPID] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_WBINVD] = {EXIT_CACHE, INSN},
    [VMX_REASON_XSETBV] = {EXIT_XSETBV, INSN},
    [VMX_REASON_APIC_WRITE] = {EXIT_APIC_WRITE, NEED_QUALIFICATION},
    [VMX_REASON_VMFUNC] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_ENCLS] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_XSAVES] = {EXIT_INVALID_OPCODE, INSN},  /* hidden */
    [VMX_REASON_XRSTORS] = {EXIT_INVALID_OPCODE, INSN}, /* hidden */
    /* Some of these exit on a CPU that has them whatever the controls say. */
    [VMX_REASON_PCONFIG] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_UMWAIT] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_TPAUSE] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_LOADIWKEY] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_ENCLV] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_ENQCMD] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_ENQCMDS] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_BUS_LOCK] = {EXIT_BUS_LOCK, NEED_IDT}, /* after the instruction */
    [VMX_REASON_SEAMCALL] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_TDCALL] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_RDMSRLIST] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_WRMSRLIST] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_URDMSR] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_UWRMSR] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_RDMSR_IMMEDIATE] = {EXIT_INVALID_OPCODE, INSN},
    [VMX_REASON_WRMSRNS_IMMEDIATE] = {EXIT_INVALID_OPCODE, INSN},
};

/* Bits 15:0 are the reason; any flag above it makes the word one we did not ask for. */
struct vmx_reason vmx_reason_find(uint32_t reason) {
    uint32_t basic = reason & VMX_REASON_BASIC;
    bool failed = (reason & VMX_REASON_FAILED) != 0;
    if (reason >= VMX_REASONS && reason == basic) {
        return (struct vmx_reason){EXIT_UNKNOWN, NEED_QUALIFICATION | NEED_LENGTH};
    }
    bool entry = basic == VMX_REASON_GUEST_STATE || basic == VMX_REASON_MSR_LOADING ||
                 basic == VMX_REASON_ENTRY_MACHINE_CHECK;
    bool other_flags = (reason & ~(VMX_REASON_FAILED | VMX_REASON_BASIC)) != 0;
    if (basic >= VMX_REASONS || other_flags || failed != entry) {
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

enum vmx_nmi_blocking vmx_nmi_after_event(const struct vmx_raw *raw, uint32_t idt_event) {
    if ((idt_event & EVENT_VALID) != 0) {
        bool nmi = event_decode(idt_event, 0, 0).type == EVENT_NMI;
        return nmi ? NMI_BLOCKING_ENDS : NMI_BLOCKING_KEPT;
    }

    bool unblocked = false;
    if (raw->reason == VMX_REASON_EPT_VIOLATION) {
        unblocked = (raw->qualification & VMX_EVENT_IRET_NMI) != 0;
    } else if (raw->reason == VMX_REASON_EXCEPTION) {
        unblocked = (raw->event & VMX_EVENT_IRET_NMI) != 0 && (uint8_t)raw->event != X86_DF;
    }
    return unblocked ? NMI_BLOCKING_BEGINS : NMI_BLOCKING_KEPT;
}

enum vmx_nmi_blocking vmx_nmi_after_switch(const struct exit_task *t) {
    if (t->source == TASK_IRET) {
        return NMI_BLOCKING_ENDS;
    }
    return t->event.type == EVENT_NMI ? NMI_BLOCKING_BEGINS : NMI_BLOCKING_KEPT;
}

#define MSR_MAP_HIGH  0xc0000000u
#define MSR_MAP_RANGE 0x2000u

/* SDM "MSR-Bitmap Address": read low, read high, write low, write high. */
int vmx_msr_bit(uint32_t msr, bool write) {
    bool high = msr >= MSR_MAP_HIGH;
    uint32_t number = high ? msr - MSR_MAP_HIGH : msr;
    unsigned part = 2u * write + high;

    return number < MSR_MAP_RANGE ? (int)(part * MSR_MAP_RANGE + number) : -1;
}
