/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's UART: 16550A or better at config.console_port, 115200 8N1. Never waits but in
 * serial_write_polled(), and there not for ever. With a standard port and an I/O APIC it works by
 * interrupts on the CPU that serves the consoles, else that CPU's timer looks every 2 ms.
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/lock.h"
#include "hv/lib/uart_registers.h"

#define SCRATCH_PATTERN 0x5au   /* the register keeps it, an empty port does not */
#define WAIT_READS      100000u /* a byte takes 87 us, a port read about 1 */
#define DRAIN_BURSTS    4096u
#define FIFO_SIZE       16u
#define POLL_US         2000u /* 16 bytes at 115200 baud take 1.4 ms */
#define RECEIVE_MAX     64u   /* bytes taken in one go */

static SEALED uint16_t base;
static bool by_interrupts, transmit_wanted;
static struct lock lock; /* base + 1 (IER) and transmit_wanted */

static uint8_t uart_in(enum uart_register r) {
    return port_in8((uint16_t)(base + r));
}

static void uart_out(enum uart_register r, unsigned value) {
    port_out8((uint16_t)(base + r), (uint8_t)value);
}

/* Not for ever. */
static void uart_wait(unsigned bits) {
    for (unsigned i = 0; i < WAIT_READS && (uart_in(REG_LSR) & bits) == 0; i++) {
    }
}

void serial_init(uint16_t port) {
    base = port;
    if (base != 0) {
        uart_out(REG_SCR, SCRATCH_PATTERN);
    }
    if (base == 0 || uart_in(REG_SCR) != SCRATCH_PATTERN || uart_in(REG_LSR) == 0xff) {
        base = 0;
        return;
    }
    uart_wait(LSR_TEMT); /* the firmware's last words */
    uart_out(REG_IER, 0);
    uart_out(REG_LCR, LCR_DLAB);
    uart_out(REG_DATA, 1); /* 115200 / 1 */
    uart_out(REG_IER, 0);
    uart_out(REG_LCR, LCR_8N1);
    uart_out(REG_IIR_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
    uart_out(REG_MCR, MCR_DTR_RTS | MCR_OUT2);
}

/* With the lock held. Switched off and on again, so that a pending cause makes a new edge. */
static void serial_update_ier(void) {
    if (by_interrupts) {
        uart_out(REG_IER, 0);
        uart_out(REG_IER, IER_RX | (transmit_wanted ? IER_THR : 0));
    }
}

/* Only COM1 to COM4 (3f8, 2f8, 3e8, 2e8) have a known IRQ: the first and the third 4, else 3. */
void serial_init_interrupts(void) {
    bool known = (base | 0x110) == 0x3f8;
    bool routed = known && ioapic_route_isa((base & 0x100) != 0 ? 4 : 3, VECTOR_SERIAL);
    lock_acquire(&lock); /* other CPUs write already */
    by_interrupts = routed;
    serial_update_ier();
    lock_release(&lock);
    if (base != 0 && !by_interrupts) {
        log_info("serial port %#x: no interrupt, looking at it every 2 ms", base);
        apic_poll(POLL_US);
    }
}

bool plat_serial_present(void) {
    return base != 0;
}

size_t plat_serial_write(const uint8_t *bytes, size_t n) {
    if (base == 0) {
        return n; /* nobody will ever read it */
    }
    lock_acquire(&lock);
    size_t room = (uart_in(REG_LSR) & LSR_THRE) != 0 ? FIFO_SIZE : 0, taken = 0;
    for (; taken < n && taken < room; taken++) {
        uart_out(REG_DATA, bytes[taken]);
    }
    if (taken < n && !transmit_wanted) {
        transmit_wanted = true;
        serial_update_ier();
    }
    lock_release(&lock);
    return taken;
}

static void serial_transmit(void) {
    lock_acquire(&lock);
    bool writable = transmit_wanted && (uart_in(REG_LSR) & LSR_THRE) != 0;
    transmit_wanted = transmit_wanted && !writable;
    (void)uart_in(REG_IIR_FCR);
    serial_update_ier();
    lock_release(&lock);
    if (writable) {
        hv_console_writable();
    }
}

/* On the CPU that serves the consoles, from the interrupt or from the timer. */
void serial_interrupt(void) {
    bool overrun = false;
    for (unsigned i = 0; i < RECEIVE_MAX; i++) {
        unsigned status = uart_in(REG_LSR); /* an overrun is told once */
        overrun |= (status & LSR_OVERRUN) != 0;
        if ((status & LSR_DATA) == 0) {
            break;
        }
        hv_console_input(uart_in(REG_DATA));
    }
    if (overrun) {
        hv_console_overrun();
    }
    serial_transmit();
}

void serial_poll(void) {
    if (base != 0 && !by_interrupts) {
        serial_interrupt();
    }
}

void serial_drain_console(void) {
    for (unsigned i = 0; i < DRAIN_BURSTS && transmit_wanted; i++) {
        uart_wait(LSR_THRE);
        serial_transmit();
    }
}

void serial_write_polled(const char *text) {
    for (; base != 0 && *text != '\0'; text++) {
        uart_wait(LSR_THRE);
        uart_out(REG_DATA, (uint8_t)*text);
    }
}
