/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this CPU's VMX can do, read once from the capability MSRs and turned into the control words
 * that every VMCS gets. Pure but for vmx_caps_read(), so that the choice is unit-tested on the
 * host. Source: Intel SDM vol. 3 appendix "VMX Capability Reporting Facility".
 */
#ifndef ARCH_X86_64_VMX_CAPS_H
#define ARCH_X86_64_VMX_CAPS_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

enum vmx_word { VMX_PIN, VMX_PROC, VMX_PROC2, VMX_EXIT, VMX_ENTRY, VMX_WORDS };

#define PIN_EXTERNAL_INTERRUPT BIT32(0)
#define PIN_NMI                BIT32(3)
#define PIN_VIRTUAL_NMI        BIT32(5)

#define PROC_INTERRUPT_WINDOW BIT32(2)
#define PROC_TSC_OFFSET       BIT32(3)
#define PROC_HLT              BIT32(7)
#define PROC_INVLPG           BIT32(9)
#define PROC_MWAIT            BIT32(10)
#define PROC_RDPMC            BIT32(11)
#define PROC_RDTSC            BIT32(12)
#define PROC_CR3_LOAD         BIT32(15)
#define PROC_CR3_STORE        BIT32(16)
#define PROC_CR8_LOAD         BIT32(19)
#define PROC_CR8_STORE        BIT32(20)
#define PROC_NMI_WINDOW       BIT32(22)
#define PROC_IO_BITMAPS       BIT32(25)
#define PROC_MSR_BITMAPS      BIT32(28)
#define PROC_MONITOR          BIT32(29)
#define PROC_SECONDARY        BIT32(31)

#define PROC2_EPT          BIT32(1)
#define PROC2_RDTSCP       BIT32(3)
#define PROC2_VPID         BIT32(5)
#define PROC2_WBINVD       BIT32(6)
#define PROC2_UNRESTRICTED BIT32(7)
#define PROC2_INVPCID      BIT32(12)

#define EXIT_SAVE_DEBUG BIT32(2)
#define EXIT_HOST_64    BIT32(9)
#define EXIT_SAVE_PAT   BIT32(18)
#define EXIT_LOAD_PAT   BIT32(19)
#define EXIT_SAVE_EFER  BIT32(20)
#define EXIT_LOAD_EFER  BIT32(21)

#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_IA32E      BIT32(9)
#define ENTRY_LOAD_PAT   BIT32(14)
#define ENTRY_LOAD_EFER  BIT32(15)

#define EPT_CAP_WALK4          BIT(6)
#define EPT_CAP_WB             BIT(14)
#define EPT_CAP_2M             BIT(16)
#define EPT_CAP_1G             BIT(17)
#define EPT_CAP_INVEPT         BIT(20)
#define EPT_CAP_INVEPT_SINGLE  BIT(25)
#define EPT_CAP_INVVPID        BIT(32)
#define EPT_CAP_INVVPID_SINGLE BIT(41)
#define EPT_CAP_INVVPID_ALL    BIT(42)

/* Bits that must be set and that may be set, one pair a control word. */
struct vmx_allowed {
    uint32_t must, may;
};

struct vmx_caps {
    uint64_t basic; /* IA32_VMX_BASIC */
    struct vmx_allowed allowed[VMX_WORDS];
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    uint64_t ept; /* IA32_VMX_EPT_VPID_CAP */
};

struct vmx_controls {
    uint32_t word[VMX_WORDS];
    bool vpid;
    unsigned ept_levels; /* largest leaf, as npt.max_level */
};

/* Reads the capability MSRs of the running CPU, which must have VMX. */
void vmx_caps_read(struct vmx_caps *caps);

/*
 * Chooses the control words: everything needed, what is useful where it is offered, nothing else
 * but what the CPU insists on. STATUS_UNSUPPORTED when something needed is missing; then
 * missing() is called with a name for each.
 */
MUST_USE enum status vmx_controls_choose(const struct vmx_caps *caps, struct vmx_controls *out,
                                         void (*missing)(const char *what));

#endif
