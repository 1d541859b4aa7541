/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of a packet from a channel into the guest's buffers, with one copy. See vsock.h.
 * What there is no buffer for stays where it is.
 */
#include "hv/compartment/virtio/vsock.h"

#include "hv/lib/str.h"

#define VSOCK_SHARE (64 * KIB) /* of a turn, for one channel after the other */

enum vsock_result {
    VSOCK_DONE,
    VSOCK_NOTHING, /* nothing has come */
    VSOCK_STARVED, /* there is no buffer */
};

/* ---- delivering ---- */

/* A packet from the channel, of which the first done bytes have gone before; done becomes how many
 * have gone then. */
static enum vsock_result vsock_deliver(struct virtio_vsock *s, struct vsock_header h,
                                       const struct channel *c, uint32_t *done, uint64_t *spent) {
    struct vsock_delivery d;

    h.length -= *done;
    if (!vsock_delivery_begin(s, &d, &h, spent)) {
        return VSOCK_STARVED;
    }
    for (uint32_t put = 0; put < h.length;) {
        uint32_t piece = h.length - put;
        const uint8_t *from = channel_bytes(c, VSOCK_HEADER + *done + put, &piece);
        put += virtio_cursor_write(&d.to, from, piece);
    }
    vsock_delivery_end(s, &d, &h, spent);
    *done += h.length;
    return VSOCK_DONE;
}

/* ---- resets ---- */

/* Of all connections with a peer that is gone. */
static bool vsock_deliver_end(struct virtio_vsock *s, struct vsock_peer *p, uint64_t *spent) {
    while (p->ending) {
        struct vsock_connection *last = &p->connections[p->count - 1];
        const struct vsock_reply reset = {
            .peer = p->is.cid, .own_port = last->own_port, .peer_port = last->peer_port};
        if (!vsock_deliver_reset(s, &reset, spent)) {
            return false;
        }
        vsock_remove(p, last);
        p->ending = p->count != 0;
    }
    return true;
}

/* A peer that does not read them loses them. */
static void vsock_answer(struct virtio_vsock *s, struct vsock_peer *p,
                         const struct vsock_header *h) {
    static const uint32_t about[3];
    const struct vsock_header reset = {.from = s->config.guest_cid,
                                       .to = p->is.cid,
                                       .from_port = h->to_port,
                                       .to_port = h->from_port,
                                       .type = VSOCK_STREAM,
                                       .operation = VSOCK_RESET};
    if (channel_has_room(&p->channel, VSOCK_HEADER)) {
        channel_write(&p->channel, 0, &reset, VSOCK_HEADER);
        channel_send(&p->channel, VSOCK_HEADER, about);
    }
}

/* ---- packets ---- */

static enum vsock_drop vsock_judge(struct virtio_vsock *s, struct vsock_peer *p, uint32_t length,
                                   const struct vsock_header *h) {
    if (length < VSOCK_HEADER || h->length != length - VSOCK_HEADER || h->length > VSOCK_LONGEST ||
        h->type != VSOCK_STREAM || h->operation == 0 || h->operation >= VSOCK_OPERATIONS) {
        return VSOCK_DROP_MALFORMED;
    }
    if (h->from != p->is.cid || h->to != s->config.guest_cid) {
        return VSOCK_DROP_SOURCE;
    }
    bool known = vsock_find(p, h->to_port, h->from_port) != NULL;
    if (h->operation == VSOCK_REQUEST && !known && p->is.may_accept) {
        known = vsock_add(p, h->to_port, h->from_port);
    }
    bool wanted = h->operation != VSOCK_REQUEST || p->is.may_accept;
    return known && wanted ? VSOCK_DROPS : VSOCK_DROP_REFUSED;
}

/* The next packet of this channel is under way; false: nothing has come. */
static bool vsock_begin(struct virtio_vsock *s, struct vsock_peer *p, uint64_t *spent) {
    struct vsock_incoming *in = &s->incoming;
    struct channel_record record;

    while (*spent < VSOCK_TURN && channel_look(&p->channel, &record)) {
        in->header = (struct vsock_header){.from = 0};
        in->done = 0;
        channel_read(&p->channel, 0, &in->header, (uint32_t)min_u64(record.length, VSOCK_HEADER));
        enum vsock_drop drop = vsock_judge(s, p, record.length, &in->header);
        if (drop == VSOCK_DROPS) {
            in->peer = p;
            return true;
        }
        s->counts->received.drops[drop]++;
        if (drop == VSOCK_DROP_REFUSED && in->header.operation != VSOCK_RESET) {
            vsock_answer(s, p, &in->header);
        }
        channel_take(&p->channel, record.length);
        p->took = true;
        *spent += VSOCK_PACKET_COST;
    }
    return false;
}

/* One piece of it: as much as the driver's next buffer takes. */
static enum vsock_result vsock_go_on(struct virtio_vsock *s, uint64_t *spent) {
    struct vsock_incoming *in = &s->incoming;
    struct vsock_peer *p = in->peer;
    const struct vsock_header *h = &in->header;
    uint32_t before = in->done;

    enum vsock_result result = vsock_deliver(s, *h, &p->channel, &in->done, spent);
    s->counts->received.packets += result == VSOCK_DONE;
    s->counts->received.bytes += in->done - before;
    if (result != VSOCK_DONE || in->done != h->length) {
        return result;
    }
    if (h->operation == VSOCK_RESET) {
        vsock_remove(p, vsock_find(p, h->to_port, h->from_port));
    }
    channel_take(&p->channel, VSOCK_HEADER + h->length);
    p->took = true;
    in->peer = NULL;
    return VSOCK_DONE;
}

/* Until its share is spent, and no packet of it is half done. */
static enum vsock_result vsock_receive_from(struct virtio_vsock *s, struct vsock_peer *p,
                                            uint64_t *spent) {
    uint64_t share = *spent + VSOCK_SHARE;

    while (*spent < VSOCK_TURN && (*spent < share || s->incoming.peer != NULL)) {
        if (s->incoming.peer == NULL) {
            vsock_look_after(s, p);
            if (!vsock_deliver_end(s, p, spent)) {
                return VSOCK_STARVED;
            }
            if (p->life == 0 || !vsock_begin(s, p, spent)) {
                return VSOCK_NOTHING;
            }
        }
        if (vsock_go_on(s, spent) == VSOCK_STARVED) {
            return VSOCK_STARVED;
        }
    }
    return VSOCK_DONE;
}

/* One channel after the other, until all are empty. With no buffer left the driver's next doorbell
 * goes on. */
void vsock_receive(struct virtio_vsock *s) {
    struct virtqueue *q = &s->v.queues[VSOCK_RECEIVE];
    uint16_t before = q->used;
    uint64_t spent = 0;
    enum vsock_result result = VSOCK_DONE;
    bool more = false;

    for (unsigned i = 0; i < s->peer_count; i++) {
        vsock_look_after(s, &s->peers[i]); /* also of whose packet a part has gone */
    }
    if (vsock_deliver_replies(s, &spent)) {
        more = vsock_hand_turn(s);
    } else {
        result = VSOCK_STARVED;
    }
    for (unsigned empty = 0;
         result != VSOCK_STARVED && empty < s->peer_count && spent < VSOCK_TURN;) {
        result = vsock_receive_from(s, &s->peers[s->next], &spent);
        empty = result == VSOCK_NOTHING ? empty + 1 : 0;
        if (s->incoming.peer == NULL && result != VSOCK_STARVED) {
            s->next = s->next + 1 == s->peer_count ? 0 : s->next + 1;
        }
    }
    s->receive_due = more || (result != VSOCK_STARVED && spent >= VSOCK_TURN);
    virtio_tell(&s->v, q, before);
}
