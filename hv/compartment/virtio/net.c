/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a virtio network adapter as a device: its features, its registers, its life and its link,
 * and when its queues are served. See net.h.
 */
#include "hv/compartment/virtio/net.h"

#include "hv/lib/str.h"

static struct virtio_net *net_of(struct virtio *v) {
    return CONTAINER_OF(v, struct virtio_net, v);
}

/* ---- life ---- */

static void net_start(struct virtio_net *n) {
    n->runs = true;
    n->offloads = (uint32_t)n->v.driver_features & NET_OFFLOADS;
    for (unsigned i = 0; i < n->peer_count; i++) {
        channel_start(&n->peers[i].channel);
    }
}

static void net_stop(struct virtio_net *n) {
    n->runs = false;
    n->incoming.peer = NULL;
    n->receive_due = n->transmit_due = 0;
    for (unsigned i = 0; i < n->peer_count; i++) {
        channel_stop(&n->peers[i].channel);
    }
}

static bool net_has_link(const struct virtio_net *n) {
    return (n->config.status & NET_STATUS_LINK) != 0;
}

bool net_is_ready(struct virtio_net *n) {
    bool ready = virtio_is_alive(&n->v) && net_has_link(n);

    if (ready && !n->runs) {
        net_start(n);
    }
    return ready;
}

/* Of the driver, or of the machine. The link stays as the operator wants it. */
static void net_restart(struct virtio *v) {
    struct virtio_net *n = net_of(v);

    net_stop(n);
    for (unsigned i = 0; i < n->peer_count; i++) {
        memset(n->peers[i].learned, 0, sizeof(n->peers[i].learned));
    }
    net_control_restart(n);
}

/* ---- turns ---- */

static uint64_t net_now(const struct virtio_net *n) {
    return clock_now(n->v.dev.env->clock);
}

/*
 * Between two turns the guest has its CPU for as long as the last one took, whatever others send to
 * it; and the others have time to read.
 */
static void net_take_turn(struct virtio_net *n, void (*turn)(struct virtio_net *n), uint64_t *due) {
    uint64_t begin = net_now(n);

    turn(n);
    if (*due != 0) {
        uint64_t now = net_now(n);
        uint64_t least = n->v.dev.env->clock->tsc_hz / NET_PAUSES_SECOND;
        *due = now + max_u64(now - begin, least) + 1;
    }
}

static void net_receive_now(struct virtio_net *n) {
    if (n->receive_due == 0 && net_is_ready(n)) {
        net_take_turn(n, net_receive, &n->receive_due);
    }
}

static void net_transmit_now(struct virtio_net *n) {
    if (n->transmit_due == 0) {
        (void)net_is_ready(n);
        net_take_turn(n, net_transmit, &n->transmit_due);
    }
}

static void net_ask_for_service(struct virtio_net *n) {
    if (n->receive_due != 0 || n->transmit_due != 0) {
        n->v.dev.env->reschedule(n->v.dev.env);
    }
}

static void net_notify(struct virtio *v, unsigned queue) {
    struct virtio_net *n = net_of(v);

    if (queue == NET_RECEIVE) {
        net_receive_now(n);
    } else if (queue == NET_TRANSMIT) {
        net_transmit_now(n);
    } else {
        net_control(n);
    }
    net_ask_for_service(n);
}

void virtio_net_poll(struct virtio_net *n) {
    net_receive_now(n);
    net_ask_for_service(n);
}

static bool net_is_due(uint64_t *due, uint64_t now) {
    if (*due == 0 || *due > now) {
        return false;
    }
    *due = 0;
    return true;
}

static uint64_t net_service(struct virtio *v, uint64_t now) {
    struct virtio_net *n = net_of(v);

    if (net_is_due(&n->transmit_due, now) && virtio_is_alive(v)) {
        net_transmit_now(n);
    }
    if (net_is_due(&n->receive_due, now)) {
        net_receive_now(n);
    }
    return clock_earlier(n->receive_due, n->transmit_due);
}

/* ---- the device ---- */

void virtio_net_set_link(struct virtio_net *n, bool up) {
    if (net_has_link(n) == up) {
        return;
    }
    n->config.status = up ? NET_STATUS_LINK : 0;
    if (up) {
        (void)net_is_ready(n);
    } else {
        net_stop(n);
    }
    virtio_config_changed(&n->v);
}

static const struct virtio_model virtio_net_model = {
    .pci = VIRTIO_PCI(1, 0x020000u, NET_QUEUES), /* Ethernet */
    .queues = NET_QUEUES,
    .notify = net_notify,
    .restart = net_restart,
    .service = net_service,
};

static void net_make_peer(struct net_peer *p, const struct abi_channel *at) {
    *p = (struct net_peer){.mac = net_mac(at->mac), .may_bridge = at->may_bridge};
    channel_open(&p->channel, at);
}

void virtio_net_make(struct virtio_net *n, const struct abi_net *net,
                     const struct abi_channel *channels, struct net_peer *peers,
                     struct abi_net_counts *counts, struct pci_host *host, struct bus *buses,
                     unsigned slot) {
    virtio_make(&n->v, &virtio_net_model, host, buses, slot);
    n->v.features = NET_FEATURES;
    n->v.config = &n->config;
    n->v.config_size = sizeof(n->config);
    n->config = (struct net_config){
        .status = net->link ? NET_STATUS_LINK : 0, .queue_pairs = 1, .mtu = net->mtu};
    memcpy(n->config.mac, net->mac, sizeof(n->config.mac));
    n->mac = n->own = net_mac(net->mac);
    n->may_bridge = net->may_bridge;
    n->first_channel = net->first_channel;
    n->peers = peers + net->first_channel;
    n->peer_count = net->channel_count;
    n->next = 0;
    n->counts = counts;
    for (unsigned i = 0; i < n->peer_count; i++) {
        net_make_peer(&n->peers[i], &channels[net->first_channel + i]);
    }
}
