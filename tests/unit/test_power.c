/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words that ask a CPU for its speed. SDM "IA32_HWP_REQUEST", APM "CPPC_REQUEST". */
#include "arch/x86_64/power.h"
#include "hv/vm/plat.h"
#include "test.h"

/* For the part that writes them, which needs a CPU. */
void plat_cpuid(UNUSED uint32_t leaf, UNUSED uint32_t subleaf, uint32_t out[4]) {
    memset(out, 0, 4 * sizeof(*out));
}

TEST(hwp) {
    /* highest 3ah, guaranteed 1bh, most efficient 0ch, lowest 04h */
    CHECK_U64(power_hwp_request(0x040c1b3a, true), 0x3a04);
    CHECK_U64(power_hwp_request(0x040c1b3a, false), 0x3a04);
    CHECK_U64(power_hwp_request(0xffffffff010203ff, true), 0xff01); /* reserved bits stay out */
}

TEST(cppc) {
    /* highest a6h, nominal 79h, lowest nonlinear 3ah, lowest 13h */
    CHECK_U64(power_cppc_request(0xa6793a13), 0x13a6);
    CHECK_U64(power_cppc_request(0xffffffff01000000), 0x0001);
}

TEST_MAIN(T(hwp), T(cppc))
