/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of a packet from the guest's buffers into a channel, with one copy. See vsock.h.
 */
#include "hv/compartment/virtio/vsock.h"

#include "hv/lib/str.h"

/* Of a peer's ring, which data leaves free: room for resets that answer what the peer sends. */
#define VSOCK_RESERVE (4 * KIB)

/* ---- what the driver gives ---- */

struct outgoing {
    struct vsock_header header; /* copied once */
    struct virtio_cursor rest;
};

/* Data beyond what the header tells of is none of the packet. */
static bool outgoing_read(const struct virtio_chain *chain, struct outgoing *out) {
    out->rest = (struct virtio_cursor){.chain = chain};
    return virtio_cursor_read(&out->rest, &out->header, VSOCK_HEADER) &&
           out->header.length <= VSOCK_LONGEST &&
           out->header.length <= virtio_readable(chain) - VSOCK_HEADER;
}

/* ---- judging ---- */

static struct vsock_peer *vsock_find_peer(struct virtio_vsock *s, uint64_t cid) {
    for (struct vsock_peer *p = s->peers; p < s->peers + s->peer_count; p++) {
        if (p->is.cid == cid) {
            return p;
        }
    }
    return NULL;
}

/* May it be sent, by the config and by what there is? known: its connection, or NULL. */
static bool vsock_may_send(const struct vsock_peer *p, const struct vsock_header *h,
                           const struct vsock_connection *known) {
    if (p->life == 0 || h->type != VSOCK_STREAM || h->operation == 0 ||
        h->operation >= VSOCK_OPERATIONS) {
        return false;
    }
    if (h->operation == VSOCK_REQUEST) {
        return p->is.may_connect && (known != NULL || p->count < VSOCK_CONNECTIONS);
    }
    return known != NULL;
}

/* ---- sending ---- */

static void outgoing_copy(struct channel *c, struct outgoing *out) {
    static const uint32_t about[3];
    uint32_t length = VSOCK_HEADER + out->header.length;
    uint32_t at = VSOCK_HEADER;

    channel_write(c, 0, &out->header, VSOCK_HEADER);
    while (at < length) {
        uint32_t piece = length - at;
        const uint8_t *from = virtio_cursor_next(&out->rest, &piece);
        ASSERT(from != NULL);
        channel_write(c, at, from, piece);
        at += piece;
    }
    channel_send(c, length, about);
}

/* False: it has to wait for room. */
static bool vsock_send(struct virtio_vsock *s, struct vsock_peer *p, struct outgoing *out) {
    const struct vsock_header *h = &out->header;
    struct vsock_connection *known = vsock_find(p, h->from_port, h->to_port);

    if (p->ending && known != NULL) { /* a reset is on its way to the driver */
        s->counts->sent.drops[VSOCK_DROP_LATE]++;
        return true;
    }
    if (p->ending || !vsock_may_send(p, h, known)) {
        vsock_refuse(s, h);
        return true;
    }
    uint32_t length = VSOCK_HEADER + h->length;
    if (p->full || !channel_wait_for_room(&p->channel, length + VSOCK_RESERVE)) {
        p->full = true;
        return false;
    }
    if (known == NULL) {
        bool added = vsock_add(p, h->from_port, h->to_port);
        ASSERT(added);
    } else if (h->operation == VSOCK_RESET) {
        vsock_remove(p, known);
    }
    outgoing_copy(&p->channel, out);
    s->counts->sent.packets++;
    s->counts->sent.bytes += h->length;
    return true;
}

/* True: the chain goes back to the driver. spent grows by what it has cost. */
static bool vsock_pass(struct virtio_vsock *s, const struct virtio_chain *chain, uint64_t *spent) {
    struct outgoing out;

    *spent += VSOCK_PACKET_COST;
    if (!outgoing_read(chain, &out)) {
        s->counts->sent.drops[VSOCK_DROP_MALFORMED]++;
        return true;
    }
    if (out.header.from != s->config.guest_cid) {
        s->counts->sent.drops[VSOCK_DROP_SOURCE]++;
        return true;
    }
    if (s->hand.listens && out.header.to == VSOCK_HOST) {
        *spent += out.header.length;
        vsock_hand_hear(s, &out.header, &out.rest);
        return true;
    }
    struct vsock_peer *p = vsock_find_peer(s, out.header.to);
    if (p == NULL) {
        vsock_refuse(s, &out.header);
        return true;
    }
    uint64_t before = s->counts->sent.bytes;
    bool done = vsock_send(s, p, &out);
    *spent += s->counts->sent.bytes - before;
    return done;
}

/* ---- turns ---- */

/* With no room for a reply, the driver has to take some first. */
static bool vsock_goes_on(const struct virtio_vsock *s, uint64_t spent) {
    return spent < VSOCK_TURN && s->reply_count < VSOCK_REPLIES;
}

/* What waits is read anew: the guest may have changed it, to its own harm. */
static bool vsock_retry(struct virtio_vsock *s, uint16_t head, uint64_t *spent) {
    struct virtio_chain chain;

    if (virtio_follow(&s->v, &s->v.queues[VSOCK_TRANSMIT], head, &chain) &&
        !vsock_pass(s, &chain, spent)) {
        return false;
    }
    virtio_give(&s->v.queues[VSOCK_TRANSMIT], &chain, 0);
    return true;
}

/* Those that go on waiting stay in their order. */
static void vsock_retry_parked(struct virtio_vsock *s, uint64_t *spent) {
    unsigned kept = 0;

    for (unsigned i = 0; i < s->parked_count; i++) {
        struct vsock_parked parked = s->parked[i];
        if (!vsock_goes_on(s, *spent) || !vsock_retry(s, parked.head, spent)) {
            s->parked[kept++] = parked;
        }
    }
    s->parked_count = kept;
}

/* Whom the packet is for that has waited longest; NULL if that cannot be known any more. */
static struct vsock_peer *vsock_find_slow(struct virtio_vsock *s) {
    struct virtio_chain chain;
    struct outgoing out;

    if (!virtio_follow(&s->v, &s->v.queues[VSOCK_TRANSMIT], s->parked[0].head, &chain) ||
        !outgoing_read(&chain, &out)) {
        return NULL;
    }
    return vsock_find_peer(s, out.header.to);
}

/* A peer that does not read loses its connections, and what is in its ring. It sees that this side
 * has started anew, once it looks. */
static void vsock_lose_patience(struct virtio_vsock *s) {
    uint64_t patience = VSOCK_PATIENCE * s->v.dev.env->clock->tsc_hz;

    if (s->parked_count == 0 || clock_now(s->v.dev.env->clock) - s->parked[0].since <= patience) {
        return;
    }
    struct vsock_peer *p = vsock_find_slow(s);
    if (p != NULL && p->full) {
        const struct dev_env *env = s->v.dev.env;
        channel_start(&p->channel);
        vsock_end(s, p);
        env->bell(env, s->first_channel + (unsigned)(p - s->peers));
    }
}

static void vsock_park(struct virtio_vsock *s, uint16_t head) {
    s->parked[s->parked_count++] =
        (struct vsock_parked){.since = clock_now(s->v.dev.env->clock), .head = head};
}

void vsock_transmit(struct virtio_vsock *s) {
    struct virtqueue *q = &s->v.queues[VSOCK_TRANSMIT];
    uint16_t before = q->used;
    uint64_t spent = 0;
    struct virtio_chain chain;

    vsock_lose_patience(s);
    for (unsigned i = 0; i < s->peer_count; i++) {
        s->peers[i].full = false;
        vsock_look_after(s, &s->peers[i]);
    }
    vsock_retry_parked(s, &spent);
    while (vsock_goes_on(s, spent) && s->parked_count < VSOCK_PARKED &&
           virtio_take(&s->v, q, &chain)) {
        if (vsock_pass(s, &chain, &spent)) {
            virtio_give(q, &chain, 0);
        } else {
            vsock_park(s, chain.head);
        }
    }
    s->transmit_due = spent >= VSOCK_TURN;
    virtio_tell(&s->v, q, before);
}
