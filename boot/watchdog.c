/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers of the watchdog that ACPI describes (wdat.c). The firmware's page tables are on,
 * which map devices at their own addresses. Called by main.c: looked at before the start, stopped
 * after it.
 */
#include "boot/boot.h"
#include "hv/lib/phys.h"

static uint32_t read_port(uint16_t port, unsigned width) {
    uint32_t value = 0;

    if (width == 1) {
        value = port_in(port);
    } else if (width == 2) {
        __asm__ volatile("inw %1, %w0" : "+a"(value) : "Nd"(port));
    } else {
        __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    }
    return value;
}

static void write_port(uint16_t port, unsigned width, uint32_t value) {
    if (width == 1) {
        __asm__ volatile("outb %b0, %1" : : "a"(value), "Nd"(port));
    } else if (width == 2) {
        __asm__ volatile("outw %w0, %1" : : "a"(value), "Nd"(port));
    } else {
        __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
    }
}

static uint32_t watchdog_read(const struct boot_watchdog_step *step) {
    const volatile void *at = phys_pointer(HPA(step->address));

    if (!step->in_memory) {
        return read_port((uint16_t)step->address, step->width);
    }
    if (step->width == 1) {
        return *(const volatile uint8_t *)at;
    }
    if (step->width == 2) {
        return *(const volatile uint16_t *)at;
    }
    return *(const volatile uint32_t *)at;
}

static void watchdog_write(const struct boot_watchdog_step *step, uint32_t value) {
    volatile void *at = phys_pointer(HPA(step->address));

    if (!step->in_memory) {
        write_port((uint16_t)step->address, step->width, value);
    } else if (step->width == 1) {
        *(volatile uint8_t *)at = (uint8_t)value;
    } else if (step->width == 2) {
        *(volatile uint16_t *)at = (uint16_t)value;
    } else {
        *(volatile uint32_t *)at = value;
    }
}

static const struct wdat_ops ops = {.read = watchdog_read, .write = watchdog_write};

void watchdog_look(struct boot_info *info) {
    wdat_look(info, &ops);
}

void watchdog_stop(struct boot_info *info) {
    wdat_stop(info, &ops);
}
