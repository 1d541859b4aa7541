/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PS/2 keyboard behind an 8042, scan code set 1: a console input beside the UART. A USB keyboard
 * that the firmware dresses up as PS/2 is none: its controller's DMA is off by now (pci.c), and
 * usb.c drives it.
 * On the CPU that serves the consoles, by interrupt and by timer: on laptops with an AMD CPU the
 * interrupt is wired in ways that only ACPI's bytecode tells. Source: IBM PS/2 technical reference,
 * "Keyboard and Auxiliary Device Controller".
 */
#include "arch/x86_64/arch.h"

#define KBD_DATA    0x60u
#define KBD_STATUS  0x64u /* read; a write is a command */
#define KBD_IRQ     1u
#define KBD_WAIT    20000u /* status reads, about 20 ms on a PC */
#define KBD_DRAIN   32u
#define KBD_POLL_US 20000u
#define KBD_EMPTY   0xffu /* what a port without a device reads as */

#define STATUS_OUTPUT 0x01u
#define STATUS_INPUT  0x02u
#define STATUS_MOUSE  0x20u

#define COMMAND_WRITE_CONFIG 0x60u
#define CONFIG               0x65u /* keyboard on, interrupt, no mouse, translate to set 1 */

#define SCAN_RELEASE  0x80u
#define SCAN_EXTENDED 0xe0u /* the next byte is of the second table */
#define SCAN_PAUSE    0xe1u /* and two more bytes, which look like other keys */
#define PAUSE_BYTES   2u

static bool present;
static bool extended;
static unsigned skip;

/* Scan code to USB's number of the key; 0 = none that a console knows. */
static const uint8_t plain_keys[] = {
    /* 00 */ 0x00, 0x29, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23,
    /* 08 */ 0x24, 0x25, 0x26, 0x27, 0x2d, 0x2e, 0x2a, 0x2b,
    /* 10 */ 0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18, 0x0c,
    /* 18 */ 0x12, 0x13, 0x2f, 0x30, 0x28, 0xe0, 0x04, 0x16,
    /* 20 */ 0x07, 0x09, 0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x33,
    /* 28 */ 0x34, 0x35, 0xe1, 0x31, 0x1d, 0x1b, 0x06, 0x19,
    /* 30 */ 0x05, 0x11, 0x10, 0x36, 0x37, 0x38, 0xe5, 0x55,
    /* 38 */ 0xe2, 0x2c, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
    /* 40 */ 0x3f, 0x40, 0x41, 0x42, 0x43, 0x53, 0x47, 0x5f,
    /* 48 */ 0x60, 0x61, 0x56, 0x5c, 0x5d, 0x5e, 0x57, 0x59,
    /* 50 */ 0x5a, 0x5b, 0x62, 0x63, 0x00, 0x00, 0x64, 0x44,
    /* 58 */ 0x45,
};
/* E0 2A and E0 36 are no keys: they come with cursor keys. */
static const uint8_t extended_keys[] = {
    [0x1c] = 0x58, [0x1d] = 0xe4, [0x35] = 0x54, [0x38] = 0xe6, [0x47] = 0x4a, [0x48] = 0x52,
    [0x49] = 0x4b, [0x4b] = 0x50, [0x4d] = 0x4f, [0x4f] = 0x4d, [0x50] = 0x51, [0x51] = 0x4e,
    [0x52] = 0x49, [0x53] = 0x4c, [0x5b] = 0xe3, [0x5c] = 0xe7,
};

/* A controller that stays busy gets its byte all the same: there is nothing to lose. */
static void kbd_write(uint16_t port, uint8_t value) {
    for (unsigned i = 0; i < KBD_WAIT && (port_in8(KBD_STATUS) & STATUS_INPUT) != 0; i++) {
    }
    port_out8(port, value);
}

void keyboard_init(void) {
    present = port_in8(KBD_STATUS) != KBD_EMPTY;
    if (!present) {
        return;
    }
    (void)ioapic_route_isa(KBD_IRQ, VECTOR_KEYBOARD); /* without one the timer will do */
    kbd_write(KBD_STATUS, COMMAND_WRITE_CONFIG);
    kbd_write(KBD_DATA, CONFIG);
    keyboard_interrupt(); /* the line must be low for its next edge */
    apic_poll(KBD_POLL_US);
}

static void kbd_scan(uint8_t code) {
    bool was_extended = extended;
    const uint8_t *keys = was_extended ? extended_keys : plain_keys;
    size_t count = was_extended ? ARRAY_SIZE(extended_keys) : ARRAY_SIZE(plain_keys);
    uint8_t scan = code & (uint8_t)~SCAN_RELEASE;

    extended = code == SCAN_EXTENDED;
    if (skip != 0) {
        skip--;
    } else if (code == SCAN_PAUSE) {
        skip = PAUSE_BYTES;
    } else if (!extended && scan < count && keys[scan] != 0) {
        hv_console_key(keys[scan], (code & SCAN_RELEASE) == 0);
    }
}

/* A mouse's bytes, which the firmware may have left on, are no keys. */
void keyboard_interrupt(void) {
    for (unsigned i = 0; present && i < KBD_DRAIN; i++) {
        uint8_t status = port_in8(KBD_STATUS);
        if ((status & STATUS_OUTPUT) == 0) {
            return;
        }
        uint8_t code = port_in8(KBD_DATA);
        if ((status & STATUS_MOUSE) == 0) {
            kbd_scan(code);
        }
    }
}
