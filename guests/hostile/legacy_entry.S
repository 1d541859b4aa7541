/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Out of long mode into 32-bit protected mode without paging, and back at the first exception.
 * struct legacy (legacy.c) is the one thing that all code here finds its way by.
 */
#include "guests/test/macros.S"

        .section .text, "ax"
        .globl  legacy_enter
legacy_enter:                           /* RDI = struct legacy, below 4 GiB as all of this is */
        push_callee_saved
        mov     %rdi, %rbx
        save_long_mode
        sgdt    32(%rbx)
        sidt    48(%rbx)
        lgdt    64(%rbx)
        lea     1f(%rip), %rax
        pushq   $0x08
        push    %rax
        lretq
        .code32
1:      mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     24(%ebx), %eax
        and     $0x7fffffff, %eax
        or      116(%ebx), %eax
        mov     %eax, %cr0              /* paging off: that leaves long mode */
        mov     $0xc0000080, %ecx
        rdmsr
        and     $~0x100, %eax           /* LME */
        wrmsr
        lidt    80(%ebx)
        mov     $0x30, %eax
        ltr     %ax
        mov     112(%ebx), %esp
        jmp     *96(%ebx)

        .globl  legacy_vm86, legacy_user
legacy_vm86:                            /* 800:0000 in virtual-8086 mode */
        pushl   $0
        pushl   $0
        pushl   $0x800
        pushl   $0x800
        pushl   $0x800
        pushl   $0xff0
        pushl   $0x20002
        pushl   $0x800
        pushl   $0
        xor     %eax, %eax
        iretl

legacy_user:                            /* CPL 3, alignment checked, stack and access unaligned */
        call    2f
2:      pop     %eax
        mov     %esp, %ecx
        sub     $255, %ecx
        add     $3f - 2b, %eax
        pushl   $0x23
        push    %ecx
        pushl   $0x40002
        pushl   $0x2b
        push    %eax
        iretl
3:      mov     (%esp), %eax
        jmp     3b

        .globl  legacy_task_jump, legacy_task_call, legacy_task_to
        .globl  legacy_task_nmi, legacy_task_at_nmi
legacy_task_jump:
        mov     $0x12345678, %esi
        ljmp    $0x38, $0
        jmp     legacy_task_back
legacy_task_call:
        mov     $0x12345678, %esi
        lcall   $0x38, $0
legacy_task_back:
        cmp     $0x12345678, %esi
        jne     1f
        pushf
        testl   $0x4000, (%esp)         /* NT: not any more */
        jne     1f
        mov     %cr0, %eax
        test    $8, %eax                /* TS */
        je      1f
        clts
        int3
1:      ud2
legacy_task_to:
        xor     %esi, %esi
        inc     %eax
        pushf
        testl   $0x4000, (%esp)         /* NT: this task was called */
        popl    %ecx
        je      2f
        iretl
2:      ljmp    $0x30, $0

/* NMIs to itself, by a task gate: the first one's task sends one more, which comes at its end. */
#define APIC_COMMAND 0xfee00300
#define NMI_COMMAND  0x4400
legacy_task_nmi:
        mov     120(%ebx), %edx         /* counts them */
        mov     (%edx), %ecx
        add     $2, %ecx
        movl    $0, APIC_COMMAND + 0x10 /* the first vCPU's APIC */
        movl    $NMI_COMMAND, APIC_COMMAND
        mov     $1000000, %eax
1:      dec     %eax
        jz      2f
        cmp     %ecx, (%edx)
        jne     1b
2:      clts
        int3
legacy_task_at_nmi:
        inc     %eax
        test    $1, %al
        jz      3f
        movl    $NMI_COMMAND, APIC_COMMAND
3:      iretl
        jmp     legacy_task_at_nmi      /* where the next one begins */

        .globl  legacy_stubs
        .balign 16
legacy_stubs:
        .set    vector, 0
        .rept   32
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
        pushl   $0
        .endif
        pushl   $vector
        jmp     legacy_back
        .set    vector, vector + 1
        .endr

legacy_back:
        call    4f
4:      pop     %ebx
        add     $legacy_state - 4b, %ebx
        mov     $0x18, %eax
        mov     %eax, %ds
        popl    100(%ebx)
        popl    104(%ebx)
        popl    108(%ebx)
        mov     %cr0, %eax
        and     $~0x40000, %eax         /* AM */
        mov     %eax, %cr0
        restore_long_mode gdtr=32
        lidt    48(%rbx)
        mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     (%rbx), %rsp
        pop_callee_saved
        ret

        .globl  vm86_code, vm86_end
        .code16
vm86_code:
        cpuid
        .byte   0x66                    /* a prefix that does nothing is part of its length */
        cpuid
        hlt
vm86_end:
        .section .note.GNU-stack, "", @progbits
