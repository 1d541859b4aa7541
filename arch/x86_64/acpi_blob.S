/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guests' DSDT as constant data, compiled from hv/vm/dsdt.asl. Used by
 * hv/vm/acpi.c; the host tests link this same file.
 */
    .section .rodata, "a"
    .globl dsdt_aml, dsdt_aml_size
    .balign 16
dsdt_aml:
    .incbin "dsdt.aml"
dsdt_aml_end:

    .balign 4
dsdt_aml_size:
    .long dsdt_aml_end - dsdt_aml
