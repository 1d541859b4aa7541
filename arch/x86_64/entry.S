/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first instructions, on the CPU that ran the EFI application. Hands over to arch_start(), which
 * never returns.
 */
    .section .text.entry, "ax"
    .globl arch_entry
arch_entry: /* RDI = struct boot_info, interrupts off, the firmware's identity map and stack */
    cld
    rdtsc
    shlq $32, %rdx
    leaq (%rdx, %rax), %rsi
    leaq boot_stack_top(%rip), %rsp
    movq %cr4, %rax
    btl $12, %eax /* LA57 */
    jnc 1f
    call la57_leave
1:
    call arch_start
    ud2
