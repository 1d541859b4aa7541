/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns who gets a frame on a wire, and which frames pass at all. See net.h. A member's own address
 * is the config file's and never moves. What is behind a bridge is learned from what it sends: so
 * many addresses of each bridge and no more, so that none of them can push out another's.
 */
#include "hv/compartment/virtio/net.h"

#define NET_FORGET_SECONDS 300u

static const uint16_t net_tags[] = {0x8100, 0x88a8}; /* 802.1Q, 802.1ad */

/* ---- which frames pass ---- */

static uint32_t net_longest(const uint8_t *heads, uint16_t mtu) {
    uint16_t type = net_get16(heads + NET_ETHERNET - 2);
    bool tagged = type == net_tags[0] || type == net_tags[1];
    return mtu + NET_ETHERNET + (tagged ? NET_TAG : 0);
}

enum net_drop net_judge(const struct net_header *h, uint32_t length, const uint8_t *heads,
                        uint16_t mtu) {
    bool checksum = (h->flags & NET_NEEDS_CHECKSUM) != 0;
    uint32_t checksum_end = (uint32_t)h->checksum_start + h->checksum_offset + 2;

    /* No checksum is written over an address that was judged already. */
    bool sane = !checksum || (h->checksum_start >= NET_ETHERNET && checksum_end <= length);
    if (length < NET_ETHERNET || !sane) {
        return NET_DROP_MALFORMED;
    }
    if (h->segmentation == NET_SEGMENT_NONE) {
        return length > net_longest(heads, mtu) ? NET_DROP_LONG : NET_DROPS;
    }
    unsigned kind = h->segmentation & ~NET_SEGMENT_ECN;
    bool known = kind == NET_SEGMENT_TCP4 || kind == NET_SEGMENT_TCP6;
    if (!known || !checksum || h->segment_size < NET_LEAST_SEGMENT) {
        return NET_DROP_MALFORMED;
    }
    return length > NET_LONGEST || h->segment_size > mtu ? NET_DROP_LONG : NET_DROPS;
}

/* ---- where they go ---- */

static uint64_t net_forget_before(const struct virtio_net *n, uint64_t now) {
    uint64_t span = NET_FORGET_SECONDS * n->v.dev.env->clock->tsc_hz;
    return now > span ? now - span : 0;
}

/* What two bridges claim is where it was seen last. */
static struct net_peer *net_find_learned(const struct virtio_net *n, uint64_t to) {
    uint64_t newest = net_forget_before(n, clock_now(n->v.dev.env->clock));
    struct net_peer *found = NULL;

    for (struct net_peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        for (unsigned i = 0; net_may_have(p, to) && i < NET_LEARNED; i++) {
            const struct net_learned *l = &p->learned[i];
            if (l->mac == to && l->when >= newest) {
                newest = l->when;
                found = p;
            }
        }
    }
    return found;
}

static struct net_peer *net_find_member(const struct virtio_net *n, uint64_t to) {
    for (struct net_peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        if (p->mac == to) {
            return p;
        }
    }
    return NULL;
}

struct net_peer *net_find(const struct virtio_net *n, uint64_t to) {
    if ((to & NET_GROUP) != 0 || to == 0) { /* 0 is no address, but a place that has none */
        return NULL;
    }
    struct net_peer *member = net_find_member(n, to);
    return member != NULL ? member : net_find_learned(n, to);
}

/* A frame to an address that nobody knows is none of a member's that has its own alone. */
bool net_may_have(const struct net_peer *p, uint64_t to) {
    return (to & NET_GROUP) != 0 || p->may_bridge || p->mac == 0;
}

static void net_remember(struct net_peer *p, uint64_t mac, uint64_t now) {
    for (unsigned i = 0; i < NET_LEARNED; i++) {
        if (p->learned[i].mac == mac) {
            p->learned[i].when = now;
            return;
        }
    }
    p->learned[p->next % NET_LEARNED] = (struct net_learned){.mac = mac, .when = now};
    p->next++;
}

bool net_learn(const struct virtio_net *n, struct net_peer *p, uint64_t from) {
    if (from == p->mac && from != 0) {
        return true;
    }
    if ((from & NET_GROUP) != 0 || from == 0 || !net_may_have(p, from)) {
        return false;
    }
    if (from != n->mac && net_find_member(n, from) == NULL) {
        net_remember(p, from, clock_now(n->v.dev.env->clock));
    }
    return true;
}
