/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line editor: keys as terminals send them go in, a line with a cursor and a history come out.
 * Knows nothing of commands and prints nothing. Owned by command.c; one operator, so no lock.
 */
#pragma once

#include "hv/lib/types.h"

#define LINE_SIZE         80u /* with its NUL */
#define LINE_HISTORY_SIZE 16u

struct line {
    char text[LINE_SIZE];
    size_t length, cursor;

    /* The last lines that were entered; entry i is at history[i % LINE_HISTORY_SIZE]. */
    char history[LINE_HISTORY_SIZE][LINE_SIZE];
    unsigned entered; /* ever */
    unsigned shown;   /* the entry in text; entered = the line that is being written */
    char draft[LINE_SIZE];

    uint8_t state;      /* enum line_state: in the middle of a sequence of a key */
    unsigned parameter; /* of that sequence */
};

/*
 * One byte from the keyboard or the serial line. True if it ends the line: text is whole, and stays
 * until line_next().
 */
bool line_key(struct line *l, uint8_t key);

/* As if the text had been typed at the cursor. */
void line_insert(struct line *l, const char *text);

/* Puts the line into the history, unless it is empty or the same as the last, and begins a new one.
 */
void line_next(struct line *l);
