/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the end of a view's scrollback line by line, as text: a guest's sequences would draw over
 * the prompt. What comes meanwhile is not shown. Called by command.c.
 */
#include "hv/monitor/lines.h"

#include "hv/monitor/console.h"

#define LINE_MOST 256u
#define ESCAPE    0x1b
#define BELL      0x07

static struct lines_state {
    uint64_t at, end; /* bytes of the view */
    /* In a sequence of a terminal's: behind ESC, in one with parameters, in a string, before the
     * name of a character set. */
    enum { IN_TEXT, IN_ESCAPE, IN_PARAMETERS, IN_STRING, IN_SET } in;
    char text[LINE_MOST];
    size_t length;
} lines;

static void lines_put(uint8_t byte) {
    bool text = byte >= ' ' && byte != 0x7f;

    if (byte == '\r') {
        lines.length = 0;
    } else if (byte == '\b') {
        lines.length -= lines.length != 0;
    } else if ((text || byte == '\t') && lines.length < LINE_MOST - 1) {
        lines.text[lines.length++] = (char)byte;
    }
}

static void lines_escaped(uint8_t byte) {
    if (byte == '[') {
        lines.in = IN_PARAMETERS;
    } else if (byte == ']' || byte == 'P' || byte == '_' || byte == '^' || byte == 'X') {
        lines.in = IN_STRING;
    } else if (byte == '(' || byte == ')') {
        lines.in = IN_SET;
    } else {
        lines.in = IN_TEXT;
    }
}

static void lines_take(uint8_t byte) {
    if (byte == ESCAPE) {
        lines.in = IN_ESCAPE;
    } else if (lines.in == IN_ESCAPE) {
        lines_escaped(byte);
    } else if (lines.in == IN_TEXT) {
        lines_put(byte);
    } else if (lines.in == IN_SET || (lines.in == IN_PARAMETERS && byte >= '@') ||
               (lines.in == IN_STRING && byte == BELL)) {
        lines.in = IN_TEXT;
    }
}

/* The next line into lines.text, as a string; false at the end. */
static bool lines_next(const struct vm_public *vm) {
    bool more = lines.at != lines.end;
    bool whole = false;

    lines.length = 0;
    while (!whole && lines.at != lines.end) {
        uint8_t byte = console_recall(vm, lines.at++);
        uint8_t next = lines.at != lines.end ? console_recall(vm, lines.at) : '\n';
        whole = byte == '\n';
        if (!whole && !(byte == '\r' && next == '\n')) {
            lines_take(byte);
        }
    }
    lines.text[lines.length] = '\0';
    return more;
}

enum show lines_show_guest(const struct vm_public *vm, unsigned line) {
    if (line == 0) {
        lines = (struct lines_state){0};
        console_recall_range(vm, &lines.at, &lines.end);
    }
    if (!lines_next(vm)) {
        return SHOW_END;
    }
    console_print("%s\n", lines.text);
    return SHOW_PRINTED;
}

enum show lines_show_log(unsigned line) {
    return lines_show_guest(NULL, line);
}
