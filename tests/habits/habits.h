/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the habits know of each other: main.c speaks with the firmware, cpu.c with CPU
 * and chipset, net.c with a network card. */
#pragma once

#include <stdbool.h>

#include <efi.h>

#include <efilib.h>

/* Polls COM1 by itself: boot services may be gone. Ends lines as given. */
void say(const char *text);
void port_out(uint16_t port, uint8_t value);

/* Before a habit is adopted: memory for them. */
void cpu_prepare(void);
/* What was adopted of these, right after boot services have ended. */
void cpu_habits(void);
void habit_cet(void);
void habit_la57(void);
void habit_pcid(void);
void habit_receive(void); /* net.c */
void habit_tco(void);
void habit_tsc(void);
UINT16 tco_control(void); /* a port */
/* PCI's configuration space: function (bus, device, function) << 8 | register, bit 31 set. */
UINT32 config_read(UINT32 reg);
void config_write(UINT32 reg, UINT32 value);
/* By the firmware's own page tables. */
void deny_execution(EFI_PHYSICAL_ADDRESS base, UINT64 size);

/* la57.S */
void la57_on(UINT64 pml5);
