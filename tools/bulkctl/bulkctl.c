// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists and orders about guests of Bulkhead, from within a guest whose config has the key control:
 * a line of JSON to the hypervisor, by vsock or a port of the virtio console, and what comes back.
 * For Linux, linked statically, so that it runs in any guest. See docs/control.md and bulkctl(1).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/lib/message.h"
#include "tools/bulkctl/follow.h"

static const char usage[] =
    "usage: bulkctl [--json] [--port FILE] VERB [-f] [GUEST]\n"
    "\n"
    "  list             the guests that this one may control (also: ps)\n"
    "  stats GUEST      what one of them has counted\n"
    "  start GUEST      stop GUEST      restart GUEST\n"
    "  reset GUEST      kill GUEST      pause GUEST     resume GUEST\n"
    "  events [GUEST]   what has become of them and why, as far as it is kept; -f: goes on\n"
    "  logs GUEST       the end of its console, as text; -f: goes on\n"
    "  trace GUEST      the last exits of its CPUs, for bhtrace; -f: goes on\n"
    "  console GUEST    the console itself, to type as well (also: attach); Ctrl-] then 0 leaves\n"
    "  metrics          all counters, as Prometheus reads them\n"
    "\n"
    "--json prints the answer as it comes. An order is taken, not yet done: list tells the state.\n"
    "Ends with 0: done; 1: refused; 2: wrong usage; 3: no answer.\n";

/* ---- how they are shown ---- */

/* Once. */
static void show_headline(void) {
    static bool shown;

    if (!shown) {
        printf("%-20s %-9s %5s %8s  %s\n", "GUEST", "STATE", "VCPUS", "MEMORY", "UP");
    }
    shown = true;
}

static void show_row(const char *line) {
    struct pair name, state, vcpus;
    unsigned long long mib = number_of(line, "memory_bytes") >> 20;
    unsigned long long seconds = number_of(line, "up_ms") / 1000;

    show_headline();
    printf("%-20s %-9s %5s %7lluM  %llu days %02llu:%02llu:%02llu\n",
           value_of(line, "guest", &name), value_of(line, "state", &state),
           value_of(line, "vcpus", &vcpus), mib, seconds / 86400, seconds / 3600 % 24,
           seconds / 60 % 60, seconds % 60);
}

static void show_counters(const char *line) {
    struct pair pair;

    while (next_pair(&line, &pair) == NEXT_PAIR) {
        printf("%-20s %s\n", pair.key, pair.value);
    }
}

/* "up_ms" becomes bulkhead_up_ms{guest="web"}. The state is a label, with the value 1. */
static void show_metrics(const char *line) {
    struct pair name, state, pair;

    (void)value_of(line, "guest", &name);
    printf("bulkhead_state{guest=\"%s\",state=\"%s\"} 1\n", name.value,
           value_of(line, "state", &state));
    while (next_pair(&line, &pair) == NEXT_PAIR) {
        if (!pair.is_text && isdigit((unsigned char)pair.value[0])) {
            printf("bulkhead_%s{guest=\"%s\"} %s\n", pair.key, name.value, pair.value);
        }
    }
}

static void show_json(const char *line) {
    puts(line);
}

static void show_nothing(const char *line) {
    (void)line;
}

/* ---- verbs ---- */

/* GUEST_NAMED: it has to be named. */
enum guest { GUEST_NONE, GUEST_ANY, GUEST_NAMED };

/* What is asked and shown; or else run. */
struct words {
    const char *path, *guest;
    bool json, follow;
};
struct verb {
    const char *name, *asked;
    enum guest guest;
    bool can_follow;
    void (*show)(const char *line);
    int (*run)(const struct words *words);
};

static int run_events(const struct words *words) {
    return show_events(words->path, words->guest, words->follow, words->json);
}

static int run_logs(const struct words *words) {
    return show_logs(words->path, words->guest, words->follow, words->json);
}

static int run_trace(const struct words *words) {
    return show_trace(words->path, words->guest, words->follow, words->json);
}

static int run_attach(const struct words *words) {
    return run_console(words->path, words->guest);
}

#define LIST(verb, shown)                                                                          \
    { .name = verb, .asked = "list", .show = shown }
#define ORDER(verb)                                                                                \
    { .name = verb, .asked = verb, .guest = GUEST_NAMED, .show = show_nothing }
static const struct verb verbs[] = {
    LIST("list", show_row),
    LIST("ps", show_row),
    LIST("metrics", show_metrics),
    {.name = "stats", .asked = "list", .guest = GUEST_NAMED, .show = show_counters},
    ORDER("start"),
    ORDER("stop"),
    ORDER("restart"),
    ORDER("reset"),
    ORDER("kill"),
    ORDER("pause"),
    ORDER("resume"),
    {.name = "events", .guest = GUEST_ANY, .can_follow = true, .run = run_events},
    {.name = "logs", .guest = GUEST_NAMED, .can_follow = true, .run = run_logs},
    {.name = "trace", .guest = GUEST_NAMED, .can_follow = true, .run = run_trace},
    {.name = "console", .guest = GUEST_NAMED, .run = run_attach},
    {.name = "attach", .guest = GUEST_NAMED, .run = run_attach},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int run_asked(const struct verb *verb, const struct words *words) {
    char last[LINE_SIZE], request[200];
    char why[REFUSAL_SIZE];
    int n = snprintf(request, sizeof(request), "{\"verb\":\"%s\"", verb->asked);

    if (words->guest != NULL) {
        n += snprintf(request + n, sizeof(request) - (size_t)n, ",\"guest\":\"%s\"", words->guest);
    }
    snprintf(request + n, sizeof(request) - (size_t)n, "}\n");
    int status = ask(words->path, request, words->json ? show_json : verb->show, last);
    if (verb->show == show_row && !words->json && status == DONE) {
        show_headline(); /* of no rows, too */
    }
    if (words->json && status != NO_ANSWER) {
        puts(last);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return fail_output();
    }
    if (status == REFUSED) {
        return fail(REFUSED, "%s: %s", words->guest != NULL ? words->guest : verb->name,
                    refusal(last, why));
    }
    return status;
}

/* What goes between quotes there. */
static bool is_name(const char *text) {
    return text[0] != '\0' && strlen(text) < 64 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* Are they good for the verb? */
static int judge(const struct verb *verb, const struct words *words) {
    if (words->follow && !verb->can_follow) {
        return fail(USAGE, "%s: does not go on: no -f" MSG(7602), verb->name);
    }
    if (words->json && verb->run == run_attach) {
        return fail(USAGE, "%s: has no JSON: logs has" MSG(7603), verb->name);
    }
    if (words->guest == NULL && verb->guest == GUEST_NAMED) {
        return fail(USAGE, "%s: needs the name of one guest" MSG(7604), verb->name);
    }
    if (words->guest != NULL && verb->guest == GUEST_NONE) {
        return fail(USAGE, "%s: takes no guest" MSG(7605), verb->name);
    }
    if (words->guest != NULL && !is_name(words->guest)) {
        return fail(USAGE, "%s: is no name of a guest: a-z, 0-9 and -" MSG(7606), words->guest);
    }
    return DONE;
}

int main(int argc, char **argv) {
    struct words words = {.path = NULL};
    const char *plain[3] = {NULL, NULL, NULL};
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            words.json = true;
        } else if (strcmp(argv[i], "-f") == 0) {
            words.follow = true;
        } else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            words.path = argv[++i];
        } else if (strcmp(argv[i], "--help") == 0) {
            return fputs(usage, stdout) < 0;
        } else if (argv[i][0] == '-') {
            return fail(USAGE, "%s: no such option; bulkctl --help lists them" MSG(7607), argv[i]);
        } else if (count < 3) {
            plain[count++] = argv[i];
        }
    }
    const struct verb *verb = count != 0 ? find_verb(plain[0]) : NULL;
    if (verb == NULL) {
        fputs(usage, stderr);
        return fail(USAGE, "%s: no such verb; the usage has them all" MSG(7601),
                    count != 0 ? plain[0] : "(none)");
    }
    words.guest = plain[1];
    if (plain[2] != NULL) {
        return fail(USAGE, "%s: one guest at a time" MSG(7608), plain[2]);
    }
    if (judge(verb, &words) != DONE) {
        return USAGE;
    }
    return verb->run != NULL ? verb->run(&words) : run_asked(verb, &words);
}
