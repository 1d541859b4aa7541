/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU state that belongs to the running guest and stays in the registers across exits: vector
 * state, XCR0, debug registers, SYSCALL MSRs. The hypervisor itself uses none of it. Called when a
 * vCPU is reset, and for a guest's XSETBV.
 * Sources: Intel SDM "Managing State Using the XSAVE Feature Set", "XSETBV".
 */
#include "arch/x86_64/arch.h"

#define XCR0_X87      BIT(0)
#define XCR0_SSE      BIT(1)
#define XCR0_AVX      BIT(2)
#define XCR0_MPX      (BIT(3) | BIT(4))
#define XCR0_AVX512   (BIT(5) | BIT(6) | BIT(7))
#define XCR0_PKRU     BIT(9)
#define XCR0_AMX      (BIT(17) | BIT(18))
#define DR6_DEFAULT   0xffff0ff0u
#define FCW_DEFAULT   0x37fu
#define MXCSR_DEFAULT 0x1f80u

/* Groups that go together, and what each needs beside itself; a bit in no row is refused. */
static const struct {
    uint64_t group, needs;
} xcr0_rules[] = {
    {XCR0_X87, 0},           {XCR0_SSE, 0},  {XCR0_AVX, XCR0_SSE}, {XCR0_MPX, 0},
    {XCR0_AVX512, XCR0_AVX}, {XCR0_PKRU, 0}, {XCR0_AMX, 0},
};

/* FXSAVE area and XSAVE header; header all zero = every component in its initial state. */
static const struct {
    uint16_t fcw, reserved[11];
    uint32_t mxcsr, rest[121];
    uint64_t xstate_bv, header[7];
} ALIGNED(64) initial_state = {.fcw = FCW_DEFAULT, .mxcsr = MXCSR_DEFAULT};
_Static_assert(sizeof(initial_state) == 576, "legacy area and header");

static uint64_t xcr0_supported(void) {
    static uint64_t supported; /* the same on all CPUs; a race writes the same twice */
    if (supported == 0 && cpu_has(CPU_HAS_XSAVE)) {
        struct cpuid_result r = cpuid_checked(0xd, 0);
        supported = (uint64_t)r.edx << 32 | r.eax;
    }
    return supported;
}

bool plat_xsetbv(uint64_t xcr0) {
    uint64_t known = 0;
    if ((xcr0 & XCR0_X87) == 0 || (xcr0 & ~xcr0_supported()) != 0) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(xcr0_rules); i++) {
        uint64_t asked = xcr0 & xcr0_rules[i].group, needs = xcr0_rules[i].needs;
        if (asked != 0 && (asked != xcr0_rules[i].group || (xcr0 & needs) != needs)) {
            return false;
        }
        known |= xcr0_rules[i].group;
    }
    if ((xcr0 & ~known) != 0) {
        return false;
    }
    xsetbv(0, xcr0);
    return true;
}

static void live_reset_vectors(void) {
    __asm__ volatile("fninit");
    if (xcr0_supported() == 0) {
        __asm__ volatile("fxrstor64 %0" : : "m"(initial_state));
        return;
    }
    xsetbv(0, xcr0_supported());
    __asm__ volatile("xrstor64 %0" : : "m"(initial_state), "a"(UINT32_MAX), "d"(UINT32_MAX));
    xsetbv(0, XCR0_X87);
}

void plat_reset_live_state(void) {
    static const uint32_t zero_msrs[] = {X86_MSR_KERNEL_GS_BASE, X86_MSR_STAR, X86_MSR_LSTAR,
                                         X86_MSR_CSTAR, X86_MSR_FMASK};
    live_reset_vectors();
    dr0_write(0);
    dr1_write(0);
    dr2_write(0);
    dr3_write(0);
    dr6_write(DR6_DEFAULT);
    cr2_write(0);
    for (unsigned i = 0; i < ARRAY_SIZE(zero_msrs); i++) {
        msr_write(zero_msrs[i], 0);
    }
    if (cpu_has(CPU_HAS_RDTSCP)) {
        msr_write(X86_MSR_TSC_AUX, 0);
    }
}

void plat_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    struct cpuid_result r = cpuid(leaf, subleaf);
    out[0] = r.eax;
    out[1] = r.ebx;
    out[2] = r.ecx;
    out[3] = r.edx;
}

void plat_write_back_caches(void) {
    __asm__ volatile("wbinvd" : : : "memory");
}
