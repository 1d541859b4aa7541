/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest may know of Bulkhead: CPUID leaves and hypercalls. The only header that guests/ and
 * the hypervisor share.
 *
 * Hypercall: VMCALL (Intel) or VMMCALL (AMD) at CPL 0 with the number in RAX; arguments in RBX,
 * RCX, RDX; the result comes back in RAX, all other registers are kept. An unknown number gives
 * HYPERCALL_UNKNOWN. At CPL above 0 any call but HYPERCALL_NOP is #UD.
 */
#ifndef HV_ABI_H
#define HV_ABI_H

/* CPUID 40000000h: EAX = highest leaf, EBX ECX EDX = signature. */
#define BULKHEAD_CPUID_BASE   0x40000000u
#define BULKHEAD_SIGNATURE    "BulkheadHv64" /* 12 characters, EBX ECX EDX */
/* CPUID 40000010h: EAX = TSC kHz, EBX = local APIC timer kHz. */
#define BULKHEAD_CPUID_TIMING 0x40000010u

#define HYPERCALL_NOP     0 /* does nothing, returns 0 */
#define HYPERCALL_UNKNOWN 0xffffffffffffffff

#endif
