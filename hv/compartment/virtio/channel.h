/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One side of a channel (hv/abi/channel.h): it sends records through the ring of its own half, and
 * receives what the other side has put into its own. The other side is hostile. What it can reach
 * is that its own records are lost, on the way there and back; never an access outside the two
 * halves, and no loop. The platform's lock is held in all that is here.
 */
#pragma once

#include "hv/abi/channel.h"
#include "hv/abi/device.h"
#include "hv/lib/str.h"

struct channel {
    struct channel_half *ours;
    const struct channel_half *theirs;
    /* As they stand in our half, where the other side reads them. */
    uint32_t put, taken, wake_at;
    uint32_t asked; /* the put up to which the other side's wish for a doorbell is known */
    bool runs, awaits;
    uint64_t faults; /* how often the other side's words made no sense */
};

/* The bytes of the longest record. */
#define CHANNEL_LONGEST ((uint32_t)CHANNEL_RING - CHANNEL_RECORD)

/* How many of size bytes from this place of a ring on are in one piece. */
static inline uint32_t channel_piece(uint32_t place, uint32_t size) {
    uint32_t to_end = (uint32_t)CHANNEL_RING - place;
    return size < to_end ? size : to_end;
}

/* Not running yet. What our half holds of an earlier run means nothing. */
void channel_open(struct channel *c, const struct abi_channel *at);

/* From here on it receives. What either side has sent before is lost. */
void channel_start(struct channel *c);
/* From here on nobody sends to it, nor rings its doorbell. */
void channel_stop(struct channel *c);

/* Does the other side look into our ring? */
bool channel_is_heard(const struct channel *c);

/* Which of its lives the other side is in, another one each time it starts; 0: it does not run, or
 * this side does not. */
uint32_t channel_life(const struct channel *c);

/* A word that the other side's device can read while this side runs; no doorbell tells it. It
 * stays as it was over a start, of the machine's guest as well. */
void channel_set_state(struct channel *c, uint32_t state);
uint32_t channel_own_state(const struct channel *c);
/* The other side's; 0 while it does not run. */
uint32_t channel_state(const struct channel *c);

/* ---- sending ---- */

/* Is there room for a record of so many bytes, up to CHANNEL_LONGEST? */
bool channel_has_room(struct channel *c, uint32_t length);

/* Bytes of the longest that there is room for, if for any. */
uint32_t channel_room(struct channel *c);

/* As channel_has_room(); and if there is none, a doorbell will tell of some. */
bool channel_wait_for_room(struct channel *c, uint32_t length);

/* Bytes of the next record, which there is room for; at: from its beginning. */
static inline void channel_write(struct channel *c, uint32_t at, const void *from, uint32_t size) {
    ASSERT(at <= CHANNEL_LONGEST && size <= CHANNEL_LONGEST - at);
    uint32_t place = (c->put + CHANNEL_RECORD + at) % CHANNEL_RING;
    uint32_t first = channel_piece(place, size);

    memcpy(c->ours->ring + place, from, first);
    if (UNLIKELY(first != size)) {
        memcpy(c->ours->ring, (const uint8_t *)from + first, size - first);
    }
}

/* The same for its first bytes, CHANNEL_RECORD at most, which lie in one piece. */
static inline uint8_t *channel_write_head(struct channel *c) {
    return c->ours->ring + (c->put + CHANNEL_RECORD) % CHANNEL_RING;
}

/* It is complete, and the other side can see it. */
void channel_send(struct channel *c, uint32_t length, const uint32_t about[3]);

/* Does the other side want a doorbell for what was sent since this was asked last? */
bool channel_wants_bell(struct channel *c);

/* ---- receiving ---- */

/*
 * The record that is next; false if there is none, and then a doorbell will tell of it. length is
 * at most CHANNEL_LONGEST, and about is a copy. Asking again gives what stands there then.
 */
bool channel_look(struct channel *c, struct channel_record *record);

/*
 * Where bytes of it are: at most size of them, which becomes how many lie there in one piece. The
 * other side may change them at any moment. at and size are of a record that was looked at.
 */
static inline const uint8_t *channel_bytes(const struct channel *c, uint32_t at, uint32_t *size) {
    ASSERT(at <= CHANNEL_LONGEST && *size <= CHANNEL_LONGEST - at);
    uint32_t place = (c->taken + CHANNEL_RECORD + at) % CHANNEL_RING;

    *size = channel_piece(place, *size);
    return c->theirs->ring + place;
}

/* The first CHANNEL_RECORD bytes, which lie in one piece; of a shorter record what is after it. */
static inline const uint8_t *channel_head(const struct channel *c) {
    return c->theirs->ring + (c->taken + CHANNEL_RECORD) % CHANNEL_RING;
}

/* Copies them. */
void channel_read(const struct channel *c, uint32_t at, void *to, uint32_t size);

/* The next record, of this length, is done with. */
void channel_take(struct channel *c, uint32_t length);

/* After that: does the other side wait for room, and want a doorbell? */
bool channel_is_awaited(const struct channel *c);
