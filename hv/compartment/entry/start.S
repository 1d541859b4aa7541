/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a compartment begins, and its way to call the core. The core sets RSP to the vCPU's stack
 * and RDI to its exchange page. No interrupt is ever delivered here: those of the host end the run,
 * and there are no others.
 */
#include "hv/compartment/entry/layout.h"

    .text
    .globl compartment_entry
compartment_entry:
    sti /* Bochs 2.7 lets host interrupts end the run only after that */
    xor %ebp, %ebp
    call compartment_main
    ud2

/* uint64_t core_call(const struct exchange *e, uint64_t number) */
    .globl core_call
core_call:
    mov %rsi, %rax
    cmpl $0, EXCHANGE_VMMCALL(%rdi)
    jne 1f
    vmcall
    ret
1:  vmmcall
    ret
