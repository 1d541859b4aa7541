/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of buffers through a split virtqueue: chains are taken from the available ring and
 * given back in the used one. See virtio.h. Source: VIRTIO 1.2 "The Virtqueue Descriptor Table",
 * "The Virtqueue Available Ring", "The Virtqueue Used Ring", "Used Buffer Notification
 * Suppression".
 */
#include "hv/compartment/virtio/virtio.h"

#include "hv/lib/str.h"

#define DESCRIPTOR_NEXT     1u
#define DESCRIPTOR_WRITE    2u
#define DESCRIPTOR_INDIRECT 4u
#define NO_INTERRUPT        1u /* flags of the available ring */

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

/* The driver's ring: flags, index, an entry for each descriptor, and an event's index. */
enum { RING_FLAGS = 0, RING_INDEX = 2, RING_ENTRIES = 4 };

static uint8_t *queue_at(const struct virtio *v, uint64_t gpa, uint64_t size) {
    return guest_memory_at(v->dev.env->memory, GPA(gpa), size);
}

/* A word of 2 bytes that the driver writes at any moment; at is even. */
static bool queue_read(const struct virtio *v, uint64_t at, uint16_t *word) {
    const uint16_t *from = (const uint16_t *)(void *)queue_at(v, at, sizeof(*from));
    if (from == NULL) {
        return false;
    }
    *word = __atomic_load_n(from, __ATOMIC_ACQUIRE);
    return true;
}

static bool queue_write(const struct virtio *v, uint64_t at, uint16_t word) {
    uint16_t *to = (uint16_t *)(void *)queue_at(v, at, sizeof(*to));
    if (to == NULL) {
        return false;
    }
    __atomic_store_n(to, word, __ATOMIC_RELEASE);
    return true;
}

/* ---- what the driver gives ---- */

/* What is only read may lie in an image as well: a guest sends files out of it. */
static uint8_t *queue_look(const struct virtio *v, const struct descriptor *d) {
    return (uint8_t *)guest_memory_look(v->dev.env->memory, GPA(d->address), d->length);
}

static bool chain_add(const struct virtio *v, struct virtio_chain *chain,
                      const struct descriptor *d) {
    bool writable = (d->flags & DESCRIPTOR_WRITE) != 0;
    bool after_writable = chain->count != 0 && chain->segments[chain->count - 1].writable;
    uint8_t *at = writable ? queue_at(v, d->address, d->length) : queue_look(v, d);

    if (chain->count == VIRTIO_SEGMENTS || at == NULL || d->length == 0 ||
        (after_writable && !writable)) {
        return false;
    }
    chain->segments[chain->count++] =
        (struct virtio_segment){.at = at, .length = d->length, .writable = writable};
    return true;
}

/* A table of so many descriptors, from the one at index on. A loop ends at the chain's limit. */
static bool chain_follow(const struct virtio *v, struct virtio_chain *chain, uint64_t table,
                         uint32_t size, uint16_t index, bool indirect) {
    struct descriptor d;

    do {
        const uint8_t *from =
            index < size ? queue_at(v, table + index * sizeof(d), sizeof(d)) : NULL;
        if (from == NULL) {
            return false;
        }
        memcpy(&d, from, sizeof(d)); /* once */
        if ((d.flags & DESCRIPTOR_INDIRECT) != 0) {
            /* Alone, and not in a table that is one itself. */
            bool sane = (v->driver_features & VIRTIO_F_INDIRECT) != 0 && !indirect &&
                        chain->count == 0 && (d.flags & DESCRIPTOR_NEXT) == 0 && d.length != 0 &&
                        d.length % sizeof(d) == 0;
            return sane && chain_follow(v, chain, d.address, d.length / sizeof(d), 0, true);
        }
        if (!chain_add(v, chain, &d)) {
            return false;
        }
        index = d.next;
    } while ((d.flags & DESCRIPTOR_NEXT) != 0);
    return true;
}

static bool queue_has_event_index(const struct virtio *v) {
    return (v->driver_features & VIRTIO_F_EVENT_INDEX) != 0;
}

/* How far the driver is; asks for a doorbell at the next one. */
static bool queue_available(struct virtio *v, struct virtqueue *q, uint16_t *index) {
    if (!queue_read(v, q->driver + RING_INDEX, index)) {
        return false;
    }
    bool asked = q->asked == q->taken + 1u;
    if (*index != q->taken || asked || !queue_has_event_index(v)) {
        return true;
    }
    uint64_t event = q->device + RING_ENTRIES + 8ull * q->size;
    if (!queue_write(v, event, q->taken)) {
        return false;
    }
    q->asked = q->taken + 1u;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the driver may not have seen it for its last one */
    return queue_read(v, q->driver + RING_INDEX, index);
}

bool virtio_follow(struct virtio *v, const struct virtqueue *q, uint16_t head,
                   struct virtio_chain *chain) {
    chain->head = head;
    chain->count = 0;
    return chain_follow(v, chain, q->descriptors, q->size, head, false);
}

bool virtio_take(struct virtio *v, struct virtqueue *q, struct virtio_chain *chain) {
    uint16_t index = 0;

    if (!q->enabled || (v->status & VIRTIO_NEEDS_RESET) != 0) {
        return false;
    }
    bool sane = queue_available(v, q, &index) && (uint16_t)(index - q->taken) <= q->size;
    if (sane && index == q->taken) {
        return false;
    }
    uint64_t entry = q->driver + RING_ENTRIES + 2ull * (q->taken % q->size);
    sane = sane && queue_read(v, entry, &chain->head) && virtio_follow(v, q, chain->head, chain);
    if (!sane) {
        virtio_break(v);
        return false;
    }
    q->taken++;
    return true;
}

uint64_t virtio_readable(const struct virtio_chain *chain) {
    uint64_t bytes = 0;

    for (unsigned i = 0; i < chain->count && !chain->segments[i].writable; i++) {
        bytes += chain->segments[i].length;
    }
    return bytes;
}

const uint8_t *virtio_cursor_next(struct virtio_cursor *c, uint32_t *size) {
    const struct virtio_segment *s = &c->chain->segments[c->segment];

    if (c->segment == c->chain->count || s->writable) {
        return NULL;
    }
    const uint8_t *at = s->at + c->at;
    if (*size < s->length - c->at) {
        c->at += *size;
    } else {
        *size = s->length - c->at;
        c->segment++;
        c->at = 0;
    }
    return at;
}

bool virtio_cursor_read(struct virtio_cursor *c, void *to, uint32_t size) {
    uint8_t *at = to;

    while (size != 0) {
        uint32_t piece = size;
        const uint8_t *from = virtio_cursor_next(c, &piece);
        if (from == NULL) {
            return false;
        }
        memcpy(at, from, piece);
        at += piece;
        size -= piece;
    }
    return true;
}

const uint8_t *virtio_chain_at(const struct virtio_chain *chain, uint64_t at, uint64_t *size) {
    for (unsigned i = 0; i < chain->count && !chain->segments[i].writable; i++) {
        const struct virtio_segment *s = &chain->segments[i];
        if (at < s->length) {
            *size = min_u64(*size, s->length - at);
            return s->at + at;
        }
        at -= s->length;
    }
    return NULL;
}

/* ---- what goes back ---- */

void virtio_fill(struct virtio *v, const struct virtqueue *q, uint16_t ahead, uint16_t head,
                 uint32_t written) {
    const uint32_t element[2] = {head, written};
    uint16_t place = (uint16_t)(q->used + ahead) % q->size;
    uint8_t *to = queue_at(v, q->device + RING_ENTRIES + sizeof(element) * place, sizeof(element));

    if (to == NULL) {
        virtio_break(v);
        return;
    }
    memcpy(to, element, sizeof(element));
}

void virtio_publish(struct virtio *v, struct virtqueue *q, uint16_t count) {
    q->used += count;
    if (!queue_write(v, q->device + RING_INDEX, q->used)) {
        virtio_break(v);
    }
}

void virtio_return(struct virtqueue *q, uint16_t count) {
    q->taken -= count;
}

void virtio_give(struct virtio *v, struct virtqueue *q, const struct virtio_chain *chain,
                 uint32_t written) {
    virtio_fill(v, q, 0, chain->head, written);
    virtio_publish(v, q, 1);
}

static bool queue_wants_interrupt(const struct virtio *v, const struct virtqueue *q,
                                  uint16_t used_before) {
    uint16_t word = 0;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the used index before what the driver says */
    if (queue_has_event_index(v)) {
        uint64_t event = q->driver + RING_ENTRIES + 2ull * q->size;
        return !queue_read(v, event, &word) ||
               (uint16_t)(q->used - word - 1) < (uint16_t)(q->used - used_before);
    }
    return !queue_read(v, q->driver + RING_FLAGS, &word) || (word & NO_INTERRUPT) == 0;
}

void virtio_tell(struct virtio *v, const struct virtqueue *q, uint16_t used_before) {
    if (q->used != used_before && queue_wants_interrupt(v, q, used_before)) {
        virtio_interrupt(v, VIRTIO_ISR_QUEUE, q->vector);
    }
}
