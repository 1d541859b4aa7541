/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT as constant data, compiled from dsdt.asl. Used by acpi.c; the host tests link this same
 * file.
 */
        .section .rodata, "a"
        .globl  dsdt_aml, dsdt_aml_size
        .balign 16
dsdt_aml:
        .incbin "dsdt.aml"
dsdt_aml_end:

        .balign 4
dsdt_aml_size:
        .long   dsdt_aml_end - dsdt_aml

        .section .note.GNU-stack, "", @progbits
