/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sets of the stick at a start: reads and writes their state, and what memory has kept of the
 * start before. The rules are config/sets.c's. Called by main.c.
 */
#include "boot/boot.h"
#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/plan/kept_log.h"

#define HINT_TRIAL                                                                                 \
    "It becomes the good set once it has come up and the machine restarts, without a power cut "   \
    "in between; if it does not come up, the next start is of "                                    \
    "the good one (docs/sticks.md)." MSG(2140)
#define HINT_FAILED                                                                                \
    "The new set was tried once and did not come up: bulkhead/last-log.txt and crash/ may tell "   \
    "why. Mend it and run mkstick --update, or choose \"new\" in "                                 \
    "the menu to try it again." MSG(2141)
#define HINT_LOST                                                                                  \
    "The new set was tried, and then the power was cut, so nothing tells whether it had come up. " \
    "Choose \"new\" in the menu to try it again, or run mkstick --good if it had." MSG(2142)
#define HINT_UNWRITTEN                                                                             \
    "The stick takes no note of what becomes of its sets, so a new one is not tried. Is it "       \
    "write-protected, or full?" MSG(2143)

static struct {
    struct sets_state state;
    struct sets_state before; /* the try that this start may be */
    bool known;               /* the stick tells it */
    bool promoted;            /* the new set has just become the good one */
    bool unwritten;           /* the stick took no note of something */
} sets;

static bool write_state(void) {
    char text[SETS_STATE_SIZE];

    sets_write(&sets.state, text);
    if (!files_write_over(sets_path(&sets.state), text, sizeof(text))) {
        sets.unwritten = true;
    }
    return !sets.unwritten;
}

static void read_state(void) {
    static char texts[2][SETS_STATE_SIZE];
    struct sets_stick stick = {
        .plain = files_is_there(STICK_CONFIG),
        .a = files_is_there("bulkhead/a/" STICK_OWN_CONFIG),
        .b = files_is_there("bulkhead/b/" STICK_OWN_CONFIG),
    };

    stick.texts[0] = files_read_state(SETS_STATE_0, texts[0], SETS_STATE_SIZE) ? texts[0] : NULL;
    stick.texts[1] = files_read_state(SETS_STATE_1, texts[1], SETS_STATE_SIZE) ? texts[1] : NULL;
    sets.known = sets_read(&stick, &sets.state);
}

void sets_begin(struct boot_info *info) {
    const struct kept_log *log = phys_pointer(info->kept_log);
    bool healthy = false;
    bool known = false;

    read_state();
    if (info->kept_log.v != 0 && sets.state.id != 0) {
        known = kept_log_knows(log, sets.state.id, &healthy);
    }
    char fresh = sets.state.fresh;
    if (sets_settle(&sets.state, known, healthy) && write_state()) {
        sets.promoted = fresh != SETS_NONE && sets.state.good == fresh;
    }
    info->set = sets_choose(&sets.state);
}

const struct sets_state *sets_state(void) {
    return &sets.state;
}

bool sets_are_two(void) {
    return sets.known;
}

bool sets_try(struct boot_info *info) {
    uint64_t id = __builtin_ia32_rdtsc() ^ machine_time() << 32;

    sets.before = sets.state;
    sets.state.trial = SETS_TRIED;
    sets.state.id = id != 0 ? id : 1;
    sets.state.number++;
    if (sets.unwritten || !write_state()) {
        sets.state = sets.before;
        info->set = sets.state.good;
        return false;
    }
    info->set = sets.state.fresh;
    info->trial = sets.state.id;
    return true;
}

void sets_fail(const struct boot_info *info) {
    ASSERT(info->trial != 0);
    sets.state.trial = SETS_FAILED;
    sets.state.number++;
    (void)write_state();
}

void sets_give_back(const struct boot_info *info) {
    uint32_t number = sets.state.number;

    if (info->trial != 0) {
        sets.state = sets.before;
        sets.state.number = number + 1;
        (void)write_state();
    }
}

void sets_report(const struct boot_info *info, struct preflight_report *report) {
    char good[SETS_NAME_SIZE];
    char fresh[SETS_NAME_SIZE];

    if (!sets.known) {
        return;
    }
    (void)sets_name(sets.state.good, good);
    (void)sets_name(sets.state.fresh, fresh);
    if (sets.unwritten) {
        preflight_add(report, "Set", PREFLIGHT_WARN, HINT_UNWRITTEN, "%s", good);
    } else if (info->trial != 0) {
        preflight_add(report, "Set", PREFLIGHT_WARN, HINT_TRIAL, "%s, new, on trial", fresh);
    } else if (sets.promoted) {
        preflight_add(report, "Set", PREFLIGHT_OK, NULL, "%s, good: it has come up", good);
    } else if (sets.state.fresh == SETS_NONE || sets.state.trial == SETS_UNTRIED) {
        preflight_add(report, "Set", PREFLIGHT_OK, NULL, "%s", good);
    } else {
        bool lost = sets.state.trial == SETS_LOST;
        preflight_add(report, "Set", PREFLIGHT_WARN, lost ? HINT_LOST : HINT_FAILED,
                      "%s, the last good one, not %s", good, fresh);
    }
}
