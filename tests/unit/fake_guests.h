/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that have nothing but one virtio device each, and a driver for it: rings in memory,
 * buffers. A clock that a test moves; doorbells and what is left for later wait for the test.
 *
 * Who includes it defines before: MACHINE_OWN, the members that a machine has beside these; RING,
 * the size of each queue; QUEUES, how many; CLEARED, bytes of RAM up to the buffers.
 */
#ifndef TESTS_UNIT_FAKE_GUESTS_H
#define TESTS_UNIT_FAKE_GUESTS_H

#include "hv/compartment/virtio/virtio.h"
#include "tests/unit/test.h"

#define MACHINE_RAM     0x200000u
#define MACHINE_HZ      1000000000ull
#define MACHINE_MESSAGE 0x40u /* the data of vector 0's */

/* Where queue i is. */
#define TABLE(i) (0x1000u + 0x4000u * (i))
#define AVAIL(i) (TABLE(i) + 0x1000u)
#define USED(i)  (TABLE(i) + 0x2000u)
#define NEXT     1u
#define WRITE    2u

struct machine {
    struct dev_env env;
    struct bus bus[BUS_SPACES];
    struct pci_host host;
    struct guest_region region;
    struct guest_memory memory;
    uint8_t *ram;
    struct virtio *v; /* its device */
    bool belled, due;
    unsigned bells, messages, reschedules;
    uint16_t given[QUEUES], seen[QUEUES];
    uint16_t told[QUEUES]; /* what each queue had given back when its last message came */
    MACHINE_OWN
};

static uint64_t machine_time = 1000;

static uint64_t machine_tsc(void) {
    return machine_time;
}
static const struct dev_clock machine_clock = {.host_tsc = machine_tsc, .tsc_hz = MACHINE_HZ};

static struct machine *machine_of(const struct dev_env *env) {
    return CONTAINER_OF(env, struct machine, env);
}

/* Vector 0 is the configuration's; the queues share the others. */
static uint32_t machine_vector(const struct machine *m, unsigned queue) {
    return 1 + queue % (m->v->pci.model->vectors - 1);
}

static void machine_msi(const struct dev_env *env, UNUSED uint64_t address, uint32_t data) {
    struct machine *m = machine_of(env);

    m->messages++;
    for (unsigned i = 0; i < QUEUES; i++) {
        if (data == MACHINE_MESSAGE + machine_vector(m, i)) {
            memcpy(&m->told[i], m->ram + USED(i) + 2, sizeof(m->told[i]));
        }
    }
}

static void machine_irq(UNUSED const struct dev_env *env, UNUSED unsigned line,
                        UNUSED bool asserted) {
}

static void machine_reschedule(const struct dev_env *env) {
    machine_of(env)->due = true;
    machine_of(env)->reschedules++;
}

/* All of it is zero but its RAM behind CLEARED. bell: of its channels. */
static void machine_begin(struct machine *m, void (*bell)(const struct dev_env *, unsigned)) {
    uint8_t *ram = m->ram != NULL ? m->ram : aligned_alloc(4096, MACHINE_RAM);

    memset(m, 0, sizeof(*m));
    m->ram = ram;
    memset(m->ram, 0, CLEARED);
    m->region = (struct guest_region){0, MACHINE_RAM, m->ram};
    m->memory = (struct guest_memory){.regions = &m->region, .count = 1};
    m->env = (struct dev_env){.clock = &machine_clock,
                              .memory = &m->memory,
                              .irq = machine_irq,
                              .msi = machine_msi,
                              .reschedule = machine_reschedule,
                              .bell = bell};
    bus_init(&m->bus[BUS_PORT]);
    bus_init(&m->bus[BUS_MEMORY]);
}

/* The device is v, before it is made. */
static void machine_has(struct machine *m, struct virtio *v) {
    m->v = v;
    v->dev = (struct device){.ops = &virtio_ops, .env = &m->env};
}

/* Once it is made: as at a start of the machine. */
static void machine_switch_on(struct machine *m) {
    virtio_ops.reset(&m->v->dev);
    m->v->pci.command = PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON;
}

/* With a channel to each of the others, in their order. */
static UNUSED unsigned machine_other(unsigned self, unsigned channel) {
    return channel < self ? channel : channel + 1;
}

/* What the device left for later, once; due again only before that moment. */
static UNUSED void machine_serve(struct machine *m, uint64_t until) {
    uint64_t due = virtio_ops.service(&m->v->dev, machine_time);
    m->due = due != 0 && due < until;
}

/* A side of a channel that nobody has used. */
static void half_begin(struct channel_half **half) {
    *half = *half != NULL ? *half : aligned_alloc(4096, sizeof(**half));
    memset(*half, 0, offsetof(struct channel_half, ring));
}

/* ---- the driver ---- */

static uint64_t driver_reg(struct machine *m, uint64_t at, unsigned size) {
    return virtio_ops.read(&m->v->dev, VIRTIO_REGISTERS, at, size);
}

static void driver_set(struct machine *m, uint64_t at, unsigned size, uint64_t value) {
    virtio_ops.write(&m->v->dev, VIRTIO_REGISTERS, at, size, value);
}

static void driver_doorbell(struct machine *m, unsigned queue) {
    virtio_ops.write(&m->v->dev, VIRTIO_DOORBELL, 0, 2, queue);
}

static void ram_put16(struct machine *m, uint64_t at, uint32_t value) {
    uint16_t word = (uint16_t)value;
    memcpy(m->ram + at, &word, sizeof(word));
}

static UNUSED uint16_t ram_get16(const struct machine *m, uint64_t at) {
    uint16_t word;
    memcpy(&word, m->ram + at, sizeof(word));
    return word;
}

static UNUSED uint32_t ram_get32(const struct machine *m, uint64_t at) {
    uint32_t word;
    memcpy(&word, m->ram + at, sizeof(word));
    return word;
}

static void driver_describe(struct machine *m, unsigned queue, unsigned index, uint64_t address,
                            uint32_t length, uint32_t flags, uint32_t next) {
    uint64_t at = TABLE(queue) + 16ull * index;
    memcpy(m->ram + at, &address, 8);
    memcpy(m->ram + at + 8, &length, 4);
    ram_put16(m, at + 12, flags);
    ram_put16(m, at + 14, next);
}

/* In a queue of that size. */
static void driver_offer_of(struct machine *m, unsigned queue, uint32_t head, unsigned size) {
    ram_put16(m, AVAIL(queue) + 4 + 2ull * (m->given[queue] % size), head);
    ram_put16(m, AVAIL(queue) + 2, ++m->given[queue]);
}

static UNUSED void driver_offer(struct machine *m, unsigned queue, uint32_t head) {
    driver_offer_of(m, queue, head, RING);
}

/* A message for each vector. */
static void driver_use_messages(struct machine *m) {
    for (unsigned i = 0; i < m->v->pci.model->vectors; i++) {
        driver_set(m, VIRTIO_MSIX + MSIX_ENTRY_SIZE * i + MSIX_ENTRY_ADDRESS, 4, 0xfee00000);
        driver_set(m, VIRTIO_MSIX + MSIX_ENTRY_SIZE * i + MSIX_ENTRY_DATA, 4, MACHINE_MESSAGE + i);
        driver_set(m, VIRTIO_MSIX + MSIX_ENTRY_SIZE * i + MSIX_ENTRY_CONTROL, 4, 0);
    }
    m->v->pci.msix_control = MSIX_ON;
}

static UNUSED void driver_start(struct machine *m, uint64_t features) {
    memset(m->ram, 0, CLEARED);
    memset(m->given, 0, sizeof(m->given));
    memset(m->seen, 0, sizeof(m->seen));
    memset(m->told, 0, sizeof(m->told));
    driver_use_messages(m);
    driver_set(m, 0x14, 1, 0);
    driver_set(m, 0x14, 1, 3);
    for (unsigned half = 0; half < 2; half++) {
        driver_set(m, 0x08, 4, half);
        driver_set(m, 0x0c, 4, (uint32_t)((features | VIRTIO_F_VERSION_1) >> (32 * half)));
    }
    driver_set(m, 0x14, 1, 11);
    CHECK_U64(driver_reg(m, 0x14, 1), 11);
    for (unsigned i = 0; i < QUEUES; i++) {
        driver_set(m, 0x16, 2, i);
        CHECK_U64(driver_reg(m, 0x18, 2), RING);
        driver_set(m, 0x1a, 2, machine_vector(m, i));
        driver_set(m, 0x20, 4, TABLE(i));
        driver_set(m, 0x28, 4, AVAIL(i));
        driver_set(m, 0x30, 4, USED(i));
        driver_set(m, 0x1c, 2, 1);
    }
    driver_set(m, 0x14, 1, 15);
}

/* How many buffers the device has given back. It has sent the queue's message since the last one,
 * but to a driver that says itself when it wants one. */
static UNUSED uint16_t driver_used(const struct machine *m, unsigned queue) {
    uint16_t used = ram_get16(m, USED(queue) + 2);

    if ((m->v->driver_features & VIRTIO_F_EVENT_INDEX) == 0) {
        CHECK_U64(m->told[queue], used);
    }
    return used;
}

/* The next one that the device has given back: its descriptor, and how much was written; false:
 * there is none. */
static UNUSED bool driver_take(struct machine *m, unsigned queue, uint32_t *id, uint32_t *length) {
    if (m->seen[queue] == driver_used(m, queue)) {
        return false;
    }
    uint64_t at = USED(queue) + 4 + 8ull * (m->seen[queue]++ % RING);
    *id = ram_get32(m, at);
    *length = ram_get32(m, at + 4);
    CHECK(*id < RING);
    return true;
}

#endif
