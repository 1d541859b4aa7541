/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the operator's hand as a guest finds it at the host's address: a few streams, each with its
 * requests and its answers (control.h). See vsock.h. The guest is hostile, and can only spoil its
 * own streams: what breaks the rules of one ends it. A request is looked at when the answer to the
 * last one has gone, so who does not read is not listened to.
 *
 * Any program of a guest may open a socket, and the hand is for root's alone. So it listens to
 * ports below 1024, which Linux gives to nobody else: see vsock(7), "EACCES". Source: VIRTIO 1.2
 * "Socket Device".
 */
#include "hv/compartment/virtio/vsock.h"

#include "hv/lib/str.h"

#define HAND_LAST_PORT 1023u
#define HAND_STEPS     16u /* in a turn: a line of an answer each, or a piece of a request */

/* ---- streams ---- */

static struct vsock_hand_stream *hand_find(struct virtio_vsock *s, uint32_t port) {
    for (unsigned i = 0; i < VSOCK_HAND_STREAMS; i++) {
        if (s->hand.streams[i].port == port) {
            return &s->hand.streams[i];
        }
    }
    return NULL;
}

static void hand_free(struct vsock_hand_stream *t) {
    *t = (struct vsock_hand_stream){.port = 0};
}

void vsock_hand_stop(struct virtio_vsock *s) {
    for (unsigned i = 0; i < VSOCK_HAND_STREAMS; i++) {
        hand_free(&s->hand.streams[i]);
    }
}

/* ---- what the guest says ---- */

static bool hand_may_open(const struct vsock_header *h) {
    return h->from_port != 0 && h->from_port <= HAND_LAST_PORT;
}

/* False: it is refused. */
static bool hand_open(struct virtio_vsock *s, const struct vsock_header *h) {
    struct vsock_hand_stream *t = hand_may_open(h) ? hand_find(s, 0) : NULL;

    if (t != NULL) {
        t->port = h->from_port;
        t->owes_response = true;
    }
    return t != NULL;
}

/* False: it is more than it was told that there is room for, or comes after its own end. */
static bool hand_take_data(struct vsock_hand_stream *t, const struct vsock_header *h,
                           struct virtio_cursor *data) {
    if (t->ends || h->length > VSOCK_HAND_ROOM - t->waiting ||
        !virtio_cursor_read(data, t->requests + t->waiting, h->length)) {
        return false;
    }
    t->waiting += h->length;
    return true;
}

/* What it says in a stream that is there; false: it breaks the rules. */
static bool hand_take(struct virtio_vsock *s, struct vsock_hand_stream *t,
                      const struct vsock_header *h, struct virtio_cursor *data) {
    t->peer_room = h->room;
    t->peer_taken = h->taken;
    switch (h->operation) {
    case VSOCK_RESET:
        hand_free(t);
        return true;
    case VSOCK_DATA:
        return hand_take_data(t, h, data);
    case VSOCK_CREDIT:
        return true;
    case VSOCK_CREDIT_REQUEST:
        t->owes_credit = true;
        return true;
    case VSOCK_SHUTDOWN:
        t->ends = t->ends || (h->flags & VSOCK_SENDS_NO_MORE) != 0;
        if ((h->flags & VSOCK_READS_NO_MORE) != 0) {
            hand_free(t);
            vsock_owe_reset(s, h);
        }
        return true;
    default:
        return false;
    }
}

static bool hand_judge(struct virtio_vsock *s, const struct vsock_header *h,
                       struct virtio_cursor *data) {
    struct vsock_hand_stream *t = h->from_port != 0 ? hand_find(s, h->from_port) : NULL;

    if (h->type != VSOCK_STREAM || h->to_port != VSOCK_HAND_PORT) {
        return false;
    }
    if (t == NULL) {
        return h->operation == VSOCK_REQUEST && hand_open(s, h);
    }
    if (!hand_take(s, t, h, data)) {
        hand_free(t);
        return false;
    }
    return true;
}

void vsock_hand_hear(struct virtio_vsock *s, const struct vsock_header *h,
                     struct virtio_cursor *data) {
    if (!hand_judge(s, h, data)) {
        vsock_refuse(s, h);
        return;
    }
    s->counts->sent.packets++;
    s->counts->sent.bytes += h->length;
}

/* ---- what it is told ---- */

/* A packet with *size bytes of data, or with as many as its next buffer takes, which *size is then.
 * False: there is no buffer. */
static bool hand_say(struct virtio_vsock *s, struct vsock_hand_stream *t,
                     enum vsock_operation operation, const void *data, uint32_t *size) {
    struct vsock_header h = {.from = VSOCK_HOST,
                             .to = s->config.guest_cid,
                             .from_port = VSOCK_HAND_PORT,
                             .to_port = t->port,
                             .length = *size,
                             .type = VSOCK_STREAM,
                             .operation = (uint16_t)operation,
                             .room = VSOCK_HAND_ROOM,
                             .taken = t->received};
    uint64_t spent = 0; /* the turn is counted in steps */

    if (!vsock_deliver_own(s, &h, data, &spent)) {
        return false;
    }
    *size = h.length;
    t->told = t->received;
    t->owes_credit = false;
    s->counts->received.packets++;
    s->counts->received.bytes += h.length;
    return true;
}

static bool hand_say_only(struct virtio_vsock *s, struct vsock_hand_stream *t,
                          enum vsock_operation operation) {
    uint32_t none = 0;
    return hand_say(s, t, operation, NULL, &none);
}

/* By what the peer said of its own buffers. */
static uint32_t hand_credit(const struct vsock_hand_stream *t) {
    uint32_t under_way = t->sent - t->peer_taken;
    return under_way < t->peer_room ? t->peer_room - under_way : 0;
}

/* What of the answer it has room and buffers for. False: it has none left. */
static bool hand_send(struct virtio_vsock *s, struct vsock_hand_stream *t) {
    struct control *k = &t->control;

    while (k->out_done < k->out_size) {
        uint32_t size = (uint32_t)min_u64(k->out_size - k->out_done, hand_credit(t));
        if (size == 0 || !hand_say(s, t, VSOCK_DATA, k->out + k->out_done, &size)) {
            return false;
        }
        k->out_done += size;
        t->sent += size;
    }
    return true;
}

/* ---- turns ---- */

/* The next bytes of its requests, to the end of a line. */
static void hand_read(struct vsock_hand_stream *t) {
    uint32_t size = (uint32_t)control_take_bytes(&t->control, t->requests, t->waiting);

    t->waiting -= size;
    memmove(t->requests, t->requests + size, t->waiting);
    t->received += size;
    t->owes_credit = t->owes_credit || t->received - t->told >= VSOCK_HAND_ROOM / 2;
}

/* False: there is nothing more to do before the driver's next doorbell. */
static bool hand_step(struct virtio_vsock *s, struct vsock_hand_stream *t) {
    if (t->owes_response) {
        t->owes_response = !hand_say_only(s, t, VSOCK_RESPONSE);
        return !t->owes_response;
    }
    if (t->owes_credit && !hand_say_only(s, t, VSOCK_CREDIT)) {
        return false;
    }
    if (!hand_send(s, t)) {
        return false;
    }
    if (t->control.at_work) {
        control_answer_next(&t->control, s->v.dev.env);
        return true;
    }
    if (t->waiting != 0) {
        hand_read(t);
        return true;
    }
    if (t->ends && hand_say_only(s, t, VSOCK_RESET)) {
        hand_free(t);
    }
    return false;
}

bool vsock_hand_turn(struct virtio_vsock *s) {
    unsigned steps = HAND_STEPS;
    unsigned first = s->hand.next;

    s->hand.next = (first + 1) % VSOCK_HAND_STREAMS;
    for (unsigned i = 0; i < VSOCK_HAND_STREAMS; i++) {
        struct vsock_hand_stream *t = &s->hand.streams[(first + i) % VSOCK_HAND_STREAMS];
        while (t->port != 0 && hand_step(s, t)) {
            if (--steps == 0) {
                return true;
            }
        }
    }
    return false;
}
