/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a compartment begins. The core sets RSP to the vCPU's stack and RDI to its exchange page.
 * No interrupt is ever delivered here: those of the host end the run, and there are no others.
 */

    .text
    .globl compartment_entry
compartment_entry:
    sti /* Bochs 2.7 lets host interrupts end the run only after that */
    xor %ebp, %ebp
    call compartment_main
    ud2
