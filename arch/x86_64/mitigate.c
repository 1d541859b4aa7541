/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Against what speculation leaks from one guest to another, on CPUs that need it (flaws.c).
 *
 * A CPU runs one guest only, and an ordinary exit reads nothing but what is that guest's own or
 * public. What another guest may not see comes into this CPU's caches and buffers with interrupts
 * (the console, an operator's command) and when a guest starts: so they are emptied behind those,
 * not at each entry.
 *
 * SPEC_CTRL stays as the guest has set it while the hypervisor runs: the guest's SSBD, STIBP and
 * IBRS make us slower, not weaker. With enhanced IBRS our IBRS bit stays set in it, which that
 * kind wants, and guests write it through msr.c; without, it is the guest's alone.
 * Sources: Intel SDM vol. 4 "IA32_SPEC_CTRL", "IA32_PRED_CMD", "IA32_FLUSH_CMD"; AMD APM vol. 2
 * "Speculation Control MSRs".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/flaws.h"
#include "hv/vm/hvm.h"

#define SPEC_CTRL_IBRS BIT(0)
#define PRED_CMD_IBPB  BIT(0)
#define FLUSH_CMD_L1D  BIT(0)
#define EFER_AUTO_IBRS BIT(21)

static uint32_t mitigations; /* enum mitigation */
static uint64_t arch_capabilities;

/* What stays true in a guest: the flaws that the CPU has not, and the means that a guest has. */
#define GUEST_CAPS                                                                                 \
    (BITS(0, 2) | BITS(4, 6) | BIT(8) | BITS(13, 15) | BIT(17) | BITS(19, 20) | BIT(24) |          \
     BITS(26, 28) | BIT(62))

static const char *mitigate_word(uint32_t found, uint32_t m) {
    return (found & MITIGATION_MISSING(m)) != 0 ? "needed but not in this CPU"
           : (found & m) == 0                   ? "not needed"
           : mitigations != 0                   ? "on"
                                                : "off by the config";
}

static bool mitigate_cpu_has(struct cpu_feature f) {
    return f.leaf == LEAF_CAPS ? (arch_capabilities >> (f.word == EDX ? 32 : 0) >> f.bit & 1) != 0
                               : cpu_has(f);
}

void mitigate_init(bool wanted) {
    arch_capabilities = cpu_has(CPU_HAS_ARCH_CAPS) ? msr_read(X86_MSR_ARCH_CAPABILITIES) : 0;
    bool amd = (hvm->features & HVM_MSRS_C001) != 0;
    uint32_t features, found = flaws_find(amd, mitigate_cpu_has, &features);
    mitigations = wanted ? found : 0;
    hvm->features |= features;
    hvm->features |= (mitigations & MITIGATE_IBRS) == 0 ? HVM_SPEC_CTRL_PASSES : 0;
    hvm->arch_capabilities = arch_capabilities & GUEST_CAPS;
    log_info("mitigations: L1D flush %s, VERW %s, IBPB %s, enhanced or automatic IBRS %s",
             mitigate_word(found, MITIGATE_L1D), mitigate_word(found, MITIGATE_VERW),
             mitigate_word(found, MITIGATE_IBPB),
             mitigate_word(found, MITIGATE_IBRS | MITIGATE_AUTO_IBRS));
}

void mitigate_start_guest(void) {
    if ((mitigations & MITIGATE_AUTO_IBRS) != 0) {
        msr_write(X86_MSR_EFER, msr_read(X86_MSR_EFER) | EFER_AUTO_IBRS);
    }
    if ((mitigations & MITIGATE_IBPB) != 0) {
        msr_write(X86_MSR_PRED_CMD, PRED_CMD_IBPB);
    }
    if ((hvm->features & HVM_SPEC_CTRL) != 0) {
        plat_spec_ctrl_set(0);
    }
    mitigate_clear();
}

void mitigate_clear(void) {
    static const uint16_t selector = SELECTOR_DATA;
    if ((mitigations & MITIGATE_L1D) != 0) { /* and the buffers, too */
        msr_write(X86_MSR_FLUSH_CMD, FLUSH_CMD_L1D);
    } else if ((mitigations & MITIGATE_VERW) != 0) {
        __asm__ volatile("verw %0" : : "m"(selector) : "cc", "memory");
    }
}

void plat_spec_ctrl_set(uint64_t value) {
    msr_write(X86_MSR_SPEC_CTRL, value | ((mitigations & MITIGATE_IBRS) != 0 ? SPEC_CTRL_IBRS : 0));
}
