/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU state that belongs to the running guest and stays in the registers across exits: vector
 * state, XCR0, PKRU, debug registers, SYSCALL MSRs. The hypervisor itself uses none of it. Called
 * when a vCPU is reset, and for a guest's XSETBV. Sources: Intel SDM "Managing State Using the
 * XSAVE Feature Set", "XSETBV".
 */
#include "arch/x86_64/arch.h"
#include "hv/vm/hvm.h"

#define XCR0_X87      BIT(0)
#define XCR0_SSE      BIT(1)
#define XCR0_AVX      BIT(2)
#define XCR0_AVX512   (BIT(5) | BIT(6) | BIT(7))
#define XCR0_PKRU     BIT(9)
#define XCR0_KNOWN    (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)
#define XSAVES        BIT32(3) /* CPUID.(Dh,1):EAX */
#define MSR_XSS       0xda0u
#define FCW_DEFAULT   0x37fu
#define MXCSR_DEFAULT 0x1f80u

static const uint32_t live_msrs[] = {X86_MSR_KERNEL_GS_BASE, X86_MSR_STAR, X86_MSR_LSTAR,
                                     X86_MSR_CSTAR, X86_MSR_FMASK};

/* FXSAVE area and XSAVE header; header all zero = every component in its initial state. */
static const struct {
    uint16_t fcw, reserved[11];
    uint32_t mxcsr, rest[121];
    uint64_t xstate_bv, header[7];
} ALIGNED(64) initial_state = {.fcw = FCW_DEFAULT, .mxcsr = MXCSR_DEFAULT};
_Static_assert(sizeof(initial_state) == 576, "legacy area and header");

static uint64_t xcr0_supported(void) {
    uint32_t r[4];
    plat_cpuid(0xd, 0, r);
    return cpu_has(CPU_HAS_XSAVE) ? (uint64_t)r[EDX] << 32 | r[EAX] : 0;
}

/* RDPKRU needs CR4.PKE, which the hypervisor keeps set where the CPU has it. */
uint32_t plat_pkru(void) {
    uint32_t pkru = 0;
    if ((cr4_read() & X86_CR4_PKE) != 0) {
        __asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx", "memory");
    }
    return pkru;
}

uint64_t plat_xgetbv(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* What the CPU would refuse with a #GP here, in the hypervisor, and all that we do not know. */
bool plat_xsetbv(uint64_t xcr0) {
    uint64_t avx512 = xcr0 & XCR0_AVX512;
    if ((xcr0 & ~(xcr0_supported() & XCR0_KNOWN)) != 0 || (xcr0 & XCR0_X87) == 0 ||
        ((xcr0 & XCR0_AVX) != 0 && (xcr0 & XCR0_SSE) == 0) ||
        (avx512 != 0 && (avx512 != XCR0_AVX512 || (xcr0 & XCR0_AVX) == 0))) {
        return false;
    }
    return xcr0_write(xcr0);
}

static bool cpu_has_xsaves(void) {
    uint32_t r[4];
    plat_cpuid(0xd, 1, r);
    return (r[EAX] & XSAVES) != 0;
}

static void live_reset_vectors(void) {
    uint64_t all = xcr0_supported();
    if (all == 0) {
        __asm__ volatile("fxrstor64 %0" : : "m"(initial_state));
        return;
    }
    ASSERT(xcr0_write(all));
    __asm__ volatile("xrstor64 %0" : : "m"(initial_state), "a"(UINT32_MAX), "d"(UINT32_MAX));
    ASSERT(xcr0_write(XCR0_X87));
    if (cpu_has_xsaves()) { /* a guest may execute XSAVES on AMD: it is to save no more than XSAVEC
                             */
        msr_write(MSR_XSS, 0);
    }
}

void plat_reset_live_state(void) {
    live_reset_vectors();
    __asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3" : : "r"(0ull));
    dr6_write(DR6_DEFAULT);
    cr2_write(0);
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++) {
        msr_write(live_msrs[i], 0);
    }
    if (cpu_has(CPU_HAS_RDTSCP)) {
        msr_write(X86_MSR_TSC_AUX, 0);
    }
    mitigate_start_guest();
}

/* A page of plat_live_save(). vectors: as XSAVE leaves it, with all that guests can have. */
struct live_page {
    ALIGNED(64) uint8_t vectors[0xc00];
    uint64_t xcr0, xss, spec_ctrl, tsc_aux;
    uint64_t dr[4], dr6, cr2;
    uint64_t msrs[5];
};
_Static_assert(sizeof(struct live_page) <= PAGE_SIZE, "plat_live_save()");

static void live_save_vectors(struct live_page *p) {
    uint64_t all = xcr0_supported() & XCR0_KNOWN;
    if (all == 0) {
        __asm__ volatile("fxsave64 %0" : "=m"(p->vectors));
        return;
    }
    p->xcr0 = plat_xgetbv();
    ASSERT(xcr0_write(all));
    __asm__ volatile("xsave64 %0" : "+m"(p->vectors) : "a"(UINT32_MAX), "d"(UINT32_MAX));
    ASSERT(xcr0_write(p->xcr0));
    p->xss = cpu_has_xsaves() ? msr_read(MSR_XSS) : 0;
}

static void live_load_vectors(const struct live_page *p) {
    uint64_t all = xcr0_supported() & XCR0_KNOWN;
    if (all == 0) {
        __asm__ volatile("fxrstor64 %0" : : "m"(p->vectors));
        return;
    }
    ASSERT(xcr0_write(all));
    __asm__ volatile("xrstor64 %0" : : "m"(p->vectors), "a"(UINT32_MAX), "d"(UINT32_MAX));
    ASSERT(xcr0_write(p->xcr0));
    if (cpu_has_xsaves()) {
        msr_write(MSR_XSS, p->xss);
    }
}

void plat_live_save(void *page) {
    struct live_page *p = page;

    live_save_vectors(p);
    __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
                     : "=r"(p->dr[0]), "=r"(p->dr[1]), "=r"(p->dr[2]), "=r"(p->dr[3]));
    p->dr6 = dr6_read();
    p->cr2 = cr2_read();
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++) {
        p->msrs[i] = msr_read(live_msrs[i]);
    }
    p->tsc_aux = cpu_has(CPU_HAS_RDTSCP) ? msr_read(X86_MSR_TSC_AUX) : 0;
    p->spec_ctrl = (hvm->features & HVM_SPEC_CTRL) != 0 ? msr_read(X86_MSR_SPEC_CTRL) : 0;
}

void plat_live_load(const void *page) {
    const struct live_page *p = page;

    live_load_vectors(p);
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
                     :
                     : "r"(p->dr[0]), "r"(p->dr[1]), "r"(p->dr[2]), "r"(p->dr[3]));
    dr6_write(p->dr6);
    cr2_write(p->cr2);
    for (unsigned i = 0; i < ARRAY_SIZE(live_msrs); i++) {
        msr_write(live_msrs[i], p->msrs[i]);
    }
    if (cpu_has(CPU_HAS_RDTSCP)) {
        msr_write(X86_MSR_TSC_AUX, p->tsc_aux);
    }
    if ((hvm->features & HVM_SPEC_CTRL) != 0) {
        ASSERT(plat_spec_ctrl_set(p->spec_ctrl));
    }
}
