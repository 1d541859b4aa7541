/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that have nothing but a socket device each, with a channel to each other one, and a driver
 * for it. A clock that a test moves; doorbells wait until run_all().
 */
#ifndef TESTS_UNIT_FAKE_VSOCK_H
#define TESTS_UNIT_FAKE_VSOCK_H

#include "hv/compartment/virtio/vsock.h"
#include "tests/unit/test.h"

#define NODES    3u
#define NODE_RAM 0x200000u
#define RING     256u /* of the queues */
#define HZ       1000000000ull

/* Where queue i is; a buffer for each descriptor of the receiving one, and for sending. */
#define TABLE(i)    (0x1000u + 0x4000u * (i))
#define AVAIL(i)    (TABLE(i) + 0x1000u)
#define USED(i)     (TABLE(i) + 0x2000u)
#define BUFFER(i)   (0x80000u + (i)*2048u)
#define OUTGOING(i) (0x20000u + 64u * (i))
#define DATA        0x120000u /* that all packets are sent from */
#define NEXT        1u
#define WRITE       2u

struct node {
    struct dev_env env;
    struct bus bus[BUS_SPACES];
    struct pci_host host;
    struct virtio_vsock vsock;
    struct abi_vsock abi;
    struct abi_vsock_counts counts;
    struct abi_channel channels[NODES]; /* the first one is somebody else's */
    struct guest_region region;
    struct guest_memory memory;
    uint8_t *ram;
    bool belled, due;
    unsigned bells, messages;
    uint16_t given[VSOCK_QUEUES], seen[VSOCK_QUEUES];
};

static struct node nodes[NODES];
static struct channel_half *halves[NODES][NODES]; /* from, to */
static uint64_t node_time = 1000;

static uint64_t node_tsc(void) {
    return node_time;
}
static const struct dev_clock node_clock = {.host_tsc = node_tsc, .tsc_hz = HZ};

static struct node *node_of(const struct dev_env *env) {
    return CONTAINER_OF(env, struct node, env);
}

static void node_msi(const struct dev_env *env, UNUSED uint64_t address, UNUSED uint32_t data) {
    node_of(env)->messages++;
}

static void node_irq(UNUSED const struct dev_env *env, UNUSED unsigned line, UNUSED bool asserted) {
}

static void node_reschedule(const struct dev_env *env) {
    node_of(env)->due = true;
}

static unsigned node_other(unsigned self, unsigned channel) {
    return channel < self ? channel : channel + 1;
}

static void node_bell(const struct dev_env *env, unsigned channel) {
    struct node *n = node_of(env);
    struct node *other = &nodes[node_other((unsigned)(n - nodes), channel - n->abi.first_channel)];
    other->belled = true;
    other->bells++;
}

static uint32_t cid_of(unsigned node) {
    return 3 + 10 * node;
}

/* may: bit 3 * from + to says that this one may connect to that one. */
static UNUSED void begin_nodes(unsigned may) {
    for (unsigned i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        uint8_t *ram = n->ram != NULL ? n->ram : aligned_alloc(4096, NODE_RAM);
        memset(n, 0, sizeof(*n));
        n->ram = ram;
        n->region = (struct guest_region){0, NODE_RAM, n->ram};
        n->memory = (struct guest_memory){.regions = &n->region, .count = 1};
        n->env = (struct dev_env){.clock = &node_clock,
                                  .memory = &n->memory,
                                  .irq = node_irq,
                                  .msi = node_msi,
                                  .reschedule = node_reschedule,
                                  .bell = node_bell};
        n->abi = (struct abi_vsock){.cid = cid_of(i), .first_channel = 1, .peer_count = NODES - 1};
        for (unsigned c = 0; c + 1 < NODES; c++) {
            unsigned to = node_other(i, c);
            if (halves[i][to] == NULL) {
                halves[i][to] = aligned_alloc(4096, sizeof(struct channel_half));
            }
            memset(halves[i][to], 0, offsetof(struct channel_half, ring));
            n->abi.peers[c] = (struct abi_vsock_peer){.cid = cid_of(to),
                                                      .may_connect = (may >> (3 * i + to) & 1) != 0,
                                                      .may_accept = (may >> (3 * to + i) & 1) != 0};
        }
        bus_init(&n->bus[BUS_PORT]);
        bus_init(&n->bus[BUS_MEMORY]);
    }
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned c = 0; c + 1 < NODES; c++) {
            unsigned to = node_other(i, c);
            nodes[i].channels[1 + c] = (struct abi_channel){.ours = (uintptr_t)halves[i][to],
                                                            .theirs = (uintptr_t)halves[to][i]};
        }
    }
}

/* As at a start of the guest. */
static UNUSED void power_on(struct node *n) {
    memset(&n->vsock, 0, sizeof(n->vsock));
    n->vsock.v.dev = (struct device){.ops = &virtio_ops, .env = &n->env};
    virtio_vsock_make(&n->vsock, &n->abi, n->channels, &n->counts, &n->host, n->bus, 18);
    virtio_ops.reset(&n->vsock.v.dev);
    n->vsock.v.pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
}

/* ---- the driver ---- */

static uint64_t node_reg(struct node *n, uint64_t at, unsigned size) {
    return virtio_ops.read(&n->vsock.v.dev, VIRTIO_REGISTERS, at, size);
}

static void node_set(struct node *n, uint64_t at, unsigned size, uint64_t value) {
    virtio_ops.write(&n->vsock.v.dev, VIRTIO_REGISTERS, at, size, value);
}

static void node_doorbell(struct node *n, unsigned queue) {
    virtio_ops.write(&n->vsock.v.dev, VIRTIO_DOORBELL, 0, 2, queue);
}

static void put16(struct node *n, uint64_t at, uint32_t value) {
    uint16_t word = (uint16_t)value;
    memcpy(n->ram + at, &word, sizeof(word));
}

static uint16_t get16(const struct node *n, uint64_t at) {
    uint16_t word;
    memcpy(&word, n->ram + at, sizeof(word));
    return word;
}

static uint32_t get32(const struct node *n, uint64_t at) {
    uint32_t word;
    memcpy(&word, n->ram + at, sizeof(word));
    return word;
}

static void describe(struct node *n, unsigned queue, unsigned index, uint64_t address,
                     uint32_t length, uint32_t flags, uint32_t next) {
    uint64_t at = TABLE(queue) + 16ull * index;
    memcpy(n->ram + at, &address, 8);
    memcpy(n->ram + at + 8, &length, 4);
    put16(n, at + 12, flags);
    put16(n, at + 14, next);
}

static void offer(struct node *n, unsigned queue, uint32_t head) {
    put16(n, AVAIL(queue) + 4 + 2ull * (n->given[queue] % RING), head);
    put16(n, AVAIL(queue) + 2, ++n->given[queue]);
}

/* So many buffers of this size more, from the first one on; available. */
static UNUSED void give_buffers(struct node *n, unsigned count, uint32_t size) {
    for (unsigned i = 0; i < count; i++) {
        describe(n, VSOCK_RECEIVE, i, BUFFER(i), size, WRITE, 0);
        offer(n, VSOCK_RECEIVE, i);
    }
}

static UNUSED void start_driver(struct node *n) {
    memset(n->ram, 0, 0x20000);
    memset(n->given, 0, sizeof(n->given));
    memset(n->seen, 0, sizeof(n->seen));
    node_set(n, 0x14, 1, 0);
    node_set(n, 0x14, 1, 3);
    node_set(n, 0x08, 4, 1);
    node_set(n, 0x0c, 4, 1);
    node_set(n, 0x14, 1, 11);
    CHECK_U64(node_reg(n, 0x14, 1), 11);
    for (unsigned i = 0; i < VSOCK_QUEUES; i++) {
        node_set(n, 0x16, 2, i);
        node_set(n, 0x18, 2, RING);
        node_set(n, 0x20, 4, TABLE(i));
        node_set(n, 0x28, 4, AVAIL(i));
        node_set(n, 0x30, 4, USED(i));
        node_set(n, 0x1c, 2, 1);
    }
    node_set(n, 0x14, 1, 15);
}

/* All of them, with drivers that have buffers. */
static UNUSED void start_all(unsigned may) {
    begin_nodes(may);
    for (struct node *n = nodes; n < nodes + NODES; n++) {
        power_on(n);
    }
    for (struct node *n = nodes; n < nodes + NODES; n++) {
        start_driver(n);
        give_buffers(n, RING, 2048);
    }
}

/* Doorbells, and what was left for later, until nothing is left but patience. */
static UNUSED void run_all(void) {
    bool more = true;

    for (unsigned rounds = 0; more; rounds++) {
        more = false;
        CHECK(rounds < 10000);
        for (struct node *n = nodes; n < nodes + NODES && rounds < 10000; n++) {
            if (n->belled) {
                n->belled = false;
                more = true;
                virtio_vsock_poll(&n->vsock);
            }
            if (n->due) {
                uint64_t due = virtio_ops.service(&n->vsock.v.dev, node_time);
                n->due = due != 0 && due < node_time + HZ;
                more = true;
                node_time += 20000;
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
static UNUSED void post(struct node *n, const struct vsock_header *h, uint32_t size) {
    unsigned slot = n->given[VSOCK_TRANSMIT] % (RING / 2);

    memcpy(n->ram + OUTGOING(slot), h, VSOCK_HEADER);
    describe(n, VSOCK_TRANSMIT, 2 * slot, OUTGOING(slot), VSOCK_HEADER, size != 0 ? NEXT : 0,
             2 * slot + 1);
    describe(n, VSOCK_TRANSMIT, 2 * slot + 1, DATA, size, 0, 0);
    offer(n, VSOCK_TRANSMIT, 2 * slot);
    node_doorbell(n, VSOCK_TRANSMIT);
}

/* What has come next; its buffer is available again then. False: nothing. */
static UNUSED bool pull(struct node *n, struct vsock_header *h, uint8_t *data) {
    if (n->seen[VSOCK_RECEIVE] == get16(n, USED(VSOCK_RECEIVE) + 2)) {
        return false;
    }
    uint64_t at = USED(VSOCK_RECEIVE) + 4 + 8ull * (n->seen[VSOCK_RECEIVE]++ % RING);
    uint32_t id = get32(n, at), length = get32(n, at + 4);
    CHECK(id < RING && length >= VSOCK_HEADER && length <= 2048);
    memcpy(h, n->ram + BUFFER(id), VSOCK_HEADER);
    CHECK_U64(h->length, length - VSOCK_HEADER);
    if (data != NULL) {
        memcpy(data, n->ram + BUFFER(id) + VSOCK_HEADER, h->length);
    }
    offer(n, VSOCK_RECEIVE, id);
    return true;
}

#endif
