/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console's font, see the Makefile: 256 glyphs of 16 bytes, which follow four bytes of header
 * in the PSF 1 file. Read by screen.c only.
 */
    .section .rodata.font_glyphs, "a"
    .globl font_glyphs
font_glyphs:
    .incbin "font.psf", 4, 256 * 16
