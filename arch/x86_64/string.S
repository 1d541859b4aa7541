/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions the compiler may call by itself. Eight bytes a step and then the rest: fast on CPUs
 * with and without fast byte strings, and cheap where an emulator counts each step. No state.
 */
    .macro function name
    .section .text.\name, "ax"
    .globl \name
    .balign 16
\name:
    .endm

    .macro rep_all operation /* MOVS or STOS of RDX bytes in all */
    movq %rdx, %rcx
    shrq $3, %rcx
    rep \operation\()q
    movl %edx, %ecx
    andl $7, %ecx
    rep \operation\()b
    .endm

    function memcpy /* RDI destination, RSI source, RDX bytes; returns RDI */
    movq %rdi, %rax
    rep_all movs
    ret

    function memmove /* as memcpy, but the two may overlap */
    cmpq %rsi, %rdi
    jbe memcpy /* which goes upwards */
    movq %rdi, %rax
    movq %rdx, %rcx
    leaq -1(%rsi, %rdx), %rsi
    leaq -1(%rdi, %rdx), %rdi
    std
    rep movsb
    cld
    ret

    function memset /* RDI destination, ESI byte, RDX bytes */
    movq %rdi, %r8
    movzbl %sil, %eax
    movabsq $0x0101010101010101, %rcx
    imulq %rcx, %rax
    rep_all stos
    movq %r8, %rax
    ret

    function plat_scrub /* RDI where, RSI bytes: both multiples of 64 */
    addq %rdi, %rsi
    xorl %eax, %eax
1:  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56
    movnti %rax, \offset(%rdi)
    .endr
    addq $64, %rdi
    cmpq %rsi, %rdi
    jb 1b
    sfence /* in memory before anybody else is told */
    ret

    function memcmp
    movq %rdx, %rcx
    xorl %eax, %eax
    testq %rcx, %rcx /* also sets ZF for no bytes at all */
    repe cmpsb
    je 1f
    movzbl -1(%rdi), %eax
    movzbl -1(%rsi), %ecx
    subl %ecx, %eax
1:  ret

    function strlen
    xorl %eax, %eax
    movq $-1, %rcx
    repne scasb
    notq %rcx
    leaq -1(%rcx), %rax
    ret
