/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration mechanism 1 with a read-only host bridge at 00:00.0 and nothing else, so that a
 * guest finds a bus, and finds it empty; the ways in which a PC is told to restart itself: the
 * keyboard controller's pulse command, the fast reset bit of port 92h, the reset control register
 * CF9h; and the POST port, which takes bytes silently. Called by the port handler under the device
 * lock. Sources: PCI Local Bus Specification "Configuration Mechanism #1"; Intel ICH data sheets
 * "RST_CNT - Reset Control Register", "PORT92".
 */
#include "hv/dev/platform.h"

enum { PORT_KEYBOARD_COMMAND = 0x64, KEYBOARD_PULSE_RESET = 0xfe };
enum { PORT_FAST = 0x92, FAST_RESET = 0x01, FAST_A20 = 0x02 };
enum { CF9_CPU_RESET = 0x04, CF9_WRITABLE = 0x0e };
enum { PORT_ADDRESS = 0xcf8, PORT_DATA = 0xcfc };

#define ADDRESS_ENABLE   BIT32(31)
#define ADDRESS_WRITABLE 0x80fffffcu
#define ADDRESS_FUNCTION 0x00ffff00u /* bus, device and function; all zero is the bridge */

/* Vendor and device of the 440FX, which every guest knows to need no driver; class host bridge. */
static const uint32_t bridge[] = {[0x00 / 4] = 0x12378086, [0x08 / 4] = 0x06000002};

void chipset_reset(struct chipset *c, struct vm *vm) {
    *c = (struct chipset){.vm = vm, .port92 = FAST_A20};
}

static uint32_t chipset_read_config(const struct chipset *c) {
    if ((c->address & ADDRESS_ENABLE) == 0 || (c->address & ADDRESS_FUNCTION) != 0) {
        return UINT32_MAX;
    }
    unsigned index = (c->address & 0xfc) / 4;
    return index < ARRAY_SIZE(bridge) ? bridge[index] : 0;
}

uint64_t chipset_read(void *dev, uint64_t port, unsigned size) {
    const struct chipset *c = dev;
    if (port >= PORT_DATA) {
        return chipset_read_config(c) >> (8 * (port & 3));
    }
    if (size != 1) {
        return port == PORT_ADDRESS && size == 4 ? c->address : UINT32_MAX;
    }
    if (port == PORT_KEYBOARD_COMMAND) {
        return 0; /* never busy, never a byte to fetch: loops that wait for a reset go on */
    }
    return port == PORT_FAST ? c->port92 : port == RESET_PORT ? c->cf9 : UINT32_MAX;
}

void chipset_write(void *dev, uint64_t port, unsigned size, uint64_t value) {
    struct chipset *c = dev;
    bool reset = false;
    if (port == PORT_ADDRESS && size == 4) {
        c->address = value & ADDRESS_WRITABLE;
    } else if (size != 1) {
        return;
    } else if (port == PORT_KEYBOARD_COMMAND) {
        reset = value == KEYBOARD_PULSE_RESET;
    } else if (port == PORT_FAST) {
        reset = (value & ~(uint64_t)c->port92 & FAST_RESET) != 0;
        c->port92 = value & (FAST_RESET | FAST_A20);
    } else if (port == RESET_PORT) {
        reset = (value & ~(uint64_t)c->cf9 & CF9_CPU_RESET) != 0;
        c->cf9 = value & CF9_WRITABLE;
    }
    if (reset) {
        vm_leave(c->vm, LEAVE_RESET, "reset by the guest, starting again");
    }
}
