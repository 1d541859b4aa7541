/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the operator's line: its keys, its words, its completion. What the words do is acts.c's.
 * Called by console.c for each key typed in the log view.
 */
#include "hv/monitor/command.h"

#include "hv/lib/str.h"
#include "hv/monitor/acts.h"
#include "hv/monitor/complete.h"
#include "hv/monitor/console.h"
#include "hv/monitor/line.h"

#define PROMPT "bulkhead> "

/* One operator, one line: the console hands over one key at a time. */
static struct line command_line;

/* What hurts a guest that runs is asked for once more, by a word. */
static bool is_meant(const struct command_entry *c, unsigned n) {
    const char *word = acts.more[0];

    if (word != NULL && !str_equal(word, "yes")) {
        acts_usage(c->name, c->args);
        return false;
    }
    if (word != NULL || c->hurts == NULL || !vm_state_has_vcpus(acts.vms[n].state)) {
        return true;
    }
    console_print("%s runs, and %s %s: \"%s %s yes\" does it" MSG(6104) "\n", acts_vm(n), c->name,
                  c->hurts, c->name, acts_vm(n));
    return false;
}

static void run_command(const struct command_entry *c, const char *arg) {
    unsigned vm = 0;
    unsigned end = c->args[0] == '\0' ? 1 : acts.vm_count;

    if (c->run != NULL) {
        c->run(arg);
        return;
    }
    if (arg != NULL) {
        vm = acts_find("guest", arg, acts_vm, end);
        end = vm < end ? vm + 1 : end;
    }
    if (vm == end) {
        return;
    }
    if (c->show != NULL) {
        acts_show(c->show, vm, end);
    } else if (is_meant(c, vm)) {
        acts_ask(vm, c->ask);
    }
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

/* In the words of a usage: all, or those that may be left out. */
static unsigned args_count(const char *args, bool optional) {
    unsigned count = 0;
    for (const char *at = args; *at != '\0'; at++) {
        bool begins = at == args || at[-1] == ' ';
        count += begins && (!optional || *at == '[') ? 1 : 0;
    }
    return count;
}

static void run_line(void) {
    const char *words[5];
    char text[LINE_SIZE];
    (void)str_copy_n(text, sizeof(text), command_line.text, command_line.length);
    unsigned count = split_words(text, words, ARRAY_SIZE(words));
    unsigned i =
        count == 0 ? commands_count : acts_find("command", words[0], acts_name, commands_count);
    if (i == commands_count) {
        return;
    }
    const struct command_entry *c = &commands[i];
    unsigned most = 1 + args_count(c->args, false);
    unsigned least = most - args_count(c->args, true);
    if (count < least || count > most) {
        acts_usage(c->name, c->args);
    } else {
        acts.more[0] = count > 2 ? words[2] : NULL;
        acts.more[1] = count > 3 ? words[3] : NULL;
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
    for (unsigned i = 0; i < acts.vm_count; i++) {
        if (str_equal(word, acts_vm(i))) {
            acts.named = &acts.vms[i];
            return acts.vms[i].wire_count;
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
        {"NAME", acts_vm, acts.vm_count}, {"FROM", acts_vm, acts.vm_count},
        {"TO", acts_vm, acts.vm_count},   {"WIRE", acts_wire, at > 1 ? name_guest(typed[1]) : 0},
        {"up|down", acts_link, 2},        {"LEVEL", acts_level, LOG_DEBUG + 1},
    };
    char usage[LINE_SIZE] = "";

    if (at == 0) {
        return (struct words){"", acts_name, commands_count};
    }
    for (unsigned i = 0; i < commands_count; i++) {
        if (str_equal(typed[0], acts_name(i))) {
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
    console_print(PROMPT "%s\n", command_line.text);
    for (unsigned i = 0; i < words->count; i++) {
        if (complete_fits(words->name(i), word, n)) {
            console_print("%s ", words->name(i));
        }
    }
    console_print("\n");
}

/* Tab: the word before the cursor goes on as far as it is clear, or all that it may be is shown. */
static void complete_line(void) {
    struct line *line = &command_line;
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
    const struct line *line = &command_line;
    console_set_prompt(PROMPT, line->text, line->length - line->cursor);
}

static void command_key(uint8_t key) {
    struct line *line = &command_line;

    if (key == '\t') {
        complete_line();
    } else if (line_key(line, key)) {
        console_set_prompt("", "", 0);
        console_print(PROMPT "%s\n", line->text);
        run_line();
        line_next(line);
    }
    if (acts.show == NULL) {
        show_prompt();
    }
}

static bool command_is_busy(void) {
    return acts.show != NULL;
}

static void command_work(void) {
    enum show done = SHOW_EMPTY;

    while (done == SHOW_EMPTY && acts.shown_vm != acts.shown_end) {
        done = acts.show(acts.shown_vm, acts.shown_line);
        if (done == SHOW_END) {
            acts.shown_vm++;
            acts.shown_line = 0;
            done = SHOW_EMPTY;
        } else if (done != SHOW_WAIT) {
            acts.shown_line++;
        }
    }
    if (acts.shown_vm == acts.shown_end) {
        acts.show = NULL;
        show_prompt();
    }
}

void command_init(struct vm_public *vms, uint32_t count) {
    static const struct console_operator operator= {
        .key = command_key, .is_busy = command_is_busy, .work = command_work};
    acts = (struct acts){.vms = vms, .vm_count = count};
    command_line = (struct line){0};
    console_set_operator(&operator);
    console_set_prompt(PROMPT, "", 0);
}
