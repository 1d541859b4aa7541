/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first instructions on each CPU: arch_entry on the one that ran the EFI application, the
 * trampoline on the others. Hands over to arch_start() and smp_ap_main(), which never return.
 */
#include "arch/x86_64/trampoline.h"

    .section .text.entry, "ax"
    .globl arch_entry
    .type arch_entry, @function
arch_entry: /* RDI = struct boot_info, interrupts off, the firmware's identity map and stack */
    cld
    rdtsc
    shlq $32, %rdx
    leaq (%rdx, %rax), %rsi
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    call arch_start
    ud2
    .size arch_entry, . - arch_entry

/*
 * Another CPU, in long mode on the hypervisor's tables, still without a stack: finds its struct cpu
 * by APIC ID. One that nobody expects stops here.
 */
    .type ap_entry, @function
    .globl ap_entry
ap_entry:
    xorl %eax, %eax
    cpuid
    cmpl $0xb, %eax
    jb 1f
    movl $0xb, %eax /* x2APIC ID, 32 bits */
    xorl %ecx, %ecx
    cpuid
    movl %edx, %r8d
    testl %ebx, %ebx
    jnz 2f
1:  movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %r8d
2:  leaq percpu_table(%rip), %rsi
    movl percpu_count(%rip), %ecx
3:  testl %ecx, %ecx
    jz 5f
    lodsq
    decl %ecx
    cmpl %r8d, 0x0c(%rax) /* cpu->apic_id */
    jne 3b
    movq %rax, %rdi
    movq 0x10(%rax), %rsp /* cpu->stack_top */
    xorl %ebp, %ebp
    call smp_ap_main
5:  cli
    hlt
    jmp 5b
    .size ap_entry, . - ap_entry

/*
 * Copied to a page below 1 MiB and filled in there by smp_write_trampoline(); that page is mapped
 * without write access, so nothing here writes to it: the descriptors have their accessed bit set.
 * Real mode to long mode in one step. Intel SDM "Initializing IA-32e Mode".
 */
    .section .rodata.trampoline, "a"
    .globl trampoline_start, trampoline_end
    .balign 16
trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movl $0x20, %eax /* CR4.PAE */
    movl %eax, %cr4
    movl TRAMPOLINE_CR3, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER */
    movl $0x900, %eax      /* LME, NXE */
    xorl %edx, %edx
    wrmsr
    lgdtl TRAMPOLINE_GDTR
    movl $0x80010031, %eax /* PG, WP, NE, ET, PE; caches on */
    movl %eax, %cr0
    ljmpl *TRAMPOLINE_LONG_JUMP

    .code64
    .balign 16
    .globl trampoline_long
trampoline_long:
    xorl %eax, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    jmpq *(trampoline_start + TRAMPOLINE_ENTRY)(%rip)

    .org trampoline_start + TRAMPOLINE_DATA_END
trampoline_end:
