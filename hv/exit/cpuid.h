/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID as guests see it: a const policy table says which bits of the host's CPU a guest may have;
 * all else reads as zero. Each vCPU gets the answers computed once, at creation.
 */
#ifndef HV_EXIT_CPUID_H
#define HV_EXIT_CPUID_H

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

/* Computes v's answers from the host's CPUID and the policy. */
void cpuid_init(struct vcpu *v);

/* CR4.OSXSAVE is mirrored in CPUID. */
void cpuid_set_osxsave(struct vcpu *v, bool on);

/* The answer for a leaf, all zero where there is none. leaf and subleaf are guest-controlled. */
const struct cpuid_entry *cpuid_find(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf);

/* True if the guest has feature bit `bit` of register reg (0 EAX .. 3 EDX). */
bool cpuid_has(const struct cpuid_table *t, uint32_t leaf, unsigned reg, unsigned bit);

/* XCR0 bits a guest may set (the CPU may have fewer): x87, SSE, AVX, AVX-512. */
#define CPUID_XCR0_ALLOWED 0xe7ull

#endif
