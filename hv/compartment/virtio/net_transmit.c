/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of a frame from the guest's buffers into channels: one copy for each member that it
 * goes to. See net.h. What does not fit into a member's ring is dropped: no guest waits for
 * another.
 */
#include "hv/compartment/virtio/net.h"

#include "hv/lib/str.h"

/* ---- what the driver gives ---- */

/* A frame of the driver: what was copied of it, and where the rest is. */
struct outgoing {
    struct net_header header;
    uint8_t ethernet[NET_ETHERNET];
    struct virtio_cursor rest;
    uint32_t length;
};

#define NET_FRAME_HEADS (NET_HEADER + NET_ETHERNET)

/* What is looked at, once. Mostly it is all in the first segment. */
static void outgoing_read_heads(const struct virtio_chain *chain, struct outgoing *out) {
    const struct virtio_segment *first = chain->segments;

    out->rest = (struct virtio_cursor){.chain = chain};
    if (LIKELY(first->length > NET_FRAME_HEADS)) {
        memcpy(&out->header, first->at, NET_HEADER);
        memcpy(out->ethernet, first->at + NET_HEADER, NET_ETHERNET);
        out->rest.at = NET_FRAME_HEADS;
        return;
    }
    bool there = virtio_cursor_read(&out->rest, &out->header, sizeof(out->header)) &&
                 virtio_cursor_read(&out->rest, out->ethernet, sizeof(out->ethernet));
    ASSERT(there);
}

static enum net_drop outgoing_read(const struct virtio_net *n, const struct virtio_chain *chain,
                                   struct outgoing *out) {
    uint64_t bytes = virtio_readable(chain);

    if (bytes < NET_FRAME_HEADS) {
        return NET_DROP_MALFORMED;
    }
    if (bytes > NET_HEADER + NET_LONGEST) {
        return NET_DROP_LONG;
    }
    out->length = (uint32_t)bytes - NET_HEADER;
    outgoing_read_heads(chain, out);
    return net_judge(&out->header, out->length, out->ethernet, n->config.mtu);
}

/* ---- where it goes ---- */

static enum net_drop outgoing_send(struct net_peer *p, const struct outgoing *out) {
    struct channel *c = &p->channel;
    struct virtio_cursor rest = out->rest;
    uint32_t at = NET_ETHERNET;
    uint32_t about[3];

    if (!channel_is_heard(c)) {
        return NET_DROP_NOBODY;
    }
    if (!channel_has_room(c, out->length)) {
        return NET_DROP_FULL;
    }
    memcpy(channel_write_head(c), out->ethernet, NET_ETHERNET);
    while (at < out->length) {
        uint32_t piece = out->length - at;
        const uint8_t *from = virtio_cursor_next(&rest, &piece);
        ASSERT(from != NULL);
        channel_write(c, at, from, piece);
        at += piece;
    }
    memcpy(about, &out->header, sizeof(about));
    channel_send(c, out->length, about);
    return NET_DROPS;
}

static void net_count(struct abi_net_count *count, enum net_drop drop, uint32_t length) {
    if (drop == NET_DROPS) {
        count->frames++;
        count->bytes += length;
    } else {
        count->drops[drop]++;
    }
}

/* To all that may have the address: sent if one of them takes it. Returns how many copies. */
static uint32_t outgoing_flood(struct virtio_net *n, const struct outgoing *out, uint64_t to) {
    enum net_drop best = NET_DROP_NOBODY;
    uint32_t copies = 0;

    for (struct net_peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        enum net_drop drop = net_may_have(p, to) ? outgoing_send(p, out) : NET_DROP_NOBODY;
        copies += drop == NET_DROPS;
        if (drop != NET_DROP_NOBODY && best != NET_DROPS) {
            best = drop;
        }
    }
    net_count(&n->counts->sent, best, out->length);
    return copies;
}

/* Returns how many copies were made. */
static uint32_t net_forward(struct virtio_net *n, const struct outgoing *out) {
    uint64_t to = net_mac(out->ethernet);
    uint64_t from = net_mac(out->ethernet + 6);
    struct net_peer *p = net_find(n, to);

    if (!n->runs || (from != n->mac && !n->may_bridge)) {
        net_count(&n->counts->sent, n->runs ? NET_DROP_SOURCE : NET_DROP_NO_LINK, 0);
        return 0;
    }
    if (p == NULL) {
        return outgoing_flood(n, out, to);
    }
    net_count(&n->counts->sent, outgoing_send(p, out), out->length);
    return 1;
}

static void net_ring_bells(struct virtio_net *n) {
    const struct dev_env *env = n->v.dev.env;

    for (unsigned i = 0; i < n->peer_count; i++) {
        struct channel *c = &n->peers[i].channel;
        if (c->put != c->asked && channel_wants_bell(c)) {
            env->bell(env, n->first_channel + i);
        }
    }
}

/* As much as there is room for in a ring; what is more waits for the next turn. */
void net_transmit(struct virtio_net *n) {
    struct virtqueue *q = &n->v.queues[NET_TRANSMIT];
    uint16_t before = q->used;
    uint64_t spent = 0;
    struct virtio_chain chain;
    struct outgoing out;

    while (spent < NET_TURN && virtio_take(&n->v, q, &chain)) {
        enum net_drop drop = outgoing_read(n, &chain, &out);
        uint32_t copies = 0;
        if (drop == NET_DROPS) {
            copies = net_forward(n, &out);
        } else {
            net_count(&n->counts->sent, drop, 0);
        }
        virtio_give(q, &chain, 0);
        spent += NET_FRAME_COST + (uint64_t)copies * out.length;
    }
    n->transmit_due = spent >= NET_TURN;
    virtio_tell(&n->v, q, before);
    net_ring_bells(n);
}
