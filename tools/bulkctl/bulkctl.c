// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists and orders about guests of Bulkhead, from within a guest whose config has the key control:
 * a line of JSON to the port of its virtio console, and what comes back. For Linux, linked
 * statically, so that it runs in any guest. See docs/control.md and bulkctl(1).
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME      "org.bulkhead.control"
#define PORTS     "/sys/class/virtio-ports"
#define WAIT_MS   10000
#define LINE_SIZE 1024

enum { DONE = 0, REFUSED = 1, USAGE = 2, NO_ANSWER = 3 };

static const char usage[] =
    "usage: bulkctl [--json] [--port FILE] VERB [GUEST]\n"
    "\n"
    "  list             the guests that this one may control (also: ps)\n"
    "  stats GUEST      what one of them has counted\n"
    "  start GUEST      stop GUEST      restart GUEST\n"
    "  reset GUEST      kill GUEST      pause GUEST     resume GUEST\n"
    "  metrics          all of it, as Prometheus reads it\n"
    "\n"
    "--json prints the answer as it comes. An order is taken, not yet done: list tells the state.\n"
    "Ends with 0: done; 1: refused; 2: wrong usage; 3: no answer.\n";

static int fail(int status, const char *what, const char *why) {
    fprintf(stderr, "bulkctl: %s: %s\n", what, why);
    return status;
}

/* ---- the port ---- */

/* Bytes that have come and are no whole line yet. */
static char buffer[2 * LINE_SIZE];
static size_t filled;

/* The next line, with its NUL instead of its end; false: none comes. */
static bool read_line(int port, char line[LINE_SIZE]) {
    for (;;) {
        char *end = memchr(buffer, '\n', filled);
        if (end != NULL && end - buffer < LINE_SIZE) {
            size_t size = (size_t)(end - buffer);
            memcpy(line, buffer, size);
            line[size] = '\0';
            filled -= size + 1;
            memmove(buffer, end + 1, filled);
            return true;
        }
        struct pollfd ready = {.fd = port, .events = POLLIN};
        if (filled == sizeof(buffer) || poll(&ready, 1, WAIT_MS) <= 0) {
            return false;
        }
        ssize_t got = read(port, buffer + filled, sizeof(buffer) - filled);
        if (got <= 0) {
            return false;
        }
        filled += (size_t)got;
    }
}

static bool write_all(int port, const char *text, size_t size) {
    while (size != 0) {
        ssize_t n = write(port, text, size);
        if (n <= 0) {
            return false;
        }
        text += n;
        size -= (size_t)n;
    }
    return true;
}

/* ---- its lines ---- */

/* A flat object's next pair, from *at on. Values keep no quotes. False at the end. */
static bool next_pair(const char **at, char key[64], char value[128]) {
    const char *s = strchr(*at, '"');
    size_t n;

    if (s == NULL) {
        return false;
    }
    n = strcspn(++s, "\"");
    snprintf(key, 64, "%.*s", (int)n, s);
    s += n;
    s += strspn(s, "\" :");
    bool text = s[-1] == '"';
    n = strcspn(s, text ? "\"" : ",}");
    snprintf(value, 128, "%.*s", (int)n, s);
    *at = s + n + (text && s[n] != '\0');
    return true;
}

static const char *value_of(const char *line, const char *wanted, char value[128]) {
    char key[64];

    for (const char *at = line; next_pair(&at, key, value);) {
        if (strcmp(key, wanted) == 0) {
            return value;
        }
    }
    value[0] = '\0';
    return value;
}

/* ---- how they are shown ---- */

static void show_row(const char *line) {
    char name[128], state[128], vcpus[128], memory[128], up[128];
    unsigned long long mib = strtoull(value_of(line, "memory_bytes", memory), NULL, 10) >> 20;
    unsigned long long seconds = strtoull(value_of(line, "up_ms", up), NULL, 10) / 1000;

    printf("%-20s %-9s %5s %7lluM  %llu days %02llu:%02llu:%02llu\n", value_of(line, "guest", name),
           value_of(line, "state", state), value_of(line, "vcpus", vcpus), mib, seconds / 86400,
           seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static void show_counters(const char *line) {
    char key[64], value[128];

    for (const char *at = line; next_pair(&at, key, value);) {
        printf("%-20s %s\n", key, value);
    }
}

/* "up_ms" becomes bulkhead_up_ms{guest="web"}. The state is a label, with the value 1. */
static void show_metrics(const char *line) {
    char name[128], state[128], key[64], value[128];

    (void)value_of(line, "guest", name);
    printf("bulkhead_state{guest=\"%s\",state=\"%s\"} 1\n", name, value_of(line, "state", state));
    for (const char *at = line; next_pair(&at, key, value);) {
        if (isdigit((unsigned char)value[0])) {
            printf("bulkhead_%s{guest=\"%s\"} %s\n", key, name, value);
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

static const struct verb {
    const char *name, *asked;
    bool has_guest;
    void (*show)(const char *line);
} verbs[] = {
    {"list", "list", false, show_row},          {"ps", "list", false, show_row},
    {"stats", "list", true, show_counters},     {"metrics", "list", false, show_metrics},
    {"start", "start", true, show_nothing},     {"stop", "stop", true, show_nothing},
    {"restart", "restart", true, show_nothing}, {"kill", "kill", true, show_nothing},
    {"reset", "reset", true, show_nothing},     {"pause", "pause", true, show_nothing},
    {"resume", "resume", true, show_nothing},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int ask(int port, const struct verb *verb, const char *guest, bool json) {
    char line[LINE_SIZE], value[128];
    int size = guest == NULL ? snprintf(line, sizeof(line), "{\"verb\":\"%s\"}\n", verb->asked)
                             : snprintf(line, sizeof(line), "{\"verb\":\"%s\",\"guest\":\"%s\"}\n",
                                        verb->asked, guest);

    if (!write_all(port, line, (size_t)size)) {
        return fail(NO_ANSWER, "writing to the port", strerror(errno));
    }
    if (verb->show == show_row && !json) {
        printf("%-20s %-9s %5s %8s  %s\n", "GUEST", "STATE", "VCPUS", "MEMORY", "UP");
    }
    for (;;) {
        if (!read_line(port, line)) {
            return fail(NO_ANSWER, "reading the answer", "none came");
        }
        bool last = value_of(line, "ok", value)[0] != '\0';
        if (!last || json) {
            (json ? show_json : verb->show)(line);
        }
        if (last && strcmp(value, "true") == 0) {
            return DONE;
        }
        if (last) {
            return fail(REFUSED, guest != NULL ? guest : verb->name,
                        value_of(line, "error", value));
        }
    }
}

/* What goes between quotes there. */
static bool is_name(const char *text) {
    return text[0] != '\0' && strlen(text) < 64 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* Its device, /dev/vportNpM, as the kernel names it: udev's link with the port's name is not
 * everywhere. */
static const char *find_port(void) {
    static char path[300] = "/dev/virtio-ports/" NAME;
    DIR *ports = opendir(PORTS);

    for (const struct dirent *e; ports != NULL && (e = readdir(ports)) != NULL;) {
        char file[400], name[64] = "";
        snprintf(file, sizeof(file), PORTS "/%s/name", e->d_name);
        FILE *f = e->d_name[0] != '.' ? fopen(file, "r") : NULL;
        if (f == NULL) {
            continue;
        }
        if (fgets(name, sizeof(name), f) != NULL && strcmp(strtok(name, "\n"), NAME) == 0) {
            snprintf(path, sizeof(path), "/dev/%s", e->d_name);
        }
        fclose(f);
    }
    if (ports != NULL) {
        closedir(ports);
    }
    return path;
}

/* One program at a time has the port. */
static int open_port(const char *path) {
    for (int tries = 0;; tries++) {
        int port = open(path, O_RDWR);
        if (port >= 0 || errno != EBUSY || tries == WAIT_MS / 100) {
            return port;
        }
        usleep(100 * 1000);
    }
}

int main(int argc, char **argv) {
    const char *path = NULL;
    bool json = false;
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            path = argv[++i];
        } else if (strcmp(argv[i], "--help") == 0) {
            return fputs(usage, stdout) < 0;
        } else {
            return fail(USAGE, argv[i], "no such option; bulkctl --help lists them");
        }
    }
    const struct verb *verb = i < argc ? find_verb(argv[i]) : NULL;
    if (verb == NULL) {
        fputs(usage, stderr);
        return USAGE;
    }
    const char *guest = i + 1 < argc ? argv[i + 1] : NULL;
    if ((guest != NULL) != verb->has_guest || argc > i + 2) {
        return fail(USAGE, verb->name,
                    verb->has_guest ? "needs the name of one guest" : "takes no guest");
    }
    if (guest != NULL && !is_name(guest)) {
        return fail(USAGE, guest, "is no name of a guest: a-z, 0-9 and -");
    }
    path = path != NULL ? path : find_port();
    int port = open_port(path);
    if (port < 0) {
        fail(NO_ANSWER, path, strerror(errno));
        fputs("Is control in this guest's table of bulkhead.toml, and virtio_console loaded?\n",
              stderr);
        return NO_ANSWER;
    }
    return ask(port, verb, guest, json);
}
