/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One struct cpu for each host CPU, found through the base of its GDT, which VT-x and AMD-V both
 * bring back after a guest's run (FS, GS and TR are the guest's then under AMD-V). Written by the
 * CPU itself once it runs, by the first CPU before that.
 */
#pragma once

#include "arch/x86_64/cpu.h"
#include "hv/mem/pagetable.h"
#include "hv/plan/boot_info.h"

/* The stacks of each CPU; the number of one that an exception switches to is its IST number. */
enum cpu_stack { STACK_MAIN, STACK_DOUBLE_FAULT, STACK_NMI, STACK_MACHINE_CHECK, STACK_COUNT };
#define STACK_SIZE (16 * KIB)

#define SELECTOR_CODE 0x08u
#define SELECTOR_DATA 0x10u /* SS; DS, ES, FS and GS stay null */
#define SELECTOR_TSS  0x18u
#define GDT_ENTRIES   5u

/* Intel SDM "64-Bit Task State Segment (TSS)". */
struct tss {
    uint32_t reserved0;            /* 0x00 */
    uint64_t rsp[3];               /* 0x04: unused, ring 0 only */
    uint64_t ist[8];               /* 0x1c: IST1..IST7 at 1..7 */
    uint64_t reserved1;            /* 0x5c */
    uint16_t reserved2, io_bitmap; /* 0x64 */
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 0x68, "TSS size");

struct cpu {
    /* A page that nobody writes once the CPU runs; see paging.c. */
    ALIGNED(PAGE_SIZE) uint64_t gdt[GDT_ENTRIES];
    ALIGNED(16) struct tss tss;

    ALIGNED(PAGE_SIZE) uint32_t index; /* the number in the config */
    uint32_t apic_id;
    uint64_t stack_top[STACK_COUNT]; /* 0x1008: asm, the first */
    uint32_t vm;                     /* number of the one that it runs, see paging.c */
    struct pagetable tables;         /* its own page tables */
    uint32_t microcode;              /* its revision */
    bool online;                     /* set by the CPU itself: up, and waiting or working */
    bool interrupted;                /* a handler ran, and what it left is not cleared yet */
    bool devices_held;               /* the same: of a device, and further ones wait */
    uint8_t acknowledged; /* a host interrupt, by the last exit: its vector, to be served; or 0 */
    uint64_t timer_deadline;   /* host TSC, 0 = none; plat_timer_set() */
    uint64_t poll_deadline;    /* host TSC of the next look at the consoles' devices, 0 = none */
    uint64_t poll_ticks;       /* from one to the next */
    uint64_t console_deadline; /* the same; plat_console_timer_set() */
    uint64_t host_deadline;    /* the earlier of these two */

    ALIGNED(PAGE_SIZE) uint32_t vendor_page[PAGE_SIZE / 4]; /* VMXON region, host save area */
};
_Static_assert(offsetof(struct cpu, stack_top) == 0x1008, "used in trampoline.S");

/* The running CPU. */
static inline struct cpu *cpu_current(void) {
    struct table_pointer gdtr;
    __asm__("sgdt %0" : "=m"(gdtr));
    return (struct cpu *)(gdtr.base - offsetof(struct cpu, gdt));
}

/* CPU number i of boot_info, i < plat_cpu_count(). */
struct cpu *cpu_get(unsigned i);
