/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first instructions on each other CPU: from real mode, in the page that smp.c fills in, to
 * ap_main(), which never returns.
 */
    .text
/*
 * Another CPU, in long mode on the hypervisor's tables, still without a stack: takes the struct cpu
 * that waits for it. One that nobody waits for (any more) stops here.
 */
    .globl ap_entry
ap_entry:
    xorl %edi, %edi
    xchgq %rdi, ap_starting(%rip)
    testq %rdi, %rdi
    jz 1f
    movq 0x1008(%rdi), %rsp /* cpu->stack_top[STACK_MAIN] */
    call ap_main
1:  cli
    hlt
    jmp 1b

/*
 * Copied to a page below 1 MiB and filled in there by smp_write_trampoline(); that page is mapped
 * without write access, so nothing here writes to it: the descriptors have their accessed bit set.
 * Real mode to long mode in one step. Intel SDM "Initializing IA-32e Mode".
 */
    .section .rodata.trampoline, "a"
    .globl trampoline_start, trampoline_end, trampoline_gdt_base, trampoline_long_jump
    .globl trampoline_cr3, trampoline_entry
    .balign 16
trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    /* Firmware may have switched NX off here (Intel only): CPUID 80000001h EDX[20] is clear then. */
    movl $0x80000001, %eax
    cpuid
    btl $20, %edx
    jc 1f
    movl $0x1a0, %ecx /* IA32_MISC_ENABLE */
    rdmsr
    andl $~(1 << (34 - 32)), %edx /* XD Bit Disable */
    wrmsr
1:  movl $0x20, %eax /* CR4.PAE */
    movl %eax, %cr4
    movl trampoline_cr3 - trampoline_start, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER */
    movl $0x900, %eax      /* LME, NXE */
    xorl %edx, %edx
    wrmsr
    lgdtl trampoline_gdt_limit - trampoline_start
    movl $0x80010031, %eax /* PG, WP, NE, ET, PE; caches on */
    movl %eax, %cr0
    ljmpl *(trampoline_long_jump - trampoline_start)

    .code64
trampoline_long:
    xorl %eax, %eax
    .irp segment, ss, ds, es, fs, gs
    movl %eax, %\segment
    .endr
    jmpq *trampoline_entry(%rip)

    .balign 8
trampoline_entry: /* filled in, as are the others; addresses of the page itself by adding its own */
    .quad 0
trampoline_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
trampoline_cr3:
    .long 0
trampoline_long_jump:
    .long trampoline_long - trampoline_start
    .word 0x08 /* SELECTOR_CODE */
trampoline_gdt_limit:
    .word trampoline_cr3 - trampoline_gdt - 1
trampoline_gdt_base:
    .long trampoline_gdt - trampoline_start
trampoline_end:
