/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUID, with zeros for a leaf beyond the last. */
#include <cpuid.h>

#include "arch/x86_64/cpu.h"

void plat_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    if (!__get_cpuid_count(leaf, subleaf, &out[EAX], &out[EBX], &out[ECX], &out[EDX])) {
        out[EAX] = out[EBX] = out[ECX] = out[EDX] = 0;
    }
}
