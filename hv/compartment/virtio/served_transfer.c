/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the commands that go to the server of a disk, and the replies. See served.h. Data go between
 * the driver's buffers and the channel with one copy.
 */
#include "hv/compartment/virtio/nbd.h"
#include "hv/compartment/virtio/served.h"

#include "hv/lib/range.h"

#define DATA_PIECE   (256 * KIB) /* of one command, at most */
#define RANGE_PIECE  GIB         /* the same where no data go along */
#define READING_MOST MIB         /* bytes that are awaited at once: less than the stream's room */

/* What of the disk changes by it. */
static bool request_writes(const struct served_request *r) {
    return r->type == BLK_OUT || r->type == BLK_DISCARD || r->type == BLK_WRITE_ZEROES;
}

static bool served_has(const struct virtio_served *s, enum nbd_export_flag flag) {
    return (s->flags & flag) != 0;
}

/* ---- commands ---- */

/* The one that came first. */
static struct served_request *served_find_next(struct virtio_served *s) {
    struct served_request *first = NULL;

    for (struct served_request *r = s->requests; r < s->requests + SERVED_REQUESTS; r++) {
        if (r->phase == SERVED_WAITS && (first == NULL || (int32_t)(r->turn - first->turn) < 0)) {
            first = r;
        }
    }
    return first;
}

static bool served_refuses(const struct virtio_served *s, const struct served_request *r) {
    bool read_only = s->is->read_only || served_has(s, NBD_READ_ONLY);
    uint64_t size = s->config.capacity * BLK_SECTOR;

    return (read_only && request_writes(r)) || !range_contains(0, size, r->first, r->size);
}

/* True: it ends without the server. */
static bool served_ends_here(struct virtio_served *s, struct served_request *r) {
    enum blk_status status = BLK_OK;

    if (served_refuses(s, r)) {
        status = BLK_IOERR;
    } else if (r->type == BLK_WRITE_ZEROES && !served_has(s, NBD_HAS_WRITE_ZEROES)) {
        status = BLK_UNSUPP;
    } else if (r->type == BLK_FLUSH && s->has_lost) {
        s->has_lost = false;
        status = BLK_IOERR;
    } else if (r->type == BLK_FLUSH) {
        if (s->unsafe != s->safe && served_has(s, NBD_HAS_FLUSH)) {
            return false;
        }
    } else if (r->type != BLK_DISCARD || served_has(s, NBD_HAS_TRIM)) {
        return false;
    }
    served_finish(s, r, status);
    return true;
}

static enum nbd_command request_command(const struct served_request *r) {
    switch (r->type) {
    case BLK_IN:
        return NBD_READ;
    case BLK_OUT:
        return r->flushes ? NBD_FLUSH : NBD_WRITE;
    case BLK_DISCARD:
        return r->flushes ? NBD_FLUSH : NBD_TRIM;
    case BLK_WRITE_ZEROES:
        return r->flushes ? NBD_FLUSH : NBD_WRITE_ZEROES;
    default:
        return NBD_FLUSH;
    }
}

/* Its next piece; a write has to be safe when it is answered, if the server can do that. */
static uint16_t served_choose(struct virtio_served *s, struct served_request *r) {
    enum nbd_command command = request_command(r);
    bool has_data = command == NBD_READ || command == NBD_WRITE;
    uint16_t flags = 0;

    r->piece = (uint32_t)min_u64(r->size - r->done, has_data ? DATA_PIECE : RANGE_PIECE);
    if (command == NBD_FLUSH) {
        r->covers = s->unsafe;
        return 0;
    }
    if (command == NBD_READ) {
        return 0;
    }
    if (s->config.writeback == 0 && served_has(s, NBD_HAS_FUA)) {
        flags |= NBD_FUA;
    } else if (served_has(s, NBD_HAS_FLUSH)) {
        r->is_safe = false;
    }
    if (command == NBD_WRITE_ZEROES && !r->unmaps) {
        flags |= NBD_NO_HOLE;
    }
    return flags;
}

static void served_put_command(struct virtio_served *s, struct served_request *r, uint16_t flags) {
    uint8_t words[NBD_REQUEST_SIZE];

    r->cookie = (uint64_t)s->next_cookie++ * SERVED_REQUESTS + (uint64_t)(r - s->requests);
    nbd_put32(words, NBD_REQUEST_MAGIC);
    nbd_put16(words + 4, flags);
    nbd_put16(words + 6, (uint16_t)request_command(r));
    nbd_put64(words + 8, r->cookie);
    nbd_put64(words + 16, request_command(r) == NBD_FLUSH ? 0 : r->first + r->done);
    nbd_put32(words + 24, r->piece);
    stream_put(&s->stream, words, sizeof(words));
    s->spent += SERVED_REQUEST_COST;
    r->phase = SERVED_SENT;
}

/* The buffers of a write, as they are now: all that follows is from this copy of their places. For
 * the next piece they may be cut otherwise, so no place in them is kept from one to the next. */
static bool served_open_data(struct virtio_served *s, struct served_request *r) {
    uint64_t header = sizeof(struct blk_header);

    if (!virtio_follow(&s->v, &s->v.queues[0], r->head, &s->out) ||
        virtio_readable(&s->out) < header + r->size ||
        !virtio_cursor_find(&s->out_at, &s->out, false, header + r->done)) {
        r->phase = SERVED_FREE;
        virtio_break(&s->v);
        return false;
    }
    s->sending = r;
    s->send_left = r->piece;
    return true;
}

/* False: no more now. */
static bool served_send_data(struct virtio_served *s) {
    while (s->send_left != 0 && s->spent < SERVED_TURN) {
        uint32_t size = (uint32_t)min_u64(stream_room(&s->stream), s->send_left);
        if (size == 0) {
            break;
        }
        const uint8_t *from = virtio_cursor_next(&s->out_at, &size);
        ASSERT(from != NULL);
        stream_put(&s->stream, from, size);
        s->send_left -= size;
        s->spent += size;
    }
    if (s->send_left == 0) {
        s->sending = NULL;
    }
    return s->sending == NULL;
}

/* False: no more now. */
static bool served_send_next(struct virtio_served *s) {
    struct served_request *r = served_find_next(s);

    if (r == NULL) {
        return false;
    }
    if (!r->flushes && served_ends_here(s, r)) {
        return true;
    }
    uint16_t flags = served_choose(s, r);
    enum nbd_command command = request_command(r);
    bool is_much = command == NBD_READ && s->reading + r->piece > READING_MOST;
    if (is_much || stream_room(&s->stream) < NBD_REQUEST_SIZE) {
        return false;
    }
    if (command == NBD_WRITE && !served_open_data(s, r)) {
        return false;
    }
    s->reading += command == NBD_READ ? r->piece : 0;
    served_put_command(s, r, flags);
    return true;
}

/* While commands of a driver that is gone have no answer, what they do to the disk may come yet. */
void served_send(struct virtio_served *s) {
    bool more = s->orphans == 0 && !s->is_cut;

    while (more && s->state == SERVED_READY && s->spent < SERVED_TURN) {
        more = s->sending != NULL ? served_send_data(s) : served_send_next(s);
    }
}

/* ---- replies ---- */

static struct served_request *served_find(struct virtio_served *s, uint64_t cookie) {
    struct served_request *r = &s->requests[cookie % SERVED_REQUESTS];
    bool is_sent = r->phase == SERVED_SENT || r->phase == SERVED_ORPHAN;

    return is_sent && r->cookie == cookie && r != s->sending ? r : NULL;
}

/* It is what the server was asked for; what is next, if anything is? */
static void served_go_on(struct virtio_served *s, struct served_request *r) {
    bool is_flush = request_command(r) == NBD_FLUSH;

    r->done += r->piece;
    if (is_flush) {
        s->safe = max_u64(s->safe, r->covers);
    } else if (r->done < r->size) {
        r->phase = SERVED_WAITS;
        return;
    } else if (request_writes(r) && !r->is_safe && s->config.writeback == 0) {
        r->flushes = true;
        r->phase = SERVED_WAITS;
        return;
    } else if (request_writes(r) && !r->is_safe) {
        s->unsafe++;
    }
    served_finish(s, r, BLK_OK);
}

static void served_fail(struct virtio_served *s, struct served_request *r, uint32_t error) {
    bool advises = r->type == BLK_DISCARD || r->type == BLK_WRITE_ZEROES;
    served_finish(s, r, advises && error == NBD_ENOTSUP ? BLK_UNSUPP : BLK_IOERR);
}

/* The reply's data come next. A driver that has changed its buffers meanwhile gets none. */
static void served_begin_data(struct virtio_served *s, struct served_request *r) {
    bool wanted = r->phase == SERVED_SENT && virtio_is_alive(&s->v);
    bool same = wanted && virtio_follow(&s->v, &s->v.queues[0], r->head, &s->in) &&
                virtio_writable(&s->in) == r->writable &&
                virtio_cursor_find(&s->in_at, &s->in, true, r->done);

    if (same) {
        s->receiving = r;
        served_await(s, SERVED_DATA, r->piece);
        return;
    }
    if (wanted) {
        virtio_break(&s->v);
    }
    served_await(s, SERVED_SKIPPED, r->piece);
    r->phase = SERVED_FREE;
}

bool served_hear_reply(struct virtio_served *s) {
    struct served_request *r = served_find(s, nbd_get64(s->box + NBD_REPLY_COOKIE));
    uint32_t error = nbd_get32(s->box + NBD_REPLY_ERROR);

    if (nbd_get32(s->box) != NBD_REPLY_MAGIC || r == NULL) {
        return false;
    }
    if (error == NBD_ESHUTDOWN) { /* it is not done */
        served_disconnect(s);
        return true;
    }
    bool reads = request_command(r) == NBD_READ;
    s->reading -= reads ? r->piece : 0;
    s->orphans -= r->phase == SERVED_ORPHAN;
    served_await(s, SERVED_HEADER, NBD_REPLY_SIZE);
    if (reads && error == 0) {
        served_begin_data(s, r);
    } else if (r->phase == SERVED_ORPHAN) {
        r->phase = SERVED_FREE;
    } else if (error != 0) {
        served_fail(s, r, error);
    } else {
        served_go_on(s, r);
    }
    return true;
}

void served_take_data(struct virtio_served *s, const uint8_t *from, uint32_t size) {
    (void)virtio_cursor_write(&s->in_at, from, size);
}

void served_end_data(struct virtio_served *s) {
    served_go_on(s, s->receiving);
    s->receiving = NULL;
}
