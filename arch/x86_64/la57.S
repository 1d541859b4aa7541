/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From five levels of page tables, which firmware of large servers may use, to four: possible only with
 * paging off, so by way of 32-bit code. Called by entry.S, on the first CPU; all others come from INIT,
 * which ends five-level paging. Sources: Intel SDM, "4-Level Paging and 5-Level Paging", "Switching
 * Out of IA-32e Mode Operation".
 */
#define CR0_PG        31
#define CR4_LA57      12
#define CR4_PCIDE     17
#define TABLE_ENTRIES 512
#define TABLE_ADDRESS 0x000ffffffffff000

#define LA57_CODE32 0x08
#define LA57_CODE64 0x10
#define LA57_DATA   0x18

/*
 * The image lies below 4 GiB and at its own address, and so does the stack. What the firmware mapped
 * below 256 TiB stays mapped by a copy of the one table that has it. Keeps RDI and RSI.
 */
    .text
    .globl la57_leave
la57_leave:
    pushq %rdi
    pushq %rsi
    movq %cr4, %rax
    btrq $CR4_PCIDE, %rax /* with it paging cannot be switched off */
    movq %rax, %cr4
    movabsq $TABLE_ADDRESS, %rdx
    movq %cr3, %rsi
    andq %rdx, %rsi
    movq (%rsi), %rsi
    andq %rdx, %rsi
    leaq la57_table(%rip), %rdi
    movl $TABLE_ENTRIES, %ecx
    rep movsq

    leaq la57_table(%rip), %rbx
    leaq la57_long(%rip), %rsi
    leaq la57_compatible(%rip), %rax
    lgdt la57_descriptors_pointer(%rip)
    pushq $LA57_CODE32
    pushq %rax
    lretq

    .code32
la57_compatible:
    movl $LA57_DATA, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %cr0, %eax
    btrl $CR0_PG, %eax
    movl %eax, %cr0
    movl %cr4, %edx
    btrl $CR4_LA57, %edx
    movl %edx, %cr4
    movl %ebx, %cr3
    btsl $CR0_PG, %eax
    movl %eax, %cr0
    pushl $LA57_CODE64
    pushl %esi
    lretl

    .code64
la57_long:
    xorl %eax, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    popq %rsi
    popq %rdi
    ret

    .data
    .balign 16
la57_descriptors: /* 32-bit code, 64-bit code, data; accessed */
    .quad 0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff
la57_descriptors_pointer:
    .word la57_descriptors_pointer - la57_descriptors - 1
    .quad la57_descriptors

    .bss
    .balign 4096
la57_table:
    .space 8 * TABLE_ENTRIES
