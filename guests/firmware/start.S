/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the reset vector into the kernel. All that can be done before was done by the guest's
 * compartment (hv/compartment/load), which has left here what to do: struct entry, and page tables
 * that map the first 4 GiB one to one. Owns the GDTs, which a kernel is promised as well. Who comes
 * here later finds his memory used, and resets the machine, as a PC's firmware does.
 * Sources: Intel SDM "Switching to Protected Mode", "Initializing IA-32e Mode"; MultiProcessor
 * Specification "Virtual Wire Mode"; Linux Documentation/arch/x86/boot.rst "32-bit Boot Protocol",
 * "64-bit Boot Protocol"; Multiboot Specification "Machine state".
 */
#include "hv/compartment/load/layout.h"

#define SEGMENT       0xf0000
#define CODE32        0x08
#define CODE64        0x10 /* this and the next are the 64-bit protocol's */
#define DATA          0x18
#define KERNEL_CODE   0x10 /* the same for a kernel of 32 bits, in a GDT of its own */
#define CR0_RUNNING   0x31 /* PE, ET, NE; caches on */
#define CR0_PG        0x80000000
#define CR4_PAE       0x20
#define MSR_EFER      0xc0000080
#define EFER_LME      0x100
#define RESET_CONTROL 0xcf9
#define RESET         0x06

        .section .reset, "ax"
        .code16
        jmp     start16
        .org    16

        .text
        .globl  start16
start16:
        cli
        cld
        lgdtl   %cs:(gdtr - SEGMENT)
        mov     $CR0_RUNNING, %eax
        mov     %eax, %cr0
        ljmpl   $CODE32, $start32

        .code32
start32:
        mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     %eax, %fs
        mov     %eax, %gs
        mov     $STACK_TOP, %esp

        mov     $ports, %esi
1:      lodsw
        movzwl  %ax, %edx
        lodsb
        outb    %al, %dx
        cmp     $ports_end, %esi
        jb      1b

        mov     $registers, %esi
2:      lodsl
        mov     %eax, %edx
        lodsl
        mov     %eax, (%edx)
        cmp     $registers_end, %esi
        jb      2b

        mov     ENTRY_GPA + ENTRY_MODE, %eax
        movl    $MODE_NONE, ENTRY_GPA + ENTRY_MODE
        cmp     $MODE_LONG, %eax
        je      long_mode
        cmp     $MODE_PROTECTED, %eax
        je      protected_mode
        mov     $RESET_CONTROL, %edx
        mov     $RESET, %al
        outb    %al, %dx
3:      hlt
        jmp     3b

protected_mode:
        lgdtl   gdtr32
        ljmpl   $KERNEL_CODE, $4f
4:      mov     ENTRY_GPA + ENTRY_EAX, %eax
        mov     ENTRY_GPA + ENTRY_EBX, %ebx
        xor     %ecx, %ecx
        xor     %edx, %edx
        mov     ENTRY_GPA + ENTRY_ESI, %esi
        mov     ENTRY_GPA + ENTRY_EDI, %edi
        xor     %ebp, %ebp
        jmp     *ENTRY_GPA + ENTRY_ADDRESS

long_mode:
        mov     $TABLES_GPA, %eax
        mov     %eax, %cr3
        mov     $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $MSR_EFER, %ecx
        mov     $EFER_LME, %eax
        xor     %edx, %edx
        wrmsr
        mov     $CR0_RUNNING | CR0_PG, %eax
        mov     %eax, %cr0
        ljmpl   $CODE64, $start64

        .code64
start64:
        mov     $STACK_TOP, %esp /* its upper half is 0 */
        mov     ENTRY_GPA + ENTRY_EAX, %eax
        mov     ENTRY_GPA + ENTRY_EBX, %ebx
        xor     %ecx, %ecx
        xor     %edx, %edx
        mov     ENTRY_GPA + ENTRY_ESI, %esi
        mov     ENTRY_GPA + ENTRY_EDI, %edi
        xor     %ebp, %ebp
        .irp    number, 8, 9, 10, 11, 12, 13, 14, 15
        xor     %r\number, %r\number
        .endr
        jmp     *ENTRY_GPA + ENTRY_ADDRESS

/*
 * As a PC's firmware leaves the interrupt controllers: 8259s initialized and masked, the SCI a
 * level, in front of the local APIC in virtual wire mode.
 */
        .section .rodata, "a"
        .macro  port number, value
        .short  \number
        .byte   \value
        .endm
ports:  port    0x20, 0x11
        port    0x21, 0x08
        port    0x21, 0x04
        port    0x21, 0x01
        port    0x21, 0xff
        port    0x4d0, 0x00
        port    0xa0, 0x11
        port    0xa1, 0x70
        port    0xa1, 0x02
        port    0xa1, 0x01
        port    0xa1, 0xff
        port    0x4d1, 0x02
ports_end:
        .balign 4
registers:
        .long   0xfee000f0, 0x1ff       /* spurious vector, enabled */
        .long   0xfee00350, 0x700       /* LINT0: ExtINT */
        .long   0xfee00360, 0x400       /* LINT1: NMI */
registers_end:

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* CODE32 */
        .quad   0x00af9b000000ffff      /* CODE64 */
        .quad   0x00cf93000000ffff      /* DATA */
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
        .balign 8
gdt32:  .quad   0, 0
        .quad   0x00cf9b000000ffff      /* KERNEL_CODE */
        .quad   0x00cf93000000ffff      /* DATA */
gdtr32: .word   gdtr32 - gdt32 - 1
        .long   gdt32

        .section .note.GNU-stack, "", @progbits
