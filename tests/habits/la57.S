/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Switches five-level paging on, by way of 32-bit code with paging off: la57_on(RDI = the PML5, below
 * 4 GiB). The code runs below 4 GiB, where each page is at its own address. The firmware's descriptor
 * table is replaced.
 */
#define CR0_NO_PAGING 0x7fffffff
#define CR0_PAGING    0x80000000
#define CR4_LA57      0x1000
#define CODE32        0x08
#define CODE64        0x10
#define DATA          0x18

    .text
    .globl la57_on
la57_on:
    pushq %rbx
    pushq %rbp
    leaq saved_stack(%rip), %rax
    movq %rsp, (%rax)
    leaq descriptors(%rip), %rax
    movq %rax, descriptors_pointer + 2(%rip)
    lgdt descriptors_pointer(%rip)
    movl %edi, %ebx
    leaq 1f(%rip), %rax
    movq %rax, %rcx
    leaq low_stack_end(%rip), %rsp
    pushq $CODE32
    pushq %rax
    lretq
    .code32
1:  movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl %cr0, %eax
    andl $CR0_NO_PAGING, %eax
    movl %eax, %cr0
    movl %cr4, %eax
    orl $CR4_LA57, %eax
    movl %eax, %cr4
    movl %ebx, %cr3
    movl %cr0, %eax
    orl $CR0_PAGING, %eax
    movl %eax, %cr0
    pushl $CODE64
    addl $(2f - 1b), %ecx
    pushl %ecx
    lret
    .code64
2:  movq saved_stack(%rip), %rsp
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    popq %rbp
    popq %rbx
    ret

    .data
    .balign 16
descriptors:
    .quad 0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff
descriptors_pointer:
    .word descriptors_pointer - descriptors - 1
    .quad 0
saved_stack:
    .quad 0
    .space 256
low_stack_end:
