/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One stub for each vector, 16 bytes apart: makes every frame look alike, and leaves exceptions to
 * trap_dispatch() with all registers (struct trap_frame), interrupts to trap_interrupt() with those
 * that a C function may change. The CPU aligns the stack before it pushes its part of the frame.
 */
    .text
    .globl trap_stubs
    .balign 16
trap_stubs:
    vector = 0
    .rept 256
    .balign 16
    /* 8, 10 to 14, 17, 21, 29 and 30 bring an error code of their own. */
    has_error = 0
    .if vector < 32
    has_error = (0x60227d00 >> vector) & 1
    .endif
    .if !has_error
    pushq $0
    .endif
    pushq $vector
    .if vector < 32
    jmp trap_common
    .else
    jmp interrupt_common
    .endif
    vector = vector + 1
    .endr

trap_common:
    cld
    .irp register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\register
    .endr
    movq %rsp, %rdi
    call trap_dispatch
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    popq %\register
    .endr
    addq $16, %rsp
    iretq

#define CHANGED 9 /* registers */
interrupt_common:
    cld
    .irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
    pushq %\register
    .endr
    movl 8*CHANGED(%rsp), %edi
    call trap_interrupt
    .irp register, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
    popq %\register
    .endr
    addq $16, %rsp
    iretq
