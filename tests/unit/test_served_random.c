/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A served disk between a hostile driver and a hostile server: random steps, garbage and half-right
 * things in the ring, in packets and in the words of NBD, under the sanitizers. Nothing may assert,
 * nothing outside the guest's RAM and our half be touched, no turn be long, and what is kept of
 * requests be consistent. The other half is mapped read-only for the device, as the core does it.
 */
#include "tests/unit/fake_served.h"

#include "tests/unit/fake_hostile.h"

#define STEPS 2000000u /* with each seed */

static struct channel_half *theirs;
static const struct channel_half *shown;
static struct virtio_served *const s = &machine.served;
static uint64_t replies;

static uint64_t random_value(void) {
    static const uint64_t likely[] = {
        0,      1,       2,      3,      7,       12,      16,          18,        20,
        28,     44,      60,     95,     108,     512,     4096,        65536,     65580,
        262144, 0x20000, 300000, 0x8000, 1048576, 8388608, MACHINE_RAM, UINT32_MAX};
    return random_of(likely, ARRAY_SIZE(likely));
}

static void begin(void) {
    machines_clear();
    map_half(&theirs, &shown);
    memset(theirs, 0, 4096);
    pc->channel.theirs = (uintptr_t)shown;
    pc->is.read_only = (random_word() & 7) == 0;
    machine_time = 1000;
    power_on();
}

/* ---- the driver ---- */

static void step_registers(void) {
    any_register(pc);
}

static void step_memory(void) {
    any_memory(pc, 0);
}

/* A driver that has got as far as the ring. */
static void step_driver(void) {
    struct virtio *v = &s->v;
    uint64_t word = random_word();

    if ((word & 7) == 0) {
        virtio_ops.reset(&v->dev);
    }
    v->pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
    driver_set(pc, 0x14, 1, 0);
    driver_set(pc, 0x14, 1, 3);
    v->driver_features = VIRTIO_F_VERSION_1 | (word >> 8 & v->features & SERVED_FEATURES) |
                         (word << 20 & VIRTIO_FEATURES);
    driver_set(pc, 0x14, 1, 11);
    v->queues[0] = (struct virtqueue){.descriptors = TABLE(0),
                                      .driver = AVAIL(0),
                                      .device = USED(0),
                                      .size = (uint16_t)((word & 0x700000) != 0 ? RING : 64),
                                      .enabled = true};
    memset(pc->ram + AVAIL(0), 0, 8);
    memset(pc->given, 0, sizeof(pc->given));
    driver_set(pc, 0x14, 1, 15);
}

static void step_post(void) {
    static const uint32_t types[] = {BLK_IN,    BLK_OUT,    BLK_IN,      BLK_OUT,
                                     BLK_FLUSH, BLK_GET_ID, BLK_DISCARD, BLK_WRITE_ZEROES};
    uint64_t word = random_word();
    unsigned i = (unsigned)(word >> 8) % 20;
    uint32_t size =
        (word & 0x30) != 0 ? 512 * (1 + (uint32_t)(word >> 16 & 0xf)) : (uint32_t)random_value();
    uint32_t type = types[word & 7];
    uint64_t sector = (word & 0xc0) != 0 ? word >> 32 & 0x3ff : random_value();

    size = type == BLK_DISCARD || type == BLK_WRITE_ZEROES ? 16 : size;
    post(i, type, sector, size);
    uint64_t range[2] = {sector, 8};
    memcpy(pc->ram + DATA(i), range, sizeof(range));
    if ((word >> 40 & 0x1f) == 0) {
        driver_describe(pc, 0, 3 * i + (unsigned)(word >> 46) % 3, random_value(),
                        (uint32_t)random_value(), (uint32_t)random_value() & 7,
                        (uint32_t)(word >> 52));
    }
    driver_doorbell(pc, 0);
}

/* ---- the server ---- */

/* A packet of this connection, or nearly. */
static void put_packet(enum vsock_operation operation, const void *data, uint32_t size) {
    uint64_t word = random_word();
    struct vsock_header h = {.from = SERVER_CID,
                             .to = CLIENT_CID,
                             .from_port = NBD_PORT,
                             .to_port = s->stream.own_port,
                             .length = size,
                             .type = VSOCK_STREAM,
                             .operation = (uint16_t)operation,
                             .room = 256 * KIB,
                             .taken = s->stream.sent};
    if ((word & 0x1ff) == 0) {
        uint64_t value = random_value();
        memcpy((uint8_t *)&h + (word >> 8) % (VSOCK_HEADER - 8), &value, 8);
    }
    if ((word >> 48 & 0xf) == 0) {
        h.room = (uint32_t)random_value();
    }
    struct channel_record r = {.length = VSOCK_HEADER + size};
    if ((word >> 52 & 0xff) == 0) {
        r.length = (uint32_t)random_value();
    }
    uint32_t place = theirs->put;
    put_bytes(theirs, place, &r, sizeof(r));
    put_bytes(theirs, place + CHANNEL_RECORD, &h, VSOCK_HEADER);
    put_bytes(theirs, place + CHANNEL_RECORD + VSOCK_HEADER, data, size);
    theirs->put = place + (uint32_t)ALIGN_UP(CHANNEL_RECORD + r.length, CHANNEL_RECORD);
}

static void step_accept(void) {
    if (s->stream.state == STREAM_CONNECTS) {
        put_packet(VSOCK_RESPONSE, NULL, 0);
    } else {
        put_packet((enum vsock_operation)(random_word() % (VSOCK_OPERATIONS + 1)), NULL, 0);
    }
}

/* Has it said something already that nobody has read? More of the same would mostly be a lie. */
static bool has_said(void) {
    return theirs->put != s->stream.channel.taken && (random_word() & 0x1f) != 0;
}

/* What an honest one says next, with a word changed at times. */
static void step_greet(void) {
    uint8_t bytes[128];
    uint32_t size = 0;
    uint64_t word = random_word();

    if (has_said()) {
        return;
    }
    if (s->state == SERVED_GREETING) {
        nbd_put64(bytes, NBD_MAGIC);
        nbd_put64(bytes + 8, NBD_OPTION_MAGIC);
        nbd_put16(bytes + 16, 3);
        size = NBD_GREETING_SIZE;
    } else if (s->state == SERVED_OPTIONS) {
        nbd_put64(bytes, NBD_OPTION_REPLY_MAGIC);
        nbd_put32(bytes + 8, NBD_OPT_GO);
        nbd_put32(bytes + 12, NBD_REP_INFO);
        nbd_put32(bytes + 16, NBD_EXPORT_SIZE);
        nbd_put16(bytes + 20, 0);
        nbd_put64(bytes + 22, (word & 3) != 0 ? DISK_SIZE : random_value());
        nbd_put16(bytes + 30, (word & 0xc) != 0 ? ALL_FLAGS : (uint16_t)random_word());
        memcpy(bytes + 32, bytes, 16);
        nbd_put32(bytes + 44, NBD_REP_ACK);
        nbd_put32(bytes + 48, 0);
        size = 52;
    } else {
        return;
    }
    if ((word >> 8 & 0x1f) == 0) {
        nbd_put32(bytes + (word >> 16) % (size - 4), (uint32_t)random_value());
    }
    put_packet(VSOCK_DATA, bytes, size);
}

/* To one of those that are under way, or to none; with all of its data, or with others. */
static void step_reply(void) {
    static uint8_t bytes[NBD_REPLY_SIZE + 65536];
    uint64_t word = random_word();
    const struct served_request *r = &s->requests[word % SERVED_REQUESTS];

    for (unsigned i = 0; i < SERVED_REQUESTS && (r->phase != SERVED_SENT || r == s->sending); i++) {
        r = &s->requests[(word + i) % SERVED_REQUESTS];
    }
    bool there = r->phase == SERVED_SENT && r != s->sending && s->part == SERVED_HEADER;
    if (has_said() || (!there && (word >> 40 & 0x3ff) != 0)) {
        return;
    }
    uint32_t error = (word >> 16 & 7) == 0 ? (uint32_t)random_value() : 0;
    uint32_t size = error == 0 && r->type == BLK_IN && r->piece <= 65536 ? r->piece : 0;
    nbd_put32(bytes, NBD_REPLY_MAGIC);
    nbd_put32(bytes + 4, error);
    nbd_put64(bytes + 8, (word >> 20 & 0xff) == 0 ? random_value() : r->cookie);
    if ((word >> 28 & 0xff) == 0) {
        size = (uint32_t)random_value() % 65536;
    }
    put_packet(VSOCK_DATA, bytes, NBD_REPLY_SIZE);
    put_packet(VSOCK_DATA, bytes, size);
    replies++;
}

static void step_words(void) {
    uint64_t word = random_word();
    const struct channel *c = &s->stream.channel;
    uint32_t *words[] = {&theirs->put,  &theirs->taken,  &theirs->wake_at,
                         &theirs->runs, &theirs->starts, &theirs->awaits};
    uint32_t bases[] = {0, c->put, c->taken};

    *words[(word >> 1) % 6] = bases[(word >> 4) % 3] + (uint32_t)random_value();
    if ((word & 0x700) == 0) {
        put_bytes(theirs, (uint32_t)random_word(), &word, 8);
    }
}

/* As an honest side would do, so that the next packets can come. */
static void step_honest(void) {
    const struct channel *c = &s->stream.channel;

    theirs->runs = 1;
    theirs->starts |= 1;
    theirs->taken = c->put;
    theirs->wake_at = c->put;
    if (theirs->put - c->taken > CHANNEL_RING / 2) {
        theirs->put = c->taken;
    }
}

/* ---- turns ---- */

static void check_requests(void) {
    uint64_t reading = 0;
    unsigned orphans = 0;

    for (const struct served_request *r = s->requests; r < s->requests + SERVED_REQUESTS; r++) {
        bool is_out = r->phase == SERVED_SENT || r->phase == SERVED_ORPHAN;
        MUST(r->phase == SERVED_FREE || r->done <= r->size);
        MUST(!is_out || r->piece <= r->size - r->done || r->flushes);
        reading += is_out && r->type == BLK_IN && r != s->receiving ? r->piece : 0;
        orphans += r->phase == SERVED_ORPHAN;
    }
    MUST(reading == s->reading && reading <= MIB);
    MUST(orphans == s->orphans);
    MUST(s->state == SERVED_OFF || s->left != 0);
    MUST(s->have <= sizeof(s->box));
    MUST(s->spent <= SERVED_TURN + 64 * KIB + 4 * SERVED_REQUEST_COST);
}

static void step_turn(void) {
    uint64_t word = random_word();

    switch (word & 3) {
    case 0:
        virtio_served_poll(s);
        break;
    case 1:
        machine_time += word >> 8 & ((word & 0x70) != 0 ? 0xffff : 0x3fffffff);
        machine_time += s->state == SERVED_OFF ? MACHINE_HZ / 8 : 0;
        (void)virtio_ops.service(&s->v.dev, machine_time);
        break;
    default:
        driver_doorbell(pc, 0);
    }
    check_requests();
}

static void run(unsigned steps) {
    static void (*const kinds[])(void) = {step_registers, step_memory, step_driver, step_post,
                                          step_post,      step_accept, step_greet,  step_greet,
                                          step_reply,     step_reply,  step_words,  step_honest,
                                          step_turn,      step_turn,   step_turn,   step_turn};
    begin();
    for (unsigned i = 0; i < steps && !input_is_over(); i++) {
        uint64_t word = random_word();
        unsigned kind = word & 0xf;
        uint64_t rare = (kind == 2 || kind == 10) ? 0xff0 : 0;

        rare = kind <= 1 ? 0x7f0 : rare;
        rare = kind == 5 && s->stream.state != STREAM_CONNECTS ? 0x3f0 : rare;
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
    uint64_t reads = 0, writes = 0, connections = 0, lies = 0;
    for (unsigned seed = 1; seed <= 6; seed++) {
        input_seed = seed * 0x9e3779b97f4a7c15ull;
        run(STEPS);
        reads += pc->counts.reads;
        writes += pc->counts.writes;
        connections += pc->counts.connections;
        lies += pc->counts.lies;
    }
    printf("# read %u, written %u, connections %u, lies %u\n", (unsigned)reads, (unsigned)writes,
           (unsigned)connections, (unsigned)lies);
    CHECK(reads > 1000 && writes > 500 && connections > 300 && lies > 300); /* that far */
}

TEST_MAIN(T(random_steps))
#endif
