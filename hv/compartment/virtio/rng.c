/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A source of entropy: gives the driver what the world outside calls random. Source: VIRTIO 1.2
 * "Entropy Device".
 */
#include "hv/compartment/virtio/virtio.h"

#include "hv/lib/str.h"

/* Of one chain: a driver that wants more asks again. It bounds the time of one doorbell. */
#define CHAIN_BYTES 256u

static uint32_t rng_fill(const struct dev_env *env, uint8_t *to, uint32_t size) {
    for (uint32_t done = 0; done < size; done += sizeof(uint64_t)) {
        uint64_t word = env->random(env);
        memcpy(to + done, &word, min_u64(sizeof(word), size - done));
    }
    return size;
}

static void rng_notify(struct virtio *v, unsigned queue) {
    struct virtqueue *q = &v->queues[queue];
    uint16_t before = q->used;
    struct virtio_chain chain;

    for (unsigned i = 0; i < VIRTIO_QUEUE_SIZE && virtio_take(v, q, &chain); i++) {
        uint32_t written = 0;
        for (unsigned s = 0; s < chain.count && written < CHAIN_BYTES; s++) {
            const struct virtio_segment *at = &chain.segments[s];
            uint32_t room = CHAIN_BYTES - written;
            if (at->writable) {
                written += rng_fill(v->dev.env, at->at, (uint32_t)min_u64(at->length, room));
            }
        }
        virtio_give(q, &chain, written);
    }
    virtio_tell(v, q, before);
}

const struct virtio_model virtio_rng_model = {
    .pci = VIRTIO_PCI(4, 0x00ff00u, 1), /* no class */
    .queues = 1,
    .notify = rng_notify,
};
