/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the loader carries along: the firmware that each guest starts with (guests/firmware), and the
 * DSDT as constant data, compiled from dsdt.asl. The host tests link this same file.
 */
    .section .rodata, "a"
    .globl guest_firmware, dsdt_aml, dsdt_aml_size
guest_firmware:
    .incbin "guests/firmware.bin", 0, 0x1000 /* FIRMWARE_SIZE */

    .balign 16
dsdt_aml:
    .incbin "dsdt.aml"
dsdt_aml_end:

    .balign 4
dsdt_aml_size:
    .long dsdt_aml_end - dsdt_aml
