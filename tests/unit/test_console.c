/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console: views, switching, replay, back-pressure, typed bytes, log lines, the screen. */
#include <unistd.h>

#include "hv/monitor/console.h"
#include "hv/monitor/grid.h"
#include "hv/vm/devices.h"
#include "tests/unit/fake_console.h"

#define RING CONSOLE_RING_SIZE

#define KEY "\x1d"

struct guest {
    struct vm vm; /* first: what the console calls with it finds the rest */
    struct vm_public public;
    char typed[2048];
    size_t typed_count, typed_room;
    bool trickles; /* after each byte that it refuses it takes one */
    void (*on_input)(void);
    unsigned rooms;
};

static struct guest alpha, beta;

static bool send(struct guest *g, uint8_t byte) {
    return vm_console->transmit(&g->vm, byte);
}

bool vm_console_input(struct vm *vm, uint8_t byte) {
    struct guest *g = (struct guest *)vm;
    void (*on_input)(void) = g->on_input;
    g->on_input = NULL;
    if (on_input != NULL) {
        on_input();
    }
    if (g->typed_room == 0) {
        g->typed_room = g->trickles;
        return false;
    }
    g->typed_room--;
    g->typed[g->typed_count++] = (char)byte;
    g->typed[g->typed_count] = '\0';
    return true;
}

void vcpu_request(struct vcpu_public *p, uint32_t bits) {
    p->requests |= bits;
}

/* The guest's own CPU does what it was asked for, with no lock held. */
static void serve(struct guest *g) {
    struct vcpu_public *vcpu = g->public.vcpus[0];
    if (vcpu == NULL) {
        return; /* not added yet */
    }
    uint32_t requests = vcpu->requests;
    unsigned before = fake_cpu;
    vcpu->requests = 0;
    fake_cpu = vcpu->cpu;
    if ((requests & REQUEST_ROOM) != 0) {
        g->rooms++;
        (void)send(g, '+');
    }
    if ((requests & REQUEST_TYPED) != 0) {
        vm_console->type(&g->vm);
    }
    fake_cpu = before;
}

static void serve_all(void) {
    serve(&alpha);
    serve(&beta);
}

static char operator_typed[256];
static unsigned command_lines; /* that a command has still to show */

static void command_key(uint8_t key) {
    size_t n = strlen(operator_typed);
    CHECK(command_lines == 0);
    operator_typed[n] = (char)key;
    operator_typed[n + 1] = '\0';
    console_print("got %c\n", key);
    command_lines = key == 'L' ? 50 : 0;
    fake_tsc += 100;
}

static bool command_is_busy(void) {
    return command_lines != 0;
}

static void command_work(void) {
    command_lines--;
    console_print("line\n");
    fake_tsc += 100;
}

static const struct console_operator operator= {command_key, command_is_busy, command_work};

static void add(struct guest *g, const char *name) {
    memset(g, 0, sizeof(*g));
    g->typed_room = SIZE_MAX;
    g->vm.public = &g->public;
    fake_vm_set_up(&g->public, name);
    console_add_vm(&g->public);
}

static void start_on(bool serial, unsigned columns, unsigned rows) {
    fake_console_set_up(serial, columns, rows);
    memset(operator_typed, 0, sizeof(operator_typed));
    command_lines = 0;
    console_init(0x1d);
    console_set_operator(&operator);
    fake_on_work = serve_all;
    add(&alpha, "alpha");
    add(&beta, "beta");
}

static void start(void) {
    start_on(true, 0, 0);
}

static void type(const char *keys) {
    for (; *keys != '\0'; keys++) {
        hv_console_input((uint8_t)*keys);
        serve_all();
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
        serve_all();
    }
    fake_line.room = 0;
}

/* What a guest may have left the terminal in ends here. */
#define RESET                                                                                      \
    "\x18\x1b[!p\x1b[0m\x1b(B\x1b)B\x0f\x1b[?1049l\x1b[?47l\x1b[r\x1b[?5;6l\x1b[?7;12;25h"         \
    "\x1b[4;20l\x1b[?1;66l\x1b>\x1b[?1000;1002;1003;1004;1005;1006;1015;2004l\x1b[0 q"             \
    "\x1b[999;1H"
#define BANNER_ALPHA                                                                               \
    RESET "\r\n[bulkhead] console 1/2: alpha - Ctrl-] then 0 log, 1-9 guest, n next, ? help\r\n"
#define BANNER_BETA                                                                                \
    RESET "\r\n[bulkhead] console 2/2: beta - Ctrl-] then 0 log, 1-9 guest, n next, ? help\r\n"
#define BANNER_LOG                                                                                 \
    RESET "\r\n[bulkhead] console 0/2: log - Ctrl-] then 0 log, 1-9 guest, n next, ? help\r\n"

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
    static const char help[] = "\r\n[bulkhead] console 2/2: beta - Ctrl-] then 0 log, 1-9 guest, "
                               "n next, ? help, twice the key itself\r\n";
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

TEST(of_the_log_less_is_replayed) {
    char line[16];
    start();
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(line, sizeof(line), "line %u\n", i);
        log_line(LOG_INFO, line);
    }
    type(KEY "1");
    fake_line_take();
    type(KEY "0");
    const char *seen = fake_line_take() + strlen(BANNER_LOG);
    CHECK(strncmp(seen, "line ", 5) == 0);
    CHECK(strlen(seen) > RING / 32 && strlen(seen) <= RING / 16);
    CHECK_STR(seen + strlen(seen) - 11, "line 9999\r\n");
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
    serve(&gamma);
    CHECK_STR(gamma.typed, "ls");
    say(&gamma, "goes on\r\n"); /* while nothing of the replay is out */
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    serve_all();
    const char *seen = fake_line_take();
    CHECK(strlen(seen) > 15 * KIB && strlen(seen) < 16 * KIB + 400);
    CHECK_STR(seen + strlen(seen) - 21, "0123456789\r\ngoes on\r\n");
}

TEST(focus_follows_the_log) {
    start();
    fake_line.room = 0;
    log_line(LOG_INFO, "partition\n");
    say(&alpha, "hello");
    console_start(1);
    log_line(LOG_INFO, "the last line\n");
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    serve_all();
    fake_pass(100000);
    CHECK_STR(fake_line_take(), "partition\r\nthe last line\r\n" BANNER_ALPHA "hello");
    type("x");
    CHECK_STR(alpha.typed, "x");
    /* Not before the guest runs. */
    start();
    alpha.public.state = VM_STOPPED;
    console_start(1);
    alpha.public.state = VM_STARTING;
    vm_console->state_changed(&alpha.public);
    CHECK_STR(fake_line_take(), "");
    alpha.public.state = VM_RUNNING;
    vm_console->state_changed(&alpha.public);
    fake_pass(100000);
    CHECK_STR(fake_line_take(), BANNER_ALPHA);
    /* With nothing left to say, at once. */
    start();
    console_start(2);
    fake_pass(100000);
    CHECK_STR(fake_line_take(), BANNER_BETA);
    /* A key in between cancels it. */
    start();
    fake_line.room = 0;
    log_line(LOG_INFO, "partition\n");
    console_start(1);
    type("x");
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    serve_all();
    CHECK_STR(fake_line_take(), "partition\r\ngot x\r\n");
}

/* Another escape key of the config: all that the console says names it. */
TEST(the_escape_key_is_a_setting) {
    start_on(true, 80, 6);
    console_init(1);
    console_set_operator(&operator);
    add(&alpha, "alpha");
    add(&beta, "beta");
    fake_line_take();
    type("\x01"
         "2");
    CHECK_STR(fake_line_take(), RESET "\r\n[bulkhead] console 2/2: beta - Ctrl-A then 0 log, 1-9 "
                                      "guest, n next, ? help\r\n");
    CHECK(strstr(fake_screen_row(5), " 2/2 beta | keys: Ctrl-A then ? |") != NULL);
    type(KEY "\x01\x01x");
    CHECK_STR(beta.typed, KEY "\x01x");
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
    CHECK_U64(taken, RING / 2 + 2); /* one is on its way to the line */
    CHECK(!send(&alpha, 'a'));
    /* Nobody but the line's interrupt moves on now, and nothing is called with a lock held. */
    fake_line.room = SIZE_MAX;
    log_line(LOG_ERROR, "inline\n");
    CHECK(!send(&alpha, 'a'));
    CHECK_U64(alpha.rooms, 0);
    CHECK_U64(fake_line.length, 0);
    line_takes(16); /* what follows waits outside the view, which has room again */
    CHECK_U64(alpha.rooms, 1);
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    serve_all();
    CHECK_U64(alpha.rooms, 1);
    const char *seen = fake_line_take();
    CHECK(strstr(seen, "a\r\n[bulkhead] inline\r\n") == seen);
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
    serve_all();
    /* Every byte is shown or counted, and the end is shown. */
    const char *seen = fake_line_take();
    static const char mark[] = "\r\n[bulkhead] ", tail[] = " bytes skipped" MSG(6303) "\r\n";
    size_t skipped = 0, shown = 0;
    for (const char *at; (at = strstr(seen, mark)) != NULL;) {
        char *end;
        shown += (size_t)(at - seen); /* was on its way to the line already */
        skipped += strtoul(at + strlen(mark), &end, 10);
        CHECK(strncmp(end, tail, strlen(tail)) == 0);
        seen = end + strlen(tail);
    }
    CHECK(skipped > 0 && shown < 200 && strlen(seen) >= RING / 2);
    CHECK_U64(skipped + shown + strlen(seen), 120000);
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
    serve_all();
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
    line_takes(400);
    CHECK_STR(fake_line_take(), BANNER_ALPHA "second");
}

#define DRAWN(prompt) "\r" prompt "\x1b[K"

TEST(prompt_stays_below_the_log) {
    start();
    console_set_prompt("> ", "", 0);
    CHECK_STR(fake_line_take(), DRAWN("> "));
    console_set_prompt("> ", "a", 0);
    CHECK_STR(fake_line_take(), "a");
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

TEST(only_what_is_added_to_the_prompt_is_sent) {
    start();
    console_set_prompt("> ", "stats", 0);
    CHECK_STR(fake_line_take(), DRAWN("> stats"));
    console_set_prompt("> ", "stats alpha", 0);
    CHECK_STR(fake_line_take(), " alpha");
    console_set_prompt("> ", "stats alpha", 5);
    CHECK_STR(fake_line_take(), DRAWN("> stats alpha") "\x1b[5D");
    console_set_prompt("> ", "stats alpha!", 5); /* the cursor stands elsewhere */
    CHECK_STR(fake_line_take(), DRAWN("> stats alpha!") "\x1b[5D");
    console_set_prompt("> ", "stats alpha!x", 0); /* and did so before */
    CHECK_STR(fake_line_take(), DRAWN("> stats alpha!x"));
    console_set_prompt("> ", "stats alpha", 0);
    CHECK_STR(fake_line_take(), DRAWN("> stats alpha"));
    console_set_prompt("> ", "state alpha 1", 0);
    CHECK_STR(fake_line_take(), DRAWN("> state alpha 1"));
}

TEST(screen_shows_the_same) {
    start_on(false, 100, 6);
    CHECK_STR(fake_screen_row(5), "");
    log_line(LOG_INFO, "booting\n");
    CHECK_STR(fake_screen_row(0), "booting");
    CHECK_STR(fake_screen_row(5), " 0/2 log | keys: Ctrl-] then ? | alpha running, beta running");
    CHECK(fake_screen_inverse(5, 99));
    beta.public.state = VM_CRASHED;
    vm_console->state_changed(&beta.public);
    CHECK_STR(fake_screen_row(5), " 0/2 log | keys: Ctrl-] then ? | alpha running, beta crashed");
    type(KEY "2");
    CHECK_STR(fake_screen_row(5), " 2/2 beta | keys: Ctrl-] then ? | alpha running, beta crashed");
    say(&beta, "\x1b[2J\x1b[H# ");
    CHECK_STR(fake_screen_row(0), "#");
    CHECK_U64(fake_line.length, 0);
}

/* ---- drawing ---- */

/* Guests run: alpha on CPU 0, beta on CPU 1, and a third on CPU 2 if no CPU is to be free. */
static void start_live_on(bool serial, bool all_taken, bool share) {
    static struct vm_public gamma;
    start_on(serial, 100, 40);
    fake_vm_set_up(&gamma, "gamma");
    fake_cpu = 0;
    struct vm_public *const vms[] = {&alpha.public, &beta.public, &gamma};
    for (unsigned i = 0; i < 3; i++) {
        vms[i]->vcpus[0]->cpu = i;
        vm_of_cpu[i] = vms[i];
    }
    vm_of_cpu[3] = all_taken ? &gamma : NULL;
    if (share) {
        console_share();
        say(&beta, "before");
        log_line(LOG_INFO, "began\n");
    }
    console_start(share);
    fake_screen.ticks = 1;
}

static void start_live(bool serial, bool all_taken) {
    start_live_on(serial, all_taken, false);
}

static void forget_draws(void) {
    fake_screen.draws = 0;
    memset(fake_screen.draws_of_cpu, 0, sizeof(fake_screen.draws_of_cpu));
}

/* What is drawn while some CPU holds the lock makes this hang; the alarm ends it. */
static void another_guest_prints(void) {
    unsigned before = fake_cpu;
    fake_cpu = 1;
    (void)vm_console->transmit(&beta.vm, 'b');
    fake_cpu = before;
}

TEST(nothing_is_drawn_with_the_lock_held) {
    for (unsigned serial = 0; serial < 2; serial++) {
        start_live(serial != 0, true);
        forget_draws();
        fake_screen.on_draw = another_guest_prints;
        alarm(20);
        type(KEY "1");
        say(&alpha, "hello\r\n");
        log_line(LOG_WARN, "warned\n");
        fake_pass(1000000);
        type(KEY "0");
        console_set_prompt("> ", "x", 0);
        fake_pass(1000000);
        alarm(0);
        CHECK(fake_screen.draws > 100);
        CHECK_STR(fake_screen_row(2), "warned");
    }
}

/* Line after line without end, of letters that differ: as many cells as can be change. */
static void flood(struct guest *g, unsigned us) {
    static unsigned n;
    for (uint64_t end = fake_tsc + us; fake_tsc < end; n++) {
        fake_cpu = (unsigned)g->vm.vcpus[0].cpu;
        for (unsigned i = 0; i < 20; i++) {
            (void)send(g, (uint8_t)('a' + (n + i) % 26));
        }
        (void)send(g, '\r');
        (void)send(g, '\n');
        fake_cpu = 0; /* whose interrupt the line's is */
        hv_console_writable();
        serve_all();
        fake_pass(100);
    }
}

TEST(a_flood_is_drawn_by_its_own_cpu) {
    for (unsigned serial = 0; serial < 2; serial++) {
        start_live(serial != 0, true);
        type(KEY "2");
        fake_pass(1000000);
        fake_line_take();
        forget_draws();
        flood(&beta, 200000);
        CHECK_U64(fake_screen.draws_of_cpu[0], 0);
        CHECK_U64(fake_screen.draws_of_cpu[2], 0);
        CHECK(fake_screen.draws_of_cpu[1] > 200);
        /* Each cell takes 1 us: 2 % of the time, and one piece more. */
        CHECK(fake_screen.draws_of_cpu[1] <= 200000 / 50 + 64);
        fake_line_take();
    }
}

TEST(a_free_cpu_draws_for_all) {
    start_live(true, false);
    type(KEY "1");
    fake_pass(1000000);
    forget_draws();
    flood(&alpha, 100000);
    log_line(LOG_WARN, "warned\n");
    fake_pass(1000000);
    CHECK_U64(fake_screen.draws_of_cpu[3], fake_screen.draws);
    CHECK(fake_screen.draws > 10000); /* half of its time */
}

TEST(a_slow_screen_has_its_share_too) {
    start_live(false, true);
    type(KEY "1");
    fake_pass(10000000);
    forget_draws();
    fake_screen.ticks = 50;
    flood(&alpha, 1000000);
    CHECK(fake_screen.draws * 50 <= 1000000 / 50 + 64 * 50);
    CHECK(fake_screen.draws > 100);
}

/* What was printed last is drawn, though nobody says anything any more. */
TEST(the_last_state_is_drawn) {
    start_live(true, true);
    type(KEY "1");
    fake_pass(1000000);
    flood(&alpha, 10000);
    say(&alpha, "\x1b[2J\x1b[Hthe end");
    fake_pass(3000000);
    CHECK_STR(fake_screen_row(0), "the end");
    CHECK_STR(fake_screen_row(1), "");
    CHECK_STR(fake_screen_row(39),
              " 1/2 alpha | keys: Ctrl-] then ? | alpha running, beta running");
    unsigned draws = fake_screen.draws;
    for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) { /* and then nobody has anything to do */
        CHECK(fake_cpus[cpu].deadline == 0 && !fake_cpus[cpu].called);
    }
    say(&beta, "unseen");
    fake_pass(1000000);
    CHECK_U64(fake_screen.draws, draws);
}

/* The view that was shown before does not shine through. */
TEST(a_switch_clears_the_screen) {
    start_live(false, false);
    type(KEY "1");
    say(&alpha, "\x1b[?1049h\x1b[31m\x1b[2;5r\x1b(0alpha");
    type(KEY "2");
    say(&beta, "beta");
    fake_pass(3000000);
    for (unsigned row = 0; row < 39; row++) {
        CHECK(strstr(fake_screen_row(row), "alpha") == NULL);
    }
    CHECK_STR(fake_screen_row(2), "beta");
}

TEST(a_long_replay_holds_nobody_up) {
    start_live(false, true);
    for (unsigned i = 0; i < RING; i++) {
        say(&alpha, i % 20 == 19 ? "\n" : "x");
    }
    uint64_t before = fake_line.length;
    type(KEY "1");
    CHECK_U64(fake_line.length, before);
    fake_pass(3000000);
    CHECK(strstr(fake_screen_row(30), "xxxxx") != NULL);
    /* Whoever shows another's text clears what it leaves in this CPU, and last. */
    unsigned cleared = fake_traces_cleared;
    say(&alpha, "more");
    CHECK(fake_traces_cleared > cleared);
    cleared = fake_traces_cleared;
    fake_pass(100000);
    CHECK(fake_traces_cleared > cleared);
}

/* ---- what a view costs, in cells that are written ---- */

/* What few bytes can ask for: erasing, scrolling, repeating with and without insertion. And how
 * many cells that is on the largest screen. */
static const struct {
    const char *text;
    unsigned cells;
} costly[] = {
    {"\x1b[2J", 240 * 100},
    {"\x1b[L", 240 + 100},
    {"\x1b[99T", 240 * 100},
    {"x\x1b[999b", 5 * 240},
    {"\x1b[H\x1b[4h\x1b[999b\x1b[4l", 4 * 240},
    {"\x1b#8", 240 * 100},
};

/* beta, on CPU 1, prints that while the line takes nothing. */
static void fill_view(const char *text) {
    fake_line.room = 0;
    fake_cpu = 1;
    for (unsigned i = 0; i < 1000; i++) {
        say(&beta, text);
    }
    say(&beta, "\x1b[H\x1b[Kthe end");
    fake_cpu = 0;
}

TEST(a_view_costs_its_own_cpu) {
    for (unsigned i = 0; i < ARRAY_SIZE(costly); i++) {
        start_live(true, true);
        type(KEY "2");
        fake_pass(100000);
        fake_line_take();
        fill_view(costly[i].text);
        while (fake_line.length < 2000) {
            uint64_t before = grid_written();
            fake_line.room = 16;
            fake_cpu = 0; /* whose interrupt it is: it sends on what is ready, and no more */
            hv_console_writable();
            serve_all();
            log_line(LOG_INFO, "of another guest\n");
            CHECK_U64(grid_written(), before);
            fake_cpu = 2;
            vm_console->state_changed(&beta.public);
            CHECK_U64(grid_written(), before);
            fake_cpu = 0;
            fake_interrupt(1); /* the one that was called */
        }
        fake_line.room = SIZE_MAX;
        fake_pass(10000000);
        CHECK(strstr(fake_line_take(), "the end") != NULL);
        CHECK_STR(fake_screen_row(0), "the end");
    }
}

/* Nobody was called yet for a view that has just come into focus: its CPU is, with the rest. */
TEST(a_switch_calls_the_new_views_cpu) {
    start_live(true, true);
    fake_pass(100000);
    type(KEY "2");
    fill_view("x");
    fake_cpus[1].called = false;
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    CHECK(fake_cpus[1].called);
    fake_pass(100000);
    CHECK(strstr(fake_line_take(), "the end") != NULL);
}

/* A CPU that would have to be called may not come: one whose guest does not run need not call. */
TEST(a_cpu_without_work_feeds) {
    static const enum vm_state idle[] = {VM_STOPPED, VM_OFF, VM_CRASHED, VM_HALTED, VM_DELAYED};
    for (unsigned i = 0; i < ARRAY_SIZE(idle); i++) {
        start_live(true, true);
        type(KEY "2");
        fake_pass(100000);
        fake_line_take();
        alpha.public.state = idle[i];
        fill_view("the end");
        fake_line.room = SIZE_MAX;
        fake_cpu = 0;
        for (unsigned calls = 0; calls < 10000; calls++) {
            hv_console_writable();
        }
        CHECK(strstr(fake_line_take(), "the end") != NULL);
        alpha.public.state = VM_RUNNING;
    }
}

/* One call does what it may, and what one sequence asks for at most. */
TEST(a_call_costs_little) {
    for (unsigned i = 0; i < ARRAY_SIZE(costly); i++) {
        start_on(true, 240, 100);
        console_start(0); /* no CPU has a guest: each may do everything */
        type(KEY "2");
        fake_pass(1000000);
        fill_view(costly[i].text);
        fake_line.room = SIZE_MAX;
        for (unsigned call = 0; call < 200; call++) {
            uint64_t before = grid_written();
            hv_console_writable();
            serve_all();
            CHECK(grid_written() - before <= 2048 + costly[i].cells);
            fake_line_take();
        }
    }
}

/* ---- what a guest sends to the admin's terminal ---- */

/* Sequences that the line's terminal knows pass to it as they came. */
TEST(escapes_reach_the_line) {
    static const char *const escapes[] = {"\x1b"
                                          "7",
                                          "\x1b"
                                          "8",
                                          "\x1b"
                                          "D",
                                          "\x1b"
                                          "E",
                                          "\x1bH",
                                          "\x1bM",
                                          "\x1b"
                                          "c",
                                          "\x1b=",
                                          "\x1b>",
                                          "\x1b(0",
                                          "\x1b)B",
                                          "\x1b#8"};
    start();
    type(KEY "1");
    fake_line_take();
    for (unsigned i = 0; i < ARRAY_SIZE(escapes); i++) {
        say(&alpha, escapes[i]);
        CHECK_STR(fake_line_take(), escapes[i]);
    }
}

/* ---- nobody can type ---- */

static void start_shared(bool all_taken) {
    start_live_on(false, all_taken, true);
    console_set_prompt("bulkhead> ", "", 0);
    fake_pass(1000000);
    for (unsigned row = 0; row < 40; row++) {
        CHECK(strstr(fake_screen_row(row), "bulkhead>") == NULL);
    }
    CHECK_STR(fake_screen_row(16), "before");
    CHECK_STR(fake_screen_row(31), "began");
}

/* 39 rows: 15 for each guest, 9 for the log, each with a title; then the status. */
static void check_frame(void) {
    CHECK_STR(fake_screen_row(0), " alpha");
    CHECK_STR(fake_screen_row(15), " beta");
    CHECK_STR(fake_screen_row(30), " log");
    CHECK_STR(fake_screen_row(39), " no keyboard: all consoles | alpha running, beta running");
    for (unsigned row = 0; row < 40; row++) { /* and no cursor */
        bool title = row == 0 || row == 15 || row == 30 || row == 39;
        CHECK(fake_screen_inverse(row, 0) == title && fake_screen_inverse(row, 99) == title);
        CHECK(fake_screen_inverse(row, 3) == title);
    }
}

TEST(all_views_share_the_screen) {
    for (unsigned taken = 0; taken < 2; taken++) {
        start_shared(taken != 0);
        check_frame();
        say(&alpha, "one\r\n");
        say(&beta, "\x1b[2J\x1b[Htwo");
        fake_pass(1000000);
        log_line(LOG_WARN, "warned\n");
        fake_pass(1000000);
        check_frame();
        CHECK_STR(fake_screen_row(1), "one");
        CHECK_STR(fake_screen_row(2), "");
        CHECK_STR(fake_screen_row(16), "two");
        CHECK_STR(fake_screen_row(17), "");
        CHECK_STR(fake_screen_row(32), "warned");

        for (unsigned i = 0; i < 100; i++) { /* each scrolls in its own rows */
            char text[16];
            snprintf(text, sizeof(text), "line %u\r\n", i);
            say(&alpha, text);
            fake_pass(10000);
        }
        fake_pass(1000000);
        check_frame();
        CHECK_STR(fake_screen_row(1), "line 87");
        CHECK_STR(fake_screen_row(13), "line 99");
        CHECK_STR(fake_screen_row(14), "");
        CHECK_STR(fake_screen_row(16), "two");

        say(&alpha, "\x1b["); /* what one begins is not the other's */
        fake_pass(100000);
        say(&beta, "H2");
        fake_pass(100000);
        say(&alpha, "Htop");
        say(&beta, "\x1b[?1049h\x1b[H2nd");
        fake_pass(1000000);
        check_frame();
        CHECK_STR(fake_screen_row(1), "tope 87");
        CHECK_STR(fake_screen_row(16), "2nd");
        say(&beta, "\x1b[?1049l");
        fake_pass(1000000);
        CHECK_STR(fake_screen_row(16), "twoH2");
        CHECK_STR(fake_screen_row(1), "tope 87");
        say(&alpha, "\x1b[20;1Hx\x1b[2J"); /* below its end is its last row */
        say(&beta, "\x1b[20;1Hlast");
        fake_pass(1000000);
        check_frame();
        CHECK_STR(fake_screen_row(1), "");
        CHECK_STR(fake_screen_row(29), "last");
        CHECK_STR(fake_screen_row(16), "twoH2");
    }
}

/* What the log has begun is not the first guest's to end. */
TEST(a_part_begins_outside_of_sequences) {
    start_on(false, 100, 40);
    console_share();
    log_line(LOG_INFO, "\x1b[");
    console_start(1);
    fake_pass(1000000);
    say(&alpha, "one");
    fake_pass(1000000);
    CHECK_STR(fake_screen_row(1), "one");
}

/* Each has its turn, and each pays for its own. */
TEST(sharing_is_fair) {
    start_shared(true);
    forget_draws();
    flood(&alpha, 200000);
    CHECK(fake_screen.draws_of_cpu[0] > 200);
    CHECK_U64(fake_screen.draws_of_cpu[1] + fake_screen.draws_of_cpu[2], 0);
    fake_pass(2000000);
    forget_draws();
    flood(&beta, 200000);
    CHECK(fake_screen.draws_of_cpu[1] > 200);
    CHECK_U64(fake_screen.draws_of_cpu[0] + fake_screen.draws_of_cpu[2], 0);

    for (unsigned i = 0; i < 3000; i++) { /* far more than can be carried out */
        fake_cpu = 0;
        for (const char *c = "\x1b[2J\x1b[2J\x1b[2J\x1b[2J"; *c != '\0'; c++) {
            (void)send(&alpha, (uint8_t)*c);
        }
        if (i == 1000) {
            fake_cpu = 1;
            say(&beta, "\x1b[2J\x1b[Hmeanwhile");
        }
        fake_pass(200000);
    }
    CHECK_STR(fake_screen_row(16), "meanwhile");
    fake_pass(2000000);

    for (unsigned i = 0; i < 40; i++) {
        flood(&alpha, 50000);
        flood(&beta, 50000);
    }
    say(&alpha, "\x1b[2J\x1b[Hend of a");
    say(&beta, "\x1b[2J\x1b[Hend of b");
    fake_pass(20000000);
    check_frame();
    CHECK_STR(fake_screen_row(1), "end of a");
    CHECK_STR(fake_screen_row(16), "end of b");
    for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) { /* and then nobody has anything to do */
        CHECK(fake_cpus[cpu].deadline == 0 && !fake_cpus[cpu].called);
    }
}

/* Somebody has plugged in a keyboard. */
TEST(a_key_ends_the_sharing) {
    start_shared(true);
    say(&alpha, "at the top");
    say(&beta, "elsewhere");
    fake_pass(1000000);
    type("k");
    fake_pass(5000000);
    CHECK_STR(alpha.typed, "k");
    CHECK_STR(fake_screen_row(39),
              " 1/2 alpha | keys: Ctrl-] then ? | alpha running, beta running");
    for (unsigned row = 0; row < 39; row++) {
        CHECK(!fake_screen_inverse(row, 99));
        CHECK(strstr(fake_screen_row(row), "elsewhere") == NULL);
    }
    type(KEY "2");
    fake_pass(5000000);
    CHECK_STR(fake_screen_row(39), " 2/2 beta | keys: Ctrl-] then ? | alpha running, beta running");
    log_line(LOG_INFO, "unseen\n");
    say(&alpha, "unseen");
    unsigned draws = fake_screen.draws;
    fake_pass(1000000);
    CHECK_U64(fake_screen.draws, draws);
}

/* More guests than there are rows for, and no room for any. */
TEST(a_screen_too_small_to_share) {
    start_on(false, 100, 12);
    console_share();
    console_start(1);
    fake_pass(1000000);
    CHECK_STR(fake_screen_row(11),
              " 1/2 alpha | keys: Ctrl-] then ? | alpha running, beta running");
    start_on(false, 100, 13);
    console_share();
    console_start(1);
    fake_pass(1000000);
    CHECK_STR(fake_screen_row(0), " alpha");
    CHECK_STR(fake_screen_row(4), " log");
    say(&beta, "unseen");
    say(&alpha, "seen");
    fake_pass(1000000);
    CHECK_STR(fake_screen_row(1), "seen");
    CHECK_STR(fake_screen_row(12), " no keyboard: all consoles | alpha running, beta running");
}

TEST(questions_are_answered_to_who_asks) {
    start_live(true, true);
    type(KEY "1");
    fake_pass(200000);
    fake_line_take();
    say(&alpha, "a\x1b[6n\x1b[c\x05z");
    CHECK_STR(fake_line_take(), "az");
    fake_pass(100000);
    CHECK_STR(alpha.typed, "\x1b[3;2R\x1b[?6c");
    say(&beta, "\x1b[6n"); /* not shown: nobody answers */
    type(KEY "2");
    type(KEY "1"); /* nor is a replay a question */
    fake_pass(100000);
    CHECK_STR(alpha.typed, "\x1b[3;2R\x1b[?6c");
    CHECK_STR(beta.typed, "");
    /* One who asks and does not listen gets no more than fits, and stops no key. */
    alpha.typed_room = 0;
    fake_line_take();
    for (unsigned i = 0; i < 1000; i++) {
        say(&alpha, "\x1b[6n");
    }
    fake_pass(100000);
    CHECK(strchr(fake_line_take(), 0x13) == NULL);
    type(KEY "0");
    fake_pass(200000);
    CHECK(strstr(fake_line_take(), "console 0/2: log") != NULL);
}

/* Our own text never lands in the middle of a guest's sequence, or of a character. */
/* So many that wait are too many for an answer among them. */
TEST(an_answer_goes_with_few_keys) {
    start_live(true, true);
    type(KEY "1");
    alpha.typed_room = 0;
    type("123456789012345");
    say(&alpha, "\x1b[5n");
    type("6"); /* 20 with the answer's four */
    say(&alpha, "\x1b[5n");
    alpha.typed_room = SIZE_MAX;
    type(".");
    fake_pass(1000000);
    CHECK_STR(alpha.typed, "123456789012345\x1b[0n6.");

    start_live(true, true);
    type(KEY "1");
    alpha.typed_room = 0;
    type("1234567890123456");
    say(&alpha, "\x1b[5n");
    alpha.typed_room = SIZE_MAX;
    type(".");
    fake_pass(1000000);
    CHECK_STR(alpha.typed, "1234567890123456.");
}

TEST(notices_keep_out_of_sequences) {
    start();
    type(KEY "1");
    fake_pass(200000);
    fake_line_take();
    say(&alpha, "x\x1b[3");
    log_line(LOG_WARN, "loud\n");
    say(&alpha, "1my\xc3");
    log_line(LOG_WARN, "loud\n");
    say(&alpha, "\xa4");
    CHECK_STR(fake_line_take(), "x\r\n[bulkhead] loud\r\n\x1b[31my\r\n[bulkhead] loud\r\n\xc3\xa4");
}

/* ---- the operator ---- */

/* The longest time in which this CPU's guest did not run, while so much time passes. */
static uint64_t longest_piece(uint64_t us) {
    uint64_t longest = 0;
    for (uint64_t end = fake_tsc + us; fake_tsc < end; fake_tsc += 10) {
        uint64_t begin = fake_tsc;
        fake_interrupt(0);
        longest = max_u64(longest, fake_tsc - begin);
    }
    return longest;
}

/* Cells in one go, each 1 us. */
#define DRAWN_AT_ONCE 64u

/* Each key and each line takes 100 us here; the guest on the console's CPU runs in between. */
TEST(the_operator_works_in_pieces) {
    start_live(true, true);
    fake_line_take();
    uint64_t begin = fake_tsc;
    type("L");
    type("xyz"); /* typed ahead, as is the view: the command goes on in any */
    CHECK_U64(fake_tsc - begin, 100);
    CHECK_STR(operator_typed, "L");
    CHECK(longest_piece(100000) <= 100 + DRAWN_AT_ONCE);
    CHECK_U64(command_lines, 0);
    CHECK_STR(operator_typed, "Lxyz");
    CHECK(fake_tsc - begin >= 54 * 1000); /* a tenth of the time */

    begin = fake_tsc;
    for (unsigned i = 0; i < 200; i++) {
        hv_console_input('p');
        serve_all();
    }
    CHECK_U64(fake_tsc - begin, 100);
    CHECK(longest_piece(1000000) <= 100 + DRAWN_AT_ONCE);
    CHECK_U64(strlen(operator_typed), 204);
    CHECK(strchr(fake_line_take(), 0x13) != NULL);

    type("L" KEY "1");
    CHECK(longest_piece(1000000) <= 100 + DRAWN_AT_ONCE);
    CHECK_U64(command_lines, 0);
    type("k");
    CHECK_STR(alpha.typed, "k");
}

/* ---- pasting ---- */

static void paste(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        hv_console_input((uint8_t)('a' + i % 26));
        serve_all();
    }
}

TEST(a_slow_reader_makes_the_terminal_wait) {
    start_live(true, true);
    type(KEY "1");
    fake_pass(200000);
    fake_line_take();
    alpha.typed_room = 0;
    paste(100);
    CHECK_STR(fake_line_take(), "\x13");
    paste(100);
    CHECK_STR(fake_line_take(), "");
    fake_pass(1000000);
    CHECK_U64(alpha.typed_count, 0);
    alpha.typed_room = SIZE_MAX;
    fake_pass(1000000);
    CHECK_U64(alpha.typed_count, 200);
    CHECK_U64(alpha.typed[199], 'a' + 99 % 26);
    CHECK_STR(fake_line_take(), "\x11");
    for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
        CHECK(fake_cpus[cpu].deadline == 0);
    }
}

TEST(a_reader_that_sleeps_costs_the_paste_not_the_keys) {
    start_live(true, true);
    type(KEY "1");
    alpha.typed_room = 0;
    paste(100);
    fake_line_take();
    fake_pass(6000000);
    CHECK_STR(fake_line_take(),
              "\x11\r\n[bulkhead] 100 typed bytes lost: alpha does not read them" MSG(6301) "\r\n");
    paste(200); /* said once */
    fake_pass(6000000);
    CHECK(strstr(fake_line_take(), "bulkhead") == NULL);
    type(KEY "2ok");
    CHECK_STR(beta.typed, "ok");
    alpha.typed_room = SIZE_MAX;
    type(KEY "1yes");
    CHECK_STR(alpha.typed, "yes");
}

/* Reading a byte now and then does not keep the terminal stopped for ever. */
TEST(a_trickle_does_not_stop_the_keys) {
    start_live(true, true);
    type(KEY "1");
    fake_pass(200000);
    fake_line_take();
    paste(500);
    alpha.typed_count = 0;
    alpha.typed_room = 0;
    paste(1000);
    alpha.trickles = true;
    fake_pass(4000000);
    CHECK(strstr(fake_line_take(), "typed bytes lost") == NULL);
    fake_pass(2000000);
    CHECK(alpha.typed_count > 400 && alpha.typed_count < 600);
    CHECK(strstr(fake_line_take(), "\x11\r\n[bulkhead] ") != NULL);
}

/* What another CPU does while this one hands bytes to alpha. */
static void switch_and_type(void) {
    type(KEY "2xyz");
}

/* What alpha has taken by then was none of beta's. */
TEST(a_switch_while_bytes_are_on_their_way) {
    start_live(true, true);
    type(KEY "1");
    alpha.typed_room = 0;
    type("abc");
    alpha.typed_room = SIZE_MAX;
    alpha.on_input = switch_and_type;
    fake_pass(1000000);
    CHECK_STR(beta.typed, "xyz");
}

/* A guest that is slow to read gets all of it, whatever is shown and typed elsewhere meanwhile. */
TEST(a_switch_loses_nothing_that_was_typed) {
    start_live(true, true);
    type(KEY "1");
    alpha.typed_room = 2;
    beta.typed_room = 1;
    type("reboot\r" KEY "0x" KEY "2ok" KEY "0");
    fake_pass(1000000);
    CHECK_STR(alpha.typed, "re");
    CHECK_STR(beta.typed, "o");
    CHECK_STR(operator_typed, "x");
    alpha.typed_room = beta.typed_room = SIZE_MAX;
    fake_pass(1000000);
    CHECK_STR(alpha.typed, "reboot\r");
    CHECK_STR(beta.typed, "ok");
    CHECK(strstr(fake_line_take(), "lost") == NULL);
}

/* Alpha reads nothing, and the terminal was told to wait. */
static void start_with_the_terminal_stopped(void) {
    start_live(true, true);
    type(KEY "1");
    alpha.typed_room = 0;
    paste(100);
    fake_pass(200000);
    CHECK(strchr(fake_line_take(), 0x13) != NULL);
}

/* The terminal waits for the view in focus: a slow reader elsewhere does not hold it. */
TEST(a_terminal_waits_for_who_is_typed_to) {
    start_with_the_terminal_stopped();
    type(KEY "2");
    CHECK(strchr(fake_line_take(), 0x11) != NULL);
    type(KEY "1");
    CHECK(strchr(fake_line_take(), 0x13) != NULL);
    alpha.typed_room = SIZE_MAX;
    fake_pass(200000);
    CHECK(strchr(fake_line_take(), 0x11) != NULL);
    CHECK_U64(alpha.typed_count, 100);
}

/* A switch drops what is on its way to the line: XON above all must not be among it. */
TEST(a_switch_does_not_leave_the_terminal_stopped) {
    start_with_the_terminal_stopped();
    fake_line.room = 0;
    alpha.typed_room = SIZE_MAX;
    fake_pass(200000);
    type(KEY "2");
    fake_line.room = SIZE_MAX;
    hv_console_writable();
    CHECK(strchr(fake_line_take(), 0x11) != NULL);
}

/* Nobody hears it, now or when it is started again; who typed it is told. */
TEST(keys_for_a_guest_that_is_off) {
    start_live(true, true);
    type(KEY "1");
    fake_pass(200000);
    alpha.typed_room = 0;
    type("left");
    alpha.public.state = VM_STOPPED;
    vm_console->state_changed(&alpha.public);
    fake_line_take();
    type("ls\r");
    CHECK_STR(fake_line_take(),
              "\r\n[bulkhead] alpha is stopped: nobody reads what is typed here" MSG(6304) "\r\n");
    alpha.typed_room = SIZE_MAX;
    alpha.public.state = VM_RUNNING;
    vm_console->state_changed(&alpha.public);
    fake_pass(1000000);
    CHECK_STR(alpha.typed, "");
    type("on");
    CHECK_STR(alpha.typed, "on");
}

TEST(a_terminal_that_does_not_wait) {
    start_live(true, true);
    type(KEY "1");
    fake_pass(200000);
    fake_line_take();
    alpha.typed_room = 0;
    paste(1030);
    const char *seen = fake_line_take();
    CHECK(strstr(seen, "typed bytes lost: the terminal did not wait" MSG(6301) "\r\n") != NULL);
    type(KEY "2");
    fake_pass(200000);
    CHECK(strstr(fake_line_take(), "typed bytes lost") == NULL);
    type("x");
    CHECK_STR(beta.typed, "x");
    fake_pass(6000000);
    CHECK(strstr(fake_line_take(), "[bulkhead] 1024 typed bytes lost: alpha does not read them") !=
          NULL);
    hv_console_overrun();
    serve_all();
    CHECK(strstr(fake_line_take(), "typed bytes lost: the serial line") != NULL);
}

/* As many as there can be: each has a view of its own. */
TEST(a_view_for_each_guest) {
    static struct guest many[CONFIG_MAX_GUESTS];
    char name[16], text[32];

    fake_console_set_up(true, 0, 0);
    console_init(0x1d);
    console_set_operator(&operator);
    fake_on_work = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        snprintf(name, sizeof(name), "guest%u", i);
        add(&many[i], name);
    }
    console_start(0);
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        snprintf(text, sizeof(text), "this is %u!", i);
        say(&many[i], text);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        fake_line_take();
        hv_console_input(0x1d);
        hv_console_input('n');
        fake_pass(200000);
        const char *seen = fake_line_take();
        snprintf(text, sizeof(text), ": guest%u - ", i);
        CHECK(strstr(seen, text) != NULL);
        snprintf(text, sizeof(text), "this is %u!", i);
        CHECK(strstr(seen, text) != NULL);
    }
}

TEST(nothing_before_init_harms) {
    hv_console_input('x');
    serve_all();
    hv_console_writable();
    serve_all();
    CHECK_U64(fake_line.length, 0);
}

/* What a guest that operates it reads of a console: bytes by their numbers, in focus or not. */
TEST(a_console_is_read_by_its_numbers) {
    uint8_t bytes[16];
    uint64_t at = CONTROL_AT_FIRST, end;

    start();
    say(&alpha, "hello");
    CHECK_U64(vm_console->read(&alpha.public, &at, &end, bytes, sizeof(bytes)), 5);
    CHECK(at == 0 && end == 5 && memcmp(bytes, "hello", 5) == 0);
    at = 2;
    CHECK_U64(vm_console->read(&alpha.public, &at, &end, bytes, 2), 2);
    CHECK(at == 2 && end == 5 && memcmp(bytes, "ll", 2) == 0);
    at = 5;
    CHECK_U64(vm_console->read(&alpha.public, &at, &end, bytes, sizeof(bytes)), 0);
    CHECK(at == 5 && end == 5);
    at = UINT64_MAX - 1; /* which it has not said */
    CHECK_U64(vm_console->read(&alpha.public, &at, &end, bytes, sizeof(bytes)), 0);
    CHECK(at == 5 && end == 5);
    for (unsigned i = 5; i < 2 * RING; i++) {
        CHECK(send(&beta, '.') && send(&alpha, (uint8_t)('a' + i % 26)));
    }
    at = 3; /* gone */
    CHECK_U64(vm_console->read(&alpha.public, &at, &end, bytes, sizeof(bytes)), sizeof(bytes));
    CHECK(at > RING && at < RING + RING / 8 && end == 2 * RING);
    CHECK_U64(bytes[0], 'a' + at % 26);
    CHECK_U64(bytes[15], 'a' + (at + 15) % 26);
    at = CONTROL_AT_FIRST;
    CHECK_U64(vm_console->read(&alpha.public, &at, &end, bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_U64(at, 2 * RING - RING / 4);
    fake_line_take();
}

/* A guest that types for another one never has the operator's terminal wait. */
TEST(keys_of_other_guests_are_few) {
    uint8_t keys[200];

    start();
    memset(keys, 'k', sizeof(keys));
    CHECK_U64(vm_console->put(&alpha.public, keys, 3), 3);
    serve_all();
    CHECK_STR(alpha.typed, "kkk");
    type(KEY "1");
    alpha.typed_room = 0;
    fake_line_take();
    CHECK_U64(vm_console->put(&alpha.public, keys, sizeof(keys)), 16);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_U64(vm_console->put(&alpha.public, keys, sizeof(keys)), 0);
        serve_all();
    }
    type("operator");
    CHECK(strchr(fake_line_take(), 0x13) == NULL);
    alpha.typed_room = SIZE_MAX;
    type("!!");
    CHECK_STR(alpha.typed, "kkkkkkkkkkkkkkkkkkkoperator!!");
    CHECK_STR(beta.typed, "");
}

TEST_MAIN(T(nothing_before_init_harms), T(log_is_in_focus_first), T(switching_replays),
          T(keys_reach_the_guest_in_focus), T(replay_is_the_last_quarter),
          T(of_the_log_less_is_replayed), T(replay_holds_nobody_up), T(focus_follows_the_log),
          T(the_escape_key_is_a_setting), T(the_escape_key_is_a_setting),
          T(background_never_blocks), T(focused_guest_waits_for_the_line),
          T(leaving_focus_ends_the_wait), T(log_overtakes_a_slow_line),
          T(warnings_are_seen_everywhere), T(flood_of_warnings_is_bounded),
          T(slow_line_keeps_every_byte), T(prompt_stays_below_the_log),
          T(only_what_is_added_to_the_prompt_is_sent), T(screen_shows_the_same),
          T(nothing_is_drawn_with_the_lock_held), T(a_flood_is_drawn_by_its_own_cpu),
          T(a_free_cpu_draws_for_all), T(a_slow_screen_has_its_share_too),
          T(the_last_state_is_drawn), T(a_switch_clears_the_screen),
          T(a_long_replay_holds_nobody_up), T(a_view_costs_its_own_cpu),
          T(a_switch_calls_the_new_views_cpu), T(a_cpu_without_work_feeds), T(a_call_costs_little),
          T(all_views_share_the_screen), T(a_part_begins_outside_of_sequences), T(sharing_is_fair),
          T(a_key_ends_the_sharing), T(a_screen_too_small_to_share),
          T(questions_are_answered_to_who_asks), T(an_answer_goes_with_few_keys),
          T(escapes_reach_the_line), T(a_view_for_each_guest), T(notices_keep_out_of_sequences),
          T(the_operator_works_in_pieces), T(a_slow_reader_makes_the_terminal_wait),
          T(a_reader_that_sleeps_costs_the_paste_not_the_keys), T(a_trickle_does_not_stop_the_keys),
          T(a_switch_loses_nothing_that_was_typed), T(a_terminal_waits_for_who_is_typed_to),
          T(a_switch_does_not_leave_the_terminal_stopped), T(keys_for_a_guest_that_is_off),
          T(a_terminal_that_does_not_wait), T(a_switch_while_bytes_are_on_their_way),
          T(a_console_is_read_by_its_numbers), T(keys_of_other_guests_are_few))
