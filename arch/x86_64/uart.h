/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of the host's UART, wherever they are: in I/O ports or in memory, next to each
 * other or apart. For serial.c, whose unit tests put a made-up one in its place.
 */
#pragma once

#include "hv/lib/uart_registers.h"
#include "hv/plan/boot_info.h"

/* Before any access; its base is not 0. */
void uart_init(const struct boot_serial *where);
uint8_t uart_in(enum uart_register r);
void uart_out(enum uart_register r, unsigned value);
