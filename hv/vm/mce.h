/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machine checks: whose they are, and in words. Pure but for the handler of the exit. The CPU's
 * registers are read and cleared by plat.h's functions. No guest can write them.
 * Sources: Intel SDM "Machine-Check Architecture", "Machine-Check Error Codes"; AMD APM vol. 2
 * "Machine Check Architecture".
 */
#pragma once

#include "hv/lib/x86.h"
#include "hv/mem/gmem.h"

#define MCE_MAX_BANKS 32

/* MCG_STATUS */
#define MCE_RIPV BIT(0) /* what was interrupted can go on */
#define MCE_EIPV BIT(1) /* what was interrupted has to do with it */
#define MCE_MCIP BIT(2) /* a second one now stops the CPU */

/* MCi_STATUS */
#define MCE_VALID    BIT(63)
#define MCE_OVERFLOW BIT(62) /* there was another one before it */
#define MCE_UC       BIT(61) /* not corrected */
#define MCE_ENABLED  BIT(60)
#define MCE_MISCV    BIT(59)
#define MCE_ADDRV    BIT(58)
#define MCE_PCC      BIT(57) /* the CPU's own state is damaged */
/* Intel with "recovers": without both nobody has used what is bad, and nobody need do anything. */
#define MCE_SIGNALED BIT(56)
#define MCE_ACTION   BIT(55)
#define MCE_POISON   BIT(43) /* AMD: bad data were used, which had been found to be bad before */

struct mce_bank {
    uint32_t index;
    uint64_t status, address, misc; /* MCi_STATUS, MCi_ADDR, MCi_MISC; 0 where not valid */
};

struct mce {
    bool amd;
    bool recovers;       /* Intel: MCG_CAP.SER_P */
    bool tlb_multimatch; /* the CPU has AMD's erratum 383 */
    uint64_t global;     /* MCG_STATUS */
    uint32_t count;      /* banks with an error */
    struct mce_bank banks[MCE_MAX_BANKS];
};

enum mce_verdict {
    MCE_GO_ON,      /* corrected, or another CPU's: all are told */
    MCE_STOP_GUEST, /* the guest's own doing, or bad memory of its own */
    MCE_PANIC,
};

/* True for a bank that a core's threads share, if it is the other thread that has used what is bad:
 * this CPU goes on, and leaves the bank for that one to read. */
bool mce_is_of_sibling(const struct mce *m, const struct mce_bank *bank);

/* mem: RAM of the guest that ran; NULL = the hypervisor did. */
enum mce_verdict mce_judge(const struct mce *m, const struct gmem *mem);

struct vcpu;
/* EXIT_HOST_MCE, of the guest or of its compartment: goes on, ends v's VM, or panics. */
void vm_machine_check(struct vcpu *v);

/* "uncorrected, cache" and the like. */
void mce_describe(const struct mce_bank *bank, char *text, size_t size);
