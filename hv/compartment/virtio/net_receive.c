/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of a frame from a channel into the guest's buffers, with one copy. See net.h. Frames
 * for which there is no buffer stay in their channel, and what has no room there any more is lost
 * to this guest alone.
 */
#include "hv/compartment/virtio/net.h"

#include "hv/lib/str.h"

#define NET_SHARE (64 * KIB) /* of a turn, for one channel after the other */

enum net_result {
    NET_DONE,
    NET_NOTHING, /* nothing has come */
    NET_STARVED, /* there is no buffer */
    NET_TOO_SMALL,
};

/* ---- the guest's buffers ---- */

/* Buffers that are being filled: several, if the driver takes a frame in pieces. */
struct sink {
    struct virtio_net *n;
    struct virtqueue *q;
    struct virtio_chain chain; /* the last one that was taken */
    uint16_t chains, most;
    unsigned segment;     /* its next one */
    uint8_t *at;          /* where the next bytes go, */
    uint32_t room;        /* and how many */
    uint32_t written;     /* to that chain */
    uint8_t *count_at[2]; /* where the number of buffers stands */
    enum net_result result;
};

/* Not the chain's segments, which are many words. */
static void sink_begin(struct sink *s, struct virtio_net *n, struct virtqueue *q) {
    s->n = n;
    s->q = q;
    s->chain.count = 0;
    s->chains = 0;
    s->most = net_has(n, NET_F_MERGED) ? q->size : 1;
    s->segment = 0;
    s->room = s->written = 0;
    s->result = NET_DONE;
}

static void sink_end_chain(struct sink *s) {
    if (s->chains != 0) {
        virtio_fill(s->q, (uint16_t)(s->chains - 1), s->chain.head, s->written);
    }
}

static bool sink_next_segment(struct sink *s) {
    while (s->segment < s->chain.count) {
        const struct virtio_segment *to = &s->chain.segments[s->segment++];
        if (to->writable) {
            s->at = to->at;
            s->room = to->length;
            return true;
        }
    }
    return false;
}

/* Where the bytes after a segment's end go; false, and the result says why. */
static bool sink_go_on(struct sink *s) {
    while (!sink_next_segment(s)) {
        if (s->chains == s->most) {
            s->result = NET_TOO_SMALL;
            return false;
        }
        sink_end_chain(s);
        if (!virtio_take(&s->n->v, s->q, &s->chain)) {
            s->result = NET_STARVED;
            return false;
        }
        s->chains++;
        s->segment = 0;
        s->written = 0;
    }
    return true;
}

static inline void sink_put_piece(struct sink *s, const uint8_t *from, uint32_t size) {
    memcpy(s->at, from, size);
    s->at += size;
    s->room -= size;
    s->written += size;
}

static __attribute__((noinline)) bool sink_put_pieces(struct sink *s, const uint8_t *from,
                                                      uint32_t size) {
    while (size != 0) {
        if (s->room == 0 && !sink_go_on(s)) {
            return false;
        }
        uint32_t piece = (uint32_t)min_u64(size, s->room);
        sink_put_piece(s, from, piece);
        from += piece;
        size -= piece;
    }
    return true;
}

static inline __attribute__((always_inline)) bool sink_put(struct sink *s, const uint8_t *from,
                                                           uint32_t size) {
    if (UNLIKELY(size > s->room)) {
        return sink_put_pieces(s, from, size);
    }
    sink_put_piece(s, from, size);
    return true;
}

/* Its last word is known when all is there. */
static bool sink_put_header(struct sink *s, const struct net_header *h) {
    const uint8_t *from = (const uint8_t *)h;
    bool there = sink_put(s, from, offsetof(struct net_header, buffers));

    for (unsigned i = 0; there && i < ARRAY_SIZE(s->count_at); i++) {
        if (s->room == 0 && !sink_go_on(s)) {
            return false;
        }
        s->count_at[i] = s->at;
        sink_put_piece(s, from + offsetof(struct net_header, buffers), 1);
    }
    return there;
}

static bool sink_put_heads(struct sink *s, const struct net_incoming *in) {
    if (LIKELY(in->heads_size == NET_ETHERNET)) { /* a few moves */
        return sink_put(s, in->heads, NET_ETHERNET);
    }
    return sink_put(s, in->heads, in->heads_size);
}

static bool sink_put_channel(struct sink *s, const struct channel *c, uint32_t at, uint32_t size) {
    while (size != 0) {
        uint32_t piece = size;
        const uint8_t *from = channel_bytes(c, at, &piece);
        if (!sink_put(s, from, piece)) {
            return false;
        }
        at += piece;
        size -= piece;
    }
    return true;
}

/*
 * Mostly a frame lies in one piece in the channel, and fits into the driver's next buffer. False:
 * it is to be put there in pieces.
 */
static bool sink_put_whole(struct sink *s, const struct net_incoming *in,
                           const struct net_header *h, uint32_t size) {
    uint32_t heads = NET_HEADER + NET_ETHERNET;
    uint32_t piece = size;
    const uint8_t *from = channel_bytes(&in->peer->channel, NET_ETHERNET + in->done, &piece);
    struct net_header header = *h;

    if (in->heads_size != NET_ETHERNET || piece != size || s->chains != 1 ||
        s->room < heads + size) {
        return false;
    }
    header.buffers = 1;
    memcpy(s->at, &header, NET_HEADER);
    memcpy(s->at + NET_HEADER, in->heads, NET_ETHERNET);
    memcpy(s->at + heads, from, size);
    virtio_fill(s->q, 0, s->chain.head, heads + size);
    virtio_publish(s->q, 1);
    return true;
}

static bool sink_put_all(struct sink *s, const struct net_incoming *in, const struct net_header *h,
                         uint32_t size) {
    const struct channel *c = &in->peer->channel;
    bool all = sink_put_header(s, h) && sink_put_heads(s, in) &&
               sink_put_channel(s, c, in->heads_size + in->done, size);

    if (all) {
        sink_end_chain(s);
        *s->count_at[0] = (uint8_t)s->chains;
        *s->count_at[1] = (uint8_t)(s->chains >> 8);
        virtio_publish(s->q, s->chains);
    }
    return all;
}

/* A frame of in's heads and size bytes of the channel. Nothing is given back unless all is there.
 */
static enum net_result net_fill(struct virtio_net *n, const struct net_incoming *in,
                                const struct net_header *h, uint32_t size) {
    struct virtqueue *q = &n->v.queues[NET_RECEIVE];
    struct sink s;

    sink_begin(&s, n, q);
    if (sink_go_on(&s) && (sink_put_whole(&s, in, h, size) || sink_put_all(&s, in, h, size))) {
        return NET_DONE;
    }
    virtio_return(q, s.chains);
    return s.result;
}

/* ---- frames ---- */

static uint32_t net_needs(const struct net_header *h) {
    uint32_t needs = (h->flags & NET_NEEDS_CHECKSUM) != 0 ? NET_F_GUEST_CSUM : 0;

    if (h->segmentation != NET_SEGMENT_NONE) {
        bool tcp4 = (h->segmentation & ~NET_SEGMENT_ECN) == NET_SEGMENT_TCP4;
        needs |= tcp4 ? NET_F_GUEST_TSO4 : NET_F_GUEST_TSO6;
    }
    if ((h->segmentation & NET_SEGMENT_ECN) != 0) {
        needs |= NET_F_GUEST_ECN;
    }
    return needs;
}

/* Decided once for each frame: a driver that changes its offloads now gets this one as it was. */
static bool net_prepare(struct virtio_net *n, struct net_incoming *in) {
    in->is_finished = (net_needs(&in->header) & ~n->offloads) != 0;
    in->is_cut = in->is_finished && in->header.segmentation != NET_SEGMENT_NONE;
    if (!in->is_finished) {
        in->header.flags &= NET_NEEDS_CHECKSUM;
        in->header.header_size = (uint16_t)min_u64(in->header.header_size, in->length);
        return true;
    }
    in->heads_size = (uint32_t)min_u64(in->length, NET_HEADS);
    channel_read(&in->peer->channel, NET_ETHERNET, in->heads + NET_ETHERNET,
                 in->heads_size - NET_ETHERNET);
    return in->is_cut ? net_prepare_segments(in, n->config.mtu) : net_finish_checksum(in);
}

static enum net_drop net_accept(struct virtio_net *n, struct net_incoming *in) {
    in->heads_size = NET_ETHERNET; /* of a shorter record what lies behind it, for a moment */
    memcpy(in->heads, channel_head(&in->peer->channel), NET_ETHERNET);
    enum net_drop drop = net_judge(&in->header, in->length, in->heads, n->config.mtu);
    if (drop != NET_DROPS) {
        return drop;
    }
    if (!net_learn(n, in->peer, net_mac(in->heads + 6))) {
        return NET_DROP_SOURCE;
    }
    if (!net_filter_wants(n, net_mac(in->heads))) {
        return NET_DROP_FILTERED;
    }
    return net_prepare(n, in) ? NET_DROPS : NET_DROP_MALFORMED;
}

static void net_end(struct virtio_net *n) {
    channel_take(&n->incoming.peer->channel, n->incoming.length);
    n->incoming.peer = NULL;
}

/* The next frame of this channel is under way, or dropped; false: there is none. */
static bool net_begin(struct virtio_net *n, struct net_peer *p) {
    struct net_incoming *in = &n->incoming;
    struct channel_record record;

    if (!channel_look(&p->channel, &record)) {
        return false;
    }
    in->peer = p;
    in->length = record.length;
    in->done = 0;
    memcpy(&in->header, record.about, sizeof(in->header));
    enum net_drop drop = net_accept(n, in);
    if (drop != NET_DROPS) {
        n->counts->received.drops[drop]++;
        net_end(n);
    }
    return true;
}

/* One piece of it. spent grows by what it has cost. */
static enum net_result net_go_on(struct virtio_net *n, uint64_t *spent) {
    struct net_incoming *in = &n->incoming;
    struct net_header header = in->header;
    uint32_t size = in->length - in->heads_size - in->done;

    if (in->is_cut) {
        size = (uint32_t)min_u64(size, header.segment_size);
        net_make_segment(in, size);
    }
    if (in->is_finished) {
        header = (struct net_header){.flags = 0};
    }
    enum net_result result = net_fill(n, in, &header, size);
    *spent += size;
    if (result == NET_DONE) {
        n->counts->received.frames++;
        n->counts->received.bytes += in->heads_size + size;
        in->done += size;
    } else if (result == NET_TOO_SMALL) {
        n->counts->received.drops[NET_DROP_SMALL]++;
    }
    bool complete = in->done == in->length - in->heads_size;
    if (result == NET_TOO_SMALL || (result == NET_DONE && complete)) {
        net_end(n);
    }
    return result;
}

/* Until its share is spent, and no frame of it is half done. */
static enum net_result net_receive_from(struct virtio_net *n, struct net_peer *p, uint64_t *spent) {
    uint64_t share = *spent + NET_SHARE;

    while (*spent < NET_TURN && (*spent < share || n->incoming.peer != NULL)) {
        *spent += NET_FRAME_COST;
        if (n->incoming.peer == NULL && !net_begin(n, p)) {
            return NET_NOTHING;
        }
        if (n->incoming.peer != NULL && net_go_on(n, spent) == NET_STARVED) {
            return NET_STARVED;
        }
    }
    return NET_DONE;
}

/* One channel after the other, until all are empty. With no buffer left the driver's next doorbell
 * goes on. */
void net_receive(struct virtio_net *n) {
    struct virtqueue *q = &n->v.queues[NET_RECEIVE];
    uint16_t before = q->used;
    uint64_t spent = 0;
    enum net_result result = NET_DONE;

    for (unsigned empty = 0; empty < n->peer_count && spent < NET_TURN;) {
        result = net_receive_from(n, &n->peers[n->next], &spent);
        if (result == NET_STARVED) {
            break;
        }
        empty = result == NET_NOTHING ? empty + 1 : 0;
        if (n->incoming.peer == NULL) {
            n->next = n->next + 1 == n->peer_count ? 0 : n->next + 1;
        }
    }
    n->receive_due = result != NET_STARVED && spent >= NET_TURN;
    virtio_tell(&n->v, q, before);
}
