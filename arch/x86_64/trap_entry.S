/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One stub for each vector, 16 bytes apart: makes every frame look alike (struct trap_frame), calls
 * trap_dispatch(), puts all registers back.
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
    jmp trap_common
    vector = vector + 1
    .endr

    .type trap_common, @function
trap_common:
    cld
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    xorl %ebp, %ebp
    movq %rsp, %rbx
    andq $-16, %rsp
    call trap_dispatch
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    .size trap_common, . - trap_common
