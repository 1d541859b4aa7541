/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a served disk as a device: its registers, its queue, its requests from the ring and back,
 * and when it has its turns. See served.h.
 */
#include "hv/compartment/virtio/served.h"

#include "hv/compartment/virtio/nbd.h"

#define PAGE_SECTORS  (PAGE_SIZE / BLK_SECTOR)
#define PAUSES_SECOND 50000u
#define WAIT_SECONDS  300u /* of the guest's start, for the server */

static struct virtio_served *served_of(struct virtio *v) {
    return CONTAINER_OF(v, struct virtio_served, v);
}

/* ---- what the driver sees ---- */

/* A driver that has asked before is told once it is ready to hear. */
static void served_tell_change(struct virtio_served *s) {
    if (s->has_changed) {
        s->has_changed = false;
        virtio_config_changed(&s->v);
    }
}

bool virtio_served_is_known(const struct virtio_served *s) {
    uint64_t patience = WAIT_SECONDS * s->v.dev.env->clock->tsc_hz;
    return s->was_ready || served_now(s) - s->made_at >= patience;
}

/* ---- from the ring ---- */

static struct served_request *served_find_free(struct virtio_served *s) {
    for (struct served_request *r = s->requests; r < s->requests + SERVED_REQUESTS; r++) {
        if (r->phase == SERVED_FREE) {
            return r;
        }
    }
    return NULL;
}

static enum blk_status request_set_place(struct served_request *r, uint64_t sector, uint64_t size) {
    if (size % BLK_SECTOR != 0 || sector > UINT64_MAX / BLK_SECTOR) {
        return BLK_IOERR;
    }
    r->first = sector * BLK_SECTOR;
    r->size = size;
    return BLK_OK;
}

static enum blk_status request_set_range(struct served_request *r, struct virtio_cursor *from,
                                         uint64_t given) {
    struct blk_range range;
    uint32_t known = r->type == BLK_WRITE_ZEROES ? BLK_RANGE_UNMAP : 0;

    if (given != sizeof(range) || !virtio_cursor_read(from, &range, sizeof(range))) {
        return BLK_IOERR;
    }
    r->unmaps = (range.flags & BLK_RANGE_UNMAP) != 0;
    if ((range.flags & ~known) != 0) {
        return BLK_UNSUPP;
    }
    return request_set_place(r, range.sector, (uint64_t)range.sectors * BLK_SECTOR);
}

static enum blk_status served_get_id(struct virtio_served *s, uint64_t room) {
    struct virtio_cursor to = {.chain = &s->chain};
    (void)virtio_cursor_write(&to, s->disk->serial, (uint32_t)min_u64(room, ABI_DISK_SERIAL));
    return BLK_OK;
}

/* Without the feature it is unknown. */
static bool served_knows(const struct virtio_served *s, uint32_t type) {
    switch (type) {
    case BLK_IN:
    case BLK_OUT:
    case BLK_GET_ID:
        return true;
    case BLK_FLUSH:
        return (s->v.driver_features & BLK_F_FLUSH) != 0;
    case BLK_DISCARD:
        return (s->v.driver_features & BLK_F_DISCARD) != 0;
    case BLK_WRITE_ZEROES:
        return (s->v.driver_features & BLK_F_WRITE_ZEROES) != 0;
    default:
        return false;
    }
}

/* given: bytes of data that the driver has written behind the header; room: that it lets the device
 * write before the status. */
static enum blk_status request_read(struct virtio_served *s, struct served_request *r,
                                    const struct blk_header *h, struct virtio_cursor *from,
                                    uint64_t given, uint64_t room) {
    if (!served_knows(s, h->type)) {
        return BLK_UNSUPP;
    }
    switch (h->type) {
    case BLK_IN:
        return request_set_place(r, h->sector, room);
    case BLK_OUT:
        return request_set_place(r, h->sector, given);
    case BLK_FLUSH:
        return BLK_OK;
    case BLK_GET_ID:
        return served_get_id(s, room);
    default:
        return request_set_range(r, from, given);
    }
}

/* The chain is in s->chain: what it asks for waits, or is done at once. */
static void served_accept(struct virtio_served *s, struct served_request *r, uint64_t given) {
    struct virtio_cursor from = {.chain = &s->chain};
    struct blk_header header;
    uint64_t writable = virtio_writable(&s->chain);

    (void)virtio_cursor_read(&from, &header, sizeof(header));
    *r = (struct served_request){.phase = SERVED_WAITS,
                                 .turn = s->next_turn++,
                                 .type = header.type,
                                 .head = s->chain.head,
                                 .is_safe = true,
                                 .writable = writable};
    enum blk_status status =
        request_read(s, r, &header, &from, given - sizeof(header), writable - 1);
    bool waits = status == BLK_OK && (r->size != 0 || r->type == BLK_FLUSH);
    if (!waits) {
        r->phase = SERVED_FREE;
        served_give(s, r, &s->chain, status);
    }
}

/* True if there may be more of them, for which nobody will ring: all places are taken. */
static bool served_take(struct virtio_served *s) {
    struct served_request *r = served_find_free(s);

    while (r != NULL && s->spent < SERVED_TURN && virtio_take(&s->v, &s->v.queues[0], &s->chain)) {
        uint64_t given = virtio_readable(&s->chain);
        if (given < sizeof(struct blk_header) || virtio_writable(&s->chain) == 0) {
            virtio_break(&s->v);
            return false;
        }
        s->spent += SERVED_REQUEST_COST;
        served_accept(s, r, given);
        r = served_find_free(s);
    }
    return r == NULL;
}

/* What ends without the server makes room for more; where a turn is over, the next is due. */
static void served_take_and_send(struct virtio_served *s) {
    bool more = true;

    while (more && virtio_is_alive(&s->v)) {
        more = served_take(s);
        served_send(s);
        more = more && s->spent < SERVED_TURN && served_find_free(s) != NULL;
    }
}

/* ---- turns ---- */

/* What is cut off in the middle ends once nothing else of that driver is under way. */
static void served_mend(struct virtio_served *s) {
    if (s->is_cut && s->orphans == 0) {
        served_disconnect(s);
        s->retry_at = served_now(s);
    }
}

static void served_work(struct virtio_served *s) {
    struct virtqueue *q = &s->v.queues[0];
    const struct dev_env *env = s->v.dev.env;
    uint64_t begin = served_now(s);
    uint16_t before = q->used;

    s->spent = 0;
    served_receive(s);
    served_mend(s);
    served_connect(s);
    if (virtio_is_alive(&s->v)) {
        served_tell_change(s);
        served_take_and_send(s);
    }
    if (s->stream.state == STREAM_OPEN) {
        stream_flush(&s->stream);
    }
    s->due = 0;
    if (s->spent >= SERVED_TURN) {
        uint64_t now = served_now(s);
        s->due = now + max_u64(now - begin, env->clock->tsc_hz / PAUSES_SECOND) + 1;
    }
    if (stream_wants_bell(&s->stream)) {
        env->bell(env, s->is->channel);
    }
    virtio_tell(&s->v, q, before);
}

static uint64_t served_next(const struct virtio_served *s) {
    return clock_earlier(s->due, served_connect_due(s));
}

static void served_work_now(struct virtio_served *s) {
    uint64_t before = served_next(s);

    if (s->due == 0) {
        served_work(s);
    }
    if (served_next(s) != 0 && served_next(s) != before) {
        s->v.dev.env->reschedule(s->v.dev.env);
    }
}

static void served_notify(struct virtio *v, UNUSED unsigned queue) {
    served_work_now(served_of(v));
}

void virtio_served_poll(struct virtio_served *s) {
    served_work_now(s);
}

static uint64_t served_service(struct virtio *v, uint64_t now) {
    struct virtio_served *s = served_of(v);
    uint64_t next = served_next(s);

    if (next != 0 && next <= now) {
        served_work(s);
    }
    return served_next(s);
}

/* ---- the device ---- */

/* What the server has not answered it may still do. So a new driver's requests wait for that. */
static void served_restart(struct virtio *v) {
    struct virtio_served *s = served_of(v);

    s->is_cut = s->is_cut || s->sending != NULL;
    for (struct served_request *r = s->requests; r < s->requests + SERVED_REQUESTS; r++) {
        bool is_sent = r->phase == SERVED_SENT && r != s->sending && r != s->receiving;
        s->orphans += is_sent;
        if (r->phase != SERVED_ORPHAN) {
            r->phase = is_sent ? SERVED_ORPHAN : SERVED_FREE;
        }
    }
    s->sending = NULL;
    if (s->receiving != NULL) {
        s->receiving = NULL;
        s->part = SERVED_SKIPPED;
    }
    s->config.writeback = 0;
    s->has_changed = false;
    served_set_features(s);
    s->due = served_now(s) + 1;
    v->dev.env->reschedule(v->dev.env);
}

static void served_drop(struct virtio *v, UNUSED unsigned queue) {
    served_restart(v);
}

static void served_write(struct virtio *v, uint64_t at, uint64_t value) {
    if (at == offsetof(struct virtio_blk_config, writeback) &&
        (v->driver_features & BLK_F_CONFIG_WCE) != 0) {
        served_of(v)->config.writeback = value & 1;
    }
}

static const struct virtio_model served_model = {
    .pci = VIRTIO_PCI(2, 0x010000u, 1), /* mass storage */
    .queues = 1,
    .notify = served_notify,
    .restart = served_restart,
    .write = served_write,
    .drop = served_drop,
    .service = served_service,
};

void virtio_served_make(struct virtio_served *s, const struct abi_disk *disk,
                        const struct abi_served *is, const struct abi_channel *channel,
                        struct abi_disk_counts *counts, struct pci_host *host, struct bus *buses,
                        unsigned slot) {
    const uint32_t most = (uint32_t)ALIGN_DOWN(UINT32_MAX, PAGE_SECTORS);
    struct device dev = s->v.dev;

    memset(s, 0, sizeof(*s));
    s->v.dev = dev;
    virtio_make(&s->v, &served_model, host, buses, slot);
    s->disk = disk;
    s->is = is;
    s->counts = counts;
    s->config = (struct virtio_blk_config){
        .seg_max = VIRTIO_SEGMENTS - 2, /* but for header and status */
        .blk_size = BLK_SECTOR,
        .physical_block_exp = 3,
        .min_io_size = PAGE_SECTORS,
        .num_queues = 1,
        .max_discard_sectors = most,
        .max_discard_seg = 1,
        .discard_sector_alignment = PAGE_SECTORS,
        .max_write_zeroes_sectors = most,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };
    s->v.config = &s->config;
    s->v.config_size = offsetof(struct virtio_blk_config, unused1) + sizeof(s->config.unused1);
    s->made_at = served_now(s);
    stream_make(&s->stream, channel, is->cid, is->server, NBD_PORT);
}
