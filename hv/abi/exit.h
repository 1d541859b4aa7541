/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words in which a guest's exit is told and a guest's state is named, the same for both
 * vendors: between the vendors' files and the core (hv/vm/hvm.h), and between the core and what
 * emulates instructions (hv/compartment/emulate). Data only.
 */
#pragma once

#include "hv/lib/x86.h"

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

/* The numbers are those of both vendors' event words. */
enum event_type {
    EVENT_INTERRUPT,
    EVENT_NONE,
    EVENT_NMI,
    EVENT_EXCEPTION,
    EVENT_SOFT_INTERRUPT,
    EVENT_INT1,
    EVENT_SOFT_EXCEPTION, /* INT3, INTO */
    EVENT_TYPES
};

/* Raised by an instruction, whose length goes in with it. */
static inline bool event_type_is_soft(unsigned type) {
    return type == EVENT_SOFT_INTERRUPT || type == EVENT_INT1 || type == EVENT_SOFT_EXCEPTION;
}

struct event {
    uint8_t type, vector; /* enum event_type */
    uint8_t insn_len;     /* soft events only */
    bool has_error;
    uint32_t error;
};

/* A fault pushes RFLAGS.RF set, which whoever sends one in has to see to. SDM "Resume Flag". */
static inline bool event_sets_rf(const struct event *e) {
    return e->type == EVENT_EXCEPTION && e->vector != 1;
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
        uint32_t apic;   /* offset of the register; vector */
        uint32_t number; /* of CPUID's leaf, of the MSR: for the flight recorder, by the handler */
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
/* All but the two descriptor tables have a selector and attributes. */
static inline bool hvm_seg_has_selector(enum hvm_seg seg) {
    return seg != HVM_GDT && seg != HVM_IDT;
}

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

/* How the guest goes on after an exit that was emulated. */
enum emulated {
    EMULATED_NEXT,  /* after the instruction, by vmexit.insn_len: 0 is the same once more */
    EMULATED_DONE,  /* where it stands: it was moved on already */
    EMULATED_RETRY, /* where it stands: another vCPU has changed the instruction */
    EMULATED_FAULT, /* with an exception */
    EMULATED_CRASH, /* not at all */
};

/* Which general registers an emulated exit has written: none, all, or one, which is added. */
enum emulated_regs { EMULATED_REGS_NONE, EMULATED_REGS_ALL, EMULATED_REGS_ONE };

/* EMULATED_CRASH: what of the guest's is beyond the emulator. */
enum emulated_crash {
    CRASH_INSTRUCTION, /* it does not know it, or not on a device */
    CRASH_TABLES,      /* page tables where no memory is */
    CRASH_TASK_PLACE,  /* a TSS over a page's end, or where no memory is */
    CRASH_TASK_KIND,   /* a switch of a 16-bit or virtual-8086 task */
    CRASHES
};

struct emulated_fault {
    uint8_t vector; /* enum x86_vector */
    uint32_t error;
    uint64_t address; /* of X86_PF: what CR2 gets */
};
