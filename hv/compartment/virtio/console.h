/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio console. Its port 0 is a terminal (hvc0): what the guest writes there is shown where its
 * UART's bytes are, and what is typed goes to the one of the two that the config says. Source:
 * VIRTIO 1.2 "Console Device".
 */
#pragma once

#include "hv/compartment/virtio/virtio.h"

#define CONSOLE_PORTS 1u

enum console_queue {
    CONSOLE_RECEIVE,
    CONSOLE_TRANSMIT,
    CONSOLE_CONTROL_RECEIVE, /* what the device tells the driver */
    CONSOLE_CONTROL_TRANSMIT,
    CONSOLE_QUEUES
};
#define CONSOLE_QUEUE_SIZE 64u /* of each: Linux fills those to receive with a page for each */

enum console_feature {
    CONSOLE_F_MULTIPORT = BIT32(1),
    CONSOLE_F_EMERGENCY_WRITE = BIT32(2),
};

/* The size of the terminal is not known, so that it is not offered. */
#define CONSOLE_FEATURES (CONSOLE_F_MULTIPORT | CONSOLE_F_EMERGENCY_WRITE)

/* The device's registers. */
struct console_config {
    uint16_t columns, rows;
    uint32_t port_count; /* those that there may be */
    uint32_t emergency;  /* a byte that is written here is shown, without any queue */
};

/* What the driver is to be told of a port once it has a buffer for it, in this order. */
enum console_tell {
    CONSOLE_TELL_ADDED,
    CONSOLE_TELL_CONSOLE, /* that it is a terminal */
    CONSOLE_TELL_OPEN,    /* the other side is */
    CONSOLE_TELLS
};

struct console_port {
    uint32_t tell; /* a bit for each console_tell */
    bool open;     /* by the guest */
};

struct virtio_console {
    struct virtio v;
    struct console_config config;
    struct console_port ports[CONSOLE_PORTS];
    uint64_t shown; /* so many bytes of the first chain that waits */
    uint64_t due;   /* the moment at which it goes on; 0 = it has nothing left */
};

/* Puts it into a slot of the bus, before its first reset. */
void virtio_console_make(struct virtio_console *c, struct pci_host *host, struct bus *buses,
                         unsigned slot);

/* A byte is typed; false = the driver has no buffer for it, or does not read. */
bool virtio_console_receive(struct virtio_console *c, uint8_t byte);

/* transmit() has room again. */
void virtio_console_drain(struct virtio_console *c);

/* ---- what its files share ---- */

static inline bool console_has_ports(const struct virtio_console *c) {
    return (c->v.driver_features & CONSOLE_F_MULTIPORT) != 0;
}

/* What the driver has said in its control queue, and what it is to be told. */
void console_control(struct virtio_console *c);
