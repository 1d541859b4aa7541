/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has each CPU choose its speed by itself, between all that it can: else it stays at what the
 * firmware has set, often the lowest. Guests cannot set it. A hypervisor below would; it shows
 * CPUID bits, but not always the MSRs.
 * Sources: Intel SDM vol. 3 "Hardware-Controlled Performance States (HWP)"; AMD APM vol. 2
 * "Collaborative Processor Performance Control".
 */
#include "arch/x86_64/power.h"

#include "arch/x86_64/arch.h"

#define CPU_HAS_HYPERVISOR ((struct cpu_feature){1, ECX, 31})
#define CPU_HAS_HWP        ((struct cpu_feature){6, EAX, 7})
#define CPU_HAS_HWP_EPP    ((struct cpu_feature){6, EAX, 10})
#define CPU_HAS_CPPC       ((struct cpu_feature){0x80000008u, EBX, 27})

#define MSR_PM_ENABLE        0x770u
#define MSR_HWP_CAPABILITIES 0x771u
#define MSR_HWP_REQUEST      0x774u
#define MSR_CPPC_CAP1        0xc00102b0u
#define MSR_CPPC_ENABLE      0xc00102b1u
#define MSR_CPPC_REQUEST     0xc00102b3u
#define ENABLE               BIT(0) /* of either; once on, it stays until a reset */

#define LEVEL_MASK 0xffu

/* Levels in HWP_CAPABILITIES and CPPC_CAPABILITY_1, by shift. */
enum { HWP_CAP_HIGHEST = 0, HWP_CAP_LOWEST = 24, CPPC_CAP_LOWEST = 0, CPPC_CAP_HIGHEST = 24 };
/* In the requests. The level wished for stays 0: the CPU's own choice. */
enum { HWP_MINIMUM = 0, HWP_MAXIMUM = 8, HWP_PREFERENCE = 24 };
enum { CPPC_MAXIMUM = 0, CPPC_MINIMUM = 8, CPPC_PREFERENCE = 24 };

#define PREFER_SPEED 0x00u /* to 0xff: save energy */

static uint64_t power_level(uint64_t word, unsigned shift) {
    return word >> shift & LEVEL_MASK;
}

uint64_t power_hwp_request(uint64_t capabilities, bool has_preference) {
    uint64_t request = power_level(capabilities, HWP_CAP_LOWEST) << HWP_MINIMUM;
    request |= power_level(capabilities, HWP_CAP_HIGHEST) << HWP_MAXIMUM;
    if (has_preference) {
        request |= (uint64_t)PREFER_SPEED << HWP_PREFERENCE;
    }
    return request;
}

uint64_t power_cppc_request(uint64_t capability) {
    uint64_t request = power_level(capability, CPPC_CAP_HIGHEST) << CPPC_MAXIMUM;
    request |= power_level(capability, CPPC_CAP_LOWEST) << CPPC_MINIMUM;
    return request | (uint64_t)PREFER_SPEED << CPPC_PREFERENCE;
}

/* What the CPU refuses is left as it was. The capabilities can be read once it is enabled. */
static bool power_ask(uint32_t enable, uint32_t capability, uint32_t request,
                      uint64_t (*word)(uint64_t capability)) {
    uint64_t levels;

    return msr_write_checked(enable, ENABLE) && msr_read_checked(capability, &levels) &&
           msr_write_checked(request, word(levels));
}

static uint64_t power_hwp_word(uint64_t capabilities) {
    return power_hwp_request(capabilities, cpu_has(CPU_HAS_HWP_EPP));
}

const char *power_init_cpu(void) {
    if (cpu_has(CPU_HAS_HYPERVISOR)) {
        return "left to the hypervisor below";
    }
    if (cpu_has(CPU_HAS_HWP) &&
        power_ask(MSR_PM_ENABLE, MSR_HWP_CAPABILITIES, MSR_HWP_REQUEST, power_hwp_word)) {
        return "chosen by the CPU (HWP)";
    }
    if (cpu_has(CPU_HAS_CPPC) &&
        power_ask(MSR_CPPC_ENABLE, MSR_CPPC_CAP1, MSR_CPPC_REQUEST, power_cppc_request)) {
        return "chosen by the CPU (CPPC)";
    }
    return "as the firmware left it";
}
