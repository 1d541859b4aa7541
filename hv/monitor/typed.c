/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See typed.h. */
#include "hv/monitor/typed.h"

void typed_reset(struct typed *t) {
    t->count = 0;
    t->epoch++;
    t->given_up = false;
    t->full = false;
}

bool typed_put(struct typed *t, uint8_t byte, uint64_t now) {
    if (t->count == TYPED_SIZE) {
        return false;
    }
    t->bytes[(t->head + t->count) % TYPED_SIZE] = byte;
    t->count++;
    if (t->count >= TYPED_XOFF && !t->full) {
        t->full = true;
        t->full_tsc = now;
    }
    return true;
}

bool typed_is_short(const struct typed *t) {
    return t->count < TYPED_XON;
}

unsigned typed_peek(const struct typed *t, uint8_t *out) {
    unsigned n = 0;
    for (; n < t->count && n < TYPED_MOVE; n++) {
        out[n] = t->bytes[(t->head + n) % TYPED_SIZE];
    }
    return n;
}

unsigned typed_taken(struct typed *t, unsigned n, uint64_t now, uint64_t patience) {
    unsigned lost = 0;
    t->head = (t->head + n) % TYPED_SIZE;
    t->count -= n;
    bool late = t->full && now - t->full_tsc > patience;
    if (n != 0 && !late) {
        t->given_up = false;
    } else if (t->given_up || late) {
        lost = t->count;
        t->count = 0;
        t->given_up = true;
    }
    t->full = t->full && t->count > TYPED_XON;
    return lost;
}
