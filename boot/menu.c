/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The menu of a stick with two sets, on the firmware's console. It goes on by itself: after its
 * time, or long after the last key, for what came may have been noise on a serial line. Called by
 * main.c before anything of a set is used.
 */
#include "boot/boot.h"

#define AFTER_KEY 600u /* seconds */

static const struct menu_entry {
    const char *name, *what;
} entries[] = {
    [MENU_GOOD] = {"last good", "the set that came up"},
    [MENU_NEW] = {"new", "the set that was put there last"},
    [MENU_LOOK] = {"look only", "looks at the machine and the files, starts nothing"},
    [MENU_SAFE] = {"safe", "the good set's first guest alone, nothing extra"},
};

static bool is_offered(const struct sets_state *state, enum menu_choice choice) {
    return choice != MENU_NEW || state->fresh != SETS_NONE;
}

static void print_entries(const struct sets_state *state, enum menu_choice usual) {
    static const char *const trials[SETS_TRIALS] = {
        [SETS_UNTRIED] = ", not tried yet",
        [SETS_TRIED] = "",
        [SETS_FAILED] = ", did not come up",
        [SETS_LOST] = ", tried, then the power was cut",
    };
    char name[SETS_NAME_SIZE];

    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        enum menu_choice choice = (enum menu_choice)i;
        if (!is_offered(state, choice)) {
            continue;
        }
        console_print(choice == usual ? CONSOLE_GOOD : CONSOLE_PLAIN, "  %u  %-10s  %s", i + 1,
                      entries[i].name, entries[i].what);
        if (choice == MENU_GOOD) {
            console_print(CONSOLE_PLAIN, " (%s)", sets_name(state->good, name));
        } else if (choice == MENU_NEW) {
            console_print(CONSOLE_PLAIN, " (%s%s)", sets_name(state->fresh, name),
                          trials[state->trial]);
        }
        console_print(CONSOLE_PLAIN, "\n");
    }
}

/* The key that stops it, or 0. */
static CHAR16 count_down(uint32_t seconds) {
    CHAR16 key = 0;

    console_forget_keys();
    for (uint32_t left = seconds; left > 0 && key == 0; left--) {
        console_print(CONSOLE_PLAIN, "\rStarting in %u s; a key stops that. ", left);
        key = console_wait_key_for(1);
    }
    console_print(CONSOLE_PLAIN, "\n");
    return key;
}

enum menu_choice menu_ask(const struct sets_state *state, uint32_t seconds) {
    enum menu_choice usual = sets_choose(state) == state->good ? MENU_GOOD : MENU_NEW;

    if (seconds == 0) {
        return usual;
    }
    print_entries(state, usual);
    CHAR16 key = count_down(seconds);
    if (key != 0) {
        console_print(CONSOLE_PLAIN, "Press a number, or Enter for \"%s\".\n", entries[usual].name);
    }
    enum menu_choice choice = usual;
    while (key != 0 && key != L'\r' && key != L'\n') {
        choice = (enum menu_choice)(key - L'1');
        if (key >= L'1' && choice < ARRAY_SIZE(entries) && is_offered(state, choice)) {
            break;
        }
        choice = usual;
        key = console_wait_key_for(AFTER_KEY);
    }
    console_print(CONSOLE_PLAIN, "Starting: %s\n", entries[choice].name);
    return choice;
}
