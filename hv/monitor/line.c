/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys to a line: what a terminal sends for the cursor keys, and the control keys that shells have.
 * Sources: ECMA-48 "Control sequences", xterm "Special Keyboard Keys".
 */
#include "hv/monitor/line.h"

#include "hv/lib/str.h"

#define CTRL(letter)  ((letter)&0x1f)
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f
#define PARAMETER_MAX 99u

enum line_state {
    STATE_PLAIN,
    STATE_ESCAPE,   /* after ESC */
    STATE_SEQUENCE, /* after ESC [ or ESC O */
};

static void set_text(struct line *l, const char *text) {
    size_t n = strlen(text);

    (void)str_copy_n(l->text, sizeof(l->text), text, n);
    l->length = n;
    l->cursor = n;
}

static void insert(struct line *l, char c) {
    if (l->length + 1 >= LINE_SIZE) {
        return;
    }
    memmove(l->text + l->cursor + 1, l->text + l->cursor, l->length - l->cursor + 1);
    l->text[l->cursor] = c;
    l->cursor++;
    l->length++;
}

/* Takes out n characters, from the cursor on. */
static void take_out(struct line *l, size_t n) {
    memmove(l->text + l->cursor, l->text + l->cursor + n, l->length - l->cursor - n + 1);
    l->length -= n;
}

static void take_out_before(struct line *l, size_t n) {
    l->cursor -= n;
    take_out(l, n);
}

/* Length of the word before the cursor, with the blanks behind it. */
static size_t word_before(const struct line *l) {
    size_t at = l->cursor;

    while (at != 0 && l->text[at - 1] == ' ') {
        at--;
    }
    while (at != 0 && l->text[at - 1] != ' ') {
        at--;
    }
    return l->cursor - at;
}

/* An older (-1) or newer (+1) line; what was being written is kept as the newest. */
static void browse(struct line *l, int step) {
    unsigned kept = (unsigned)min_u64(l->entered, LINE_HISTORY_SIZE);
    bool at_end = step > 0 ? l->shown == l->entered : l->shown == l->entered - kept;

    if (at_end) {
        return;
    }
    if (l->shown == l->entered) {
        (void)str_copy_n(l->draft, sizeof(l->draft), l->text, l->length);
    }
    l->shown += (unsigned)step;
    set_text(l, l->shown == l->entered ? l->draft : l->history[l->shown % LINE_HISTORY_SIZE]);
}

static void move_left(struct line *l) {
    l->cursor -= l->cursor != 0;
}
static void move_right(struct line *l) {
    l->cursor += l->cursor < l->length;
}
static void move_home(struct line *l) {
    l->cursor = 0;
}
static void move_end(struct line *l) {
    l->cursor = l->length;
}
static void older(struct line *l) {
    browse(l, -1);
}
static void newer(struct line *l) {
    browse(l, 1);
}
static void delete_here(struct line *l) {
    take_out(l, l->cursor < l->length);
}
static void delete_before(struct line *l) {
    take_out_before(l, l->cursor != 0);
}
static void delete_word(struct line *l) {
    take_out_before(l, word_before(l));
}
static void delete_to_end(struct line *l) {
    take_out(l, l->length - l->cursor);
}
static void delete_all(struct line *l) {
    set_text(l, "");
    l->shown = l->entered;
}

struct line_action {
    uint8_t key; /* a byte, the end of a sequence, or the number before its '~' */
    void (*act)(struct line *l);
};

static const struct line_action control_keys[] = {
    {CTRL('A'), move_home},      {CTRL('B'), move_left},     {CTRL('C'), delete_all},
    {CTRL('D'), delete_here},    {CTRL('E'), move_end},      {CTRL('F'), move_right},
    {CTRL('H'), delete_before},  {CTRL('K'), delete_to_end}, {CTRL('N'), newer},
    {CTRL('P'), older},          {CTRL('U'), delete_all},    {CTRL('W'), delete_word},
    {KEY_DELETE, delete_before},
};

static const struct line_action sequence_ends[] = {
    {'A', older},     {'B', newer},    {'C', move_right},
    {'D', move_left}, {'F', move_end}, {'H', move_home},
};

static const struct line_action numbered_keys[] = {
    {1, move_home}, {3, delete_here}, {4, move_end}, {7, move_home}, {8, move_end},
};

static void act_on(struct line *l, const struct line_action *actions, size_t count, unsigned key) {
    for (size_t i = 0; i < count; i++) {
        if (actions[i].key == key) {
            actions[i].act(l);
            return;
        }
    }
}

/* A byte of a sequence: digits, then one that ends it. Modifiers after a ';' do not matter here. */
static void sequence_key(struct line *l, uint8_t key) {
    bool digit = key >= '0' && key <= '9';

    if (digit) {
        unsigned value = l->parameter * 10 + key - '0';
        l->parameter = (unsigned)min_u64(value, PARAMETER_MAX);
        return;
    }
    if (key < 0x40) {
        return; /* another parameter, or one of a private kind */
    }
    l->state = STATE_PLAIN;
    if (key == '~') {
        act_on(l, numbered_keys, ARRAY_SIZE(numbered_keys), l->parameter);
    } else {
        act_on(l, sequence_ends, ARRAY_SIZE(sequence_ends), key);
    }
}

bool line_key(struct line *l, uint8_t key) {
    bool begins = l->state == STATE_ESCAPE && (key == '[' || key == 'O');

    if (begins) {
        l->state = STATE_SEQUENCE;
        l->parameter = 0;
        return false;
    }
    if (key == KEY_ESCAPE) {
        l->state = STATE_ESCAPE;
        return false;
    }
    if (l->state == STATE_SEQUENCE && key >= ' ') {
        sequence_key(l, key);
        return false;
    }
    l->state = STATE_PLAIN;
    if (key == '\r' || (key == '\n' && l->length != 0)) { /* once if it is CR LF */
        return true;
    }
    if (key >= ' ' && key < KEY_DELETE) {
        insert(l, (char)key);
    } else {
        act_on(l, control_keys, ARRAY_SIZE(control_keys), key);
    }
    return false;
}

void line_insert(struct line *l, const char *text) {
    for (; *text != '\0'; text++) {
        insert(l, *text);
    }
}

void line_next(struct line *l) {
    const char *last = l->history[(l->entered - 1) % LINE_HISTORY_SIZE];
    bool same = l->entered != 0 && str_equal(last, l->text);

    if (l->length != 0 && !same) {
        char *slot = l->history[l->entered % LINE_HISTORY_SIZE];
        (void)str_copy_n(slot, LINE_SIZE, l->text, l->length);
        l->entered++;
    }
    delete_all(l);
}
