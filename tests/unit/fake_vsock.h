/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that have nothing but a socket device each, with a channel to each other one, and a driver
 * for it. A clock that a test moves; doorbells wait until run_all().
 */
#ifndef TESTS_UNIT_FAKE_VSOCK_H
#define TESTS_UNIT_FAKE_VSOCK_H

#include "hv/compartment/virtio/vsock.h"

#define MACHINES 3u
#define RING     256u
#define QUEUES   VSOCK_QUEUES
#define CLEARED  0x20000u

/* A buffer for each descriptor of the receiving queue, and for sending. */
#define BUFFER(i)   (0x80000u + (i)*2048u)
#define OUTGOING(i) (0x20000u + 64u * (i))
#define DATA        0x120000u /* that all packets are sent from */

/* channels: the first one is somebody else's. */
#define MACHINE_OWN                                                                                \
    struct virtio_vsock vsock;                                                                     \
    struct abi_devices devices;                                                                    \
    struct abi_vsock_counts counts;
#include "tests/unit/fake_guests.h"

static struct machine machines[MACHINES];
static struct channel_half *halves[MACHINES][MACHINES]; /* from, to */
static void node_bell(const struct dev_env *env, unsigned channel) {
    struct machine *n = machine_of(env);
    struct machine *other = &machines[machine_other((unsigned)(n - machines),
                                                    channel - n->devices.vsock.first_channel)];
    other->belled = true;
    other->bells++;
}

static uint32_t cid_of(unsigned node) {
    return 3 + 10 * node;
}

/* may: bit 3 * from + to says that this one may connect to that one. */
static UNUSED void begin_nodes(unsigned may) {
    for (unsigned i = 0; i < MACHINES; i++) {
        struct machine *n = &machines[i];
        machine_begin(n, node_bell);
        n->devices.vsock =
            (struct abi_vsock){.cid = cid_of(i), .first_channel = 1, .peer_count = MACHINES - 1};
        for (unsigned c = 0; c + 1 < MACHINES; c++) {
            unsigned to = machine_other(i, c);
            half_begin(&halves[i][to]);
            n->devices.vsock.peers[c] =
                (struct abi_vsock_peer){.cid = cid_of(to),
                                        .may_connect = (may >> (3 * i + to) & 1) != 0,
                                        .may_accept = (may >> (3 * to + i) & 1) != 0};
        }
    }
    for (unsigned i = 0; i < MACHINES; i++) {
        for (unsigned c = 0; c + 1 < MACHINES; c++) {
            unsigned to = machine_other(i, c);
            machines[i].devices.channels[1 + c] = (struct abi_channel){
                .ours = (uintptr_t)halves[i][to], .theirs = (uintptr_t)halves[to][i]};
        }
    }
}

/* As at a start of the guest. */
static UNUSED void power_on(struct machine *n) {
    memset(&n->vsock, 0, sizeof(n->vsock));
    machine_has(n, &n->vsock.v);
    virtio_vsock_make(&n->vsock, &n->devices, &n->counts, &n->host, n->bus, 18);
    machine_switch_on(n);
}

/* ---- the driver ---- */

/* So many buffers of this size more, from the first one on; available. */
static UNUSED void give_buffers(struct machine *n, unsigned count, uint32_t size) {
    for (unsigned i = 0; i < count; i++) {
        driver_describe(n, VSOCK_RECEIVE, i, BUFFER(i), size, WRITE, 0);
        driver_offer(n, VSOCK_RECEIVE, i);
    }
}

/* All of them, with drivers that have buffers. */
static UNUSED void start_all(unsigned may) {
    begin_nodes(may);
    for (struct machine *n = machines; n < machines + MACHINES; n++) {
        power_on(n);
    }
    for (struct machine *n = machines; n < machines + MACHINES; n++) {
        driver_start(n, 0);
        give_buffers(n, RING, 2048);
    }
}

/* Doorbells, and what was left for later, until nothing is left but patience. */
static UNUSED void run_all(void) {
    bool more = true;

    for (unsigned rounds = 0; more; rounds++) {
        more = false;
        CHECK(rounds < 10000);
        for (struct machine *n = machines; n < machines + MACHINES && rounds < 10000; n++) {
            if (n->belled) {
                n->belled = false;
                more = true;
                virtio_vsock_poll(&n->vsock);
            }
            if (n->due) {
                machine_serve(n, machine_time + MACHINE_HZ);
                more = true;
                machine_time += 20000;
            }
        }
    }
}

/* ---- packets ---- */

static UNUSED struct vsock_header packet(unsigned from, unsigned to, enum vsock_operation op,
                                         uint32_t from_port, uint32_t to_port) {
    return (struct vsock_header){.from = cid_of(from),
                                 .to = cid_of(to),
                                 .from_port = from_port,
                                 .to_port = to_port,
                                 .type = VSOCK_STREAM,
                                 .operation = (uint16_t)op,
                                 .room = 0x40000,
                                 .taken = 17};
}

/* Two descriptors: the header, and size bytes of DATA. */
static UNUSED void post(struct machine *n, const struct vsock_header *h, uint32_t size) {
    unsigned slot = n->given[VSOCK_TRANSMIT] % (RING / 2);

    memcpy(n->ram + OUTGOING(slot), h, VSOCK_HEADER);
    driver_describe(n, VSOCK_TRANSMIT, 2 * slot, OUTGOING(slot), VSOCK_HEADER, size != 0 ? NEXT : 0,
                    2 * slot + 1);
    driver_describe(n, VSOCK_TRANSMIT, 2 * slot + 1, DATA, size, 0, 0);
    driver_offer(n, VSOCK_TRANSMIT, 2 * slot);
    driver_doorbell(n, VSOCK_TRANSMIT);
}

/* What has come next; its buffer is available again then. False: nothing. */
static UNUSED bool pull(struct machine *n, struct vsock_header *h, uint8_t *data) {
    uint32_t id = 0, length = 0;

    if (!driver_take(n, VSOCK_RECEIVE, &id, &length)) {
        return false;
    }
    CHECK(length >= VSOCK_HEADER && length <= 2048);
    memcpy(h, n->ram + BUFFER(id), VSOCK_HEADER);
    CHECK_U64(h->length, length - VSOCK_HEADER);
    if (data != NULL) {
        memcpy(data, n->ram + BUFFER(id) + VSOCK_HEADER, h->length);
    }
    driver_offer(n, VSOCK_RECEIVE, id);
    return true;
}

#endif
