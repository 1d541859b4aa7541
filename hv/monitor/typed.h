/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was typed for one view and is not taken yet. Says when the admin's terminal is to wait for a
 * guest that is slow to read, and gives up on one that hardly reads at all: the escape key has to
 * get through. Owns no lock and calls nothing. Called by console.c under its lock.
 */
#pragma once

#include "hv/lib/types.h"

#define TYPED_SIZE 1024u
#define TYPED_XOFF 64u /* a terminal that is told to wait may send several hundred bytes more */
#define TYPED_XON  16u
#define TYPED_MOVE 16u /* bytes in one go */

struct typed {
    uint8_t bytes[TYPED_SIZE];
    unsigned head, count;
    uint64_t epoch; /* counts the resets: what was taken out before the last one is nobody's */
    bool full;      /* a terminal that types for this view is to wait */
    bool given_up;
    uint64_t full_tsc; /* since when it is full */
};

/* Throws away what waits. */
void typed_reset(struct typed *t);

/* False if there is no room. */
bool typed_put(struct typed *t, uint8_t byte, uint64_t now);

/* Whether an answer can go with what was typed: one that asks without end may not stop the keys. */
bool typed_is_short(const struct typed *t);

/* The next bytes, up to TYPED_MOVE; they stay until typed_taken() says how many went. */
unsigned typed_peek(const struct typed *t, uint8_t *out);

/* Returns the bytes that are lost because it was full for longer than patience. */
unsigned typed_taken(struct typed *t, unsigned n, uint64_t now, uint64_t patience);
