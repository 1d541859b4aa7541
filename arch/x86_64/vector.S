/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One XMM register of the guest, which are all live while the hypervisor runs: it uses none itself.
 * Moves of 16 bytes leave the upper parts of YMM and ZMM alone. Called with System V's convention;
 * a wrong number does nothing. CR4.OSFXSR is set in the hypervisor, CR0.TS and EM are clear
 * (paging.c).
 */

/* move 0 for a store to (%rsi), 1 for a load. */
.macro vector_each load
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    cmpl    $\n, %edi
    jne     1f
    .if \load
    movups  (%rsi), %xmm\n
    .else
    movups  %xmm\n, (%rsi)
    .endif
1:
    .endr
    ret
.endm

.text
.globl plat_vector_read
plat_vector_read:
    vector_each 0

.globl plat_vector_write
plat_vector_write:
    vector_each 1

.section .note.GNU-stack, "", @progbits
