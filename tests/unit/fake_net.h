/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A wire between machines that have nothing but a network adapter each, and a driver for it: rings
 * in memory, buffers, frames. A clock that a test moves; doorbells wait until net_run().
 */
#ifndef TESTS_UNIT_FAKE_NET_H
#define TESTS_UNIT_FAKE_NET_H

#include "hv/compartment/virtio/net.h"

#define NET_MACHINES 3u
#define RING         256u
#define QUEUES       NET_QUEUES
#define BUFFERS      0x80000u
#define CLEARED      BUFFERS

/* A buffer for each descriptor of the receiving queue, and for sending. */
#define OUTGOING   0x20000u
#define BUFFER(i)  (BUFFERS + (i)*2048u)
#define GUEST_CSUM (NET_F_GUEST_CSUM)

/* channels: the first ones belong to nobody; buffer: bytes of each. */
#define MACHINE_OWN                                                                                \
    struct virtio_net net;                                                                         \
    struct abi_net_counts counts;                                                                  \
    struct net_peer peers[2 * NET_MACHINES];                                                       \
    struct abi_net abi;                                                                            \
    struct abi_channel channels[2 * NET_MACHINES];                                                 \
    uint32_t buffer;
#include "tests/unit/fake_guests.h"

static struct machine machines[NET_MACHINES];
static struct channel_half *net_halves[NET_MACHINES][NET_MACHINES]; /* from, to */
static void net_bell(const struct dev_env *env, unsigned channel) {
    struct machine *m = machine_of(env);
    unsigned self = (unsigned)(m - machines);
    struct machine *other = &machines[machine_other(self, channel - m->abi.first_channel)];
    other->belled = true;
    other->bells++;
}

static void net_address(unsigned i, uint8_t mac[6]) {
    const uint8_t is[6] = {0x52, 0x42, 0x48, 0, 0, (uint8_t)(i + 1)};
    memcpy(mac, is, sizeof(is));
}

/* With as many machines, the bits of bridges among them. */
static UNUSED void net_begin_wire(unsigned count, unsigned bridges) {
    for (unsigned from = 0; from < NET_MACHINES; from++) {
        for (unsigned to = 0; to < NET_MACHINES; to++) {
            half_begin(&net_halves[from][to]);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct machine *m = &machines[i];
        machine_begin(m, net_bell);
        m->abi = (struct abi_net){.mtu = 1500,
                                  .link = true,
                                  .may_bridge = (bridges >> i & 1) != 0,
                                  .first_channel = i + 1,
                                  .channel_count = count - 1};
        net_address(i, m->abi.mac);
        for (unsigned c = 0; c + 1 < count; c++) {
            unsigned to = machine_other(i, c);
            struct abi_channel *at = &m->channels[m->abi.first_channel + c];
            *at = (struct abi_channel){.ours = (uintptr_t)net_halves[i][to],
                                       .theirs = (uintptr_t)net_halves[to][i],
                                       .may_bridge = (bridges >> to & 1) != 0};
            net_address(to, at->mac);
        }
    }
}

/* As at a start of the machine. */
static UNUSED void net_power_on(struct machine *m) {
    machine_has(m, &m->net.v);
    virtio_net_make(&m->net, &m->abi, m->channels, m->peers, &m->counts, &m->host, m->bus, 2);
    m->counts = (struct abi_net_counts){.sent.frames = 0};
    machine_switch_on(m);
}

/* ---- the driver ---- */

/* All buffers of this size, available from the start. */
static UNUSED void net_fill_ring(struct machine *m, uint32_t size, unsigned count) {
    m->buffer = size;
    for (unsigned i = 0; i < count; i++) {
        driver_describe(m, NET_RECEIVE, i, BUFFER(i), size, WRITE, 0);
        driver_offer(m, NET_RECEIVE, i);
    }
}

/* Doorbells between the machines, and what they have left for later, until nothing is left. */
static UNUSED void net_run(void) {
    bool more = true;

    for (unsigned rounds = 0; more; rounds++) {
        more = false;
        CHECK(rounds < 10000);
        for (struct machine *m = machines; m < machines + NET_MACHINES; m++) {
            if (m->belled) {
                m->belled = false;
                more = true;
                virtio_net_poll(&m->net);
            }
            if (m->due) {
                machine_serve(m, UINT64_MAX);
                more = true;
                machine_time += 20000;
            }
        }
    }
}

/* ---- frames ---- */

/* A frame in one piece behind its header, sent. */
static UNUSED void net_post(struct machine *m, const struct net_header *h, const void *frame,
                            uint32_t size) {
    static unsigned slot;
    uint64_t at = OUTGOING + 0x12000ull * (slot++ % 4);

    memcpy(m->ram + at, h, NET_HEADER);
    memcpy(m->ram + at + NET_HEADER, frame, size);
    driver_describe(m, NET_TRANSMIT, 0, at, NET_HEADER + size, 0, 0);
    driver_offer(m, NET_TRANSMIT, 0);
    driver_doorbell(m, NET_TRANSMIT);
}

/* What has come, put together from its buffers, which are available again then: its size; 0 = there
 * is nothing. */
static UNUSED uint32_t net_pull(struct machine *m, struct net_header *h, uint8_t *frame) {
    uint16_t buffers = 1;
    uint32_t size = 0;

    for (unsigned i = 0; i < buffers; i++) {
        uint32_t id = 0, length = 0, skip = 0;
        if (!driver_take(m, NET_RECEIVE, &id, &length)) {
            CHECK_U64(i, 0); /* all or nothing */
            return 0;
        }
        uint64_t from;
        memcpy(&from, m->ram + TABLE(NET_RECEIVE) + 16ull * id, 8);
        CHECK(length <= m->buffer);
        if (i == 0) {
            memcpy(h, m->ram + from, NET_HEADER);
            buffers = h->buffers;
            skip = NET_HEADER;
        }
        memcpy(frame + size, m->ram + from + skip, length - skip);
        size += length - skip;
        driver_offer(m, NET_RECEIVE, id);
    }
    return size;
}

#endif
