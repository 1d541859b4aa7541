/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the operator's line and the table of commands, which is also the help text. Must not touch
 * a VM but through struct monitor_ops. Called by console.c for each key typed in the log view.
 */
#include "hv/monitor/command.h"

#include "hv/lib/fmt.h"
#include "hv/lib/log.h"
#include "hv/lib/str.h"
#include "hv/monitor/console.h"
#include "hv/vm/plat.h"

#define LINE_SIZE    80u
#define OUTPUT_SIZE  240u
#define PROMPT       "bulkhead> "
#define PROMPT_RESET "restart this machine and every guest? type yes: "

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U    0x15
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

/* One operator, one line: the console hands over one key at a time. */
static struct {
    const struct monitor_ops *ops;
    char line[LINE_SIZE];
    size_t length;
    bool confirm_reset; /* the line answers PROMPT_RESET */
    bool escape;        /* in the sequence of an arrow key or the like */
} command;

static void print(const char *format, ...) PRINTF_LIKE(1, 2);
static void print(const char *format, ...) {
    char text[OUTPUT_SIZE];
    va_list args;
    va_start(args, format);
    fmt_vprint(text, sizeof(text), format, args);
    va_end(args);
    console_print(text);
}

static const char *prompt(void) {
    return command.confirm_reset ? PROMPT_RESET : PROMPT;
}

static void show_prompt(void) {
    char text[LINE_SIZE + sizeof(PROMPT_RESET)];
    fmt_print(text, sizeof(text), "%s%s", prompt(), command.line);
    console_set_prompt(text);
}

static void clear_line(void) {
    command.length = 0;
    command.line[0] = '\0';
}

/*
 * The index of word among the names; if it is none of them, says so, names the one that differs by
 * two letters at most, and gives false.
 */
static bool find_name(const char *what, const char *word, const char *(*name)(unsigned),
                      unsigned count, unsigned *index) {
    const char *best = NULL;
    unsigned best_distance = 3;
    for (unsigned i = 0; i < count; i++) {
        unsigned distance = str_distance(word, name(i));
        if (distance == 0) {
            *index = i;
            return true;
        }
        if (distance < best_distance) {
            best_distance = distance;
            best = name(i);
        }
    }
    if (best != NULL) {
        print("no %s \"%s\": did you mean \"%s\"?\n", what, word, best);
    } else {
        print("no %s \"%s\"\n", what, word);
    }
    return false;
}

/* ---- commands ---- */

static bool find_vm(const char *word, unsigned *vm) {
    return find_name("guest", word, command.ops->vm_name, command.ops->vm_count(), vm);
}

static void ask_vm(const char *name, enum status (*ask)(unsigned)) {
    unsigned vm;
    if (!find_vm(name, &vm)) {
        return;
    }
    enum status s = ask(vm);
    if (s != STATUS_OK) {
        print("%s is %s: refused (%s)\n", name, command.ops->vm_state(vm), status_name(s));
    }
}

static void run_start(const char *arg) {
    ask_vm(arg, command.ops->vm_start);
}

static void run_stop(const char *arg) {
    ask_vm(arg, command.ops->vm_stop);
}

static void run_reset(const char *arg) {
    ask_vm(arg, command.ops->vm_reset);
}

static void run_list(const char *arg) {
    (void)arg;
    for (unsigned i = 0; i < command.ops->vm_count(); i++) {
        char row[OUTPUT_SIZE / 2] = "";
        command.ops->vm_list_row(i, row, sizeof(row));
        print("%u %-16s %-9s %s\n", i + 1, command.ops->vm_name(i), command.ops->vm_state(i), row);
    }
}

static void print_line(void *ctx, const char *text) {
    (void)ctx;
    print("  %s\n", text);
}

static void run_stats(const char *arg) {
    unsigned i = 0, end = command.ops->vm_count();
    if (arg != NULL) {
        if (!find_vm(arg, &i)) {
            return;
        }
        end = i + 1;
    }
    for (; i < end; i++) {
        print("%s: %s\n", command.ops->vm_name(i), command.ops->vm_state(i));
        command.ops->vm_stats(i, print_line, NULL);
    }
}

static const char *level_name(unsigned i) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[i];
}

static void run_log(const char *arg) {
    unsigned level;
    if (find_name("log level", arg, level_name, LOG_DEBUG + 1, &level)) {
        log_set_level((enum log_level)level);
        print("log level is %s\n", arg);
    }
}

static void run_host_reset(const char *arg) {
    (void)arg;
    command.confirm_reset = true;
}

static void run_help(const char *arg);

/* args: "" = none, "[X]" = may be left out, else needed. */
static const struct command_entry {
    const char *name, *args, *help;
    void (*run)(const char *arg); /* arg is NULL when it was left out */
} commands[] = {
    {"help", "", "this list", run_help},
    {"host-reset", "", "restart this machine, after a question", run_host_reset},
    {"list", "", "all guests, with state, CPUs and memory", run_list},
    {"log", "LEVEL", "error, warn, info or debug", run_log},
    {"reset", "NAME", "reset a guest, as its reset button would", run_reset},
    {"start", "NAME", "start a guest that is stopped or has crashed", run_start},
    {"stats", "[NAME]", "exits and refusals, of one guest or of all", run_stats},
    {"stop", "NAME", "stop a guest at once, as if its power failed", run_stop},
};

static void run_help(const char *arg) {
    (void)arg;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        print("%-10s %-6s  %s\n", commands[i].name, commands[i].args, commands[i].help);
    }
}

static const char *command_name(unsigned i) {
    return commands[i].name;
}

/* The next word of the line, ended with NUL in place; NULL if there is none. */
static char *next_word(char **at) {
    char *word = *at;
    while (*word == ' ') {
        word++;
    }
    char *end = word;
    while (*end != '\0' && *end != ' ') {
        end++;
    }
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return *word == '\0' ? NULL : word;
}

static void run_words(const char *name, const char *arg, bool too_many) {
    unsigned i;
    if (!find_name("command", name, command_name, ARRAY_SIZE(commands), &i)) {
        return;
    }
    const struct command_entry *c = &commands[i];
    bool takes = c->args[0] != '\0', needs = takes && c->args[0] != '[';
    if (too_many || (arg != NULL ? !takes : needs)) {
        print("usage: %s%s%s\n", c->name, takes ? " " : "", c->args);
    } else {
        c->run(arg);
    }
}

static void confirm_reset(bool confirmed) {
    command.confirm_reset = false;
    if (!confirmed) {
        print("not restarted\n");
        return;
    }
    log_warn("restarting the machine at the operator's request");
    plat_machine_reset();
    log_error("the machine could not be restarted");
}

static void run_line(void) {
    char *at = command.line;
    char *name = next_word(&at), *arg = next_word(&at);
    if (command.confirm_reset) {
        confirm_reset(name != NULL && str_equal(name, "yes") && arg == NULL);
    } else if (name != NULL) {
        run_words(name, arg, next_word(&at) != NULL);
    }
}

/* ---- keys ---- */

/* Arrow keys and the like arrive as ESC [ ... letter or ESC O letter; there is nothing they do. */
static bool swallow_escape(uint8_t byte) {
    bool inside = command.escape;
    bool goes_on = (byte >= 0x20 && byte < 0x40) || byte == '[' || byte == 'O';
    command.escape = byte == KEY_ESCAPE || (inside && goes_on);
    return inside || byte == KEY_ESCAPE;
}

static void end_line(void) {
    console_set_prompt("");
    print("%s%s\n", prompt(), command.line);
    run_line();
    clear_line();
}

static bool command_input(void *ctx, uint8_t byte) {
    (void)ctx;
    if (swallow_escape(byte)) {
        return true;
    }
    if (byte == '\r' || (byte == '\n' && command.length != 0)) {
        end_line(); /* once, where Enter is CR LF */
    } else if (byte == KEY_CTRL_C) {
        command.confirm_reset = false;
        clear_line();
    } else if (byte == KEY_CTRL_U) {
        clear_line();
    } else if ((byte == KEY_BACKSPACE || byte == KEY_DELETE) && command.length != 0) {
        command.line[--command.length] = '\0';
    } else if (byte >= 0x20 && byte < 0x7f && command.length + 1 < LINE_SIZE) {
        command.line[command.length++] = (char)byte;
        command.line[command.length] = '\0';
    }
    show_prompt();
    return true;
}

void command_init(const struct monitor_ops *ops) {
    static const struct console_sink sink = {.input = command_input};
    memset(&command, 0, sizeof(command));
    command.ops = ops;
    console_set_operator(&sink);
    show_prompt();
}
