/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console's font, see scripts/arch.mk. Read by screen.c only. */
    .section .rodata.font_psf, "a"
    .globl font_psf, font_psf_end
    .balign 16
font_psf:
    .incbin "font.psf"
font_psf_end:
    .byte 0
