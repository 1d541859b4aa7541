/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What guests/firmware/start.S and the loader both know: where the firmware lies in the guest's
 * memory, and what it reads there. Numbers only.
 */
#pragma once

/*
 * The page of the firmware, whose end is the reset vector: first an entry for each vector of the
 * real-mode interrupt table, then code, then struct entry, which the loader fills in.
 */
#define FIRMWARE_GPA    0xff000
#define FIRMWARE_SIZE   0x1000
#define BIOS_ENTRY_SIZE 4
#define BIOS_VECTORS    256
#define ENTRY_GPA       0xfffc0
#define RESET_GPA       0xffff0

/* struct entry: the mode in which the kernel is entered, its address, registers. */
#define ENTRY_MODE    0
#define ENTRY_EAX     4
#define ENTRY_EBX     8
#define ENTRY_ESI     12
#define ENTRY_EDI     16
#define ENTRY_ADDRESS 24
#define ENTRY_SIZE    32

#define MODE_NONE      0 /* the kernel was entered already */
#define MODE_PROTECTED 1 /* without paging */
#define MODE_LONG      2

/* Below 640 KiB, from above: stack, memory map, what the kernel is handed, page tables. */
#define STACK_TOP  0x9f000
#define MAP_GPA    0x97000
#define PARAMS_GPA 0x96000
#define TABLES_GPA 0x90000
