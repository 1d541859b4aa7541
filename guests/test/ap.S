/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a started vCPU begins: real mode, at the page of its startup message. vcpu.c copies this
 * there and fills in the parameters; it goes on in 64-bit code with the first vCPU's page tables.
 */
#define AP_PAGE 0x8000 /* as in vcpu.c */
#define AT(symbol) (AP_PAGE + (symbol) - ap_start)

        .section .text, "ax"
        .balign 16
        .globl  ap_start, ap_end, ap_parameters
        .code16
ap_start:
        cli
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   ap_gdtr - ap_start
        mov     $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     ap_parameters - ap_start, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     $0x80010033, %eax       /* PG WP NE ET MP PE */
        mov     %eax, %cr0
        ljmpl   $0x10, $AT(ap_long)
        .code64
ap_long:
        mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     ap_parameters+8(%rip), %rsp
        call    *ap_parameters+16(%rip)
1:      cli
        hlt
        jmp     1b
        .balign 8
ap_gdt: .quad   0, 0
        .quad   0x00af9b000000ffff      /* as in start.S */
        .quad   0x00cf93000000ffff
ap_gdtr:
        .word   ap_gdtr - ap_gdt - 1
        .long   AT(ap_gdt)
        .balign 8
ap_parameters:
        .quad   0, 0, 0                 /* CR3, stack, where to go */
ap_end:
        .section .note.GNU-stack, "", @progbits
