/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Out of long mode, a look at one address, and back: paging.c asks it for each kind of paging.
 * All that is needed lies below 4 GiB and is mapped one to one in every kind.
 */
#include "guests/test/macros.S"

        .section .text, "ax"
        .globl  legacy_read
legacy_read:                            /* EDI = CR3, ESI = CR4, EDX = CR0 meanwhile, ECX = address */
        push_callee_saved
        mov     %ecx, %ebp
        lea     save(%rip), %rbx
        save_long_mode
        mov     %edx, 32(%rbx)
        sgdt    48(%rbx)
        lea     gdt32(%rip), %rax
        movw    $gdt32_end - gdt32 - 1, 64(%rbx)
        mov     %rax, 66(%rbx)
        lgdt    64(%rbx)
        lea     1f(%rip), %rax
        pushq   $0x08
        push    %rax
        lretq
        .code32
1:      mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %ss
        mov     24(%ebx), %eax
        and     $0x7fffffff, %eax
        mov     %eax, %cr0              /* paging off: that leaves long mode */
        mov     $0xc0000080, %ecx
        rdmsr
        and     $~0x100, %eax           /* LME */
        wrmsr
        mov     %esi, %cr4
        mov     %edi, %cr3
        mov     32(%ebx), %eax
        mov     %eax, %cr0
        mov     (%ebp), %esi
        mov     24(%ebx), %eax
        and     $0x7fffffff, %eax
        mov     %eax, %cr0
        restore_long_mode gdtr=48
        mov     (%rbx), %rsp
        mov     %esi, %eax
        pop_callee_saved
        ret
        .balign 8
gdt32:  .quad   0
        .quad   0x00cf9b000000ffff      /* 08h: 32-bit code */
        .quad   0x00af9b000000ffff      /* 10h, 18h: as in start.S */
        .quad   0x00cf93000000ffff
gdt32_end:
        .section .bss, "aw", @nobits
        .balign 16
save:   .skip   96
        .section .note.GNU-stack, "", @progbits
