/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One struct cpu for each host CPU, found through the GS base (the vendor code puts it back after
 * each guest run). Written by the CPU itself once it runs, by the first CPU before that.
 */
#ifndef ARCH_X86_64_PERCPU_H
#define ARCH_X86_64_PERCPU_H

#include "hv/mem/pool.h"
#include "hv/plan/boot_info.h"

#define STACK_SIZE     (16 * KIB) /* main stack of each CPU */
#define IST_STACK_SIZE (8 * KIB)
enum cpu_ist { IST_DOUBLE_FAULT, IST_NMI, IST_MACHINE_CHECK, IST_COUNT }; /* IDT's IST field - 1 */

#define SELECTOR_CODE 0x08u
#define SELECTOR_DATA 0x10u /* SS; DS, ES, FS and GS stay null */
#define SELECTOR_TSS  0x18u
#define GDT_ENTRIES   5u

/* Intel SDM "64-Bit Task State Segment (TSS)". */
struct tss {
    uint32_t reserved0;            /* 0x00 */
    uint32_t rsp[6];               /* 0x04: unused, ring 0 only */
    uint32_t reserved1[2];         /* 0x1c */
    uint32_t ist[14];              /* 0x24: IST1..IST7, low and high halves */
    uint32_t reserved2[2];         /* 0x5c */
    uint16_t reserved3, io_bitmap; /* 0x64 */
};
_Static_assert(sizeof(struct tss) == 0x68, "TSS size");

struct cpu {
    struct cpu *self;   /* 0x00: asm */
    uint32_t index;     /* 0x08: asm; the number in the config */
    uint32_t apic_id;   /* 0x0c: asm */
    uint64_t stack_top; /* 0x10: asm */
    uint64_t stack_base;
    void *vendor; /* VT-x's or AMD-V's own per-CPU data */

    /* What VT-x wants as host state, beside SELECTOR_* and the TSS' limit. */
    uint64_t cr3, gdt_base, idt_base, tss_base;

    bool online;             /* set by the CPU itself: up, and waiting or working */
    uint64_t timer_deadline; /* host TSC, 0 = none; plat_timer_set() */
    uint64_t poll_deadline;  /* host TSC of the next look at an UART without interrupts, 0 = none */
    uint64_t nmis, unexpected_interrupts;

    uint64_t ist_top[IST_COUNT];
    ALIGNED(16) uint64_t gdt[GDT_ENTRIES];
    struct tss tss;
};
_Static_assert(offsetof(struct cpu, index) == 0x08, "used in entry.S");
_Static_assert(offsetof(struct cpu, apic_id) == 0x0c, "used in entry.S");
_Static_assert(offsetof(struct cpu, stack_top) == 0x10, "used in entry.S");

/* The running CPU. Before percpu_init() there is none. */
static inline struct cpu *cpu_current(void) {
    struct cpu *cpu;
    __asm__("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* CPU number i of boot_info, i < plat_cpu_count(). */
struct cpu *cpu_get(unsigned i);
/* False for a CPU that the firmware named but that did not start. */
bool plat_cpu_online(unsigned i);

/* The machine's memory for what lives as long as the hypervisor (zeroed, below 4 GiB). Empty it
 * only before seal(). */
struct pool *arch_heap(void);

#endif
