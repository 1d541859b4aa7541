/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns one end of a vsock connection, with its credit. See stream.h. Knows nothing of what goes
 * through it.
 */
#include "hv/compartment/virtio/stream.h"

#include "hv/lib/str.h"

#define STREAM_ROOM       (2 * MIB) /* what the peer may send ahead, as it is told */
#define STREAM_FIRST_PORT 1024u
#define STREAM_LEAST      512u /* bytes of data: less room than that is none */

void stream_make(struct stream *s, const struct abi_channel *at, uint32_t own_cid,
                 uint32_t peer_cid, uint32_t peer_port) {
    *s = (struct stream){.own_cid = own_cid,
                         .peer_cid = peer_cid,
                         .own_port = STREAM_FIRST_PORT,
                         .peer_port = peer_port};
    channel_open(&s->channel, at);
    channel_start(&s->channel);
}

bool stream_has_peer(const struct stream *s) {
    return channel_life(&s->channel) != 0;
}

/* ---- sending ---- */

static void stream_write_header(struct stream *s, enum vsock_operation operation, uint32_t length) {
    static const uint32_t about[3];
    const struct vsock_header h = {.from = s->own_cid,
                                   .to = s->peer_cid,
                                   .from_port = s->own_port,
                                   .to_port = s->peer_port,
                                   .length = length,
                                   .type = VSOCK_STREAM,
                                   .operation = (uint16_t)operation,
                                   .room = (uint32_t)STREAM_ROOM,
                                   .taken = s->received};

    channel_write(&s->channel, 0, &h, VSOCK_HEADER);
    channel_send(&s->channel, VSOCK_HEADER + length, about);
    s->told = s->received;
}

/* A packet without data; false: no room. */
static bool stream_say(struct stream *s, enum vsock_operation operation) {
    stream_flush(s);
    if (!channel_wait_for_room(&s->channel, VSOCK_HEADER)) {
        return false;
    }
    stream_write_header(s, operation, 0);
    return true;
}

bool stream_connect(struct stream *s) {
    s->life = channel_life(&s->channel);
    s->own_port = (uint32_t)max_u64(s->own_port + 1, STREAM_FIRST_PORT);
    s->sent = s->received = s->told = 0;
    s->peer_room = s->peer_taken = 0;
    s->open = 0;
    s->answer = false;
    if (s->life == 0 || !stream_say(s, VSOCK_REQUEST)) {
        return false;
    }
    s->state = STREAM_CONNECTS;
    return true;
}

/* A packet that was being read is looked at once more, and then it is of an earlier connection. */
static void stream_close(struct stream *s) {
    s->packet = s->done = 0;
    s->open = 0;
    s->state = STREAM_OFF;
}

void stream_end(struct stream *s) {
    bool there = s->state != STREAM_OFF && channel_life(&s->channel) == s->life;

    stream_close(s);
    if (there && channel_has_room(&s->channel, VSOCK_HEADER)) {
        stream_write_header(s, VSOCK_RESET, 0);
    }
}

/* By what the peer said of its own buffers. */
static uint32_t stream_credit(const struct stream *s) {
    uint32_t under_way = s->sent + s->open - s->peer_taken;
    return under_way < s->peer_room ? s->peer_room - under_way : 0;
}

uint32_t stream_room(struct stream *s) {
    uint32_t least = VSOCK_HEADER + s->open + STREAM_LEAST;

    if (s->open + STREAM_LEAST > VSOCK_LONGEST ||
        (s->open != 0 && !channel_has_room(&s->channel, least))) {
        stream_flush(s);
        least = VSOCK_HEADER + STREAM_LEAST;
    }
    if (s->open == 0 && !channel_wait_for_room(&s->channel, least)) {
        return 0;
    }
    /* The peer may have changed its word since. */
    uint64_t most = min_u64(channel_room(&s->channel), VSOCK_HEADER + VSOCK_LONGEST);
    uint64_t used = VSOCK_HEADER + s->open;
    return (uint32_t)min_u64(most - min_u64(most, used), stream_credit(s));
}

void stream_put(struct stream *s, const void *from, uint32_t size) {
    channel_write(&s->channel, VSOCK_HEADER + s->open, from, size);
    s->open += size;
}

void stream_flush(struct stream *s) {
    if (s->open != 0) {
        stream_write_header(s, VSOCK_DATA, s->open);
        s->sent += s->open;
        s->open = 0;
    }
}

/* ---- receiving ---- */

static bool header_is_sane(const struct stream *s, uint32_t length, const struct vsock_header *h) {
    return length >= VSOCK_HEADER && h->length == length - VSOCK_HEADER &&
           h->length <= VSOCK_LONGEST && h->type == VSOCK_STREAM && h->from == s->peer_cid &&
           h->to == s->own_cid;
}

/* True: it has data to be read. */
static bool stream_hear(struct stream *s, const struct vsock_header *h) {
    bool opens = s->state == STREAM_CONNECTS && h->operation == VSOCK_RESPONSE;

    if (h->to_port != s->own_port || h->from_port != s->peer_port) {
        return false; /* of an earlier one */
    }
    if (h->operation == VSOCK_RESET) {
        stream_close(s);
        return false;
    }
    if (s->state != STREAM_OPEN && !opens) {
        return false;
    }
    s->state = STREAM_OPEN;
    s->peer_room = h->room;
    s->peer_taken = h->taken;
    if (h->operation == VSOCK_SHUTDOWN) {
        stream_end(s);
        return false;
    }
    s->answer = s->answer || h->operation == VSOCK_CREDIT_REQUEST;
    return h->operation == VSOCK_DATA && h->length != 0;
}

/* The next packet; true: there is one. */
static bool stream_next(struct stream *s) {
    struct channel_record record;
    struct vsock_header h = {.from = 0};

    if (!channel_look(&s->channel, &record)) {
        return false;
    }
    channel_read(&s->channel, 0, &h, (uint32_t)min_u64(record.length, VSOCK_HEADER));
    bool sane = header_is_sane(s, record.length, &h);
    s->faults += !sane;
    if (sane && stream_hear(s, &h)) {
        s->packet = h.length;
        s->done = 0;
    } else {
        channel_take(&s->channel, record.length);
        s->took = true;
    }
    return true;
}

/* The peer waits for room when it has used up what it knows of. Linux sends no more ahead than it
 * would take itself, however much it is told of. */
static void stream_tell_room(struct stream *s) {
    uint64_t ahead = max_u64(min_u64(STREAM_ROOM, s->peer_room), 2);

    if (s->received - s->told >= ahead / 2) {
        s->answer = true;
    }
    if (s->answer && s->state == STREAM_OPEN && stream_say(s, VSOCK_CREDIT)) {
        s->answer = false;
    }
}

uint32_t stream_look(struct stream *s, uint64_t *spent, uint64_t most) {
    if (s->state != STREAM_OFF && channel_life(&s->channel) != s->life) {
        stream_close(s);
    }
    while (s->state != STREAM_OFF && s->packet == 0 && *spent < most && stream_next(s)) {
        *spent += VSOCK_PACKET_COST;
    }
    stream_tell_room(s);
    return s->packet - s->done;
}

const uint8_t *stream_bytes(const struct stream *s, uint32_t *size) {
    return channel_bytes(&s->channel, VSOCK_HEADER + s->done, size);
}

void stream_take(struct stream *s, uint32_t size) {
    s->done += size;
    s->received += size;
    if (s->done == s->packet) {
        channel_take(&s->channel, VSOCK_HEADER + s->packet);
        s->took = true;
        s->packet = s->done = 0;
    }
}

bool stream_wants_bell(struct stream *s) {
    bool sent = s->channel.put != s->channel.asked && channel_wants_bell(&s->channel);
    bool awaited = s->took && channel_is_awaited(&s->channel);

    s->took = false;
    return sent || awaited;
}
