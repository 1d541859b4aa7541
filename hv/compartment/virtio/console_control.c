/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a console's two control queues: what the driver says of its ports, and what it is told of
 * them. See console.h. A message to the driver is a bit until there is a buffer for it. Source:
 * VIRTIO 1.2 "Console Device", "Multiport Device Operation".
 */
#include "hv/compartment/virtio/console.h"

#include "hv/lib/str.h"

enum control_event {
    CONTROL_DEVICE_READY = 0,
    CONTROL_PORT_ADD = 1,
    CONTROL_PORT_READY = 3,
    CONTROL_CONSOLE_PORT = 4,
    CONTROL_PORT_OPEN = 6,
    CONTROL_PORT_NAME = 7,
};

struct control_message {
    uint32_t port;
    uint16_t event, value;
};
#define CONTROL_SIZE (uint32_t)sizeof(struct control_message)

/* ---- what the driver says ---- */

static void control_add_ports(struct virtio_console *c) {
    for (uint32_t i = 0; i < c->config.port_count; i++) {
        c->ports[i].is_ready = false;
        c->ports[i].tell = BIT32(CONSOLE_TELL_ADDED);
    }
}

/* What a driver says of a port that is not there, or in a word that is none of its, is ignored. */
static void control_take(struct virtio_console *c, const struct control_message *m) {
    if (m->event == CONTROL_DEVICE_READY && m->value == 1) {
        control_add_ports(c);
        return;
    }
    if (m->port >= c->config.port_count) {
        return;
    }
    struct console_port *p = &c->ports[m->port];
    if (m->event == CONTROL_PORT_READY && m->value == 1) {
        port_ready(p);
    } else if (m->event == CONTROL_PORT_OPEN) {
        port_open(c, p, m->value != 0);
    }
}

void console_control(struct virtio_console *c) {
    struct virtqueue *q = &c->v.queues[CONSOLE_CONTROL_TRANSMIT];
    uint16_t before = q->used;
    struct control_message m;
    struct virtio_chain chain;

    for (unsigned i = 0; i < CONSOLE_QUEUE_SIZE && virtio_take(&c->v, q, &chain); i++) {
        struct virtio_cursor from = {.chain = &chain};
        if (virtio_cursor_read(&from, &m, CONTROL_SIZE)) { /* which may lie in pieces */
            control_take(c, &m);
        }
        virtio_give(q, &chain, 0);
    }
    virtio_tell(&c->v, q, before);
}

/* ---- what it is told ---- */

static const struct {
    uint16_t event, value;
} control_words[CONSOLE_TELLS] = {
    [CONSOLE_TELL_ADDED] = {CONTROL_PORT_ADD, 1},
    [CONSOLE_TELL_CONSOLE] = {CONTROL_CONSOLE_PORT, 1},
    [CONSOLE_TELL_NAME] = {CONTROL_PORT_NAME, 1},
    [CONSOLE_TELL_CLOSED] = {CONTROL_PORT_OPEN, 0},
    [CONSOLE_TELL_OPEN] = {CONTROL_PORT_OPEN, 1},
};

/* A name follows its message. Of either as much as there is room for. */
static void control_write(struct virtio_console *c, const struct virtio_chain *chain, uint32_t port,
                          unsigned tell) {
    struct {
        struct control_message head;
        char name[ABI_PORT_NAME];
    } m = {.head = {port, control_words[tell].event, control_words[tell].value}};
    uint32_t size = CONTROL_SIZE;

    if (tell == CONSOLE_TELL_NAME) {
        const char *name = c->ports[port].name;
        (void)str_copy_n(m.name, sizeof(m.name), name, strlen(name));
        size += (uint32_t)strlen(m.name);
    }
    struct virtio_cursor to = {.chain = chain};
    uint32_t written = virtio_cursor_write(&to, &m, size);
    virtio_give(&c->v.queues[CONSOLE_CONTROL_RECEIVE], chain, written);
}

/* False: there is no buffer left. */
static bool control_tell_port(struct virtio_console *c, uint32_t port) {
    struct virtqueue *q = &c->v.queues[CONSOLE_CONTROL_RECEIVE];
    struct console_port *p = &c->ports[port];
    struct virtio_chain chain;

    while (p->tell != 0) {
        if (!virtio_take(&c->v, q, &chain)) {
            return false;
        }
        control_write(c, &chain, port, (unsigned)__builtin_ctz(p->tell));
        p->tell &= p->tell - 1;
    }
    return true;
}

void console_tell(struct virtio_console *c) {
    struct virtqueue *q = &c->v.queues[CONSOLE_CONTROL_RECEIVE];
    uint16_t before = q->used;

    for (uint32_t i = 0; i < c->config.port_count && control_tell_port(c, i); i++) {
    }
    virtio_tell(&c->v, q, before);
}
