/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio 1.x device behind PCI: the registers that are the same for all of them, their queues,
 * and how a model takes part. What lies in a queue is the guest's memory, which other vCPUs of it
 * change at the same time: each word is read once, checked and then used. A guest that breaks the
 * rules hurts its own device: it answers no more until the driver resets it (DEVICE_NEEDS_RESET).
 * Source: Virtual I/O Device (VIRTIO) Version 1.2 "Virtio Over PCI Bus", "Split Virtqueues".
 */
#pragma once

#include "hv/abi/guest_memory.h"
#include "hv/compartment/pci/pci.h"

#define VIRTIO_VENDOR        0x1af4u
#define VIRTIO_FIRST_DEVICE  0x1040u /* and the device's ID */
#define VIRTIO_QUEUES        16u
#define VIRTIO_QUEUE_SIZE    256u /* of a queue, at most; a model may offer less */
#define VIRTIO_SEGMENTS      64u  /* of one chain, at most */
#define VIRTIO_F_INDIRECT    BIT(28)
#define VIRTIO_F_EVENT_INDEX BIT(29)
#define VIRTIO_F_VERSION_1   BIT(32)
#define VIRTIO_F_RING_RESET  BIT(40)

/* What all models offer. */
#define VIRTIO_FEATURES                                                                            \
    (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX | VIRTIO_F_RING_RESET)

enum virtio_status {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

struct virtio_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct virtqueue {
    uint64_t descriptors, driver, device; /* guest-physical: the table, the rings */
    uint16_t size, vector;
    bool enabled;
    bool is_there; /* it was looked at, and all of it lies in RAM: */
    const struct virtio_descriptor *table;
    const uint16_t *available;
    uint16_t *given;
    uint16_t taken, used; /* how far the device is, in either ring */
    uint32_t asked;       /* the doorbell was asked for at that many taken, plus 1; 0 = not yet */
};

struct virtio;
struct virtio_model {
    struct pci_model pci;
    unsigned queues;
    uint16_t queue_size; /* 0 = VIRTIO_QUEUE_SIZE */
    /* A doorbell, or what counts as one; the device is alive. */
    void (*notify)(struct virtio *v, unsigned queue);
    /* The driver resets it, or the machine: all that the model keeps of the last driver goes. NULL
     * if it keeps nothing. */
    void (*restart)(struct virtio *v);
    /* The driver writes the device's own registers, alive or not. NULL if they are read-only. */
    void (*write)(struct virtio *v, uint64_t at, uint64_t value);
    /* The driver takes one queue back: what the model holds of its chains goes. NULL if between two
     * calls it holds none. */
    void (*drop)(struct virtio *v, unsigned queue);
    /* As struct device_ops has it; NULL if a doorbell never leaves anything for later. */
    uint64_t (*service)(struct virtio *v, uint64_t now);
};

struct virtio {
    struct device dev; /* whose operations are virtio_ops */
    const struct virtio_model *model;
    struct pci_function pci;
    uint64_t features;  /* beyond VIRTIO_FEATURES */
    const void *config; /* what the driver reads of the device's own registers */
    unsigned config_size;
    uint64_t driver_features;
    uint32_t feature_select, driver_feature_select;
    uint16_t queue_select, config_vector;
    uint8_t status, isr;
    uint8_t generation; /* of config: another one for what a driver may have read half of */
    struct virtqueue queues[VIRTIO_QUEUES];
};

/* Puts a device of this model into a slot of the bus, before its first reset. Whoever makes it sets
 * its features and config then, if it has any. */
void virtio_make(struct virtio *v, const struct virtio_model *model, struct pci_host *host,
                 struct bus *buses, unsigned slot);
extern const struct device_ops virtio_ops;

/* Interrupts the driver: by this vector's message, or without MSI-X by the line until the driver
 * has read why. */
#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u
void virtio_interrupt(struct virtio *v, uint8_t why, unsigned vector);

/* The device's own registers have changed, and the driver is told. */
void virtio_config_changed(struct virtio *v);

/* May the driver's queues be used? */
bool virtio_is_alive(const struct virtio *v);

/* Regions of a virtio device. */
enum virtio_region { VIRTIO_DOORBELL, VIRTIO_REGISTERS };

/* Places in the second one; all but the last by the device's PCI capabilities. */
#define VIRTIO_COMMON      0x000u
#define VIRTIO_COMMON_SIZE 0x40u
#define VIRTIO_ISR         0x100u
#define VIRTIO_CONFIG      0x200u
#define VIRTIO_CONFIG_MAX  0x200u
#define VIRTIO_MSIX        0x800u

/* The BARs and capabilities that all models have, as parts of struct pci_model. */
#define VIRTIO_BARS                                                                                \
    {                                                                                              \
        [0] = {.size = 32, .space = BUS_PORT, .region = VIRTIO_DOORBELL}, [1] = {                  \
            .size = PAGE_SIZE,                                                                     \
            .space = BUS_MEMORY,                                                                   \
            .region = VIRTIO_REGISTERS                                                             \
        }                                                                                          \
    }
extern const uint8_t virtio_capabilities[];
#define VIRTIO_VECTORS(queues)   ((queues) + 1) /* one for the configuration */
#define VIRTIO_CAPABILITIES_SIZE 0x50u
#define VIRTIO_MSIX_CAPABILITY   0x84u

/* All of it: of the device with this ID and so many queues. class: the code, of 24 bits; revision 1
 * says that it is not a transitional device. */
#define VIRTIO_PCI(id, class, device_queues)                                                       \
    {                                                                                              \
        .vendor = VIRTIO_VENDOR, .device = VIRTIO_FIRST_DEVICE + (id),                             \
        .subsystem = VIRTIO_FIRST_DEVICE + (id), .class_revision = (class) << 8 | 1,               \
        .bars = VIRTIO_BARS, .capabilities = virtio_capabilities,                                  \
        .capabilities_size = VIRTIO_CAPABILITIES_SIZE, .msix = VIRTIO_MSIX_CAPABILITY,             \
        .vectors = VIRTIO_VECTORS(device_queues)                                                   \
    }

/* ---- queues ---- */

struct virtio_segment {
    uint8_t *at; /* in the guest's RAM; what is not writable may be an image's page */
    uint32_t length;
    bool writable; /* by the device */
};

/* What the driver has made available at once: segments in its order, those to read before those to
 * write. */
struct virtio_chain {
    uint16_t head;
    unsigned count;
    struct virtio_segment segments[VIRTIO_SEGMENTS];
};

/* Finds the places of a queue that is enabled from now on. RAM stays where it is while a VM runs.
 */
void virtio_find_rings(const struct virtio *v, struct virtqueue *q);

static inline bool virtio_queue_has_asked(const struct virtqueue *q) {
    return q->asked == q->taken + 1u;
}

/* Has nothing come since a doorbell was asked for? Its doorbell finds nothing to do then. */
static inline bool virtio_queue_is_idle(const struct virtqueue *q) {
    return q->is_there && virtio_queue_has_asked(q) &&
           __atomic_load_n(q->available + 1, __ATOMIC_ACQUIRE) == q->taken;
}

/* The next one; false if there is none, or the guest broke the rules (virtio_break() was called).
 */
bool virtio_take(struct virtio *v, struct virtqueue *q, struct virtio_chain *chain);
/* The same chain once more, as it is now, from its head; false if it breaks the rules. */
bool virtio_follow(const struct virtio *v, const struct virtqueue *q, uint16_t head,
                   struct virtio_chain *chain);
/* Where the byte at this offset of what a chain lets the device read is, and how many lie there in
 * one piece: at most *size, which becomes their number. NULL: there is none. */
const uint8_t *virtio_chain_at(const struct virtio_chain *chain, uint64_t at, uint64_t *size);
/* Gives it back, with so many bytes written. */
void virtio_give(struct virtqueue *q, const struct virtio_chain *chain, uint32_t written);
/*
 * The same for several at once: virtio_fill() says what was written to the one that is given as
 * number ahead (from 0), and virtio_publish() gives the first count of them back. Or else
 * virtio_return() makes the last count that were taken available again.
 */
void virtio_fill(const struct virtqueue *q, uint16_t ahead, uint16_t head, uint32_t written);
void virtio_publish(struct virtqueue *q, uint16_t count);
void virtio_return(struct virtqueue *q, uint16_t count);
/* Interrupts the driver, if what was given back since used_before is what it waits for. */
void virtio_tell(struct virtio *v, const struct virtqueue *q, uint16_t used_before);
/* From here on nothing is answered before the driver resets the device. */
void virtio_break(struct virtio *v);

/* A place in what a chain lets the device read, or else in what it lets it write. It begins at 0.
 */
struct virtio_cursor {
    const struct virtio_chain *chain;
    unsigned segment;
    uint32_t at; /* in that segment */
};
uint64_t virtio_readable(const struct virtio_chain *chain);
/* The same that it lets the device write. */
uint64_t virtio_writable(const struct virtio_chain *chain);
/* The next bytes, at most size, which becomes their number; NULL: there are no more. */
const uint8_t *virtio_cursor_next(struct virtio_cursor *c, uint32_t *size);
/* Copies so many, or all that there are, and then it is false. */
bool virtio_cursor_read(struct virtio_cursor *c, void *to, uint32_t size);
/* Puts it so many bytes behind the beginning; false: there are not more than that. */
bool virtio_cursor_find(struct virtio_cursor *c, const struct virtio_chain *chain, bool writable,
                        uint64_t bytes);
/* Writes so many, or as many as there is room for: how many that are. */
uint32_t virtio_cursor_write(struct virtio_cursor *c, const void *from, uint32_t size);

/* ---- the models ---- */

extern const struct virtio_model virtio_rng_model;
