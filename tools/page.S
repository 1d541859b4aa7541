/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What messages.c reads, as it is in the docs. */
    .section .rodata
    .globl messages_page, messages_page_end
messages_page:
    .incbin "docs/messages.md"
messages_page_end:

    .section .note.GNU-stack, "", @progbits
