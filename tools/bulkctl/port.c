// SPDX-License-Identifier: GPL-2.0-or-later
/* See port.h. */
#include "tools/bulkctl/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "hv/lib/message.h"

#define NAME     "org.bulkhead.control"
#define PORTS    "/sys/class/virtio-ports"
#define WAIT_MS  10000
#define AGAIN_MS 10 /* while another program has the port */

/* Where the hypervisor listens, and to whom: docs/control.md. */
#define STREAM_PORT 25192u
#define OWN_PORTS   1023u

int fail(int status, const char *format, ...) {
    va_list args;

    fputs("bulkctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

int fail_output(void) {
    return fail(NO_ANSWER, "writing: %s" MSG(7612), strerror(errno));
}

/* ---- its lines ---- */

/* RFC 8259 "Strings". What is no byte becomes a question mark. */
static char escaped(const char **at) {
    static const char names[] = "bfnrt";
    static const char meant[] = "\b\f\n\r\t";
    char name = *(*at)++;
    char digits[5] = "";
    char *end = digits;

    if (name == 'u') {
        strncpy(digits, *at, 4);
        unsigned long number = strtoul(digits, &end, 16);
        *at += end - digits;
        return number <= 0xff ? (char)number : '?';
    }
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    return found != NULL ? meant[found - names] : name;
}

/* A text in quotes, at one of which *at stands; its size, or -1. */
static long take_text(const char **at, char *out, size_t size) {
    size_t n = 0;

    for (++*at; **at != '"';) {
        char c = *(*at)++;
        if (c == '\\' && **at != '\0') {
            c = escaped(at);
        } else if (c == '\0') {
            return -1;
        }
        if (n == size - 1) {
            return -1;
        }
        out[n++] = c;
    }
    ++*at;
    out[n] = '\0';
    return (long)n;
}

static void skip_blanks(const char **at) {
    *at += strspn(*at, " \t\r");
}

enum next next_pair(const char **at, struct pair *out) {
    skip_blanks(at);
    if (**at == '}') {
        return NEXT_END;
    }
    if (**at != '{' && **at != ',') {
        return NEXT_WRONG;
    }
    ++*at;
    skip_blanks(at);
    if (**at != '"' || take_text(at, out->key, sizeof(out->key)) < 0) {
        return NEXT_WRONG;
    }
    skip_blanks(at);
    if (**at != ':') {
        return NEXT_WRONG;
    }
    ++*at;
    skip_blanks(at);
    out->is_text = **at == '"';
    if (out->is_text) {
        long size = take_text(at, out->value, sizeof(out->value));
        out->size = (size_t)size;
        return size < 0 ? NEXT_WRONG : NEXT_PAIR;
    }
    out->size = strcspn(*at, ",} \t\r");
    if (out->size == 0 || out->size >= sizeof(out->value)) {
        return NEXT_WRONG;
    }
    memcpy(out->value, *at, out->size);
    out->value[out->size] = '\0';
    *at += out->size;
    return NEXT_PAIR;
}

static bool is_object(const char *line) {
    struct pair pair;
    enum next next = *line == '{' ? NEXT_PAIR : NEXT_WRONG;

    while (next == NEXT_PAIR) {
        next = next_pair(&line, &pair);
    }
    return next == NEXT_END && line[1 + strspn(line + 1, " \t\r")] == '\0';
}

const char *value_of(const char *line, const char *key, struct pair *out) {
    while (next_pair(&line, out) == NEXT_PAIR) {
        if (strcmp(out->key, key) == 0) {
            return out->value;
        }
    }
    out->size = 0;
    out->value[0] = '\0';
    return out->value;
}

unsigned long long number_of(const char *line, const char *key) {
    struct pair pair;
    return strtoull(value_of(line, key, &pair), NULL, 10);
}

/* ---- the port ---- */

/* Bytes that have come and are no whole line yet. */
static char buffer[2 * LINE_SIZE];
static size_t filled;

/* The next line, with its NUL instead of its end. NULL, or why there is none. */
static const char *read_line(int port, char line[LINE_SIZE]) {
    for (;;) {
        char *end = memchr(buffer, '\n', filled);
        if (end != NULL && end - buffer < LINE_SIZE) {
            size_t size = (size_t)(end - buffer);
            memcpy(line, buffer, size);
            line[size] = '\0';
            filled -= size + 1;
            memmove(buffer, end + 1, filled);
            return NULL;
        }
        if (filled >= LINE_SIZE) {
            return "a line without an end: make bulkctl anew, of the version that runs";
        }
        struct pollfd ready = {.fd = port, .events = POLLIN};
        int polled = poll(&ready, 1, WAIT_MS);
        if (polled == 0) {
            return "none came in ten seconds: ask again";
        }
        ssize_t got = polled < 0 ? -1 : read(port, buffer + filled, sizeof(buffer) - filled);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return got == 0 ? "the port was closed: ask again" : strerror(errno);
        }
        filled += got > 0 ? (size_t)got : 0;
    }
}

static bool write_all(int port, const char *text, size_t size) {
    while (size != 0) {
        ssize_t n = send(port, text, size, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK) {
            n = write(port, text, size);
        }
        if (n <= 0) {
            return false;
        }
        text += n;
        size -= (size_t)n;
    }
    return true;
}

static int read_answer(int port, void (*take)(const char *line), char last[LINE_SIZE]) {
    struct pair ok;

    for (;;) {
        const char *wrong = read_line(port, last);
        if (wrong == NULL && !is_object(last)) {
            wrong = "no JSON: make bulkctl anew, of the version that runs";
        }
        if (wrong != NULL) {
            return fail(NO_ANSWER, "reading the answer: %s" MSG(7609), wrong);
        }
        if (value_of(last, "ok", &ok)[0] != '\0') {
            return strcmp(ok.value, "true") == 0 ? DONE : REFUSED;
        }
        take(last);
    }
}

const char *refusal(const char *last, char text[REFUSAL_SIZE]) {
    struct pair error, number;

    (void)value_of(last, "error", &error);
    if (value_of(last, "number", &number)[0] != '\0') {
        snprintf(text, REFUSAL_SIZE, "%s [%.32s]", error.value, number.value);
    } else { /* a hypervisor from before there were any */
        snprintf(text, REFUSAL_SIZE, "%s", error.value);
    }
    return text;
}

/* One program at a time has it. Nothing is written to what can be no port: a file, a disk. */
static int open_port(const char *path) {
    struct stat file;

    if (stat(path, &file) != 0) {
        return -1;
    }
    if (!S_ISCHR(file.st_mode)) {
        errno = ENODEV;
        return -1;
    }
    for (int tries = 0;; tries++) {
        int port = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (port >= 0 || errno != EBUSY || tries == WAIT_MS / AGAIN_MS) {
            return port;
        }
        usleep(AGAIN_MS * 1000);
    }
}

/* /dev/vportNpM, as the kernel names it: udev's link with the port's name is not everywhere. */
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
        if (fgets(name, sizeof(name), f) != NULL && strcmp(name, NAME "\n") == 0) {
            snprintf(path, sizeof(path), "/dev/%s", e->d_name);
        }
        fclose(f);
    }
    if (ports != NULL) {
        closedir(ports);
    }
    return path;
}

/* ---- the stream ---- */

/* One of the ports that only root may have: the hypervisor listens to no other. */
static bool bind_port(int stream) {
    for (unsigned i = 0; i < OWN_PORTS; i++) {
        struct sockaddr_vm own = {.svm_family = AF_VSOCK,
                                  .svm_cid = VMADDR_CID_ANY,
                                  .svm_port = 1 + ((unsigned)getpid() + i) % OWN_PORTS};
        if (bind(stream, (const struct sockaddr *)&own, sizeof(own)) == 0) {
            return true;
        }
        if (errno != EADDRINUSE) {
            return false;
        }
    }
    return false;
}

/* -1: this guest has no sockets of that kind, or the hypervisor does not listen there. */
static int open_stream(void) {
    const struct sockaddr_vm host = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = STREAM_PORT};
    int stream = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (stream < 0) {
        return -1;
    }
    if (!bind_port(stream) || connect(stream, (const struct sockaddr *)&host, sizeof(host)) != 0) {
        close(stream);
        return -1;
    }
    return stream;
}

/* ---- asking ---- */

int ask(const char *path, const char *request, void (*take)(const char *line),
        char last[LINE_SIZE]) {
    int port = path == NULL ? open_stream() : -1;
    int status;

    if (port < 0) {
        path = path != NULL ? path : find_port();
        port = open_port(path);
    }
    if (port < 0) {
        return fail(NO_ANSWER,
                    "%s: %s. Is control in this guest's table of bulkhead.toml, and virtio_console "
                    "loaded, or vmw_vsock_virtio_transport? Are you root?" MSG(7610),
                    path, strerror(errno));
    }
    filled = 0;
    if (write_all(port, request, strlen(request))) {
        status = read_answer(port, take, last);
    } else {
        status = fail(NO_ANSWER, "writing to the port: %s" MSG(7611), strerror(errno));
    }
    close(port);
    return status;
}
