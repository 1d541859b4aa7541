/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy on CPUID and MSRs: const tables of what a guest may see and reach. All else reads as
 * zero in CPUID, and is #GP(0) as an MSR, as on a CPU that lacks it. Each vCPU gets its CPUID
 * answers computed once, at creation; the vendors build their bitmaps from the MSR table.
 */
#pragma once

#include "hv/vm/vcpu.h"

/* The guest's word is (host & pass) | set; topology and frequencies are filled in. */
struct cpuid_policy {
    uint32_t leaf, subleaf; /* CPUID_NO_SUBLEAF: the leaf has none */
    const char *name;
    uint32_t more; /* the same for so many more subleaves, or leaves without */
    uint32_t pass[4], set[4];
};
#define CPUID_NO_SUBLEAF UINT32_MAX

/* Up to an entry without a name. */
extern const struct cpuid_policy cpuid_policies[];

/* What the CPU may have and a guest has not: bits of register reg (0 EAX .. 3 EDX), or all of the
 * leaf (all ones), and why. Up to an entry without names. */
struct cpuid_hidden {
    uint32_t leaf, subleaf; /* as in the policy */
    uint32_t reg, bits;
    const char *names, *why;
};
extern const struct cpuid_hidden cpuid_hidden[];

/* Computes v's answers from the host's CPUID and the policy. */
void cpuid_init(struct vcpu *v);

/* CR4.OSXSAVE and PKE, IA32_APIC_BASE.EN and IA32_MISC_ENABLE's limit of leaf 0 are mirrored in
 * CPUID. */
void cpuid_set_osxsave(struct vcpu *v, bool on);
void cpuid_set_ospke(struct vcpu *v, bool on);
void cpuid_set_apic(struct vcpu *v, bool on);
void cpuid_set_limit(struct vcpu *v, bool on);

/* The answer for a leaf, all zero where there is none. leaf and subleaf are guest-controlled. */
const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf);

/* True if the guest has feature bit `bit` of register reg (0 EAX .. 3 EDX). */
bool cpuid_has(const struct cpuid_table *t, uint32_t leaf, unsigned reg, unsigned bit);

/* XCR0 bits a guest may set (the CPU may have fewer): x87, SSE, AVX, AVX-512, PKRU. */
#define CPUID_XCR0_ALLOWED 0x2e7ull

/* One sorted table. */
struct ALIGNED(64) msr_policy {
    uint32_t msr;
    uint32_t count; /* neighbours that share the entry */
    const char *name;
    bool read_passes, write_passes; /* the guest reaches the CPU's own register, no exit */
    uint16_t needs, passes_with;    /* enum hvm_feature: to be there, to pass */
    msr_reader read;                /* NULL = refused */
    msr_writer write;
    uint64_t constant, reserved; /* for msr_read_constant; bits that a write may not set */
    uint8_t slot, types;         /* for the MTRRs: first of count in vcpu.msr_slots */
};

extern const struct msr_policy msr_policies[];
extern const size_t msr_policy_count;

/* The entry for an MSR, NULL if none. */
const struct msr_policy *msr_policy_find(uint32_t msr);

/* Does a read or write of the entry's registers go to the CPU's own, here and now? */
bool msr_policy_passes(const struct msr_policy *p, bool write);

/* Power-up values of the emulated registers. */
void msr_reset(struct vcpu *v);
/* v is a copy: what its MSRs name in RAM is mapped anew, on this CPU. */
void msr_name_again(struct vcpu *v);

/* CR4 bits that a guest with this CPUID may set (hv/exit/cr.c). */
uint64_t cr4_guest_allowed(const struct cpuid_table *t);

/* All of it into the log at level debug; `make docs` makes docs/guest-view.md of that. */
void policy_print(void);
