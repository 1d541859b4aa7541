// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One row of docs/messages.md, which is in this program (page.S), cell by cell. scripts/messages.py
 * sees to it that each row has four.
 */
#include "tools/messages.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hv/lib/message.h"

#define CELLS  4u
#define DIGITS 4u

extern const char messages_page[], messages_page_end[];

/* Of "[BH3043]", as it stands in a message, of "bh3043" and of "3043". */
static const char *digits_of(const char *word) {
    word += word[0] == '[' ? 1 : 0;
    return strncasecmp(word, "BH", 2) == 0 ? word + 2 : word;
}

bool messages_is_number(const char *word) {
    const char *digits = digits_of(word);
    bool four = strspn(digits, "0123456789") == DIGITS;

    return four && strcmp(digits + DIGITS, word[0] == '[' ? "]" : "") == 0;
}

/* Where the row begins, or NULL. */
static const char *find_row(const char *digits) {
    char begins[16];
    int length = snprintf(begins, sizeof(begins), "\n| BH%.4s | ", digits);
    size_t left = (size_t)(messages_page_end - messages_page);
    const char *found = memmem(messages_page, left, begins, (size_t)length);

    return found != NULL ? found + 1 : NULL;
}

/* To the end of the cell: a bar between blanks. Returns what follows. */
static const char *cell_end(const char *cell, const char *end) {
    const char *bar = memmem(cell, (size_t)(end - cell), " |", 2);
    return bar != NULL ? bar : end;
}

bool messages_explain(const char *number) {
    static const char *const heads[CELLS] = {"", "message: ", "means:   ", "do:      "};
    const char *row = find_row(digits_of(number));

    if (row == NULL) {
        printf("no message has the number %s; docs/messages.md has them all" MSG(7114) "\n",
               number);
        return false;
    }
    const char *end = memchr(row, '\n', (size_t)(messages_page_end - row));
    const char *at = row + 2;
    for (unsigned i = 0; i < CELLS && at < end; i++) {
        const char *to = cell_end(at, end);
        printf("%s%.*s\n", heads[i], (int)(to - at), at);
        at = to + 3;
    }
    return true;
}
