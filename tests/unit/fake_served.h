/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that has nothing but a disk which another one serves, a driver for it, and that other
 * one: its compartment's end of the channel, its socket, and an NBD server that does as a test
 * says. A clock that a test moves.
 */
#ifndef TESTS_UNIT_FAKE_SERVED_H
#define TESTS_UNIT_FAKE_SERVED_H

#include "hv/compartment/virtio/nbd.h"
#include "hv/compartment/virtio/served.h"

#define RING    256u
#define QUEUES  1u
#define CLEARED 0x20000u

#define MACHINE_OWN                                                                                \
    struct virtio_served served;                                                                   \
    struct abi_disk disk;                                                                          \
    struct abi_served is;                                                                          \
    struct abi_disk_counts counts;                                                                 \
    struct abi_channel channel;
#include "tests/unit/fake_guests.h"

#define BELL       3u /* its channel, as it is rung */
#define CLIENT_CID 0xffff0001u
#define SERVER_CID 7u
#define DISK_SIZE  (8 * MIB)
#define EXPORT     "web/data"
#define ALL_FLAGS                                                                                  \
    (NBD_HAS_FLAGS | NBD_HAS_FLUSH | NBD_HAS_FUA | NBD_HAS_TRIM | NBD_HAS_WRITE_ZEROES)
#define SERVED_FEATURES (BLK_F_FLUSH | BLK_F_DISCARD | BLK_F_WRITE_ZEROES | BLK_F_CONFIG_WCE)

static struct machine machine;
static struct machine *const pc = &machine;
static struct channel_half *halves[2]; /* the disk's, the server's */

/* ---- the server ---- */

struct command {
    uint16_t flags, type;
    uint64_t cookie, at;
    uint32_t size;
    uint8_t *data; /* of a write, in server.in */
};

static struct {
    struct channel channel;
    bool listens, open;
    uint32_t port;                /* the client's, of this connection */
    unsigned requests;            /* connections that were asked for */
    uint32_t room, taken, packet; /* credit; the longest packet that it sends */
    uint32_t last_byte;           /* that the client may send by what it was told */
    uint32_t told, client_taken;
    uint32_t have, read; /* of in */
    bool greeted, asked; /* flags of the client; an option */
    uint64_t size;
    uint16_t flags;
    unsigned flushes;
    unsigned commands; /* that were carried out */
    bool holds;        /* commands stay unread */
    struct command last;
    uint8_t in[4 * MIB]; /* what has come of this connection */
    uint8_t disk[DISK_SIZE];
} server;

static void served_bell(const struct dev_env *env, unsigned channel) {
    CHECK_U64(channel, BELL);
    machine_of(env)->bells++;
}

static UNUSED void server_packet(enum vsock_operation operation, const void *data, uint32_t size) {
    static const uint32_t about[3];
    const struct vsock_header h = {.from = SERVER_CID,
                                   .to = CLIENT_CID,
                                   .from_port = NBD_PORT,
                                   .to_port = server.port,
                                   .length = size,
                                   .type = VSOCK_STREAM,
                                   .operation = (uint16_t)operation,
                                   .room = server.room,
                                   .taken = server.taken};
    CHECK(channel_has_room(&server.channel, VSOCK_HEADER + size));
    channel_write(&server.channel, 0, &h, VSOCK_HEADER);
    if (size != 0) {
        channel_write(&server.channel, VSOCK_HEADER, data, size);
    }
    channel_send(&server.channel, VSOCK_HEADER + size, about);
    server.told = server.taken;
    uint32_t last = server.taken + (uint32_t)min_u64(server.room, INT32_MAX);
    bool more = (int32_t)(last - server.last_byte) > 0; /* what was told is not taken back */
    server.last_byte = more ? last : server.last_byte;
}

static bool disk_serve(void);

/* Bytes of the stream, once there is room for them. */
static UNUSED void server_say(const void *data, uint32_t size) {
    for (uint32_t done = 0; done < size;) {
        uint32_t piece = (uint32_t)min_u64(server.packet, size - done);
        for (unsigned i = 0; i < 100 && !channel_has_room(&server.channel, piece + 4096); i++) {
            machine_time += 50000;
            virtio_served_poll(&pc->served);
            (void)disk_serve();
        }
        server_packet(VSOCK_DATA, (const uint8_t *)data + done, piece);
        done += piece;
    }
}

static void server_accept(const struct vsock_header *h) {
    server.requests++;
    server.port = h->from_port;
    server.have = server.read = server.taken = server.last_byte = 0;
    server.greeted = server.asked = false;
    server.open = server.listens;
    server_packet(server.listens ? VSOCK_RESPONSE : VSOCK_RESET, NULL, 0);
}

static void server_hear_packet(const struct vsock_header *h) {
    CHECK_U64(h->from, CLIENT_CID);
    CHECK_U64(h->to, SERVER_CID);
    CHECK_U64(h->to_port, NBD_PORT);
    if (h->operation == VSOCK_REQUEST) {
        server_accept(h);
    } else if (h->from_port == server.port && h->operation == VSOCK_DATA) {
        CHECK(server.have + h->length <= sizeof(server.in));
        CHECK((int32_t)(server.last_byte - server.have - h->length) >= 0);
        channel_read(&server.channel, VSOCK_HEADER, server.in + server.have, h->length);
        server.have += h->length;
        server.taken += h->length;
        CHECK(server.open);
    } else if (h->from_port == server.port && h->operation == VSOCK_RESET) {
        server.open = false;
    }
    server.client_taken = h->taken;
}

/* All that is in the channel. True: something was. */
static UNUSED bool server_receive(void) {
    struct channel_record record;
    bool any = false;

    while (server.channel.ours != NULL && channel_look(&server.channel, &record)) {
        struct vsock_header h;
        channel_read(&server.channel, 0, &h, VSOCK_HEADER);
        CHECK_U64(record.length, VSOCK_HEADER + h.length);
        server_hear_packet(&h);
        channel_take(&server.channel, record.length);
        any = true;
    }
    return any;
}

/* As many bytes, if they have come. */
static UNUSED uint8_t *server_next(uint32_t size) {
    if (server.have - server.read < size) {
        return NULL;
    }
    server.read += size;
    return server.in + server.read - size;
}

static UNUSED void server_greet(void) {
    uint8_t greeting[NBD_GREETING_SIZE];
    nbd_put64(greeting, NBD_MAGIC);
    nbd_put64(greeting + 8, NBD_OPTION_MAGIC);
    nbd_put16(greeting + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    server_say(greeting, sizeof(greeting));
}

static UNUSED void server_option_reply(uint32_t type, const void *data, uint32_t size) {
    uint8_t head[NBD_OPTION_REPLY_SIZE];
    nbd_put64(head, NBD_OPTION_REPLY_MAGIC);
    nbd_put32(head + 8, NBD_OPT_GO);
    nbd_put32(head + 12, type);
    nbd_put32(head + 16, size);
    server_say(head, sizeof(head));
    server_say(data, size);
}

static UNUSED void server_tell_export(void) {
    uint8_t info[NBD_EXPORT_SIZE];
    nbd_put16(info, NBD_INFO_EXPORT);
    nbd_put64(info + 2, server.size);
    nbd_put16(info + 10, server.flags);
    server_option_reply(NBD_REP_INFO, info, sizeof(info));
    server_option_reply(NBD_REP_ACK, NULL, 0);
}

static UNUSED void server_reply(uint64_t cookie, uint32_t error, const void *data, uint32_t size) {
    uint8_t head[NBD_REPLY_SIZE];
    nbd_put32(head, NBD_REPLY_MAGIC);
    nbd_put32(head + 4, error);
    nbd_put64(head + 8, cookie);
    server_say(head, sizeof(head));
    server_say(data, size);
}

/* The next one, all of it; false: it has not come. */
static UNUSED bool server_command(struct command *c) {
    const uint8_t *at = server.in + server.read;
    uint32_t left = server.have - server.read;

    if (left < NBD_REQUEST_SIZE) {
        return false;
    }
    CHECK_U64(nbd_get32(at), NBD_REQUEST_MAGIC);
    *c = (struct command){.flags = nbd_get16(at + 4),
                          .type = nbd_get16(at + 6),
                          .cookie = nbd_get64(at + 8),
                          .at = nbd_get64(at + 16),
                          .size = nbd_get32(at + 24)};
    if (c->type == NBD_WRITE && left - NBD_REQUEST_SIZE < c->size) {
        return false;
    }
    server.read += NBD_REQUEST_SIZE;
    if (c->type == NBD_WRITE) {
        c->data = server.in + server.read;
        server.read += c->size;
    }
    server.last = *c;
    return true;
}

static UNUSED void server_do(const struct command *c) {
    uint8_t *disk = server.disk + c->at;

    server.commands++;
    CHECK(c->at <= DISK_SIZE && (c->type == NBD_FLUSH || c->size <= DISK_SIZE - c->at));
    CHECK(c->type != NBD_FLUSH || (c->at == 0 && c->size == 0)); /* they are reserved */
    if (c->type == NBD_WRITE) {
        memcpy(disk, c->data, c->size);
    } else if (c->type == NBD_TRIM || c->type == NBD_WRITE_ZEROES) {
        memset(disk, 0, c->size);
    }
    server.flushes += c->type == NBD_FLUSH;
    server_reply(c->cookie, 0, disk, c->type == NBD_READ ? c->size : 0);
}

/* As an honest one. True: something came of it. */
static bool server_work(void) {
    struct command c;
    bool any = server_receive();

    if (!server.open) {
        return any;
    }
    if ((int32_t)(server.taken - server.told) >= (int32_t)(server.room / 2) && server.room != 0) {
        server_packet(VSOCK_CREDIT, NULL, 0); /* as Linux does */
        any = true;
    }
    if (!server.greeted) {
        server.greeted = true;
        server_greet();
        return true;
    }
    if (!server.asked && server.have >= 26 + strlen(EXPORT)) {
        uint8_t *words = server_next(26 + (uint32_t)strlen(EXPORT));
        CHECK_U64(nbd_get32(words), NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
        CHECK_U64(nbd_get64(words + 4), NBD_OPTION_MAGIC);
        CHECK_U64(nbd_get32(words + 12), NBD_OPT_GO);
        CHECK_U64(nbd_get32(words + 16), 6 + strlen(EXPORT));
        CHECK_U64(nbd_get32(words + 20), strlen(EXPORT));
        CHECK(memcmp(words + 24, EXPORT, strlen(EXPORT)) == 0);
        server.asked = true;
        server_tell_export();
        return true;
    }
    while (server.asked && !server.holds && server_command(&c)) {
        server_do(&c);
        any = true;
    }
    return any;
}

/* Its guest's driver is there, with another life each time. */
static UNUSED void server_boot(void) {
    channel_open(&server.channel, &(struct abi_channel){.ours = (uintptr_t)halves[1],
                                                        .theirs = (uintptr_t)halves[0]});
    channel_start(&server.channel);
    server.open = false;
}

/* ---- both ---- */

/* Service, once for what is due now; true: it had something to do. */
static bool disk_serve(void) {
    uint64_t due = virtio_ops.service(&pc->v->dev, machine_time);
    pc->due = due != 0 && due < machine_time + 1000000;
    return pc->due;
}

/* Until neither has anything to do within a millisecond. */
static UNUSED void run_both(void) {
    unsigned rounds = 0;

    for (unsigned idle = 0; idle < 2 && rounds < 10000; rounds++) {
        bool more = server_work();
        virtio_served_poll(&pc->served);
        more = disk_serve() || more;
        idle = more ? 0 : idle + 1;
        machine_time += 20000;
    }
    CHECK(rounds < 10000);
}

/* Half a second: a disk that is off tries again. */
static UNUSED void run_later(void) {
    machine_time += MACHINE_HZ / 2;
    (void)disk_serve();
    run_both();
}

/* What the server has on its disk means nothing. */
static UNUSED void machines_clear(void) {
    machine_begin(pc, served_bell);
    half_begin(&halves[0]);
    half_begin(&halves[1]);
    memset(&server, 0, offsetof(__typeof__(server), in));
    server.listens = true;
    server.room = 256 * KIB;
    server.packet = 4096;
    server.size = DISK_SIZE;
    server.flags = ALL_FLAGS;
    pc->disk = (struct abi_disk){.serial = "data"};
    pc->is = (struct abi_served){
        .cid = CLIENT_CID, .server = SERVER_CID, .channel = BELL, .export = EXPORT};
    pc->channel =
        (struct abi_channel){.ours = (uintptr_t)halves[0], .theirs = (uintptr_t)halves[1]};
}

static UNUSED void machines_begin(void) {
    machines_clear();
    for (uint32_t i = 0; i < DISK_SIZE; i++) {
        server.disk[i] = (uint8_t)(i / 512 * 3 + i % 512 + 1);
    }
}

static UNUSED void power_on(void) {
    machine_has(pc, &pc->served.v);
    virtio_served_make(&pc->served, &pc->disk, &pc->is, &pc->channel, &pc->counts, &pc->host,
                       pc->bus, 2);
    machine_switch_on(pc);
}

/* A server that listens, and a driver that is ready. */
static UNUSED void start_both(uint64_t features) {
    machines_begin();
    power_on();
    server_boot();
    run_both();
    driver_start(pc, features);
    run_both();
}

/* ---- the driver ---- */

#define HEADER(i) (0x20000u + 32u * (i))
#define STATUS(i) (0x28000u + (i))
#define DATA(i)   (0x40000u + 0x8000u * (i)) /* 32 KiB each */
#define UNTOUCHED 0xeeu

/* Request i: header, data, status, in descriptors 3 * i and the next. */
static UNUSED void post(unsigned i, uint32_t type, uint64_t sector, uint32_t length) {
    const uint32_t words[2] = {type, 0};
    uint32_t data = type == BLK_IN || type == BLK_GET_ID ? WRITE | NEXT : NEXT;

    memcpy(pc->ram + HEADER(i), words, 8);
    memcpy(pc->ram + HEADER(i) + 8, &sector, 8);
    pc->ram[STATUS(i)] = UNTOUCHED;
    driver_describe(pc, 0, 3 * i, HEADER(i), 16, NEXT, length == 0 ? 3 * i + 2 : 3 * i + 1);
    driver_describe(pc, 0, 3 * i + 1, DATA(i), length, data, 3 * i + 2);
    driver_describe(pc, 0, 3 * i + 2, STATUS(i), 1, WRITE, 0);
    driver_offer(pc, 0, 3 * i);
}

/* One alone, to its end: its status. */
static UNUSED uint8_t request(uint32_t type, uint64_t sector, uint32_t length) {
    post(0, type, sector, length);
    driver_doorbell(pc, 0);
    run_both();
    return pc->ram[STATUS(0)];
}

static UNUSED uint8_t change(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags) {
    memcpy(pc->ram + DATA(0), &sector, 8);
    memcpy(pc->ram + DATA(0) + 8, &sectors, 4);
    memcpy(pc->ram + DATA(0) + 12, &flags, 4);
    return request(type, 0, 16);
}

#endif
