/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PS/2 keyboard behind an 8042: scan code set 1, US layout, to the bytes a terminal would send.
 * The second console input beside the UART. A USB keyboard that the firmware dresses up as PS/2 is
 * none: its controller's DMA is off by now (pci.c).
 * On the CPU that serves the consoles. Source: IBM PS/2 technical reference,
 * "Keyboard and Auxiliary Device Controller".
 */
#include "arch/x86_64/arch.h"

#define KBD_DATA   0x60u
#define KBD_STATUS 0x64u /* read; a write is a command */
#define KBD_IRQ    1u
#define KBD_WAIT   20000u /* status reads, about 20 ms on a PC */
#define KBD_DRAIN  32u

#define STATUS_OUTPUT 0x01u
#define STATUS_INPUT  0x02u

#define COMMAND_WRITE_CONFIG 0x60u
#define CONFIG               0x65u /* keyboard on, interrupt, no mouse, translate to set 1 */

#define SCAN_RELEASE  0x80u
#define SCAN_EXTENDED 0xe0u
#define SCAN_CTRL     0x1du
#define SCAN_LSHIFT   0x2au
#define SCAN_RSHIFT   0x36u
#define SCAN_CAPS     0x3au
#define SCAN_ENTER    0x1cu
#define SCAN_SLASH    0x35u
#define SCAN_HOME     0x47u

static bool shift, ctrl, caps, extended;

/* By shift and scan code; 0 = nothing. From Home on: the last letter of what a VT100 sends. */
static const char keys[2][0x52] = {
    "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 "
    "\0\0\0\0\0\0\0\0\0\0\0\0\0HA\0\0D\0C\0FB",
    "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 "};

/* A controller that stays busy gets its byte all the same: there is nothing to lose. */
static void kbd_write(uint16_t port, uint8_t value) {
    for (unsigned i = 0; i < KBD_WAIT && (port_in8(KBD_STATUS) & STATUS_INPUT) != 0; i++) {
    }
    port_out8(port, value);
}

void keyboard_init(void) {
    if (port_in8(KBD_STATUS) == 0xff || !ioapic_route_isa(KBD_IRQ, VECTOR_KEYBOARD)) {
        return; /* no controller, or no way to hear of it */
    }
    kbd_write(KBD_STATUS, COMMAND_WRITE_CONFIG);
    kbd_write(KBD_DATA, CONFIG);
    keyboard_interrupt(); /* the line must be low for its next edge */
}

static void kbd_press(uint8_t scan) {
    char c = keys[0][scan];
    bool letter = c >= 'a' && c <= 'z';
    c = keys[shift != (caps && letter)][scan];
    if (scan >= SCAN_HOME && c != 0) {
        hv_console_input('\033');
        hv_console_input('[');
    }
    if (c != 0) {
        hv_console_input((uint8_t)c & (ctrl && c >= '@' && c < 0x7f ? 0x1f : 0x7f));
    }
}

static void kbd_scan(uint8_t code) {
    bool was_extended = extended, pressed = (code & SCAN_RELEASE) == 0;
    uint8_t scan = code & (uint8_t)~SCAN_RELEASE;
    extended = code == SCAN_EXTENDED;
    if (scan == SCAN_CTRL) {
        ctrl = pressed;
    } else if (scan == SCAN_LSHIFT || scan == SCAN_RSHIFT) {
        shift = was_extended ? shift : pressed; /* E0 2A is no key: it comes with cursor keys */
    } else if (scan == SCAN_CAPS) {
        caps ^= pressed;
    } else if (pressed && scan < sizeof(keys[0]) &&
               (!was_extended || scan == SCAN_ENTER || scan == SCAN_SLASH || scan >= SCAN_HOME)) {
        kbd_press(scan);
    }
}

void keyboard_interrupt(void) {
    for (unsigned i = 0; i < KBD_DRAIN && (port_in8(KBD_STATUS) & STATUS_OUTPUT) != 0; i++) {
        kbd_scan(port_in8(KBD_DATA));
    }
}
