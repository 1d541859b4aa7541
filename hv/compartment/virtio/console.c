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

/* What of this segment has not been shown, at most so many bytes. False: the console is full. */
static bool console_show_segment(struct virtio_console *c, const uint8_t *from, uint64_t size) {
    const struct dev_env *env = c->v.dev.env;

    for (uint64_t i = 0; i < size; i++) {
        if (!env->transmit(env, from[i])) {
            return false;
        }
        c->shown++;
    }
    return true;
}

/* Goes on with a buffer. False: it is not all shown, for the console is full or the turn over. */
static bool console_show(struct virtio_console *c, const struct virtio_chain *chain,
                         uint64_t most) {
    uint64_t end = c->shown + most, at = 0;

    for (unsigned i = 0; i < chain->count && !chain->segments[i].writable; i++) {
        const struct virtio_segment *s = &chain->segments[i];
        uint64_t skip = min_u64(c->shown - at, s->length);
        uint64_t size = min_u64(s->length - skip, end - c->shown);
        if (!console_show_segment(c, s->at + skip, size) || skip + size < s->length) {
            return false;
        }
        at += s->length;
    }
    return true;
}

/* One turn. What is left after it waits for the next one, or for room in the console. */
static void console_transmit(struct virtio_console *c) {
    struct virtqueue *q = &c->v.queues[CONSOLE_TRANSMIT];
    uint16_t before = q->used;
    uint64_t left = CONSOLE_TURN;
    bool all = true;
    struct virtio_chain chain;

    while (all && left != 0 && virtio_take(&c->v, q, &chain)) {
        uint64_t begin = c->shown;
        all = console_show(c, &chain, left);
        left -= min_u64(left, c->shown - begin + CONSOLE_BUFFER_COST);
        if (all) {
            c->shown = 0;
            virtio_give(q, &chain, 0);
        } else {
            virtio_return(q, 1);
        }
    }
    c->due = left == 0;
    virtio_tell(&c->v, q, before);
}

static uint64_t console_now(const struct virtio_console *c) {
    return clock_now(c->v.dev.env->clock);
}

/* Between two turns the guest has its CPU for as long as the last one took. */
static void console_take_turn(struct virtio_console *c) {
    const struct dev_env *env = c->v.dev.env;
    uint64_t begin = console_now(c);

    if (c->due != 0 || !virtio_is_alive(&c->v)) {
        return;
    }
    console_transmit(c);
    if (c->due != 0) {
        uint64_t now = console_now(c);
        c->due = now + max_u64(now - begin, env->clock->tsc_hz / CONSOLE_PAUSES_SECOND) + 1;
        env->reschedule(env);
    }
}

void virtio_console_drain(struct virtio_console *c) {
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

static uint32_t console_put(const struct virtio_chain *chain, uint8_t byte) {
    for (unsigned i = 0; i < chain->count; i++) {
        if (chain->segments[i].writable) {
            *chain->segments[i].at = byte;
            return 1;
        }
    }
    return 0;
}

bool virtio_console_receive(struct virtio_console *c, uint8_t byte) {
    struct virtqueue *q = &c->v.queues[CONSOLE_RECEIVE];
    uint16_t before = q->used;
    struct virtio_chain chain;
    bool reads = virtio_is_alive(&c->v) && (c->ports[0].open || !console_has_ports(c));

    if (!reads || !virtio_take(&c->v, q, &chain)) {
        return false;
    }
    virtio_give(q, &chain, console_put(&chain, byte));
    virtio_tell(&c->v, q, before);
    return true;
}

/* ---- the device ---- */

static void console_notify(struct virtio *v, unsigned queue) {
    struct virtio_console *c = console_of(v);

    if (queue == CONSOLE_CONTROL_RECEIVE || queue == CONSOLE_CONTROL_TRANSMIT) {
        console_control(c);
    } else if (queue == CONSOLE_TRANSMIT) {
        console_take_turn(c);
    }
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

    c->shown = c->due = 0;
    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        c->ports[i] = (struct console_port){.open = false};
    }
}

static const struct virtio_model virtio_console_model = {
    .pci = VIRTIO_PCI(3, 0x078000u, CONSOLE_QUEUES), /* a communication controller */
    .queues = CONSOLE_QUEUES,
    .queue_size = CONSOLE_QUEUE_SIZE,
    .notify = console_notify,
    .write = console_write,
    .restart = console_restart,
    .service = console_service,
};

void virtio_console_make(struct virtio_console *c, struct pci_host *host, struct bus *buses,
                         unsigned slot) {
    virtio_make(&c->v, &virtio_console_model, host, buses, slot);
    c->v.features = CONSOLE_FEATURES;
    c->config = (struct console_config){.port_count = CONSOLE_PORTS};
    c->v.config = &c->config;
    c->v.config_size = sizeof(c->config);
}
