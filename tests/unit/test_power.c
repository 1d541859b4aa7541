/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a CPU is asked for its speed. SDM "IA32_HWP_REQUEST", APM "CPPC_REQUEST". */
#include "arch/x86_64/power.h"

#include "arch/x86_64/arch.h"
#include "fake_cpu.h"

enum { PM_ENABLE = 0x770, HWP_CAPABILITIES = 0x771, HWP_REQUEST = 0x774 };
enum { CPPC_CAP1 = 0xc00102b0, CPPC_ENABLE = 0xc00102b1, CPPC_REQUEST = 0xc00102b3 };

static bool hypervisor, hwp, preference, cppc;

void plat_cpuid(uint32_t leaf, UNUSED uint32_t subleaf, uint32_t out[4]) {
    memset(out, 0, 4 * sizeof(*out));
    if (leaf == 1) {
        out[ECX] = (uint32_t)hypervisor << 31;
    } else if (leaf == 6) {
        out[EAX] = (uint32_t)hwp << 7 | (uint32_t)preference << 10;
    } else if (leaf == 0x80000008) {
        out[EBX] = (uint32_t)cppc << 27;
    }
}

/* A CPU with neither, whose MSRs say what levels there are. */
static void begin(void) {
    fake_cpu_begin();
    hypervisor = hwp = preference = cppc = false;
    fake_wrmsr(HWP_CAPABILITIES, 0x040c1b3a); /* highest 3ah, lowest 04h */
    fake_wrmsr(CPPC_CAP1, 0xa6793a13);        /* highest a6h, lowest 13h */
}

static void nothing_was_written(void) {
    static const uint32_t msrs[] = {PM_ENABLE, HWP_REQUEST, CPPC_ENABLE, CPPC_REQUEST};
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        CHECK_U64(fake_msr_writes(msrs[i]), 0);
    }
}

TEST(hwp_words) {
    /* highest 3ah, guaranteed 1bh, most efficient 0ch, lowest 04h */
    CHECK_U64(power_hwp_request(0x040c1b3a, true), 0x3a04);
    CHECK_U64(power_hwp_request(0x040c1b3a, false), 0x3a04);
    CHECK_U64(power_hwp_request(0xffffffff010203ff, true), 0xff01); /* reserved bits stay out */
}

TEST(cppc_words) {
    /* highest a6h, nominal 79h, lowest nonlinear 3ah, lowest 13h */
    CHECK_U64(power_cppc_request(0xa6793a13), 0x13a6);
    CHECK_U64(power_cppc_request(0xffffffff01000000), 0x0001);
}

TEST(hwp_is_switched_on) {
    begin();
    hwp = true;
    CHECK_STR(power_init_cpu(), "chosen by the CPU (HWP)");
    CHECK_U64(fake_msr(PM_ENABLE), 1);
    CHECK_U64(fake_msr(HWP_REQUEST), 0x3a04);
    preference = true;
    CHECK_STR(power_init_cpu(), "chosen by the CPU (HWP)");
    CHECK_U64(fake_msr(HWP_REQUEST), 0x3a04);
    CHECK_U64(fake_msr_writes(CPPC_ENABLE) + fake_msr_writes(CPPC_REQUEST), 0);
}

TEST(cppc_is_switched_on) {
    begin();
    cppc = true;
    CHECK_STR(power_init_cpu(), "chosen by the CPU (CPPC)");
    CHECK_U64(fake_msr(CPPC_ENABLE), 1);
    CHECK_U64(fake_msr(CPPC_REQUEST), 0x13a6);
    CHECK_U64(fake_msr_writes(PM_ENABLE) + fake_msr_writes(HWP_REQUEST), 0);
}

TEST(others_are_left_alone) {
    begin();
    CHECK_STR(power_init_cpu(), "as the firmware left it");
    nothing_was_written();
    hypervisor = hwp = cppc = true; /* its own hypervisor sees to it */
    CHECK_STR(power_init_cpu(), "left to the hypervisor below");
    nothing_was_written();
}

/* CPUID shows it, and the MSRs are not there: no panic, and nothing is asked for blindly. */
TEST(what_is_refused_is_left_as_it_was) {
    static const uint32_t hwp_msrs[] = {PM_ENABLE, HWP_CAPABILITIES, HWP_REQUEST};
    static const uint32_t cppc_msrs[] = {CPPC_ENABLE, CPPC_CAP1, CPPC_REQUEST};
    for (unsigned i = 0; i < ARRAY_SIZE(hwp_msrs); i++) {
        begin();
        hwp = true;
        fake_msr_refuse(hwp_msrs[i]);
        CHECK_STR(power_init_cpu(), "as the firmware left it");
        CHECK_U64(fake_msr_writes(HWP_REQUEST), 0);
        begin();
        cppc = true;
        fake_msr_refuse(cppc_msrs[i]);
        CHECK_STR(power_init_cpu(), "as the firmware left it");
        CHECK_U64(fake_msr_writes(CPPC_REQUEST), 0);
    }
}

TEST_MAIN(T(hwp_words), T(cppc_words), T(hwp_is_switched_on), T(cppc_is_switched_on),
          T(others_are_left_alone), T(what_is_refused_is_left_as_it_was))
