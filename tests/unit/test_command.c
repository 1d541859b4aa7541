/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's prompt, typed at through the console as an operator does. */
#include "hv/monitor/ask.h"
#include "hv/monitor/command.h"
#include "hv/monitor/console.h"
#include "hv/monitor/top.h"
#include "hv/vm/devices.h"
#include "hv/vm/snapshot.h"
#include "tests/unit/fake_console.h"

static struct vm_public vms[2];
#define alpha vms[0]
#define beta  vms[1]
static char asked[64], asked_before[64];

static bool too_much;

static void note(const struct vm_public *vm, enum vm_command what) {
    static const char *const words[] = {
        [VM_COMMAND_START] = "start", [VM_COMMAND_STOP] = "stop", [VM_COMMAND_KILL] = "kill",
        [VM_COMMAND_RESET] = "reset", [VM_COMMAND_MOVE] = "move", [VM_COMMAND_AUDIT] = "audit"};
    memcpy(asked_before, asked, sizeof(asked));
    snprintf(asked, sizeof(asked), "%s %s", words[what], vm->name);
}

bool vm_command_both(struct vm_public *vm, enum vm_command command, enum vm_command then) {
    note(vm, command);
    if (then != VM_COMMAND_NONE) {
        note(vm, then);
    }
    return !too_much;
}

bool vm_console_input(struct vm *vm, uint8_t byte) {
    (void)vm;
    (void)byte;
    abort(); /* no view but the log is in focus here */
}

void vcpu_request(UNUSED struct vcpu_public *p, UNUSED uint32_t bits) {
    abort();
}

void vm_set_link(struct vm_public *p, unsigned net, bool up) {
    snprintf(asked, sizeof(asked), "link %s %u %d", p->name, net, up);
}

const uint8_t plat_compartment_image[1];

void *plat_window_open(UNUSED enum plat_window which, UNUSED hpa_t at, UNUSED uint64_t size) {
    abort(); /* test_map.c has what needs them */
}

void plat_window_close(UNUSED enum plat_window which, UNUSED hpa_t at, UNUSED uint64_t size) {
    abort();
}

static uint64_t log_us;
static uint64_t now_us(void) {
    return log_us;
}

static unsigned no_cpu(void) {
    return 0;
}

static void type(const char *keys) {
    for (; *keys != '\0'; keys++) {
        hv_console_input((uint8_t)*keys);
        fake_pass(5000);
    }
}

static void start(void) {
    static const struct log_hooks hooks = {now_us, no_cpu, hv_console_log, NULL};
    fake_console_set_up(true, 0, 0);
    console_init(0x1d);
    log_init(&hooks, LOG_INFO);
    for (unsigned i = 0; i < 2; i++) {
        fake_vm_set_up(&vms[i], i == 0 ? "alpha" : "beta");
        vms[i].memory = i == 0 ? 256 * MIB : GIB;
        vms[i].cpus.bits[0] = BIT(i + 1);
    }
    beta.state = VM_OFF;
    log_us = 0;
    command_init(vms, 2);
    console_start(0);
    asked[0] = '\0';
    CHECK_STR(fake_line_take(), "\rbulkhead> \x1b[K");
}

/* Types a line and gives what is seen between its echo and the next prompt. */
static const char *answer_to(const char *line) {
    static char text[FAKE_LINE_MAX];
    char echo[128];
    fake_line_take();
    type(line);
    type("\r");
    fake_pass(30000);
    if (ask_is_open()) { /* nobody answers */
        fake_pass(100000);
    }
    const char *seen = fake_line_take();
    snprintf(echo, sizeof(echo), "\r\x1b[Kbulkhead> %s\r\n", line);
    const char *from = strstr(seen, echo);
    CHECK(from != NULL);
    strcpy(text, from == NULL ? seen : from + strlen(echo));
    char *end = strstr(text, "\rbulkhead> ");
    CHECK(end != NULL && strcmp(end, "\rbulkhead> \x1b[K") == 0);
    if (end != NULL) {
        *end = '\0';
    }
    return text;
}

TEST(help_names_every_command) {
    static const char *const names[] = {"?",
                                        "regs NAME",
                                        "help",
                                        "list [NAME]",
                                        "start NAME",
                                        "stop NAME",
                                        "kill NAME [yes]",
                                        "reset NAME [yes]",
                                        "log [LEVEL]",
                                        "stats [NAME]",
                                        "host-reset yes"};
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

/* Of a guest that runs again as of one that does not. */
TEST(list_tells_the_last_crash) {
    static const struct vm_crash first = {.us = 5000001,
                                          .rip = 0xffffffff81001234,
                                          .vcpu = 3,
                                          .work = "triple-fault",
                                          .reason = "triple fault"},
                                 second = {.us = 4711000042,
                                           .rip = 0xffff800000401234,
                                           .compartment = true,
                                           .work = "a read of a device",
                                           .reason = "its compartment failed"};
    start();
    beta.state = VM_CRASHED;
    vm_keep_crash(&beta, &first);
    log_us = 5000001 + 3599 * 1000000ull;
    CHECK_STR(answer_to("list"),
              "1 alpha            running   cpus 1        memory 256M   up 00:00:00\r\n"
              "2 beta             crashed   cpus 2        memory 1G    \r\n"
              "  crashed 1 time, last 00:59:59 ago: triple fault\r\n"
              "  [    5.000001] vcpu 3, guest's rip 0xffffffff81001234, exit triple-fault\r\n");
    beta.state = VM_RUNNING;
    vm_keep_crash(&beta, &second);
    log_us = 4711000042 + 86400 * 1000000ull;
    CHECK_STR(
        answer_to("list beta"),
        "2 beta             running   cpus 2        memory 1G     up 00:00:00\r\n"
        "  crashed 2 times, last 1 d 00:00:00 ago: its compartment failed\r\n"
        "  [ 4711.000042] vcpu 0, compartment's rip 0xffff800000401234, at work on a read of a device\r\n");
}

/* A line of 115200 baud takes long enough for a guest to go on. */
TEST(stats_of_a_vcpu_are_of_one_moment) {
    start();
    alpha.vcpu_count = 1;
    alpha.vcpus[0]->refused[REFUSED_INSTRUCTION] = 6;
    alpha.vcpus[0]->exits[EXIT_CPUID] = 7;
    type("stats alpha");
    fake_line_take();
    hv_console_input('\r');
    char seen[FAKE_LINE_MAX] = "";
    while (strstr(seen, "msr-denied 0\r\n") == NULL) {
        fake_pass(100);
        strcat(seen, fake_line_take());
    }
    CHECK(strstr(seen, "instruction-denied") == NULL);
    alpha.vcpus[0]->refused[REFUSED_INSTRUCTION] = 60;
    alpha.vcpus[0]->exits[EXIT_CPUID] = 70;
    fake_pass(30000);
    const char *rest = fake_line_take();
    CHECK(strstr(rest, "instruction-denied 6\r\n") != NULL);
    CHECK(strstr(rest, "exits cpuid 7\r\n") != NULL);
    CHECK(strstr(answer_to("stats alpha"), "exits cpuid 70\r\n") != NULL);
}

TEST(list_and_stats) {
    start();
    fake_tsc = 70000000;
    alpha.started_tsc = 8000000;
    CHECK_STR(answer_to("list"),
              "1 alpha            running   cpus 1        memory 256M   up 00:01:02\r\n"
              "2 beta             off       cpus 2        memory 1G    \r\n");
    CHECK_STR(answer_to("list beta"),
              "2 beta             off       cpus 2        memory 1G    \r\n");
    alpha.started_tsc = 70000000 - (3 * 86400 + 4 * 3600 + 5 * 60 + 6) * 1000000ull;
    CHECK_STR(answer_to("list alpha"),
              "1 alpha            running   cpus 1        memory 256M   up "
              "3 d 04:05:06\r\n");
    alpha.vcpu_count = 1;
    alpha.vcpus[0]->refused[REFUSED_MSR] = 3;
    alpha.vcpus[0]->refused[REFUSED_PORT] = 4;
    alpha.vcpus[0]->refused[REFUSED_MEMORY] = 5;
    alpha.vcpus[0]->refused[REFUSED_INSTRUCTION] = 6;
    alpha.vcpus[0]->exits[EXIT_CPUID] = 7;
    alpha.vcpus[0]->exits[EXIT_TRIPLE_FAULT] = 8;
    CHECK_STR(answer_to("stats beta"), "beta: off\r\n");
    alpha.bios_calls = 9;
    static const char want[] = "alpha: running\r\n"
                               "  bios-calls 9\r\n"
                               "  vcpu0 msr-denied 3\r\n  vcpu0 port-denied 4\r\n"
                               "  vcpu0 memory-denied 5\r\n  vcpu0 instruction-denied 6\r\n"
                               "  vcpu0 exits cpuid 7\r\n  vcpu0 exits triple-fault 8\r\n";
    CHECK_STR(answer_to("stats alpha"), want);
    const char *both = answer_to("stats");
    CHECK(strncmp(both, want, strlen(want)) == 0);
    CHECK_STR(both + strlen(want), "beta: off\r\n");
}

TEST(guests_are_started_and_stopped) {
    start();
    CHECK_STR(answer_to("start beta"), "");
    CHECK_STR(asked, "start beta");
    CHECK_STR(answer_to("  stop   alpha "), "");
    CHECK_STR(asked, "stop alpha");
    CHECK_STR(answer_to("reset alpha yes"), "");
    CHECK_STR(asked, "reset alpha");
    /* Its own CPU decides, not what is shown here. */
    CHECK_STR(answer_to("start alpha"), "");
    CHECK_STR(asked, "start alpha");
    CHECK_STR(answer_to("kill beta"), "");
    CHECK_STR(asked, "kill beta");
    too_much = true;
    CHECK_STR(answer_to("stop beta"),
              "beta has too much to do already: try again, or kill it [BH6107]\r\n");
    too_much = false;
}

/* One that runs is ended at the second word; one that does not loses nothing. */
TEST(what_hurts_is_asked_for_twice) {
    start();
    CHECK_STR(answer_to("kill alpha"),
              "alpha runs, and kill pulls its plug: \"kill alpha yes\" does it [BH6104]\r\n");
    CHECK_STR(
        answer_to("reset alpha"),
        "alpha runs, and reset lets it save nothing: \"reset alpha yes\" does it [BH6104]\r\n");
    CHECK_STR(answer_to("kill alpha y"), "usage: kill NAME [yes] [BH6103]\r\n");
    CHECK_STR(answer_to("kill alpha yes yes"), "usage: kill NAME [yes] [BH6103]\r\n");
    CHECK_STR(answer_to("kill"), "usage: kill NAME [yes] [BH6103]\r\n");
    CHECK_STR(asked, "");
    CHECK_STR(answer_to("kill alpha yes"), "");
    CHECK_STR(asked, "kill alpha");
    CHECK_STR(answer_to("reset beta"), "");
    CHECK_STR(asked, "reset beta");
}

TEST(a_reboot_is_asked_for_twice_while_a_guest_runs) {
    start();
    CHECK_STR(answer_to("reboot"), "1 guest runs and would end as at a power cut: "
                                   "\"reboot yes\" does it [BH6110]\r\n");
    CHECK_STR(answer_to("reboot no"), "1 guest runs and would end as at a power cut: "
                                      "\"reboot yes\" does it [BH6110]\r\n");
    beta.state = VM_PAUSED;
    CHECK(strstr(answer_to("reboot"), "2 guests run and would end") != NULL);
    CHECK_U64(fake_machine_resets, 0);
    type("reboot yes\r");
    CHECK_U64(fake_machine_resets, 1);
    alpha.state = beta.state = VM_OFF;
    type("reboot\r");
    CHECK_U64(fake_machine_resets, 2);
}

TEST(audits_are_asked_for) {
    start();
    CHECK_STR(answer_to("audit beta"), "");
    CHECK_STR(asked, "audit beta");
    CHECK_STR(answer_to("audit"), "");
    CHECK_STR(asked_before, "audit alpha");
    CHECK_STR(asked, "audit beta");
    CHECK_STR(answer_to("audit gamma"), "no guest \"gamma\": see help and list [BH6102]\r\n");
}

/* What a terminal is told beside the text is left out; what is drawn anew is the last of it. */
TEST(a_guests_last_lines_are_shown) {
    static const char said[] =
        "\x1b[2Jfirst\r\n10%\r99%\tdone\x1b[31m!\x1b[0m\x1b]0;title\a\x1b(B\r\n"
        "\x1b(Pa\x1b)]b\x1bPno\ac\x1b_no\ad\x1b^no\ae\x1bXno\af\x1b]no\ag\x1b=h\x1b[1?@i\r\n"
        "ab\bc\x01\x7f\n\nxy\x7f\bz\nuv\x01\bw\nlast"; /* no control character takes room */
    start();
    console_add_vm(&alpha);
    for (const char *at = said; *at != '\0'; at++) {
        (void)vm_console->transmit(&(struct vm){.public = &alpha}, (uint8_t)*at);
    }
    CHECK_STR(answer_to("logs alpha"),
              "first\r\n99%\tdone!\r\nabcdefghi\r\nac\r\n\r\nxz\r\nuw\r\nlast\r\n");
    CHECK_STR(answer_to("logs"), "usage: logs NAME [-f] [BH6103]\r\n");
    CHECK_STR(answer_to("logs -f"), "usage: logs NAME [-f] [BH6103]\r\n");
    CHECK_STR(answer_to("logs alpha -g"), "usage: logs NAME [-f] [BH6103]\r\n");
    fake_line_take();
    type("logs -f alpha\r");
    fake_pass(30000);
    CHECK(strstr(fake_line_take(), "console 1/1: alpha") != NULL);
}

TEST(the_logs_last_lines_are_shown) {
    start();
    log_us = 1234567;
    log_info("one");
    for (unsigned i = 0; i < 1000; i++) {
        (void)answer_to("list"); /* more than the log's view keeps */
    }
    log_warn("two");
    CHECK_STR(answer_to("dmesg"),
              "[    1.234567] cpu0: one\r\n[    1.234567] cpu0: warning: two\r\n");
}

/* A picture a second, each over the one before, until a key comes: that one is nobody's. */
TEST(top_draws_until_a_key_is_typed) {
    start();
    alpha.vcpu_count = 1;
    beta.vcpu_count = 1;
    fake_line_take();
    type("top\r");
    fake_pass(100000);
    CHECK(strstr(fake_line_take(), "guest") == NULL);
    alpha.vcpus[0]->exits[EXIT_CPUID] = 3000;
    alpha.vcpus[0]->exits[EXIT_HLT] = 500;
    alpha.vcpus[0]->exits[EXIT_UNKNOWN] = 2000; /* the first kind counts as well */
    alpha.vcpus[0]->waited = plat_tsc_hz() / 4;
    fake_pass(1000000);
    const char *seen = fake_line_take();
    CHECK(
        strstr(seen,
               "guest            state     cpu % memory  exits/s  intr/s frames/s blocks/s\r\n") !=
        NULL);
    const char *row = strstr(seen, "alpha            running  ");
    unsigned percent = 0, rate = 0;
    CHECK(row != NULL && sscanf(row, "alpha running %u 256M %u", &percent, &rate) == 2);
    CHECK(percent > 70 && percent <= 78 && rate > 5000 && rate <= 5500);
    CHECK(row != NULL && strstr(row, "  cpuid ") < strstr(row, "  hlt "));
    CHECK(strstr(seen,
                 "beta             off           -     1G        0       0        0        0") !=
          NULL);
    CHECK(strstr(seen, "\x1b[4A\r\x1b[J") == NULL);
    alpha.vcpus[0]->waits_since = plat_tsc();
    fake_pass(1100000);
    seen = fake_line_take();
    CHECK(strstr(seen, "\x1b[4A\r\x1b[J") != NULL);
    CHECK(strstr(seen, "alpha            running       ") != NULL);
    alpha.vcpus[0]->exits[EXIT_CPUID] +=
        30; /* of one kind alone: no other is named, nor it twice */
    fake_pass(1100000);
    const char *cpuid = strstr(fake_line_take(), "  cpuid ");
    CHECK(cpuid != NULL && strstr(cpuid, "  \r\n") == strchr(cpuid + 8, ' '));
    type("q");
    fake_pass(100000);
    CHECK(strstr(fake_line_take(), "\rbulkhead> \x1b[K") != NULL);
    CHECK_STR(answer_to("log"), "log level is info\r\n");
}

/* No CPU of its own hears a word for it, or it lacks one of the others. */
static void top_begin(void) {
    fake_tsc += plat_tsc_hz();
    CHECK_U64(top_show(vms, 2, 0), SHOW_EMPTY);
}

/* What top says of alpha after just a second. */
static const char *top_row(void) {
    static char row[160];
    CHECK_U64(top_show(vms, 2, 0), SHOW_WAIT);
    fake_tsc += plat_tsc_hz() - 1;
    CHECK_U64(top_show(vms, 2, 0), SHOW_WAIT);
    fake_tsc++;
    CHECK_U64(top_show(vms, 2, 0), SHOW_EMPTY);
    fake_pass(30000);
    fake_line_take();
    CHECK_U64(top_show(vms, 2, 2), SHOW_PRINTED);
    fake_pass(30000);
    const char *seen = strstr(fake_line_take(), "alpha ");
    snprintf(row, sizeof(row), "%.*s",
             seen == NULL ? 0 : (int)(strchr(strchr(seen, '\n') + 1, '\n') + 1 - seen), seen);
    return row;
}

/* Three kinds at most, the busiest first, of equal ones that which stands first in the table. */
TEST(top_names_the_busiest_kinds) {
    static const struct {
        uint64_t count[5];
        const char *row;
    } rows[] = {
        {{0, 7},
         "alpha            running     100   256M        7       0        0        0\r\n"
         "                 cpuid 7  \r\n"},
        {{1, 2, 3, 4, 5},
         "alpha            running     100   256M       15       0        0        0\r\n"
         "                 wrmsr 5  rdmsr 4  hypercall 3  \r\n"},
        {{2, 2, 2, 2, 2},
         "alpha            running     100   256M       10       0        0        0\r\n"
         "                 unknown 2  cpuid 2  hypercall 2  \r\n"},
        {{0},
         "alpha            running     100   256M        0       0        0        0\r\n"
         "                 \r\n"},
    };
    start();
    alpha.vcpu_count = 1;
    CHECK_U64(top_show(vms, 2, 0), SHOW_WAIT);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        top_begin();
        for (unsigned k = 0; k < ARRAY_SIZE(rows[i].count); k++) {
            alpha.vcpus[0]->exits[k] += rows[i].count[k];
        }
        CHECK_STR(top_row(), rows[i].row);
    }
    alpha.state = VM_STOPPING;
    top_begin();
    alpha.vcpus[0]->waited += plat_tsc_hz() / 4;
    CHECK_U64(strtoull(top_row() + 27, NULL, 10), 75);
    top_begin();
    alpha.vcpus[0]->waited += plat_tsc_hz() / 4; /* what it waited before is not counted again */
    CHECK_U64(strtoull(top_row() + 27, NULL, 10), 75);
    top_begin();
    alpha.vcpus[0]->waited += 2 * plat_tsc_hz(); /* read a moment apart */
    CHECK(strncmp(top_row() + 27, "    0   256M", 12) == 0);
}

TEST(a_guest_whose_cpu_is_missing) {
    static struct vcpu_public second;
    static const char answer[] =
        "beta cannot run: CPU 2 did not come, or runs no guests [BH6105]\r\n";
    start();
    beta.vcpus[1] = &second;
    beta.vcpu_count = 2;
    beta.vcpus[0]->cpu = 2;
    second.cpu = 3;
    fake_absent_cpu = 2;
    beta.state = VM_STOPPED;
    CHECK_STR(answer_to("start beta"), answer);
    CHECK_STR(answer_to("kill beta"), answer);
    alpha.state = VM_PAUSED;
    CHECK_STR(answer_to("move alpha beta"), answer);
    CHECK_STR(asked, "");
    CHECK_STR(answer_to("list beta"), "2 beta             stopped   cpus 2        memory 1G     "
                                      "CPU 2 is missing\r\n");

    fake_absent_cpu = 0;
    beta.vcpus[0]->presence = VCPU_OUT;
    CHECK_STR(answer_to("start beta"), answer);
    CHECK_STR(asked, "");

    beta.vcpus[0]->presence = VCPU_HERE;
    fake_absent_cpu = 3; /* its own CPU says so */
    CHECK_STR(answer_to("start beta"), "");
    CHECK_STR(asked, "start beta");
    CHECK(strstr(answer_to("list"), "memory 1G     CPU 3 is missing\r\n") != NULL);
    fake_absent_cpu = 0;
    CHECK(strstr(answer_to("list"), "missing") == NULL);
}

TEST(a_guest_is_moved) {
    start();
    CHECK_STR(answer_to("move alpha beta"), "alpha must be paused, and beta off [BH6108]\r\n");
    alpha.state = VM_PAUSED;
    beta.state = VM_RUNNING;
    CHECK_STR(answer_to("move alpha beta"), "alpha must be paused, and beta off [BH6108]\r\n");
    beta.state = VM_OFF;
    CHECK_STR(answer_to("move gamma beta"), "no guest \"gamma\": see help and list [BH6102]\r\n");
    CHECK_STR(answer_to("move alpha gamma"), "no guest \"gamma\": see help and list [BH6102]\r\n");
    CHECK_STR(asked, "");
    CHECK(alpha.move_to == NULL);
    CHECK_STR(answer_to("move alpha beta"), "");
    CHECK_STR(asked, "move alpha");
    CHECK(alpha.move_to == &beta && beta.move_to == NULL);
}

TEST(mistakes_are_explained) {
    start();
    CHECK_STR(answer_to("lsit"), "no command \"lsit\": did you mean list? [BH6101]\r\n");
    CHECK_STR(answer_to("stopp"), "no command \"stopp\": did you mean stop? [BH6101]\r\n");
    CHECK_STR(answer_to("x"), "no command \"x\": see help and list [BH6102]\r\n");
    CHECK_STR(answer_to("shutdown"), "no command \"shutdown\": see help and list [BH6102]\r\n");
    CHECK_STR(answer_to("start alpa"), "no guest \"alpa\": did you mean alpha? [BH6101]\r\n");
    CHECK_STR(answer_to("log warning"), "no log level \"warning\": see help and list [BH6102]\r\n");
    CHECK_STR(answer_to("log wran"), "no log level \"wran\": did you mean warn? [BH6101]\r\n");
    CHECK_STR(answer_to("start gamma-ray"),
              "no guest \"gamma-ray\": see help and list [BH6102]\r\n");
    CHECK_STR(answer_to("start"), "usage: start NAME [BH6103]\r\n");
    CHECK_STR(answer_to("start alpha beta"), "usage: start NAME [BH6103]\r\n");
    CHECK_STR(answer_to("help me"), "usage: help [BH6103]\r\n");
    CHECK_STR(answer_to("stats alpha beta"), "usage: stats [NAME] [BH6103]\r\n");
    CHECK_STR(answer_to("log loud"), "no log level \"loud\": see help and list [BH6102]\r\n");
    CHECK_STR(answer_to(""), "");
    CHECK_STR(answer_to("   "), "");
    CHECK_STR(asked, "");
}

TEST(log_level) {
    start();
    CHECK_STR(answer_to("log"), "log level is info\r\n");
    CHECK_STR(answer_to("log error"), "log level is error\r\n");
    CHECK_STR(answer_to("log"), "log level is error\r\n");
    log_warn("dropped");
    CHECK_STR(fake_line_take(), "");
    CHECK_STR(answer_to("log warn"), "log level is warn\r\n");
    log_warn("kept");
    CHECK(strstr(fake_line_take(), "kept\r\n") != NULL);
    CHECK_STR(answer_to("log debug"), "log level is debug\r\n");
    CHECK_U64(log_max_level, LOG_DEBUG);
}

/* The prompt with a line, as it is drawn below the log. */
#define DRAWN(line) "\rbulkhead> " line "\x1b[K"

TEST(line_editing) {
    start();
    type("lix");
    CHECK_STR(fake_line_take(), "lix");
    type("\x7f");
    CHECK_STR(fake_line_take(), DRAWN("li"));
    type("\b\b\b\b\b\b");
    CHECK_STR(fake_line_take(), DRAWN("l") DRAWN(""));
    type("stop alpha");
    fake_line_take();
    type("\x15\x01\x07\x80");
    CHECK_STR(fake_line_take(), DRAWN(""));
    type("\r");
    CHECK_STR(asked, "");
    type("start beta\n");
    CHECK_STR(asked, "start beta");
    fake_line_take();
    type("\r\n"); /* one Enter */
    CHECK_STR(fake_line_take(), "\r\x1b[Kbulkhead> \r\n" DRAWN(""));
    for (unsigned i = 0; i < 300; i++) {
        type("x");
    }
    CHECK_U64(strlen(fake_line_take()), 79);
}

/* From a CPU that answers, or not, or just when it is too late. */
static struct vcpu_snapshot shown = {.recorder.now = shown.recorder.exits}, *given;
static bool answers, answers_late;

bool vcpu_snapshot_ask(struct vcpu_public *v, struct vcpu_snapshot *out) {
    CHECK(v == alpha.vcpus[0]);
    *out = shown;
    recorder_copy(&out->recorder, &shown.recorder);
    out->ready = answers;
    given = out;
    return true;
}

bool vcpu_snapshot_is_ready(const struct vcpu_snapshot *s) {
    return s->ready != 0;
}

bool vcpu_snapshot_withdraw(struct vcpu_public *v, UNUSED struct vcpu_snapshot *out) {
    (void)v;
    given->ready = answers_late;
    return !answers_late;
}

/* A tenth of a second, and not a tick less. */
TEST(a_question_has_its_time) {
    start();
    answers = answers_late = false;
    CHECK_U64(ask_vcpu(alpha.vcpus[0]), ASK_WAIT);
    fake_tsc += plat_tsc_hz() / 10;
    CHECK_U64(ask_vcpu(alpha.vcpus[0]), ASK_WAIT);
    CHECK(ask_is_open());
    fake_tsc++;
    CHECK_U64(ask_vcpu(alpha.vcpus[0]), ASK_SILENT);
    CHECK(!ask_is_open());
    answers = true;
    CHECK_U64(ask_vcpu(alpha.vcpus[0]), ASK_READY);
    CHECK(!ask_is_open());
}

/* Of a guest whose CPU answers, from the second look on; what its compartment says may be anything.
 */
TEST(top_counts_interrupts_frames_and_blocks) {
    start();
    shown = (struct vcpu_snapshot){.recorder.now = shown.recorder.exits};
    struct abi_counts *counts = &shown.devices;
    alpha.vcpu_count = alpha.wire_count = alpha.disk_count = 2;
    static struct vcpu_public second;
    alpha.vcpus[1] = &second;
    answers = true;
    counts->nets[0].sent.frames = 1000;
    counts->disks[1].read_bytes = 1000 * 512;
    CHECK_U64(top_show(vms, 2, 0), SHOW_WAIT);
    top_begin();
    second.exits[EXIT_INTERRUPT] += 9;
    counts->nets[0].sent.frames += 3;
    counts->nets[1].received.frames += 4;
    counts->nets[2].received.frames += 100; /* it has two */
    counts->disks[0].written_bytes += 512;
    counts->disks[1].read_bytes += 1024;
    CHECK(strstr(top_row(), "256M        9       9        7        3\r\n") != NULL);
    top_begin();
    counts->nets[0].sent.frames = 5; /* it has started anew */
    counts->nets[1].received.frames = 0;
    counts->disks[0].written_bytes = 0;
    counts->disks[1].read_bytes = 1024;
    CHECK(strstr(top_row(), "256M        0       0        5        2\r\n") != NULL);
    top_begin();
    counts->disks[1].read_bytes = UINT64_MAX; /* as a hostile compartment may say */
    CHECK(strstr(top_row(), "256M        0       0        0  9999999\r\n") != NULL);
}

/* What is asked for is taken before a key ends it, and who does not answer is not waited for. */
TEST(top_asks) {
    start();
    type("top\r"); /* whatever was left of an earlier one */
    fake_pass(30000);
    type("q");
    fake_pass(30000);
    shown = (struct vcpu_snapshot){.recorder.now = shown.recorder.exits};
    alpha.vcpu_count = alpha.wire_count = 1;
    answers = true;
    answers_late = false;
    type("top\r");
    fake_pass(30000);
    answers = false;
    fake_pass(900000);
    for (unsigned i = 0; i < 1000 && !ask_is_open(); i++) {
        fake_pass(100);
    }
    CHECK(ask_is_open());
    fake_line_take();
    hv_console_input('q');
    fake_pass(1000);
    CHECK(ask_is_open());
    CHECK(strstr(fake_line_take(), "bulkhead> ") == NULL);
    fake_pass(130000);
    CHECK(!ask_is_open());
    CHECK(strstr(fake_line_take(), "bulkhead> ") != NULL);
}

TEST(registers_are_shown) {
    start();
    alpha.vcpu_count = 1;
    alpha.vcpus[0]->cpu = 3;
    answers = false;
    CHECK_STR(answer_to("regs alpha"), "vcpu0 on cpu 3: does not answer [BH6111]\r\n");
    answers_late = true;
    CHECK(strstr(answer_to("regs alpha"), "vcpu0 on cpu 3: real mode") != NULL);
    CHECK_STR(answer_to("regs beta"), "beta is off: it has no registers [BH6113]\r\n");
    answers = true;
    shown.waiting = true;
    CHECK_STR(answer_to("regs alpha"), "vcpu0 on cpu 3: waits for a startup message\r\n");
    static const struct {
        uint64_t cr0, cr4, efer, rflags;
        uint32_t cs;
        const char *words;
    } modes[] = {
        {0, 0, 0, 2, 0x9b, "real mode, no paging, CPL 3, interrupts off"},
        {1, 0, 0, 0x202, 0x9b, "16-bit protected mode, no paging, CPL 3, interrupts on"},
        {1, 0, 0, 2, 0xc09b, "32-bit protected mode, no paging, CPL 3, interrupts off"},
        {0x80000001, 0, 0, 2, 0xc09b,
         "32-bit protected mode, 32-bit paging, CPL 3, interrupts off"},
        {0x80000001, 0x20, 0, 2, 0xc09b,
         "32-bit protected mode, PAE paging, CPL 3, interrupts off"},
        {0x80000001, 0, 0, 0x20002, 0xc09b,
         "virtual-8086 mode, 32-bit paging, CPL 3, interrupts off"},
        {0x80000001, 0x20, 0x500, 2, 0xc09b,
         "compatibility mode, 4-level paging, CPL 3, interrupts off"},
        {0x80000001, 0x20, 0x500, 2, 0xa09b, "64-bit mode, 4-level paging, CPL 3, interrupts off"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        shown = (struct vcpu_snapshot){.recorder.now = shown.recorder.exits};
        shown.system[HVM_CR0] = modes[i].cr0;
        shown.system[HVM_CR4] = modes[i].cr4;
        shown.system[HVM_EFER] = modes[i].efer;
        shown.system[HVM_RFLAGS] = modes[i].rflags;
        shown.segments[HVM_CS].attr = modes[i].cs;
        shown.segments[HVM_SS].attr = 0xf3;
        char want[160];
        snprintf(want, sizeof(want), "vcpu0 on cpu 3: %s\r\n", modes[i].words);
        const char *text = answer_to("regs alpha");
        CHECK(strncmp(text, want, strlen(want)) == 0);
    }
    shown.halted = true;
    shown.regs[13] = 0x123456789abcdef0;
    shown.system[HVM_RIP] = 0xffffffff81000000;
    const char *text = answer_to("regs alpha");
    CHECK(strstr(text, ", interrupts off, in HLT\r\n") != NULL);
    CHECK(strstr(text, "r13 123456789abcdef0") != NULL);
    CHECK(strstr(text, "cr2 ") != NULL);
    CHECK(strstr(text, "rip ffffffff81000000") != NULL);
    CHECK(strstr(text, "  idtr 0000  base 0000000000000000") != NULL);
}

/* The oldest first; of one that is off, too, and of one that does not answer nothing. */
TEST(the_last_exits_are_shown) {
    struct recorder *r = &shown.recorder;
    start();
    shown = (struct vcpu_snapshot){.off = true};
    recorder_init(r);
    alpha.vcpu_count = 1;
    alpha.vcpus[0]->cpu = 3;
    alpha.state = VM_CRASHED;
    answers = true;
    CHECK_STR(answer_to("trace alpha"), "vcpu0 on cpu 3: its last exits\r\n");
    for (unsigned i = 0; i < RECORDER_EXITS + 2; i++) {
        struct exit_record *e = recorder_begin(r);
        *e = (struct exit_record){.exit = {.kind = EXIT_CPUID, .number = i},
                                  .tsc_low = 1,
                                  .rip = 0x1000 + i,
                                  .next = e->next};
    }
    log_us = 2000000;
    const char *text = answer_to("trace alpha");
    const char *first = "vcpu0 on cpu 3: its last exits\r\n  exit ";
    CHECK(strncmp(text, first, strlen(first)) == 0);
    CHECK(strstr(text, " rip 0x1002 cpuid leaf 0x2 next\r\n  exit ") != NULL);
    CHECK(strstr(text, " rip 0x1001 ") == NULL);
    CHECK(strstr(text, " rip 0x1081 cpuid leaf 0x81 next\r\n") != NULL);
    answers = answers_late = false;
    CHECK_STR(answer_to("trace alpha"), "vcpu0 on cpu 3: does not answer [BH6112]\r\n");
    CHECK_STR(answer_to("regs alpha"), "alpha is crashed: it has no registers [BH6113]\r\n");
    alpha.state = VM_RUNNING;
    answers = true;
    CHECK_STR(answer_to("regs alpha"), "vcpu0 on cpu 3: does not answer [BH6111]\r\n");
    shown.off = false;
}

/* Every word that is printed is another one. */
TEST(registers_stand_in_their_places) {
    start();
    alpha.vcpu_count = 2;
    alpha.vcpus[1] = alpha.vcpus[0];
    alpha.vcpus[0]->cpu = 3;
    answers = true;
    shown = (struct vcpu_snapshot){.recorder.now = shown.recorder.exits};
    for (unsigned i = 0; i < 16; i++) {
        shown.regs[i] = 0x1000 + i;
    }
    static const enum hvm_reg system[] = {HVM_RIP, HVM_CR2, HVM_CR3, HVM_CR4};
    for (unsigned i = 0; i < ARRAY_SIZE(system); i++) {
        shown.system[system[i]] = 0x2000 + i;
    }
    shown.system[HVM_RFLAGS] = 0x2;
    shown.system[HVM_EFER] = 0x801;
    shown.system[HVM_CR0] = 0x11;
    for (unsigned i = 0; i < HVM_SEG_COUNT; i++) {
        shown.segments[i] =
            (struct hvm_segment){0x3000 + i, 0x4000 + i, 0x93, (uint16_t)(0x50 + i)};
    }
    const char *want =
        "vcpu0 on cpu 3: 16-bit protected mode, no paging, CPL 0, interrupts off\r\n"
        "  rax 0000000000001000  rcx 0000000000001001  rdx 0000000000001002  rbx "
        "0000000000001003\r\n"
        "  rsp 0000000000001004  rbp 0000000000001005  rsi 0000000000001006  rdi "
        "0000000000001007\r\n"
        "  r8  0000000000001008  r9  0000000000001009  r10 000000000000100a  r11 "
        "000000000000100b\r\n"
        "  r12 000000000000100c  r13 000000000000100d  r14 000000000000100e  r15 "
        "000000000000100f\r\n"
        "  rip 0000000000002000  rflags 00000002  efer 801\r\n"
        "  cr0 00000011  cr2 0000000000002001  cr3 0000000000002002  cr4 00002003\r\n"
        "  es   0050  base 0000000000003000  limit 00004000  attr 00093\r\n"
        "  cs   0051  base 0000000000003001  limit 00004001  attr 00093\r\n"
        "  ss   0052  base 0000000000003002  limit 00004002  attr 00093\r\n";
    const char *text = answer_to("regs alpha");
    CHECK(strncmp(text, want, strlen(want)) == 0);
    const char *second = strstr(text, "vcpu1 on cpu 3: 16-bit");
    CHECK(second != NULL && strstr(second, "  idtr 0059  base 0000000000003009") != NULL);
    CHECK(strstr(text, "  idtr 0059  base 0000000000003009  limit 00004009  attr 00093\r\n") <
          second);
    /* Of one that waits there is nothing more, and the next one follows. */
    shown.waiting = true;
    CHECK_STR(answer_to("regs alpha"), "vcpu0 on cpu 3: waits for a startup message\r\n"
                                       "vcpu1 on cpu 3: waits for a startup message\r\n");
    /* A guest that is about to stop still has some. */
    alpha.state = VM_STOPPING;
    alpha.vcpu_count = 1;
    CHECK_STR(answer_to("regs alpha"), "vcpu0 on cpu 3: waits for a startup message\r\n");
    alpha.state = VM_CRASHED;
    CHECK_STR(answer_to("regs alpha"), "alpha is crashed: it has no registers [BH6113]\r\n");
    shown.waiting = false;
}

static void give_devices(struct vm_public *vm) {
    vm->wire_count = 2;
    vm->disk_count = 1;
    vm->has_vsock = true;
    vm->links = 2;
    strcpy(vm->wires[0], "lan");
    strcpy(vm->wires[1], "dmz");
}

/* What the operator is told of frames and requests: each counter in its own place. */
TEST(devices_are_counted) {
    static const char ends[] = "  vcpu0 msr-denied 0\r\n  vcpu0 port-denied 0\r\n"
                               "  vcpu0 memory-denied 0\r\n  vcpu0 instruction-denied 0\r\n";
    start();
    alpha.vcpu_count = 1;
    give_devices(&alpha);
    give_devices(&beta);
    answers = true;
    shown = (struct vcpu_snapshot){.recorder.now = shown.recorder.exits};
    char want[4096];
    int n = snprintf(want, sizeof(want), "alpha: running\r\n%s", ends);
    n += snprintf(want + n, sizeof(want) - (size_t)n,
                  "  net lan link down\r\n"
                  "  net lan sent-frames 0\r\n  net lan sent-bytes 0\r\n"
                  "  net lan received-frames 0\r\n  net lan received-bytes 0\r\n"
                  "  net dmz link up\r\n"
                  "  net dmz sent-frames 0\r\n  net dmz sent-bytes 0\r\n"
                  "  net dmz received-frames 0\r\n  net dmz received-bytes 0\r\n"
                  "  disk 0 reads 0\r\n  disk 0 read-bytes 0\r\n"
                  "  disk 0 writes 0\r\n  disk 0 written-bytes 0\r\n"
                  "  vsock sent-packets 0\r\n  vsock sent-bytes 0\r\n"
                  "  vsock received-packets 0\r\n  vsock received-bytes 0\r\n");
    CHECK_STR(answer_to("stats alpha"), want);
    alpha.has_vsock = false; /* adapters alone have their lines, too */
    alpha.disk_count = 0;
    CHECK(strstr(answer_to("stats alpha"), "  net dmz link up\r\n") != NULL);
    give_devices(&alpha);
    CHECK_STR(answer_to("stats beta"), "beta: off\r\n"); /* it has none now */

    struct abi_net_counts *dmz = &shown.devices.nets[1];
    struct abi_disk_counts *disk = &shown.devices.disks[0];
    dmz->sent = (struct abi_net_count){.frames = 1, .bytes = 2};
    dmz->received = (struct abi_net_count){.frames = 3, .bytes = 4};
    for (unsigned i = 0; i < NET_DROPS; i++) {
        dmz->sent.drops[i] = 10 + i;
        dmz->received.drops[i] = 20 + i;
    }
    *disk = (struct abi_disk_counts){31, 32, 33, 34, 35, 36, 37, 38, 39, 40};
    struct abi_vsock_counts *vsock = &shown.devices.vsock;
    vsock->sent = (struct abi_vsock_count){.packets = 41, .bytes = 42};
    vsock->received = (struct abi_vsock_count){.packets = 43, .bytes = 44};
    for (unsigned i = 0; i < VSOCK_DROPS; i++) {
        vsock->sent.drops[i] = 50 + i;
        vsock->received.drops[i] = 60 + i;
    }
    const char *text = answer_to("stats alpha");
    const char *seen = strstr(text, "  net dmz link up");
    CHECK(seen != NULL);
    CHECK_STR(seen == NULL ? text : seen,
              "  net dmz link up\r\n"
              "  net dmz sent-frames 1\r\n  net dmz sent-bytes 2\r\n"
              "  net dmz sent-no-link 10\r\n  net dmz sent-wrong-source 11\r\n"
              "  net dmz sent-malformed 12\r\n  net dmz sent-too-long 13\r\n"
              "  net dmz sent-nobody-there 14\r\n  net dmz sent-peer-full 15\r\n"
              "  net dmz received-frames 3\r\n  net dmz received-bytes 4\r\n"
              "  net dmz received-wrong-source 21\r\n  net dmz received-malformed 22\r\n"
              "  net dmz received-too-long 23\r\n  net dmz received-not-wanted 26\r\n"
              "  net dmz received-no-room 27\r\n"
              "  disk 0 reads 31\r\n  disk 0 read-bytes 35\r\n"
              "  disk 0 writes 32\r\n  disk 0 written-bytes 36\r\n"
              "  disk 0 others 33\r\n  disk 0 failures 34\r\n  disk 0 pages-used 37\r\n"
              "  disk 0 connections 38\r\n  disk 0 connections-broken 39\r\n"
              "  disk 0 sent-again 40\r\n"
              "  vsock sent-packets 41\r\n  vsock sent-bytes 42\r\n"
              "  vsock sent-malformed 50\r\n  vsock sent-wrong-source 51\r\n"
              "  vsock sent-refused 52\r\n  vsock sent-too-late 53\r\n"
              "  vsock received-packets 43\r\n  vsock received-bytes 44\r\n"
              "  vsock received-malformed 60\r\n  vsock received-wrong-source 61\r\n"
              "  vsock received-refused 62\r\n  vsock received-no-room 64\r\n");

    /* Sockets alone are a device, too. */
    alpha.wire_count = alpha.disk_count = 0;
    text = answer_to("stats alpha");
    CHECK(strstr(text, "  vsock sent-packets 41\r\n") != NULL);
    alpha.has_vsock = false;
    CHECK(strstr(answer_to("stats alpha"), "vsock") == NULL);
    give_devices(&alpha);

    answers = answers_late = false;
    alpha.vcpus[0]->cpu = 3;
    text = answer_to("stats alpha");
    CHECK(strstr(text, "  devices: cpu 3 does not answer [BH6114]\r\n") != NULL);
    CHECK(strstr(text, "net") == NULL);
}

TEST(cables_are_pulled_and_plugged) {
    start();
    give_devices(&alpha);
    beta.wire_count = 0;
    (void)answer_to("link alpha lan up");
    CHECK_STR(asked, "link alpha 0 1");
    const char *text = answer_to("link alpha dmz down");
    CHECK_STR(asked, "link alpha 1 0");
    CHECK(strstr(text, "alpha: its link to dmz is down, by the operator\r\n") != NULL);
    asked[0] = '\0';
    CHECK_STR(answer_to("link alpha"), "usage: link NAME WIRE up|down [BH6103]\r\n");
    CHECK_STR(answer_to("link alpha lan"), "usage: link NAME WIRE up|down [BH6103]\r\n");
    CHECK_STR(answer_to("link alpha lan up now"), "usage: link NAME WIRE up|down [BH6103]\r\n");
    CHECK(strstr(answer_to("link gamma lan up"), "no guest \"gamma\"") != NULL);
    CHECK_STR(answer_to("link alpha lam up"),
              "no wire of this guest \"lam\": did you mean lan? [BH6101]\r\n");
    CHECK(strstr(answer_to("link beta lan up"), "no wire of this guest") != NULL);
    CHECK_STR(answer_to("link alpha lan donw"),
              "no link \"donw\": did you mean down? [BH6101]\r\n");
    CHECK_STR(asked, "");
    give_devices(&beta);
    CHECK(strstr(answer_to("link beta lan up"), "seen at its next start") != NULL);
}

/* The cursor keys, as a terminal sends them. */
TEST(cursor_and_history) {
    start();
    type("stop alha\x1b[D\x1b[D");
    const char *seen = fake_line_take();
    CHECK_STR(strrchr(seen, '\r'), "\rbulkhead> stop alha\x1b[K\x1b[2D");
    type("p\r");
    CHECK_STR(asked, "stop alpha");
    asked[0] = '\0';
    type("\x1b[A\r");
    CHECK_STR(asked, "stop alpha");
    CHECK_STR(answer_to("?") + 0, answer_to("help"));
}

/* The second request is done once the first one is. */
TEST(a_guest_is_restarted) {
    start();
    CHECK_STR(answer_to("restart alpha"), "");
    CHECK_STR(asked_before, "stop alpha");
    CHECK_STR(asked, "start alpha");
    asked[0] = '\0';
    CHECK_STR(answer_to("restart beta"), "beta does not run: start it [BH6106]\r\n");
    CHECK_STR(answer_to("restart gamma"), "no guest \"gamma\": see help and list [BH6102]\r\n");
    CHECK_STR(asked, "");
}

TEST(a_guests_console_is_attached) {
    start();
    console_add_vm(&alpha);
    console_add_vm(&beta);
    fake_line_take();
    type("attach beta\r");
    fake_pass(30000);
    CHECK(strstr(fake_line_take(), "console 2/2: beta") != NULL);
    type("\x1d"
         "0");
    fake_pass(30000);
    fake_line_take();
    CHECK_STR(answer_to("attach nobody"), "no guest \"nobody\": see help and list [BH6102]\r\n");
    command_init(vms, 1); /* not to who lies behind the last guest either */
    CHECK_STR(answer_to("attach nobody"), "no guest \"nobody\": see help and list [BH6102]\r\n");
}

/* What a line has become after these keys. */
static const char *completed(const char *keys) {
    static char line[128];
    type("x\x15"); /* an empty one, drawn anew */
    type(keys);
    fake_pass(30000);
    const char *prompt = strrchr(fake_line_take(), '\r') + 1;
    size_t n = strcspn(prompt, "\x1b");
    snprintf(line, sizeof(line), "%.*s%s", (int)n, prompt, prompt + n + strlen("\x1b[K"));
    return line;
}

TEST(words_are_completed) {
    static const struct {
        const char *keys, *line;
    } cases[] = {
        {"sta\t", "bulkhead> sta"}, /* start or stats */
        {"star\t", "bulkhead> start "},
        {"start\t", "bulkhead> start "}, /* the whole word */
        {"rest\tal\t", "bulkhead> restart alpha "},
        {"rese\t", "bulkhead> reset "},
        {"list be\t", "bulkhead> list beta "}, /* an argument that may be left out */
        {"start x\t", "bulkhead> start x"},    /* nobody's name */
        {"nothing a\t", "bulkhead> nothing a"},
        {"help a\t", "bulkhead> help a"}, /* it takes no argument */
        {"kill alpha b\t", "bulkhead> kill alpha b"},
        {"log d\t", "bulkhead> log debug "},
        {"log \t", "bulkhead> log "},
        {"move alpha b\t", "bulkhead> move alpha beta "},
        {"link alpha l\t", "bulkhead> link alpha lan "},
        {"link alpha lan d\t", "bulkhead> link alpha lan down "},
        {"link alpha lan down d\t", "bulkhead> link alpha lan down d"},
        {"link beta l\t", "bulkhead> link beta l"},   /* it has none */
        {"host-reset y\t", "bulkhead> host-reset y"}, /* that is to be typed */
        {"  re\t", "bulkhead>   re"},
    };
    start();
    alpha.wire_count = 1;
    snprintf(alpha.wires[0], sizeof(alpha.wires[0]), "lan");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_STR(completed(cases[i].keys), cases[i].line);
    }

    /* As far as all of them agree, in whatever order they come. */
    alpha.wire_count = 3;
    snprintf(alpha.wires[0], sizeof(alpha.wires[0]), "land");
    snprintf(alpha.wires[1], sizeof(alpha.wires[1]), "lab");
    snprintf(alpha.wires[2], sizeof(alpha.wires[2]), "lane");
    CHECK_STR(completed("link alpha l\t"), "bulkhead> link alpha la");
    alpha.wire_count = 1;
    snprintf(alpha.wires[0], sizeof(alpha.wires[0]), "lan");

    /* Who is beyond the last guest is none, whatever lies there. */
    memcpy(beta.wires, alpha.wires, sizeof(beta.wires));
    beta.wire_count = 1;
    command_init(vms, 1);
    CHECK_STR(completed("start be\t"), "bulkhead> start be");
    CHECK_STR(completed("link beta l\t"), "bulkhead> link beta l");
    CHECK_STR(completed("link alpha l\t"), "bulkhead> link alpha lan ");
    command_init(vms, 2);

    /* In the middle of a line Tab does nothing. */
    type("\x15start alp\x1b[D\t");
    fake_line_take();
    type("\r");
    CHECK_STR(asked, "");
}

/* What it may be is shown, and the line again below. */
TEST(words_to_choose_from_are_shown) {
    start();
    type("re");
    fake_line_take();
    type("\t");
    fake_pass(30000);
    CHECK_STR(fake_line_take(), "\r\x1b[Kbulkhead> re\r\nreboot regs reset restart resume \r\n"
                                "\rbulkhead> re\x1b[K");
    type("\x15start \t");
    fake_pass(30000);
    CHECK(strstr(fake_line_take(), "\r\nalpha beta \r\n") != NULL);
}

TEST(version_is_told) {
    start();
    CHECK_STR(answer_to("version"), "Bulkhead 1.2.3\r\n");
    CHECK_STR(answer_to("version 2"), "usage: version [BH6103]\r\n");
}

TEST(host_reset_wants_a_yes) {
    start();
    CHECK_STR(answer_to("host-reset"), "usage: host-reset yes [BH6103]\r\n");
    CHECK(strstr(answer_to("host-reset y"), "not restarted") != NULL);
    CHECK_STR(answer_to("host-reset yes please"), "usage: host-reset yes [BH6103]\r\n");
    CHECK_U64(fake_machine_resets, 0);
    type("host-reset yes\r");
    CHECK_U64(fake_machine_resets, 1);
}

TEST_MAIN(T(help_names_every_command), T(list_tells_the_last_crash),
          T(stats_of_a_vcpu_are_of_one_moment), T(list_and_stats),
          T(guests_are_started_and_stopped), T(what_hurts_is_asked_for_twice),
          T(a_reboot_is_asked_for_twice_while_a_guest_runs), T(audits_are_asked_for),
          T(top_draws_until_a_key_is_typed), T(top_names_the_busiest_kinds),
          T(top_counts_interrupts_frames_and_blocks), T(top_asks), T(a_guests_last_lines_are_shown),
          T(the_logs_last_lines_are_shown), T(a_guest_whose_cpu_is_missing), T(a_guest_is_moved),
          T(mistakes_are_explained), T(log_level), T(line_editing), T(a_question_has_its_time),
          T(registers_are_shown), T(the_last_exits_are_shown), T(registers_stand_in_their_places),
          T(devices_are_counted), T(cables_are_pulled_and_plugged), T(cursor_and_history),
          T(a_guest_is_restarted), T(a_guests_console_is_attached), T(words_are_completed),
          T(words_to_choose_from_are_shown), T(version_is_told), T(host_reset_wants_a_yes))
