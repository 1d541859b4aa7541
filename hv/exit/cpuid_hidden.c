/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a CPU may have and no guest sees, each with the reason. Beside the policy, so that a bit can
 * be in one of the two only: a unit test holds both against the manuals' lists of bits.
 * Sources as of hv/exit/cpuid.c.
 */
#include "hv/exit/policy.h"

#define ANY   CPUID_NO_SUBLEAF
#define WHOLE UINT32_MAX

enum { EAX, EBX, ECX, EDX };

/* Reasons of several. */
#define WHY_MONITOR  "waits that no exit ends on time: a CPU is given back by HLT"
#define WHY_POWER    "power, clock and heat are the machine's, not a guest's"
#define WHY_COUNTERS "counters and traces see, and slow down, what shares the core"
#define WHY_MCE      "machine checks are the hypervisor's"
#define WHY_SHARE    "shares of caches and buses are the machine's"
#define WHY_NESTED   "no virtualization within a guest"
#define WHY_SECRET   "enclaves, memory encryption and keys are not divided between guests"
#define WHY_STATE    "has state that nothing saves or clears between guests yet"
#define WHY_CODE     "instructions not looked at yet for what they do to other guests and on devices"
#define WHY_OLD      "AMD's own; programs ask for SSE4 and AVX, which a guest has"
#define WHY_TSX      "a source of leaks (TAA), off by microcode on most CPUs"
#define WHY_PAGING   "the hypervisor's walker of a guest's page tables does not know it yet"
#define WHY_ADVICE   "says how microcode and CPU behave; the hypervisor answers for both"
#define WHY_PHI      "on Xeon Phi only"
#define WHY_ABSENT   "the PC that a guest has is without it"
#define WHY_TWIN     "repeats leaf 1"
#define WHY_SIZES    "of the machine's CPUs, for tuning; a guest goes without"

const struct cpuid_hidden cpuid_hidden[] = {
    {0x01, ANY, ECX, BIT32(2) | BIT32(4), "DTES64 DS-CPL", WHY_COUNTERS},
    {0x01, ANY, ECX, BIT32(3), "MONITOR", WHY_MONITOR},
    {0x01, ANY, ECX, BIT32(5) | BIT32(6), "VMX SMX", WHY_NESTED},
    {0x01, ANY, ECX, BIT32(7) | BIT32(8), "EIST TM2", WHY_POWER},
    {0x01, ANY, ECX, BIT32(10), "CNXT-ID", WHY_POWER},
    {0x01, ANY, ECX, BIT32(11), "SDBG", "debugs the machine"},
    {0x01, ANY, ECX, BIT32(14) | BIT32(15), "xTPR PDCM", WHY_COUNTERS},
    {0x01, ANY, ECX, BIT32(18), "DCA", WHY_ABSENT},
    {0x01, ANY, EDX, BIT32(7) | BIT32(14), "MCE MCA", WHY_MCE},
    {0x01, ANY, EDX, BIT32(18), "PSN", "the machine's serial number"},
    {0x01, ANY, EDX, BIT32(21), "DS", WHY_COUNTERS},
    {0x01, ANY, EDX, BIT32(22) | BIT32(29) | BIT32(31), "ACPI TM PBE", WHY_POWER},
    {0x05, ANY, EAX, WHOLE, "MONITOR's sizes", WHY_MONITOR},
    {0x06, ANY, EAX, ~BIT32(2), "HWP, turbo, heat", WHY_POWER},
    {0x07, 0, EBX, BIT32(2), "SGX", WHY_SECRET},
    {0x07, 0, EBX, BIT32(4) | BIT32(11), "HLE RTM", WHY_TSX},
    {0x07, 0, EBX, BIT32(12) | BIT32(15), "RDT-M RDT-A", WHY_SHARE},
    {0x07, 0, EBX, BIT32(14), "MPX", "given up by its makers; " WHY_STATE},
    {0x07, 0, EBX, BIT32(25), "PT", WHY_COUNTERS},
    {0x07, 0, EBX, BIT32(26) | BIT32(27), "AVX512PF AVX512ER", WHY_PHI},
    {0x07, 0, ECX, BIT32(0), "PREFETCHWT1", WHY_PHI},
    {0x07, 0, ECX, BIT32(5), "WAITPKG", WHY_MONITOR},
    {0x07, 0, ECX, BIT32(7), "CET_SS", WHY_STATE},
    {0x07, 0, ECX, BIT32(13) | BIT32(23), "TME KL", WHY_SECRET},
    {0x07, 0, ECX, BIT32(16), "LA57", "nested tables and linear addresses have four levels here"},
    {0x07, 0, ECX, (uint32_t)BITS(17, 21), "MAWAU", "belongs to MPX"},
    {0x07, 0, ECX, BIT32(24), "BUS_LOCK_DETECT", "the hypervisor's own way to slow bus locks down"},
    {0x07, 0, ECX, BIT32(25) | BIT32(27) | BIT32(28), "CLDEMOTE MOVDIRI MOVDIR64B", WHY_CODE},
    {0x07, 0, ECX, BIT32(29), "ENQCMD", WHY_ABSENT},
    {0x07, 0, ECX, BIT32(30), "SGX_LC", WHY_SECRET},
    {0x07, 0, ECX, BIT32(31), "PKS", "IA32_PKRS is not switched between guests yet"},
    {0x07, 0, EDX, BIT32(1) | BIT32(18), "SGX-KEYS PCONFIG", WHY_SECRET},
    {0x07, 0, EDX, BIT32(2) | BIT32(3), "AVX512_4VNNIW AVX512_4FMAPS", WHY_PHI},
    {0x07, 0, EDX, BIT32(5), "UINTR", WHY_STATE},
    {0x07, 0, EDX, BIT32(8) | BIT32(14) | BIT32(23), "AVX512_VP2INTERSECT SERIALIZE AVX512_FP16",
     WHY_CODE},
    {0x07, 0, EDX, BIT32(9), "SRBDS_CTRL", WHY_ADVICE},
    {0x07, 0, EDX, BIT32(11) | BIT32(13) | BIT32(16), "RTM_ALWAYS_ABORT TSX_FORCE_ABORT TSXLDTRK",
     WHY_TSX},
    {0x07, 0, EDX, BIT32(19), "ARCH_LBR", WHY_COUNTERS},
    {0x07, 0, EDX, BIT32(20), "CET_IBT", WHY_STATE},
    {0x07, 0, EDX, BIT32(22) | BIT32(24) | BIT32(25), "AMX_BF16 AMX_TILE AMX_INT8", WHY_STATE},
    {0x07, 0, EDX, BIT32(30), "CORE_CAPABILITIES", WHY_ADVICE},
    {0x07, 1, EAX, WHOLE, "AVX-VNNI, FRED, LAM, ...", WHY_CODE},
    {0x07, 2, EDX, WHOLE, "PSFD, RRSBA, BHI, ...: controls in IA32_SPEC_CTRL", WHY_ADVICE},
    {0x0a, ANY, EAX, WHOLE, "performance counters", WHY_COUNTERS},
    {0x0d, 1, EAX, BIT32(3) | BIT32(4), "XSAVES XFD", WHY_STATE},
    {0x0f, 0, EAX, WHOLE, "and 10h: RDT", WHY_SHARE},
    {0x12, 0, EAX, WHOLE, "SGX", WHY_SECRET},
    {0x14, 0, EAX, WHOLE, "PT", WHY_COUNTERS},
    {0x18, 0, EAX, WHOLE, "sizes of TLBs", WHY_SIZES},
    {0x19, ANY, EAX, WHOLE, "KL", WHY_SECRET},
    {0x1c, ANY, EAX, WHOLE, "ARCH_LBR", WHY_COUNTERS},
    {0x1d, 0, EAX, WHOLE, "and 1Eh: AMX", WHY_STATE},
    {0x23, 0, EAX, WHOLE, "performance counters", WHY_COUNTERS},
    {0x24, 0, EAX, WHOLE, "AVX10", WHY_STATE},
    {0x80000001, ANY, ECX, BIT32(2) | BIT32(12), "SVM SKINIT", WHY_NESTED},
    {0x80000001, ANY, ECX, BIT32(3), "ExtApicSpace", WHY_ABSENT},
    {0x80000001, ANY, ECX, BIT32(4), "AltMovCr8", "for code outside of 64-bit mode; CPUs take it"},
    {0x80000001, ANY, ECX, BIT32(6) | BIT32(7), "SSE4A MisAlignSse", WHY_OLD},
    {0x80000001, ANY, ECX, BIT32(9), "OSVW", "errata are worked around by the hypervisor"},
    {0x80000001, ANY, ECX, BIT32(10), "IBS", WHY_COUNTERS},
    {0x80000001, ANY, ECX, BIT32(11) | BIT32(16) | BIT32(21), "XOP FMA4 TBM", WHY_OLD},
    {0x80000001, ANY, ECX, BIT32(13), "WDT", WHY_ABSENT},
    {0x80000001, ANY, ECX, BIT32(15), "LWP", WHY_STATE},
    {0x80000001, ANY, ECX, BIT32(17), "TCE", "not allowed in EFER"},
    {0x80000001, ANY, ECX, BIT32(19), "NodeId", "a guest is one package"},
    {0x80000001, ANY, ECX, (uint32_t)BITS(23, 24) | (uint32_t)BITS(26, 28),
     "PerfCtrExtCore PerfCtrExtNB DBX PerfTsc PerfCtrExtLLC", WHY_COUNTERS},
    {0x80000001, ANY, ECX, BIT32(29), "MONITORX", WHY_MONITOR},
    {0x80000001, ANY, ECX, BIT32(30), "AddrMaskExt", "breakpoint masks are not switched"},
    {0x80000001, ANY, EDX, (uint32_t)BITS(0, 9) | (uint32_t)BITS(12, 17) | (uint32_t)BITS(23, 24),
     "FPU to FXSR", WHY_TWIN},
    {0x80000001, ANY, EDX, BIT32(22) | (uint32_t)BITS(30, 31), "MmxExt 3DNowExt 3DNow", WHY_OLD},
    {0x80000001, ANY, EDX, BIT32(25), "FFXSR", "not allowed in EFER"},
    {0x80000007, ANY, EDX, (uint32_t)BITS(0, 7) | (uint32_t)BITS(9, 14), "clocks, voltages, heat",
     WHY_POWER},
    {0x80000008, ANY, EBX, BIT32(0), "CLZERO", WHY_CODE},
    {0x80000008, ANY, EBX, BIT32(1) | BIT32(31), "InstRetCntMsr BranchSampling", WHY_COUNTERS},
    {0x80000008, ANY, EBX, BIT32(3) | BIT32(21), "INVLPGB",
     "reaches the TLBs of all CPUs, other guests' too"},
    {0x80000008, ANY, EBX, BIT32(4), "RDPRU", WHY_COUNTERS},
    {0x80000008, ANY, EBX, BIT32(6), "MBE", WHY_SHARE},
    {0x80000008, ANY, EBX, BIT32(8), "MCOMMIT", WHY_CODE},
    {0x80000008, ANY, EBX, BIT32(9) | BIT32(13), "WBNOINVD INT_WBINVD",
     "empties caches that other guests use"},
    {0x80000008, ANY, EBX, BIT32(20), "EferLmsleUnsupported", "not allowed in EFER anyway"},
    {0x80000008, ANY, EBX, BIT32(23), "PPIN", "the machine's serial number"},
    {0x80000008, ANY, EBX, BIT32(25), "VIRT_SSBD", "there is SSBD itself"},
    {0x80000008, ANY, EBX, BIT32(27), "CPPC", WHY_POWER},
    {0x8000000a, ANY, EAX, WHOLE, "SVM", WHY_NESTED},
    {0x80000019, ANY, EAX, WHOLE, "sizes of TLBs", WHY_SIZES},
    {0x8000001a, ANY, EAX, WHOLE, "widths of the FPU", WHY_SIZES},
    {0x8000001b, ANY, EAX, WHOLE, "IBS", WHY_COUNTERS},
    {0x8000001c, ANY, EAX, WHOLE, "LWP", WHY_STATE},
    {0x8000001f, ANY, EAX, WHOLE, "SME, SEV", WHY_SECRET},
    {0x80000020, 0, EAX, WHOLE, "shares of bandwidth", WHY_SHARE},
    {0x80000021, ANY, EAX, BIT32(3), "SmmPgCfgLock", "system management is the machine's"},
    {0x80000021, ANY, EAX, BIT32(7) | BIT32(8), "UpperAddressIgnore AutomaticIBRS",
     "not allowed in EFER"},
    {0x80000021, ANY, EAX, BIT32(13) | BIT32(17) | BIT32(31),
     "PrefetchCtl CpuidUserDis SRSO_MSR_FIX", "no guest has the register that it belongs to"},
    {0x80000021, ANY, EAX, BIT32(18), "EPSF", WHY_ADVICE},
    {0x80000021, ANY, EAX, BIT32(20), "PREFETCHI", WHY_CODE},
    {0x80000021, ANY, EAX, BIT32(24), "ERAPS", "wants help of the hypervisor's at each entry"},
    {0x80000021, ANY, EBX, WHOLE, "sizes of microcode and of the return stack", WHY_SIZES},
    {0x80000022, ANY, EAX, WHOLE, "performance counters", WHY_COUNTERS},
    {0x80000026, 0, EAX, WHOLE, "the machine's topology; a guest has its own in leaf Bh",
     WHY_SIZES},
    {.names = NULL},
};
