/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See crash.h. A report begins with the line that says why and ends with the one that says what the
 * policy is (hv/exit/report.c); lines of others may stand between.
 */
#include "config/crash.h"

#include "hv/lib/str.h"

#define REPORT_BEGIN ": error: stopped: "
#define REPORT_LAST  ":   policy: "
#define REPORT_LINES 100u /* one of which the last line is lost ends there */
#define PANIC_BEGIN  "BULKHEAD PANIC"

/* A line of the text, without its end. */
struct crash_line {
    const char *text;
    size_t length;
};

/* The line at *at, which moves behind it; false at the end. */
static bool crash_next_line(const char *text, size_t length, size_t *at, struct crash_line *out) {
    if (*at >= length) {
        return false;
    }
    out->text = text + *at;
    out->length = 0;
    while (*at + out->length < length && out->text[out->length] != '\n') {
        out->length++;
    }
    *at += out->length + 1;
    return true;
}

/* Where words stand in the line; its length if they do not. */
static size_t crash_place(const struct crash_line *line, const char *words) {
    size_t n = strlen(words);

    for (size_t i = 0; i + n <= line->length; i++) {
        if (memcmp(line->text + i, words, n) == 0) {
            return i;
        }
    }
    return line->length;
}

static bool crash_has(const struct crash_line *line, const char *words) {
    return crash_place(line, words) != line->length;
}

bool crash_find(const char *text, size_t length, size_t *at, struct crash_report *out) {
    struct crash_line line;

    while (crash_next_line(text, length, at, &line)) {
        size_t end = crash_place(&line, REPORT_BEGIN);
        size_t begin = end;
        if (end != line.length) {
            while (begin != 0 && line.text[begin - 1] != ' ') {
                begin--;
            }
            *out = (struct crash_report){line.text, line.text + begin, end - begin};
            return true;
        }
        if (crash_place(&line, PANIC_BEGIN) == 0 && line.length != 0) {
            *out = (struct crash_report){line.text, NULL, 0};
            return true;
        }
    }
    return false;
}

/* " NAME:" stands in it: what the log says of that guest. */
static bool crash_is_of(const struct crash_line *line, const struct crash_report *report) {
    size_t n = report->name_length;

    for (size_t i = 1; i + n < line->length; i++) {
        if (line->text[i - 1] == ' ' && line->text[i + n] == ':' &&
            memcmp(line->text + i, report->name, n) == 0) {
            return true;
        }
    }
    return false;
}

size_t crash_copy(const char *text, size_t length, const struct crash_report *report, char *out,
                  size_t size) {
    size_t at = (size_t)(report->begin - text);
    size_t copied = 0;
    struct crash_line line;
    bool more = true;

    for (unsigned i = 0; more && crash_next_line(text, length, &at, &line); i++) {
        bool guest = report->name != NULL;
        if (guest && !crash_is_of(&line, report)) {
            more = i < REPORT_LINES;
            continue;
        }
        if (line.length + 1 > size - copied) {
            break;
        }
        memcpy(out + copied, line.text, line.length);
        copied += line.length;
        out[copied++] = '\n';
        more = i < REPORT_LINES && !(guest && crash_has(&line, REPORT_LAST));
    }
    return copied;
}

uint32_t crash_number(const char *name) {
    uint32_t number = 0;

    for (; *name >= '0' && *name <= '9' && number <= CRASH_NUMBERS / 10; name++) {
        number = number * 10 + (uint32_t)(*name - '0');
    }
    return str_equal(name, ".txt") || str_equal(name, ".TXT") ? number : 0;
}
