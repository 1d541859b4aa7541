/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: what a driver may tell its socket device. Its config lets it connect to one other guest,
 * which has a driver that never reads: what is right goes there, and no answer comes. A connection
 * to itself is always answered by a reset: by that the acts see whether the device reads on.
 */
#include "guests/hostile/virtio.h"

#define SOCKETS    0x10531af4u /* device ID, vendor ID */
#define RECEIVE    0
#define TRANSMIT   1
#define EVENT      2
#define HEADER     44u
#define BUFFERS    4u
#define BUFFER     64u /* bytes of each that receives */
#define SENT       1024u
#define STREAM     1
#define REQUEST    1
#define RESET      3
#define DATA       5
#define NAMED      3u /* the CID of the guest that it may connect to */
#define OPERATIONS 100u
#define STREAMS    300u
#define PIECE      2956u /* bytes of data, which fit into the buffer after SENT and a header */

struct packet {
    uint64_t from, to;
    uint32_t from_port, to_port, length;
    uint16_t type, operation;
    uint32_t flags, room, taken;
} __attribute__((packed));

static volatile struct avail_ring incoming_avail __attribute__((aligned(4096)));
static volatile struct used_ring incoming_used __attribute__((aligned(4096)));
static uint16_t resets; /* that have come, and are no packets more */

/* ---- the driver ---- */

static uint64_t own_cid(void) {
    return reg_read(R_CONFIG, 4);
}

static void receive_into(uint16_t index, uint64_t address, uint32_t size, uint16_t flags) {
    put(&elsewhere[index], address, size, flags, 0);
    incoming_avail.entries[incoming_avail.index % QUEUE_SIZE] = index;
    __asm__ volatile("" ::: "memory");
    incoming_avail.index++;
}

static void buffers_give(void) {
    for (uint16_t i = 0; i < BUFFERS; i++) {
        receive_into(i, address_of(buffer) + BUFFER * i, BUFFER, WRITE);
    }
    doorbell(RECEIVE);
}

static void sockets_begin(void) {
    driver_use(SOCKETS);
    virtio_begin();
    (void)virtio_negotiate(F_VERSION_1);
    incoming_avail.index = 0;
    incoming_used.index = 0;
    resets = 0;
    reg_write(R_QUEUE_SELECT, 2, RECEIVE);
    virtio_queue_parts(QUEUE_SIZE, address_of(elsewhere), address_of(&incoming_avail),
                       address_of(&incoming_used));
    reg_write(R_QUEUE_SELECT, 2, TRANSMIT);
    virtio_queue_parts(QUEUE_SIZE, address_of(table), address_of(&avail), address_of(&used));
    reg_write(R_STATUS, 1, S_ALL);
}

static struct packet packet_of(uint16_t operation) {
    return (struct packet){.from = own_cid(),
                           .to = NAMED,
                           .from_port = 1000,
                           .to_port = 7,
                           .type = STREAM,
                           .operation = operation};
}

/* Answered by a reset, if it is taken at all. */
static struct packet packet_to_itself(void) {
    struct packet p = packet_of(REQUEST);
    p.to = own_cid();
    return p;
}

/* As many bytes of it as there are to be. */
static void send_bytes(const struct packet *p, uint32_t size) {
    for (uint32_t i = 0; i < sizeof(*p); i++) {
        buffer[SENT + i] = ((const uint8_t *)p)[i];
    }
    put(&table[0], address_of(buffer) + SENT, size, 0, 0);
    offer(0);
    doorbell(TRANSMIT);
}

/* Whatever came is given back. */
static void take_resets(void) {
    while (resets != incoming_used.index) {
        uint16_t index = (uint16_t)incoming_used.entries[resets % QUEUE_SIZE].head;
        receive_into(index, elsewhere[index].address, elsewhere[index].length, WRITE);
        resets++;
    }
    doorbell(RECEIVE);
}

/* The last packet that came is a reset of that connection. */
static bool is_reset(const struct packet *p) {
    uint16_t last = (uint16_t)(incoming_used.index - 1) % QUEUE_SIZE;
    volatile uint8_t *at = buffer + BUFFER * incoming_used.entries[last].head;
    struct packet got;

    for (uint32_t i = 0; i < sizeof(got); i++) {
        ((uint8_t *)&got)[i] = at[i];
    }
    return incoming_used.entries[last].length == HEADER && got.operation == RESET &&
           got.from == p->to && got.to == own_cid() && got.from_port == p->to_port &&
           got.to_port == p->from_port && got.length == 0;
}

/* What came of it, and whether the device works after a reset; it is off then. */
static const char *sockets_end(const char *seen) {
    bool broken = (reg_read(R_STATUS, 1) & S_NEEDS_RESET) != 0;
    struct packet p;

    sockets_begin();
    buffers_give();
    p = packet_to_itself();
    send_bytes(&p, HEADER);
    bool usable = incoming_used.index == 1 && is_reset(&p);
    reg_write(R_STATUS, 1, 0);
    config_write(C_COMMAND, 0);
    driver_use(0);
    out32(0xcf8, 0);
    if (!usable) {
        return "not usable any more";
    }
    return broken ? "needs a reset" : seen;
}

static const char *try_bytes(const struct packet *p, uint32_t size) {
    buffers_give();
    send_bytes(p, size);
    if (incoming_used.index == 0) {
        return sockets_end("nothing");
    }
    return sockets_end(incoming_used.index == 1 && is_reset(p) ? "reset" : "something else");
}

static const char *try_packet(const struct packet *p) {
    return try_bytes(p, HEADER);
}

/* ---- packets ---- */

const char *act_socket_short(void) {
    sockets_begin();
    struct packet p = packet_to_itself();
    return try_bytes(&p, HEADER - 1);
}

const char *act_socket_longer(void) {
    sockets_begin();
    struct packet p = packet_to_itself();
    p.length = 21;
    return try_bytes(&p, HEADER + 20);
}

const char *act_socket_huge(void) {
    sockets_begin();
    struct packet p = packet_to_itself();
    p.length = UINT32_MAX - HEADER + 1;
    return try_bytes(&p, HEADER);
}

const char *act_socket_source(void) {
    sockets_begin();
    struct packet p = packet_to_itself();
    p.from = NAMED;
    return try_packet(&p);
}

const char *act_socket_itself(void) {
    sockets_begin();
    struct packet p = packet_to_itself();
    return try_packet(&p);
}

const char *act_socket_not_named(void) {
    sockets_begin();
    struct packet p = packet_of(REQUEST);
    p.to = own_cid() + 1; /* the next guest in the file, which may connect to this one; or nobody */
    return try_packet(&p);
}

const char *act_socket_nobody(void) {
    static const uint64_t nobody[] = {0, 1, 2, 0xffffffff, 1ull << 32 | NAMED, UINT64_MAX};
    uint64_t seen = 0;

    sockets_begin();
    buffers_give();
    for (unsigned i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
        struct packet p = packet_of(REQUEST);
        p.to = nobody[i];
        send_bytes(&p, HEADER);
        seen += incoming_used.index == i + 1 && is_reset(&p);
        take_resets();
    }
    return sockets_end(saw_number(seen, "resets"));
}

const char *act_socket_type(void) {
    sockets_begin();
    struct packet p = packet_of(REQUEST);
    p.type = 3;
    return try_packet(&p);
}

const char *act_socket_operations(void) {
    uint64_t seen = 0;

    sockets_begin();
    buffers_give();
    struct packet request = packet_of(REQUEST);
    send_bytes(&request, HEADER);
    for (uint16_t i = 0; i < OPERATIONS; i++) {
        struct packet p = packet_of((uint16_t)(8 + 655 * i));
        send_bytes(&p, HEADER);
        seen += is_reset(&p);
        take_resets();
    }
    return sockets_end(saw_number(seen, "resets"));
}

const char *act_socket_unknown(void) {
    sockets_begin();
    struct packet p = packet_of(DATA);
    p.length = 20;
    return try_bytes(&p, HEADER + 20);
}

/* Credit is between the two drivers: the device does not count it. */
const char *act_socket_credit(void) {
    sockets_begin();
    struct packet p = packet_of(REQUEST);
    p.room = p.taken = p.flags = UINT32_MAX;
    send_bytes(&p, HEADER);
    p.operation = DATA;
    p.length = 20;
    send_bytes(&p, HEADER + 20);
    return sockets_end(incoming_used.index == 0 && used.index == 2 ? "taken" : "something");
}

/* ---- storms ---- */

const char *act_socket_resets(void) {
    sockets_begin();
    buffers_give();
    for (uint32_t i = 0; i < 1000; i++) {
        struct packet p = packet_of(RESET);
        p.from_port = i;
        send_bytes(&p, HEADER);
    }
    return sockets_end(incoming_used.index == 0 && used.index == 1000 ? "nothing" : "something");
}

/* It takes no answer: the device takes no more from it. */
const char *act_socket_requests(void) {
    sockets_begin();
    for (uint32_t i = 0; i < 64 + QUEUE_SIZE; i++) {
        struct packet p = packet_to_itself();
        p.from_port = i;
        send_bytes(&p, HEADER);
    }
    return sockets_end(saw_number(used.index, "taken"));
}

const char *act_socket_many(void) {
    uint64_t seen = 0;

    sockets_begin();
    buffers_give();
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct packet p = packet_of(REQUEST);
        p.from_port = i;
        send_bytes(&p, HEADER);
        seen += incoming_used.index != resets && is_reset(&p);
        take_resets();
    }
    return sockets_end(saw_number(seen, "resets"));
}

/* Until nothing more is taken: that is when what lies between the two is full. */
const char *act_socket_unread(void) {
    sockets_begin();
    struct packet p = packet_of(REQUEST);
    send_bytes(&p, HEADER);
    p = packet_of(DATA);
    p.length = PIECE;
    unsigned sent = 1;
    while (sent == used.index && sent < STREAMS) {
        send_bytes(&p, HEADER + PIECE);
        sent++;
    }
    return sockets_end(sent > 60 && sent < 90 && sent > used.index ? "waits" : "something else");
}

/* ---- buffers ---- */

const char *act_socket_small(void) {
    sockets_begin();
    for (uint16_t i = 0; i < BUFFERS; i++) {
        receive_into(i, address_of(buffer) + BUFFER * i, HEADER - 1, WRITE);
    }
    struct packet p = packet_to_itself();
    send_bytes(&p, HEADER);
    bool back = incoming_used.index == BUFFERS && incoming_used.entries[0].length == 0;
    return sockets_end(back ? "0 bytes" : "something else");
}

const char *act_socket_not_writable(void) {
    sockets_begin();
    receive_into(0, address_of(buffer), BUFFER, 0);
    struct packet p = packet_to_itself();
    send_bytes(&p, HEADER);
    bool back = incoming_used.index == 1 && incoming_used.entries[0].length == 0;
    return sockets_end(back ? "0 bytes" : "something else");
}

const char *act_socket_no_ram(void) {
    sockets_begin();
    receive_into(0, ram_end() - 20, BUFFER, WRITE);
    struct packet p = packet_to_itself();
    send_bytes(&p, HEADER);
    return sockets_end("something else");
}

const char *act_socket_loop(void) {
    sockets_begin();
    put(&table[0], address_of(buffer), 8, NEXT, 0);
    offer(0);
    doorbell(TRANSMIT);
    return sockets_end("something else");
}

/* A queue that nothing ever comes by, with a place that is none. */
const char *act_socket_event(void) {
    sockets_begin();
    buffers_give();
    reg_write(R_QUEUE_SELECT, 2, EVENT);
    virtio_queue_parts(QUEUE_SIZE, ram_end(), ram_end(), ram_end());
    doorbell(EVENT);
    return sockets_end("usable");
}
