/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into an act and the ways out of it: all registers loaded, IRETQ into the act; every
 * vector has a stub that saves all registers and asks probe_trap() where to go on. An act ends only
 * by a trap, and then at probe_done.
 */
#include "guests/test/macros.S"

        .section .text, "ax"
        .globl  probe_enter
probe_enter:                            /* RDI = struct probe, RSI = where to keep RSP */
        push_callee_saved
        mov     %rsp, (%rsi)
        pushq   160(%rdi)               /* SS, RSP, RFLAGS, CS, RIP */
        pushq   152(%rdi)
        pushq   144(%rdi)
        pushq   136(%rdi)
        pushq   128(%rdi)
        mov     0(%rdi), %rax
        mov     8(%rdi), %rcx
        mov     16(%rdi), %rdx
        mov     24(%rdi), %rbx
        mov     40(%rdi), %rbp
        mov     48(%rdi), %rsi
        mov     64(%rdi), %r8
        mov     72(%rdi), %r9
        mov     80(%rdi), %r10
        mov     88(%rdi), %r11
        mov     96(%rdi), %r12
        mov     104(%rdi), %r13
        mov     112(%rdi), %r14
        mov     120(%rdi), %r15
        mov     56(%rdi), %rdi
        iretq

        .globl  probe_done
probe_done:
        mov     $0x18, %eax             /* the data segments, if the act was at CPL 3 */
        mov     %eax, %ds
        mov     %eax, %es
        pop_callee_saved
        ret

        .balign 16
        .globl  probe_stubs
probe_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
        pushq   $0
        .endif
        pushq   $vector
        jmp     probe_common
        .set    vector, vector + 1
        .endr

probe_common:                           /* the order of struct probe_trap_frame */
        push    %r15
        push    %r14
        push    %r13
        push    %r12
        push    %r11
        push    %r10
        push    %r9
        push    %r8
        push    %rdi
        push    %rsi
        push    %rbp
        pushq   $0                      /* RSP is further up */
        push    %rbx
        push    %rdx
        push    %rcx
        push    %rax
        cld
        mov     %rsp, %rdi
        mov     %rsp, %rbp
        and     $-16, %rsp
        call    probe_trap
        mov     %rbp, %rsp
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rbx
        add     $8, %rsp
        pop     %rbp
        pop     %rsi
        pop     %rdi
        pop     %r8
        pop     %r9
        pop     %r10
        pop     %r11
        pop     %r12
        pop     %r13
        pop     %r14
        pop     %r15
        add     $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
