/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver for the virtio device in one slot of fake_pc, with its queue in fake_ram.
 */
#ifndef TESTS_UNIT_FAKE_VIRTIO_H
#define TESTS_UNIT_FAKE_VIRTIO_H

#include "tests/unit/fake_env.h"

#define SIZE 8u /* of the queue */

/* Where the queue is: table, rings, an indirect table, buffers. */
enum { TABLE = 0x1000, AVAIL = 0x2000, USED = 0x3000, INDIRECT = 0x4000, BUFFER = 0x8000 };
enum { NEXT = 1, WRITE = 2, TABLE_ELSEWHERE = 4 };

static uint32_t driver_slot = 1; /* 00:01.0, the source of entropy */
static unsigned messages;
static uint64_t message_address;
static uint32_t message_data;

static inline void message(UNUSED const struct dev_env *env, uint64_t address, uint32_t data) {
    messages++;
    message_address = address;
    message_data = data;
}

static inline uint32_t config_read(uint32_t reg) {
    fake_out(0xcf8, 4, 0x80000000 | driver_slot << 11 | reg);
    return (uint32_t)fake_in(0xcfc, 4);
}

static inline void config_write(uint32_t reg, uint32_t value) {
    fake_out(0xcf8, 4, 0x80000000 | driver_slot << 11 | reg);
    fake_out(0xcfc, 4, value);
}

static uint64_t memory, ports;

static inline uint32_t reg_read(uint64_t at, unsigned size) {
    struct bus_answer a = platform_read(&fake_pc, BUS_MEMORY, memory + at, size);
    CHECK(a.there != 0);
    return (uint32_t)(a.value & (UINT64_MAX >> (64 - 8 * size)));
}

static inline void reg_write(uint64_t at, unsigned size, uint64_t value) {
    CHECK(platform_write(&fake_pc, BUS_MEMORY, memory + at, size, value));
}

static inline void doorbell(uint16_t queue) {
    fake_out(ports, 2, queue);
}

static inline void put16(uint64_t at, uint16_t value) {
    memcpy(fake_ram + at, &value, sizeof(value));
}

static inline uint16_t get16(uint64_t at) {
    uint16_t value;
    memcpy(&value, fake_ram + at, sizeof(value));
    return value;
}

static inline uint32_t get32(uint64_t at) {
    uint32_t value;
    memcpy(&value, fake_ram + at, sizeof(value));
    return value;
}

static inline void describe(uint64_t table, unsigned index, uint64_t address, uint32_t length,
                            uint16_t flags, uint16_t next) {
    uint8_t *d = fake_ram + table + 16ull * index;
    memcpy(d, &address, 8);
    memcpy(d + 8, &length, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

static uint16_t given;

/* Makes the chain that begins at head available. */
static inline void offer(uint16_t head) {
    put16(AVAIL + 4 + 2ull * (given % SIZE), head);
    put16(AVAIL + 2, ++given);
}

/* After fake_pc_start(): the device is switched on, with MSI-X: vector 0 for the configuration, 1
 * for the queue. */
static inline void driver_begin(void) {
    fake_pc.env.msi = message;
    memset(fake_ram, 0, sizeof(fake_ram));
    messages = 0;
    given = 0;
    config_write(PCI_COMMAND, PCI_PORTS_ON | PCI_MEMORY_ON | PCI_MASTER_ON);
    ports = config_read(PCI_BAR) & ~3u;
    memory = config_read(PCI_BAR + 4);
    config_write(VIRTIO_MSIX_CAPABILITY, BIT32(31));
    for (unsigned i = 0; i < 2; i++) {
        reg_write(VIRTIO_MSIX + 16 * i, 4, 0xfee00000);
        reg_write(VIRTIO_MSIX + 16 * i + 8, 4, 0x40 + i);
        reg_write(VIRTIO_MSIX + 16 * i + 12, 4, 0);
    }
}

/* Up to FEATURES_OK; true if the device agrees. */
static inline bool negotiate(uint64_t features) {
    reg_write(0x14, 1, 0);
    reg_write(0x14, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    for (unsigned half = 0; half < 2; half++) {
        reg_write(0x08, 4, half);
        reg_write(0x0c, 4, (uint32_t)(features >> (32 * half)));
    }
    reg_write(0x14, 1, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    return (reg_read(0x14, 1) & VIRTIO_FEATURES_OK) != 0;
}

static inline void set_queue(uint16_t size, uint64_t table, uint64_t avail, uint64_t used) {
    reg_write(0x16, 2, 0);
    reg_write(0x18, 2, size);
    reg_write(0x1a, 2, 1);
    for (unsigned half = 0; half < 2; half++) {
        reg_write(0x20 + 4 * half, 4, (uint32_t)(table >> (32 * half)));
        reg_write(0x28 + 4 * half, 4, (uint32_t)(avail >> (32 * half)));
        reg_write(0x30 + 4 * half, 4, (uint32_t)(used >> (32 * half)));
    }
    reg_write(0x1c, 2, 1);
}

static inline void start_driver(uint64_t features) {
    CHECK(negotiate(features));
    reg_write(0x10, 2, 0);
    set_queue(SIZE, TABLE, AVAIL, USED);
    reg_write(0x14, 1, 15);
}

static inline bool broken(void) {
    return (reg_read(0x14, 1) & VIRTIO_NEEDS_RESET) != 0;
}

#endif
