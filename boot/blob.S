/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hv/lib/version.h"

/* The hypervisor ELF inside the EFI application: one file on the stick. Read by main.c. */
    .section .rodata
    .balign 4096
    .globl hypervisor_elf
    .hidden hypervisor_elf
hypervisor_elf:
    .incbin "bulkhead.elf"

/*
 * By what generation of this application shim may be told to start it no more; raised with each
 * hole in what Secure Boot is to keep. Source: shim, "SBAT: UEFI Secure Boot Advanced Targeting".
 */
    .section .sbat, "a"
    .ascii "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
    .ascii "bulkhead,1,Bulkhead,bulkhead,"
    .ascii BULKHEAD_VERSION
    .ascii ",-\n"
