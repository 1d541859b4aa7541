/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of the x86-64 architecture that portable code needs: control-register, RFLAGS and EFER
 * bits, exception vectors, MSR addresses. No code, no hardware access.
 * Sources: Intel SDM vol. 3 "Control Registers", vol. 4 "Model-Specific Registers"; AMD APM vol. 2.
 */
#pragma once

#include "hv/lib/types.h"

#define X86_CR0_PE BIT(0)
#define X86_CR0_MP BIT(1)
#define X86_CR0_EM BIT(2)
#define X86_CR0_TS BIT(3)
#define X86_CR0_ET BIT(4)
#define X86_CR0_NE BIT(5)
#define X86_CR0_WP BIT(16)
#define X86_CR0_AM BIT(18)
#define X86_CR0_NW BIT(29)
#define X86_CR0_CD BIT(30)
#define X86_CR0_PG BIT(31)

/* Of CR3: where the top table is. */
#define X86_CR3_ADDRESS 0x000ffffffffff000ull

#define X86_CR4_VME        BIT(0)
#define X86_CR4_PVI        BIT(1)
#define X86_CR4_TSD        BIT(2)
#define X86_CR4_DE         BIT(3)
#define X86_CR4_PSE        BIT(4)
#define X86_CR4_PAE        BIT(5)
#define X86_CR4_MCE        BIT(6)
#define X86_CR4_PGE        BIT(7)
#define X86_CR4_OSFXSR     BIT(9)
#define X86_CR4_OSXMMEXCPT BIT(10)
#define X86_CR4_UMIP       BIT(11)
#define X86_CR4_LA57       BIT(12)
#define X86_CR4_VMXE       BIT(13)
#define X86_CR4_FSGSBASE   BIT(16)
#define X86_CR4_PCIDE      BIT(17)
#define X86_CR4_OSXSAVE    BIT(18)
#define X86_CR4_SMEP       BIT(20)
#define X86_CR4_SMAP       BIT(21)
#define X86_CR4_PKE        BIT(22)
#define X86_CR4_CET        BIT(23)

#define X86_EFER_SCE BIT(0)
#define X86_EFER_LME BIT(8)
#define X86_EFER_LMA BIT(10)
#define X86_EFER_NXE BIT(11)

#define X86_MISC_ENABLE_XD_DISABLE BIT(34)
#define X86_EFER_SVME              BIT(12)

#define X86_DR6_BREAKPOINTS BITS(0, 3)
#define X86_DR6_BUS_LOCK    BIT(11) /* 0 when it is the cause */
#define X86_DR6_BD          BIT(13)
#define X86_DR6_BS          BIT(14)
#define X86_DR6_BT          BIT(15)
#define X86_DR6_RTM         BIT(16)       /* 0 when it is the cause */
#define X86_DR6_ONES        0xffff0ff0ull /* without any cause */

#define X86_DR7_LOCAL 0x155ull /* LE, L0-L3 */
#define X86_DR7_GD    BIT(13)

#define X86_RFLAGS_FIXED BIT(1)
#define X86_RFLAGS_ZF    BIT(6)
#define X86_RFLAGS_TF    BIT(8)
#define X86_RFLAGS_IF    BIT(9)
#define X86_RFLAGS_DF    BIT(10)
#define X86_RFLAGS_NT    BIT(14)
#define X86_RFLAGS_RF    BIT(16)
#define X86_RFLAGS_VM    BIT(17)
#define X86_RFLAGS_AC    BIT(18)
#define X86_RFLAGS_ALL   0x3f7fd5ull /* all that there are, but the fixed one */

enum x86_vector {
    X86_DE = 0,
    X86_DB = 1,
    X86_NMI = 2,
    X86_UD = 6,
    X86_NM = 7,
    X86_DF = 8,
    X86_TS = 10,
    X86_NP = 11,
    X86_SS = 12,
    X86_GP = 13,
    X86_PF = 14,
    X86_AC = 17,
    X86_MC = 18,
    X86_VECTORS = 32, /* of exceptions */
};
/* The exceptions that push an error code: 10 to 14 are #TS to #PF. */
#define X86_WITH_ERROR (BIT(X86_DF) | BITS(X86_TS, X86_PF) | BIT(X86_AC))

/* x86 register numbers, also the index into struct vcpu's regs[]. */
enum x86_gpr { X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI };

#define X86_MSR_TSC               0x10u
#define X86_MSR_TSC_ADJUST        0x3bu
#define X86_MSR_PLATFORM_ID       0x17u
#define X86_MSR_APIC_BASE         0x1bu
#define X86_MSR_FEATURE_CONTROL   0x3au
#define X86_MSR_SPEC_CTRL         0x48u
#define X86_MSR_PRED_CMD          0x49u
#define X86_MSR_BIOS_UPDT_TRIG    0x79u
#define X86_MSR_BIOS_SIGN_ID      0x8bu /* AMD: PATCH_LEVEL */
#define X86_MSR_ARCH_CAPABILITIES 0x10au
#define X86_MSR_FLUSH_CMD         0x10bu
#define X86_MSR_MISC_ENABLE       0x1a0u
#define X86_MSR_PAT               0x277u
#define X86_MSR_TSC_DEADLINE      0x6e0u
#define X86_MSR_X2APIC_FIRST      0x800u
#define X86_MSR_EFER              0xc0000080u
#define X86_MSR_STAR              0xc0000081u
#define X86_MSR_LSTAR             0xc0000082u
#define X86_MSR_CSTAR             0xc0000083u
#define X86_MSR_FMASK             0xc0000084u
#define X86_MSR_KERNEL_GS_BASE    0xc0000102u
#define X86_MSR_TSC_AUX           0xc0000103u
#define X86_MSR_AMD_PATCH_LOADER  0xc0010020u
