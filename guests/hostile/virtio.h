/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the acts against PCI and virtio stand on: a driver for the source of entropy that each guest
 * has, with one queue, which does as it is told, right or wrong; and for what another device has in
 * common with it.
 */
#ifndef GUESTS_HOSTILE_VIRTIO_H
#define GUESTS_HOSTILE_VIRTIO_H

#include "guests/hostile/hostile.h"

#define QUEUE_SIZE 8u
#define NEXT       1u
#define WRITE      2u
#define INDIRECT   4u

#define F_INDIRECT    (1ull << 28)
#define F_EVENT_INDEX (1ull << 29)
#define F_VERSION_1   (1ull << 32)
#define F_RING_RESET  (1ull << 40)
#define F_PLAIN       F_VERSION_1
#define F_ALL         (F_INDIRECT | F_EVENT_INDEX | F_VERSION_1)

enum virtio_status_bit {
    S_ACKNOWLEDGE = 1,
    S_DRIVER = 2,
    S_DRIVER_OK = 4,
    S_FEATURES_OK = 8,
    S_ALL = 15,
    S_NEEDS_RESET = 64
};

/* Registers in BAR 1. */
enum virtio_register {
    R_FEATURE_SELECT = 0x00,
    R_FEATURE = 0x04,
    R_DRIVER_SELECT = 0x08,
    R_DRIVER_FEATURE = 0x0c,
    R_CONFIG_VECTOR = 0x10,
    R_QUEUE_COUNT = 0x12,
    R_STATUS = 0x14,
    R_QUEUE_SELECT = 0x16,
    R_QUEUE_SIZE = 0x18,
    R_QUEUE_VECTOR = 0x1a,
    R_QUEUE_ENABLE = 0x1c,
    R_QUEUE_TABLE = 0x20,
    R_QUEUE_AVAIL = 0x28,
    R_QUEUE_USED = 0x30,
    R_QUEUE_RESET = 0x3a,
    R_ISR = 0x100,
    R_CONFIG = 0x200,
    R_MSIX = 0x800,
    R_MSIX_PENDING = 0x900
};

/* Configuration space. */
enum { C_ID = 0, C_COMMAND = 4, C_BAR = 0x10, C_CAPABILITIES = 0x34, C_LINE = 0x3c };
enum { COMMAND_PORTS = 1, COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_ALL = 7 };
#define MSIX_ON     (1u << 31)
#define MSIX_MASKED (1u << 30)

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct avail_ring {
    uint16_t flags, index, entries[256], used_event;
};

struct used_ring {
    uint16_t flags, index;
    struct {
        uint32_t head, length;
    } entries[256];
};

/* What the acts lay out. All but index is written by virtio_begin(), too. */
extern volatile struct descriptor table[256], elsewhere[256];
extern volatile struct avail_ring avail;
extern volatile struct used_ring used;
extern volatile uint8_t buffer[4096];

/* From here on all is for the device with this ID, as C_ID has it; 0: the source of entropy. Its
 * BARs are where they were at the start. */
void driver_use(uint32_t id);

/* The function's configuration space; its BARs as the firmware gave them, and as they are. */
uint32_t config_read(uint32_t at);
void config_write(uint32_t at, uint32_t value);
uint32_t config_msix(void); /* where its capability is */
extern uint32_t memory_bar, port_bar, first_memory_bar, first_port_bar;
void bars_back(void);

/* Registers, each by one MOV. */
uint32_t reg_read(uint32_t at, unsigned size);
void reg_write(uint32_t at, unsigned size, uint32_t value);
void reg_write64(uint32_t at, uint64_t value);
void doorbell(uint16_t queue);

/* Switched on, reset, with clean rings; then up to FEATURES_OK, if the device agrees. */
void virtio_begin(void);
bool virtio_negotiate(uint64_t features);
/* A queue of size with its parts there. */
void virtio_queue(uint32_t size, uint64_t at_table, uint64_t at_avail, uint64_t at_used);
void virtio_queue_usual(void);
/* The same for the queue that is selected. */
void virtio_queue_parts(uint32_t size, uint64_t at_table, uint64_t at_avail, uint64_t at_used);
/* All of it. */
void virtio_start(uint64_t features);

uint64_t address_of(const volatile void *pointer);
uint64_t ram_end(void);
void put(volatile struct descriptor *d, uint64_t address, uint32_t length, uint16_t flags,
         uint16_t next);
/* One more chain, which begins at head. */
void offer(uint16_t head);

/*
 * How an act ends: what came of it, "needs a reset", "nothing", or how many bytes of the last chain
 * were filled; but "not usable any more" unless a reset leaves a device that works. It is off then,
 * with the BARs that it had.
 */
const char *virtio_end(void);
/* The same, whatever came of it: "usable". */
const char *virtio_usable(void);
/* The same, if an act has seen what it must. */
const char *virtio_saw(bool as_expected, const char *expected);
/* Rings for the chain at head, and the end. */
const char *virtio_try(uint16_t head);

#endif
