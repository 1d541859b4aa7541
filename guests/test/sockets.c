/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver for the socket device that never reads: so the guest counts as there, and what others
 * send to it has to wait. On the command line: sockets=1.
 */
#include "guests/test/guest.h"

#define SOCKETS    0x10531af4u /* device ID, vendor ID */
#define SLOTS      32u
#define COMMAND    4u
#define MEMORY_BAR 0x14u
#define ALL_ON     7u

/* Registers in that BAR. */
enum { DRIVER_SELECT = 0x08, DRIVER_FEATURE = 0x0c, STATUS = 0x14 };
enum { VERSION_1 = 1 /* of the upper half */, DRIVER = 3, FEATURES_OK = 8, DRIVER_OK = 4 };

static uint32_t slot;

static uint32_t config_read(uint32_t at) {
    out32(0xcf8, 0x80000000u | slot << 11 | at);
    return in32(0xcfc);
}

void sockets_on(void) {
    for (slot = 1; slot < SLOTS && config_read(0) != SOCKETS;) {
        slot++;
    }
    uintptr_t bar = config_read(MEMORY_BAR);
    (void)config_read(COMMAND);
    out32(0xcfc, ALL_ON);
    out32(0xcf8, 0);
    volatile uint32_t *select = (volatile uint32_t *)(bar + DRIVER_SELECT);
    volatile uint32_t *features = (volatile uint32_t *)(bar + DRIVER_FEATURE);
    volatile uint8_t *status = (volatile uint8_t *)(bar + STATUS);
    *status = DRIVER;
    *select = 1;
    *features = VERSION_1;
    *status = DRIVER | FEATURES_OK;
    *status = DRIVER | FEATURES_OK | DRIVER_OK;
}
