// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way to the operator's hand: a request out, lines of JSON back. It is a stream to the host, by
 * vsock, or else a port of the virtio console, which one program at a time has: so either is opened
 * for each request and closed after the answer. See docs/control.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define LINE_SIZE  2048 /* of a line of an answer */
#define VALUE_SIZE 1024
#define NAME_SIZE  64

#define REFUSAL_SIZE (VALUE_SIZE + NAME_SIZE)

/* What the program ends with. */
enum { DONE = 0, REFUSED = 1, USAGE = 2, NO_ANSWER = 3 };

/* Prints a line about it, which ends in its number, MSG(); returns status. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same of what is printed, where that could not be written: NO_ANSWER. */
int fail_output(void);

/* Why the hypervisor refuses, by a last line that is not ok: a text, and its number in brackets. */
const char *refusal(const char *last, char text[REFUSAL_SIZE]);

/* A flat object's next pair: a text without its quotes and escapes, or else as it stands there. */
struct pair {
    char key[NAME_SIZE], value[VALUE_SIZE];
    size_t size; /* of value, which has a NUL behind it and may have others */
    bool is_text;
};
enum next { NEXT_PAIR, NEXT_END, NEXT_WRONG };

/* From *at on, which begins as a whole line. */
enum next next_pair(const char **at, struct pair *out);

/* Its value in line, or an empty text. */
const char *value_of(const char *line, const char *key, struct pair *out);
unsigned long long number_of(const char *line, const char *key);

/*
 * Asks by the port at path, or by the stream or the port that there is (NULL), and has each line of
 * the answer taken but the last, which goes to last. Returns DONE, REFUSED (the reason is last's
 * "error"), or NO_ANSWER, which was told then.
 */
int ask(const char *path, const char *request, void (*take)(const char *line),
        char last[LINE_SIZE]);
