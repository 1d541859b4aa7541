/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns who has opened his end of a console's named port. See console.h.
 *
 * Each time a guest opens its end a session begins, which has an odd number; while it is closed the
 * number is even. The number stands in the guest's half of the channel, and in each record. So the
 * other side knows what was sent before an end and what after the next beginning, and that the end
 * comes after all that was sent. Both are the other guest's word, which is hostile: it can confuse
 * nothing but this port.
 */
#include "hv/compartment/virtio/console.h"

#include "hv/lib/str.h"

static uint32_t session_closed(uint32_t session) {
    return port_is_open(session) ? session + 1 : session;
}

void port_ring(const struct virtio_console *c, const struct console_port *p) {
    c->v.dev.env->bell(c->v.dev.env, p->bell);
}

/* ---- who is there ---- */

void port_set_session(struct virtio_console *c, struct console_port *p, uint32_t session) {
    p->session = session;
    channel_set_state(&p->channel, session);
    port_ring(c, p);
}

void port_join(struct console_port *p, const struct abi_port *port,
               const struct abi_channel *channels) {
    p->is_joined = true;
    p->name = port->name;
    p->bell = port->channel;
    channel_open(&p->channel, &channels[port->channel]);
    p->session = session_closed(channel_own_state(&p->channel)); /* of the guest's last run */
}

void port_start(struct console_port *p) {
    if (p->is_joined && !p->channel.runs) {
        channel_set_state(&p->channel, p->session);
        channel_start(&p->channel);
    }
}

/* What the guest has left in its buffers is lost, and so is what it has not taken. */
void port_stop(struct virtio_console *c, struct console_port *p) {
    p->tell = 0;
    p->is_ready = p->open = false;
    p->session = session_closed(p->session);
    p->peer_session = 0;
    p->moved = 0;
    p->done = 0;
    if (p == c->hand) {
        operate_stop(c);
    }
    if (p->is_joined) {
        channel_stop(&p->channel);
        port_ring(c, p);
    }
}

/* An end waits until all is sent that stands before it; a new beginning takes it back. */
void port_open(struct virtio_console *c, struct console_port *p, bool open) {
    p->open = open;
    if (!open && p == c->hand) {
        operate_stop(c);
        operate_discard(c, p); /* now: it may be open again before the next turn */
    }
    if (open && p->is_joined && !port_is_open(p->session)) {
        port_set_session(c, p, p->session + 1);
    }
}

void port_ready(struct console_port *p) {
    p->is_ready = true;
    p->tell |= BIT32(p->name != NULL ? CONSOLE_TELL_NAME : CONSOLE_TELL_CONSOLE);
    if (!p->is_joined || port_is_open(p->peer_session)) {
        p->tell |= BIT32(CONSOLE_TELL_OPEN);
    }
}

void port_set_peer(struct console_port *p, uint32_t session) {
    uint32_t tell = 0;

    if (session == p->peer_session) {
        return;
    }
    if (port_is_open(p->peer_session)) {
        p->tell &= ~BIT32(CONSOLE_TELL_OPEN);
        tell |= BIT32(CONSOLE_TELL_CLOSED);
    }
    if (port_is_open(session)) {
        tell |= BIT32(CONSOLE_TELL_OPEN);
    }
    p->peer_session = session;
    p->done = 0;
    if (p->is_ready) {
        p->tell |= tell;
    }
}
