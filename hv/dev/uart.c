/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART as a PC has it on COM1. Owns the registers, both FIFOs and the interrupt line;
 * where bytes go and what the line does are hooks. Line speed and errors do not exist: a byte is
 * sent when it is written, unless the console has no room. Called by the port handler and by the
 * console, under the device lock.
 * Source: National Semiconductor PC16550D data sheet, "Registers".
 */
#include "hv/dev/uart.h"

enum uart_register { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX    0x01
#define IER_THR   0x02
#define IER_LINE  0x04
#define IER_MODEM 0x08
#define IER_ALL   0x0f

#define IIR_MODEM 0x00
#define IIR_NONE  0x01
#define IIR_THR   0x02
#define IIR_RX    0x04
#define IIR_LINE  0x06
#define IIR_FIFO  0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04

#define LCR_DLAB 0x80

#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_ALL  0x1f

#define LSR_DATA    0x01
#define LSR_OVERRUN 0x02
#define LSR_THRE    0x20
#define LSR_TEMT    0x40

#define MSR_DELTAS 0x0f
#define MSR_RI     0x40
#define MSR_READY  0xb0 /* DCD, DSR, CTS: somebody is connected */

static uint8_t uart_capacity(const struct uart *u) {
    return u->fifo ? UART_FIFO_SIZE : 1;
}

/* The cause of highest priority, as IIR bits 3:0 show it. */
static uint8_t uart_cause(const struct uart *u) {
    if ((u->ier & IER_LINE) != 0 && (u->lsr & LSR_OVERRUN) != 0) {
        return IIR_LINE;
    }
    if ((u->ier & IER_RX) != 0 && u->rx_count != 0) {
        return IIR_RX;
    }
    if ((u->ier & IER_THR) != 0 && u->thr_interrupt) {
        return IIR_THR;
    }
    if ((u->ier & IER_MODEM) != 0 && (u->msr & MSR_DELTAS) != 0) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

/* A PC gates the interrupt with the OUT2 pin, which loopback mode holds inactive. */
static void uart_update_line(struct uart *u) {
    bool line = uart_cause(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    if (line != u->line) {
        u->line = line;
        u->ops->interrupt(u->ctx, line);
    }
}

void uart_reset(struct uart *u) {
    u->ier = u->lcr = u->mcr = u->lsr = u->scr = u->fcr = 0;
    u->msr = MSR_READY;
    u->divisor = 12; /* 9600 baud, as a PC's firmware leaves it */
    u->fifo = u->thr_interrupt = false;
    u->rx_head = u->rx_count = u->tx_head = u->tx_count = 0;
    uart_update_line(u);
}

unsigned uart_receive_room(const struct uart *u) {
    /* In loopback the receiver is cut off from the outside. */
    return u->rx_count < uart_capacity(u) && (u->mcr & MCR_LOOP) == 0
               ? (unsigned)uart_capacity(u) - u->rx_count
               : 0;
}

static void uart_push_rx(struct uart *u, uint8_t byte) {
    u->rx[(u->rx_head + u->rx_count) % UART_FIFO_SIZE] = byte;
    u->rx_count++;
}

bool uart_receive(struct uart *u, uint8_t byte) {
    if (uart_receive_room(u) == 0) {
        return false;
    }
    uart_push_rx(u, byte);
    uart_update_line(u);
    return true;
}

static uint8_t uart_pop_rx(struct uart *u) {
    if (u->rx_count == 0) {
        return 0;
    }
    uint8_t byte = u->rx[u->rx_head];
    u->rx_head = (uint8_t)((u->rx_head + 1) % UART_FIFO_SIZE);
    u->rx_count--;
    if (u->ops->drained != NULL) {
        u->ops->drained(u->ctx);
    }
    return byte;
}

void uart_tx_ready(struct uart *u) {
    if (u->tx_count == 0) {
        return;
    }
    while (u->tx_count != 0 && u->ops->transmit(u->ctx, u->tx[u->tx_head])) {
        u->tx_head = (uint8_t)((u->tx_head + 1) % UART_FIFO_SIZE);
        u->tx_count--;
    }
    if (u->tx_count == 0) {
        u->thr_interrupt = true;
        uart_update_line(u);
    }
}

static void uart_loop_back(struct uart *u, uint8_t byte) {
    if (u->rx_count < uart_capacity(u)) {
        uart_push_rx(u, byte);
    } else {
        u->lsr |= LSR_OVERRUN;
    }
}

static void uart_write_thr(struct uart *u, uint8_t byte) {
    /* The line falls before it can rise again: an edge-triggered I/O APIC must see each THRE. */
    u->thr_interrupt = false;
    uart_update_line(u);
    if ((u->mcr & MCR_LOOP) != 0) {
        uart_loop_back(u, byte);
    } else if (u->tx_count != 0 || !u->ops->transmit(u->ctx, byte)) {
        if (u->tx_count < uart_capacity(u)) {
            u->tx[(u->tx_head + u->tx_count) % UART_FIFO_SIZE] = byte;
            u->tx_count++;
        }
        return;
    }
    u->thr_interrupt = u->tx_count == 0;
    uart_update_line(u);
}

static void uart_write_ier(struct uart *u, uint8_t value) {
    if ((value & ~u->ier & IER_THR) != 0 && u->tx_count == 0) {
        u->thr_interrupt = true;
    }
    u->ier = value & IER_ALL;
    uart_update_line(u);
}

static void uart_write_fcr(struct uart *u, uint8_t value) {
    bool fifo = (value & FCR_ENABLE) != 0;
    if (fifo != u->fifo || (value & FCR_CLEAR_RX) != 0) {
        u->rx_count = 0;
    }
    if ((fifo != u->fifo || (value & FCR_CLEAR_TX) != 0) && u->tx_count != 0) {
        u->tx_count = 0;
        u->thr_interrupt = true;
    }
    u->fifo = fifo;
    u->fcr = value;
    uart_update_line(u);
}

static void uart_write_mcr(struct uart *u, uint8_t value) {
    u->mcr = value & MCR_ALL;
    uint8_t status = MSR_READY;
    if ((u->mcr & MCR_LOOP) != 0) {
        /* RTS drives CTS, DTR drives DSR, OUT1 drives RI, OUT2 drives DCD. */
        status = (uint8_t)((u->mcr & 0x02) << 3 | (u->mcr & 0x01) << 5 | (u->mcr & 0x0c) << 4);
    }
    /* The delta of RI is set by its trailing edge only. */
    uint8_t changed = (status ^ u->msr) & (uint8_t) ~(status & MSR_RI) & 0xf0;
    u->msr = (uint8_t)(status | (u->msr & MSR_DELTAS) | changed >> 4);
    uart_update_line(u);
}

static uint8_t uart_read_iir(struct uart *u) {
    uint8_t cause = uart_cause(u);
    if (cause == IIR_THR) {
        u->thr_interrupt = false;
        uart_update_line(u);
    }
    return cause | (u->fifo ? IIR_FIFO : 0);
}

static uint8_t uart_read_register(struct uart *u, enum uart_register reg) {
    bool dlab = (u->lcr & LCR_DLAB) != 0;
    uint8_t value = 0xff;
    switch (reg) {
    case REG_DATA:
        if (dlab) {
            return (uint8_t)u->divisor;
        }
        value = uart_pop_rx(u);
        uart_update_line(u);
        return value;
    case REG_IER:
        return dlab ? (uint8_t)(u->divisor >> 8) : u->ier;
    case REG_IIR_FCR:
        return uart_read_iir(u);
    case REG_LCR:
        return u->lcr;
    case REG_MCR:
        return u->mcr;
    case REG_LSR:
        value = u->lsr | (u->rx_count != 0 ? LSR_DATA : 0) |
                (u->tx_count == 0 ? LSR_THRE | LSR_TEMT : 0);
        u->lsr = 0;
        uart_update_line(u);
        return value;
    case REG_MSR:
        value = u->msr;
        u->msr &= (uint8_t)~MSR_DELTAS;
        uart_update_line(u);
        return value;
    case REG_SCR:
        return u->scr;
    }
    return value;
}

static void uart_write_register(struct uart *u, enum uart_register reg, uint8_t value) {
    bool dlab = (u->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case REG_DATA:
        if (dlab) {
            u->divisor = (uint16_t)((u->divisor & 0xff00) | value);
        } else {
            uart_write_thr(u, value);
        }
        break;
    case REG_IER:
        if (dlab) {
            u->divisor = (uint16_t)((u->divisor & 0x00ff) | value << 8);
        } else {
            uart_write_ier(u, value);
        }
        break;
    case REG_IIR_FCR:
        uart_write_fcr(u, value);
        break;
    case REG_LCR:
        u->lcr = value;
        break;
    case REG_MCR:
        uart_write_mcr(u, value);
        break;
    case REG_SCR:
        u->scr = value;
        break;
    case REG_LSR:
    case REG_MSR:
        break;
    }
}

/* A wider access to an 8-bit device arrives as one cycle a byte. */
uint32_t uart_read(void *dev, uint16_t port, unsigned size) {
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)uart_read_register(dev, (port + i) & 7) << (8 * i);
    }
    return value;
}

void uart_write(void *dev, uint16_t port, unsigned size, uint32_t value) {
    for (unsigned i = 0; i < size; i++) {
        uart_write_register(dev, (port + i) & 7, (uint8_t)(value >> (8 * i)));
    }
}
