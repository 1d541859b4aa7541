/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the two rings of a channel, as one side sees them. See channel.h. Knows nothing of what goes
 * through them.
 */
#include "hv/compartment/virtio/channel.h"

static uint32_t word_of(const uint32_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void word_set(uint32_t *word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* A place in a ring that the other side told. */
static uint32_t channel_place(const uint32_t *word) {
    return ALIGN_DOWN(word_of(word), CHANNEL_RECORD);
}

static uint32_t channel_size(uint32_t length) {
    return ALIGN_UP(CHANNEL_RECORD + length, CHANNEL_RECORD);
}

/* ---- life ---- */

void channel_open(struct channel *c, const struct abi_channel *at) {
    *c = (struct channel){.ours = (struct channel_half *)at->ours,
                          .theirs = (const struct channel_half *)at->theirs};
    word_set(&c->ours->runs, 0);
}

/* The other side may be in the middle of the same: see channel_has_room() and channel_look(). */
void channel_start(struct channel *c) {
    c->put = channel_place(&c->theirs->taken);
    c->asked = c->put;
    c->taken = channel_place(&c->theirs->put);
    c->wake_at = c->taken;
    word_set(&c->ours->put, c->put);
    word_set(&c->ours->taken, c->taken);
    word_set(&c->ours->wake_at, c->wake_at);
    word_set(&c->ours->awaits, 0);
    word_set(&c->ours->starts, (uint32_t)max_u64(word_of(&c->ours->starts) + 1, 1));
    word_set(&c->ours->runs, 1);
    c->awaits = false;
    c->runs = true;
}

void channel_stop(struct channel *c) {
    word_set(&c->ours->runs, 0);
    c->runs = false;
}

bool channel_is_heard(const struct channel *c) {
    return c->runs && word_of(&c->theirs->runs) != 0;
}

uint32_t channel_life(const struct channel *c) {
    return channel_is_heard(c) ? word_of(&c->theirs->starts) : 0;
}

void channel_set_state(struct channel *c, uint32_t state) {
    word_set(&c->ours->state, state);
}

uint32_t channel_own_state(const struct channel *c) {
    return word_of(&c->ours->state);
}

uint32_t channel_state(const struct channel *c) {
    return channel_is_heard(c) ? word_of(&c->theirs->state) : 0;
}

/* ---- sending ---- */

/*
 * A side that has taken more than there was has started anew just now, or lies. Sending goes on
 * where it is. Whoever lies loses records that were sent to it.
 */
static uint32_t channel_free(struct channel *c) {
    uint32_t taken = channel_place(&c->theirs->taken);

    if (c->put - taken > CHANNEL_RING) {
        c->put = taken;
        c->asked = taken;
        c->faults++;
    }
    return (uint32_t)CHANNEL_RING - (c->put - taken);
}

bool channel_has_room(struct channel *c, uint32_t length) {
    return channel_size(length) <= channel_free(c);
}

uint32_t channel_room(struct channel *c) {
    uint32_t free = channel_free(c);
    return free < CHANNEL_RECORD ? 0 : free - CHANNEL_RECORD;
}

static void channel_set_awaits(struct channel *c, bool awaits) {
    c->awaits = awaits;
    word_set(&c->ours->awaits, awaits);
}

bool channel_wait_for_room(struct channel *c, uint32_t length) {
    bool room = channel_has_room(c, length);

    if (!room && !c->awaits) {
        channel_set_awaits(c, true);
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the other side may not have seen it */
        room = channel_has_room(c, length);
    }
    if (room && c->awaits) {
        channel_set_awaits(c, false);
    }
    return room;
}

void channel_send(struct channel *c, uint32_t length, const uint32_t about[3]) {
    struct channel_record record = {.length = length, .about = {about[0], about[1], about[2]}};

    ASSERT(length <= CHANNEL_LONGEST);
    memcpy(c->ours->ring + c->put % CHANNEL_RING, &record, sizeof(record)); /* in one piece */
    c->put += channel_size(length);
    word_set(&c->ours->put, c->put);
}

bool channel_wants_bell(struct channel *c) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* put before what the other side wants */
    uint32_t wake_at = channel_place(&c->theirs->wake_at);
    bool passed = c->put - wake_at - 1 < c->put - c->asked;

    c->asked = c->put;
    return passed && channel_is_heard(c);
}

/* ---- receiving ---- */

static void channel_set_taken(struct channel *c, uint32_t taken) {
    c->taken = taken;
    word_set(&c->ours->taken, taken);
}

/* Has anything come? If not, a doorbell is asked for, and the answer is right after that. */
static bool channel_has_come(struct channel *c, uint32_t *put) {
    *put = channel_place(&c->theirs->put);
    if (*put != c->taken || c->wake_at == c->taken) {
        return *put != c->taken;
    }
    c->wake_at = c->taken;
    word_set(&c->ours->wake_at, c->wake_at);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the other side may not have seen it */
    *put = channel_place(&c->theirs->put);
    return *put != c->taken;
}

/* Each word once. */
static void channel_copy_record(const struct channel *c, struct channel_record *record) {
    const uint8_t *from = c->theirs->ring + c->taken % CHANNEL_RING;
    const uint32_t *words = (const uint32_t *)(const void *)from;

    record->length = word_of(words);
    for (unsigned i = 0; i < ARRAY_SIZE(record->about); i++) {
        record->about[i] = word_of(words + 1 + i);
    }
}

/* there: so many bytes the other side claims to have put behind what was taken. */
static bool channel_is_sane(const struct channel *c, uint32_t there,
                            struct channel_record *record) {
    if (there > CHANNEL_RING) {
        return false;
    }
    channel_copy_record(c, record);
    return record->length <= CHANNEL_LONGEST && channel_size(record->length) <= there;
}

/*
 * A ring that makes no sense is taken for an empty one: the other side has just started anew, or it
 * lies. Twice, for in the first case its next record may be there already without a doorbell.
 */
bool channel_look(struct channel *c, struct channel_record *record) {
    uint32_t put = 0;

    for (unsigned i = 0; i < 2 && channel_has_come(c, &put); i++) {
        if (channel_is_sane(c, put - c->taken, record)) {
            return true;
        }
        c->faults++;
        channel_set_taken(c, put);
    }
    return false;
}

void channel_read(const struct channel *c, uint32_t at, void *to, uint32_t size) {
    uint32_t first = size;
    const uint8_t *from = channel_bytes(c, at, &first);

    memcpy(to, from, first);
    memcpy((uint8_t *)to + first, c->theirs->ring, size - first);
}

void channel_take(struct channel *c, uint32_t length) {
    ASSERT(length <= CHANNEL_LONGEST);
    channel_set_taken(c, c->taken + channel_size(length));
}

bool channel_is_awaited(const struct channel *c) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* taken before what the other side wants */
    return channel_is_heard(c) && word_of(&c->theirs->awaits) != 0;
}
