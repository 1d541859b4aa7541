/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reaches the registers of the host's UART. Must not know what they mean. In memory they are
 * accessed in the width that the firmware's table asks for, for some of them ignore others.
 */
#include "arch/x86_64/uart.h"

#include "arch/x86_64/cpu.h"
#include "hv/lib/phys.h"

static SEALED struct boot_serial uart;

void uart_init(const struct boot_serial *where) {
    uart = *where;
}

static uint64_t uart_place(enum uart_register r) {
    return uart.base + (uint64_t)r * uart.stride;
}

uint8_t uart_in(enum uart_register r) {
    uint64_t place = uart_place(r);

    if (!uart.in_memory) {
        return port_in8((uint16_t)place);
    }
    const void *p = phys_pointer(HPA(place));
    if (uart.width == sizeof(uint32_t)) {
        return (uint8_t)mmio_read32(p);
    }
    return uart.width == sizeof(uint16_t) ? (uint8_t)mmio_read16(p) : mmio_read8(p);
}

void uart_out(enum uart_register r, unsigned value) {
    uint64_t place = uart_place(r);

    if (!uart.in_memory) {
        port_out8((uint16_t)place, (uint8_t)value);
        return;
    }
    void *p = phys_pointer(HPA(place));
    if (uart.width == sizeof(uint32_t)) {
        mmio_write32(p, value);
    } else if (uart.width == sizeof(uint16_t)) {
        mmio_write16(p, (uint16_t)value);
    } else {
        mmio_write8(p, (uint8_t)value);
    }
}
