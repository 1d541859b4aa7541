/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a virtio socket device as a device: its registers, its life, and when its queues are served.
 * See vsock.h.
 */
#include "hv/compartment/virtio/vsock.h"

static struct virtio_vsock *vsock_of(struct virtio *v) {
    return CONTAINER_OF(v, struct virtio_vsock, v);
}

/* ---- life ---- */

/* Disks that this guest serves wait for it. */
static void vsock_start(struct virtio_vsock *s) {
    const struct dev_env *env = s->v.dev.env;

    s->runs = true;
    for (unsigned i = 0; i < s->peer_count; i++) {
        channel_start(&s->peers[i].channel);
        s->peers[i].life = channel_life(&s->peers[i].channel);
        env->bell(env, s->first_channel + i);
    }
}

/* The others see that it is gone, and reset what they have with it. */
static void vsock_stop(struct virtio_vsock *s) {
    const struct dev_env *env = s->v.dev.env;

    for (unsigned i = 0; i < s->peer_count; i++) {
        struct vsock_peer *p = &s->peers[i];
        channel_stop(&p->channel);
        p->ending = p->full = p->took = false;
        p->count = 0;
        if (s->runs) {
            env->bell(env, s->first_channel + i);
        }
    }
    s->runs = false;
    s->incoming.peer = NULL;
    s->reply_count = s->parked_count = 0;
    s->receive_due = s->transmit_due = 0;
    vsock_hand_stop(s);
}

/* Has it a driver that is ready? It runs as long as that is so. */
static bool vsock_is_ready(struct virtio_vsock *s) {
    bool alive = virtio_is_alive(&s->v);

    if (alive && !s->runs) {
        vsock_start(s);
    } else if (!alive && s->runs) {
        vsock_stop(s);
    }
    return alive;
}

/* ---- turns ---- */

static uint64_t vsock_now(const struct virtio_vsock *s) {
    return clock_now(s->v.dev.env->clock);
}

/* As a network adapter's: between two turns the guest has its CPU for as long as the last took. */
static void vsock_take_turn(struct virtio_vsock *s, void (*turn)(struct virtio_vsock *s),
                            uint64_t *due) {
    if (*due != 0 || !vsock_is_ready(s)) {
        return;
    }
    uint64_t begin = vsock_now(s);
    turn(s);
    if (*due != 0) {
        uint64_t now = vsock_now(s);
        uint64_t least = s->v.dev.env->clock->tsc_hz / VSOCK_PAUSES_SECOND;
        *due = now + max_u64(now - begin, least) + 1;
    }
}

/* When the packet that has waited longest has waited too long. */
static uint64_t vsock_impatient_at(const struct virtio_vsock *s) {
    uint64_t patience = VSOCK_PATIENCE * s->v.dev.env->clock->tsc_hz;
    bool waits = s->parked_count != 0 && s->reply_count < VSOCK_REPLIES;
    return waits ? s->parked[0].since + patience + 1 : 0;
}

static uint64_t vsock_next(const struct virtio_vsock *s) {
    return clock_earlier(clock_earlier(s->receive_due, s->transmit_due), vsock_impatient_at(s));
}

/* What is sent may owe replies to the driver, and waits once there are too many of them. */
static void vsock_work(struct virtio_vsock *s) {
    vsock_take_turn(s, vsock_transmit, &s->transmit_due);
    bool held = s->reply_count == VSOCK_REPLIES;
    vsock_take_turn(s, vsock_receive, &s->receive_due);
    if (held && s->reply_count < VSOCK_REPLIES && s->transmit_due == 0) {
        s->transmit_due = vsock_now(s) + 1;
    }
    if (s->runs) {
        vsock_ring_bells(s);
        (void)vsock_is_ready(s);
    }
}

static void vsock_work_now(struct virtio_vsock *s) {
    vsock_work(s);
    if (vsock_next(s) != 0) {
        s->v.dev.env->reschedule(s->v.dev.env);
    }
}

static void vsock_notify(struct virtio *v, unsigned queue) {
    if (queue != VSOCK_EVENT) { /* buffers for what never happens: see docs/devices.md */
        vsock_work_now(vsock_of(v));
    }
}

void virtio_vsock_poll(struct virtio_vsock *s) {
    vsock_work_now(s);
}

static uint64_t vsock_service(struct virtio *v, uint64_t now) {
    struct virtio_vsock *s = vsock_of(v);
    uint64_t next = vsock_next(s);

    if (next == 0 || next > now) {
        return next;
    }
    s->receive_due = s->receive_due <= now ? 0 : s->receive_due;
    s->transmit_due = s->transmit_due <= now ? 0 : s->transmit_due;
    vsock_work(s);
    return vsock_next(s);
}

/* ---- the device ---- */

static void vsock_restart(struct virtio *v) {
    vsock_stop(vsock_of(v));
}

static void vsock_drop_queue(struct virtio *v, unsigned queue) {
    if (queue == VSOCK_TRANSMIT) {
        vsock_of(v)->parked_count = 0;
    }
}

static const struct virtio_model virtio_vsock_model = {
    .pci = VIRTIO_PCI(19, 0x078000u, VSOCK_QUEUES), /* communication, of no other kind */
    .queues = VSOCK_QUEUES,
    .notify = vsock_notify,
    .restart = vsock_restart,
    .drop = vsock_drop_queue,
    .service = vsock_service,
};

void virtio_vsock_make(struct virtio_vsock *s, const struct abi_devices *devices,
                       struct abi_vsock_counts *counts, struct pci_host *host, struct bus *buses,
                       unsigned slot) {
    const struct abi_vsock *vsock = &devices->vsock;

    virtio_make(&s->v, &virtio_vsock_model, host, buses, slot);
    s->v.features = VSOCK_F_STREAM;
    s->v.config = &s->config;
    s->v.config_size = sizeof(s->config);
    s->config.guest_cid = vsock->cid;
    s->first_channel = vsock->first_channel;
    s->peer_count = vsock->peer_count;
    s->runs = false;
    s->next = 0;
    s->counts = counts;
    s->hand.listens = devices->has_control;
    vsock_hand_stop(s);
    for (unsigned i = 0; i < s->peer_count; i++) {
        s->peers[i].is = vsock->peers[i];
        channel_open(&s->peers[i].channel, &devices->channels[s->first_channel + i]);
    }
}
