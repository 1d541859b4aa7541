/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way of what the server of a disk sends: in parts, each to whom it concerns. See
 * served.h.
 */
#include "hv/compartment/virtio/nbd.h"
#include "hv/compartment/virtio/served.h"

static void served_await_header(struct virtio_served *s) {
    bool is_ready = s->state == SERVED_READY;
    served_await(s, SERVED_HEADER, is_ready ? NBD_REPLY_SIZE : NBD_OPTION_REPLY_SIZE);
}

static bool served_hear_header(struct virtio_served *s) {
    switch (s->state) {
    case SERVED_GREETING:
        return served_hear_greeting(s);
    case SERVED_OPTIONS:
        return served_hear_option(s);
    case SERVED_READY:
        return served_hear_reply(s);
    case SERVED_OFF:
    default:
        return false;
    }
}

/* All of a part has come. False: it breaks the protocol. */
static bool served_hear(struct virtio_served *s) {
    switch (s->part) {
    case SERVED_HEADER:
        return served_hear_header(s);
    case SERVED_INFO:
        return served_hear_info(s);
    case SERVED_DATA:
        served_end_data(s);
        served_await_header(s);
        return true;
    case SERVED_SKIPPED:
    default:
        served_await_header(s);
        return true;
    }
}

/* They may change at any moment: what is looked at is copied. */
static void served_take_part(struct virtio_served *s, const uint8_t *from, uint32_t size) {
    if (s->part == SERVED_DATA) {
        served_take_data(s, from, size);
    } else if (s->part != SERVED_SKIPPED) {
        memcpy(s->box + s->have, from, size);
        s->have += size;
    }
    s->left -= size;
    s->spent += size;
}

void served_receive(struct virtio_served *s) {
    uint32_t size = 0;

    while (s->state != SERVED_OFF && s->spent < SERVED_TURN) {
        size = stream_look(&s->stream, &s->spent, SERVED_TURN);
        if (size == 0) {
            break;
        }
        size = (uint32_t)min_u64(size, s->left);
        const uint8_t *from = stream_bytes(&s->stream, &size);
        served_take_part(s, from, size);
        stream_take(&s->stream, size);
        while (s->state != SERVED_OFF && s->left == 0) {
            if (!served_hear(s)) {
                s->counts->lies++;
                served_disconnect(s);
            }
        }
    }
    if (s->state != SERVED_OFF && s->stream.state == STREAM_OFF) {
        served_disconnect(s);
    }
}
