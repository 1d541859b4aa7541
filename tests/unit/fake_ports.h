/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that have nothing but a virtio console each, and a driver for it: rings in memory,
 * buffers, control messages. A clock that a test moves; what the console shows.
 */
#ifndef TESTS_UNIT_FAKE_PORTS_H
#define TESTS_UNIT_FAKE_PORTS_H

#include "hv/compartment/virtio/console.h"
#include "tests/unit/test.h"

#define MACHINES  2u
#define PORTS_RAM 0x200000u
#define NAMED     2u /* ports, which join the two machines crosswise: sync is 1 here, 2 there */
#define RING      CONSOLE_QUEUE_SIZE

/* Where queue i is, and a page for each of its descriptors. */
#define TABLE(i)     (0x1000u + 0x4000u * (i))
#define AVAIL(i)     (TABLE(i) + 0x1000u)
#define USED(i)      (TABLE(i) + 0x2000u)
#define BUFFERS      0x80000u
#define BUFFER(i, n) (BUFFERS + ((i)*RING + (n)) * 256u)
#define NEXT         1u
#define WRITE        2u

struct machine {
    struct dev_env env;
    struct bus bus[BUS_SPACES];
    struct pci_host host;
    struct virtio_console console;
    struct abi_devices abi;
    struct guest_region region;
    struct guest_memory memory;
    uint8_t *ram;
    bool due, belled;
    unsigned bells, messages, reschedules;
    uint16_t given[CONSOLE_QUEUES], seen[CONSOLE_QUEUES];
    /* What the view has, and how many bytes it still takes. */
    char shown[0x10000];
    unsigned shown_count, room;
};

static struct machine machines[MACHINES];
static struct channel_half *ports_halves[MACHINES][NAMED]; /* by machine, by channel */
static uint64_t ports_time = 1000;

static uint64_t ports_tsc(void) {
    return ports_time;
}
static const struct dev_clock ports_clock = {.host_tsc = ports_tsc, .tsc_hz = 1000000000};

static struct machine *machine_of(const struct dev_env *env) {
    return CONTAINER_OF(env, struct machine, env);
}

static void ports_msi(const struct dev_env *env, UNUSED uint64_t address, UNUSED uint32_t data) {
    machine_of(env)->messages++;
}

static void ports_irq(UNUSED const struct dev_env *env, UNUSED unsigned line,
                      UNUSED bool asserted) {
}

static void ports_reschedule(const struct dev_env *env) {
    machine_of(env)->due = true;
    machine_of(env)->reschedules++;
}

static void ports_bell(const struct dev_env *env, unsigned channel) {
    struct machine *m = machine_of(env);
    CHECK(channel < NAMED);
    m->bells++;
    machines[m == machines ? 1 : 0].belled = true;
}

/* As slow as the real one. */
static bool ports_transmit(const struct dev_env *env, uint8_t byte) {
    struct machine *m = machine_of(env);
    ports_time += 100;
    if (m->room == 0) {
        return false;
    }
    m->room--;
    m->shown[m->shown_count++ % sizeof(m->shown)] = (char)byte;
    return true;
}

static UNUSED void ports_power_on(struct machine *m) {
    m->console.v.dev = (struct device){.ops = &virtio_ops, .env = &m->env};
    virtio_console_make(&m->console, &m->abi, &m->host, m->bus, 19);
    virtio_ops.reset(&m->console.v.dev);
    m->console.v.pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
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
        struct channel_half **half = &ports_halves[i / NAMED][i % NAMED];
        *half = *half != NULL ? *half : aligned_alloc(4096, sizeof(**half));
        memset(*half, 0, offsetof(struct channel_half, ring));
    }
    for (struct machine *m = machines; m < machines + MACHINES; m++) {
        uint8_t *ram = m->ram != NULL ? m->ram : aligned_alloc(4096, PORTS_RAM);
        memset(m, 0, sizeof(*m));
        m->ram = ram;
        m->room = UINT32_MAX;
        memset(m->ram, 0, BUFFERS);
        m->region = (struct guest_region){0, PORTS_RAM, m->ram};
        m->memory = (struct guest_memory){.regions = &m->region, .count = 1};
        m->env = (struct dev_env){.clock = &ports_clock,
                                  .memory = &m->memory,
                                  .irq = ports_irq,
                                  .msi = ports_msi,
                                  .transmit = ports_transmit,
                                  .bell = ports_bell,
                                  .reschedule = ports_reschedule};
        bus_init(&m->bus[BUS_PORT]);
        bus_init(&m->bus[BUS_MEMORY]);
        ports_make_abi(m);
    }
    for (struct machine *m = machines; m < machines + MACHINES; m++) {
        ports_power_on(m);
    }
}

/* ---- the driver ---- */

static uint64_t ports_reg(struct machine *m, uint64_t at, unsigned size) {
    return virtio_ops.read(&m->console.v.dev, VIRTIO_REGISTERS, at, size);
}

static void ports_set(struct machine *m, uint64_t at, unsigned size, uint64_t value) {
    virtio_ops.write(&m->console.v.dev, VIRTIO_REGISTERS, at, size, value);
}

static void ports_doorbell(struct machine *m, unsigned queue) {
    virtio_ops.write(&m->console.v.dev, VIRTIO_DOORBELL, 0, 2, queue);
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

static void ports_describe(struct machine *m, unsigned queue, unsigned index, uint64_t address,
                           uint32_t length, uint32_t flags, uint32_t next) {
    uint64_t at = TABLE(queue) + 16ull * index;
    memcpy(m->ram + at, &address, 8);
    memcpy(m->ram + at + 8, &length, 4);
    ram_put16(m, at + 12, flags);
    ram_put16(m, at + 14, next);
}

static void ports_offer(struct machine *m, unsigned queue, uint32_t head) {
    ram_put16(m, AVAIL(queue) + 4 + 2ull * (m->given[queue] % RING), head);
    ram_put16(m, AVAIL(queue) + 2, ++m->given[queue]);
}

/* So many buffers to receive, of this size. */
static UNUSED void ports_fill(struct machine *m, unsigned queue, uint32_t size, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        ports_describe(m, queue, i, BUFFER(queue, i), size, WRITE, 0);
        ports_offer(m, queue, i);
    }
    ports_doorbell(m, queue);
}

static UNUSED void ports_start_driver(struct machine *m, uint64_t features) {
    memset(m->ram, 0, BUFFERS);
    memset(m->given, 0, sizeof(m->given));
    memset(m->seen, 0, sizeof(m->seen));
    ports_set(m, 0x14, 1, 0);
    ports_set(m, 0x14, 1, 3);
    for (unsigned half = 0; half < 2; half++) {
        ports_set(m, 0x08, 4, half);
        ports_set(m, 0x0c, 4, (uint32_t)((features | VIRTIO_F_VERSION_1) >> (32 * half)));
    }
    ports_set(m, 0x14, 1, 11);
    CHECK_U64(ports_reg(m, 0x14, 1), 11);
    for (unsigned i = 0; i < CONSOLE_QUEUES; i++) {
        ports_set(m, 0x16, 2, i);
        CHECK_U64(ports_reg(m, 0x18, 2), RING);
        ports_set(m, 0x20, 4, TABLE(i));
        ports_set(m, 0x28, 4, AVAIL(i));
        ports_set(m, 0x30, 4, USED(i));
        ports_set(m, 0x1c, 2, 1);
    }
    ports_set(m, 0x14, 1, 15);
}

/* The next one that the device has given back: its descriptor, and how much was written; false:
 * there is none. */
static UNUSED bool ports_take(struct machine *m, unsigned queue, uint32_t *id, uint32_t *length) {
    if (m->seen[queue] == ram_get16(m, USED(queue) + 2)) {
        return false;
    }
    uint64_t at = USED(queue) + 4 + 8ull * (m->seen[queue]++ % RING);
    *id = ram_get32(m, at);
    *length = ram_get32(m, at + 4);
    CHECK(*id < RING);
    return true;
}

/* What has been written to the next buffer, which is available again; its size, or -1. */
static UNUSED int ports_read(struct machine *m, unsigned queue, void *to) {
    uint32_t id = 0, length = 0;
    if (!ports_take(m, queue, &id, &length)) {
        return -1;
    }
    memcpy(to, m->ram + BUFFER(queue, id), length);
    ports_offer(m, queue, id);
    return (int)length;
}

/* Bytes in one buffer, of the next descriptor. */
static UNUSED void ports_write(struct machine *m, unsigned queue, const void *from, uint32_t size) {
    unsigned n = m->given[queue] % RING;
    memcpy(m->ram + BUFFER(queue, n), from, size);
    ports_describe(m, queue, n, BUFFER(queue, n), size, 0, 0);
    ports_offer(m, queue, n);
    ports_doorbell(m, queue);
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
                ports_time += 200000;
                m->due = virtio_ops.service(&m->console.v.dev, ports_time) != 0;
                more = true;
            }
        }
    }
}

#endif
