/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How config/serial.c reaches the machine: the registers of UARTs, PCI's configuration space by its
 * two ports. Called by main.c.
 */
#include "config/serial.h"
#include "boot/boot.h"
#include "hv/lib/phys.h"

#define PCI_CONFIG_ADDRESS 0xcf8u
#define PCI_CONFIG_DATA    0xcfcu
#define PCI_CONFIG_ENABLE  BIT32(31)

uint8_t port_in(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static void port_out(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static uint32_t port_in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static void port_out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static uint8_t uart_in(const struct boot_serial *line, unsigned r) {
    uint64_t place = line->base + (uint64_t)r * line->stride;

    if (!line->in_memory) {
        return port_in((uint16_t)place);
    }
    const volatile void *p = phys_pointer(HPA(place));
    const volatile uint16_t *p16 = p;
    const volatile uint32_t *p32 = p;
    if (line->width == sizeof(*p32)) {
        return (uint8_t)*p32;
    }
    if (line->width == sizeof(*p16)) {
        return (uint8_t)*p16;
    }
    return *(const volatile uint8_t *)p;
}

static void uart_out(const struct boot_serial *line, unsigned r, uint8_t value) {
    uint64_t place = line->base + (uint64_t)r * line->stride;

    if (!line->in_memory) {
        port_out((uint16_t)place, value);
        return;
    }
    volatile void *p = phys_pointer(HPA(place));
    if (line->width == sizeof(uint32_t)) {
        *(volatile uint32_t *)p = value;
    } else if (line->width == sizeof(uint16_t)) {
        *(volatile uint16_t *)p = value;
    } else {
        *(volatile uint8_t *)p = value;
    }
}

static void pci_select(uint32_t function, unsigned offset) {
    port_out32(PCI_CONFIG_ADDRESS, PCI_CONFIG_ENABLE | function << 8 | offset);
}

uint32_t ports_pci_read(uint32_t function, unsigned offset) {
    pci_select(function, offset);
    return port_in32(PCI_CONFIG_DATA);
}

void ports_pci_write(uint32_t function, unsigned offset, uint32_t value) {
    pci_select(function, offset);
    port_out32(PCI_CONFIG_DATA, value);
}

struct serial_machine serial_machine = {
    .in = uart_in, .out = uart_out, .pci_read = ports_pci_read, .pci_write = ports_pci_write};
