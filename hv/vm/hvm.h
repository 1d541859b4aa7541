/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vendor boundary. vmx_ops and svm_ops implement it; nothing above knows which is running.
 * A vendor turns its raw exit into one struct vmexit; the decode is a pure function of raw words.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/lib/x86.h"
#include "hv/mem/audit.h"
#include "hv/plan/boot_info.h"

struct npt_format;
struct vcpu;

enum exit_kind {
    EXIT_UNKNOWN = 0, /* what no table names; stops the VM */
    EXIT_CPUID,
    EXIT_HYPERCALL,
    EXIT_RDMSR,
    EXIT_WRMSR,
    EXIT_IO,
    EXIT_NESTED_FAULT, /* guest-physical address that the nested tables do not allow */
    EXIT_INTERRUPT,    /* a host interrupt is waiting */
    EXIT_WINDOW,       /* the guest can take an interrupt now */
    EXIT_NMI_WINDOW,   /* the guest can take an NMI now, or can after its IRET */
    EXIT_CHANGED,      /* another vCPU has changed the instruction that exited: once more */
    EXIT_HLT,
    EXIT_CR, /* MOV CR, CLTS, LMSW that policy wants to see */
    EXIT_XSETBV,
    EXIT_EXCEPTION, /* one of the intercepted exceptions */
    EXIT_HOST_NMI,  /* the vendor's file has handled it */
    EXIT_HOST_INIT, /* nobody sends it to a running CPU but a reset of the machine */
    EXIT_HOST_MCE,
    EXIT_TRIPLE_FAULT,
    EXIT_TASK_SWITCH,    /* the CPU has checked gate and privileges, and done nothing */
    EXIT_INVALID_OPCODE, /* an instruction this guest's CPU does not have: #UD */
    EXIT_PRIVILEGED,     /* an instruction refused with #GP(0) */
    EXIT_CACHE,          /* WBINVD, INVD */
    EXIT_APIC_WRITE,     /* the CPU has written a register of the virtual APIC: its offset */
    EXIT_APIC_EOI,       /* the CPU has ended an interrupt that may be level-triggered */
    EXIT_BUS_LOCK,       /* an access of the guest locked the bus of all CPUs, or is going to */
    EXIT_ENTRY_FAILED,   /* the CPU refused the guest state: the report says why */
    EXIT_KINDS
};

/* As "stats" and crash reports show them. */
extern const char *const exit_kind_names[EXIT_KINDS];

/* The numbers are those of both vendors' event words. */
enum event_type {
    EVENT_INTERRUPT,
    EVENT_NONE,
    EVENT_NMI,
    EVENT_EXCEPTION,
    EVENT_SOFT_INTERRUPT,
    EVENT_INT1,
    EVENT_SOFT_EXCEPTION /* INT3, INTO */
};

struct event {
    uint8_t type, vector; /* enum event_type */
    uint8_t insn_len;     /* soft events only */
    bool has_error;
    uint32_t error;
};

/* Both vendors' event words are alike, but for where the error code is. SDM "VM-Entry Controls for
 * Event Injection", APM "Event Injection". */
#define EVENT_VALID     BIT32(31)
#define EVENT_HAS_ERROR BIT32(11)
static inline uint32_t event_encode(const struct event *e) {
    return EVENT_VALID | (uint32_t)e->type << 8 | (e->has_error ? EVENT_HAS_ERROR : 0) | e->vector;
}
/* And back; EVENT_NONE if its valid bit is clear. */
static inline struct event event_decode(uint32_t word, uint32_t error, uint32_t insn_len) {
    struct event e = {.type = word >> 8 & 7, .vector = (uint8_t)word};
    if ((word & EVENT_VALID) == 0 || e.type > EVENT_SOFT_EXCEPTION) {
        e.type = EVENT_NONE;
    }
    e.has_error = (word & EVENT_HAS_ERROR) != 0;
    e.error = e.has_error ? error : 0;
    e.insn_len = e.type >= EVENT_SOFT_INTERRUPT ? (uint8_t)insn_len : 0;
    return e;
}

/* A fault pushes RFLAGS.RF set, which whoever sends one in has to see to. SDM "Resume Flag". */
static inline bool event_sets_rf(const struct event *e) {
    return e->type == EVENT_EXCEPTION && e->vector != 1;
}

/*
 * DR6 after a #DB with these causes, of which BUS_LOCK and RTM count as set when they are causes.
 * The breakpoints are those of this #DB; what else software or a #DB has set stays. SDM "Debug
 * Status Register (DR6)".
 */
#define X86_DR6_CAUSES                                                                             \
    (X86_DR6_BREAKPOINTS | X86_DR6_BUS_LOCK | X86_DR6_BD | X86_DR6_BS | X86_DR6_BT | X86_DR6_RTM)
static inline uint64_t debug_status(uint64_t dr6, uint64_t causes) {
    uint64_t inverted = X86_DR6_BUS_LOCK | X86_DR6_RTM;
    causes &= X86_DR6_CAUSES;
    dr6 &= ~X86_DR6_BREAKPOINTS;
    dr6 |= (X86_DR6_ONES & ~X86_DR6_BUS_LOCK) | (causes & ~inverted);
    return dr6 & ~(causes & inverted);
}

enum io_flag { IO_IN = BIT32(0), IO_STRING = BIT32(1), IO_REP = BIT32(2) };

struct exit_io {
    uint16_t port;
    uint8_t size, flags; /* 1, 2, 4; enum io_flag */
};

struct exit_nested_fault {
    gpa_t gpa;
    bool write, execute;
    bool in_page_walk; /* the access was the CPU's own walk of the guest's page tables */
};

enum cr_access { CR_WRITE, CR_READ, CR_CLTS, CR_LMSW, CR_SMSW };

struct exit_cr {
    uint8_t access, cr, gpr; /* enum cr_access; x86 register numbers, RSP is 4 */
    uint8_t size;            /* of SMSW's register, bytes */
    uint16_t lmsw;
};

enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

struct exit_task {
    uint16_t selector;
    uint8_t source;     /* enum task_source; TASK_GATE is one in the IDT */
    struct event event; /* TASK_GATE: what it was delivered for */
};

struct vmexit {
    enum exit_kind kind;
    uint32_t insn_len; /* 0 = unknown: the decoder finds it */
    union {
        struct exit_io io;
        struct exit_nested_fault fault;
        struct exit_cr cr;
        struct event event; /* the intercepted exception */
        struct exit_task task;
        uint32_t apic; /* offset of the register; vector */
    };
};

enum hvm_reg {
    HVM_RIP,
    HVM_RSP,
    HVM_RFLAGS,
    HVM_CR0,
    HVM_CR2,
    HVM_CR3,
    HVM_CR4,
    HVM_EFER,
    HVM_DR7,
    HVM_FS_BASE,
    HVM_GS_BASE,
    HVM_PAT,
    HVM_SYSENTER_CS,
    HVM_SYSENTER_ESP,
    HVM_SYSENTER_EIP,
    HVM_TSC_OFFSET,
    HVM_REG_COUNT
};

enum hvm_seg { HVM_ES, HVM_CS, HVM_SS, HVM_DS, HVM_FS, HVM_GS, HVM_LDT, HVM_TR, HVM_GDT, HVM_IDT };
#define HVM_SEG_COUNT 10

/* For reports: by enum x86_gpr, by enum hvm_seg. */
extern const char *const hvm_gpr_names[16], *const hvm_segment_names[HVM_SEG_COUNT];

/* attr: descriptor bits 8-15 in 0-7, bits 20-23 in 12-15 (the VMX access-rights layout), bit 16 =
 * unusable. */
struct hvm_segment {
    uint64_t base;
    uint32_t limit, attr;
    uint16_t selector;
};
#define SEG_LONG            BIT32(13)
#define SEG_BIG             BIT32(14) /* D or B */
#define SEG_UNUSABLE        BIT32(16)
#define SEG_TYPE            0xfu
/* Of a TR in use. */
#define SEG_TYPE_BUSY_TSS16 3u
#define SEG_TYPE_BUSY_TSS   11u

/* Where the guest's code is. */
struct hvm_code {
    uint64_t rip, cr3;
    bool is_64_bit; /* EFER.LMA and CS.L */
};

struct hvm_ops {
    const char *name;
    enum status (*cpu_on)(void);              /* this CPU enters root operation */
    enum status (*vcpu_init)(struct vcpu *v); /* allocates from the VM's budget */
    /* Controls and host state anew, current on this CPU, caches flushed; at every start of the VM.
     * vcpu_reset() then sets each register, in the order of enum hvm_reg, and each segment. */
    void (*vcpu_reset)(struct vcpu *v);
    /*
     * Runs v until vcpu_service() says to leave: the one loop of hv/exit/loop.h with the vendor's
     * run (enter, fill a struct vmexit, interrupts off) and advance (RIP, interrupt shadow,
     * single-step) compiled into it, so that the hot path has no indirect call but the exit
     * table's.
     */
    void (*loop)(struct vcpu *v);
    void (*inject)(struct vcpu *v); /* v->event goes in with the next entry; the last call counts */
    bool (*can_take)(struct vcpu *v, bool nmi); /* or else an interrupt */
    /* A task switch took place: no interrupt shadow, and no debug trap due. With VT-x only: other
     * CPUs switch tasks themselves. */
    void (*end_shadow)(struct vcpu *v);
    /* After EXIT_ENTRY_FAILED: the rule that v's state breaks, in words. */
    const char *(*refusal)(struct vcpu *v);
    /* Then: makes the state one that the CPU takes with an exception going in, as far as that is
     * possible; false if it still breaks a rule that we know. */
    bool (*make_enterable)(struct vcpu *v);
    void (*window)(struct vcpu *v, bool interrupt, bool nmi); /* exit when one can be taken */
    /* Where v->lapic.cr8 is set only: must writes of CR8 exit? At a start they do not. */
    void (*watch_cr8)(struct vcpu *v, bool on);
    uint64_t (*get)(struct vcpu *v, enum hvm_reg r);
    void (*set)(struct vcpu *v, enum hvm_reg r, uint64_t value); /* value already checked */
    void (*get_segment)(struct vcpu *v, enum hvm_seg s, struct hvm_segment *out);
    void (*get_code)(struct vcpu *v, struct hvm_code *out);
    void (*set_segment)(struct vcpu *v, enum hvm_seg s, const struct hvm_segment *in);
    /* With HVM_APIC only: the local APIC's mode has changed; its IRR or ISR have changed by other
     * means than the CPU's, lapic_take_posted() said where: true if something waits in the IRR. */
    void (*apic_mode)(struct vcpu *v);
    bool (*apic_update)(struct vcpu *v, uint32_t words);
    void (*flush)(struct vcpu *v); /* nested tables changed: drop cached translations */
    /* For a crash report and for a panic: the i-th raw word of v's vendor state into *value. Its
     * name; NULL behind the last. */
    const char *(*raw)(struct vcpu *v, unsigned i, uint64_t *value);
    /* Its bit in v->msr_map; -1 if the map does not cover it: then it always exits. */
    int (*msr_bit)(uint32_t msr, bool write);
    const struct npt_format *npt_format;
    enum audit_format audit_format; /* of nested tables and bitmaps, as the audit reads them */
    uint32_t features;              /* enum hvm_feature: what guests can be given; set by probe */
    uint64_t arch_capabilities;     /* from boot_info; set by probe */
    unsigned npt_max_level;         /* largest nested page, as in struct npt; set by probe */
};

extern struct hvm_ops *hvm; /* chosen once at boot, before seal() */

/* Sets hvm to what this CPU offers; arch/ implements it. Logs what is missing, with the firmware
 * setting. Once, on the first CPU. */
MUST_USE enum status hvm_probe(const struct boot_info *info);
