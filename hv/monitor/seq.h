/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts a stream of console bytes into units: a character, a control, an escape or a CSI sequence.
 * Owns no screen and knows no meaning; nothing is trusted, the bytes are a guest's. Called by
 * console.c, one struct for each stream. Sources: ECMA-48 "Control functions"; RFC 3629 "UTF-8".
 */
#pragma once

#include "hv/lib/types.h"

#define SEQ_BYTES       64 /* a longer sequence is carried out, but its bytes are not kept */
#define SEQ_PARAMETERS  16
#define SEQ_REPLACEMENT 0xfffdu /* stands for what is no UTF-8 */

enum seq_kind {
    SEQ_TEXT,    /* code: the code point, never a control */
    SEQ_CONTROL, /* code: 0 to 1Fh; may come out of the middle of a sequence, which goes on */
    SEQ_ESCAPE,  /* code: the final byte, intermediate: the byte before it or 0 */
    SEQ_CSI,     /* the same with mark (one of < = > ? or 0) and the parameters */
};

enum seq_state { SEQ_GROUND, SEQ_UTF8, SEQ_IN_ESCAPE, SEQ_IN_CSI, SEQ_IN_STRING, SEQ_IN_PALETTE };

struct seq {
    enum seq_state state;
    enum seq_kind kind;
    uint32_t code;
    uint8_t mark, intermediate;
    bool again; /* the byte fed last is not part of this unit: feed it once more */
    unsigned count;
    uint16_t parameters[SEQ_PARAMETERS]; /* missing is 0, none is above 9999 */
    uint32_t subs;                       /* bit i: parameter i follows a colon, not a semicolon */

    uint8_t bytes[SEQ_BYTES]; /* the unit as it came; a control is not among them */
    unsigned length;
    unsigned left;  /* bytes to come, of a character or of a palette entry */
    uint32_t least; /* the lowest code point that needs so many bytes */
};

/* Forgets what was begun. */
void seq_reset(struct seq *s);

/* One byte; true when it completes a unit. Then look at s->again. */
bool seq_feed(struct seq *s, uint8_t byte);
