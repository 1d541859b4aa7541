/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware can switch NX off on Intel's CPUs: CPUID does not show it then, and EFER.NXE cannot be
 * set. The other CPUs do the same in the trampoline, before they need it.
 */
#include "arch/x86_64/arch.h"

void nx_allow(void) {
    if (!cpu_has(CPU_HAS_NX)) {
        uint64_t value = msr_read(X86_MSR_MISC_ENABLE);
        msr_write(X86_MSR_MISC_ENABLE, value & ~X86_MISC_ENABLE_XD_DISABLE);
    }
}
