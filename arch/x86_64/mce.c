/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of machine checks: switched on, read, cleared. hv/exit/mce.c judges what they say.
 * Sources: Intel SDM "Machine-Check Architecture", "Machine-Check Initialization"; AMD APM vol. 2
 * "Machine Check Architecture".
 */
#include "hv/vm/mce.h"

#include "arch/x86_64/arch.h"
#include "arch/x86_64/errata.h"

#define MSR_MCG_CAP       0x179u
#define MSR_MCG_STATUS    0x17au
#define MSR_MCG_CTL       0x17bu
#define MSR_MC_CTL(i)     (0x400u + 4 * (i))
#define MSR_MC_STATUS(i)  (0x401u + 4 * (i))
#define MSR_MC_ADDRESS(i) (0x402u + 4 * (i))
#define MSR_MC_MISC(i)    (0x403u + 4 * (i))

#define MCG_CAP_BANKS 0xffu
#define MCG_CAP_CTL   BIT(8)
#define MCG_CAP_SER   BIT(24)

static uint64_t mce_capabilities(void) {
    return cpu_has(CPU_HAS_MCA) ? msr_read(MSR_MCG_CAP) : 0;
}

static uint32_t mce_banks(uint64_t capabilities) {
    uint32_t banks = capabilities & MCG_CAP_BANKS;
    return banks < MCE_MAX_BANKS ? banks : MCE_MAX_BANKS;
}

/* Adds the bank to m if it has an error. */
static void mce_read_bank(struct mce *m, uint32_t i) {
    struct mce_bank bank = {.index = i};
    if (!msr_read_checked(MSR_MC_STATUS(i), &bank.status) || (bank.status & MCE_VALID) == 0) {
        return;
    }
    if ((bank.status & MCE_ADDRV) != 0) {
        (void)msr_read_checked(MSR_MC_ADDRESS(i), &bank.address);
    }
    if ((bank.status & MCE_MISCV) != 0) {
        (void)msr_read_checked(MSR_MC_MISC(i), &bank.misc);
    }
    m->banks[m->count] = bank;
    m->count++;
}

void plat_mce_read(struct mce *out) {
    uint64_t capabilities = mce_capabilities();
    *out = (struct mce){
        .amd = errata_is_amd(),
        .recovers = (capabilities & MCG_CAP_SER) != 0,
        .tlb_multimatch = errata_has_multimatch(),
        .global = cpu_has(CPU_HAS_MCA) ? msr_read(MSR_MCG_STATUS) : 0,
    };
    for (uint32_t i = 0; i < mce_banks(capabilities); i++) {
        mce_read_bank(out, i);
    }
}

void plat_mce_clear(const struct mce *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        if (!mce_is_of_sibling(m, &m->banks[i])) {
            (void)msr_write_checked(MSR_MC_STATUS(m->banks[i].index), 0);
        }
    }
    (void)msr_write_checked(MSR_MCG_STATUS, m->global & ~MCE_MCIP);
    if (m->tlb_multimatch) { /* the guest's entries go when it starts again */
        uint64_t cr4 = cr4_read();
        cr4_write(cr4 & ~X86_CR4_PGE);
        cr4_write(cr4);
    }
}

bool mce_pass(void) {
    struct mce m;
    plat_mce_read(&m);
    if (mce_judge(&m, NULL) != MCE_GO_ON) {
        return false;
    }
    plat_mce_clear(&m);
    return true;
}

/* Old errors are told and cleared: the first machine check would be blamed for them. */
void mce_init_cpu(void) {
    uint64_t capabilities = mce_capabilities();
    struct mce m;
    char text[80];

    plat_mce_read(&m);
    for (uint32_t i = 0; i < m.count; i++) {
        mce_describe(&m.banks[i], text, sizeof(text));
        log_warn(
            "machine check before the start: bank %u, %s, status %#llx, address %#llx" MSG(4034),
            m.banks[i].index, text, (ull)m.banks[i].status, (ull)m.banks[i].address);
    }
    if ((capabilities & MCG_CAP_CTL) != 0) {
        (void)msr_write_checked(MSR_MCG_CTL, UINT64_MAX);
    }
    for (uint32_t i = 0; i < mce_banks(capabilities); i++) {
        (void)msr_write_checked(MSR_MC_CTL(i), UINT64_MAX);
        (void)msr_write_checked(MSR_MC_STATUS(i), 0);
    }
}
