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

enum escape_state { ESCAPE_NONE, ESCAPE_STARTED, ESCAPE_SEQUENCE };

/* One operator, one line: the console hands over one key at a time. */
static struct {
    const struct monitor_ops *ops;
    char line[LINE_SIZE];
    size_t length;
    bool confirm_reset; /* the line answers PROMPT_RESET */
    bool after_return;  /* a newline now belongs to it: one Enter, not two */
    enum escape_state escape;
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

/* ---- names ---- */

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

/* Says that word is no such thing, and names the candidate that differs by two letters at most. */
static void print_unknown(const char *what, const char *word, const char *(*name)(unsigned),
                          unsigned count) {
    const char *best = NULL;
    unsigned best_distance = 3;
    for (unsigned i = 0; i < count; i++) {
        unsigned distance = str_distance(word, name(i));
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
}

/* The index of word among the names; says so and gives false if it is none of them. */
static bool find_name(const char *what, const char *word, const char *(*name)(unsigned),
                      unsigned count, unsigned *index) {
    for (unsigned i = 0; i < count; i++) {
        if (str_equal(word, name(i))) {
            *index = i;
            return true;
        }
    }
    print_unknown(what, word, name, count);
    return false;
}

static bool find_vm(const char *word, unsigned *vm) {
    return find_name("guest", word, command.ops->vm_name, command.ops->vm_count(), vm);
}

static const char *level_name(unsigned i) {
    return level_names[i];
}

/* ---- commands ---- */

static void run_help(const char *arg);

static void run_list(const char *arg) {
    (void)arg;
    for (unsigned i = 0; i < command.ops->vm_count(); i++) {
        char row[OUTPUT_SIZE / 2] = "";
        command.ops->vm_list_row(i, row, sizeof(row));
        print("%u %-16s %-9s %s\n", i + 1, command.ops->vm_name(i), command.ops->vm_state(i), row);
    }
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

static void print_line(void *ctx, const char *text) {
    (void)ctx;
    print("  %s\n", text);
}

static void run_stats(const char *arg) {
    unsigned first = 0, end = command.ops->vm_count();
    if (arg != NULL) {
        if (!find_vm(arg, &first)) {
            return;
        }
        end = first + 1;
    }
    for (unsigned i = first; i < end; i++) {
        print("%s: %s\n", command.ops->vm_name(i), command.ops->vm_state(i));
        command.ops->vm_stats(i, print_line, NULL);
    }
}

static void run_log(const char *arg) {
    unsigned level;
    if (find_name("log level", arg, level_name, ARRAY_SIZE(level_names), &level)) {
        log_set_level((enum log_level)level);
        print("log level is %s\n", arg);
    }
}

static void run_host_reset(const char *arg) {
    (void)arg;
    command.confirm_reset = true;
}

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

static const char *command_name(unsigned i) {
    return commands[i].name;
}

static void run_help(const char *arg) {
    (void)arg;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        print("%-10s %-6s  %s\n", commands[i].name, commands[i].args, commands[i].help);
    }
}

static void run_words(const char *name, const char *arg, bool too_many) {
    unsigned i;
    if (!find_name("command", name, command_name, ARRAY_SIZE(commands), &i)) {
        return;
    }
    const struct command_entry *c = &commands[i];
    bool takes = c->args[0] != '\0';
    bool needs = takes && c->args[0] != '[';
    if (too_many || (arg != NULL && !takes) || (arg == NULL && needs)) {
        print("usage: %s%s%s\n", c->name, takes ? " " : "", c->args);
        return;
    }
    c->run(arg);
}

/* The next word of the line, ended with NUL in place; NULL if there is none. */
static char *next_word(char **at) {
    char *s = *at;
    while (*s == ' ') {
        s++;
    }
    char *end = s;
    while (*end != '\0' && *end != ' ') {
        end++;
    }
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return *s == '\0' ? NULL : s;
}

static void run_line(void) {
    char *at = command.line;
    char *name = next_word(&at);
    char *arg = next_word(&at);
    bool too_many = next_word(&at) != NULL;
    if (command.confirm_reset) {
        command.confirm_reset = false;
        if (name != NULL && str_equal(name, "yes") && arg == NULL) {
            log_warn("restarting the machine at the operator's request");
            plat_machine_reset();
            log_error("the machine could not be restarted");
        } else {
            print("not restarted\n");
        }
    } else if (name != NULL) {
        run_words(name, arg, too_many);
    }
}

/* ---- keys ---- */

/* Arrow keys and the like arrive as ESC [ ... letter or ESC O letter; there is nothing they do. */
static bool swallow_escape(uint8_t byte) {
    switch (command.escape) {
    case ESCAPE_STARTED:
        command.escape = byte == '[' || byte == 'O' ? ESCAPE_SEQUENCE : ESCAPE_NONE;
        return true;
    case ESCAPE_SEQUENCE:
        if (byte >= 0x40 && byte <= 0x7e) {
            command.escape = ESCAPE_NONE;
        }
        return true;
    case ESCAPE_NONE:
    default:
        command.escape = byte == KEY_ESCAPE ? ESCAPE_STARTED : ESCAPE_NONE;
        return byte == KEY_ESCAPE;
    }
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
    bool second_half = byte == '\n' && command.after_return;
    command.after_return = byte == '\r';
    if ((byte == '\r' || byte == '\n') && !second_half) {
        end_line();
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
    command.ops = ops;
    command.confirm_reset = false;
    command.after_return = false;
    command.escape = ESCAPE_NONE;
    clear_line();
    console_set_operator(&sink);
    show_prompt();
}
