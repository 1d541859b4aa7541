/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that another guest serves: a virtio disk to its driver, a client of NBD to a program of
 * that guest, over a stream of its own (stream.h). Sources: VIRTIO 1.2 "Block Device"; "The NBD
 * protocol" (NetworkBlockDevice/nbd, doc/proto.md).
 *
 * The server is hostile. What it sends is copied once and then judged, and whatever it is, the
 * guest gets wrong data or I/O errors, or waits. A word that breaks the protocol ends the
 * connection. So does the server guest's end. All requests that have no answer then are sent again,
 * in their order, over the next connection; the driver knows nothing of it.
 *
 * A write is answered when it is safe on the server's disk, unless the driver has asked for a cache
 * (writeback): a server guest that crashes loses its own caches, and this guest, which goes on,
 * must not have been told that what was there is written. With the cache, a flush after such an end
 * says that something may be lost.
 */
#pragma once

#include "hv/compartment/virtio/blk.h"
#include "hv/compartment/virtio/stream.h"

#define SERVED_REQUESTS 32u /* under way at once */

/* How far the connection is. */
enum served_state {
    SERVED_OFF,
    SERVED_GREETING, /* the server's first words are awaited */
    SERVED_OPTIONS,  /* it was asked for the export */
    SERVED_READY,
};

/* What the bytes are that come next. */
enum served_part { SERVED_HEADER, SERVED_INFO, SERVED_DATA, SERVED_SKIPPED };

enum served_phase {
    SERVED_FREE,
    SERVED_WAITS,  /* for the connection, or for its turn */
    SERVED_SENT,   /* its command is with the server */
    SERVED_ORPHAN, /* the same, but its driver is gone */
};

struct served_request {
    enum served_phase phase;
    uint32_t turn; /* which of them came first */
    uint32_t type; /* enum blk_type */
    uint16_t head;
    bool unmaps;          /* zeroes: the blocks may go */
    bool flushes;         /* all is written, and a flush makes it safe */
    bool is_safe;         /* what is answered of it is on the server's disk */
    uint64_t writable;    /* bytes of its buffers that it lets the device write */
    uint64_t first, size; /* bytes of the disk */
    uint64_t done;        /* so many of them */
    uint32_t piece;       /* bytes of the disk that the command under way is about */
    uint64_t cookie;      /* which the answer has to tell */
    uint64_t covers;      /* a flush: all that were unsafe up to that one */
};

struct virtio_served {
    struct virtio v;
    const struct abi_disk *disk;
    const struct abi_served *is;
    struct abi_disk_counts *counts;
    struct virtio_blk_config config;

    struct stream stream;
    enum served_state state;
    uint64_t retry_at; /* SERVED_OFF: when it tries again; in between: when it has taken too long */
    uint64_t size;     /* bytes of the export */
    uint16_t flags;    /* enum nbd_export_flag */
    bool was_ready, has_export;
    bool has_changed; /* the size, and the driver is to be told */
    uint64_t made_at;

    struct served_request requests[SERVED_REQUESTS];
    uint32_t next_turn, next_cookie;
    unsigned orphans;
    uint64_t reading; /* bytes that are awaited */
    bool is_cut;      /* the stream ends in the middle of a command, whose driver is gone */
    uint64_t unsafe;  /* answered writes that were not safe then; */
    uint64_t safe;    /* of them those up to here are now */
    bool has_lost;    /* some of them may be lost: to be told by the next flush */

    struct served_request *sending; /* whose data go next; NULL: none do */
    uint32_t send_left;
    struct virtio_chain out; /* its buffers, as they were when its command went */
    struct virtio_cursor out_at;

    enum served_part part;
    struct served_request *receiving; /* SERVED_DATA: of whom */
    uint32_t left;                    /* bytes of this part */
    uint32_t have;
    uint8_t box[32];
    uint32_t skip_after;    /* after SERVED_INFO */
    struct virtio_chain in; /* whose buffers, as they were when the reply came */
    struct virtio_cursor in_at;

    struct virtio_chain chain; /* in use for a moment */
    uint64_t spent;            /* in this turn */
    uint64_t due;              /* when it goes on, on the VM's clock; 0: nothing is left */
};

/* Puts a disk into a slot of the bus, before its first reset. What disk and is name lives as long.
 * channel: its own, whose memory is mapped. */
void virtio_served_make(struct virtio_served *s, const struct abi_disk *disk,
                        const struct abi_served *is, const struct abi_channel *channel,
                        struct abi_disk_counts *counts, struct pci_host *host, struct bus *buses,
                        unsigned slot);

/* The doorbell of its channel, or of any. */
void virtio_served_poll(struct virtio_served *s);

/* Has the server answered once, or taken too long for the guest's start to wait for it? */
bool virtio_served_is_known(const struct virtio_served *s);

/* ---- what its files share ---- */

/* How much one turn moves; what a request costs beside its bytes. */
#define SERVED_TURN         (512 * KIB)
#define SERVED_REQUEST_COST 1024u

static inline uint64_t served_now(const struct virtio_served *s) {
    return clock_now(s->v.dev.env->clock);
}

/* served_request.c: what becomes of requests, and of all of them. */

/* What the device is as the server has told; what a driver that starts is offered. */
void served_set_export(struct virtio_served *s);
void served_set_features(struct virtio_served *s);
/* Its buffers go back to the driver; chain: where they are, with the status as their last byte. */
void served_finish(struct virtio_served *s, struct served_request *r, enum blk_status status);
void served_give(struct virtio_served *s, const struct served_request *r,
                 const struct virtio_chain *chain, enum blk_status status);
/* The connection is over; again in a while. All begin anew that have no answer. */
void served_disconnect(struct virtio_served *s);
/* So many bytes come next, that are this. */
void served_await(struct virtio_served *s, enum served_part part, uint32_t size);

/* served_connect.c: the connection's life, and what is said up to SERVED_READY. */
void served_connect(struct virtio_served *s);
/* When it has something to do by itself; 0: not. */
uint64_t served_connect_due(const struct virtio_served *s);
/* A part has come, which is in s->box. False: it breaks the protocol. */
bool served_hear_greeting(struct virtio_served *s);
bool served_hear_option(struct virtio_served *s);
bool served_hear_info(struct virtio_served *s);

/* served_transfer.c: commands and replies. */
void served_send(struct virtio_served *s);
/* The same of a reply. */
bool served_hear_reply(struct virtio_served *s);
/* Some of the data: they lie there together. */
void served_take_data(struct virtio_served *s, const uint8_t *from, uint32_t size);
/* All of them have come. */
void served_end_data(struct virtio_served *s);

/* served_receive.c: what comes, until a turn is over. */
void served_receive(struct virtio_served *s);
