/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A wire between machines that have nothing but a network adapter each, and a driver for it: rings
 * in memory, buffers, frames. A clock that a test moves; doorbells wait until net_run().
 */
#ifndef TESTS_UNIT_FAKE_NET_H
#define TESTS_UNIT_FAKE_NET_H

#include "hv/compartment/virtio/net.h"
#include "tests/unit/test.h"

#define NET_MACHINES 3u
#define NET_RAM      0x200000u
#define RING         256u /* of the queues */
#define BUFFERS      0x80000u

/* Where queue i is; a buffer for each descriptor of the receiving one, and for sending. */
#define TABLE(i)   (0x1000u + 0x4000u * (i))
#define AVAIL(i)   (TABLE(i) + 0x1000u)
#define USED(i)    (TABLE(i) + 0x2000u)
#define OUTGOING   0x20000u
#define BUFFER(i)  (BUFFERS + (i)*2048u)
#define NEXT       1u
#define WRITE      2u
#define GUEST_CSUM (NET_F_GUEST_CSUM)

struct machine {
    struct dev_env env;
    struct bus bus[BUS_SPACES];
    struct pci_host host;
    struct virtio_net net;
    struct abi_net_counts counts;
    struct net_peer peers[2 * NET_MACHINES];
    struct abi_net abi;
    struct abi_channel channels[2 * NET_MACHINES]; /* the first ones belong to nobody */
    struct guest_region region;
    struct guest_memory memory;
    uint8_t *ram;
    bool belled, due;
    unsigned bells, messages, reschedules;
    uint16_t given[NET_QUEUES], seen[NET_QUEUES];
    uint32_t buffer; /* bytes of each */
};

static struct machine machines[NET_MACHINES];
static struct channel_half *net_halves[NET_MACHINES][NET_MACHINES]; /* from, to */
static uint64_t net_time = 1000;

static uint64_t net_tsc(void) {
    return net_time;
}
static const struct dev_clock net_clock = {.host_tsc = net_tsc, .tsc_hz = 1000000000};

static struct machine *machine_of(const struct dev_env *env) {
    return CONTAINER_OF(env, struct machine, env);
}

static void net_msi(const struct dev_env *env, UNUSED uint64_t address, UNUSED uint32_t data) {
    machine_of(env)->messages++;
}

static void net_irq(UNUSED const struct dev_env *env, UNUSED unsigned line, UNUSED bool asserted) {
}

static void net_reschedule(const struct dev_env *env) {
    machine_of(env)->due = true;
    machine_of(env)->reschedules++;
}

/* A machine's channels go to the machines of the other numbers, in their order. */
static unsigned net_other(unsigned self, unsigned channel) {
    return channel < self ? channel : channel + 1;
}

static void net_bell(const struct dev_env *env, unsigned channel) {
    struct machine *m = machine_of(env);
    unsigned self = (unsigned)(m - machines);
    struct machine *other = &machines[net_other(self, channel - m->abi.first_channel)];
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
            if (net_halves[from][to] == NULL) {
                net_halves[from][to] = aligned_alloc(4096, sizeof(struct channel_half));
            }
            memset(net_halves[from][to], 0, offsetof(struct channel_half, ring));
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct machine *m = &machines[i];
        uint8_t *ram = m->ram != NULL ? m->ram : aligned_alloc(4096, NET_RAM);
        memset(m, 0, sizeof(*m));
        m->ram = ram;
        memset(m->ram, 0, BUFFERS);
        m->region = (struct guest_region){0, NET_RAM, m->ram};
        m->memory = (struct guest_memory){.regions = &m->region, .count = 1};
        m->env = (struct dev_env){.clock = &net_clock,
                                  .memory = &m->memory,
                                  .irq = net_irq,
                                  .msi = net_msi,
                                  .reschedule = net_reschedule,
                                  .bell = net_bell};
        m->abi = (struct abi_net){.mtu = 1500,
                                  .link = true,
                                  .may_bridge = (bridges >> i & 1) != 0,
                                  .first_channel = i + 1,
                                  .channel_count = count - 1};
        net_address(i, m->abi.mac);
        for (unsigned c = 0; c + 1 < count; c++) {
            unsigned to = net_other(i, c);
            struct abi_channel *at = &m->channels[m->abi.first_channel + c];
            *at = (struct abi_channel){.ours = (uintptr_t)net_halves[i][to],
                                       .theirs = (uintptr_t)net_halves[to][i],
                                       .may_bridge = (bridges >> to & 1) != 0};
            net_address(to, at->mac);
        }
        bus_init(&m->bus[BUS_PORT]);
        bus_init(&m->bus[BUS_MEMORY]);
    }
}

/* As at a start of the machine. */
static UNUSED void net_power_on(struct machine *m) {
    m->net.v.dev = (struct device){.ops = &virtio_ops, .env = &m->env};
    virtio_net_make(&m->net, &m->abi, m->channels, m->peers, &m->counts, &m->host, m->bus, 2);
    m->counts = (struct abi_net_counts){.sent.frames = 0};
    virtio_ops.reset(&m->net.v.dev);
    m->net.v.pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
}

/* ---- the driver ---- */

static uint64_t net_reg(struct machine *m, uint64_t at, unsigned size) {
    return virtio_ops.read(&m->net.v.dev, VIRTIO_REGISTERS, at, size);
}

static void net_set(struct machine *m, uint64_t at, unsigned size, uint64_t value) {
    virtio_ops.write(&m->net.v.dev, VIRTIO_REGISTERS, at, size, value);
}

static void net_doorbell(struct machine *m, unsigned queue) {
    virtio_ops.write(&m->net.v.dev, VIRTIO_DOORBELL, 0, 2, queue);
}

static void ram_put16(struct machine *m, uint64_t at, uint32_t value) {
    uint16_t word = (uint16_t)value;
    memcpy(m->ram + at, &word, sizeof(word));
}

static uint16_t ram_get16(const struct machine *m, uint64_t at) {
    uint16_t word;
    memcpy(&word, m->ram + at, sizeof(word));
    return word;
}

static uint32_t ram_get32(const struct machine *m, uint64_t at) {
    uint32_t word;
    memcpy(&word, m->ram + at, sizeof(word));
    return word;
}

static void net_describe(struct machine *m, unsigned queue, unsigned index, uint64_t address,
                         uint32_t length, uint32_t flags, uint32_t next) {
    uint64_t at = TABLE(queue) + 16ull * index;
    memcpy(m->ram + at, &address, 8);
    memcpy(m->ram + at + 8, &length, 4);
    ram_put16(m, at + 12, flags);
    ram_put16(m, at + 14, next);
}

static void net_offer(struct machine *m, unsigned queue, uint32_t head) {
    ram_put16(m, AVAIL(queue) + 4 + 2ull * (m->given[queue] % RING), head);
    ram_put16(m, AVAIL(queue) + 2, ++m->given[queue]);
}

/* All buffers of this size, available from the start. */
static UNUSED void net_fill_ring(struct machine *m, uint32_t size, unsigned count) {
    m->buffer = size;
    for (unsigned i = 0; i < count; i++) {
        net_describe(m, NET_RECEIVE, i, BUFFER(i), size, WRITE, 0);
        net_offer(m, NET_RECEIVE, i);
    }
}

static UNUSED void net_start_driver(struct machine *m, uint64_t features) {
    memset(m->ram, 0, BUFFERS);
    memset(m->given, 0, sizeof(m->given));
    memset(m->seen, 0, sizeof(m->seen));
    net_set(m, 0x14, 1, 0);
    net_set(m, 0x14, 1, 3);
    for (unsigned half = 0; half < 2; half++) {
        net_set(m, 0x08, 4, half);
        net_set(m, 0x0c, 4, (uint32_t)((features | VIRTIO_F_VERSION_1) >> (32 * half)));
    }
    net_set(m, 0x14, 1, 11);
    CHECK_U64(net_reg(m, 0x14, 1), 11);
    for (unsigned i = 0; i < NET_QUEUES; i++) {
        net_set(m, 0x16, 2, i);
        net_set(m, 0x18, 2, RING);
        net_set(m, 0x20, 4, TABLE(i));
        net_set(m, 0x28, 4, AVAIL(i));
        net_set(m, 0x30, 4, USED(i));
        net_set(m, 0x1c, 2, 1);
    }
    net_set(m, 0x14, 1, 15);
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
                uint64_t due = virtio_ops.service(&m->net.v.dev, net_time);
                m->due = due != 0;
                more = true;
                net_time += 20000;
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
    net_describe(m, NET_TRANSMIT, 0, at, NET_HEADER + size, 0, 0);
    net_offer(m, NET_TRANSMIT, 0);
    net_doorbell(m, NET_TRANSMIT);
}

/* What has come, put together from its buffers, which are available again then: its size; 0 = there
 * is nothing. */
static UNUSED uint32_t net_pull(struct machine *m, struct net_header *h, uint8_t *frame) {
    uint16_t used = ram_get16(m, USED(NET_RECEIVE) + 2), buffers = 1;
    uint32_t size = 0;

    for (unsigned i = 0; i < buffers; i++) {
        if (m->seen[NET_RECEIVE] == used) {
            CHECK_U64(i, 0); /* all or nothing */
            return 0;
        }
        uint64_t at = USED(NET_RECEIVE) + 4 + 8ull * (m->seen[NET_RECEIVE]++ % RING);
        uint32_t id = ram_get32(m, at), length = ram_get32(m, at + 4), skip = 0;
        uint64_t from;
        CHECK(id < RING);
        memcpy(&from, m->ram + TABLE(NET_RECEIVE) + 16ull * id, 8);
        CHECK(length <= m->buffer);
        if (i == 0) {
            memcpy(h, m->ram + from, NET_HEADER);
            buffers = h->buffers;
            skip = NET_HEADER;
        }
        memcpy(frame + size, m->ram + from + skip, length - skip);
        size += length - skip;
        net_offer(m, NET_RECEIVE, id);
    }
    return size;
}

#endif
