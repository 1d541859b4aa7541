/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guests' DSDT as constant data, compiled from hv/vm/dsdt.asl by scripts/acpi.mk. Used by
 * hv/vm/acpi.c; the host tests link this same file.
 */
    .section .rodata, "a"
    .balign 16
    .globl dsdt_aml
dsdt_aml:
    .incbin "dsdt.aml"
dsdt_aml_end:

    .balign 4
    .globl dsdt_aml_size
dsdt_aml_size:
    .long dsdt_aml_end - dsdt_aml

    .type dsdt_aml, @object
    .size dsdt_aml, dsdt_aml_end - dsdt_aml
    .type dsdt_aml_size, @object
    .size dsdt_aml_size, 4
    .section .note.GNU-stack, "", @progbits
