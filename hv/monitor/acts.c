/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the table of the operator's commands, which is also the help text, and what each of them
 * does. Reads a VM's state and counters from another CPU: they may be a moment old, never wrong in
 * kind. Knows nothing of keys and lines, which are command.c's.
 */
#include "hv/monitor/acts.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"
#include "hv/monitor/console.h"
#include "hv/monitor/lines.h"
#include "hv/monitor/map.h"
#include "hv/monitor/papers.h"
#include "hv/monitor/poweroff.h"
#include "hv/monitor/regs.h"
#include "hv/monitor/stats.h"
#include "hv/monitor/top.h"
#include "hv/monitor/trace.h"
#include "hv/vm/plat.h"

#define SECOND_US 1000000u

#define MINUTE 60u
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct acts acts;

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

unsigned acts_find(const char *what, const char *word, const char *(*name)(unsigned),
                   unsigned count) {
    unsigned i = 0;
    while (i < count && !str_equal(word, name(i))) {
        i++;
    }
    if (i == count) {
        const char *near = find_near(word, name, count);
        if (near != NULL) {
            console_print("no %s \"%s\": did you mean %s?" MSG(6101) "\n", what, word, near);
        } else {
            console_print("no %s \"%s\": see help and list" MSG(6102) "\n", what, word);
        }
    }
    return i;
}

void acts_usage(const char *name, const char *args) {
    const char *blank = args[0] == '\0' ? "" : " ";
    console_print("usage: %s%s%s" MSG(6103) "\n", name, blank, args);
}

/* ---- one VM ---- */

const char *acts_vm(unsigned n) {
    return acts.vms[n].name;
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
    const struct vm_public *vm = &acts.vms[n];
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
        return list_crash(&acts.vms[n], line);
    }
    list_vm(n);
    return SHOW_PRINTED;
}

static enum show show_stats(unsigned n, unsigned line) {
    return stats_show(&acts.vms[n], line);
}

/* What came of an order, where that is not told by the log. */
static void tell_asked(const struct vm_public *vm, enum vm_asked asked) {
    switch (asked) {
    case VM_ASKED_NO_CPU:
        console_print("%s cannot run: CPU %u did not come, or runs no guests" MSG(6105) "\n",
                      vm->name, vm->vcpus[0]->cpu);
        break;
    case VM_ASKED_OFF:
        console_print("%s does not run: start it" MSG(6106) "\n", vm->name);
        break;
    case VM_ASKED_TOO_MUCH:
        console_print("%s has too much to do already: try again, or kill it" MSG(6107) "\n",
                      vm->name);
        break;
    case VM_ASKED:
    case VM_ASKED_KINDS:
        break;
    }
}

void acts_ask(unsigned n, enum vm_command ask) {
    tell_asked(&acts.vms[n], vm_ask(&acts.vms[n], ask, VM_COMMAND_NONE));
}

/* Both in one breath: the second waits until the first is done. */
static void run_restart(const char *arg) {
    unsigned n = acts_find("guest", arg, acts_vm, acts.vm_count);
    if (n < acts.vm_count) {
        struct vm_public *vm = &acts.vms[n];
        tell_asked(vm, vm_ask(vm, VM_COMMAND_STOP, VM_COMMAND_START));
    }
}

static void run_attach(const char *arg) {
    unsigned n = acts_find("guest", arg, acts_vm, acts.vm_count);
    if (n < acts.vm_count) {
        console_attach(&acts.vms[n]);
    }
}

/* For tests: nothing of a guest is anywhere but in its three parts. */
static void run_move(const char *arg) {
    unsigned from = acts_find("guest", arg, acts_vm, acts.vm_count);
    if (from == acts.vm_count) {
        return;
    }
    unsigned to = acts_find("guest", acts.more[0], acts_vm, acts.vm_count);
    if (to == acts.vm_count) {
        return;
    }
    if (acts.vms[from].state != VM_PAUSED || !vm_state_is_off(acts.vms[to].state)) {
        console_print("%s must be paused, and %s off" MSG(6108) "\n", acts_vm(from), acts_vm(to));
        return;
    }
    if (vcpu_is_missing(acts.vms[to].vcpus[0])) {
        tell_asked(&acts.vms[to], VM_ASKED_NO_CPU);
        return;
    }
    acts.vms[from].move_to = &acts.vms[to];
    acts_ask(from, VM_COMMAND_MOVE);
}

const char *acts_wire(unsigned n) {
    return acts.named->wires[n];
}

const char *acts_link(unsigned n) {
    return n != 0 ? "up" : "down";
}

static void run_link(const char *arg) {
    unsigned n = acts_find("guest", arg, acts_vm, acts.vm_count);
    if (n == acts.vm_count) {
        return;
    }
    struct vm_public *vm = &acts.vms[n];
    acts.named = vm;
    unsigned net = acts_find("wire of this guest", acts.more[0], acts_wire, vm->wire_count);
    unsigned up = net == vm->wire_count ? 2 : acts_find("link", acts.more[1], acts_link, 2);
    if (up == 2) {
        return;
    }
    vm_set_link(vm, net, up != 0);
    log_info("%s: its link to %s is %s, by the operator%s", vm->name, vm->wires[net], acts_link(up),
             vm_state_has_vcpus(vm->state) ? "" : "; seen at its next start");
}

/* ---- others ---- */

const char *acts_level(unsigned i) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[i];
}

static enum show show_regs(unsigned n, unsigned line) {
    return regs_show(&acts.vms[n], line);
}

static enum show show_trace(unsigned n, unsigned line) {
    return trace_show(&acts.vms[n], line);
}

/* Without a level: what it is. */
static void run_log(const char *arg) {
    if (arg == NULL) {
        console_print("log level is %s\n", acts_level(log_max_level));
        return;
    }
    unsigned level = acts_find("log level", arg, acts_level, LOG_DEBUG + 1);
    if (level <= LOG_DEBUG) {
        log_max_level = (enum log_level)level;
        console_print("log level is %s\n", arg);
    }
}

static void restart_machine(void) {
    log_warn("restarting the machine at the operator's request" MSG(6006));
    plat_machine_reset();
    log_error("the machine could not be restarted" MSG(6007));
}

static void run_host_reset(const char *arg) {
    if (!str_equal(arg, "yes")) {
        console_print("not restarted: the word after host-reset must be \"yes\"" MSG(6109) "\n");
        return;
    }
    restart_machine();
}

/* Where nobody is hurt no second word is needed; else the operator is told what it does. */
static bool may_end_all(const char *arg, const char *what, const char *command) {
    unsigned running = 0;

    for (unsigned i = 0; i < acts.vm_count; i++) {
        running += vm_state_has_vcpus(acts.vms[i].state) ? 1 : 0;
    }
    if (running != 0 && (arg == NULL || !str_equal(arg, "yes"))) {
        console_print("%u guest%s would %s: \"%s yes\" does it" MSG(6110) "\n", running,
                      running == 1 ? " runs and" : "s run and", what, command);
        return false;
    }
    return true;
}

static void run_reboot(const char *arg) {
    if (may_end_all(arg, "end as at a power cut", "reboot")) {
        restart_machine();
    }
}

static enum show show_poweroff(UNUSED unsigned n, unsigned line) {
    return poweroff_show(acts.vms, acts.vm_count, line);
}

static void run_poweroff(const char *arg) {
    if (may_end_all(arg, "be switched off by the power button, or by force in the end",
                    "poweroff")) {
        acts_show(show_poweroff, 0, 1);
    }
}

static enum show show_config(UNUSED unsigned n, unsigned line) {
    return papers_show(line);
}

static enum show show_map(unsigned n, unsigned line) {
    return map_show(acts.vms, n, line);
}

/* All that there is of a guest, part by part, each with lines of its own from 0 on. */
static enum show show_inspect(unsigned n, unsigned line) {
    static enum show (*const parts[])(unsigned n, unsigned line) = {show_list, papers_show_guest,
                                                                    show_map, show_regs};
    static unsigned part, first;

    if (line == 0) {
        part = first = 0;
    }
    if (part == ARRAY_SIZE(parts)) {
        return SHOW_END;
    }
    enum show done = parts[part](n, line - first);
    if (done == SHOW_END) {
        part++;
        first = line + 1;
        return SHOW_EMPTY;
    }
    return done;
}

static enum show show_logs(unsigned n, unsigned line) {
    return lines_show_guest(&acts.vms[n], line);
}

static enum show show_log(UNUSED unsigned n, unsigned line) {
    return lines_show_log(line);
}

static enum show show_top(UNUSED unsigned n, unsigned line) {
    return top_show(acts.vms, acts.vm_count, line);
}

void acts_show(enum show (*show)(unsigned n, unsigned line), unsigned first, unsigned end) {
    acts.show = show;
    acts.shown_vm = first;
    acts.shown_end = end;
    acts.shown_line = 0;
}

/* "-f", before the name or after it, goes on: that is the console itself. */
static void run_logs(const char *arg) {
    const char *name = str_equal(arg, "-f") ? acts.more[0] : arg;
    const char *other = name == arg ? acts.more[0] : arg;

    if (name == NULL || (other != NULL && !str_equal(other, "-f"))) {
        acts_usage("logs", "NAME [-f]");
        return;
    }
    unsigned n = acts_find("guest", name, acts_vm, acts.vm_count);
    if (n == acts.vm_count) {
        return;
    }
    if (other != NULL) {
        console_attach(&acts.vms[n]);
    } else {
        acts_show(show_logs, n, n + 1);
    }
}

/* One guest, or all. */
static void run_audit(const char *arg) {
    unsigned first = 0;
    unsigned end = acts.vm_count;

    if (arg != NULL) {
        first = acts_find("guest", arg, acts_vm, acts.vm_count);
        end = first < end ? first + 1 : end;
    }
    for (unsigned n = first; n < end; n++) {
        acts_ask(n, VM_COMMAND_AUDIT);
    }
}

static void run_version(UNUSED const char *arg) {
    char build[PLAT_BUILD_SIZE];
    console_print("%s\n", plat_build_text(build));
}

static enum show show_help(unsigned n, unsigned line);

const struct command_entry commands[] = {
    {"?", "", "this list", NULL, show_help, VM_COMMAND_NONE, NULL},
    {"attach", "NAME", "show a guest's console; the escape key and 0 lead back", run_attach, NULL,
     VM_COMMAND_NONE, NULL},
    {"audit", "[NAME]", "hold a guest's tables, or all, against the plan once more", run_audit,
     NULL, VM_COMMAND_NONE, NULL},
    {"config", "", "bulkhead.toml as it is in force: as it was read at this start", NULL,
     show_config, VM_COMMAND_NONE, NULL},
    {"dmesg", "", "the end of the log, without what was typed and answered", NULL, show_log,
     VM_COMMAND_NONE, NULL},
    {"help", "", "this list", NULL, show_help, VM_COMMAND_NONE, NULL},
    {"host-reset", "yes", "restart this machine and every guest", run_host_reset, NULL,
     VM_COMMAND_NONE, NULL},
    {"inspect", "NAME", "all of a guest: its table of the config, what it has, its registers", NULL,
     show_inspect, VM_COMMAND_NONE, NULL},
    {"kill", "NAME [yes]", "end a guest at once, as if its power failed", NULL, NULL,
     VM_COMMAND_KILL, "pulls its plug"},
    {"link", "NAME WIRE up|down", "plug a guest's network cable in, or pull it out", run_link, NULL,
     VM_COMMAND_NONE, NULL},
    {"list", "[NAME]", "all guests, with state, CPUs, memory, last crash", NULL, show_list,
     VM_COMMAND_NONE, NULL},
    {"log", "[LEVEL]", "how much is logged: error, warn, info or debug", run_log, NULL,
     VM_COMMAND_NONE, NULL},
    {"logs", "NAME [-f]", "the end of a guest's console as text; -f: the console itself, as attach",
     run_logs, NULL, VM_COMMAND_NONE, NULL},
    {"map", "[NAME]", "who has which CPUs, memory, ports, MSRs, devices: from the tables in use",
     NULL, show_map, VM_COMMAND_NONE, NULL},
    {"move", "FROM TO",
     "debug: a paused guest goes on in the place of one that is off, of its size", run_move, NULL,
     VM_COMMAND_NONE, NULL},
    {"pause", "NAME", "hold a guest between two instructions; its clocks stand still", NULL, NULL,
     VM_COMMAND_PAUSE, NULL},
    {"poweroff", "[yes]", "stop every guest, then switch this machine off", run_poweroff, NULL,
     VM_COMMAND_NONE, NULL},
    {"ps", "[NAME]", "the same as list", NULL, show_list, VM_COMMAND_NONE, NULL},
    {"reboot", "[yes]", "restart this machine and every guest", run_reboot, NULL, VM_COMMAND_NONE,
     NULL},
    {"regs", "NAME", "mode and registers of each virtual CPU of a guest", NULL, show_regs,
     VM_COMMAND_NONE, NULL},
    {"reset", "NAME [yes]", "reset a guest, as its reset button would", NULL, NULL,
     VM_COMMAND_RESET, "lets it save nothing"},
    {"restart", "NAME", "stop a guest, as stop does, and start it again", run_restart, NULL,
     VM_COMMAND_NONE, NULL},
    {"resume", "NAME", "let a paused guest go on", NULL, NULL, VM_COMMAND_RESUME, NULL},
    {"start", "NAME", "start a guest that is stopped or has crashed", NULL, NULL, VM_COMMAND_START,
     NULL},
    {"stats", "[NAME]", "exits, refusals, frames, disk requests, of one guest or of all", NULL,
     show_stats, VM_COMMAND_NONE, NULL},
    {"stop", "NAME", "press a guest's power button; kill it after its stop_timeout", NULL, NULL,
     VM_COMMAND_STOP, NULL},
    {"top", "", "how busy each guest is, drawn each second until a key is typed", NULL, show_top,
     VM_COMMAND_NONE, NULL},
    {"trace", "NAME", "the last exits of each virtual CPU of a guest, also of one that is off",
     NULL, show_trace, VM_COMMAND_NONE, NULL},
    {"version", "", "version and build of Bulkhead, and where its text lies", run_version, NULL,
     VM_COMMAND_NONE, NULL},
};
const unsigned commands_count = ARRAY_SIZE(commands);

const char *acts_name(unsigned i) {
    return commands[i].name;
}

static enum show show_help(UNUSED unsigned n, unsigned line) {
    if (line >= commands_count) {
        return SHOW_END;
    }
    const struct command_entry *c = &commands[line];
    console_print("%-10s %-7s  %s\n", c->name, c->args, c->help);
    return SHOW_PRINTED;
}
