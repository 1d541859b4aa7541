/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hypervisor carries along, see the Makefile: the console's font, 256 glyphs of 16 bytes,
 * which follow four bytes of header in the PSF 1 file, and behind them the code points of each (read
 * by screen.c only); and the program of the guests' compartments (read by hv/vm only).
 */
    .section .rodata.font_glyphs, "a"
    .globl font_glyphs
font_glyphs:
    .incbin "font.psf", 4, 256 * 16

    .section .rodata.font_codes, "a"
    .balign 2
    .globl font_codes, font_codes_end
font_codes:
    .incbin "font.psf", 4 + 256 * 16
font_codes_end:

    .section .rodata.plat_compartment_image, "a"
    .balign 4096
    .globl plat_compartment_image
plat_compartment_image:
    .incbin "compartment.bin"
    .balign 4096
