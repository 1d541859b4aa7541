/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the registers of a virtio device: features, status, where the queues are, the doorbell. See
 * virtio.h. Source: VIRTIO 1.2 "Common configuration structure layout", "Notification structure
 * layout", "Device Status Field", "Device Initialization".
 */
#include "hv/compartment/virtio/virtio.h"

#include "hv/lib/str.h"

#define NO_VECTOR 0xffffu

enum common_register {
    FEATURE_SELECT = 0x00,
    FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_VECTOR = 0x10,
    QUEUE_COUNT = 0x12,
    STATUS = 0x14,
    GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESCRIPTORS = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    QUEUE_RESET = 0x3a,
};

/* Kinds of vendor-specific capabilities. */
enum { COMMON_CFG = 1, NOTIFY_CFG, ISR_CFG, DEVICE_CFG };
#define WORD(x) (uint8_t)(x), (uint8_t)((x) >> 8), (uint8_t)((x) >> 16), (uint8_t)((x) >> 24)
#define CAPABILITY(next, length, kind, bar, at, size)                                              \
    0x09, next, length, kind, bar, 0, 0, 0, WORD(at), WORD(size)

/* The doorbell is a port, for no instruction has to be decoded there; all queues have the same
 * one, and the word written tells which it is. */
const uint8_t virtio_capabilities[] = {
    CAPABILITY(0x50, 16, COMMON_CFG, 1, VIRTIO_COMMON, VIRTIO_COMMON_SIZE),
    CAPABILITY(0x60, 16, ISR_CFG, 1, VIRTIO_ISR, 1),
    CAPABILITY(0x70, 16, DEVICE_CFG, 1, VIRTIO_CONFIG, VIRTIO_CONFIG_MAX),
    CAPABILITY(0x84, 20, NOTIFY_CFG, 0, 0, 4),
    WORD(0), /* all queues' */
    /* MSI-X: the table's size less 1; table and pending bits in BAR 1. */
    0x11,
    0,
    0, /* see pci_read_capability() */
    0,
    WORD(VIRTIO_MSIX | 1),
    WORD((VIRTIO_MSIX + MSIX_PENDING) | 1),
};
_Static_assert(sizeof(virtio_capabilities) == VIRTIO_CAPABILITIES_SIZE, "see there");

static struct virtio *virtio_of(struct device *dev) {
    return CONTAINER_OF(dev, struct virtio, dev);
}

static uint64_t virtio_features(const struct virtio *v) {
    return VIRTIO_FEATURES | v->features;
}

static uint16_t virtio_queue_size(const struct virtio *v) {
    return v->model->queue_size != 0 ? v->model->queue_size : VIRTIO_QUEUE_SIZE;
}

static struct virtqueue *virtio_queue(struct virtio *v) {
    return v->queue_select < v->model->queues ? &v->queues[v->queue_select] : NULL;
}

/* Without FEATURES_OK the driver may believe in what was never offered. */
bool virtio_is_alive(const struct virtio *v) {
    const uint8_t alive = VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK;
    return (v->status & (alive | VIRTIO_NEEDS_RESET)) == alive && pci_is_master(&v->pci);
}

static void virtio_clear_queue(const struct virtio *v, struct virtqueue *q) {
    *q = (struct virtqueue){.size = virtio_queue_size(v), .vector = NO_VECTOR};
}

/* The driver's reset: the PCI function stays as it is. */
static void virtio_restart(struct virtio *v) {
    v->driver_features = 0;
    v->feature_select = v->driver_feature_select = 0;
    v->queue_select = 0;
    v->config_vector = NO_VECTOR;
    v->status = v->isr = 0;
    pci_set_interrupt(&v->pci, false);
    for (unsigned i = 0; i < VIRTIO_QUEUES; i++) {
        virtio_clear_queue(v, &v->queues[i]);
    }
    if (v->model->restart != NULL) {
        v->model->restart(v);
    }
}

void virtio_interrupt(struct virtio *v, uint8_t why, unsigned vector) {
    v->isr |= why;
    pci_set_interrupt(&v->pci, true);
    msix_send(&v->pci, vector);
}

void virtio_config_changed(struct virtio *v) {
    virtio_interrupt(v, VIRTIO_ISR_CONFIG, v->config_vector);
}

void virtio_break(struct virtio *v) {
    v->status |= VIRTIO_NEEDS_RESET;
    virtio_config_changed(v);
}

/* ---- the common registers ---- */

static uint32_t virtio_read_queue(const struct virtqueue *q, uint64_t at) {
    switch (at) {
    case QUEUE_SIZE:
        return q->size;
    case QUEUE_VECTOR:
        return q->vector;
    case QUEUE_ENABLE:
        return q->enabled;
    case QUEUE_DESCRIPTORS:
        return (uint32_t)q->descriptors;
    case QUEUE_DESCRIPTORS + 4:
        return (uint32_t)(q->descriptors >> 32);
    case QUEUE_DRIVER:
        return (uint32_t)q->driver;
    case QUEUE_DRIVER + 4:
        return (uint32_t)(q->driver >> 32);
    case QUEUE_DEVICE:
        return (uint32_t)q->device;
    case QUEUE_DEVICE + 4:
        return (uint32_t)(q->device >> 32);
    default:
        return 0;
    }
}

static uint32_t virtio_select(uint64_t bits, uint32_t select) {
    return select < 2 ? (uint32_t)(bits >> (32 * select)) : 0;
}

static uint32_t virtio_read_common(struct virtio *v, uint64_t at) {
    const struct virtqueue *q = virtio_queue(v);

    switch (at) {
    case FEATURE_SELECT:
        return v->feature_select;
    case FEATURE:
        return virtio_select(virtio_features(v), v->feature_select);
    case DRIVER_FEATURE_SELECT:
        return v->driver_feature_select;
    case DRIVER_FEATURE:
        return virtio_select(v->driver_features, v->driver_feature_select);
    case CONFIG_VECTOR:
        return v->config_vector;
    case QUEUE_COUNT:
        return v->model->queues;
    case STATUS:
        return v->status;
    case GENERATION:
        return v->generation;
    case QUEUE_SELECT:
        return v->queue_select;
    default:
        return q == NULL ? 0 : virtio_read_queue(q, at);
    }
}

static void virtio_set_half(uint64_t *word, bool high, uint32_t half) {
    unsigned shift = high ? 32 : 0;
    *word = (*word & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)half << shift;
}

/* FEATURES_OK stays only if the driver takes nothing that was not offered, and knows virtio 1. */
static void virtio_write_status(struct virtio *v, uint8_t status) {
    if (status == 0) {
        virtio_restart(v);
        return;
    }
    bool agreed = (v->driver_features & ~virtio_features(v)) == 0 &&
                  (v->driver_features & VIRTIO_F_VERSION_1) != 0;
    if ((status & VIRTIO_FEATURES_OK) != 0 && !agreed) {
        status &= (uint8_t)~VIRTIO_FEATURES_OK;
    }
    v->status = status | (v->status & VIRTIO_NEEDS_RESET);
    for (unsigned i = 0; virtio_is_alive(v) && i < v->model->queues; i++) {
        v->model->notify(v, i); /* what was put there before */
    }
}

static uint16_t virtio_vector(const struct virtio *v, uint32_t vector) {
    return vector < v->model->pci.vectors ? (uint16_t)vector : NO_VECTOR;
}

/* A size that is not a power of two, or a place that is not aligned, leaves the queue off. */
static void virtio_enable(struct virtqueue *q) {
    bool aligned = q->descriptors % 16 == 0 && q->driver % 2 == 0 && q->device % 4 == 0;
    q->enabled = q->size != 0 && (q->size & (q->size - 1)) == 0 && aligned;
    q->taken = q->used = 0;
    q->asked = 0;
    q->is_there = false;
}

/* One queue alone, done at once: so the register reads as 0 always. */
static void virtio_reset_queue(struct virtio *v, struct virtqueue *q) {
    if ((v->driver_features & VIRTIO_F_RING_RESET) == 0) {
        return;
    }
    virtio_clear_queue(v, q);
    if (v->model->drop != NULL) {
        v->model->drop(v, (unsigned)(q - v->queues));
    }
}

/* What is in use already stays as it is. */
static void virtio_write_queue(struct virtio *v, struct virtqueue *q, uint64_t at, uint32_t value) {
    if (at == QUEUE_VECTOR) {
        q->vector = virtio_vector(v, value);
        return;
    }
    if (at == QUEUE_RESET && value == 1) {
        virtio_reset_queue(v, q);
        return;
    }
    if (q->enabled) {
        return;
    }
    switch (at) {
    case QUEUE_SIZE:
        q->size = value <= virtio_queue_size(v) ? (uint16_t)value : 0;
        break;
    case QUEUE_ENABLE:
        if (value == 1) {
            virtio_enable(q);
        }
        break;
    case QUEUE_DESCRIPTORS:
    case QUEUE_DESCRIPTORS + 4:
        virtio_set_half(&q->descriptors, at != QUEUE_DESCRIPTORS, value);
        break;
    case QUEUE_DRIVER:
    case QUEUE_DRIVER + 4:
        virtio_set_half(&q->driver, at != QUEUE_DRIVER, value);
        break;
    case QUEUE_DEVICE:
    case QUEUE_DEVICE + 4:
        virtio_set_half(&q->device, at != QUEUE_DEVICE, value);
        break;
    default:
        break;
    }
}

static void virtio_write_features(struct virtio *v, uint32_t value) {
    bool open = (v->status & VIRTIO_FEATURES_OK) == 0;
    if (open && v->driver_feature_select < 2) {
        virtio_set_half(&v->driver_features, v->driver_feature_select == 1, value);
    }
}

static void virtio_write_common(struct virtio *v, uint64_t at, uint32_t value) {
    struct virtqueue *q = virtio_queue(v);

    switch (at) {
    case FEATURE_SELECT:
        v->feature_select = value;
        break;
    case DRIVER_FEATURE_SELECT:
        v->driver_feature_select = value;
        break;
    case DRIVER_FEATURE:
        virtio_write_features(v, value);
        break;
    case CONFIG_VECTOR:
        v->config_vector = virtio_vector(v, value);
        break;
    case STATUS:
        virtio_write_status(v, (uint8_t)value);
        break;
    case QUEUE_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    default:
        if (q != NULL) {
            virtio_write_queue(v, q, at, value);
        }
        break;
    }
}

/* ---- the device ---- */

static uint64_t virtio_read_config(const struct virtio *v, uint64_t at, unsigned size) {
    uint64_t value = 0;

    if (at < v->config_size) {
        uint64_t left = v->config_size - at;
        memcpy(&value, (const uint8_t *)v->config + at, min_u64(size, left));
    }
    return value;
}

static uint64_t virtio_read_isr(struct virtio *v) {
    uint8_t isr = v->isr;
    v->isr = 0;
    pci_set_interrupt(&v->pci, false);
    return isr;
}

static uint64_t virtio_read(struct device *dev, unsigned region, uint64_t at, unsigned size) {
    struct virtio *v = virtio_of(dev);

    if (region == VIRTIO_DOORBELL) {
        return UINT32_MAX;
    }
    if (at >= VIRTIO_MSIX) {
        return msix_read(&v->pci, at - VIRTIO_MSIX, size);
    }
    if (at >= VIRTIO_CONFIG) {
        return virtio_read_config(v, at - VIRTIO_CONFIG, size);
    }
    if (at == VIRTIO_ISR) {
        return virtio_read_isr(v);
    }
    return at < VIRTIO_COMMON_SIZE ? virtio_read_common(v, at - VIRTIO_COMMON) : 0;
}

static inline void virtio_ring(struct virtio *v, unsigned queue) {
    if (virtio_is_alive(v) && queue < v->model->queues &&
        !virtio_queue_is_idle(&v->queues[queue])) {
        v->model->notify(v, queue);
    }
}

static __attribute__((noinline)) void virtio_write_registers(struct virtio *v, uint64_t at,
                                                             unsigned size, uint64_t value) {
    if (at >= VIRTIO_MSIX) {
        msix_write(&v->pci, at - VIRTIO_MSIX, size, value);
    } else if (at >= VIRTIO_CONFIG && v->model->write != NULL) {
        v->model->write(v, at - VIRTIO_CONFIG, value);
    } else if (at < VIRTIO_COMMON_SIZE) {
        virtio_write_common(v, at - VIRTIO_COMMON, (uint32_t)value);
    }
}

static void virtio_write(struct device *dev, unsigned region, uint64_t at, unsigned size,
                         uint64_t value) {
    struct virtio *v = virtio_of(dev);

    if (LIKELY(region == VIRTIO_DOORBELL)) {
        virtio_ring(v, (uint16_t)value);
    } else {
        virtio_write_registers(v, at, size, value);
    }
}

static void virtio_reset(struct device *dev) {
    struct virtio *v = virtio_of(dev);
    virtio_restart(v);
    pci_reset(&v->pci);
}

static uint64_t virtio_service(struct device *dev, uint64_t now) {
    struct virtio *v = virtio_of(dev);
    return v->model->service != NULL ? v->model->service(v, now) : 0;
}

void virtio_make(struct virtio *v, const struct virtio_model *model, struct pci_host *host,
                 struct bus *buses, unsigned slot) {
    v->model = model;
    v->features = 0;
    v->config = NULL;
    v->config_size = 0;
    v->pci = (struct pci_function){
        .model = &model->pci, .device = &v->dev, .buses = buses, .host = host, .slot = slot};
    host->slots[slot] = &v->pci;
}

const struct device_ops virtio_ops = {
    .name = "virtio device",
    .reset = virtio_reset,
    .read = virtio_read,
    .write = virtio_write,
    .service = virtio_service,
};
