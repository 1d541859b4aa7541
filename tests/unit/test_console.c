/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console: views, switching, replay, back-pressure, typed bytes, log lines, the screen. */
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "tests/unit/fake_console.h"

#define RING CONSOLE_RING_SIZE

#define KEY "\x1d"

struct guest {
    struct vm vm; /* first: what the console calls with it finds the rest */
    char typed[512];
    size_t typed_count, typed_room;
    unsigned rooms;
};

static struct guest alpha, beta;

static bool send(struct guest *g, uint8_t byte) {
    return vm_transmit(&g->vm, byte);
}

bool vm_console_input(struct vm *vm, uint8_t byte) {
    struct guest *g = (struct guest *)vm;
    if (g->typed_room == 0) {
        return false;
    }
    g->typed_room--;
    g->typed[g->typed_count++] = (char)byte;
    g->typed[g->typed_count] = '\0';
    return true;
}

/* As a VM does: it sends on from inside the call, which needs the console's lock to be free. */
void vm_console_ready(struct vm *vm) {
    struct guest *g = (struct guest *)vm;
    g->rooms++;
    (void)send(g, '+');
}

static char operator_typed[64];

void command_key(uint8_t key) {
    size_t n = strlen(operator_typed);
    operator_typed[n] = (char)key;
    operator_typed[n + 1] = '\0';
    console_print("got %c\n", key);
}

static void add(struct guest *g, const char *name) {
    memset(g, 0, sizeof(*g));
    g->typed_room = SIZE_MAX;
    fake_vm_set_up(&g->vm, name);
    console_add_vm(&g->vm);
}

static void start_on(bool serial, unsigned columns, unsigned rows) {
    fake_console_set_up(serial, columns, rows);
    memset(operator_typed, 0, sizeof(operator_typed));
    console_init();
    add(&alpha, "alpha");
    add(&beta, "beta");
}

static void start(void) {
    start_on(true, 0, 0);
}

static void type(const char *keys) {
    for (; *keys != '\0'; keys++) {
        hv_console_input((uint8_t)*keys);
    }
}

static void say(struct guest *g, const char *text) {
    for (; *text != '\0'; text++) {
        CHECK(send(g, (uint8_t)*text));
    }
}

static void log_line(enum log_level level, const char *text) {
    hv_console_log(level, text, strlen(text));
}

/* The line takes n more bytes; its interrupt comes whenever there is room. */
static void line_takes(size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        fake_line.room = n - i < 16 ? n - i : 16;
        hv_console_writable();
    }
    fake_line.room = 0;
}

#define BANNER_ALPHA                                                                               \
    "\r\n[bulkhead] console 1/2: alpha - Ctrl-] then 0 log, 1-9 guest, n next, ? help\r\n"
#define BANNER_BETA                                                                                \
    "\r\n[bulkhead] console 2/2: beta - Ctrl-] then 0 log, 1-9 guest, n next, ? help\r\n"
#define BANNER_LOG                                                                                 \
    "\r\n[bulkhead] console 0/2: log - Ctrl-] then 0 log, 1-9 guest, n next, ? help\r\n"

TEST(log_is_in_focus_first) {
    start();
    log_line(LOG_INFO, "[    0.000001] cpu0: hello\n");
    say(&alpha, "not seen");
    CHECK_STR(fake_line_take(), "[    0.000001] cpu0: hello\r\n");
}

TEST(switching_replays) {
    start();
    say(&alpha, "one\r\n");
    say(&beta, "two\r\n");
    log_line(LOG_INFO, "three\n");
    fake_line_take();
    type(KEY "1");
    CHECK_STR(fake_line_take(), BANNER_ALPHA "one\r\n");
    say(&alpha, "more");
    CHECK_STR(fake_line_take(), "more");
    type(KEY "n");
    CHECK_STR(fake_line_take(), BANNER_BETA "two\r\n");
    type(KEY "n");
    CHECK_STR(fake_line_take(), BANNER_LOG "three\r\n");
    type(KEY "1");
    CHECK_STR(fake_line_take(), BANNER_ALPHA "one\r\nmore");
    CHECK_STR(alpha.typed, "");
    CHECK_STR(beta.typed, "");
}

TEST(keys_reach_the_guest_in_focus) {
    start();
    type("op" KEY "2ls\r" KEY KEY "x");
    CHECK_STR(operator_typed, "op");
    CHECK_STR(beta.typed, "ls\r" KEY "x");
    CHECK_STR(alpha.typed, "");
    fake_line_take();
    static const char help[] = "\r\n[bulkhead] Ctrl-] then 0 log, 1-9 guest, n next, ? "
                               "help, Ctrl-] the key itself\r\n";
    type(KEY "?");
    CHECK_STR(fake_line_take(), help);
    type(KEY "3");
    CHECK_STR(fake_line_take(), help);
    type(KEY "q");
    CHECK_STR(fake_line_take(), help);
    type("y");
    CHECK_STR(beta.typed, "ls\r" KEY "xy");
}

TEST(replay_is_the_last_quarter) {
    char line[16];
    start();
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(line, sizeof(line), "line %u\r\n", i);
        say(&alpha, line);
    }
    type(KEY "1");
    const char *seen = fake_line_take() + strlen(BANNER_ALPHA);
    /* Whole lines, most of a quarter of the ring, up to the end. */
    CHECK(strncmp(seen, "line ", 5) == 0);
    CHECK(strlen(seen) > RING / 8 && strlen(seen) <= RING / 4);
    CHECK_STR(seen + strlen(seen) - 11, "line 9999\r\n");
    /* Exactly at the beginning of a line nothing is left out, nor without any line. */
    say(&beta, "cut\r\n");
    for (unsigned i = 0; i < RING / 32; i++) {
        say(&beta, "whole\r\n.");
    }
    type(KEY "2");
    CHECK(strncmp(fake_line_take() + strlen(BANNER_BETA), "whole\r\n.", 8) == 0);
    for (unsigned i = 0; i < RING; i++) {
        say(&beta, "#");
    }
    fake_line_take();
    type(KEY "2");
    CHECK_U64(strlen(fake_line_take()), strlen(BANNER_BETA) + RING / 4);
}

/* The scrollback of a real guest: 16 KiB of it are shown, the keys need not wait for that. */
TEST(replay_holds_nobody_up) {
    static struct guest gamma;
    start();
    add(&gamma, "gamma");
    for (unsigned i = 0; i < 10000; i++) {
        say(&gamma, "0123456789\r\n");
    }
    fake_line.room = 0;
    type(KEY "3ls");
    CHECK_STR(gamma.typed, "ls");
    say(&gamma, "goes on\r\n"); /* while nothing of the replay is out */
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    const char *seen = fake_line_take();
    CHECK(strlen(seen) > 15 * KIB && strlen(seen) < 16 * KIB + 200);
    CHECK_STR(seen + strlen(seen) - 21, "0123456789\r\ngoes on\r\n");
}

TEST(focus_follows_the_log) {
    start();
    fake_line.room = 0;
    log_line(LOG_INFO, "partition\n");
    say(&alpha, "hello");
    console_focus_after_log(1);
    log_line(LOG_INFO, "the last line\n");
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    CHECK_STR(fake_line_take(), "partition\r\nthe last line\r\n" BANNER_ALPHA "hello");
    type("x");
    CHECK_STR(alpha.typed, "x");
    /* With nothing left to say, at once. */
    start();
    console_focus_after_log(2);
    CHECK_STR(fake_line_take(), BANNER_BETA);
    /* A key in between cancels it. */
    start();
    fake_line.room = 0;
    log_line(LOG_INFO, "partition\n");
    console_focus_after_log(1);
    type("x");
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    CHECK_STR(fake_line_take(), "partition\r\ngot x\r\n");
}

TEST(background_never_blocks) {
    start();
    fake_line.room = 0;
    type(KEY "1");
    for (unsigned i = 0; i < 10 * RING; i++) {
        CHECK(send(&beta, 'b'));
    }
    CHECK_U64(beta.rooms, 0);
}

TEST(focused_guest_waits_for_the_line) {
    start();
    type(KEY "1");
    fake_line_take();
    fake_line.room = 0;
    unsigned taken = 0;
    while (taken < RING && send(&alpha, 'a')) {
        taken++;
    }
    CHECK_U64(taken, RING / 2 + 1);
    CHECK(!send(&alpha, 'a'));
    /* Nobody but the line's interrupt moves on now, and nothing is called with a lock held. */
    fake_line.room = SIZE_MAX;
    log_line(LOG_ERROR, "inline\n");
    CHECK(!send(&alpha, 'a'));
    CHECK_U64(alpha.rooms, 0);
    CHECK_U64(fake_line.length, 0);
    line_takes(32); /* most of it is the notice of the error */
    CHECK_U64(alpha.rooms, 0);
    line_takes(32);
    CHECK_U64(alpha.rooms, 1);
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    CHECK_U64(alpha.rooms, 1);
    const char *seen = fake_line_take();
    CHECK(strstr(seen, "\r\n[bulkhead] inline\r\n") == seen);
    unsigned count = 0;
    for (; *seen != '\0'; seen++) {
        count += *seen == 'a';
        CHECK(*seen != '+' || seen[1] == '\0');
    }
    CHECK_U64(count, taken + 1); /* one is in "[bulkhead]" */
}

TEST(leaving_focus_ends_the_wait) {
    start();
    type(KEY "1");
    fake_line.room = 0;
    while (send(&alpha, 'a')) {
    }
    type(KEY "2");
    CHECK_U64(alpha.rooms, 1);
    CHECK(send(&alpha, 'a'));
}

TEST(log_overtakes_a_slow_line) {
    start();
    fake_line.room = 0;
    char text[32];
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(text, sizeof(text), "entry %04u\n", i); /* 12 bytes on the line */
        log_line(LOG_INFO, text);
    }
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    /* Every byte is shown or counted, and the end is shown. */
    const char *seen = fake_line_take();
    static const char mark[] = "\r\n[bulkhead] ", tail[] = " bytes skipped\r\n";
    size_t skipped = 0;
    while (strncmp(seen, mark, strlen(mark)) == 0) {
        char *end;
        skipped += strtoul(seen + strlen(mark), &end, 10);
        CHECK(strncmp(end, tail, strlen(tail)) == 0);
        seen = end + strlen(tail);
    }
    CHECK(skipped > 0 && strlen(seen) >= RING / 2);
    CHECK_U64(skipped + strlen(seen), 120000);
    CHECK_STR(seen + strlen(seen) - 12, "entry 9999\r\n");
}

TEST(warnings_are_seen_everywhere) {
    start();
    type(KEY "1");
    fake_line_take();
    say(&alpha, "$ ");
    log_line(LOG_INFO, "quiet\n");
    log_line(LOG_WARN, "[ 1.0] cpu1 beta: loud\n");
    CHECK_STR(fake_line_take(), "$ \r\n[bulkhead] [ 1.0] cpu1 beta: loud\r\n");
    type(KEY "0");
    CHECK_STR(fake_line_take(), BANNER_LOG "quiet\r\n[ 1.0] cpu1 beta: loud\r\n");
    log_line(LOG_ERROR, "once\n");
    CHECK_STR(fake_line_take(), "once\r\n");
}

TEST(flood_of_warnings_is_bounded) {
    start();
    type(KEY "1");
    fake_line_take();
    fake_line.room = 0;
    char text[256];
    memset(text, 'w', sizeof(text) - 2);
    memcpy(text + sizeof(text) - 2, "\n", 2);
    for (unsigned i = 0; i < 100; i++) {
        log_line(LOG_WARN, text);
    }
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    CHECK(strlen(fake_line_take()) <= 1024);
    say(&alpha, "goes on");
    CHECK_STR(fake_line_take(), "goes on");
}

TEST(slow_line_keeps_every_byte) {
    start();
    fake_line.room = 0;
    log_line(LOG_INFO, "first\n");
    type(KEY "1");
    say(&alpha, "second");
    line_takes(200);
    CHECK_STR(fake_line_take(), BANNER_ALPHA "second");
}

#define DRAWN(prompt) "\r" prompt "\x1b[K"

TEST(prompt_stays_below_the_log) {
    start();
    console_set_prompt("> ", "", 0);
    CHECK_STR(fake_line_take(), DRAWN("> "));
    console_set_prompt("> ", "a", 0);
    CHECK_STR(fake_line_take(), DRAWN("> a"));
    log_line(LOG_INFO, "news\n");
    CHECK_STR(fake_line_take(), DRAWN("") "news\r\n" DRAWN("> a"));
    type("x");
    CHECK_STR(operator_typed, "x");
    CHECK_STR(fake_line_take(), DRAWN("") "got x\r\n" DRAWN("> a"));
    type(KEY "1");
    CHECK_STR(fake_line_take(), BANNER_ALPHA);
    log_line(LOG_INFO, "quiet\n");
    console_set_prompt("hidden> ", "", 0);
    CHECK_STR(fake_line_take(), "");
    type(KEY "0");
    CHECK_STR(fake_line_take(), BANNER_LOG "news\r\ngot x\r\nquiet\r\n" DRAWN("hidden> "));
    type(KEY "?");
    const char *seen = fake_line_take();
    CHECK_STR(seen + strlen(seen) - 14, "\r\n" DRAWN("hidden> "));
}

TEST(screen_shows_the_same) {
    start_on(false, 100, 6);
    CHECK_STR(fake_screen_row(5), "");
    log_line(LOG_INFO, "booting\n");
    CHECK_STR(fake_screen_row(0), "booting");
    CHECK_STR(fake_screen_row(5), " 0/2 log | keys: Ctrl-] then ? | alpha running, beta running");
    CHECK(fake_screen.inverse[5][99]);
    beta.vm.state = VM_CRASHED;
    vm_state_changed(&beta.vm);
    CHECK_STR(fake_screen_row(5), " 0/2 log | keys: Ctrl-] then ? | alpha running, beta crashed");
    type(KEY "2");
    CHECK_STR(fake_screen_row(5), " 2/2 beta | keys: Ctrl-] then ? | alpha running, beta crashed");
    say(&beta, "\x1b[2J\x1b[H# ");
    CHECK_STR(fake_screen_row(0), "#");
    CHECK_U64(fake_line.length, 0);
}

/* With a line that is behind, drawing is put off, but not for ever, and the last state is drawn. */
TEST(screen_follows_a_slow_line) {
    start_on(true, 100, 6);
    type(KEY "1");
    fake_line.room = 0;
    say(&alpha, "0123456789abcdefghijklmnopqrstuvwxyz0123456789");
    fake_tsc += 1000000;
    line_takes(16); /* draws: long ago */
    CHECK(strstr(fake_screen_row(2), "0123456789abcdef") != NULL);
    unsigned draws = fake_screen.draws;
    line_takes(16); /* just drawn, and more to come */
    CHECK_U64(fake_screen.draws, draws);
    line_takes(32);
    CHECK_STR(fake_screen_row(2), "0123456789abcdefghijklmnopqrstuvwxyz0123456789");
}

TEST(nothing_before_init_harms) {
    hv_console_input('x');
    hv_console_writable();
    CHECK_U64(fake_line.length, 0);
}

TEST_MAIN(T(nothing_before_init_harms), T(log_is_in_focus_first), T(switching_replays),
          T(keys_reach_the_guest_in_focus), T(replay_is_the_last_quarter),
          T(replay_holds_nobody_up), T(focus_follows_the_log), T(background_never_blocks),
          T(focused_guest_waits_for_the_line), T(leaving_focus_ends_the_wait),
          T(log_overtakes_a_slow_line), T(warnings_are_seen_everywhere),
          T(flood_of_warnings_is_bounded), T(slow_line_keeps_every_byte),
          T(prompt_stays_below_the_log), T(screen_shows_the_same), T(screen_follows_a_slow_line))
