/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest may know of Bulkhead: CPUID leaves, hypercalls, how it starts. The only header that
 * guests/ and the hypervisor share.
 *
 * Hypercall: VMCALL (Intel) or VMMCALL (AMD) at CPL 0 with the number in RAX; arguments in RBX,
 * RCX, RDX; the result comes back in RAX, all other registers are kept. An unknown number gives
 * HYPERCALL_UNKNOWN. At CPL above 0 any call but HYPERCALL_NOP and HYPERCALL_UPCALL is #UD.
 */
#pragma once

#include <stdint.h>

/* CPUID 40000000h: EAX = highest leaf, EBX ECX EDX = signature. */
#define BULKHEAD_CPUID_BASE    0x40000000u
#define BULKHEAD_SIGNATURE     "BulkheadHv64" /* 12 characters, EBX ECX EDX */
/* CPUID 40000001h: EAX = version of Bulkhead, a byte each: bits 23:16 major, 15:8 minor, 7:0 patch.
 */
#define BULKHEAD_CPUID_VERSION 0x40000001u
/* CPUID 40000010h: EAX = TSC kHz, EBX = local APIC timer kHz. */
#define BULKHEAD_CPUID_TIMING  0x40000010u

/*
 * CPUID 40000100h: the leaves by which Linux and others know KVM, as Linux documents them for its
 * guests. EAX = highest leaf, EBX ECX EDX = signature. The next leaf has in EAX what there is of
 * KVM's ways: an end of interrupt without an exit, by the word that the MSR names (its bits 63:2
 * are the address, bit 0 switches it on), and port accesses that need no delay. None of its
 * hypercalls.
 */
#define KVM_CPUID_BASE     0x40000100u
#define KVM_SIGNATURE      "KVMKVMKVM\0\0\0"
#define KVM_CPUID_FEATURES 0x40000101u
#define KVM_NOP_IO_DELAY   (1u << 1)
#define KVM_PV_EOI         (1u << 6)
#define KVM_MSR_PV_EOI     0x4b564d04u
#define KVM_MSR_ON         1u

#define HYPERCALL_NOP      0 /* does nothing, returns 0 */
/*
 * The guest cannot go on: a crash, as on_crash says. RBX = guest-physical address of a text, RCX =
 * its length; its first HYPERCALL_TEXT_MAX bytes stand in the log. Does not return.
 */
#define HYPERCALL_GIVE_UP  1
#define HYPERCALL_TEXT_MAX 120
/*
 * Has the guest's compartment do nothing, RBX is lost on it, and returns 0: for measuring. Does not
 * return if the compartment fails.
 */
#define HYPERCALL_UPCALL   2
#define HYPERCALL_UNKNOWN  0xffffffffffffffff

/*
 * Start: the hypervisor copies struct bulkhead_start and the files that it names into memory that
 * is zero. The files lie at the top of low RAM, the initrd above the kernel, below them at least
 * the first MiB, above them BULKHEAD_TABLES_SIZE bytes for ACPI tables. The VM's compartment moves
 * the kernel to where it runs and writes tables and firmware, whose last bytes are the reset
 * vector; there the CPU starts, in real mode at F000:FFF0.
 */
#define BULKHEAD_TABLES_SIZE 0x10000u
#define BULKHEAD_START_GPA   0xe1000u
#define BULKHEAD_START_MAGIC 0x7472617453646842 /* "BhdStart" */

/*
 * Where the firmware tells that the BIOS was called, which guests do not have: 32 bits are written,
 * the interrupt's number in the upper half, the caller's AX in the lower one. Also in bios.S.
 */
#define BULKHEAD_BIOS_PORT 0x610

/* What a kernel file is; ANY: its content tells, which for FLAT it cannot. */
enum bulkhead_kernel {
    BULKHEAD_KERNEL_ANY,
    BULKHEAD_KERNEL_LINUX,
    BULKHEAD_KERNEL_MULTIBOOT,
    BULKHEAD_KERNEL_ELF,
    BULKHEAD_KERNEL_FLAT,
    BULKHEAD_KERNEL_TYPES
};
#define BULKHEAD_FLAT_GPA 0x100000u /* where a flat binary is loaded and entered */

struct bulkhead_piece {
    uint64_t gpa, size; /* size 0: there is none */
};

/*
 * ELF and flat programs get this struct's address in RDI. It lies in reserved memory, as do the
 * texts. docs/guests.md has the state of the CPU.
 */
struct bulkhead_start {
    uint64_t magic;
    uint32_t size; /* of this struct */
    uint32_t vcpu_count;
    uint64_t low_ram, high_ram; /* bytes from 0 and from 4 GiB on */
    struct bulkhead_piece kernel, initrd;
    struct bulkhead_piece cmdline, initrd_path; /* a NUL follows the text and is not counted */
    uint64_t kernel_type;                       /* enum bulkhead_kernel */
    /* From the compartment: entries {u64 base, size; u32 type} as in E820, packed; ACPI's root. */
    struct bulkhead_piece memory_map;
    uint64_t rsdp;
    /* Who the guest is, also in its SMBIOS: texts as above, and a UUID as it is written. */
    struct bulkhead_piece name, serial, asset_tag;
    uint8_t uuid[16];
};
