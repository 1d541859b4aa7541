/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the reset vector to C: real mode, protected mode, long mode with the first 4 GiB mapped one
 * to one; and from C into the kernel, for some back in protected mode without paging. Memory was
 * zeroed before. Owns the GDTs and the page tables, which the kernel is promised as well. Addresses
 * below 640 KiB are those of firmware.h.
 * Sources: Intel SDM "Switching to Protected Mode", "Initializing IA-32e Mode", "Exiting IA-32e
 * Mode"; Linux Documentation/arch/x86/boot.rst "32-bit Boot Protocol", "64-bit Boot Protocol";
 * Multiboot Specification "Machine state".
 */
#define STACK_TOP   0x9f000
#define TABLES      0x90000 /* PML4, PDPT, four page directories */
#define SEGMENT     0xf0000
#define CODE32      0x08
#define CODE64      0x10 /* this and the next are the 64-bit protocol's */
#define DATA        0x18
#define KERNEL_CODE 0x10 /* the same for a kernel of 32 bits, in a GDT of its own */
#define PTE_TABLE   0x03
#define PTE_LARGE   0x83
#define CR0_RUNNING 0x31 /* PE, ET, NE; caches on */
#define CR0_PG      0x80000000
#define CR4_PAE     0x20
#define MSR_EFER    0xc0000080
#define EFER_LME    0x100
/* struct entry */
#define ADDRESS     0
#define PROTECTED   8
#define EAX_        12
#define EBX_        16
#define ESI_        20
#define EDI_        24

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
        mov     %rax, %rbp
        mov     EAX_(%rbp), %eax
        mov     EBX_(%rbp), %ebx
        mov     ESI_(%rbp), %esi
        mov     EDI_(%rbp), %edi
        xor     %ecx, %ecx
        xor     %edx, %edx
        .irp    number, 8, 9, 10, 11, 12, 13, 14, 15
        xor     %r\number, %r\number
        .endr
        pushq   ADDRESS(%rbp)
        cmpl    $0, PROTECTED(%rbp)
        mov     $0, %ebp
        jne     leave64
        ret

leave64:                                /* under the address: EAX, which is needed here */
        push    %rax
        pushq   $CODE32
        pushq   $leave32
        lretq
        .code32
leave32:
        mov     $CR0_RUNNING, %eax
        mov     %eax, %cr0
        mov     $MSR_EFER, %ecx
        xor     %eax, %eax
        xor     %edx, %edx
        wrmsr
        xor     %eax, %eax
        mov     %eax, %cr4
        mov     %eax, %cr3
        lgdtl   gdtr32
        ljmpl   $KERNEL_CODE, $1f
1:      mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     %eax, %fs
        mov     %eax, %gs
        pop     %eax
        pop     %ecx                    /* the other half */
        ret     $4

        .section .rodata, "a"
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
