// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest's console: as text, or as it is, on a terminal that is given back as it was, however this
 * ends. It is asked for again and again, so that others get the port in between. See follow.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "hv/lib/message.h"
#include "tools/bulkctl/follow.h"

#define ESCAPE_KEY 0x1d /* Ctrl-], as at the hypervisor's own console */
#define QUICK_MS   40   /* from one question to the next, while there is something to see */
#define SLOW_MS    400
#define LAST_TURNS                                                                                 \
    200          /* after the end of its input, also with a guest that does not fall silent        \
                  */
#define PIECE 16 /* keys in one request: so many the hypervisor keeps for a guest */

/* Out of whatever the guest has left the terminal in: colours, character set, screen, modes. */
#define TERMINAL_RESET                                                                             \
    "\x18\x1b[!p\x1b[0m\x1b(B\x0f\x1b[?1049l\x1b[r\x1b[?7;25h\x1b[?1l\x1b>"                        \
    "\x1b[?1000;1002;1003;1006;2004l"

static char last[LINE_SIZE];     /* of an answer */
static unsigned long long known; /* bytes of the console */
static bool begun;               /* known is */
static bool moved;               /* something has come in this turn */
static char state[NAME_SIZE];    /* the guest's, as it was told last */
static void (*print_bytes)(const char *bytes, size_t size);
static bool as_json;

static int refused(const char *guest) {
    char why[REFUSAL_SIZE];
    return fail(REFUSED, "%s: %s", guest, refusal(last, why));
}

static void take_text(const char *line) {
    struct pair text;
    unsigned long long at = number_of(line, "at");

    if (begun && at > known) {
        fprintf(stderr, "\r\nbulkctl: %llu bytes of the console lost" MSG(7614) "\r\n", at - known);
    }
    (void)value_of(line, "text", &text);
    known = at + text.size;
    begun = moved = true;
    if (as_json) {
        puts(line);
    } else {
        print_bytes(text.value, text.size);
    }
}

/* What it has shown since. */
static int ask_console(const char *path, const char *guest) {
    char request[200];
    struct pair now;

    int n = snprintf(request, sizeof(request), "{\"verb\":\"console\",\"guest\":\"%s\"", guest);
    snprintf(request + n, sizeof(request) - (size_t)n, begun ? ",\"after\":%llu}\n" : "}\n", known);
    int status = ask(path, request, take_text, last);
    if (status == DONE) {
        known = number_of(last, "next");
        begun = true;
        (void)value_of(last, "state", &now);
        snprintf(state, sizeof(state), "%.*s", NAME_SIZE - 1, now.value);
    }
    return status;
}

/* ---- as text ---- */

/* In a sequence of a terminal's: after ESC, in one with parameters, in a string, before the name of
 * a character set. */
static enum { IN_TEXT, IN_ESCAPE, IN_PARAMETERS, IN_STRING, IN_SET } in;

static void print_escaped(char c) {
    if (c == '[') {
        in = IN_PARAMETERS;
    } else if (c != '\0' && strchr("]P_^X", c) != NULL) {
        in = IN_STRING;
    } else {
        in = c == '(' || c == ')' ? IN_SET : IN_TEXT;
    }
}

static void print_text(const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = bytes[i];
        bool shown = (unsigned char)c >= ' ' && c != 0x7f;
        if (c == 0x1b) {
            in = IN_ESCAPE;
        } else if (in == IN_ESCAPE) {
            print_escaped(c);
        } else if (in == IN_TEXT && (shown || c == '\n' || c == '\t')) {
            putchar(c);
        } else if (in == IN_SET || (in == IN_PARAMETERS && c >= '@') ||
                   (in == IN_STRING && c == 7)) {
            in = IN_TEXT;
        }
    }
}

int show_logs(const char *path, const char *guest, bool follow, bool json) {
    print_bytes = print_text;
    as_json = json;
    for (;;) {
        moved = false;
        int status = ask_console(path, guest);
        if (status == DONE && json && !follow) {
            puts(last);
        }
        if (fflush(stdout) != 0) {
            return fail_output();
        }
        if (status != DONE || !follow) {
            return status == REFUSED ? refused(guest) : status;
        }
        usleep((moved ? QUICK_MS : SLOW_MS) * 1000);
    }
}

/* ---- as it is ---- */

static struct termios terminal_before;
static bool terminal_is_raw;

/* Also in a signal: calls only what may be called there. */
static void terminal_restore(void) {
    if (terminal_is_raw) {
        terminal_is_raw = false;
        if (isatty(STDOUT_FILENO) != 0) {
            (void)!write(STDOUT_FILENO, TERMINAL_RESET "\r\n", sizeof(TERMINAL_RESET "\r\n") - 1);
        }
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    }
}

static void on_signal(int number) {
    terminal_restore();
    _exit(128 + number);
}

/* What is no terminal, a pipe, is taken as it comes. */
static void terminal_take(void) {
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGABRT, SIGSEGV};
    struct termios raw;

    signal(SIGPIPE, SIG_IGN);
    if (tcgetattr(STDIN_FILENO, &terminal_before) != 0) {
        return;
    }
    atexit(terminal_restore);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        signal(ends[i], on_signal);
    }
    raw = terminal_before;
    cfmakeraw(&raw);
    terminal_is_raw = true;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void print_raw(const char *bytes, size_t size) {
    (void)fwrite(bytes, 1, size, stdout);
}

/* Our own words between the guest's. */
static void say(const char *guest, const char *what) {
    printf("\r\n[bulkctl] %s %s\r\n", guest, what);
}

/* Keys that are typed and not sent yet. */
static char keys[1024];
static size_t key_count;
static bool after_escape;

/* False: this key ends it. */
static bool take_key(const char *guest, char key) {
    bool escape = key == ESCAPE_KEY;

    if (after_escape && !escape) {
        after_escape = false;
        if (key == '0' || key == 'q') {
            return false;
        }
        say(guest, "- Ctrl-] then 0 leaves, twice the key itself");
        return true;
    }
    after_escape = escape && !after_escape;
    if (!after_escape && key_count < sizeof(keys)) {
        keys[key_count++] = key;
    }
    return true;
}

/* What has been typed since. False: that was the end. */
static bool take_keys(const char *guest, bool *input) {
    char some[256];
    size_t room = sizeof(keys) - key_count;
    ssize_t n = read(STDIN_FILENO, some, room < sizeof(some) ? room : sizeof(some));

    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
        *input = false;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (!take_key(guest, some[i])) {
            return false;
        }
    }
    return true;
}

static void take_nothing(const char *line) {
    (void)line;
}

/* Some of the keys. A guest that is off hears none. */
static int send_keys(const char *path, const char *guest) {
    char request[LINE_SIZE];
    size_t count = key_count < PIECE ? key_count : PIECE;
    size_t n = (size_t)snprintf(request, sizeof(request),
                                "{\"verb\":\"type\",\"guest\":\"%s\",\"text\":\"", guest);

    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(request + n, sizeof(request) - n, "\\u%04x", (unsigned char)keys[i]);
    }
    snprintf(request + n, sizeof(request) - n, "\"}\n");
    int status = ask(path, request, take_nothing, last);
    size_t typed = (size_t)number_of(last, "typed");
    if (status == DONE && typed <= count) {
        key_count -= typed;
        memmove(keys, keys + typed, key_count);
        moved = moved || typed != 0;
    } else if (status == REFUSED) {
        char why[REFUSAL_SIZE];
        say(guest, refusal(last, why));
        key_count = 0;
    }
    return status == REFUSED ? DONE : status;
}

/* Waits for a key, or for the next question. False: the end. */
static bool await_keys(const char *guest, int ms, bool *input) {
    struct pollfd typed = {.fd = *input && key_count < sizeof(keys) / 2 ? STDIN_FILENO : -1,
                           .events = POLLIN};

    if (poll(&typed, 1, ms) <= 0 || typed.revents == 0) {
        return true;
    }
    return take_keys(guest, input);
}

/* After the end of its input what is typed goes out, and what comes of it is shown. */
static int console_loop(const char *path, const char *guest) {
    char before[NAME_SIZE] = "";
    bool input = true;
    int status = DONE;
    int turns = 0; /* since the end of its input */

    for (int quiet = 0; input || (turns < LAST_TURNS && (key_count != 0 || quiet < 2 * SLOW_MS));) {
        turns += input ? 0 : 1;
        moved = false;
        if (key_count != 0) {
            status = send_keys(path, guest);
        }
        status = status == DONE ? ask_console(path, guest) : status;
        if (status != DONE) {
            return status == REFUSED ? refused(guest) : status;
        }
        if (before[0] != '\0' && strcmp(before, state) != 0) {
            say(guest, state);
        }
        snprintf(before, sizeof(before), "%s", state);
        if (fflush(stdout) != 0) {
            return fail_output();
        }
        quiet = moved ? 0 : quiet + QUICK_MS;
        if (!await_keys(guest, quiet < 2 * SLOW_MS || !input ? QUICK_MS : SLOW_MS, &input)) {
            return DONE;
        }
    }
    return DONE;
}

int run_console(const char *path, const char *guest) {
    print_bytes = print_raw;
    terminal_take();
    int status = console_loop(path, guest);
    terminal_restore();
    return status;
}
