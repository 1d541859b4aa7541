/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest leaves in a CPU's registers: zeroed for the next one, kept for the same one. */
#include <unistd.h>

#include "arch/x86_64/arch.h"
#include "fake_cpu.h"
#include "hv/vm/hvm.h"

#define MSR_XSS 0xda0u

static bool has_xsaves, has_rdtscp, has_xsave;
static unsigned mitigated;
static uint64_t spec_ctrl;
static struct hvm_ops ops;
struct hvm_ops *hvm = &ops;

void plat_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    memset(out, 0, 4 * sizeof(*out));
    if (leaf == 1) {
        out[ECX] = has_xsave ? BIT32(26) : 0;
    } else if (leaf == 0xd) {
        out[EAX] = subleaf == 0 ? 7 : (uint32_t)has_xsaves << 3;
    } else if (leaf == 0x80000001) {
        out[EDX] = has_rdtscp ? BIT32(27) : 0;
    }
}

void mitigate_start_guest(void) {
    mitigated++;
}

bool plat_spec_ctrl_set(uint64_t value) {
    spec_ctrl = value;
    return true;
}

static const uint32_t left[] = {
    X86_MSR_KERNEL_GS_BASE, X86_MSR_STAR,    X86_MSR_LSTAR, X86_MSR_CSTAR,
    X86_MSR_FMASK,          X86_MSR_TSC_AUX, MSR_XSS};

/* A CPU that has everything, and a guest that has written it all. */
static void begin(void) {
    fake_cpu_begin();
    has_xsave = has_xsaves = has_rdtscp = true;
    mitigated = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(left); i++) {
        fake_wrmsr(left[i], 0x1111 + i);
    }
    for (unsigned i = 0; i < 8; i++) {
        fake_cpu.dr[i] = 0x2222 + i;
    }
    fake_cpu.cr[2] = 0x3333;
    fake_cpu.xcr0 = 7;
}

TEST(nothing_of_a_guest_is_left) {
    begin();
    plat_reset_live_state();
    for (unsigned i = 0; i < ARRAY_SIZE(left); i++) {
        CHECK_U64(fake_msr(left[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        CHECK_U64(fake_cpu.dr[i], 0);
    }
    CHECK_U64(fake_cpu.dr[6], 0xffff0ff0);
    CHECK_U64(fake_cpu.cr[2], 0);
    CHECK_U64(fake_cpu.xcr0, 1);
    CHECK_U64(mitigated, 1);
}

TEST(what_a_cpu_has_not_is_not_written) {
    begin();
    has_xsaves = has_rdtscp = false;
    plat_reset_live_state();
    CHECK_U64(fake_msr_writes(MSR_XSS), 1); /* the test's own */
    CHECK_U64(fake_msr_writes(X86_MSR_TSC_AUX), 1);
    CHECK_U64(fake_msr(X86_MSR_STAR), 0);

    begin();
    has_xsave = false;
    plat_reset_live_state();
    CHECK_U64(fake_cpu.xcr0, 7);
    CHECK_U64(fake_msr_writes(MSR_XSS), 1);
    CHECK_U64(fake_msr(X86_MSR_STAR), 0);
}

TEST(what_is_saved_is_loaded) {
    static ALIGNED(64) uint8_t page[PAGE_SIZE];

    begin();
    ops.features = HVM_SPEC_CTRL;
    fake_wrmsr(X86_MSR_SPEC_CTRL, 0x4444);
    plat_live_save(page);
    plat_reset_live_state();
    plat_live_load(page);
    for (unsigned i = 0; i < ARRAY_SIZE(left); i++) {
        CHECK_U64(fake_msr(left[i]), 0x1111 + i);
    }
    for (unsigned i = 0; i < 4; i++) {
        CHECK_U64(fake_cpu.dr[i], 0x2222 + i);
    }
    CHECK_U64(fake_cpu.dr[6], 0x2228);
    CHECK_U64(fake_cpu.cr[2], 0x3333);
    CHECK_U64(spec_ctrl, 0x4444);
}

TEST(xcr0_is_what_the_cpu_would_take) {
    begin();
    CHECK(plat_xsetbv(1) && plat_xsetbv(3));
    CHECK(plat_xsetbv(7));
    CHECK_U64(fake_cpu.xcr0, 7);
    CHECK(!plat_xsetbv(0) && !plat_xsetbv(2) && !plat_xsetbv(6)); /* x87 is always there */
    CHECK(!plat_xsetbv(5));                                       /* AVX without SSE */
    CHECK(!plat_xsetbv(0x207) && !plat_xsetbv(BIT(63) | 7));      /* what the CPU has not */
    CHECK_U64(fake_cpu.xcr0, 7);
}

TEST_MAIN(T(nothing_of_a_guest_is_left), T(what_a_cpu_has_not_is_not_written),
          T(what_is_saved_is_loaded), T(xcr0_is_what_the_cpu_would_take))
