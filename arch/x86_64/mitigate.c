/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Against what speculation leaks from one guest to another, on CPUs that need it
 * (config/flaws.c).
 *
 * A CPU runs one guest only, and an ordinary exit reads nothing but what is that guest's own or
 * public. What another guest may not see comes into this CPU's caches and buffers with interrupts
 * (the console, an operator's command), when a guest starts, and when consoles are pumped or drawn
 * on this CPU: so they are emptied after those, not at each entry.
 *
 * SPEC_CTRL stays as the guest has set it while the hypervisor runs: the guest's SSBD, STIBP and
 * IBRS make us slower, not weaker. With enhanced IBRS our IBRS bit stays set in it, which that
 * kind wants, with what else of it protects ring 0, and guests write it through msr.c; without, it
 * is the guest's alone.
 * Sources: Intel SDM vol. 4 "IA32_SPEC_CTRL", "IA32_PRED_CMD", "IA32_FLUSH_CMD"; AMD APM vol. 2
 * "Speculation Control MSRs".
 */
#include "arch/x86_64/arch.h"
#include "hv/vm/hvm.h"

#define SPEC_CTRL_IBRS        BIT(0)
#define SPEC_CTRL_RRSBA_DIS_S BIT(6)
#define SPEC_CTRL_BHI_DIS_S   BIT(10)
#define PRED_CMD_IBPB         BIT(0)
#define FLUSH_CMD_L1D         BIT(0)
#define EFER_AUTO_IBRS        BIT(21)
#define MSR_BP_CFG            0xc001102eu
#define BP_CFG_SPEC_REDUCE    BIT(4)

static SEALED uint32_t mitigations; /* enum mitigation */
static SEALED uint64_t
    spec_ctrl_kept; /* bits of SPEC_CTRL that stay set whatever the guest writes */

void mitigate_init(const struct boot_info *info) {
    static const struct {
        uint32_t mitigation;
        uint64_t bit;
    } kept[] = {
        {MITIGATE_IBRS, SPEC_CTRL_IBRS},
        {MITIGATE_RRSBA_DIS, SPEC_CTRL_RRSBA_DIS_S},
        {MITIGATE_BHI_DIS, SPEC_CTRL_BHI_DIS_S},
    };
    mitigations = info->mitigations;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        spec_ctrl_kept |= (mitigations & kept[i].mitigation) != 0 ? kept[i].bit : 0;
    }
    hvm->features |= info->guest_features;
    hvm->arch_capabilities = info->arch_capabilities;
    log_info("speculation: %s", info->speculation);
    if (info->open_flaws[0] != '\0') {
        log_warn("flaws of this CPU that nothing is done against: %s" MSG(4031), info->open_flaws);
    }
    if ((mitigations & MITIGATE_SMALL_PAGES) != 0) {
        hvm->npt_max_level = 1;
        log_info("guests' memory is in 4 KiB pages, against iTLB multihit");
    }
}

bool mitigate_wants(enum mitigation m) {
    return (mitigations & m) != 0;
}

void mitigate_start_guest(void) {
    if ((mitigations & MITIGATE_AUTO_IBRS) != 0) {
        msr_write(X86_MSR_EFER, msr_read(X86_MSR_EFER) | EFER_AUTO_IBRS);
    }
    if ((mitigations & MITIGATE_BP_SPEC_REDUCE) != 0) {
        msr_write(MSR_BP_CFG, msr_read(MSR_BP_CFG) | BP_CFG_SPEC_REDUCE);
    }
    if ((mitigations & MITIGATE_IBPB) != 0) {
        msr_write(X86_MSR_PRED_CMD, PRED_CMD_IBPB);
    }
    if ((hvm->features & HVM_SPEC_CTRL) != 0) {
        msr_write(X86_MSR_SPEC_CTRL, spec_ctrl_kept);
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

void plat_clear_traces(void) {
    mitigate_clear();
}

bool plat_spec_ctrl_set(uint64_t value) {
    return msr_write_checked(X86_MSR_SPEC_CTRL, value | spec_ctrl_kept);
}
