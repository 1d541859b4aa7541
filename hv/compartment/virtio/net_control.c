/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a network adapter's control queue: what the driver wants to receive, its address, its
 * offloads. See net.h. Source: VIRTIO 1.2 "Control Virtqueue".
 */
#include "hv/compartment/virtio/net.h"

#include "hv/lib/str.h"

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_OFFLOADS = 5 };
enum { RX_PROMISCUOUS = 0, RX_ALL_MULTICAST = 1 };
enum { MAC_TABLE_SET = 0, MAC_ADDRESS_SET = 1 };
enum { OFFLOADS_SET = 0 };

#define MAC_SIZE 6u

void net_control_restart(struct virtio_net *n) {
    n->filter = (struct net_filter){.promiscuous = true};
    n->own = n->mac;
    for (unsigned i = 0; i < MAC_SIZE; i++) {
        n->config.mac[i] = (uint8_t)(n->mac >> (8 * (i ^ 1))); /* as net_mac() reads it */
    }
}

bool net_filter_wants(const struct virtio_net *n, uint64_t to) {
    const struct net_filter *f = &n->filter;

    if (f->promiscuous || f->overflows || to == n->own || to == NET_BROADCAST) {
        return true;
    }
    if ((to & NET_GROUP) != 0 && f->all_multicast) {
        return true;
    }
    for (unsigned i = 0; i < f->count; i++) {
        if (f->macs[i] == to) {
            return true;
        }
    }
    return false;
}

static bool control_switch(struct virtio_cursor *c, bool *on) {
    uint8_t byte = 0;
    bool there = virtio_cursor_read(c, &byte, sizeof(byte));

    if (there) {
        *on = byte != 0;
    }
    return there;
}

static bool control_rx(struct virtio_net *n, unsigned command, struct virtio_cursor *c) {
    switch (command) {
    case RX_PROMISCUOUS:
        return control_switch(c, &n->filter.promiscuous);
    case RX_ALL_MULTICAST:
        return control_switch(c, &n->filter.all_multicast);
    default:
        return false;
    }
}

/* More addresses than are kept here let all pass. */
static bool control_read_table(struct virtio_cursor *c, struct net_filter *f) {
    uint32_t count = 0;
    uint8_t mac[MAC_SIZE];

    if (!virtio_cursor_read(c, &count, sizeof(count))) {
        return false;
    }
    if (count > NET_FILTER - f->count) {
        f->overflows = true;
        return true; /* and what follows is not looked at */
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!virtio_cursor_read(c, mac, sizeof(mac))) {
            return false;
        }
        f->macs[f->count++] = net_mac(mac);
    }
    return true;
}

/* Those of single adapters, and those of groups. */
static bool control_set_table(struct virtio_net *n, struct virtio_cursor *c) {
    struct net_filter filter = n->filter;

    filter.count = 0;
    filter.overflows = false;
    bool sane = control_read_table(c, &filter);
    if (sane && !filter.overflows) {
        sane = control_read_table(c, &filter);
    }
    if (sane) {
        n->filter = filter;
    }
    return sane;
}

/* An adapter that may not send with another address cannot have one. */
static bool control_set_address(struct virtio_net *n, struct virtio_cursor *c) {
    uint8_t mac[MAC_SIZE];

    if (!virtio_cursor_read(c, mac, sizeof(mac))) {
        return false;
    }
    uint64_t own = net_mac(mac);
    bool may = own == n->mac || (n->may_bridge && own != 0 && (own & NET_GROUP) == 0);
    if (may) {
        n->own = own;
        memcpy(n->config.mac, mac, sizeof(mac));
    }
    return may;
}

static bool control_mac(struct virtio_net *n, unsigned command, struct virtio_cursor *c) {
    switch (command) {
    case MAC_TABLE_SET:
        return net_has(n, NET_F_CONTROL_RX) && control_set_table(n, c);
    case MAC_ADDRESS_SET:
        return net_has(n, NET_F_CONTROL_MAC) && control_set_address(n, c);
    default:
        return false;
    }
}

/* None but what was agreed on. */
static bool control_offloads(struct virtio_net *n, unsigned command, struct virtio_cursor *c) {
    uint64_t offloads = 0;
    uint64_t agreed = n->v.driver_features & NET_OFFLOADS;

    if (command != OFFLOADS_SET || !virtio_cursor_read(c, &offloads, sizeof(offloads)) ||
        (offloads & ~agreed) != 0) {
        return false;
    }
    n->offloads = (uint32_t)offloads;
    return true;
}

static bool control_command(struct virtio_net *n, struct virtio_cursor *c) {
    uint8_t command[2]; /* class, and which of it */

    if (!net_has(n, NET_F_CONTROL) || !virtio_cursor_read(c, command, sizeof(command))) {
        return false;
    }
    switch (command[0]) {
    case CLASS_RX:
        return net_has(n, NET_F_CONTROL_RX) && control_rx(n, command[1], c);
    case CLASS_MAC:
        return control_mac(n, command[1], c);
    case CLASS_OFFLOADS:
        return net_has(n, NET_F_GUEST_OFFLOADS) && control_offloads(n, command[1], c);
    default:
        return false;
    }
}

/* One byte, in the first segment that the device may write. */
static uint32_t control_answer(const struct virtio_chain *chain, bool done) {
    for (unsigned i = 0; i < chain->count; i++) {
        if (chain->segments[i].writable) {
            *chain->segments[i].at = done ? 0 : 1;
            return 1;
        }
    }
    return 0;
}

void net_control(struct virtio_net *n) {
    struct virtqueue *q = &n->v.queues[NET_CONTROL];
    uint16_t before = q->used;
    struct virtio_chain chain;

    for (unsigned i = 0; i < VIRTIO_QUEUE_SIZE && virtio_take(&n->v, q, &chain); i++) {
        struct virtio_cursor c = {.chain = &chain};
        bool done = control_command(n, &c);
        virtio_give(q, &chain, control_answer(&chain, done));
    }
    virtio_tell(&n->v, q, before);
}
