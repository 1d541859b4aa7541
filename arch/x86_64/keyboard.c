/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PS/2 keyboard (or a USB one that the firmware dresses up as such) behind an 8042: scan code set
 * 1, US layout, to the bytes a terminal would send. The second console input beside the UART.
 * Called by start.c and from its interrupt on the first CPU. Source: IBM PS/2 technical reference,
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
#define STATUS_MOUSE  0x20u

#define COMMAND_READ_CONFIG  0x20u
#define COMMAND_WRITE_CONFIG 0x60u
#define COMMAND_ENABLE       0xaeu
#define CONFIG_IRQ           0x01u
#define CONFIG_MOUSE_IRQ     0x02u
#define CONFIG_DISABLE       0x10u
#define CONFIG_TRANSLATE     0x40u /* to set 1 */

#define SCAN_RELEASE  0x80u
#define SCAN_EXTENDED 0xe0u
#define SCAN_CTRL     0x1du
#define SCAN_LSHIFT   0x2au
#define SCAN_RSHIFT   0x36u
#define SCAN_CAPS     0x3au
#define SCAN_SLASH    0x35u

static bool shift, ctrl, caps, extended;

/* By scan code 0 .. 0x39; 0 = no character. */
static const char plain[] =
    "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] =
    "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
_Static_assert(sizeof(plain) == 0x3b && sizeof(shifted) == 0x3b, "one character each scan code");

/* Cursor keys as a VT100 sends them. */
static const struct {
    uint8_t scan, letter;
} cursor_keys[] = {{0x48, 'A'}, {0x50, 'B'}, {0x4d, 'C'}, {0x4b, 'D'}, {0x47, 'H'}, {0x4f, 'F'}};

static bool kbd_wait_status(uint8_t mask, uint8_t value) {
    for (unsigned i = 0; i < KBD_WAIT; i++) {
        if ((port_in8(KBD_STATUS) & mask) == value) {
            return true;
        }
    }
    return false;
}

static bool kbd_command(uint16_t port, uint8_t value) {
    if (!kbd_wait_status(STATUS_INPUT, 0)) {
        return false;
    }
    port_out8(port, value);
    return true;
}

static void kbd_drain(void) {
    for (unsigned i = 0; i < KBD_DRAIN && (port_in8(KBD_STATUS) & STATUS_OUTPUT) != 0; i++) {
        (void)port_in8(KBD_DATA);
    }
}

void keyboard_init(void) {
    if (port_in8(KBD_STATUS) == 0xff) {
        return; /* no controller */
    }
    kbd_drain();
    if (!kbd_command(KBD_STATUS, COMMAND_ENABLE) || !kbd_command(KBD_STATUS, COMMAND_READ_CONFIG) ||
        !kbd_wait_status(STATUS_OUTPUT, STATUS_OUTPUT)) {
        return;
    }
    uint8_t config = port_in8(KBD_DATA);
    config |= CONFIG_IRQ | CONFIG_TRANSLATE;
    config &= (uint8_t) ~(CONFIG_DISABLE | CONFIG_MOUSE_IRQ);
    if (!irq_route_isa(KBD_IRQ, VECTOR_KEYBOARD) ||
        !kbd_command(KBD_STATUS, COMMAND_WRITE_CONFIG) || !kbd_command(KBD_DATA, config)) {
        return;
    }
    kbd_drain(); /* the line must be low for its next edge */
}

static void kbd_cursor_key(uint8_t scan) {
    for (unsigned i = 0; i < ARRAY_SIZE(cursor_keys); i++) {
        if (cursor_keys[i].scan == scan) {
            hv_console_input('\033');
            hv_console_input('[');
            hv_console_input(cursor_keys[i].letter);
        }
    }
}

static void kbd_character(uint8_t scan) {
    if (scan >= sizeof(plain) - 1) {
        return;
    }
    uint8_t c = (uint8_t)plain[scan];
    bool letter = c >= 'a' && c <= 'z';
    if (shift != (caps && letter)) {
        c = (uint8_t)shifted[scan];
    }
    if (ctrl && c >= '@' && c < 0x7f) {
        c &= 0x1f;
    }
    if (c != 0) {
        hv_console_input(c);
    }
}

static void kbd_scan(uint8_t code) {
    bool was_extended = extended, pressed = (code & SCAN_RELEASE) == 0;
    extended = code == SCAN_EXTENDED;
    uint8_t scan = code & (uint8_t)~SCAN_RELEASE;
    if (extended) {
        return;
    }
    if (scan == SCAN_CTRL) {
        ctrl = pressed;
    } else if (scan == SCAN_LSHIFT || scan == SCAN_RSHIFT) {
        shift = was_extended ? shift : pressed; /* E0 2A is no key: it comes with cursor keys */
    } else if (scan == SCAN_CAPS) {
        caps ^= pressed;
    } else if (pressed && was_extended && scan != SCAN_SLASH &&
               plain[scan < 0x3a ? scan : 0] != '\r') {
        kbd_cursor_key(scan);
    } else if (pressed) {
        kbd_character(scan);
    }
}

void keyboard_interrupt(void) {
    for (unsigned i = 0; i < KBD_DRAIN; i++) {
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
