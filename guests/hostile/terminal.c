/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: what a driver may do to its virtio console, which each guest has: messages, queues and
 * bytes in each wrong order. What it shows are ends of lines, which this guest's own words do not
 * mind.
 */
#include "guests/hostile/virtio.h"

#define CONSOLE     0x10431af4u /* device ID, vendor ID */
#define F_MULTIPORT (1ull << 1)
#define RINGS       0x1000000u /* where the queues are, 16 KiB each */
#define QUEUES      16u
#define ENTRIES     64u /* of a queue */
#define OUTPUT      16384u

enum { RECEIVE, TRANSMIT, CONTROL_IN, CONTROL_OUT };
enum { DEVICE_READY, PORT_ADD, PORT_READY = 3, PORT_OPEN = 6 };
enum { CONFIG_PORTS = R_CONFIG + 4, CONFIG_EMERGENCY = R_CONFIG + 8 };

struct message {
    uint32_t port;
    uint16_t event, value;
};

struct rings {
    struct descriptor table[256];
    struct avail_ring avail;
    uint8_t buffer[8192 - 4096 - sizeof(struct avail_ring)];
    struct used_ring used;
    uint8_t rest[8192 - sizeof(struct used_ring)];
};
_Static_assert(sizeof(struct rings) == 16384, "of each queue");

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint64_t random_word(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static volatile struct rings *rings_of(unsigned queue) {
    return (volatile struct rings *)(uintptr_t)(RINGS + queue * sizeof(struct rings));
}

/* ---- the driver ---- */

static void start_queue(unsigned queue) {
    volatile struct rings *r = rings_of(queue);

    r->avail.flags = r->avail.index = 0;
    r->used.flags = r->used.index = 0;
    reg_write(R_QUEUE_SELECT, 2, queue);
    virtio_queue_parts(ENTRIES, address_of(r->table), address_of(&r->avail), address_of(&r->used));
}

static void start(void) {
    driver_use(CONSOLE);
    virtio_begin();
    (void)virtio_negotiate(F_VERSION_1 | F_MULTIPORT);
    for (unsigned i = 0; i < QUEUES; i++) {
        start_queue(i);
    }
    reg_write(R_STATUS, 1, S_ALL);
}

/* The next descriptor of a queue is this buffer. */
static void give(unsigned queue, uint64_t address, uint32_t length, uint16_t flags) {
    volatile struct rings *r = rings_of(queue);
    uint16_t n = r->avail.index % ENTRIES;

    put(&r->table[n], address, length, flags, 0);
    r->avail.entries[n] = n;
    __asm__ volatile("" ::: "memory");
    r->avail.index++;
}

static void say_bytes(const struct message *m, uint32_t size) {
    volatile struct rings *r = rings_of(CONTROL_OUT);
    volatile struct message *at =
        (volatile struct message *)(uintptr_t)(address_of(r->buffer) +
                                               sizeof(*m) * (r->avail.index % ENTRIES));
    *at = *m;
    give(CONTROL_OUT, address_of(at), size, 0);
    doorbell(CONTROL_OUT);
}

static void say(uint32_t port, uint16_t event, uint16_t value) {
    say_bytes(&(struct message){port, event, value}, sizeof(struct message));
}

static uint16_t back(unsigned queue) {
    return rings_of(queue)->used.index;
}

static bool broken(void) {
    return (reg_read(R_STATUS, 1) & S_NEEDS_RESET) != 0;
}

/* Buffers to be told something; returns how many come back, up to eight. */
static unsigned hear(uint32_t length, uint16_t flags) {
    for (unsigned i = 0; i < 8; i++) {
        give(CONTROL_IN, address_of(rings_of(CONTROL_IN)->buffer) + 64 * i, length, flags);
    }
    doorbell(CONTROL_IN);
    return back(CONTROL_IN);
}

/* After a reset it works: the terminal is added, and takes bytes. */
static bool works(void) {
    start();
    say(0, DEVICE_READY, 1);
    bool added = hear(64, WRITE) == 1 && rings_of(CONTROL_IN)->used.entries[0].length == 8;
    buffer[0] = '\n';
    give(TRANSMIT, address_of(buffer), 1, 0);
    doorbell(TRANSMIT);
    return added && back(TRANSMIT) == 1 && !broken();
}

static const char *end(const char *outcome) {
    bool usable = works();
    reg_write(R_STATUS, 1, 0);
    config_write(C_COMMAND, 0);
    out32(0xcf8, 0);
    driver_use(0);
    return usable ? outcome : "not usable any more";
}

static const char *end_with(bool as_expected, const char *expected) {
    return end(saw(as_expected, expected));
}

/* ---- messages ---- */

const char *act_hvc_messages(void) {
    start();
    unsigned all = 0;
    for (; all < 1000; all++) {
        uint64_t word = random_word();
        struct message m = {(uint32_t)(word & 3), (uint16_t)(word >> 8 & 7),
                            (uint16_t)(word >> 16 & 1)};
        m.port = (word >> 20 & 3) == 0 ? (uint32_t)(word >> 32) : m.port;
        m.event = (word >> 22 & 3) == 0 ? (uint16_t)(word >> 40) : m.event;
        say_bytes(&m, (word >> 24 & 7) == 0 ? (uint32_t)(word >> 27 & 7) + 1 : sizeof(m));
    }
    return end_with(back(CONTROL_OUT) == all && !broken(), "all taken");
}

const char *act_hvc_port_ids(void) {
    static const uint32_t ids[] = {1, 2, 6, 7, 8, 31, 255, 65535, 0x80000000, 0xffffffff};
    start();
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        say(ids[i], PORT_READY, 1);
        say(ids[i], PORT_OPEN, 1);
    }
    return end_with(back(CONTROL_OUT) == 20 && hear(64, WRITE) == 0, "nothing told");
}

const char *act_hvc_short(void) {
    start();
    for (uint32_t size = 1; size < sizeof(struct message); size++) {
        say_bytes(&(struct message){0, DEVICE_READY, 1}, size);
    }
    return end_with(back(CONTROL_OUT) == 7 && hear(64, WRITE) == 0, "nothing told");
}

const char *act_hvc_again(void) {
    start();
    for (unsigned i = 0; i < 200; i++) {
        say(0, DEVICE_READY, 1);
        say(0, PORT_READY, 1);
    }
    unsigned told = hear(64, WRITE);
    return end(saw_number(told, "messages"));
}

const char *act_hvc_small(void) {
    start();
    say(0, DEVICE_READY, 1);
    bool cut = hear(3, WRITE) == 1 && rings_of(CONTROL_IN)->used.entries[0].length == 3;
    return end_with(cut, "3 bytes");
}

const char *act_hvc_unwritable(void) {
    start();
    say(0, DEVICE_READY, 1);
    bool none = hear(64, 0) == 1 && rings_of(CONTROL_IN)->used.entries[0].length == 0;
    return end_with(none, "0 bytes");
}

const char *act_hvc_index(void) {
    start();
    rings_of(CONTROL_OUT)->avail.index = 0x8000;
    doorbell(CONTROL_OUT);
    return end_with(broken() && back(CONTROL_OUT) == 0, "needs a reset");
}

const char *act_hvc_no_ports(void) {
    start();
    reg_write(R_STATUS, 1, 0);
    reg_write(R_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER);
    (void)virtio_negotiate(F_VERSION_1);
    start_queue(CONTROL_IN);
    start_queue(CONTROL_OUT);
    reg_write(R_STATUS, 1, S_ALL);
    say(0, DEVICE_READY, 1);
    return end_with(back(CONTROL_OUT) == 0 && hear(64, WRITE) == 0, "nothing told");
}

/* ---- queues and bytes ---- */

const char *act_hvc_port_queues(void) {
    start();
    bool none = true;
    for (unsigned i = 4; i < QUEUES; i++) {
        give(i, address_of(buffer), 64, i % 2 == 0 ? WRITE : 0);
        doorbell((uint16_t)i);
        none = none && back(i) == 0;
    }
    return end_with(none && !broken(), "nothing");
}

static void fill_output(void) {
    volatile uint8_t *at = (volatile uint8_t *)(uintptr_t)(RINGS + QUEUES * sizeof(struct rings));
    for (unsigned i = 0; i < OUTPUT; i++) {
        at[i] = '\n';
    }
    give(TRANSMIT, address_of(at), OUTPUT, 0);
}

const char *act_hvc_reset(void) {
    start();
    fill_output();
    doorbell(TRANSMIT);
    reg_write(R_STATUS, 1, 0);
    return end_with(back(TRANSMIT) == 0, "not yet back");
}

const char *act_hvc_huge(void) {
    start();
    give(TRANSMIT, address_of(buffer), 0xffffffff, 0);
    doorbell(TRANSMIT);
    return end_with(broken(), "needs a reset");
}

const char *act_hvc_no_reader(void) {
    start();
    for (unsigned i = 0; i < ENTRIES; i++) {
        give(RECEIVE, address_of(buffer), 64, WRITE);
        doorbell(RECEIVE);
    }
    return end_with(back(RECEIVE) == 0, "nothing");
}

const char *act_hvc_registers(void) {
    start();
    uint32_t ports = reg_read(CONFIG_PORTS, 4);
    for (uint32_t at = R_CONFIG; at < R_CONFIG + 0x200; at += 4) {
        if (at != CONFIG_EMERGENCY) {
            reg_write(at, 4, 0xa5a5a5a5);
        }
    }
    for (unsigned i = 0; i < 200; i++) {
        reg_write(CONFIG_EMERGENCY, 1u << i % 3, 0xffffff00 | '\n');
    }
    return end_with(reg_read(CONFIG_PORTS, 4) == ports && reg_read(R_CONFIG, 4) == 0, "as before");
}
