/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream that a compartment itself has with a program of another guest: one end of a vsock
 * connection over a channel of its own. The other guest's driver and its compartment are hostile.
 * What they can reach is that this connection ends, or brings what they like. A new connection has
 * another port: what is left of the last one is dropped. Source: VIRTIO 1.2 "Socket Device".
 */
#pragma once

#include "hv/compartment/virtio/vsock.h"

enum stream_state { STREAM_OFF, STREAM_CONNECTS, STREAM_OPEN };

struct stream {
    struct channel channel;
    uint32_t own_cid, peer_cid, own_port, peer_port;
    enum stream_state state;
    uint32_t life;                  /* channel_life() of the connection */
    uint32_t sent, received;        /* bytes of data, modulo 2^32 */
    uint32_t told;                  /* the received that the peer knows of */
    uint32_t peer_room, peer_taken; /* as it said last */
    uint32_t open;                  /* bytes of data in the packet that is being made */
    uint32_t packet, done; /* bytes of data in the one that is being read, and those that were */
    bool took;             /* something was taken from the peer since the last bell */
    bool answer;           /* the peer is owed word of the room there is */
    uint64_t faults;       /* packets that made no sense */
};

void stream_make(struct stream *s, const struct abi_channel *at, uint32_t own_cid,
                 uint32_t peer_cid, uint32_t peer_port);

/* Is anybody there to connect to? */
bool stream_has_peer(const struct stream *s);
/* It is off. False: nobody is there, or there is no room. */
bool stream_connect(struct stream *s);
/* From here on it is off. */
void stream_end(struct stream *s);

/* ---- sending; it is open ---- */

/* How many bytes can be put now. 0: a doorbell will tell, or what the peer sends. */
uint32_t stream_room(struct stream *s);
/* At most that many. */
void stream_put(struct stream *s, const void *from, uint32_t size);
/* What was put goes. */
void stream_flush(struct stream *s);

/* ---- receiving ---- */

/*
 * How many bytes can be read now. 0: none, and the state may be another one. spent grows by what
 * it cost; no more than to most.
 */
uint32_t stream_look(struct stream *s, uint64_t *spent, uint64_t most);
/* Where some of them are: at most *size, which becomes how many lie there in one piece. The other
 * side may change them at any moment. */
const uint8_t *stream_bytes(const struct stream *s, uint32_t *size);
/* So many of them are done with. */
void stream_take(struct stream *s, uint32_t size);

/* Is the other side to look into the channel, by what was sent or taken? Once for each. */
bool stream_wants_bell(struct stream *s);
