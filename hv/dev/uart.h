/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART: FIFOs, interrupts with their priorities, modem control with loopback, scratch
 * register. Called under the VM's device lock.
 */
#ifndef HV_DEV_UART_H
#define HV_DEV_UART_H

#include "hv/dev/bus.h"

#define UART_IRQ        4
#define UART_FIFO_SIZE  16
#define UART_STORE_SIZE 128 /* received bytes that wait: what is typed ahead of a busy guest */

struct uart_fifo {
    uint8_t bytes[UART_STORE_SIZE];
    uint8_t head, count;
};

struct uart {
    struct vm *vm;
    /* IER, LCR, MCR, MSR, scratch, and the error bits of LSR, at their places; the divisor. */
    uint8_t reg[10];
    bool line, thr_interrupt, fifo;
    struct uart_fifo rx, tx;
};

void uart_reset(struct uart *u, struct vm *vm);
bool uart_receive(struct uart *u, uint8_t byte); /* false = no room, byte not taken */
void uart_tx_ready(struct uart *u);
uint64_t uart_read(void *u, uint64_t port, unsigned size); /* register = port & 7 */
void uart_write(void *u, uint64_t port, unsigned size, uint64_t value);

#endif
