/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the bytes of the port that is the operator's hand: see control.h. A request is read when the
 * answer to the last one has gone: who does not read is not listened to.
 */
#include "hv/compartment/virtio/console.h"

#define OPERATE_TURN 4096u /* bytes, or so many times this for a step without any */
#define OPERATE_STEP 256u

/* What of the answer the guest has buffers for. False: it has none left. */
static bool operate_send(struct virtio_console *c, struct console_port *p) {
    struct virtqueue *q = console_queue(c, p, CONSOLE_RECEIVE);
    struct control *k = &c->control;
    uint16_t before = q->used;
    struct virtio_chain chain;

    while (k->out_done < k->out_size && virtio_take(&c->v, q, &chain)) {
        struct virtio_cursor to = {.chain = &chain};
        uint32_t size = virtio_cursor_write(&to, k->out + k->out_done, k->out_size - k->out_done);
        virtio_give(q, &chain, size);
        k->out_done += size;
    }
    virtio_tell(&c->v, q, before);
    return k->out_done == k->out_size;
}

/* The next bytes of a request, to the end of its line. False: there are none. */
static bool operate_receive(struct virtio_console *c, struct console_port *p, uint64_t *left) {
    struct virtqueue *q = console_queue(c, p, CONSOLE_TRANSMIT);
    uint16_t before = q->used;
    struct virtio_chain chain;

    if (!virtio_take(&c->v, q, &chain)) {
        return false;
    }
    uint64_t size = *left;
    const uint8_t *from = virtio_chain_at(&chain, p->moved, &size);
    if (from == NULL) {
        p->moved = 0;
        virtio_give(q, &chain, 0);
        virtio_tell(&c->v, q, before);
        *left -= min_u64(*left, OPERATE_STEP);
        return true;
    }
    size = control_take_bytes(&c->control, from, size);
    p->moved += size;
    *left -= min_u64(*left, size);
    virtio_return(q, 1);
    return true;
}

void operate_stop(struct virtio_console *c) {
    c->control = (struct control){.length = 0};
}

/* False once there is nothing more to do before the driver's next doorbell. */
static bool operate_step(struct virtio_console *c, struct console_port *p, uint64_t *left) {
    if (!operate_send(c, p)) {
        return false;
    }
    if (c->control.at_work) {
        control_answer_next(&c->control, c->v.dev.env);
        *left -= min_u64(*left, OPERATE_STEP);
        return true;
    }
    return operate_receive(c, p, left);
}

/* What was written by who has closed it since is no request of who opens it next. */
void operate_discard(struct virtio_console *c, struct console_port *p) {
    struct virtqueue *q = console_queue(c, p, CONSOLE_TRANSMIT);
    uint16_t before = q->used;
    struct virtio_chain chain;

    for (unsigned i = 0; i < CONSOLE_QUEUE_SIZE && virtio_take(&c->v, q, &chain); i++) {
        virtio_give(q, &chain, 0);
    }
    p->moved = 0;
    virtio_tell(&c->v, q, before);
}

bool operate_take_turn(struct virtio_console *c, struct console_port *p) {
    uint64_t left = OPERATE_TURN;

    if (!p->open) {
        operate_discard(c, p);
        return false;
    }
    while (left != 0) {
        if (!operate_step(c, p, &left)) {
            return false;
        }
    }
    return true;
}
