/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this CPU's VMX can do, read once from the capability MSRs and turned into the control words
 * that every VMCS gets. Pure, so that the choice is unit-tested on the host. Source: Intel SDM vol.
 * 3 appendix "VMX Capability Reporting Facility".
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/lib/types.h"

/* The first four in the order of their MSRs; the last is no control, but what EPT can do. */
enum vmx_word { VMX_PIN, VMX_PROC, VMX_EXIT, VMX_ENTRY, VMX_PROC2, VMX_EPT, VMX_WORDS };

/* Pin-based controls. */
#define PIN_EXTERNAL_INTERRUPT BIT32(0)
#define PIN_NMI                BIT32(3)
#define PIN_VIRTUAL_NMIS       BIT32(5)
#define PIN_POSTED             BIT32(7) /* process posted interrupts */

/* Primary processor-based controls; without a word more it is an exit at that instruction. */
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
#define PROC_TPR_SHADOW       BIT32(21)
#define PROC_NMI_WINDOW       BIT32(22)
#define PROC_MOV_DR           BIT32(23)
#define PROC_IO               BIT32(24)
#define PROC_IO_BITMAPS       BIT32(25)
#define PROC_MSR_BITMAPS      BIT32(28)
#define PROC_MONITOR          BIT32(29)
#define PROC_SECONDARY        BIT32(31)

/* Secondary processor-based controls. */
#define PROC2_APIC_PAGE          BIT32(0) /* virtualize APIC accesses */
#define PROC2_EPT                BIT32(1)
#define PROC2_DESCRIPTORS        BIT32(2) /* LGDT and its like exit */
#define PROC2_RDTSCP             BIT32(3)
#define PROC2_X2APIC             BIT32(4) /* virtualize x2APIC mode */
#define PROC2_VPID               BIT32(5)
#define PROC2_WBINVD             BIT32(6)
#define PROC2_UNRESTRICTED       BIT32(7)
#define PROC2_APIC_REGISTERS     BIT32(8)
#define PROC2_VIRTUAL_INTERRUPTS BIT32(9)
#define PROC2_INVPCID            BIT32(12)
#define PROC2_ENCLS              BIT32(15) /* leaves of ENCLS exit, by a bitmap */
#define PROC2_BUS_LOCK           BIT32(30)

#define EXIT_SAVE_DEBUG  BIT32(2)
#define EXIT_HOST_64     BIT32(9)
#define EXIT_ACKNOWLEDGE BIT32(15) /* of a host interrupt, with the exit */
#define EXIT_SAVE_PAT    BIT32(18)
#define EXIT_LOAD_PAT    BIT32(19)
#define EXIT_SAVE_EFER   BIT32(20)
#define EXIT_LOAD_EFER   BIT32(21)

#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_IA32E      BIT32(9)
#define ENTRY_LOAD_PAT   BIT32(14)
#define ENTRY_LOAD_EFER  BIT32(15)

/* IA32_VMX_EPT_VPID_CAP. */
#define EPT_CAP_4_LEVELS   BIT32(6)
#define EPT_CAP_WRITE_BACK BIT32(14)
#define EPT_CAP_2M         BIT32(16)
#define EPT_CAP_1G         BIT32(17)
#define EPT_CAP_INVEPT     BIT32(20)
#define EPT_CAP_INVEPT_ALL BIT32(26)

/* Bits that must be set and that may be set, one pair a control word. */
struct vmx_allowed {
    uint32_t must, may;
};

struct vmx_caps {
    uint32_t revision; /* of the VMCS */
    struct vmx_allowed allowed[VMX_WORDS];
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

/* Takes away what is to be avoided, a bit for each enum config_avoid, where the CPU allows that. */
void vmx_caps_avoid(struct vmx_caps *caps, uint32_t avoid);
/*
 * Chooses the control words: everything needed, what is useful where it is offered, nothing else
 * but what the CPU insists on. STATUS_UNSUPPORTED when something needed is missing; then
 * missing() is called with a name for each. APIC virtualization is all there, with
 * PROC2_VIRTUAL_INTERRUPTS, or nothing of it; of PROC2_APIC_PAGE and PROC2_X2APIC, which are both
 * set then, one VMCS may have at most one. Posted interrupts come with it, or not: PIN_POSTED and
 * EXIT_ACKNOWLEDGE.
 */
MUST_USE enum status vmx_controls_choose(const struct vmx_caps *caps, uint32_t out[VMX_WORDS],
                                         void (*missing)(const char *what));
