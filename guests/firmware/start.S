/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the reset vector to C: real mode, protected mode, long mode with the first 4 GiB mapped one
 * to one; and from C into the kernel. Memory was zeroed before. Owns the GDT and the page tables,
 * which the kernel is promised as well. Addresses below 640 KiB are those of firmware.h.
 * Sources: Intel SDM "Switching to Protected Mode", "Initializing IA-32e Mode"; Linux
 * Documentation/arch/x86/boot.rst "64-bit Boot Protocol".
 */
#define STACK_TOP   0x7000
#define PARAMS      0x7000
#define TABLES      0x9000 /* PML4, PDPT, four page directories */
#define SEGMENT     0xf0000
#define CODE32      0x08
#define CODE64      0x10 /* this and the next are the protocol's */
#define DATA        0x18
#define PTE_TABLE   0x03
#define PTE_LARGE   0x83
#define CR0_RUNNING 0x31 /* PE, ET, NE; caches on */
#define CR0_PG      0x80000000
#define CR4_PAE     0x20
#define MSR_EFER    0xc0000080
#define EFER_LME    0x100

        .section .reset, "ax"
        .code16
        jmp     start16

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
        movl    $TABLES + 0x1000 + PTE_TABLE, TABLES
        mov     $TABLES + 0x2000 + PTE_TABLE, %eax
        xor     %ecx, %ecx
1:      mov     %eax, TABLES + 0x1000(,%ecx,8)
        add     $0x1000, %eax
        inc     %ecx
        cmp     $4, %ecx
        jb      1b
        mov     $PTE_LARGE, %eax
        xor     %ecx, %ecx
2:      mov     %eax, TABLES + 0x2000(,%ecx,8)
        add     $0x200000, %eax
        inc     %ecx
        cmp     $4 * 512, %ecx
        jb      2b
        mov     $TABLES, %eax
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
        mov     $STACK_TOP, %esp
        xor     %edi, %edi              /* where memory begins */
        call    firmware_main
        mov     $PARAMS, %esi
        jmp     *%rax

        .section .rodata, "a"
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* CODE32 */
        .quad   0x00af9b000000ffff      /* CODE64 */
        .quad   0x00cf93000000ffff      /* DATA */
gdtr:   .word   gdtr - gdt - 1
        .long   gdt

        .section .note.GNU-stack, "", @progbits
