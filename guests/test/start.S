/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a test guest begins: the 64-bit entry of the Linux boot protocol at +0x200 (that is how
 * Bulkhead starts it), and a PVH entry at +0 (so that QEMU's -kernel can run the ELF bare, to try a
 * test on a machine without Bulkhead). Owns the boot stack, the relocation, the trap stubs.
 */
#define LOAD_ADDRESS 0x100000
#define PVH_ADDRESS(symbol) (LOAD_ADDRESS + (symbol) - start32) /* PVH loads where it was linked */

        .section .start, "awx"
        .code32
        .globl  start32
start32:                                /* PVH: EBX = hvm_start_info, paging off, flat segments */
        cld
        mov     $PVH_ADDRESS(pvh_pml4), %edi
        lea     0x1000(%edi), %eax
        or      $3, %eax
        mov     %eax, (%edi)
        mov     $4, %ecx                /* four page directories: the first 4 GiB, 2 MiB pages */
        lea     0x1000(%edi), %esi
        lea     0x2003(%edi), %eax
1:      mov     %eax, (%esi)
        add     $8, %esi
        add     $0x1000, %eax
        loop    1b
        lea     0x2000(%edi), %esi
        mov     $2048, %ecx
        mov     $0x83, %eax
2:      mov     %eax, (%esi)
        add     $8, %esi
        add     $0x200000, %eax
        loop    2b
        mov     %edi, %cr3
        mov     %cr4, %eax
        or      $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       /* EFER.LME */
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     %cr0, %eax
        or      $0x80000001, %eax
        mov     %eax, %cr0
        lgdt    PVH_ADDRESS(pvh_gdtr)
        ljmp    $0x10, $PVH_ADDRESS(pvh64)
pvh_gdtr:
        .word   gdt_end - gdt - 1
        .long   PVH_ADDRESS(gdt)

        .org    0x200
        .code64
        .globl  start64
start64:                                /* RSI = boot_params */
        cli
        cld
        xor     %ebx, %ebx
        jmp     1f
pvh64:
        xor     %esi, %esi              /* EBX = hvm_start_info */
1:      lea     stack_end(%rip), %rsp
        mov     %rsi, %rbp
        lea     bss_start(%rip), %rdi   /* PVH: the boot page tables lie outside .bss */
        lea     bss_end(%rip), %rcx
        sub     %rdi, %rcx
        xor     %eax, %eax
        rep stosb
        lea     image_start(%rip), %rdx /* how far from where it was linked */
        sub     $LOAD_ADDRESS, %rdx
        jz      3f
        lea     rela_start(%rip), %rdi
        lea     rela_end(%rip), %rcx
2:      cmp     %rcx, %rdi
        jae     3f
        mov     (%rdi), %rax            /* r_offset */
        mov     16(%rdi), %r8           /* r_addend; all are R_X86_64_RELATIVE */
        add     %rdx, %r8
        mov     %r8, (%rax,%rdx)
        add     $24, %rdi
        jmp     2b
3:      sub     $16, %rsp
        lea     gdt(%rip), %rax
        movw    $gdt_end - gdt - 1, (%rsp)
        mov     %rax, 2(%rsp)
        lgdt    (%rsp)
        mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        lea     4f(%rip), %rax
        push    $0x10
        push    %rax
        lretq
4:      lea     stack_end(%rip), %rsp
        mov     %rbp, %rdi
        mov     %rbx, %rsi
        call    guest_start
5:      hlt
        jmp     5b

        .balign 16
gdt:    .quad   0, 0
        .quad   0x00af9b000000ffff      /* 10h: 64-bit code */
        .quad   0x00cf93000000ffff      /* 18h: data */
gdt_end:
        .balign 4096
pvh_pml4:
        .fill   6 * 4096, 1, 0

/* 256 stubs of 16 bytes: vector and error code (0 where the CPU pushes none) on the stack. */
        .section .text, "ax"
        .balign 16
        .globl  trap_stubs
trap_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
        pushq   $0
        .endif
        pushq   $vector
        jmp     trap_common
        .set    vector, vector + 1
        .endr

trap_common:                            /* the order of struct trap_frame */
        push    %rax
        push    %rcx
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        cld
        lea     (%rsp), %rdi
        push    %rbp
        mov     %rsp, %rbp
        and     $-16, %rsp
        call    trap_handle
        mov     %rbp, %rsp
        pop     %rbp
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $16, %rsp
        iretq

        .section .bss, "aw", @nobits
        .balign 4096
        .skip   0x4000
stack_end:

        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   LOAD_ADDRESS

        .section .note.GNU-stack, "", @progbits
