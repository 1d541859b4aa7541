/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest may know of Bulkhead: CPUID leaves, hypercalls, how it starts. The only header that
 * guests/ and the hypervisor share.
 *
 * Hypercall: VMCALL (Intel) or VMMCALL (AMD) at CPL 0 with the number in RAX; arguments in RBX,
 * RCX, RDX; the result comes back in RAX, all other registers are kept. An unknown number gives
 * HYPERCALL_UNKNOWN. At CPL above 0 any call but HYPERCALL_NOP is #UD.
 */
#ifndef HV_ABI_H
#define HV_ABI_H

#include <stdint.h>

/* CPUID 40000000h: EAX = highest leaf, EBX ECX EDX = signature. */
#define BULKHEAD_CPUID_BASE   0x40000000u
#define BULKHEAD_SIGNATURE    "BulkheadHv64" /* 12 characters, EBX ECX EDX */
/* CPUID 40000010h: EAX = TSC kHz, EBX = local APIC timer kHz. */
#define BULKHEAD_CPUID_TIMING 0x40000010u

#define HYPERCALL_NOP     0 /* does nothing, returns 0 */
#define HYPERCALL_UNKNOWN 0xffffffffffffffff

/*
 * Start: all memory is zero but for the firmware (guests/firmware, its last bytes are the reset
 * vector), struct bulkhead_start and the files that it names; the CPU is in real mode at F000:FFF0.
 * The files lie at the top of low RAM, the initrd above the kernel, below them at least the first
 * MiB, above them BULKHEAD_TABLES_SIZE bytes for the firmware's ACPI tables.
 */
#define BULKHEAD_FIRMWARE_GPA  0xfc000u
#define BULKHEAD_FIRMWARE_SIZE 0x4000u
#define BULKHEAD_TABLES_SIZE   0x10000u
#define BULKHEAD_START_GPA     0xe1000u
#define BULKHEAD_START_MAGIC   0x7472617453646842 /* "BhdStart" */

struct bulkhead_piece {
    uint64_t gpa, size; /* size 0: there is none */
};

struct bulkhead_start {
    uint64_t magic;
    uint32_t size; /* of this struct */
    uint32_t vcpu_count;
    uint64_t low_ram, high_ram; /* bytes from 0 and from 4 GiB on */
    struct bulkhead_piece kernel, initrd;
    struct bulkhead_piece cmdline; /* a NUL follows the text and is not counted */
};

#endif
