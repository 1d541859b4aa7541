/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a virtio console as a device, and its terminal: the bytes of port 0. See console.h.
 */
#include "hv/compartment/virtio/console.h"

/* How many bytes one turn shows, what a buffer costs beside its bytes, and the pause between turns.
 */
#define CONSOLE_TURN          4096u
#define CONSOLE_BUFFER_COST   16u
#define CONSOLE_PAUSES_SECOND 10000u

static struct virtio_console *console_of(struct virtio *v) {
    return CONTAINER_OF(v, struct virtio_console, v);
}

/* ---- what the guest writes ---- */

/* As many of these bytes as the console has room for. */
static uint64_t console_show(const struct dev_env *env, const uint8_t *from, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) {
        if (!env->transmit(env, from[i])) {
            return i;
        }
    }
    return size;
}

/* Goes on with a buffer. False: the console is full, or the turn over. */
static bool console_show_chain(struct virtio_console *c, const struct virtio_chain *chain,
                               uint64_t *left) {
    for (;;) {
        uint64_t size = *left;
        const uint8_t *from = virtio_chain_at(chain, c->ports[0].moved, &size);
        if (from == NULL) {
            return true;
        }
        uint64_t shown = console_show(c->v.dev.env, from, size);
        c->ports[0].moved += shown;
        *left -= shown;
        if (shown < size || *left == 0) {
            return false;
        }
    }
}

/* What is left in the end waits for the next turn, or for room in the console. True: for a turn. */
static bool console_transmit(struct virtio_console *c) {
    struct virtqueue *q = &c->v.queues[CONSOLE_TRANSMIT];
    uint16_t before = q->used;
    uint64_t left = CONSOLE_TURN;
    bool all = true;
    struct virtio_chain chain;

    while (all && left != 0 && virtio_take(&c->v, q, &chain)) {
        all = console_show_chain(c, &chain, &left);
        if (all) {
            c->ports[0].moved = 0;
            virtio_give(q, &chain, 0);
            left -= min_u64(left, CONSOLE_BUFFER_COST);
        } else {
            virtio_return(q, 1);
        }
    }
    virtio_tell(&c->v, q, before);
    return left == 0;
}

/* ---- turns ---- */

static uint64_t console_now(const struct virtio_console *c) {
    return clock_now(c->v.dev.env->clock);
}

static bool console_move_ports(struct virtio_console *c) {
    bool more = false;

    for (uint32_t i = 1; i < c->config.port_count; i++) {
        port_start(&c->ports[i]);
        more |= port_take_turn(c, &c->ports[i]);
    }
    if (c->hand != NULL) {
        more |= operate_take_turn(c, c->hand);
    }
    return more;
}

/* Between two turns the guest has its CPU for as long as the last one took. */
static void console_take_turn(struct virtio_console *c) {
    const struct dev_env *env = c->v.dev.env;
    uint64_t begin = console_now(c);

    if (c->due != 0 || !virtio_is_alive(&c->v)) {
        return;
    }
    bool more = console_transmit(c);
    if (console_has_ports(c)) {
        more |= console_move_ports(c);
    }
    if (more) {
        uint64_t now = console_now(c);
        c->due = now + max_u64(now - begin, env->clock->tsc_hz / CONSOLE_PAUSES_SECOND) + 1;
        env->reschedule(env);
    }
}

void virtio_console_poll(struct virtio_console *c) {
    console_take_turn(c);
}

static uint64_t console_service(struct virtio *v, uint64_t now) {
    struct virtio_console *c = console_of(v);

    if (c->due != 0 && c->due <= now) {
        c->due = 0;
        console_take_turn(c);
    }
    return c->due;
}

/* ---- what is typed ---- */

bool virtio_console_receive(struct virtio_console *c, uint8_t byte) {
    struct virtqueue *q = &c->v.queues[CONSOLE_RECEIVE];
    uint16_t before = q->used;
    struct virtio_chain chain;
    bool reads = virtio_is_alive(&c->v) && (c->ports[0].open || !console_has_ports(c));

    if (!reads || !virtio_take(&c->v, q, &chain)) {
        return false;
    }
    struct virtio_cursor to = {.chain = &chain};
    virtio_give(q, &chain, virtio_cursor_write(&to, &byte, 1));
    virtio_tell(&c->v, q, before);
    return true;
}

/* ---- the device ---- */

static void console_notify(struct virtio *v, unsigned queue) {
    struct virtio_console *c = console_of(v);

    if (console_has_ports(c) &&
        (queue == CONSOLE_CONTROL_RECEIVE || queue == CONSOLE_CONTROL_TRANSMIT)) {
        console_control(c);
        console_tell(c);
    }
    console_take_turn(c);
}

/* A driver that has no queues yet, or cannot use them any more. What the console has no room for is
 * lost. */
static void console_write(struct virtio *v, uint64_t at, uint64_t value) {
    if (at == offsetof(struct console_config, emergency)) {
        (void)v->dev.env->transmit(v->dev.env, (uint8_t)value);
    }
}

static void console_restart(struct virtio *v) {
    struct virtio_console *c = console_of(v);

    c->due = 0;
    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        port_stop(c, &c->ports[i]);
    }
}

static void console_drop(struct virtio *v, unsigned queue) {
    struct virtio_console *c = console_of(v);

    for (struct console_port *p = c->ports; p < c->ports + CONSOLE_PORTS; p++) {
        if (console_queue(c, p, CONSOLE_TRANSMIT) == &v->queues[queue]) {
            p->moved = 0;
        }
    }
}

static const struct virtio_model virtio_console_model = {
    .pci = VIRTIO_PCI(3, 0x078000u, PCI_VECTORS - 1), /* a communication controller */
    .queues = CONSOLE_QUEUES,
    .queue_size = CONSOLE_QUEUE_SIZE,
    .notify = console_notify,
    .write = console_write,
    .restart = console_restart,
    .drop = console_drop,
    .service = console_service,
};

void virtio_console_make(struct virtio_console *c, const struct abi_devices *devices,
                         struct pci_host *host, struct bus *buses, unsigned slot) {
    virtio_make(&c->v, &virtio_console_model, host, buses, slot);
    c->v.features = CONSOLE_FEATURES;
    c->config = (struct console_config){.port_count = 1 + devices->port_count};
    for (uint32_t i = 0; i < CONSOLE_PORTS; i++) {
        c->ports[i] = (struct console_port){.is_joined = false};
    }
    for (uint32_t i = 0; i < devices->port_count; i++) {
        port_join(&c->ports[1 + i], &devices->ports[i], devices->channels);
    }
    c->hand = NULL;
    if (devices->has_control) {
        ASSERT(c->config.port_count < CONSOLE_PORTS);
        c->hand = &c->ports[c->config.port_count++];
        c->hand->name = OPERATOR_PORT;
    }
    operate_stop(c);
    c->v.config = &c->config;
    c->v.config_size = sizeof(c->config);
}
