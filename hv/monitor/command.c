/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the table of commands, which is also the help text, and the operator's line. Reads a VM's
 * state and counters from another CPU: they may be a moment old, never wrong in kind. Called by
 * console.c for each key typed in the log view.
 */
#include "hv/monitor/command.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/complete.h"
#include "hv/monitor/console.h"
#include "hv/monitor/line.h"
#include "hv/monitor/regs.h"
#include "hv/monitor/show.h"
#include "hv/monitor/stats.h"
#include "hv/monitor/trace.h"
#include "hv/vm/plat.h"

#define PROMPT "bulkhead> "

#define SECOND_US 1000000u

#define MINUTE 60u
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* One operator, one line: the console hands over one key at a time. */
static struct command_state {
    struct vm_public *vms;
    unsigned vm_count;
    struct line line;
    const char *more[2];           /* words after the first argument, or NULL */
    const struct vm_public *named; /* whose wires wire_name() tells */
    /* What is being shown, and how far it is: line shown_line of VM shown_vm comes next. */
    enum show (*show)(unsigned vm, unsigned line); /* NULL = nothing */
    unsigned shown_vm, shown_end, shown_line;
} command;

/* The one name that word is near to, or NULL. */
static const char *find_near(const char *word, const char *(*name)(unsigned), unsigned count) {
    const char *near = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (str_is_near(word, name(i))) {
            if (near != NULL) {
                return NULL; /* which is meant cannot be known */
            }
            near = name(i);
        }
    }
    return near;
}

/* The index of word among the names; if it is none of them, says so and gives count. */
static unsigned find_name(const char *what, const char *word, const char *(*name)(unsigned),
                          unsigned count) {
    unsigned i = 0;
    while (i < count && !str_equal(word, name(i))) {
        i++;
    }
    if (i == count) {
        const char *near = find_near(word, name, count);
        console_print("no %s \"%s\": ", what, word);
        if (near != NULL) {
            console_print("did you mean %s?\n", near);
        } else {
            console_print("see help and list\n");
        }
    }
    return i;
}

/* ---- commands on one VM ---- */

static const char *vm_name(unsigned n) {
    return command.vms[n].name;
}

#define DURATION_SIZE 32

/* "3 d 04:05:06". */
static const char *format_duration(char *out, uint64_t seconds) {
    uint64_t days = seconds / DAY;
    size_t n = 0;

    if (days != 0) {
        n = fmt_print(out, DURATION_SIZE, "%llu d ", (ull)days);
    }
    (void)fmt_print(out + n, DURATION_SIZE - n, "%02llu:%02llu:%02llu", (ull)(seconds % DAY / HOUR),
                    (ull)(seconds % HOUR / MINUTE), (ull)(seconds % MINUTE));
    return out;
}

/* Of its vCPUs, the first whose CPU is missing, or NULL. */
static const struct vcpu_public *find_missing(const struct vm_public *vm) {
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        if (vcpu_is_missing(vm->vcpus[i])) {
            return vm->vcpus[i];
        }
    }
    return NULL;
}

static void list_vm(unsigned n) {
    const struct vm_public *vm = &command.vms[n];
    const struct vcpu_public *missing = find_missing(vm);
    char cpus[64], memory[24], duration[DURATION_SIZE], up[DURATION_SIZE + 8] = "";

    if (vm_state_has_vcpus(vm->state)) {
        uint64_t seconds = (plat_tsc() - vm->started_tsc) / plat_tsc_hz();
        (void)fmt_print(up, sizeof(up), " up %s", format_duration(duration, seconds));
    } else if (missing != NULL) {
        (void)fmt_print(up, sizeof(up), " CPU %u is missing", missing->cpu);
    }
    console_print("%u %-16s %-9s cpus %-8s memory %-6s%s\n", n + 1, vm->name,
                  vm_state_name(vm->state), cpu_set_format(&vm->cpus, cpus, sizeof(cpus)),
                  fmt_size(memory, vm->memory), up);
}

/* The last crash of a guest that had one, whatever it does now: when and why, then where. */
static enum show list_crash(const struct vm_public *vm, unsigned line) {
    static const struct {
        const char *rip, *work;
    } whose[] = {
        {.rip = "guest's rip", .work = "exit"},
        {.rip = "compartment's rip", .work = "at work on"},
    };
    struct vm_crash crash;
    uint32_t count = vm_last_crash(vm, &crash);
    char ago[DURATION_SIZE];

    if (count == 0) {
        return SHOW_END;
    }
    if (line == 1) {
        format_duration(ago, (log_now_us() - crash.us) / SECOND_US);
        console_print("  crashed %u time%s, last %s ago: %s\n", count, count == 1 ? "" : "s", ago,
                      crash.reason);
    } else {
        console_print("  [%5llu.%06llu] vcpu %u, %s %#llx, %s %s\n", (ull)(crash.us / SECOND_US),
                      (ull)(crash.us % SECOND_US), crash.vcpu, whose[crash.compartment].rip,
                      (ull)crash.rip, whose[crash.compartment].work, crash.work);
    }
    return SHOW_PRINTED;
}

static enum show show_list(unsigned n, unsigned line) {
    if (line > 2) {
        return SHOW_END;
    }
    if (line > 0) {
        return list_crash(&command.vms[n], line);
    }
    list_vm(n);
    return SHOW_PRINTED;
}

static enum show show_stats(unsigned n, unsigned line) {
    return stats_show(&command.vms[n], line);
}

/* Without its first CPU nobody hears what a VM is asked for. */
static bool can_hear(unsigned n) {
    const struct vcpu_public *first = command.vms[n].vcpus[0];

    if (vcpu_is_missing(first)) {
        console_print("%s cannot run: CPU %u did not come, or cannot run guests; give it another "
                      "one\n",
                      vm_name(n), first->cpu);
        return false;
    }
    return true;
}

/* Asks for it; the log tells when it is done, or that there is nothing to do. */
static void ask_vm(unsigned n, enum vm_command ask) {
    struct vm_public *vm = &command.vms[n];
    if (can_hear(n) && !vm_command(vm, ask)) {
        console_print("%s has too much to do already: try again, or kill it\n", vm->name);
    }
}

/* Both in one breath: the second waits until the first is done. */
static void run_restart(const char *arg) {
    unsigned n = find_name("guest", arg, vm_name, command.vm_count);
    if (n == command.vm_count) {
        return;
    }
    if (vm_state_is_off(command.vms[n].state)) {
        console_print("%s does not run: start it\n", vm_name(n));
        return;
    }
    ask_vm(n, VM_COMMAND_STOP);
    ask_vm(n, VM_COMMAND_START);
}

static void run_attach(const char *arg) {
    unsigned n = find_name("guest", arg, vm_name, command.vm_count);
    if (n < command.vm_count) {
        console_attach(&command.vms[n]);
    }
}

/* For tests: nothing of a guest is anywhere but in its three parts. */
static void run_move(const char *arg) {
    unsigned from = find_name("guest", arg, vm_name, command.vm_count);
    if (from == command.vm_count) {
        return;
    }
    unsigned to = find_name("guest", command.more[0], vm_name, command.vm_count);
    if (to == command.vm_count) {
        return;
    }
    if (command.vms[from].state != VM_PAUSED || !vm_state_is_off(command.vms[to].state)) {
        console_print("%s must be paused, and %s off\n", vm_name(from), vm_name(to));
        return;
    }
    if (!can_hear(to)) {
        return;
    }
    command.vms[from].move_to = &command.vms[to];
    ask_vm(from, VM_COMMAND_MOVE);
}

static const char *wire_name(unsigned n) {
    return command.named->wires[n];
}

static const char *link_name(unsigned n) {
    return n != 0 ? "up" : "down";
}

static void run_link(const char *arg) {
    unsigned n = find_name("guest", arg, vm_name, command.vm_count);
    if (n == command.vm_count) {
        return;
    }
    struct vm_public *vm = &command.vms[n];
    command.named = vm;
    unsigned net = find_name("wire of this guest", command.more[0], wire_name, vm->wire_count);
    unsigned up = net == vm->wire_count ? 2 : find_name("link", command.more[1], link_name, 2);
    if (up == 2) {
        return;
    }
    vm_set_link(vm, net, up != 0);
    log_info("%s: its link to %s is %s, by the operator%s", vm->name, vm->wires[net], link_name(up),
             vm_state_has_vcpus(vm->state) ? "" : "; seen at its next start");
}

/* ---- other commands ---- */

static const char *level_name(unsigned i) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[i];
}

static enum show show_regs(unsigned n, unsigned line) {
    return regs_show(&command.vms[n], line);
}

static enum show show_trace(unsigned n, unsigned line) {
    return trace_show(&command.vms[n], line);
}

/* Without a level: what it is. */
static void run_log(const char *arg) {
    if (arg == NULL) {
        console_print("log level is %s\n", level_name(log_max_level));
        return;
    }
    unsigned level = find_name("log level", arg, level_name, LOG_DEBUG + 1);
    if (level <= LOG_DEBUG) {
        log_max_level = (enum log_level)level;
        console_print("log level is %s\n", arg);
    }
}

static void run_host_reset(const char *arg) {
    if (!str_equal(arg, "yes")) {
        console_print("not restarted: the word after host-reset must be \"yes\"\n");
        return;
    }
    log_warn("restarting the machine at the operator's request");
    plat_machine_reset();
    log_error("the machine could not be restarted");
}

static void run_version(UNUSED const char *arg) {
    char build[PLAT_BUILD_SIZE];
    console_print("%s\n", plat_build_text(build));
}

static enum show show_help(unsigned n, unsigned line);

/* args: "" = none, "[X]" = may be left out, else needed. */
static const struct command_entry {
    const char *name, *args, *help;
    void (*run)(const char *arg);
    /* Or else for the VM that is named, or for each; without args for none, and once. */
    enum show (*show)(unsigned n, unsigned line);
    enum vm_command ask; /* or else of the VM that is named */
} commands[] = {
    {"?", "", "this list", NULL, show_help, 0},
    {"attach", "NAME", "show a guest's console; the escape key and 0 lead back", run_attach, NULL,
     0},
    {"help", "", "this list", NULL, show_help, 0},
    {"host-reset", "yes", "restart this machine and every guest", run_host_reset, NULL, 0},
    {"kill", "NAME", "end a guest at once, as if its power failed", NULL, NULL, VM_COMMAND_KILL},
    {"link", "NAME WIRE up|down", "plug a guest's network cable in, or pull it out", run_link, NULL,
     0},
    {"list", "[NAME]", "all guests, with state, CPUs, memory, last crash", NULL, show_list, 0},
    {"log", "[LEVEL]", "how much is logged: error, warn, info or debug", run_log, NULL, 0},
    {"move", "FROM TO",
     "debug: a paused guest goes on in the place of one that is off, of its size", run_move, NULL,
     0},
    {"pause", "NAME", "hold a guest between two instructions; its clocks stand still", NULL, NULL,
     VM_COMMAND_PAUSE},
    {"ps", "[NAME]", "the same as list", NULL, show_list, 0},
    {"regs", "NAME", "mode and registers of each virtual CPU of a guest", NULL, show_regs, 0},
    {"reset", "NAME", "reset a guest, as its reset button would", NULL, NULL, VM_COMMAND_RESET},
    {"restart", "NAME", "stop a guest, as stop does, and start it again", run_restart, NULL, 0},
    {"resume", "NAME", "let a paused guest go on", NULL, NULL, VM_COMMAND_RESUME},
    {"start", "NAME", "start a guest that is stopped or has crashed", NULL, NULL, VM_COMMAND_START},
    {"stats", "[NAME]", "exits, refusals, frames, disk requests, of one guest or of all", NULL,
     show_stats, 0},
    {"stop", "NAME", "press a guest's power button; kill it after its stop_timeout", NULL, NULL,
     VM_COMMAND_STOP},
    {"trace", "NAME", "the last exits of each virtual CPU of a guest, also of one that is off",
     NULL, show_trace, 0},
    {"version", "", "version and build of Bulkhead, and where its text lies", run_version, NULL, 0},
};

static const char *command_name(unsigned i) {
    return commands[i].name;
}

static enum show show_help(UNUSED unsigned n, unsigned line) {
    if (line >= ARRAY_SIZE(commands)) {
        return SHOW_END;
    }
    const struct command_entry *c = &commands[line];
    console_print("%-10s %-7s  %s\n", c->name, c->args, c->help);
    return SHOW_PRINTED;
}

static void run_command(const struct command_entry *c, const char *arg) {
    unsigned vm = 0;
    unsigned end = c->args[0] == '\0' ? 1 : command.vm_count;

    if (c->run != NULL) {
        c->run(arg);
        return;
    }
    if (arg != NULL) {
        vm = find_name("guest", arg, vm_name, end);
        end = vm < end ? vm + 1 : end;
    }
    if (vm == end) {
        return;
    }
    if (c->show == NULL) {
        ask_vm(vm, c->ask);
        return;
    }
    command.show = c->show;
    command.shown_vm = vm;
    command.shown_end = end;
    command.shown_line = 0;
}

/* Cuts the line into words in place and gives their number, counting to max. */
static unsigned split_words(char *at, const char **words, unsigned max) {
    unsigned count = 0;
    for (bool inside = false; *at != '\0' && count < max; at++) {
        if (*at == ' ') {
            *at = '\0';
        } else if (!inside) {
            words[count++] = at;
        }
        inside = *at != '\0';
    }
    return count;
}

/* In the words of a usage. */
static unsigned args_count(const char *args) {
    unsigned count = args[0] != '\0';
    for (; *args != '\0'; args++) {
        count += *args == ' ';
    }
    return count;
}

static void run_line(void) {
    const char *words[5];
    char text[LINE_SIZE];
    (void)str_copy_n(text, sizeof(text), command.line.text, command.line.length);
    unsigned count = split_words(text, words, ARRAY_SIZE(words));
    unsigned i = count == 0 ? ARRAY_SIZE(commands)
                            : find_name("command", words[0], command_name, ARRAY_SIZE(commands));
    if (i == ARRAY_SIZE(commands)) {
        return;
    }
    const struct command_entry *c = &commands[i];
    unsigned most = 1 + args_count(c->args);
    unsigned least = c->args[0] == '[' ? 1 : most;
    if (count < least || count > most) {
        console_print("usage: %s%s%s\n", c->name, most == 1 ? "" : " ", c->args);
    } else {
        command.more[0] = count > 2 ? words[2] : NULL;
        command.more[1] = count > 3 ? words[3] : NULL;
        run_command(c, count > 1 ? words[1] : NULL);
    }
}

/* ---- completion ---- */

/* What an argument may be, by its word in a usage. */
struct words {
    const char *usage;
    const char *(*name)(unsigned);
    unsigned count;
};

/* Of the guest that stands before them, for its wires. */
static unsigned name_guest(const char *word) {
    for (unsigned i = 0; i < command.vm_count; i++) {
        if (str_equal(word, vm_name(i))) {
            command.named = &command.vms[i];
            return command.vms[i].wire_count;
        }
    }
    return 0;
}

/* The word of a usage with that number, from 1; "" = there is none. */
static void usage_word(const char *args, unsigned number, char *out, size_t size) {
    size_t n = 0;

    for (; number > 1 && *args != '\0'; args++) {
        number -= *args == ' ' ? 1 : 0;
    }
    args += *args == '[' ? 1 : 0;
    while (args[n] != '\0' && args[n] != ' ' && args[n] != ']') {
        n++;
    }
    (void)str_copy_n(out, size, args, n);
}

/* What could stand as word number `at` of the line, whose first words they are. */
static struct words words_at(const char *const *typed, unsigned at) {
    const struct words kinds[] = {
        {"NAME", vm_name, command.vm_count}, {"FROM", vm_name, command.vm_count},
        {"TO", vm_name, command.vm_count},   {"WIRE", wire_name, at > 1 ? name_guest(typed[1]) : 0},
        {"up|down", link_name, 2},           {"LEVEL", level_name, LOG_DEBUG + 1},
    };
    char usage[LINE_SIZE] = "";

    if (at == 0) {
        return (struct words){"", command_name, ARRAY_SIZE(commands)};
    }
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (str_equal(typed[0], command_name(i))) {
            usage_word(commands[i].args, at, usage, sizeof(usage));
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (str_equal(usage, kinds[i].usage)) {
            return kinds[i];
        }
    }
    return (struct words){"", NULL, 0};
}

/* All that the word could become, below the line. */
static void print_words(const struct words *words, const char *word, size_t n) {
    console_set_prompt("", "", 0);
    console_print(PROMPT "%s\n", command.line.text);
    for (unsigned i = 0; i < words->count; i++) {
        if (complete_fits(words->name(i), word, n)) {
            console_print("%s ", words->name(i));
        }
    }
    console_print("\n");
}

/* Tab: the word before the cursor goes on as far as it is clear, or all that it may be is shown. */
static void complete_line(void) {
    struct line *line = &command.line;
    const char *typed[5];
    char text[LINE_SIZE], more[LINE_SIZE];
    unsigned first;
    size_t common;

    if (line->cursor != line->length) {
        return;
    }
    (void)str_copy_n(text, sizeof(text), line->text, line->length);
    bool begun = line->length != 0 && line->text[line->length - 1] != ' ';
    unsigned count = split_words(text, typed, ARRAY_SIZE(typed));
    if (count == ARRAY_SIZE(typed)) {
        return;
    }
    const char *word = begun ? typed[count - 1] : "";
    size_t n = strlen(word);
    struct words words = words_at(typed, begun ? count - 1 : count);
    unsigned found = complete_word(word, n, words.name, words.count, &first, &common);

    if (found > 1 && common == n) {
        print_words(&words, word, n);
    } else if (found != 0) {
        (void)str_copy_n(more, sizeof(more), words.name(first) + n, common - n);
        line_insert(line, more);
        line_insert(line, found == 1 ? " " : "");
    }
}

/* ---- keys ---- */

static void show_prompt(void) {
    const struct line *line = &command.line;
    console_set_prompt(PROMPT, line->text, line->length - line->cursor);
}

static void command_key(uint8_t key) {
    struct line *line = &command.line;

    if (key == '\t') {
        complete_line();
    } else if (line_key(line, key)) {
        console_set_prompt("", "", 0);
        console_print(PROMPT "%s\n", line->text);
        run_line();
        line_next(line);
    }
    if (command.show == NULL) {
        show_prompt();
    }
}

static bool command_is_busy(void) {
    return command.show != NULL;
}

static void command_work(void) {
    enum show done = SHOW_EMPTY;

    while (done == SHOW_EMPTY && command.shown_vm != command.shown_end) {
        done = command.show(command.shown_vm, command.shown_line);
        if (done == SHOW_END) {
            command.shown_vm++;
            command.shown_line = 0;
            done = SHOW_EMPTY;
        } else if (done != SHOW_WAIT) {
            command.shown_line++;
        }
    }
    if (command.shown_vm == command.shown_end) {
        command.show = NULL;
        show_prompt();
    }
}

void command_init(struct vm_public *vms, uint32_t count) {
    static const struct console_operator operator= {
        .key = command_key, .is_busy = command_is_busy, .work = command_work};
    command = (struct command_state){.vms = vms, .vm_count = count};
    console_set_operator(&operator);
    console_set_prompt(PROMPT, "", 0);
}
