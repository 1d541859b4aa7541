/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the CPU wants of a guest's state at VM entry, as far as emulation can break it: the rule
 * that is broken, in words, and how to mend it. Pure, the same on hardware and in the unit tests:
 * an emulator may not make all the checks. Source: Intel SDM vol. 3 "Checks on the Guest State
 * Area".
 */
#pragma once

#include "arch/x86_64/vmx/vmcs.h"
#include "hv/vm/hvm.h"

struct vmx_entry_state {
    uint64_t cr0, cr4, efer, rflags, dr7, pending_debug;
    uint64_t pdptes[4];
    uint32_t interruptibility, activity, event, entry_controls;
    uint32_t attr[HVM_SEG_COUNT]; /* access rights; none of GDTR and IDTR */
    unsigned phys_bits;           /* of the CPU */
};

/* The first rule found broken; NULL if it is none of those. */
const char *vmx_entry_rule(const struct vmx_entry_state *s);

/*
 * Makes the state fit for an entry that an exception goes in with: its delivery ends shadow and
 * traps that were due, and no register is given a value that the guest could not have set.
 */
void vmx_entry_mend(struct vmx_entry_state *s);

/* An entry of PAE paging's top table as it may be loaded: one with a reserved bit is not present.
 * Guest-controlled. */
uint64_t vmx_pdpte(uint64_t entry, unsigned phys_bits);

/*
 * The interruptibility state to send an event in with. An exception's delivery ends the shadow of
 * STI or MOV SS, so it may as well end before: a shadow obliges the VMCS to agree with TF and IF,
 * which an intercepted #DB and emulation do not. SDM "Checks on Guest Non-Register State".
 */
uint32_t vmx_shadow_for_event(enum event_type type, uint32_t interruptibility);

/*
 * The interruptibility state to wait for an NMI window with. In the shadow of STI a CPU may exit at
 * once, or not take the NMI: that of MOV SS is as long, and all CPUs keep it. SDM "Non-Maskable
 * Interrupt Window Exiting".
 */
uint32_t vmx_shadow_for_nmi(uint32_t interruptibility);
