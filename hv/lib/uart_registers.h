/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of a 16550A and their bits, for the model of one (uart.c) and the driver of the
 * host's (arch/x86_64/serial.c). Source: National Semiconductor PC16550D data sheet, "Registers".
 */
#pragma once

enum uart_register { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };
enum { REG_DIVISOR = 8 }; /* two bytes, in the places of DATA and IER while DLAB is set */

enum ier { IER_RX = 0x01, IER_THR = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08, IER_ALL = 0x0f };
enum iir { IIR_MODEM, IIR_NONE, IIR_THR, IIR_RX = 0x04, IIR_LINE = 0x06, IIR_FIFO = 0xc0 };
enum fcr { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04 };
enum lcr { LCR_8N1 = 0x03, LCR_DLAB = 0x80 };
/* OUT2 is the PC's gate for the interrupt line. */
enum mcr { MCR_DTR_RTS = 0x03, MCR_OUT2 = 0x08, MCR_LOOP = 0x10, MCR_ALL = 0x1f };
enum lsr { LSR_DATA = 0x01, LSR_OVERRUN = 0x02, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
/* READY is DCD, DSR, CTS: somebody is connected. */
enum msr { MSR_DELTAS = 0x0f, MSR_RI = 0x40, MSR_READY = 0xb0 };
