// SPDX-License-Identifier: GPL-2.0-or-later
/* Events of guests, merged in the order of their times. See follow.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/lib/message.h"
#include "tools/bulkctl/follow.h"

#define GUESTS 64 /* more than there can be */
#define LINES  4096
#define WAIT_S 1

/* The guests, and how many events of each are known. */
static struct {
    char name[NAME_SIZE];
    unsigned long long known;
} guests[GUESTS];
static size_t guest_count;

/* What has come in this turn. */
static struct line {
    unsigned long long us;
    char *text;
} lines[LINES];
static size_t line_count;

static void take_guest(const char *line) {
    struct pair name;

    if (guest_count < GUESTS) {
        (void)value_of(line, "guest", &name);
        snprintf(guests[guest_count++].name, NAME_SIZE, "%.*s", NAME_SIZE - 1, name.value);
    }
}

static void take_event(const char *line) {
    char *text = strdup(line);

    if (line_count < LINES && text != NULL) {
        lines[line_count++] = (struct line){number_of(line, "us"), text};
    }
}

static int compare(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    return x->us < y->us ? -1 : x->us > y->us;
}

/* "2026-11-30 02:33:59Z web          running   start" */
static void print_event(const char *line) {
    struct pair guest, state, cause, why, kind;
    time_t at = (time_t)number_of(line, "unix");
    struct tm utc = {0};
    char date[32] = "";

    gmtime_r(&at, &utc);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%SZ", &utc);
    (void)value_of(line, "kind", &kind);
    (void)value_of(line, "state", &state);
    (void)value_of(line, "cause", &cause);
    (void)value_of(line, "why", &why);
    const char *over = strcmp(kind.value, "limit") == 0 ? "over its limit " : "";
    const char *colon = why.size != 0 ? ": " : "";

    printf("%s %-16s %-9s %s%s%s%s\n", date, value_of(line, "guest", &guest), state.value, over,
           cause.value, colon, why.value);
}

/* Of a guest of which events were known before, those that are gone are told. */
static void print_all(bool json) {
    struct pair name;

    qsort(lines, line_count, sizeof(lines[0]), compare);
    for (size_t i = 0; i < line_count; i++) {
        const char *line = lines[i].text;
        unsigned long long number = number_of(line, "event");
        (void)value_of(line, "guest", &name);
        for (size_t n = 0; n < guest_count; n++) {
            if (strcmp(guests[n].name, name.value) != 0) {
                continue;
            }
            if (guests[n].known != 0 && number > guests[n].known + 1) {
                fprintf(stderr, "bulkctl: %s: %llu events lost" MSG(7613) "\n", name.value,
                        number - guests[n].known - 1);
            }
            guests[n].known = number;
        }
        if (json) {
            puts(line);
        } else {
            print_event(line);
        }
        free(lines[i].text);
    }
    line_count = 0;
}

static int take_turn(const char *path, bool json, char last[LINE_SIZE]) {
    char request[200];
    int status = DONE;

    for (size_t n = 0; status == DONE && n < guest_count; n++) {
        snprintf(request, sizeof(request),
                 "{\"verb\":\"events\",\"guest\":\"%.63s\",\"after\":%llu}\n", guests[n].name,
                 guests[n].known);
        status = ask(path, request, take_event, last);
    }
    print_all(json);
    return status;
}

int show_events(const char *path, const char *guest, bool follow, bool json) {
    char last[LINE_SIZE] = "", request[200] = "{\"verb\":\"list\"}\n";
    char why[REFUSAL_SIZE];

    if (guest != NULL) {
        snprintf(request, sizeof(request), "{\"verb\":\"list\",\"guest\":\"%s\"}\n", guest);
    }
    int status = ask(path, request, take_guest, last);
    while (status == DONE) {
        status = take_turn(path, json, last);
        if (status == DONE && json && !follow) {
            puts(last);
        }
        if (fflush(stdout) != 0) {
            return fail_output();
        }
        if (status != DONE || !follow) {
            break;
        }
        sleep(WAIT_S);
    }
    if (status == REFUSED) {
        return fail(REFUSED, "%s: %s", guest != NULL ? guest : "events", refusal(last, why));
    }
    return status;
}
