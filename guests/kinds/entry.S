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

#ifndef __x86_64__
/*
 * real_mode_int(): in real mode, with the interrupt table that the machine came with, the INT of
 * struct real_call, and back. kinds.h has the places.
 */
#define CALL_AT   0x7000        /* struct real_call: vector, AX, BX, flags */
#define STACK_AT  0x7000
#define CODE_AT   0x8000
#define LOW(name) CODE_AT + name - low_code
        .text
        .globl  real_mode_int
real_mode_int:
        pushal
        mov     %esp, real_sp
        mov     $low_code, %esi
        mov     $CODE_AT, %edi
        mov     $low_end - low_code, %ecx
        rep movsb
        lgdtl   gdtr
        ljmpl   $0x08, $CODE_AT
        .code16
low_code:
        movw    $0x20, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    %cr0, %eax
        andl    $~1, %eax
        movl    %eax, %cr0
        ljmpw   $0, $LOW(real)
real:   xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK_AT, %sp
        lidtl   LOW(real_idtr)
        movb    CALL_AT, %al
        movb    %al, LOW(number)
        jmp     1f                      /* the changed instruction is fetched anew */
1:      movw    CALL_AT + 4, %ax
        movw    CALL_AT + 8, %bx
        .byte   0xcd                    /* INT */
number: .byte   0
        movw    %ax, CALL_AT + 4
        movw    %bx, CALL_AT + 8
        pushfw
        popw    CALL_AT + 12
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $0x10, $back
real_idtr:
        .word   4 * 256 - 1
        .long   0
low_end:
        .code32
back:   mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     real_sp, %esp
        popal
        ret

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00009b000000ffff      /* code of 16 bits */
        .quad   0x00cf9b000000ffff      /* code of 32 bits */
        .quad   0x00cf93000000ffff
        .quad   0x000093000000ffff      /* data for real mode */
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
real_sp:
        .long   0
#endif

        .data
        .balign 16
first_sp:
        .fill   WORD, 1, 0
        .fill   4096, 1, 0
stack_end:

        .section .note.GNU-stack, "", @progbits
