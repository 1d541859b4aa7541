/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the test guests' excursions out of C share: the registers that C wants back, long mode. */

        .macro  push_callee_saved
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        .endm

        .macro  pop_callee_saved
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        .endm

/* RBX = where RSP, CR3, CR4, CR0 are kept, 8 bytes each, below 4 GiB; clobbers RAX. */
        .macro  save_long_mode
        mov     %rsp, (%rbx)
        mov     %cr3, %rax
        mov     %rax, 8(%rbx)
        mov     %cr4, %rax
        mov     %rax, 16(%rbx)
        mov     %cr0, %rax
        mov     %rax, 24(%rbx)
        .endm

/* From 32-bit code without paging, 10h being 64-bit code; gdtr is kept behind these. Not RSP. */
        .macro  restore_long_mode gdtr
        mov     16(%ebx), %eax
        mov     %eax, %cr4
        mov     8(%ebx), %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER */
        rdmsr
        or      $0x100, %eax            /* LME */
        wrmsr
        mov     24(%ebx), %eax
        mov     %eax, %cr0
        call    .Lhere\@
.Lhere\@:
        pop     %eax
        add     $.Llong\@ - .Lhere\@, %eax
        pushl   $0x10
        push    %eax
        lret
        .code64
.Llong\@:
        mov     %ebx, %ebx
        lgdt    \gdtr(%rbx)
        .endm
