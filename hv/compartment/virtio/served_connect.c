/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the connection of a served disk: when it is tried, and what is said before the first
 * request. See served.h.
 */
#include "hv/compartment/virtio/nbd.h"
#include "hv/compartment/virtio/served.h"

#define PATIENCE      10u        /* seconds from the beginning of one to SERVED_READY */
#define LONGEST_REPLY (64 * KIB) /* to an option */
#define SIZE_MOST     ((uint64_t)INT64_MAX)

static void served_try(struct virtio_served *s) {
    if (!stream_connect(&s->stream)) {
        served_disconnect(s);
        return;
    }
    s->state = SERVED_GREETING;
    s->retry_at = served_now(s) + PATIENCE * s->v.dev.env->clock->tsc_hz;
    s->has_export = false;
    s->flags = 0;
    s->skip_after = 0;
    served_await(s, SERVED_HEADER, NBD_GREETING_SIZE);
}

void served_connect(struct virtio_served *s) {
    bool is_late = s->retry_at <= served_now(s);

    if (s->state != SERVED_OFF && s->state != SERVED_READY && is_late) {
        served_disconnect(s);
    }
    if (s->state == SERVED_OFF && is_late && stream_has_peer(&s->stream)) {
        served_try(s);
    }
}

uint64_t served_connect_due(const struct virtio_served *s) {
    bool waits = s->state == SERVED_OFF && !stream_has_peer(&s->stream); /* it will ring */
    return waits || s->state == SERVED_READY ? 0 : s->retry_at;
}

/* The export is asked for by its name, with no wish for more than is told anyway. */
bool served_hear_greeting(struct virtio_served *s) {
    uint32_t name = (uint32_t)strlen(s->is->export);
    uint32_t offered = nbd_get16(s->box + NBD_GREETING_FLAGS);
    uint8_t words[4 + 16 + 4];
    static const uint8_t no_wishes[2];

    if (nbd_get64(s->box) != NBD_MAGIC ||
        nbd_get64(s->box + NBD_GREETING_OPTION) != NBD_OPTION_MAGIC ||
        (offered & NBD_FIXED_NEWSTYLE) == 0 ||
        stream_room(&s->stream) < sizeof(words) + name + sizeof(no_wishes)) {
        return false;
    }
    nbd_put32(words, offered & (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES));
    nbd_put64(words + 4, NBD_OPTION_MAGIC);
    nbd_put32(words + 12, NBD_OPT_GO);
    nbd_put32(words + 16, 4 + name + (uint32_t)sizeof(no_wishes));
    nbd_put32(words + 20, name);
    stream_put(&s->stream, words, sizeof(words));
    stream_put(&s->stream, s->is->export, name);
    stream_put(&s->stream, no_wishes, sizeof(no_wishes));
    s->state = SERVED_OPTIONS;
    served_await(s, SERVED_HEADER, NBD_OPTION_REPLY_SIZE);
    return true;
}

static bool served_begin(struct virtio_served *s) {
    if (!s->has_export) {
        return false;
    }
    s->state = SERVED_READY;
    s->counts->connections++;
    served_set_export(s);
    served_await(s, SERVED_HEADER, NBD_REPLY_SIZE);
    return true;
}

bool served_hear_option(struct virtio_served *s) {
    uint32_t type = nbd_get32(s->box + NBD_REPLY_TYPE);
    uint32_t length = nbd_get32(s->box + NBD_REPLY_LENGTH);

    if (nbd_get64(s->box) != NBD_OPTION_REPLY_MAGIC ||
        nbd_get32(s->box + NBD_REPLY_OPTION) != NBD_OPT_GO || length > LONGEST_REPLY) {
        return false;
    }
    if ((type & NBD_REP_ERROR) != 0) { /* there is no such export, yet */
        served_disconnect(s);
        return true;
    }
    if (type == NBD_REP_ACK) {
        return length == 0 && served_begin(s);
    }
    if (type != NBD_REP_INFO || length < NBD_EXPORT_SIZE) {
        served_await(s, SERVED_SKIPPED, length);
        return true;
    }
    s->skip_after = length - NBD_EXPORT_SIZE;
    served_await(s, SERVED_INFO, NBD_EXPORT_SIZE);
    return true;
}

bool served_hear_info(struct virtio_served *s) {
    uint32_t flags = nbd_get16(s->box + NBD_EXPORT_FLAGS_AT);

    if (nbd_get16(s->box) == NBD_INFO_EXPORT) {
        s->size = nbd_get64(s->box + NBD_EXPORT_SIZE_AT);
        s->flags = (flags & NBD_HAS_FLAGS) != 0 ? (uint16_t)flags : 0;
        s->has_export = true;
    }
    served_await(s, SERVED_SKIPPED, s->skip_after);
    return !s->has_export || s->size <= SIZE_MOST;
}
