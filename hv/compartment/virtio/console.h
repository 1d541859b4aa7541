/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio console. Its port 0 is a terminal (hvc0): what the guest writes there is shown where its
 * UART's bytes are, and what is typed goes to the one of the two that the config says. Each other
 * port has a name and is joined to a port of another guest, as by a serial cable; or it is the
 * operator's hand (control.h). Source: VIRTIO 1.2 "Console Device".
 */
#pragma once

#include "hv/compartment/virtio/channel.h"
#include "hv/compartment/virtio/control.h"
#include "hv/compartment/virtio/virtio.h"

#define CONSOLE_PORTS (1 + ABI_PORTS)

enum console_queue {
    CONSOLE_RECEIVE,
    CONSOLE_TRANSMIT,
    CONSOLE_CONTROL_RECEIVE, /* what the device tells the driver */
    CONSOLE_CONTROL_TRANSMIT,
    CONSOLE_QUEUES = 2 + 2 * CONSOLE_PORTS /* two for each port, in its order */
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
    CONSOLE_TELL_NAME,
    CONSOLE_TELL_CLOSED, /* the other side has closed it */
    CONSOLE_TELL_OPEN,   /* the other side has opened it */
    CONSOLE_TELLS
};

struct console_port {
    uint32_t tell;    /* a bit for each console_tell */
    bool is_ready;    /* the driver has it */
    bool open;        /* by the guest */
    uint64_t moved;   /* so many bytes of the first buffer that waits are shown, or sent */
    const char *name; /* NULL: it is the terminal */
    /* The rest is of ports that are joined. */
    bool is_joined;
    unsigned bell; /* of its channel */
    struct channel channel;
    uint32_t session;      /* the guest's, as it stands in its half of the channel */
    uint32_t peer_session; /* the other one's, as the driver knows it */
    uint32_t done;         /* so many bytes of the record that is next the guest has got */
};

struct virtio_console {
    struct virtio v;
    struct console_config config;
    struct console_port ports[CONSOLE_PORTS];
    struct control control;
    struct console_port *hand; /* the port that is the operator's hand; or NULL */
    uint64_t due;              /* the moment at which it goes on; 0 = it has nothing left */
};

/* Puts it into a slot of the bus, before its first reset. The memory of the ports' channels is
 * mapped. */
void virtio_console_make(struct virtio_console *c, const struct abi_devices *devices,
                         struct pci_host *host, struct bus *buses, unsigned slot);

/* A byte is typed; false = the driver has no buffer for it, or does not read. */
bool virtio_console_receive(struct virtio_console *c, uint8_t byte);

/* transmit() has room again, or the doorbell of a channel has rung. */
void virtio_console_poll(struct virtio_console *c);

/* ---- what its files share ---- */

static inline bool console_has_ports(const struct virtio_console *c) {
    return (c->v.driver_features & CONSOLE_F_MULTIPORT) != 0;
}

/* queue: CONSOLE_RECEIVE or CONSOLE_TRANSMIT. */
static inline struct virtqueue *
console_queue(struct virtio_console *c, const struct console_port *p, enum console_queue queue) {
    unsigned port = (unsigned)(p - c->ports);
    return &c->v.queues[2 * port + (port == 0 ? 0 : 2) + queue];
}

/* What the driver has said in its control queue. */
void console_control(struct virtio_console *c);
/* Tells it what it is to be told, as far as it has buffers. */
void console_tell(struct virtio_console *c);

/* Of a named port: joins it, before the first reset. */
void port_join(struct console_port *p, const struct abi_port *port,
               const struct abi_channel *channels);
/* A driver is there, which uses ports. */
void port_start(struct console_port *p);
/* It is not there any more. */
void port_stop(struct virtio_console *c, struct console_port *p);
/* It can use this port. */
void port_ready(struct console_port *p);
/* The guest has opened or closed its end. */
void port_open(struct virtio_console *c, struct console_port *p, bool open);

/* Of a number as in session and peer_session. */
static inline bool port_is_open(uint32_t session) {
    return (session & 1) != 0;
}
/* The guest's is this one now. */
void port_set_session(struct virtio_console *c, struct console_port *p, uint32_t session);
/* The other one's is: the driver is to be told of an end and a beginning even where both are known
 * at once. */
void port_set_peer(struct console_port *p, uint32_t session);
/* The other side is to look. */
void port_ring(const struct virtio_console *c, const struct console_port *p);

/* Moves what can be moved, both ways. True: the turn is over, and there may be more. */
bool port_take_turn(struct virtio_console *c, struct console_port *p);

/* Of the operator's hand: the same; and the guest is not there any more, or has closed its end. */
bool operate_take_turn(struct virtio_console *c, struct console_port *p);
void operate_stop(struct virtio_console *c);
/* What was written until now is no request any more. */
void operate_discard(struct virtio_console *c, struct console_port *p);
