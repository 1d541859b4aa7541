/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what goes into the guest's buffers as such: packets with a header, those of our own, and the
 * resets that the driver is owed. See vsock.h.
 */
#include "hv/compartment/virtio/vsock.h"

#include "hv/lib/str.h"

/* ---- the guest's buffers ---- */

/* The next buffer; with at least that much room. Those that are too small go back as they are. */
static bool vsock_take_buffer(struct virtio_vsock *s, uint32_t least, struct virtio_chain *chain,
                              uint64_t *spent) {
    struct virtqueue *q = &s->v.queues[VSOCK_RECEIVE];

    while (virtio_take(&s->v, q, chain)) {
        if (virtio_writable(chain) >= least) {
            return true;
        }
        s->counts->received.drops[VSOCK_DROP_SMALL]++;
        *spent += VSOCK_PACKET_COST;
        virtio_give(q, chain, 0);
    }
    return false;
}

bool vsock_delivery_begin(struct virtio_vsock *s, struct vsock_delivery *d, struct vsock_header *h,
                          uint64_t *spent) {
    if (!vsock_take_buffer(s, VSOCK_HEADER + (h->length != 0), &d->chain, spent)) {
        return false;
    }
    d->to = (struct virtio_cursor){.chain = &d->chain};
    h->length = (uint32_t)min_u64(h->length, virtio_writable(&d->chain) - VSOCK_HEADER);
    (void)virtio_cursor_write(&d->to, h, VSOCK_HEADER);
    return true;
}

void vsock_delivery_end(struct virtio_vsock *s, const struct vsock_delivery *d,
                        const struct vsock_header *h, uint64_t *spent) {
    virtio_give(&s->v.queues[VSOCK_RECEIVE], &d->chain, VSOCK_HEADER + h->length);
    *spent += VSOCK_PACKET_COST + h->length;
}

bool vsock_deliver_own(struct virtio_vsock *s, struct vsock_header *h, const void *data,
                       uint64_t *spent) {
    struct vsock_delivery d;

    if (!vsock_delivery_begin(s, &d, h, spent)) {
        return false;
    }
    (void)virtio_cursor_write(&d.to, data, h->length);
    vsock_delivery_end(s, &d, h, spent);
    return true;
}

/* ---- resets ---- */

void vsock_owe_reset(struct virtio_vsock *s, const struct vsock_header *h) {
    if (h->operation != VSOCK_RESET) {
        s->replies[s->reply_count++] =
            (struct vsock_reply){.peer = h->to, .own_port = h->from_port, .peer_port = h->to_port};
    }
}

void vsock_refuse(struct virtio_vsock *s, const struct vsock_header *h) {
    s->counts->sent.drops[VSOCK_DROP_REFUSED]++;
    vsock_owe_reset(s, h);
}

bool vsock_deliver_reset(struct virtio_vsock *s, const struct vsock_reply *r, uint64_t *spent) {
    struct vsock_header h = {.from = r->peer,
                             .to = s->config.guest_cid,
                             .from_port = r->peer_port,
                             .to_port = r->own_port,
                             .type = VSOCK_STREAM,
                             .operation = VSOCK_RESET};
    return vsock_deliver_own(s, &h, NULL, spent);
}

bool vsock_deliver_replies(struct virtio_vsock *s, uint64_t *spent) {
    unsigned done = 0;

    while (done < s->reply_count && vsock_deliver_reset(s, &s->replies[done], spent)) {
        done++;
    }
    s->reply_count -= done;
    memmove(s->replies, s->replies + done, s->reply_count * sizeof(s->replies[0]));
    return s->reply_count == 0;
}
