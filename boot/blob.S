/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor ELF inside the EFI application: one file on the stick. Read by main.c. */
    .section .rodata
    .balign 4096
    .globl hypervisor_elf
    .hidden hypervisor_elf
hypervisor_elf:
    .incbin "bulkhead.elf"
