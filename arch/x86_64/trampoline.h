/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offsets of the trampoline's data, known to assembly and to struct trampoline_data in smp.c. */
#ifndef ARCH_X86_64_TRAMPOLINE_H
#define ARCH_X86_64_TRAMPOLINE_H

#define TRAMPOLINE_DATA      0x100
#define TRAMPOLINE_GDTR      0x100
#define TRAMPOLINE_CR3       0x108
#define TRAMPOLINE_LONG_JUMP 0x10c
#define TRAMPOLINE_ENTRY     0x118
#define TRAMPOLINE_GDT       0x120
#define TRAMPOLINE_DATA_END  0x138

#endif
