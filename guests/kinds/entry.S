/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the CPU's state at the first instruction for kinds.c. One file for both sizes: REG() makes
 * a register's name. The Multiboot header stands in the 32-bit one; as a bzImage it is not looked at.
 */
#ifdef __x86_64__
#define REG(name) %r##name
#define WORD      8
        .code64
#else
#define REG(name) %e##name
#define WORD      4
        .code32
#endif

        .section .start, "awx"
        .globl  start
start:  jmp     1f
#ifndef __x86_64__
        .balign 4
        .long   0x1badb002, 3, -(0x1badb002 + 3) /* aligned modules, memory map */
#endif
1:      mov     REG(sp), first_sp
        mov     $stack_end, REG(sp)
        push    REG(ax)
        push    REG(cx)
        push    REG(dx)
        push    REG(bx)
        push    first_sp
        push    REG(bp)
        push    REG(si)
        push    REG(di)
        xor     %eax, %eax
        .irp    segment, cs, ss, ds, es, fs, gs
        mov     %\segment, %eax
        push    REG(ax)
        .endr
        pushf
        mov     %cr0, REG(ax)
        push    REG(ax)
        mov     %cr4, REG(ax)
        push    REG(ax)
        mov     REG(sp), REG(ax)
        mov     REG(ax), REG(di)
#ifndef __x86_64__
        sub     $12, REG(sp)
        push    REG(ax)
#endif
        call    kinds_start

        .data
        .balign 16
first_sp:
        .fill   WORD, 1, 0
        .fill   4096, 1, 0
stack_end:

        .section .note.GNU-stack, "", @progbits
