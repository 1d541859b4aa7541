/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's prompt, typed at through the console as an operator does. */
#include "hv/lib/log.h"
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "tests/unit/fake_console.h"

static uint8_t log_ring[CONSOLE_LOG_SIZE];
static char asked[64];
static enum status answer;

static unsigned vm_count(void) {
    return 2;
}

static const char *vm_name(unsigned vm) {
    return vm == 0 ? "alpha" : "beta";
}

static const char *vm_state(unsigned vm) {
    return vm == 0 ? "running" : "stopped";
}

static enum status note(const char *what, unsigned vm) {
    snprintf(asked, sizeof(asked), "%s %u", what, vm);
    return answer;
}

static enum status vm_start(unsigned vm) {
    return note("start", vm);
}

static enum status vm_stop(unsigned vm) {
    return note("stop", vm);
}

static enum status vm_reset(unsigned vm) {
    return note("reset", vm);
}

static void vm_list_row(unsigned vm, char *buf, size_t size) {
    snprintf(buf, size, "cpu %u, 256M", vm);
}

static void vm_stats(unsigned vm, void (*line)(void *ctx, const char *text), void *ctx) {
    line(ctx, vm == 0 ? "msr-denied 3" : "msr-denied 0");
    line(ctx, "port-denied 1");
}

static const struct monitor_ops ops = {vm_count, vm_name,  vm_state,    vm_start,
                                       vm_stop,  vm_reset, vm_list_row, vm_stats};

static uint64_t now_us(void) {
    return 0;
}

static unsigned no_cpu(void) {
    return 0;
}

static void type(const char *keys) {
    for (; *keys != '\0'; keys++) {
        hv_console_input((uint8_t)*keys);
    }
}

static void start(void) {
    static const struct log_hooks hooks = {now_us, no_cpu, hv_console_log};
    fake_console_set_up(true, 0, 0);
    console_init(log_ring, sizeof(log_ring));
    log_init(&hooks, LOG_INFO);
    command_init(&ops);
    asked[0] = '\0';
    answer = STATUS_OK;
    CHECK_STR(fake_line_take(), "bulkhead> ");
}

/* Types a line and gives what is seen between its echo and the next prompt. */
static const char *answer_to(const char *line) {
    static char text[FAKE_LINE_MAX];
    char echo[128];
    fake_line_take();
    type(line);
    type("\r");
    const char *seen = fake_line_take();
    snprintf(echo, sizeof(echo), "\r\x1b[Kbulkhead> %s\r\n", line);
    const char *from = strstr(seen, echo);
    CHECK(from != NULL);
    strcpy(text, from == NULL ? seen : from + strlen(echo));
    char *end = strstr(text, "bulkhead> ");
    CHECK(end != NULL && strcmp(end, "bulkhead> ") == 0);
    if (end != NULL) {
        *end = '\0';
    }
    return text;
}

TEST(help_names_every_command) {
    static const char *const names[] = {"help",       "list",         "start NAME", "stop NAME",
                                        "reset NAME", "stats [NAME]", "log LEVEL",  "host-reset"};
    start();
    const char *text = answer_to("help");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char name[16] = "", *space;
        snprintf(name, sizeof(name), "%s", names[i]);
        space = strchr(name, ' ');
        CHECK(space == NULL || strstr(text, space + 1) != NULL);
        if (space != NULL) {
            *space = '\0';
        }
        CHECK(strstr(text, name) != NULL);
    }
}

TEST(list_and_stats) {
    start();
    CHECK_STR(answer_to("list"), "1 alpha            running   cpu 0, 256M\r\n"
                                 "2 beta             stopped   cpu 1, 256M\r\n");
    CHECK_STR(answer_to("stats beta"), "beta: stopped\r\n  msr-denied 0\r\n  port-denied 1\r\n");
    CHECK_STR(answer_to("stats alpha"), "alpha: running\r\n  msr-denied 3\r\n  port-denied 1\r\n");
    CHECK_STR(answer_to("stats"), "alpha: running\r\n  msr-denied 3\r\n  port-denied 1\r\n"
                                  "beta: stopped\r\n  msr-denied 0\r\n  port-denied 1\r\n");
}

TEST(guests_are_started_and_stopped) {
    start();
    CHECK_STR(answer_to("start beta"), "");
    CHECK_STR(asked, "start 1");
    CHECK_STR(answer_to("  stop   alpha "), "");
    CHECK_STR(asked, "stop 0");
    CHECK_STR(answer_to("reset alpha"), "");
    CHECK_STR(asked, "reset 0");
    answer = STATUS_EXISTS;
    char want[96];
    snprintf(want, sizeof(want), "alpha is running: refused (%s)\r\n", status_name(STATUS_EXISTS));
    CHECK_STR(answer_to("start alpha"), want);
}

TEST(mistakes_are_explained) {
    start();
    CHECK_STR(answer_to("lsit"), "no command \"lsit\": did you mean \"list\"?\r\n");
    CHECK_STR(answer_to("frobnicate"), "no command \"frobnicate\"\r\n");
    CHECK_STR(answer_to("start alhpa"), "no guest \"alhpa\": did you mean \"alpha\"?\r\n");
    CHECK_STR(answer_to("start gamma-ray"), "no guest \"gamma-ray\"\r\n");
    CHECK_STR(answer_to("start"), "usage: start NAME\r\n");
    CHECK_STR(answer_to("start alpha beta"), "usage: start NAME\r\n");
    CHECK_STR(answer_to("list all"), "usage: list\r\n");
    CHECK_STR(answer_to("stats alpha beta"), "usage: stats [NAME]\r\n");
    CHECK_STR(answer_to("log loud"), "no log level \"loud\"\r\n");
    CHECK_STR(answer_to("log debgu"), "no log level \"debgu\": did you mean \"debug\"?\r\n");
    CHECK_STR(answer_to(""), "");
    CHECK_STR(answer_to("   "), "");
    CHECK_STR(asked, "");
}

TEST(log_level) {
    start();
    CHECK_STR(answer_to("log error"), "log level is error\r\n");
    log_warn("dropped");
    CHECK_STR(fake_line_take(), "");
    CHECK_STR(answer_to("log warn"), "log level is warn\r\n");
    log_warn("kept");
    CHECK(strstr(fake_line_take(), "kept\r\n") != NULL);
}

TEST(line_editing) {
    start();
    type("lisx");
    CHECK_STR(fake_line_take(), "lisx");
    type("\x7f");
    CHECK_STR(fake_line_take(), "\b \b");
    type("\b\b\b\b\b\b");
    CHECK_STR(fake_line_take(), "\b \b\b \b\b \b");
    type("stop alpha\x15");
    CHECK(strstr(fake_line_take(), "\r\x1b[Kbulkhead> ") != NULL);
    type("stop alpha\x03\r");
    CHECK_STR(asked, "");
    fake_line_take();
    type("\x1b[A\x1b[3~\x1bOPab\x01\t\x80");
    CHECK_STR(fake_line_take(), "ab");
    type("\x15"
         "start beta\n");
    CHECK_STR(asked, "start 1");
    fake_line_take();
    type("\r\n"); /* one Enter */
    CHECK_STR(fake_line_take(), "\r\x1b[K"
                                "bulkhead> \r\nbulkhead> ");
    for (unsigned i = 0; i < 300; i++) {
        type("x");
    }
    CHECK_U64(strlen(fake_line_take()), 79);
}

TEST(host_reset_asks_first) {
    static const char question[] = "restart this machine and every guest? type yes: ";
    start();
    type("host-reset\r");
    const char *seen = fake_line_take();
    CHECK_STR(seen + strlen(seen) - strlen(question), question);
    type("y\r");
    CHECK(strstr(fake_line_take(), "not restarted\r\nbulkhead> ") != NULL);
    type("host-reset\r\x03");
    CHECK(strstr(fake_line_take(), "bulkhead> ") != NULL);
    type("yes\r");
    CHECK(strstr(fake_line_take(), "no command \"yes\"") != NULL);
    type("host-reset\ryes please\r");
    CHECK_U64(fake_machine_resets, 0);
    type("host-reset\ryes\r");
    CHECK_U64(fake_machine_resets, 1);
}

TEST_MAIN(T(help_names_every_command), T(list_and_stats), T(guests_are_started_and_stopped),
          T(mistakes_are_explained), T(log_level), T(line_editing), T(host_reset_asks_first))
