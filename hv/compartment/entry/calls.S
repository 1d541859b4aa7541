/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compartment's way to call the core, and what the CPU alone can tell it. See entry.h.
 */
#include "hv/compartment/entry/layout.h"

    .text
/* uint64_t core_call(const struct exchange *e, uint64_t number) */
    .globl core_call
core_call:
    mov %rsi, %rax
    cmpl $0, EXCHANGE_VMMCALL(%rdi)
    jne 1f
    vmcall /* the only one: see struct compartment_header */
    .globl core_called
core_called:
    ret
1:  vmmcall
    ret

/* uint64_t compartment_tsc(void): it has no offset here, and is not intercepted. */
    .globl compartment_tsc
compartment_tsc:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    ret

/* bool compartment_rdrand(uint64_t *word): ten tries, as Intel's guide to it says. */
    .globl compartment_rdrand
compartment_rdrand:
    mov $10, %ecx
1:  rdrand %rax
    jc 2f
    dec %ecx
    jnz 1b
    xor %eax, %eax
    ret
2:  mov %rax, (%rdi)
    mov $1, %eax
    ret

/* An ASSERT does not hold, whose text nobody would see: the address tells the core which. */
    .globl assert_failed
assert_failed:
    ud2
