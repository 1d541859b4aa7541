/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pure functions of VMCB words. No VMRUN here and no MSR. What the table does not name is
 * EXIT_UNKNOWN, which stops the VM. See decode.h.
 */
#include "arch/x86_64/svm/decode.h"

#include "hv/lib/x86.h"

#define INSN      FORM_INSTRUCTION
#define CR(name)  [EXIT_CODE_##name] = {EXIT_CR, FORM_CR}
#define CR8(name) [EXIT_CODE_##name] = {EXIT_CR, FORM_CR8}

const struct svm_exit svm_exits[SVM_EXITS] = {
    CR(CR0_READ),
    CR(CR4_READ),
    CR8(CR8_READ),
    CR(CR0_WRITE),
    CR(CR4_WRITE),
    CR8(CR8_WRITE),
    [EXIT_CODE_EXCEPTION0... EXIT_CODE_EXCEPTION31] = {EXIT_EXCEPTION, FORM_EVENT},
    [EXIT_CODE_INTR] = {EXIT_INTERRUPT, FORM_PLAIN},
    [EXIT_CODE_NMI] = {EXIT_HOST_NMI, FORM_PLAIN}, /* taken by the host when enter.S sets GIF */
    [EXIT_CODE_INIT] = {EXIT_HOST_INIT, FORM_PLAIN},
    [EXIT_CODE_VINTR] = {EXIT_WINDOW, FORM_PLAIN},
    CR(CR0_SELECTIVE),
    [EXIT_CODE_RDPMC] = {EXIT_PRIVILEGED, INSN}, /* no counters, so #GP */
    [EXIT_CODE_CPUID] = {EXIT_CPUID, INSN},
    [EXIT_CODE_IRET] = {EXIT_NMI_WINDOW, FORM_PLAIN}, /* the end of the guest's NMI handler */
    [EXIT_CODE_INVD] = {EXIT_CACHE, INSN},
    [EXIT_CODE_HLT] = {EXIT_HLT, INSN},
    [EXIT_CODE_INVLPGA] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_IO] = {EXIT_IO, FORM_IO},
    [EXIT_CODE_MSR] = {EXIT_RDMSR, FORM_MSR},
    [EXIT_CODE_SHUTDOWN] = {EXIT_TRIPLE_FAULT, FORM_PLAIN},
    [EXIT_CODE_VMRUN] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_VMMCALL] = {EXIT_HYPERCALL, INSN},
    [EXIT_CODE_VMLOAD] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_VMSAVE] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_STGI] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_CLGI] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_SKINIT] = {EXIT_INVALID_OPCODE, FORM_PLAIN},
    [EXIT_CODE_WBINVD] = {EXIT_CACHE, INSN},
    [EXIT_CODE_MONITOR] = {EXIT_INVALID_OPCODE, FORM_PLAIN}, /* hidden */
    [EXIT_CODE_MWAIT] = {EXIT_INVALID_OPCODE, FORM_PLAIN},   /* hidden */
    [EXIT_CODE_XSETBV] = {EXIT_XSETBV, INSN},
    [EXIT_CODE_RDPRU] = {EXIT_INVALID_OPCODE, FORM_PLAIN}, /* hidden */
    [EXIT_CODE_BUS_LOCK] = {EXIT_BUS_LOCK, FORM_PLAIN},    /* before the instruction */
};

struct svm_exit svm_exit_find(uint64_t code) {
    if (code < SVM_EXITS) {
        return svm_exits[code];
    }
    if (code == EXIT_CODE_NESTED_FAULT) {
        return (struct svm_exit){EXIT_NESTED_FAULT, FORM_NESTED_FAULT};
    }
    if ((uint32_t)code == EXIT_CODE_INVALID) {
        return (struct svm_exit){EXIT_ENTRY_FAILED, FORM_PLAIN};
    }
    return (struct svm_exit){EXIT_UNKNOWN, FORM_PLAIN};
}

/* APM "MOV CRx Intercepts": EXITINFO1. */
#define CR_INFO_MOV BIT(63)
#define CR_INFO_GPR 15u

#define GPR_UNKNOWN 0xffu /* struct exit_cr's: the instruction tells */

static void decode_cr(const struct vmcb *c, bool assists, struct vmexit *x) {
    bool known = assists && (c->exit_info1 & CR_INFO_MOV) != 0;
    bool selective = c->exit_code == EXIT_CODE_CR0_SELECTIVE;
    x->cr = (struct exit_cr){
        .access = c->exit_code < EXIT_CODE_CR0_WRITE ? CR_READ : CR_WRITE,
        .cr = selective ? 0 : c->exit_code & 15,
        .gpr = known ? c->exit_info1 & CR_INFO_GPR : GPR_UNKNOWN,
    };
    x->insn_len = known ? (uint32_t)(c->next_rip - c->rip) : 0;
}

void svm_decode(const struct vmcb *c, enum svm_form form, bool assists, struct vmexit *x) {
    if (form == FORM_CR || form == FORM_CR8) {
        decode_cr(c, assists, x);
    } else if (form == FORM_NESTED_FAULT) {
        svm_decode_nested_fault(c, x);
    } else if (form == FORM_EVENT) {
        uint8_t vector = c->exit_code & 31;
        bool has_error = (X86_WITH_ERROR >> vector & 1) != 0;
        x->kind = vector == X86_MC ? EXIT_HOST_MCE : EXIT_EXCEPTION;
        x->event = (struct event){EVENT_EXCEPTION, vector, 0, has_error,
                                  has_error ? (uint32_t)c->exit_info1 : 0};
    }
}

/* APM "EXITINTINFO" and "EVENTINJ" have one form. */
struct event svm_event_decode(uint64_t word) {
    struct event e = event_decode((uint32_t)word, (uint32_t)(word >> 32), 0);
    bool int3_or_into = e.type == EVENT_EXCEPTION && (e.vector == 3 || e.vector == 4);
    e.type = int3_or_into || event_type_is_soft(e.type) ? (uint8_t)EVENT_NONE : e.type;
    return e;
}

void svm_set_intercepts(struct vmcb *c) {
    /* CR4 has no mask of guest-owned bits, and its MCE is not the guest's. */
    c->cr_reads = BIT32(4);
    c->cr_writes = BIT32(4);
    /* #AC and #DB as well: raised without end in microcode, they would lock up the CPU. */
    c->exceptions = SVM_EXCEPTIONS;
    /* What the table has a use for; two of them only at times. */
    for (unsigned code = EXIT_CODE_INTERCEPTS; code < SVM_EXITS; code++) {
        unsigned n = code - EXIT_CODE_INTERCEPTS;
        c->intercepts[n / 32] |= svm_exits[code].kind != EXIT_UNKNOWN ? BIT32(n % 32) : 0;
    }
    c->intercepts[0] &= ~(SVM_VINTR | SVM_IRET);
}

#define MSR_MAP_RANGE 0x2000u

/* APM "MSR Intercepts": 2 KiB for each of three ranges, two bits an MSR. */
int svm_msr_bit(uint32_t msr, bool write) {
    static const uint32_t bases[] = {0, 0xc0000000u, 0xc0010000u};
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        if (msr >= bases[i] && msr - bases[i] < MSR_MAP_RANGE) {
            return (int)((i * MSR_MAP_RANGE + (msr - bases[i])) * 2 + write);
        }
    }
    return -1;
}

struct svm_rule {
    uint64_t value, mask, bad; /* broken if value & mask == bad */
    const char *text;
};

/* APM "Event Injection": types 1 and above 4 do not exist; exceptions end at vector 31. */
static bool event_is_illegal(uint64_t word) {
    enum { TYPE_SHIFT = 8, TYPE_MASK = 7, TYPE_RESERVED = 1, TYPE_EXCEPTION = 3, TYPE_LAST = 4 };
    enum { EXCEPTIONS = 32 };
    unsigned type = word >> TYPE_SHIFT & TYPE_MASK;
    unsigned vector = (uint8_t)word;

    if (type == TYPE_RESERVED || type > TYPE_LAST) {
        return true;
    }
    return type == TYPE_EXCEPTION && vector >= EXCEPTIONS;
}

const char *svm_refusal(const struct vmcb *c) {
    uint64_t cr0 = c->cr0, paged = X86_CR0_PG | X86_CR0_PE;
    bool lme = (c->efer & X86_EFER_LME) != 0, pg = (cr0 & X86_CR0_PG) != 0;
    bool in_long = lme && pg;
    bool bad_event = (c->event & EVENT_VALID) != 0 && event_is_illegal(c->event);
    uint32_t cs = c->segments[HVM_CS].attr;
    uint32_t both = VMCB_ATTR_LONG | VMCB_ATTR_BIG;

    const struct svm_rule rules[] = {
        {c->efer, X86_EFER_SVME, 0, "EFER.SVME is clear"},
        {cr0, X86_CR0_CD | X86_CR0_NW, X86_CR0_NW, "CR0.NW is set without CR0.CD"},
        {cr0 >> 32 != 0, 1, 1, "CR0 has bits above 31"},
        {cr0, paged, X86_CR0_PG, "CR0.PG is set without CR0.PE"},
        {c->dr6 >> 32 != 0, 1, 1, "DR6 has bits above 31"},
        {c->dr7 >> 32 != 0, 1, 1, "DR7 has bits above 31"},
        {in_long && (c->cr4 & X86_CR4_PAE) == 0, 1, 1, "long mode without CR4.PAE"},
        {in_long && (cs & both) == both, 1, 1, "CS has both L and D"},
        {c->intercepts[1], SVM_VMRUN, 0, "VMRUN is not intercepted"},
        {c->asid, UINT32_MAX, 0, "ASID is 0"},
        {(c->io_map | c->msr_map | c->nested_cr3) >> 52 != 0, 1, 1, "a map's address is too large"},
        {bad_event, 1, 1, "the injected event is not a legal one"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if ((rules[i].value & rules[i].mask) == rules[i].bad) {
            return rules[i].text;
        }
    }
    return "CR3, CR4 or EFER has a bit this CPU does not know";
}
