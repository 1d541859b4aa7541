/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of bytes between the guest's buffers and the channels of a console's named ports.
 * See console.h. What there is no room for waits where it is: with the writer in his own buffers,
 * and with the reader in the channel.
 */
#include "hv/compartment/virtio/console.h"

#include "hv/lib/str.h"

#define PORT_RECORD 4096u       /* bytes of a buffer that go at once */
#define PORT_COST   64u         /* of a record or a buffer, beside its bytes */
#define PORT_TURN   (128 * KIB) /* bytes of a port in each direction */

/* ---- sending ---- */

enum port_step {
    PORT_MOVED,
    PORT_EMPTY, /* there is nothing to move */
    PORT_WAITS, /* for room, or for the next turn */
};

static void port_spend(uint64_t *left, uint64_t cost) {
    *left -= min_u64(*left, cost);
}

/* Goes on with a buffer: all of it, or it waits. With nobody at the other end it is lost. */
static enum port_step port_send_chain(struct console_port *p, const struct virtio_chain *chain,
                                      uint64_t *left) {
    const uint32_t about[3] = {p->session};

    while (port_is_open(channel_state(&p->channel))) {
        uint64_t size = PORT_RECORD;
        const uint8_t *from = virtio_chain_at(chain, p->moved, &size);
        if (from == NULL) {
            break;
        }
        if (*left == 0 || !channel_wait_for_room(&p->channel, (uint32_t)size)) {
            return PORT_WAITS;
        }
        channel_write(&p->channel, 0, from, (uint32_t)size);
        channel_send(&p->channel, (uint32_t)size, about);
        p->moved += size;
        port_spend(left, size + PORT_COST);
    }
    return PORT_MOVED;
}

static enum port_step port_send_next(struct virtio_console *c, struct console_port *p,
                                     struct virtqueue *q, uint64_t *left) {
    struct virtio_chain chain;

    if (*left == 0) {
        return PORT_WAITS;
    }
    if (!virtio_take(&c->v, q, &chain)) {
        return PORT_EMPTY;
    }
    enum port_step step = port_send_chain(p, &chain, left);
    if (step == PORT_WAITS) {
        virtio_return(q, 1);
        return step;
    }
    p->moved = 0;
    virtio_give(q, &chain, 0);
    port_spend(left, PORT_COST);
    return step;
}

static void port_send(struct virtio_console *c, struct console_port *p, uint64_t *left) {
    struct virtqueue *q = console_queue(c, p, CONSOLE_TRANSMIT);
    uint16_t before = q->used;
    enum port_step step = PORT_MOVED;

    while (step == PORT_MOVED) {
        step = port_send_next(c, p, q, left);
    }
    if (step == PORT_EMPTY && !p->open && port_is_open(p->session)) {
        port_set_session(c, p, p->session + 1);
    }
    virtio_tell(&c->v, q, before);
    if (p->channel.put != p->channel.asked && channel_wants_bell(&p->channel)) {
        port_ring(c, p);
    }
}

/* ---- receiving ---- */

/* Into the buffer, as much of the record as there is room for. Returns how much. */
static uint32_t port_fill(struct console_port *p, const struct virtio_chain *chain,
                          uint32_t length) {
    struct virtio_cursor to = {.chain = chain};
    uint32_t begin = p->done;
    bool room = true;

    while (room && p->done < length) {
        uint32_t size = length - p->done;
        const uint8_t *from = channel_bytes(&p->channel, p->done, &size);
        uint32_t written = virtio_cursor_write(&to, from, size);
        p->done += written;
        room = written == size;
    }
    return p->done - begin;
}

/* Of a record of this length. With no buffer left the driver's next doorbell goes on; a guest that
 * has closed its end does not want it. */
static enum port_step port_receive_record(struct virtio_console *c, struct console_port *p,
                                          struct virtqueue *q, uint32_t length, uint64_t *left) {
    struct virtio_chain chain;

    if (p->open && p->done < length) {
        if (!virtio_take(&c->v, q, &chain)) {
            return PORT_WAITS;
        }
        uint32_t size = port_fill(p, &chain, length);
        virtio_give(q, &chain, size);
        port_spend(left, size);
    }
    if (!p->open || p->done >= length) {
        channel_take(&p->channel, length);
        p->done = 0;
    }
    return PORT_MOVED;
}

/* What the other side's number was before its ring was found empty is true now. */
static enum port_step port_receive_next(struct virtio_console *c, struct console_port *p,
                                        struct virtqueue *q, uint64_t *left) {
    uint32_t session = channel_state(&p->channel);
    struct channel_record record;

    if (*left == 0) {
        return PORT_WAITS;
    }
    bool there = channel_look(&p->channel, &record);
    port_set_peer(p, there ? record.about[0] | 1 : session);
    if (p->tell != 0) {
        console_tell(c);
    }
    if (!there || p->tell != 0) {
        return PORT_EMPTY;
    }
    port_spend(left, PORT_COST);
    return port_receive_record(c, p, q, record.length, left);
}

static void port_receive(struct virtio_console *c, struct console_port *p, uint64_t *left) {
    struct virtqueue *q = console_queue(c, p, CONSOLE_RECEIVE);
    uint16_t before = q->used;
    uint32_t taken = p->channel.taken;

    while (port_receive_next(c, p, q, left) == PORT_MOVED) {
    }
    virtio_tell(&c->v, q, before);
    if (p->channel.taken != taken && channel_is_awaited(&p->channel)) {
        port_ring(c, p);
    }
}

bool port_take_turn(struct virtio_console *c, struct console_port *p) {
    uint64_t to_receive = PORT_TURN, to_send = PORT_TURN;

    if (!p->is_joined || !p->channel.runs) {
        return false;
    }
    port_receive(c, p, &to_receive);
    port_send(c, p, &to_send);
    return to_receive == 0 || to_send == 0;
}
