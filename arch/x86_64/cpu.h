/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86 instructions that C has no words for: MSRs, CPUID, control registers, ports, fences; and
 * CPUID feature tests. One instruction a function, no policy, no state. The numbers are in
 * hv/lib/x86.h.
 * Sources: Intel SDM vol. 2 "Instruction Set Reference", vol. 3 "Control Registers",
 * vol. 4 "Model-Specific Registers".
 */
#pragma once

#include "hv/lib/x86.h"
#include "hv/vm/plat.h"

/*
 * Page attribute table, the same on every CPU and in every guest-free moment: 0 = WB, 1 = WC,
 * 2 and 3 = UC, 4 and 5 = WC, 6 and 7 = UC. Entries 0, 2 and 3 are as after reset.
 */
#define HOST_PAT 0x0000010100000106ull

/* After reset; the bits that read as 1 when no condition is met. */
#define DR6_DEFAULT 0xffff0ff0u

enum cpuid_register { EAX, EBX, ECX, EDX };

/* See cpu_has(). */
struct cpu_feature {
    uint32_t leaf;
    enum cpuid_register word;
    unsigned bit;
};
#define CPU_HAS_VMX           ((struct cpu_feature){1, ECX, 5})
#define CPU_HAS_X2APIC        ((struct cpu_feature){1, ECX, 21})
#define CPU_HAS_TSC_DEADLINE  ((struct cpu_feature){1, ECX, 24})
#define CPU_HAS_XSAVE         ((struct cpu_feature){1, ECX, 26})
#define CPU_HAS_PKU           ((struct cpu_feature){7, ECX, 3})
#define CPU_HAS_MCE           ((struct cpu_feature){1, EDX, 7})
#define CPU_HAS_MCA           ((struct cpu_feature){1, EDX, 14})
#define CPU_HAS_TSC_ADJUST    ((struct cpu_feature){7, EBX, 1})
#define CPU_HAS_SMEP          ((struct cpu_feature){7, EBX, 7})
#define CPU_HAS_SMAP          ((struct cpu_feature){7, EBX, 20})
#define CPU_HAS_UMIP          ((struct cpu_feature){7, ECX, 2})
#define CPU_HAS_NX            ((struct cpu_feature){0x80000001u, EDX, 20})
#define CPU_HAS_1GIB_PAGES    ((struct cpu_feature){0x80000001u, EDX, 26})
#define CPU_HAS_RDTSCP        ((struct cpu_feature){0x80000001u, EDX, 27})
#define CPU_HAS_INVARIANT_TSC ((struct cpu_feature){0x80000007u, EDX, 8})

static inline bool cpu_has(struct cpu_feature f) {
    uint32_t r[4];
    plat_cpuid(f.leaf, 0, r);
    return (r[f.word] >> f.bit & 1) != 0;
}

/* Width of a physical address. */
static inline unsigned cpu_phys_bits(void) {
    uint32_t r[4];
    plat_cpuid(0x80000008u, 0, r);
    return (r[EAX] & 0xff) != 0 ? r[EAX] & 0xff : 36;
}

static inline uint64_t msr_read(uint32_t msr) {
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
    return (uint64_t)hi << 32 | lo;
}

static inline void msr_write(uint32_t msr, uint64_t value) {
    uint32_t lo = (uint32_t)value, hi = (uint32_t)(value >> 32);
    __asm__ volatile("wrmsr" : : "c"(msr), "a"(lo), "d"(hi) : "memory");
}

/*
 * For an instruction at label 1 that a value of a guest may make fault: trap.c then goes on at
 * label 2 instead of panicking. Operands: nothing but the label.
 */
#define CPU_FIXUP                                                                                  \
    ".pushsection .fixups, \"a\"\n"                                                                \
    ".balign 4\n"                                                                                  \
    ".long 1b - .\n"                                                                               \
    ".long 2b - .\n"                                                                               \
    ".popsection\n"

/* False if the CPU refuses the value, which may be a guest's. */
static inline bool msr_write_checked(uint32_t msr, uint64_t value) {
    uint32_t lo = (uint32_t)value, hi = (uint32_t)(value >> 32);
    uint32_t refused = 1;
    __asm__ volatile("1: wrmsr\n"
                     "xor %0, %0\n"
                     "2:\n" CPU_FIXUP
                     : "+r"(refused)
                     : "c"(msr), "a"(lo), "d"(hi)
                     : "memory", "cc");
    return refused == 0;
}

/* False, with *value untouched, if the CPU has no such MSR. */
static inline bool msr_read_checked(uint32_t msr, uint64_t *value) {
    uint32_t lo = 0, hi = 0;
    uint32_t refused = 1;
    __asm__ volatile("1: rdmsr\n"
                     "xor %0, %0\n"
                     "2:\n" CPU_FIXUP
                     : "+r"(refused), "+a"(lo), "+d"(hi)
                     : "c"(msr)
                     : "memory", "cc");
    if (refused == 0) {
        *value = (uint64_t)hi << 32 | lo;
    }
    return refused == 0;
}

#define CPU_DEFINE_REGISTER(name)                                                                  \
    static inline uint64_t name##_read(void) {                                                     \
        uint64_t v;                                                                                \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");                            \
        return v;                                                                                  \
    }                                                                                              \
    static inline void name##_write(uint64_t v) {                                                  \
        __asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                                \
    }
CPU_DEFINE_REGISTER(cr0)
CPU_DEFINE_REGISTER(cr2)
CPU_DEFINE_REGISTER(cr3)
CPU_DEFINE_REGISTER(cr4)
/* cr8: interrupts of this priority, the upper half of their vectors, and below wait; 0 = none. */
CPU_DEFINE_REGISTER(cr8)
CPU_DEFINE_REGISTER(dr6)

/* Needs CR4.OSXSAVE. False if the CPU refuses the value, which may be a guest's. */
static inline bool xcr0_write(uint64_t value) {
    uint32_t lo = (uint32_t)value, hi = (uint32_t)(value >> 32);
    uint32_t refused = 1;
    __asm__ volatile("1: xsetbv\n"
                     "xor %0, %0\n"
                     "2:\n" CPU_FIXUP
                     : "+r"(refused)
                     : "c"(0), "a"(lo), "d"(hi)
                     : "memory", "cc");
    return refused == 0;
}

#define CPU_DEFINE_PORT(bits, suffix)                                                              \
    static inline uint##bits##_t port_in##bits(uint16_t port) {                                    \
        uint##bits##_t v;                                                                          \
        __asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory");                \
        return v;                                                                                  \
    }                                                                                              \
    static inline void port_out##bits(uint16_t port, uint##bits##_t v) {                           \
        __asm__ volatile("out" #suffix " %0, %1" : : "a"(v), "Nd"(port) : "memory");               \
    }
CPU_DEFINE_PORT(8, b)
CPU_DEFINE_PORT(16, w)
CPU_DEFINE_PORT(32, l)

#define CPU_DEFINE_MMIO(bits)                                                                      \
    static inline uint##bits##_t mmio_read##bits(const volatile void *p) {                         \
        return *(const volatile uint##bits##_t *)p;                                                \
    }                                                                                              \
    static inline void mmio_write##bits(volatile void *p, uint##bits##_t v) {                      \
        *(volatile uint##bits##_t *)p = v;                                                         \
    }
CPU_DEFINE_MMIO(8)
CPU_DEFINE_MMIO(16)
CPU_DEFINE_MMIO(32)
CPU_DEFINE_MMIO(64)

/* What LGDT and LIDT read. */
struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));
