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

/* Words of the driver's ring: flags, index, an entry for each descriptor, and an event's index; of
 * the device's it is the same, but its entries are of 8 bytes. */
#define RING_FLAGS   0u
#define RING_INDEX   1u
#define RING_ENTRIES 2u
#define USED_WORDS   4u

/* A word that the driver writes at any moment. */
static uint16_t ring_read(const uint16_t *ring, uint32_t word) {
    return __atomic_load_n(ring + word, __ATOMIC_ACQUIRE);
}

static void ring_write(uint16_t *ring, uint32_t word, uint16_t value) {
    __atomic_store_n(ring + word, value, __ATOMIC_RELEASE);
}

static uint8_t *queue_at(const struct virtio *v, uint64_t gpa, uint64_t size) {
    return guest_memory_at(v->dev.env->memory, GPA(gpa), size);
}

/* RAM stays where it is while a VM runs: once for each time that the queue is enabled. */
static bool queue_find_rings(const struct virtio *v, struct virtqueue *q) {
    uint64_t words = RING_ENTRIES + 1;

    q->table = (const void *)queue_at(v, q->descriptors, sizeof(*q->table) * q->size);
    q->available = (uint16_t *)(void *)queue_at(v, q->driver, 2 * (words + q->size));
    q->given = (uint16_t *)(void *)queue_at(v, q->device, 2 * (words + USED_WORDS * q->size));
    q->is_there = q->table != NULL && q->available != NULL && q->given != NULL;
    return q->is_there;
}

/* ---- what the driver gives ---- */

/* What is only read may lie in an image as well: a guest sends files out of it. */
static inline uint8_t *chain_find(const struct virtio *v, const struct virtio_descriptor *d,
                                  bool writable) {
    const struct guest_memory *m = v->dev.env->memory;
    uint32_t count = m->count + (writable ? 0 : m->read_only);
    return guest_memory_find(m->regions, count, GPA(d->address), d->length);
}

static inline __attribute__((always_inline)) bool
chain_add(const struct virtio *v, struct virtio_chain *chain, const struct virtio_descriptor *d) {
    bool writable = (d->flags & DESCRIPTOR_WRITE) != 0;
    struct virtio_segment *next = &chain->segments[chain->count];
    uint8_t *at = chain_find(v, d, writable);

    if (at == NULL || d->length == 0 || chain->count == VIRTIO_SEGMENTS) {
        return false;
    }
    if (!writable && chain->count != 0 && next[-1].writable) {
        return false;
    }
    *next = (struct virtio_segment){.at = at, .length = d->length, .writable = writable};
    chain->count++;
    return true;
}

/* All further descriptors of a chain, in a table of so many. A loop ends at the chain's limit. */
static bool chain_follow(const struct virtio *v, struct virtio_chain *chain,
                         const struct virtio_descriptor *table, uint32_t size, uint16_t index) {
    struct virtio_descriptor d;

    do {
        if (index >= size) {
            return false;
        }
        memcpy(&d, &table[index], sizeof(d)); /* once */
        if ((d.flags & DESCRIPTOR_INDIRECT) != 0 || !chain_add(v, chain, &d)) {
            return false;
        }
        index = d.next;
    } while ((d.flags & DESCRIPTOR_NEXT) != 0);
    return true;
}

/* The chain is in a table elsewhere, which this descriptor is alone to name. */
static bool chain_follow_indirect(const struct virtio *v, struct virtio_chain *chain,
                                  const struct virtio_descriptor *d) {
    bool sane = (v->driver_features & VIRTIO_F_INDIRECT) != 0 &&
                (d->flags & DESCRIPTOR_NEXT) == 0 && d->length % sizeof(*d) == 0;
    const void *table = queue_at(v, d->address, d->length);

    return sane && table != NULL &&
           chain_follow(v, chain, table, d->length / (uint32_t)sizeof(*d), 0);
}

static inline __attribute__((always_inline)) bool chain_read(const struct virtio *v,
                                                             const struct virtqueue *q,
                                                             uint16_t head,
                                                             struct virtio_chain *chain) {
    struct virtio_descriptor first;

    chain->count = 0;
    chain->head = head;
    if (!q->is_there || head >= q->size) {
        return false;
    }
    memcpy(&first, &q->table[head], sizeof(first)); /* once */
    if ((first.flags & DESCRIPTOR_INDIRECT) != 0) {
        return chain_follow_indirect(v, chain, &first);
    }
    return chain_add(v, chain, &first) && ((first.flags & DESCRIPTOR_NEXT) == 0 ||
                                           chain_follow(v, chain, q->table, q->size, first.next));
}

bool virtio_follow(const struct virtio *v, const struct virtqueue *q, uint16_t head,
                   struct virtio_chain *chain) {
    return chain_read(v, q, head, chain);
}

static inline bool chain_begin(const struct virtio *v, const struct virtqueue *q,
                               struct virtio_chain *chain) {
    return chain_read(v, q, ring_read(q->available, RING_ENTRIES + q->taken % q->size), chain);
}

static bool queue_has_event_index(const struct virtio *v) {
    return (v->driver_features & VIRTIO_F_EVENT_INDEX) != 0;
}

/* How far the driver is; asks for a doorbell at the next one. */
static uint16_t queue_available(const struct virtio *v, struct virtqueue *q) {
    uint16_t index = ring_read(q->available, RING_INDEX);

    if (index != q->taken || virtio_queue_has_asked(q)) {
        return index;
    }
    q->asked = q->taken + 1u;
    if (!queue_has_event_index(v)) {
        return index;
    }
    ring_write(q->given, RING_ENTRIES + USED_WORDS * q->size, q->taken);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the driver may not have seen it for its last one */
    return ring_read(q->available, RING_INDEX);
}

bool virtio_take(struct virtio *v, struct virtqueue *q, struct virtio_chain *chain) {
    if (!q->enabled || (v->status & VIRTIO_NEEDS_RESET) != 0) {
        return false;
    }
    bool is_there = q->is_there || queue_find_rings(v, q);
    uint16_t left = is_there ? (uint16_t)(queue_available(v, q) - q->taken) : UINT16_MAX;
    if (left == 0) {
        return false;
    }
    if (left > q->size || !chain_begin(v, q, chain)) {
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

uint64_t virtio_writable(const struct virtio_chain *chain) {
    uint64_t bytes = 0;

    for (unsigned i = 0; i < chain->count; i++) {
        bytes += chain->segments[i].writable ? chain->segments[i].length : 0;
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

bool virtio_cursor_find(struct virtio_cursor *c, const struct virtio_chain *chain, bool writable,
                        uint64_t bytes) {
    for (unsigned i = 0; i < chain->count; i++) {
        const struct virtio_segment *s = &chain->segments[i];
        uint32_t length = s->writable == writable ? s->length : 0;
        if (bytes < length) {
            *c = (struct virtio_cursor){.chain = chain, .segment = i, .at = (uint32_t)bytes};
            return true;
        }
        bytes -= length;
    }
    return false;
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

uint32_t virtio_cursor_write(struct virtio_cursor *c, const void *from, uint32_t size) {
    uint32_t done = 0;

    while (done < size && c->segment < c->chain->count) {
        const struct virtio_segment *to = &c->chain->segments[c->segment];
        uint32_t room = to->writable ? to->length - c->at : 0;
        uint32_t piece = (uint32_t)min_u64(size - done, room);
        memcpy(to->at + c->at, (const uint8_t *)from + done, piece);
        done += piece;
        c->at += piece;
        if (piece == room) {
            c->segment++;
            c->at = 0;
        }
    }
    return done;
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

void virtio_fill(const struct virtqueue *q, uint16_t ahead, uint16_t head, uint32_t written) {
    const uint32_t element[2] = {head, written};
    uint16_t place = (uint16_t)(q->used + ahead) % q->size;

    memcpy(q->given + RING_ENTRIES + USED_WORDS * place, element, sizeof(element));
}

void virtio_publish(struct virtqueue *q, uint16_t count) {
    q->used += count;
    ring_write(q->given, RING_INDEX, q->used);
}

void virtio_return(struct virtqueue *q, uint16_t count) {
    q->taken -= count;
}

void virtio_give(struct virtqueue *q, const struct virtio_chain *chain, uint32_t written) {
    virtio_fill(q, 0, chain->head, written);
    virtio_publish(q, 1);
}

static bool queue_wants_interrupt(const struct virtio *v, const struct virtqueue *q,
                                  uint16_t used_before) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the used index before what the driver says */
    if (queue_has_event_index(v)) {
        uint16_t event = ring_read(q->available, RING_ENTRIES + q->size);
        return (uint16_t)(q->used - event - 1) < (uint16_t)(q->used - used_before);
    }
    return (ring_read(q->available, RING_FLAGS) & NO_INTERRUPT) == 0;
}

void virtio_tell(struct virtio *v, const struct virtqueue *q, uint16_t used_before) {
    if (q->used != used_before && queue_wants_interrupt(v, q, used_before)) {
        virtio_interrupt(v, VIRTIO_ISR_QUEUE, q->vector);
    }
}
