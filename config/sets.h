/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two sets of a stick, and which of them a start is of. A set is a config with its files:
 * bulkhead/a/bulkhead.toml and what lies in bulkhead/a/, or the same with b. A plain stick has one
 * set, whose files lie from its root on. A new set is tried once. It becomes the good one if it has
 * come up (hv/vm/health.h); otherwise the next start is of the good one again.
 *
 * The state is in two files of SETS_STATE_SIZE bytes, written by turns: that with the higher number
 * counts, if it is whole, so that a write which is cut off changes nothing. Each is one line of
 * text, filled up with blanks. Pure. Called by boot/ and tools/bhcheck; tools/mkstick knows the
 * format, too.
 */
#pragma once

#include "hv/lib/types.h"
#include "hv/plan/config.h"

#define SETS_STATE_0    "bulkhead/state-0.txt"
#define SETS_STATE_1    "bulkhead/state-1.txt"
#define SETS_STATE_SIZE 512u /* a sector, which a stick writes whole or not at all */
#define SETS_PATH_SIZE  (CONFIG_PATH_SIZE + 16)

/* Names of sets: 'a', 'b', and of a plain stick: */
#define SETS_PLAIN '-'
#define SETS_NONE  0

/* What is known of the new set. */
enum sets_trial {
    SETS_UNTRIED,
    SETS_TRIED,  /* the last start was of it */
    SETS_FAILED, /* it has not come up */
    SETS_LOST,   /* it was tried, and nothing tells what came of it: the power was cut */
    SETS_TRIALS
};

struct sets_state {
    uint32_t number; /* of the write; the file is state-0 if it is even */
    char good;
    char fresh; /* the new set, or SETS_NONE; then the rest is zero */
    enum sets_trial trial;
    uint64_t id; /* of the try, not 0; what memory keeps of it has the same */
};

/* Which files are there. texts: SETS_STATE_SIZE bytes, or NULL. */
struct sets_stick {
    const char *texts[2];
    bool plain, a, b; /* that set's config */
};

/*
 * The state of a stick. False if no file tells it: then it has one set, or is judged by what is
 * there, the plain set first, and *state has the number 0.
 */
bool sets_read(const struct sets_stick *stick, struct sets_state *state);

/* The text of a state. */
void sets_write(const struct sets_state *state, char text[SETS_STATE_SIZE]);
const char *sets_path(const struct sets_state *state); /* and its file */

/*
 * A start begins: what is known of the last one's try. known: memory has told of it, healthy: that
 * it has come up. True if *state has changed and is to be written, its number with it.
 */
bool sets_settle(struct sets_state *state, bool known, bool healthy);

/* The set that a start is of if nobody chooses: the new one if it was never tried. */
char sets_choose(const struct sets_state *state);

/* The path on the stick of a file that the config of that set names. */
const char *sets_file(char set, const char *path, char out[SETS_PATH_SIZE]);
/* The same of what Bulkhead itself has there: of a plain stick in the folder "bulkhead". */
const char *sets_own(char set, const char *name, char out[SETS_PATH_SIZE]);

/* "set b", or "the plain set". */
#define SETS_NAME_SIZE 16
const char *sets_name(char set, char out[SETS_NAME_SIZE]);
