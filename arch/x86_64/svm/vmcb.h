/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtual machine control block as the CPU reads it, and the bits in it. No code.
 * Source: AMD APM vol. 2 "Secure Virtual Machine", appendix "VMCB Layout".
 */
#pragma once

#include "hv/lib/types.h"

/* struct vmcb_segment's attr: a descriptor's bits 8-15 in 0-7, its bits 20-23 in 8-11. */
#define VMCB_ATTR_LOW        0x0ffu
#define VMCB_ATTR_HIGH       0xf00u
#define VMCB_ATTR_HIGH_SHIFT 4 /* to where a descriptor has them */
#define VMCB_ATTR_DPL        0x060u
#define VMCB_ATTR_DPL_SHIFT  5
#define VMCB_ATTR_PRESENT    BIT32(7)
#define VMCB_ATTR_LONG       BIT32(9) /* CS.L */
#define VMCB_ATTR_BIG        BIT32(10)

struct vmcb_segment {
    uint16_t selector, attr; /* VMCB_ATTR_ */
    uint32_t limit;
    uint64_t base;
};

enum vmcb_seg { VMCB_GDT = 6, VMCB_LDT, VMCB_IDT, VMCB_TR, VMCB_SEGMENTS }; /* 0-5 as HVM_ES on */

struct vmcb {
    uint16_t cr_reads, cr_writes; /* 000: intercepts, by register number */
    uint16_t dr_reads, dr_writes;
    uint32_t exceptions;    /* 008: by vector */
    uint32_t intercepts[3]; /* 00c */
    uint8_t reserved018[0x28];
    uint64_t io_map, msr_map; /* 040: physical */
    uint64_t tsc_offset;      /* 050 */
    uint32_t asid, tlb_control;
    uint64_t virtual_interrupt; /* 060 */
    uint64_t interrupt_shadow;
    uint64_t exit_code; /* 070 */
    uint64_t exit_info1, exit_info2;
    uint64_t exit_event; /* 088: what an exit cut off */
    uint64_t nested;     /* 090 */
    uint64_t reserved098[2];
    uint64_t event; /* 0a8: goes in with the next entry; the CPU clears its valid bit */
    uint64_t nested_cr3;
    uint64_t reserved0b8;
    uint64_t clean;    /* 0c0 */
    uint64_t next_rip; /* 0c8: with next-RIP save, after an instruction's exit */
    uint8_t reserved0d0[0x50];
    uint16_t bus_locks_left; /* 120: so many, then the next one exits */
    uint8_t reserved122[0x2de];
    struct vmcb_segment segments[VMCB_SEGMENTS]; /* 400: by enum hvm_seg to GS, then vmcb_seg */
    uint8_t reserved4a0[0x2b];
    uint8_t cpl; /* 4cb */
    uint32_t reserved4cc;
    uint64_t efer; /* 4d0 */
    uint8_t reserved4d8[0x70];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 548 */
    uint8_t reserved580[0x58];
    uint64_t rsp; /* 5d8 */
    uint64_t reserved5e0[3];
    uint64_t rax; /* 5f8: known to assembly */
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip; /* 628 */
    uint64_t cr2;                                     /* 640 */
    uint64_t reserved648[4];
    uint64_t pat; /* 668 */
    uint8_t reserved670[0x990];
};
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "VMCB size");
/* One in each block: a gap of the wrong size moves it. */
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70 && offsetof(struct vmcb, clean) == 0xc0 &&
                   offsetof(struct vmcb, bus_locks_left) == 0x120 &&
                   offsetof(struct vmcb, cpl) == 0x4cb && offsetof(struct vmcb, cr4) == 0x548 &&
                   offsetof(struct vmcb, rax) == 0x5f8 && offsetof(struct vmcb, pat) == 0x668,
               "VMCB offsets");

#define SVM_CR8 ((uint16_t)BIT32(8)) /* cr_reads, cr_writes */

/* intercepts: bits in the order of the exit codes from EXIT_CODE_INTERCEPTS on. */
#define SVM_VINTR    BIT32(4) /* [0]: a virtual interrupt could be taken: our interrupt window */
#define SVM_IRET     BIT32(20)
#define SVM_VMRUN    BIT32(0) /* [1]: without it there is no entry */
#define SVM_BUS_LOCK BIT32(5) /* [2] */

#define TLB_FLUSH_ALL  1u
#define TLB_FLUSH_ASID 3u

/* virtual_interrupt; its first byte is V_TPR, the guest's CR8 */
#define V_IRQ          BIT(8)
#define V_PRIORITY_MAX (0xfull << 16)
#define V_IGNORE_TPR   BIT(20)
#define V_INTR_MASKING BIT(24) /* the host's IF masks physical interrupts, the guest's its own */

#define SHADOW        BIT(0) /* interrupt_shadow */
#define NESTED_ENABLE BIT(0)

/* clean: a group whose bit is set may be taken from the CPU's cache of the VMCB. */
#define CLEAN_CONTROLS   BIT32(0) /* intercepts, TSC offset */
#define CLEAN_INTERRUPTS BIT32(3) /* virtual_interrupt */
#define CLEAN_NESTED     BIT32(4) /* nested CR3, PAT */
#define CLEAN_CR         BIT32(5) /* CR0, CR3, CR4, EFER */
#define CLEAN_DR         BIT32(6)
#define CLEAN_TABLES     BIT32(7) /* GDT, IDT */
#define CLEAN_SEGMENTS   BIT32(8) /* CS, DS, SS, ES, CPL */
#define CLEAN_CR2        BIT32(9)
#define CLEAN_ALL        0x3ffu
/* After an exit: the CPU's cache of virtual_interrupt is never used, for V_TPR changes often. */
#define CLEAN_STATE      (CLEAN_ALL & ~CLEAN_INTERRUPTS)

/*
 * APM "SVM Intercept Codes": those that we know. A CR's number is in bits 3:0. From INTR on the
 * order is that of the bits in intercepts.
 */
enum svm_exit_code {
    EXIT_CODE_CR0_READ = 0x00,
    EXIT_CODE_CR4_READ = 0x04,
    EXIT_CODE_CR8_READ = 0x08,
    EXIT_CODE_CR0_WRITE = 0x10,
    EXIT_CODE_CR4_WRITE = 0x14,
    EXIT_CODE_CR8_WRITE = 0x18,
    EXIT_CODE_EXCEPTION0 = 0x40, /* plus the vector */
    EXIT_CODE_EXCEPTION31 = 0x5f,
    EXIT_CODE_INTR = 0x60,
    EXIT_CODE_NMI = 0x61,
    EXIT_CODE_INIT = 0x63,
    EXIT_CODE_VINTR = 0x64,         /* an interrupt could be taken */
    EXIT_CODE_CR0_SELECTIVE = 0x65, /* a write of CR0 that changes more than TS and MP */
    EXIT_CODE_RDPMC = 0x6f,
    EXIT_CODE_CPUID = 0x72,
    EXIT_CODE_IRET = 0x74,
    EXIT_CODE_INVD = 0x76,
    EXIT_CODE_HLT = 0x78,
    EXIT_CODE_INVLPGA = 0x7a,
    EXIT_CODE_IO = 0x7b,
    EXIT_CODE_MSR = 0x7c,
    EXIT_CODE_SHUTDOWN = 0x7f,
    EXIT_CODE_VMRUN = 0x80,
    EXIT_CODE_VMMCALL = 0x81,
    EXIT_CODE_VMLOAD = 0x82,
    EXIT_CODE_VMSAVE = 0x83,
    EXIT_CODE_STGI = 0x84,
    EXIT_CODE_CLGI = 0x85,
    EXIT_CODE_SKINIT = 0x86,
    EXIT_CODE_WBINVD = 0x89,
    EXIT_CODE_MONITOR = 0x8a,
    EXIT_CODE_MWAIT = 0x8b,
    EXIT_CODE_XSETBV = 0x8d,
    EXIT_CODE_RDPRU = 0x8e,
    EXIT_CODE_BUS_LOCK = 0xa5,
    SVM_EXITS, /* of the table; two are beyond it */
    EXIT_CODE_NESTED_FAULT = 0x400,
};
#define EXIT_CODE_INTERCEPTS EXIT_CODE_INTR
#define EXIT_CODE_INVALID    UINT32_MAX /* all 64 bits, but QEMU writes 32 */
