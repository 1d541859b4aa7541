/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket device between a hostile driver and hostile other sides of its channels: random steps,
 * garbage and half-right things in rings and records, under the sanitizers. Nothing may assert,
 * nothing outside the guest's RAM and our halves be touched, no turn be long, and no connection be
 * there that the config does not let be, nor one to the operator's hand. The other halves are
 * mapped read-only for the device, as the core does it.
 */
#include "tests/unit/fake_vsock.h"

#include "tests/unit/fake_hostile.h"

#define STEPS 300000u /* with each seed */

static struct machine *const m = &machines[0];
static struct channel_half *theirs[MACHINES - 1]; /* as the hostile sides have them */
static const struct channel_half *shown[MACHINES - 1];

static uint64_t random_value(void) {
    static const uint64_t likely[] = {
        0,     1,   2,      3,      7,       13,     23,          43,        44,    45,
        88,    256, 1000,   2048,   4096,    0x1000, 0x8000,      0xffff,    65536, 65580,
        65581, 5,   262128, 262144, 0x20000, 300000, MACHINE_RAM, UINT32_MAX};
    return random_of(likely, ARRAY_SIZE(likely));
}

/* A core that tells of a few guests, and of each what comes. */
static unsigned asked;
static void ask(UNUSED const struct dev_env *env, struct exchange_control *c) {
    uint64_t word = random_word();

    asked++;
    c->done = c->guest < (word & 7) ? CONTROL_DONE : CONTROL_NO_GUEST;
    memcpy(c->name, "web", 4);
    memcpy(c->state, "off", 4);
    c->size = (uint32_t)(word >> 32) >> (word >> 8 & 31);
    c->end = c->at + 3;
}

/* One time of 64; never of a calm run, in which the rings stay whole and requests get far. */
static bool calm;
static bool is_odd(uint64_t bits) {
    return !calm && (bits & 0x3f) == 0;
}

static void begin(void) {
    uint64_t word = random_word();

    calm = (word & 0x1800) == 0;
    begin_nodes((unsigned)word & 0x1ff);
    m->devices.has_control = (word & 0x600) != 0;
    m->env.control = ask;
    for (unsigned i = 0; i < MACHINES - 1; i++) {
        map_half(&theirs[i], &shown[i]);
        memset(theirs[i], 0, 4096);
        m->devices.channels[1 + i].theirs = (uintptr_t)shown[i];
    }
    machine_time = 1000;
    power_on(m);
}

/* ---- the driver ---- */

static void step_registers(void) {
    any_register(m);
}

static void step_memory(void) {
    any_memory(m, 3);
}

static void step_honest(void);

/* A driver that has got as far as the rings, and others that are there. */
static void step_driver(void) {
    struct virtio *v = &m->vsock.v;
    uint64_t word = random_word();

    if ((word & 7) == 0) {
        virtio_ops.reset(&v->dev);
    }
    v->pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
    driver_set(m, 0x14, 1, 0);
    driver_set(m, 0x14, 1, 3);
    v->driver_features = VIRTIO_F_VERSION_1 | (word >> 8 & 1) | (word << 20 & VIRTIO_FEATURES);
    driver_set(m, 0x14, 1, 11);
    for (unsigned i = 0; i < VSOCK_QUEUES; i++) {
        v->queues[i] = (struct virtqueue){
            .descriptors = TABLE(i),
            .driver = AVAIL(i),
            .device = USED(i),
            .size = (uint16_t)(calm || (word & 0x700000) != 0 ? RING
                                                              : 1u << (word >> (40 + 4 * i)) % 9),
            .enabled = true};
        memset(m->ram + AVAIL(i), 0, 8);
    }
    memset(m->given, 0, sizeof(m->given));
    driver_set(m, 0x14, 1, 15);
    step_honest();
}

/* A calm driver makes no more available than the ring takes. */
static bool is_full(unsigned queue) {
    const struct virtqueue *q = &m->vsock.v.queues[queue];
    return calm && (uint16_t)(m->given[queue] - q->taken) >= q->size / 2;
}

static void step_buffers(void) {
    uint64_t word = random_word();

    for (unsigned i = 0; i < (word & 0xf) && !is_full(VSOCK_RECEIVE); i++) {
        unsigned index = (unsigned)(word >> 8) + i;
        uint32_t size = calm || (word & 0xf0) != 0 ? 2048 : (uint32_t)random_value();
        driver_describe(m, VSOCK_RECEIVE, index % RING, BUFFER(index % RING), size,
                        !is_odd(word >> 24) ? WRITE : (uint32_t)random_value() & 7, (uint32_t)i);
        offer(m, VSOCK_RECEIVE, !is_odd(word >> 40) ? index % RING : index);
    }
    driver_doorbell(m, VSOCK_RECEIVE);
}

/* Of a stream to the hand, in which requests lie among other bytes. */
static void aim_at_hand(struct vsock_header *h) {
    static const char *const requests[] = {
        "{\"verb\":\"list\"}\n", "{\"verb\":\"kill\",\"guest\":\"web\"}\n", "\n\n\n", "x\n",
        "{\"verb\":\"console\",\"guest\":\"web\"}\n{\"verb\":"};
    uint64_t word = random_word();
    const char *request = requests[word % ARRAY_SIZE(requests)];

    if ((word & BIT(31)) != 0) {
        h->operation = (word & BIT(62)) != 0 ? VSOCK_DATA : VSOCK_REQUEST;
    }
    h->to = VSOCK_HOST;
    h->from_port = (uint32_t)(word >> 8 & 15) % 10 + ((word >> 12 & 0xff) == 0 ? 1015 : 0);
    h->to_port = VSOCK_HAND_PORT + ((word >> 20 & 0xff) == 0 ? 1 : 0);
    h->room = (word & BIT(28)) != 0 ? h->room : (uint32_t)(word >> 32) >> (word >> 58 & 31);
    h->taken = (word & BIT(29)) != 0 ? 0 : (uint32_t)random_value();
    h->flags = (uint32_t)(word >> 30 & 3);
    if (h->length > strlen(request)) {
        h->length = (uint32_t)strlen(request);
    }
    memcpy(m->ram + DATA, request, strlen(request));
}

/* Often of one of a few connections, so that there are some. */
static struct vsock_header make_header(bool from_us, unsigned peer, uint32_t size) {
    uint64_t word = random_word();
    struct vsock_header h = packet(from_us ? 0 : 1 + peer, from_us ? 1 + peer : 0,
                                   (enum vsock_operation)(word & 7), word >> 8 & 3, word >> 10 & 3);

    h.length = size;
    if ((word >> 16 & 3) == 0) {
        h.operation = VSOCK_REQUEST;
    }
    if ((word >> 18 & 3) == 0) {
        h.operation = VSOCK_DATA;
    }
    if (from_us && (word >> 40 & (calm ? 1 : 7)) == 0) {
        aim_at_hand(&h);
    }
    if (is_odd(word >> 20)) {
        uint64_t value = random_value();
        memcpy((uint8_t *)&h + (word >> 26) % (VSOCK_HEADER - 8), &value, 8);
    }
    return h;
}

static void step_send(void) {
    uint64_t word = random_word();
    uint32_t size =
        calm || (word & 0x30) != 0 ? (uint32_t)(word >> 8 & 0xffff) : (uint32_t)random_value();
    unsigned slot = (unsigned)(word >> 24) % (RING / 2);
    struct vsock_header h = make_header(true, (word & 3) != 0, (word & 0xc0) != 0 ? size : 0);

    if (is_full(VSOCK_TRANSMIT)) {
        return;
    }
    if (h.to == VSOCK_HOST && (word & BIT(44)) != 0) {
        size = h.length != 0 ? h.length : 1;
    }
    memcpy(m->ram + OUTGOING(slot), &h, VSOCK_HEADER);
    uint32_t first = is_odd(word >> 32) ? (uint32_t)random_value() : VSOCK_HEADER;
    driver_describe(m, VSOCK_TRANSMIT, 2 * slot, OUTGOING(slot), first,
                    is_odd(word >> 38) ? (uint32_t)random_value() & 7 : NEXT, 2 * slot + 1);
    driver_describe(m, VSOCK_TRANSMIT, 2 * slot + 1, DATA, size, 0, 0);
    offer(m, VSOCK_TRANSMIT, 2 * slot);
    driver_doorbell(m, VSOCK_TRANSMIT);
}

/* ---- the other sides ---- */

static void step_record(void) {
    uint64_t word = random_word();
    unsigned peer = (unsigned)word & 1;
    const struct channel *c = &m->vsock.peers[peer].channel;
    uint32_t size = (word & 0x30) != 0 ? (uint32_t)(word >> 8 & 0x3fff) : (uint32_t)random_value();
    struct vsock_header h = make_header(false, peer, size);
    struct channel_record r = {.length = (word & 0x1c0) != 0 ? VSOCK_HEADER + size
                                                             : (uint32_t)random_value()};
    uint32_t place = (word >> 32 & 7) == 0 ? c->taken : theirs[peer]->put;

    put_bytes(theirs[peer], place, &r, sizeof(r));
    put_bytes(theirs[peer], place + CHANNEL_RECORD, &h, VSOCK_HEADER);
    theirs[peer]->put = place + ALIGN_UP(CHANNEL_RECORD + r.length, CHANNEL_RECORD);
}

static void step_words(void) {
    uint64_t word = random_word();
    struct channel_half *t = theirs[word & 1];
    const struct channel *c = &m->vsock.peers[word & 1].channel;
    uint32_t *words[] = {&t->put, &t->taken, &t->wake_at, &t->runs, &t->starts, &t->awaits};
    uint32_t bases[] = {0, c->put, c->taken};

    *words[(word >> 1) % 6] = bases[(word >> 4) % 3] + (uint32_t)random_value();
    if ((word & 0x700) == 0) {
        put_bytes(t, (uint32_t)random_word(), &word, 8);
    }
}

/* As honest sides would do, so that the next packets can come. */
static void step_honest(void) {
    for (unsigned i = 0; i < MACHINES - 1; i++) {
        const struct channel *c = &m->vsock.peers[i].channel;
        theirs[i]->runs = 1;
        theirs[i]->starts |= 1;
        theirs[i]->taken = c->put;
        theirs[i]->wake_at = c->put;
        theirs[i]->put = c->taken;
    }
}

/* ---- turns ---- */

static uint64_t all_packets(const struct abi_vsock_count *c) {
    uint64_t all = c->packets;
    for (unsigned i = 0; i < VSOCK_DROPS; i++) {
        all += c->drops[i];
    }
    return all;
}

static unsigned most_parked;

static void check_connections(void) {
    most_parked = m->vsock.parked_count > most_parked ? m->vsock.parked_count : most_parked;
    for (unsigned i = 0; i < MACHINES - 1; i++) {
        const struct vsock_peer *p = &m->vsock.peers[i];
        MUST(p->count <= VSOCK_CONNECTIONS);
        MUST(p->count == 0 || p->is.may_connect || p->is.may_accept);
        MUST(p->ending || p->count == 0 || p->life != 0);
    }
}

static void check_hand(void) {
    for (unsigned i = 0; i < VSOCK_HAND_STREAMS; i++) {
        const struct vsock_hand_stream *t = &m->vsock.hand.streams[i];
        MUST(t->port <= 1023 && (t->port == 0 || m->devices.has_control));
        MUST(t->waiting <= VSOCK_HAND_ROOM && t->received - t->told <= VSOCK_HAND_ROOM / 2);
        for (unsigned other = 0; other < i; other++) {
            MUST(t->port == 0 || t->port != m->vsock.hand.streams[other].port);
        }
    }
}

static void step_turn(void) {
    uint64_t word = random_word(), most = VSOCK_TURN / VSOCK_PACKET_COST + 1;
    uint64_t sent = all_packets(&m->counts.sent), received = all_packets(&m->counts.received);
    unsigned before = asked;

    switch (word & 7) {
    case 0:
    case 1:
        virtio_vsock_poll(&m->vsock);
        break;
    case 2:
    case 3:
        machine_time += word >> 8 & ((word & 0x70) != 0 ? 0xffff : 0x3ffffffff);
        (void)virtio_ops.service(&m->vsock.v.dev, machine_time);
        break;
    default:
        driver_doorbell(m, (word & 0x700) == 0 ? (unsigned)(word >> 12) : (unsigned)(word & 3) % 3);
    }
    MUST(all_packets(&m->counts.sent) - sent <= most + VSOCK_PARKED);
    MUST(all_packets(&m->counts.received) - received <= 2 * most + 16 * 960);
    MUST(asked - before <= 16);
    check_connections();
    check_hand();
}

static void run(unsigned steps) {
    static void (*const kinds[])(void) = {step_registers, step_memory, step_driver,  step_buffers,
                                          step_send,      step_send,   step_send,    step_record,
                                          step_record,    step_record, step_words,   step_honest,
                                          step_turn,      step_turn,   step_buffers, step_buffers};
    begin();
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        uint64_t word = random_word();
        unsigned kind = word & 0xf;
        uint64_t rare = (kind == 2 || kind == 10) ? 0x70 : 0;

        rare = kind <= 1 ? 0x7f0 : rare;
        rare |= calm && kind <= 2 ? 0xff0 : 0;
        if ((word & rare) == 0) {
            kinds[kind]();
        }
    }
}

#ifdef FUZZ
static void run_input(UNUSED bool other) {
    run(UINT32_MAX);
}
#else
TEST(random_steps) {
    uint64_t sent = 0, received = 0, refused = 0;
    for (unsigned s = 1; s <= 24; s++) {
        input_seed = s * 0x9e3779b97f4a7c15ull;
        run(STEPS);
        sent += m->counts.sent.packets;
        received += m->counts.received.packets;
        refused += m->counts.received.drops[VSOCK_DROP_REFUSED];
    }
    printf("# sent %u, received %u, refused %u, waited %u, asked the core %u\n", (unsigned)sent,
           (unsigned)received, (unsigned)refused, most_parked, asked);
    CHECK(asked > 1000);
    CHECK(sent > 5000 && received > 10000 && refused > 5000 && most_parked > 1); /* that far */
}

TEST_MAIN(T(random_steps))
#endif
