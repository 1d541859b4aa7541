/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what becomes of a served disk's requests: they go back to the driver, or begin anew when the
 * connection is over. See served.h.
 */
#include "hv/compartment/virtio/nbd.h"
#include "hv/compartment/virtio/served.h"

#define RETRIES_SECOND 2u /* attempts to connect */

#define F_ALL      (BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_TOPOLOGY | BLK_F_CONFIG_WCE)
#define F_WRITABLE (BLK_F_DISCARD | BLK_F_WRITE_ZEROES)

/* ---- what the driver sees ---- */

/* Before the first answer of the server all is offered. What it does not do is answered so. */
void served_set_features(struct virtio_served *s) {
    bool read_only = s->is->read_only || (s->was_ready && (s->flags & NBD_READ_ONLY) != 0);
    s->v.features = F_ALL | (read_only ? BLK_F_RO : F_WRITABLE);
}

void served_set_export(struct virtio_served *s) {
    uint64_t capacity = s->size / BLK_SECTOR;
    bool changed = s->config.capacity != capacity;

    s->was_ready = true;
    s->config.capacity = capacity;
    if ((s->v.status & VIRTIO_FEATURES_OK) == 0) {
        served_set_features(s);
    }
    s->v.generation += changed;
    s->has_changed = s->has_changed || changed;
}

/* ---- requests ---- */

static void request_count(struct abi_disk_counts *c, const struct served_request *r,
                          enum blk_status status) {
    if (status != BLK_OK) {
        c->failures++;
    } else if (r->type == BLK_IN) {
        c->reads++;
        c->read_bytes += r->size;
    } else if (r->type == BLK_OUT) {
        c->writes++;
        c->written_bytes += r->size;
    } else {
        c->others++;
    }
}

void served_give(struct virtio_served *s, const struct served_request *r,
                 const struct virtio_chain *chain, enum blk_status status) {
    const struct virtio_segment *last = &chain->segments[chain->count - 1];
    bool has_data = r->type == BLK_IN && status == BLK_OK;

    request_count(s->counts, r, status);
    last->at[last->length - 1] = (uint8_t)status;
    virtio_give(&s->v.queues[0], chain, has_data ? (uint32_t)r->writable : 1);
}

/* Where its buffers are: they may have changed meanwhile. */
static const struct virtio_chain *request_chain(struct virtio_served *s,
                                                const struct served_request *r) {
    if (s->receiving == r) {
        return &s->in;
    }
    bool same = virtio_follow(&s->v, &s->v.queues[0], r->head, &s->chain) &&
                virtio_writable(&s->chain) == r->writable;
    return same ? &s->chain : NULL;
}

void served_finish(struct virtio_served *s, struct served_request *r, enum blk_status status) {
    r->phase = SERVED_FREE;
    if (!virtio_is_alive(&s->v)) {
        return;
    }
    const struct virtio_chain *chain = request_chain(s, r);
    if (chain != NULL) {
        served_give(s, r, chain, status);
    } else {
        virtio_break(&s->v); /* a driver that has changed them */
    }
}

static void request_begin_again(struct served_request *r) {
    r->phase = SERVED_WAITS;
    r->done = 0;
    r->flushes = false;
    r->is_safe = true;
}

static void served_requeue(struct virtio_served *s) {
    for (struct served_request *r = s->requests; r < s->requests + SERVED_REQUESTS; r++) {
        if (r->phase == SERVED_SENT || r->phase == SERVED_WAITS) {
            s->counts->resent += r->phase == SERVED_SENT;
            request_begin_again(r);
        } else {
            r->phase = SERVED_FREE;
        }
    }
    s->has_lost = s->has_lost || s->unsafe != s->safe;
    s->safe = s->unsafe;
    s->reading = 0;
    s->orphans = 0;
    s->is_cut = false;
    s->sending = s->receiving = NULL;
}

/* ---- the connection ---- */

void served_await(struct virtio_served *s, enum served_part part, uint32_t size) {
    s->part = part;
    s->left = size;
    s->have = 0;
}

void served_disconnect(struct virtio_served *s) {
    stream_end(&s->stream);
    s->state = SERVED_OFF;
    s->retry_at = served_now(s) + s->v.dev.env->clock->tsc_hz / RETRIES_SECOND;
    served_requeue(s);
}
