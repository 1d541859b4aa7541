/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio socket device: streams between programs of two guests, without a network. It has a
 * channel to each guest that the config lets it connect to, or that may connect to it. A record is
 * a packet as the driver made it, with its header; credit passes from driver to driver.
 *
 * Both ends are hostile: the guest's queues, and the compartments of others. So both sides judge
 * each packet: whose it is, and whether that connection is one that the config lets be. Each keeps
 * the connections that there are, for two reasons: nothing else passes, and all of them are reset
 * towards the driver when the other side ends or starts anew, so that no program waits for ever.
 *
 * A packet for which its peer's ring has no room is put aside, and those for other peers pass it.
 * If it cannot go for VSOCK_PATIENCE seconds, its peer does not read: all connections with that one
 * are reset, and no other peer waits longer for it. Source: VIRTIO 1.2 "Socket Device".
 *
 * In a guest that may control others, the operator's hand (control.h) listens at the host's
 * address: see vsock_hand.c.
 */
#pragma once

#include "hv/compartment/virtio/channel.h"
#include "hv/compartment/virtio/control.h"
#include "hv/compartment/virtio/virtio.h"

enum vsock_queue { VSOCK_RECEIVE, VSOCK_TRANSMIT, VSOCK_EVENT, VSOCK_QUEUES };

/* The only type of sockets here; the default where a driver knows no such features. */
#define VSOCK_F_STREAM BIT32(0)

struct vsock_config {
    uint64_t guest_cid;
};

/* ---- packets ---- */

enum vsock_operation {
    VSOCK_REQUEST = 1,
    VSOCK_RESPONSE = 2,
    VSOCK_RESET = 3,
    VSOCK_SHUTDOWN = 4,
    VSOCK_DATA = 5,
    VSOCK_CREDIT = 6,
    VSOCK_CREDIT_REQUEST = 7,
    VSOCK_OPERATIONS
};
#define VSOCK_STREAM 1u /* a type of sockets */

struct vsock_header {
    uint64_t from, to; /* CIDs */
    uint32_t from_port, to_port, length;
    uint16_t type, operation;
    uint32_t flags, room, taken;
} __attribute__((packed));
#define VSOCK_HEADER (uint32_t)sizeof(struct vsock_header)
_Static_assert(sizeof(struct vsock_header) == 44, "as the standard has it");

#define VSOCK_LONGEST (64 * KIB) /* bytes of data in a packet */

/* What a shutdown says of the one who sends it. */
enum vsock_shutdown { VSOCK_READS_NO_MORE = BIT32(0), VSOCK_SENDS_NO_MORE = BIT32(1) };

/* ---- peers ---- */

#define VSOCK_CONNECTIONS 256u /* with each peer */

struct vsock_connection {
    uint32_t own_port, peer_port;
};

struct vsock_peer {
    struct channel channel;
    struct abi_vsock_peer is; /* as the config has it */
    uint32_t life;            /* channel_life() of those connections; 0: it is not there */
    bool ending;              /* they are over, and the driver is told of one after the other */
    bool full;                /* in this turn: its ring has no room for the next packet */
    bool took;                /* in this turn: something was taken from it */
    unsigned count;
    struct vsock_connection connections[VSOCK_CONNECTIONS];
};

/* A packet on its way into the driver's buffers, in one piece or in several. */
struct vsock_incoming {
    struct vsock_peer *peer; /* NULL: none is */
    struct vsock_header header;
    uint32_t done; /* bytes of data that the driver has got */
};

/* What is owed to the driver: a reset. */
struct vsock_reply {
    uint64_t peer; /* its CID, whoever that is */
    uint32_t own_port, peer_port;
};

/* A chain that waits for room. */
struct vsock_parked {
    uint64_t since;
    uint16_t head;
};

/* ---- the operator's hand ---- */

#define VSOCK_HOST         2u     /* the CID that means the host, everywhere */
#define VSOCK_HAND_PORT    25192u /* where it listens there: docs/control.md */
#define VSOCK_HAND_STREAMS 8u     /* at once */
#define VSOCK_HAND_ROOM    1024u  /* bytes of requests that each may send ahead */

/* One connection. All zero: nobody has it. */
struct vsock_hand_stream {
    uint32_t port;                   /* the guest's; 0 = nobody has it */
    bool owes_response, owes_credit; /* to the driver, as soon as it has a buffer */
    bool ends;                       /* no request comes after those that are here */
    uint32_t sent, received, told;   /* bytes of data, modulo 2^32; the received it knows of */
    uint32_t peer_room, peer_taken;  /* as it said last */
    uint32_t waiting;                /* bytes of requests that are not looked at yet */
    uint8_t requests[VSOCK_HAND_ROOM];
    struct control control;
};

struct vsock_hand {
    bool listens;  /* by the config */
    unsigned next; /* the stream whose turn it is */
    struct vsock_hand_stream streams[VSOCK_HAND_STREAMS];
};

#define VSOCK_REPLIES  64u
#define VSOCK_PARKED   VIRTIO_QUEUE_SIZE
#define VSOCK_PATIENCE 10u /* seconds */

struct virtio_vsock {
    struct virtio v;
    struct vsock_config config;
    unsigned first_channel, peer_count;
    struct vsock_peer peers[ABI_VSOCK_PEERS];
    bool runs;
    unsigned next; /* the peer whose turn it is */
    struct vsock_incoming incoming;
    unsigned reply_count, parked_count;
    struct vsock_reply replies[VSOCK_REPLIES]; /* the oldest first */
    struct vsock_parked parked[VSOCK_PARKED];  /* the same */
    uint64_t receive_due, transmit_due;        /* moments at which it goes on; 0 = never */
    struct vsock_hand hand;
    struct abi_vsock_counts *counts;
};

/* Puts the device into a slot of the bus, before its first reset. devices: all of the guest; the
 * memory of its channels is mapped. */
void virtio_vsock_make(struct virtio_vsock *s, const struct abi_devices *devices,
                       struct abi_vsock_counts *counts, struct pci_host *host, struct bus *buses,
                       unsigned slot);

/* The doorbell of one of its channels, or of any. */
void virtio_vsock_poll(struct virtio_vsock *s);

/* ---- what its files share ---- */

/* How much one turn moves; what a packet costs beside its bytes; the least pause between turns. */
#define VSOCK_TURN          (256 * KIB)
#define VSOCK_PACKET_COST   512u
#define VSOCK_PAUSES_SECOND 50000u

/* One turn each. They set receive_due, transmit_due to something if there is more. */
void vsock_receive(struct virtio_vsock *s);
void vsock_transmit(struct virtio_vsock *s);

/* A packet that is being written into a buffer of the driver's. */
struct vsock_delivery {
    struct virtio_chain chain;
    struct virtio_cursor to; /* where its data goes */
};

/* Its header goes into the next buffer. h->length is how much data there is, and then how much of
 * that the buffer takes. False: there is no buffer. spent grows by what it has cost. */
bool vsock_delivery_begin(struct virtio_vsock *s, struct vsock_delivery *d, struct vsock_header *h,
                          uint64_t *spent);
/* Its data has followed. */
void vsock_delivery_end(struct virtio_vsock *s, const struct vsock_delivery *d,
                        const struct vsock_header *h, uint64_t *spent);
/* All of that at once, for a packet of our own. */
bool vsock_deliver_own(struct virtio_vsock *s, struct vsock_header *h, const void *data,
                       uint64_t *spent);

/* The driver is to get a reset in answer to that packet of its own; there is room for one, see
 * vsock_transmit.c. A reset is never answered. */
void vsock_owe_reset(struct virtio_vsock *s, const struct vsock_header *h);
/* The same of one that may not be, which is counted. */
void vsock_refuse(struct virtio_vsock *s, const struct vsock_header *h);
/* False: there is no buffer. */
bool vsock_deliver_reset(struct virtio_vsock *s, const struct vsock_reply *r, uint64_t *spent);
/* All that the driver is owed. */
bool vsock_deliver_replies(struct virtio_vsock *s, uint64_t *spent);

/* A packet to the host's address, by the driver; data: what follows its header, all of it. Owes the
 * driver one reset at most. */
void vsock_hand_hear(struct virtio_vsock *s, const struct vsock_header *h,
                     struct virtio_cursor *data);
/* Does and answers what was asked for. True: the turn is over, and there is more. */
bool vsock_hand_turn(struct virtio_vsock *s);
/* The driver is not there any more. */
void vsock_hand_stop(struct virtio_vsock *s);

struct vsock_connection *vsock_find(struct vsock_peer *p, uint32_t own_port, uint32_t peer_port);
/* Not there yet; false if there are too many. */
bool vsock_add(struct vsock_peer *p, uint32_t own_port, uint32_t peer_port);
/* c: as vsock_find() gave it; NULL is nothing, for both sides may have ended it at once. */
void vsock_remove(struct vsock_peer *p, struct vsock_connection *c);

/* Has the peer ended or started anew? Then so have its connections. */
void vsock_look_after(struct virtio_vsock *s, struct vsock_peer *p);
/* They are over. */
void vsock_end(struct virtio_vsock *s, struct vsock_peer *p);
/* Rings where something was sent to, and where somebody waits for room that there is now. */
void vsock_ring_bells(struct virtio_vsock *s);
