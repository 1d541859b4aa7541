/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The safe start: one guest with its CPUs, its memory and its files, and nothing that others or the
 * machine's devices have a part in. It is for an admin who wants to get at one system when all of
 * them together do not come up. Called by stick.c.
 */
#include "config/stick.h"
#include "hv/lib/str.h"

/* The first one that starts with the machine; if none does, the first of the file. */
static uint32_t chosen(const struct config *config) {
    for (uint32_t i = 0; i < config->guest_count; i++) {
        if (config->guests[i].start_auto) {
            return i;
        }
    }
    return 0;
}

/* A disk that another guest serves is not there without it. */
static void keep_own_disks(struct config_guest *guest) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < guest->disk_count; i++) {
        if (guest->disks[i].kind != DISK_SERVED) {
            guest->disks[kept++] = guest->disks[i];
        }
    }
    guest->disk_count = kept;
}

void stick_make_safe(struct config *config) {
    struct config_guest *guest = &config->guests[0];

    if (config->guest_count == 0) {
        return;
    }
    uint32_t number = chosen(config);
    if (number != 0) {
        *guest = config->guests[number];
    }
    config->guest_count = 1;
    config->wire_count = 0;
    keep_own_disks(guest);
    guest->net_count = 0;
    guest->vsock_count = 0;
    guest->port_count = 0;
    guest->control_count = 0;
    guest->pci_count = 0;
    guest->watchdog = 0;
    memset(guest->limits, 0, sizeof(guest->limits));
    guest->start_auto = true;
    guest->on_crash = ON_CRASH_HALT; /* for a look */
}
