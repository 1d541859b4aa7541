/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what a socket device knows of its peers: the connections with each, and whether it is still
 * the one that they were made with. See vsock.h.
 */
#include "hv/compartment/virtio/vsock.h"

struct vsock_connection *vsock_find(struct vsock_peer *p, uint32_t own_port, uint32_t peer_port) {
    for (unsigned i = 0; i < p->count; i++) {
        struct vsock_connection *c = &p->connections[i];
        if (c->own_port == own_port && c->peer_port == peer_port) {
            return c;
        }
    }
    return NULL;
}

bool vsock_add(struct vsock_peer *p, uint32_t own_port, uint32_t peer_port) {
    if (p->count == VSOCK_CONNECTIONS) {
        return false;
    }
    p->connections[p->count++] =
        (struct vsock_connection){.own_port = own_port, .peer_port = peer_port};
    return true;
}

void vsock_remove(struct vsock_peer *p, struct vsock_connection *c) {
    if (c != NULL) {
        p->count--;
        *c = p->connections[p->count];
    }
}

void vsock_end(struct virtio_vsock *s, struct vsock_peer *p) {
    p->ending = p->count != 0;
    if (s->incoming.peer == p) {
        s->incoming.peer = NULL;
    }
}

void vsock_look_after(struct virtio_vsock *s, struct vsock_peer *p) {
    uint32_t life = channel_life(&p->channel);

    if (life != p->life) {
        p->life = life;
        vsock_end(s, p);
    }
}

void vsock_ring_bells(struct virtio_vsock *s) {
    const struct dev_env *env = s->v.dev.env;

    for (unsigned i = 0; i < s->peer_count; i++) {
        struct vsock_peer *p = &s->peers[i];
        bool sent = p->channel.put != p->channel.asked && channel_wants_bell(&p->channel);
        if (sent || (p->took && channel_is_awaited(&p->channel))) {
            env->bell(env, s->first_channel + i);
        }
        p->took = false;
    }
}
