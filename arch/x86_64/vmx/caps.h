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

/* What is asked for or switched elsewhere, too; all others are named in vmx_choices only. */
#define PROC_INTERRUPT_WINDOW BIT32(2)
#define PROC_CR8_LOAD         BIT32(19)
#define PROC_CR8_STORE        BIT32(20)
#define PROC_TPR_SHADOW       BIT32(21)
#define PROC_NMI_WINDOW       BIT32(22)
#define PROC_SECONDARY        BIT32(31)

#define PROC2_APIC_PAGE          BIT32(0) /* virtualize APIC accesses */
#define PROC2_EPT                BIT32(1)
#define PROC2_RDTSCP             BIT32(3)
#define PROC2_X2APIC             BIT32(4) /* virtualize x2APIC mode */
#define PROC2_VPID               BIT32(5)
#define PROC2_VIRTUAL_INTERRUPTS BIT32(9)
#define PROC2_INVPCID            BIT32(12)
#define PROC2_BUS_LOCK           BIT32(30)

#define ENTRY_IA32E BIT32(9)

#define EPT_CAP_1G BIT32(17)

/* Bits that must be set and that may be set, one pair a control word. */
struct vmx_allowed {
    uint32_t must, may;
};

struct vmx_caps {
    uint32_t revision; /* of the VMCS */
    struct vmx_allowed allowed[VMX_WORDS];
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

/*
 * Chooses the control words: everything needed, what is useful where it is offered, nothing else
 * but what the CPU insists on. STATUS_UNSUPPORTED when something needed is missing; then
 * missing() is called with a name for each. APIC virtualization is all there, with
 * PROC2_VIRTUAL_INTERRUPTS, or nothing of it; of PROC2_APIC_PAGE and PROC2_X2APIC, which are both
 * set then, one VMCS may have at most one.
 */
MUST_USE enum status vmx_controls_choose(const struct vmx_caps *caps, uint32_t out[VMX_WORDS],
                                         void (*missing)(const char *what));
