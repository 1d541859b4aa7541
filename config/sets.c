/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sets of a stick; see sets.h. */
#include "config/sets.h"

#include "config/sha256.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

/* What the sum is of; all of these texts have one length. */
#define FORMAT "Bulkhead's state 1: number %08x, good %c, new %c %s %016llx, sum "
enum {
    NUMBER_AT = 27,
    GOOD_AT = 42,
    FRESH_AT = 49,
    TRIAL_AT = 51,
    ID_AT = 57,
    SUM_AT = 79, /* then the newline, and blanks with one at their end */
    NUMBER_DIGITS = 8,
    DIGITS = 16,
    WORD = 5,
};

static const char *const trial_words[SETS_TRIALS] = {
    [SETS_UNTRIED] = "fresh",
    [SETS_TRIED] = "tried",
    [SETS_FAILED] = "fails",
    [SETS_LOST] = "lost-",
};

/* Text that is no number is any number: the whole is compared afterwards. */
static uint64_t read_hex(const char *text, unsigned digits) {
    uint64_t number = 0;

    for (unsigned i = 0; i < digits; i++) {
        char c = text[i];
        number = number << 4 | (uint64_t)((c >= 'a' ? c - 'a' + 10 : c - '0') & 0xf);
    }
    return number;
}

static uint64_t sum_of(const char *text) {
    uint8_t digest[SHA256_SIZE];
    uint64_t sum = 0;

    sha256((const uint8_t *)text, SUM_AT, digest);
    for (unsigned i = 0; i < sizeof(sum); i++) {
        sum = sum << 8 | digest[i];
    }
    return sum;
}

void sets_write(const struct sets_state *state, char text[SETS_STATE_SIZE]) {
    char line[SUM_AT + DIGITS + 1];
    char fresh = state->fresh != SETS_NONE ? state->fresh : '0';

    (void)fmt_print(line, sizeof(line), FORMAT, state->number, state->good, fresh,
                    trial_words[state->trial], (ull)state->id);
    (void)fmt_print(line + SUM_AT, sizeof(line) - SUM_AT, "%016llx", (ull)sum_of(line));
    memset(text, ' ', SETS_STATE_SIZE);
    memcpy(text, line, SUM_AT + DIGITS);
    text[SUM_AT + DIGITS] = text[SETS_STATE_SIZE - 1] = '\n';
}

static bool has_folder(char set) {
    return set == 'a' || set == 'b';
}

static bool is_set(char c) {
    return c == SETS_PLAIN || has_folder(c);
}

/* A text that is not just as sets_write() has it was cut off, or is none. */
static bool read_text(const char *text, struct sets_state *out) {
    struct sets_state s = {.number = (uint32_t)read_hex(text + NUMBER_AT, NUMBER_DIGITS)};
    char whole[SETS_STATE_SIZE];

    s.good = text[GOOD_AT];
    s.fresh = text[FRESH_AT] == '0' ? SETS_NONE : text[FRESH_AT];
    s.id = read_hex(text + ID_AT, DIGITS);
    while (s.trial < SETS_TRIALS && memcmp(text + TRIAL_AT, trial_words[s.trial], WORD) != 0) {
        s.trial++;
    }
    bool known = is_set(s.good) && (s.fresh == SETS_NONE || is_set(s.fresh));
    if (!known || s.trial == SETS_TRIALS || s.good == s.fresh) {
        return false;
    }
    sets_write(&s, whole);
    *out = s;
    return memcmp(text, whole, SETS_STATE_SIZE) == 0;
}

/* Without a state: what lies there. */
static char guess(const struct sets_stick *stick) {
    if (stick->plain || (!stick->a && !stick->b)) {
        return SETS_PLAIN;
    }
    return stick->a ? 'a' : 'b';
}

bool sets_read(const struct sets_stick *stick, struct sets_state *state) {
    struct sets_state found = {.number = 0};
    bool any = false;

    for (unsigned i = 0; i < ARRAY_SIZE(stick->texts); i++) {
        struct sets_state one;
        bool good = stick->texts[i] != NULL && read_text(stick->texts[i], &one);
        if (good && (!any || one.number > found.number)) {
            found = one;
            any = true;
        }
    }
    if (!any) {
        found.good = guess(stick);
    }
    *state = found;
    return any;
}

const char *sets_path(const struct sets_state *state) {
    return state->number % 2 == 0 ? SETS_STATE_0 : SETS_STATE_1;
}

bool sets_settle(struct sets_state *state, bool known, bool healthy) {
    if (state->fresh == SETS_NONE || state->trial != SETS_TRIED) {
        return false;
    }
    if (healthy) {
        *state = (struct sets_state){.number = state->number, .good = state->fresh};
    } else {
        state->trial = known ? SETS_FAILED : SETS_LOST;
    }
    state->number++;
    return true;
}

char sets_choose(const struct sets_state *state) {
    bool untried = state->fresh != SETS_NONE && state->trial == SETS_UNTRIED;

    return untried ? state->fresh : state->good;
}

const char *sets_file(char set, const char *path, char out[SETS_PATH_SIZE]) {
    if (!has_folder(set)) {
        (void)fmt_print(out, SETS_PATH_SIZE, "%s", path);
    } else {
        (void)fmt_print(out, SETS_PATH_SIZE, "bulkhead/%c/%s", set, path);
    }
    return out;
}

const char *sets_own(char set, const char *name, char out[SETS_PATH_SIZE]) {
    if (!has_folder(set)) {
        (void)fmt_print(out, SETS_PATH_SIZE, "bulkhead/%s", name);
        return out;
    }
    return sets_file(set, name, out);
}

const char *sets_name(char set, char out[SETS_NAME_SIZE]) {
    if (!has_folder(set)) {
        (void)fmt_print(out, SETS_NAME_SIZE, "the plain set");
    } else {
        (void)fmt_print(out, SETS_NAME_SIZE, "set %c", set);
    }
    return out;
}
