/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART: FIFOs, interrupts with their priorities, modem control with loopback, scratch
 * register. Called under the VM's device lock.
 */
#ifndef HV_DEV_UART_H
#define HV_DEV_UART_H

#include "hv/lib/types.h"

#define UART_FIFO_SIZE 16

struct uart_ops {
    /* One byte leaves for the console; false = no room now, uart_tx_ready() will follow. */
    bool (*transmit)(void *ctx, uint8_t byte);
    void (*interrupt)(void *ctx, bool asserted); /* the line's new level, only on change */
    void (*drained)(void *ctx); /* the guest took a received byte; may be NULL */
};

struct uart {
    const struct uart_ops *ops;
    void *ctx;
    uint8_t ier, lcr, mcr, lsr, msr, scr, fcr;
    uint16_t divisor;
    bool line, thr_interrupt, fifo;
    uint8_t rx[UART_FIFO_SIZE], tx[UART_FIFO_SIZE];
    uint8_t rx_head, rx_count, tx_head, tx_count;
};

void uart_reset(struct uart *u);                 /* keeps ops and ctx */
bool uart_receive(struct uart *u, uint8_t byte); /* false = receive FIFO full, byte not taken */
unsigned uart_receive_room(const struct uart *u);
void uart_tx_ready(struct uart *u);
uint32_t uart_read(void *u, uint16_t port, unsigned size); /* register = port & 7 */
void uart_write(void *u, uint16_t port, unsigned size, uint32_t value);

#endif
