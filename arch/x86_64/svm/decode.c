/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pure functions of VMCB words. No VMRUN here and no MSR. What the table does not name is
 * EXIT_UNKNOWN, which stops the VM. See decode.h.
 */
#include "arch/x86_64/svm/decode.h"

#include "hv/lib/x86.h"

#define INSN  FORM_INSTRUCTION
#define CR(n) [n] = {EXIT_CR, FORM_CR}

const struct svm_exit svm_exits[SVM_EXITS] = {
    /* Reads 00h-0fh, writes 10h-1fh; exceptions from 40h; from 60h on the order is that of the bits
     * in vmcb.intercepts. */
    CR(0x00),
    CR(0x04),
    CR(0x08),
    CR(0x10),
    CR(0x14),
    CR(0x18),
    [0x40 ... 0x5f] = {EXIT_EXCEPTION, FORM_EVENT},
    [0x60] = {EXIT_INTERRUPT, FORM_PLAIN},
    [0x61] = {EXIT_HOST_NMI, FORM_PLAIN}, /* taken by the host when enter.S sets GIF */
    [0x63] = {EXIT_HOST_INIT, FORM_PLAIN},
    [0x64] = {EXIT_WINDOW, FORM_PLAIN}, /* SVM_VINTR */
    CR(0x65),                           /* CR0: a write that changes more than TS and MP */
    [0x6f] = {EXIT_PRIVILEGED, INSN},   /* RDPMC: no counters, so #GP */
    [0x72] = {EXIT_CPUID, INSN},
    [0x74] = {EXIT_NMI_WINDOW, FORM_PLAIN}, /* IRET: the end of the guest's NMI handler */
    [0x76] = {EXIT_CACHE, INSN},            /* INVD */
    [0x78] = {EXIT_HLT, INSN},
    [0x7a] = {EXIT_INVALID_OPCODE, FORM_PLAIN}, /* INVLPGA */
    [0x7b] = {EXIT_IO, FORM_IO},
    [0x7c] = {EXIT_RDMSR, FORM_MSR},
    [0x7f] = {EXIT_TRIPLE_FAULT, FORM_PLAIN},   /* shutdown */
    [0x80] = {EXIT_INVALID_OPCODE, FORM_PLAIN}, /* VMRUN */
    [0x81] = {EXIT_HYPERCALL, INSN},
    [0x82 ... 0x86] = {EXIT_INVALID_OPCODE, FORM_PLAIN}, /* VMLOAD VMSAVE STGI CLGI SKINIT */
    [0x89] = {EXIT_CACHE, INSN},                         /* WBINVD */
    [0x8a ... 0x8b] = {EXIT_INVALID_OPCODE, FORM_PLAIN}, /* MONITOR, MWAIT: hidden */
    [0x8d] = {EXIT_XSETBV, INSN},
    [0x8e] = {EXIT_INVALID_OPCODE, FORM_PLAIN},         /* RDPRU: hidden */
    [EXIT_CODE_BUS_LOCK] = {EXIT_BUS_LOCK, FORM_PLAIN}, /* before the instruction */
};

struct svm_exit svm_exit_find(uint64_t code) {
    if (code < SVM_EXITS) {
        return svm_exits[code];
    }
    return code == EXIT_CODE_NESTED_FAULT ? (struct svm_exit){EXIT_NESTED_FAULT, FORM_NESTED_FAULT}
           : (uint32_t)code == EXIT_CODE_INVALID ? (struct svm_exit){EXIT_ENTRY_FAILED, FORM_PLAIN}
                                                 : (struct svm_exit){EXIT_UNKNOWN, FORM_PLAIN};
}

/* APM "MOV CRx Intercepts": bit 63 tells a MOV, bits 0-3 its register. */
static void decode_cr(const struct vmcb *c, bool assists, struct vmexit *x) {
    bool known = assists && c->exit_info1 >> 63 != 0;
    uint8_t access = c->exit_code < 0x10 ? CR_READ : CR_WRITE;
    x->cr = (struct exit_cr){.access = access,
                             .cr = c->exit_code == 0x65 ? 0 : c->exit_code & 15,
                             .gpr = known ? c->exit_info1 & 15 : 0xff};
    x->insn_len = known ? (uint32_t)(c->next_rip - c->rip) : 0;
}

void svm_decode(const struct vmcb *c, enum svm_form form, bool assists, struct vmexit *x) {
    if (form == FORM_CR) {
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
    bool soft = e.type == EVENT_EXCEPTION && (e.vector == 3 || e.vector == 4);
    e.type = soft || e.type > EVENT_EXCEPTION ? (uint8_t)EVENT_NONE : e.type;
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

const char *svm_refusal(const struct vmcb *c) {
    uint64_t cr0 = c->cr0, paged = X86_CR0_PG | X86_CR0_PE;
    bool lme = (c->efer & X86_EFER_LME) != 0, pg = (cr0 & X86_CR0_PG) != 0;
    uint64_t in_long = lme && pg, cs = c->segments[HVM_CS].attr, type = c->event >> 8 & 7;
    uint64_t bad_event = (c->event & EVENT_VALID) != 0 &&
                         (type == 1 || type > 4 || (type == 3 && (c->event & 0xff) > 31));
    const struct svm_rule rules[] = {
        {c->efer, X86_EFER_SVME, 0, "EFER.SVME is clear"},
        {cr0, X86_CR0_CD | X86_CR0_NW, X86_CR0_NW, "CR0.NW is set without CR0.CD"},
        {cr0 >> 32 != 0, 1, 1, "CR0 has bits above 31"},
        {cr0, paged, X86_CR0_PG, "CR0.PG is set without CR0.PE"},
        {c->dr6 >> 32 != 0, 1, 1, "DR6 has bits above 31"},
        {c->dr7 >> 32 != 0, 1, 1, "DR7 has bits above 31"},
        {in_long && (c->cr4 & X86_CR4_PAE) == 0, 1, 1, "long mode without CR4.PAE"},
        {in_long && (cs & 0x600) == 0x600, 1, 1, "CS has both L and D"},
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
