/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that have nothing but a virtio console each, and a driver for it: rings in memory,
 * buffers, control messages. A clock that a test moves; what the console shows.
 */
#ifndef TESTS_UNIT_FAKE_PORTS_H
#define TESTS_UNIT_FAKE_PORTS_H

#include "hv/compartment/virtio/console.h"

#define MACHINES 2u
#define NAMED    2u /* ports, which join the two machines crosswise: sync is 1 here, 2 there */
#define RING     CONSOLE_QUEUE_SIZE
#define QUEUES   CONSOLE_QUEUES
#define BUFFERS  0x80000u
#define CLEARED  BUFFERS

/* A page for each descriptor of queue i. */
#define BUFFER(i, n) (BUFFERS + ((i)*RING + (n)) * 256u)

/* What the view has, and how many bytes it still takes. */
#define MACHINE_OWN                                                                                \
    struct virtio_console console;                                                                 \
    struct abi_devices abi;                                                                        \
    char shown[0x10000];                                                                           \
    unsigned shown_count, room;
#include "tests/unit/fake_guests.h"

static struct machine machines[MACHINES];
static struct channel_half *ports_halves[MACHINES][NAMED]; /* by machine, by channel */
static void ports_bell(const struct dev_env *env, unsigned channel) {
    struct machine *m = machine_of(env);
    CHECK(channel < NAMED);
    m->bells++;
    machines[m == machines ? 1 : 0].belled = true;
}

/* As slow as the real one. */
static bool ports_transmit(const struct dev_env *env, uint8_t byte) {
    struct machine *m = machine_of(env);
    machine_time += 100;
    if (m->room == 0) {
        return false;
    }
    m->room--;
    m->shown[m->shown_count++ % sizeof(m->shown)] = (char)byte;
    return true;
}

static UNUSED void ports_power_on(struct machine *m) {
    machine_has(m, &m->console.v);
    virtio_console_make(&m->console, &m->abi, &m->host, m->bus, 19);
    machine_switch_on(m);
}

/* The channel's number is the same on both sides, and the port's another one. */
static void ports_make_abi(struct machine *m) {
    unsigned self = (unsigned)(m - machines);

    m->abi = (struct abi_devices){.channel_count = NAMED, .port_count = NAMED};
    for (unsigned i = 0; i < NAMED; i++) {
        m->abi.channels[i] = (struct abi_channel){.ours = (uintptr_t)ports_halves[self][i],
                                                  .theirs = (uintptr_t)ports_halves[1 - self][i]};
        struct abi_port *port = &m->abi.ports[self == 0 ? i : NAMED - 1 - i];
        port->channel = i;
        strcpy(port->name, i == 0 ? "sync" : "a-name-of-31-characters-exactly");
    }
}

static UNUSED void ports_begin(void) {
    for (unsigned i = 0; i < MACHINES * NAMED; i++) {
        half_begin(&ports_halves[i / NAMED][i % NAMED]);
    }
    for (struct machine *m = machines; m < machines + MACHINES; m++) {
        machine_begin(m, ports_bell);
        m->env.transmit = ports_transmit;
        m->room = UINT32_MAX;
        ports_make_abi(m);
    }
    for (struct machine *m = machines; m < machines + MACHINES; m++) {
        ports_power_on(m);
    }
}

/* ---- the driver ---- */

/* So many buffers to receive, of this size. */
static UNUSED void ports_fill(struct machine *m, unsigned queue, uint32_t size, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        driver_describe(m, queue, i, BUFFER(queue, i), size, WRITE, 0);
        driver_offer(m, queue, i);
    }
    driver_doorbell(m, queue);
}

/* What has been written to the next buffer, which is available again; its size, or -1. */
static UNUSED int ports_read(struct machine *m, unsigned queue, void *to) {
    uint32_t id = 0, length = 0;
    if (!driver_take(m, queue, &id, &length)) {
        return -1;
    }
    memcpy(to, m->ram + BUFFER(queue, id), length);
    driver_offer(m, queue, id);
    return (int)length;
}

/* Bytes in one buffer, of the next descriptor. */
static UNUSED void ports_write(struct machine *m, unsigned queue, const void *from, uint32_t size) {
    unsigned n = m->given[queue] % RING;
    memcpy(m->ram + BUFFER(queue, n), from, size);
    driver_describe(m, queue, n, BUFFER(queue, n), size, 0, 0);
    driver_offer(m, queue, n);
    driver_doorbell(m, queue);
}

/* ---- control ---- */

enum { READY = 0, ADD = 1, PORT_READY = 3, CONSOLE_PORT = 4, OPEN = 6, NAME = 7 };

static UNUSED void ports_say(struct machine *m, uint32_t port, uint16_t event, uint16_t value) {
    struct {
        uint32_t port;
        uint16_t event, value;
    } message = {port, event, value};
    ports_write(m, CONSOLE_CONTROL_TRANSMIT, &message, sizeof(message));
}

/* The next message from the device is this one. */
#define CHECK_TOLD(m, port, event, value)                                                          \
    do {                                                                                           \
        uint8_t told[256] = {0};                                                                   \
        const uint8_t expected[8] = {port, 0, 0, 0, event, 0, value, 0};                           \
        CHECK(ports_read(m, CONSOLE_CONTROL_RECEIVE, told) >= 8);                                  \
        CHECK(memcmp(told, expected, sizeof(expected)) == 0);                                      \
    } while (0)

static UNUSED bool ports_are_silent(struct machine *m) {
    uint8_t told[256];
    return ports_read(m, CONSOLE_CONTROL_RECEIVE, told) < 0;
}

/* Doorbells between the machines, and what they have left for later, until nothing is left. */
static UNUSED void ports_run(void) {
    bool more = true;

    for (unsigned rounds = 0; more; rounds++) {
        more = false;
        CHECK(rounds < 10000);
        for (struct machine *m = machines; m < machines + MACHINES; m++) {
            if (m->belled) {
                m->belled = false;
                more = true;
                virtio_console_poll(&m->console);
            }
            if (m->due) {
                machine_time += 200000;
                machine_serve(m, UINT64_MAX);
                more = true;
            }
        }
    }
}

#endif
