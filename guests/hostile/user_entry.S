/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pieces of code for CPL 3, and the way there; the way back is a trap (trap_stack, trap_resume). */
#include "guests/test/macros.S"

        .section .text, "ax"
        .globl  user_enter, user_back
user_enter:                             /* RDI = code, RSI = its stack */
        push_callee_saved
        mov     %rsp, trap_stack(%rip)
        lea     user_back(%rip), %rax
        mov     %rax, trap_resume(%rip)
        pushq   $0x23                   /* as in user.c */
        push    %rsi
        pushq   $2
        pushq   $0x2b
        push    %rdi
        mov     $0x604, %edx            /* for those who want a port or a number */
        mov     $1, %eax
        iretq
user_back:
        movq    $0, trap_resume(%rip)
        pop_callee_saved
        ret

        .macro  user name, insn
        .globl  \name
\name:  \insn
        ud2
        .endm
        user    user_hypercall_intel, vmcall
        user    user_hypercall_amd, vmmcall
        user    user_hlt, hlt
        user    user_out, "out %ax, (%dx)"
        .section .note.GNU-stack, "", @progbits
