/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in which a PC is told to restart itself: the keyboard controller's pulse command, the
 * fast reset bit of port 92h, the reset control register CF9h; and the POST port, which takes
 * bytes silently. Called by the port handler (CF9h by pci.c) under the device lock.
 * Source: Intel ICH data sheets "RST_CNT - Reset Control Register", "PORT92".
 */
#include "hv/dev/platform.h"

#define PORT_KEYBOARD_COMMAND 0x64
#define PORT_FAST             0x92

#define KEYBOARD_PULSE_RESET 0xfe
#define FAST_RESET           0x01
#define FAST_A20             0x02
#define CF9_CPU_RESET        0x04
#define CF9_WRITABLE         0x0e

void reset_lines_reset(struct reset_lines *r) {
    r->port92 = FAST_A20;
    r->cf9 = 0;
}

uint64_t reset_lines_read(void *dev, uint64_t port, unsigned size) {
    const struct reset_lines *r = dev;
    if (size == 1 && port == PORT_KEYBOARD_COMMAND) {
        return 0; /* never busy, never a byte to fetch: loops that wait for a reset go on */
    }
    if (size == 1 && port == PORT_FAST) {
        return r->port92;
    }
    return size == 1 && port == RESET_PORT ? r->cf9 : UINT32_MAX;
}

void reset_lines_write(void *dev, uint64_t port, unsigned size, uint64_t value) {
    struct reset_lines *r = dev;
    bool reset = false;
    if (size != 1) {
        return;
    }
    if (port == PORT_KEYBOARD_COMMAND) {
        reset = value == KEYBOARD_PULSE_RESET;
    } else if (port == PORT_FAST) {
        reset = (value & ~(uint64_t)r->port92 & FAST_RESET) != 0;
        r->port92 = value & (FAST_RESET | FAST_A20);
    } else if (port == RESET_PORT) {
        reset = (value & ~(uint64_t)r->cf9 & CF9_CPU_RESET) != 0;
        r->cf9 = value & CF9_WRITABLE;
    }
    if (reset) {
        r->ops->reset(r->ctx);
    }
}
