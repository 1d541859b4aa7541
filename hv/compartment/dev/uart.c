/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART as a PC has it on COM1. Owns the registers, both FIFOs and the interrupt line;
 * where bytes go and what the line does is not its business. Line speed and errors do not exist: a
 * byte is sent when it is written, unless the console has no room.
 */
#include "hv/compartment/dev/models.h"
#include "hv/lib/uart_registers.h"

static struct uart *uart_of(struct device *dev) {
    return CONTAINER_OF(dev, struct uart, dev);
}

static void fifo_push(struct uart_fifo *f, uint8_t byte) {
    f->bytes[(f->head + f->count++) % UART_STORE_SIZE] = byte;
}

static uint8_t fifo_pop(struct uart_fifo *f) {
    uint8_t byte = f->bytes[f->head];
    f->head = (f->head + 1u) % UART_STORE_SIZE;
    f->count--;
    return byte;
}

/* The cause of highest priority, as IIR bits 3:0 show it. */
static uint8_t uart_cause(const struct uart *u) {
    unsigned enabled = u->reg[REG_IER];

    if ((enabled & IER_LINE) != 0 && u->reg[REG_LSR] != 0) {
        return IIR_LINE;
    }
    if ((enabled & IER_RX) != 0 && u->rx.count != 0) {
        return IIR_RX;
    }
    if ((enabled & IER_THR) != 0 && u->thr_interrupt) {
        return IIR_THR;
    }
    if ((enabled & IER_MODEM) != 0 && (u->reg[REG_MSR] & MSR_DELTAS) != 0) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

/* A PC gates the interrupt with the OUT2 pin, which loopback mode holds inactive. */
static void uart_update_line(struct uart *u) {
    bool line = uart_cause(u) != IIR_NONE && (u->reg[REG_MCR] & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    if (line != u->line) {
        u->line = line;
        u->dev.env->irq(u->dev.env, UART_IRQ, line);
    }
}

static void uart_reset(struct device *dev) {
    /* 9600 baud, as a PC's firmware leaves it. */
    *uart_of(dev) = (struct uart){.dev = *dev, .reg = {[REG_MSR] = MSR_READY, [REG_DIVISOR] = 12}};
}

static bool uart_transmit(const struct uart *u, uint8_t byte) {
    return u->dev.env->transmit(u->dev.env, byte);
}

bool uart_receive(struct uart *u, uint8_t byte) {
    /* In loopback the receiver is cut off from the outside. */
    if (u->rx.count == UART_STORE_SIZE || (u->reg[REG_MCR] & MCR_LOOP) != 0) {
        return false;
    }
    fifo_push(&u->rx, byte);
    uart_update_line(u);
    return true;
}

void uart_drain(struct uart *u) {
    while (u->tx.count != 0 && uart_transmit(u, u->tx.bytes[u->tx.head])) {
        (void)fifo_pop(&u->tx);
        u->thr_interrupt = u->tx.count == 0;
    }
    uart_update_line(u);
}

static void uart_write_data(struct uart *u, uint8_t byte) {
    struct uart_fifo *to = (u->reg[REG_MCR] & MCR_LOOP) != 0 ? &u->rx : &u->tx;
    /* The line falls before it can rise again: an edge-triggered I/O APIC must see each THRE. */
    u->thr_interrupt = false;
    uart_update_line(u);
    bool sent = to == &u->tx && u->tx.count == 0 && uart_transmit(u, byte);
    if (!sent && to->count < (u->fifo ? UART_FIFO_SIZE : 1)) {
        fifo_push(to, byte);
    } else if (!sent && to == &u->rx) {
        u->reg[REG_LSR] |= LSR_OVERRUN;
    }
    u->thr_interrupt = u->tx.count == 0;
}

static void uart_write_fcr(struct uart *u, uint8_t value) {
    bool fifo = (value & FCR_ENABLE) != 0, both = fifo != u->fifo;
    if (both || (value & FCR_CLEAR_RX) != 0) {
        u->rx.count = 0;
    }
    if ((both || (value & FCR_CLEAR_TX) != 0) && u->tx.count != 0) {
        u->tx.count = 0;
        u->thr_interrupt = true;
    }
    u->fifo = fifo;
}

static void uart_write_mcr(struct uart *u, uint8_t value) {
    uint8_t status = MSR_READY, old = u->reg[REG_MSR];
    if ((value & MCR_LOOP) != 0) {
        /* RTS drives CTS, DTR drives DSR, OUT1 drives RI, OUT2 drives DCD. */
        status = (uint8_t)((value & 0x02) << 3 | (value & 0x01) << 5 | (value & 0x0c) << 4);
    }
    /* The delta of RI is set by its trailing edge only. */
    uint8_t changed = (status ^ old) & (uint8_t) ~(status & MSR_RI) & 0xf0;
    u->reg[REG_MCR] = value & MCR_ALL;
    u->reg[REG_MSR] = (uint8_t)(status | (old & MSR_DELTAS) | changed >> 4);
}

static unsigned uart_register(const struct uart *u, unsigned reg) {
    return reg <= REG_IER && (u->reg[REG_LCR] & LCR_DLAB) != 0 ? reg + REG_DIVISOR : reg;
}

/* Reading these changes something. */
#define ACTIVE_REGISTERS (BIT32(REG_DATA) | BIT32(REG_IIR_FCR) | BIT32(REG_LSR) | BIT32(REG_MSR))

/* Not inlined: plain registers need no stack frame. */
__attribute__((noinline)) static uint64_t uart_read_active(struct uart *u, unsigned reg) {
    uint8_t value = u->reg[reg]; /* 0 in the place of REG_DATA */
    if (reg == REG_DATA && u->rx.count != 0) {
        value = fifo_pop(&u->rx);
    } else if (reg == REG_IIR_FCR) {
        value = uart_cause(u);
        u->thr_interrupt = u->thr_interrupt && value != IIR_THR;
        value |= u->fifo ? IIR_FIFO : 0;
    } else if (reg == REG_LSR) {
        value |= u->rx.count != 0 ? LSR_DATA : 0;
        value |= u->tx.count == 0 ? LSR_THRE | LSR_TEMT : 0;
        u->reg[REG_LSR] = 0;
    } else if (reg == REG_MSR) {
        u->reg[REG_MSR] &= (uint8_t)~MSR_DELTAS;
    }
    uart_update_line(u);
    return value;
}

static void uart_write_register(struct uart *u, unsigned reg, uint8_t value) {
    if (reg == REG_DATA) {
        uart_write_data(u, value);
    } else if (reg == REG_IER) {
        u->thr_interrupt |= (value & ~u->reg[REG_IER] & IER_THR) != 0 && u->tx.count == 0;
        u->reg[REG_IER] = value & IER_ALL;
    } else if (reg == REG_IIR_FCR) {
        uart_write_fcr(u, value);
    } else if (reg == REG_MCR) {
        uart_write_mcr(u, value);
    } else if (reg == REG_LCR || reg >= REG_SCR) { /* LSR and MSR are read-only */
        u->reg[reg] = value;
    }
    uart_update_line(u);
}

static uint64_t uart_read_byte(struct uart *u, unsigned at) {
    unsigned reg = uart_register(u, at);
    return (ACTIVE_REGISTERS >> reg & 1) != 0 ? uart_read_active(u, reg) : u->reg[reg];
}

/* A wider access to an 8-bit device arrives as one cycle a byte. */
__attribute__((noinline)) static uint64_t uart_read_bytes(struct uart *u, unsigned at,
                                                          unsigned size) {
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= uart_read_byte(u, at + i) << (8 * i);
    }
    return value;
}

static uint64_t uart_read(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size) {
    struct uart *u = uart_of(dev);

    if (UNLIKELY(size != 1)) {
        return uart_read_bytes(u, (unsigned)at, size);
    }
    return uart_read_byte(u, (unsigned)at);
}

static void uart_write(struct device *dev, UNUSED unsigned region, uint64_t at, unsigned size,
                       uint64_t value) {
    struct uart *u = uart_of(dev);

    for (unsigned i = 0; i < size; i++) {
        uart_write_register(u, uart_register(u, (unsigned)at + i), (uint8_t)(value >> (8 * i)));
    }
}

const struct device_ops uart_ops = {
    .name = "UART",
    .reset = uart_reset,
    .read = uart_read,
    .write = uart_write,
};
