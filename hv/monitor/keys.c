/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See keys.h. The sequences are xterm's, and so the Linux console's but for Home, End and F1-F5. */
#include "hv/monitor/keys.h"

#include "hv/monitor/keymap.h"
#include "hv/vm/plat.h"

#define ESCAPE  0x1bu
#define DELETE  0x7fu /* what a terminal's Backspace sends */
#define CONTROL 0x1fu /* the bits of a character that Ctrl leaves */

#define HELD(key)  BIT32((key)-KEY_LEFT_CTRL)
#define HELD_CTRL  (HELD(KEY_LEFT_CTRL) | HELD(KEY_RIGHT_CTRL))
#define HELD_SHIFT (HELD(KEY_LEFT_SHIFT) | HELD(KEY_RIGHT_SHIFT))
#define HELD_ALT   HELD(KEY_LEFT_ALT)
#define HELD_ALTGR HELD(KEY_RIGHT_ALT)

enum { LOCK_CAPS = BIT32(0), LOCK_NUM = BIT32(1) };

static SEALED enum config_keyboard layout;
static uint32_t held;              /* modifiers */
static uint32_t locks, locks_held; /* and whose key is down: one that repeats is pressed once */

/* What the others send. */
static const char *const sequences[] = {
    [KEY_ENTER] = "\r",        [KEY_ESCAPE] = "\x1b",
    [KEY_BACKSPACE] = "\x7f",  [KEY_TAB] = "\t",
    [KEY_F1] = "\x1bOP",       [KEY_F1 + 1] = "\x1bOQ",
    [KEY_F1 + 2] = "\x1bOR",   [KEY_F1 + 3] = "\x1bOS",
    [KEY_F1 + 4] = "\x1b[15~", [KEY_F1 + 5] = "\x1b[17~",
    [KEY_F1 + 6] = "\x1b[18~", [KEY_F1 + 7] = "\x1b[19~",
    [KEY_F1 + 8] = "\x1b[20~", [KEY_F10] = "\x1b[21~",
    [KEY_F11] = "\x1b[23~",    [KEY_F12] = "\x1b[24~",
    [KEY_INSERT] = "\x1b[2~",  [KEY_HOME] = "\x1b[H",
    [KEY_PAGE_UP] = "\x1b[5~", [KEY_DELETE] = "\x1b[3~",
    [KEY_END] = "\x1b[F",      [KEY_PAGE_DOWN] = "\x1b[6~",
    [KEY_RIGHT] = "\x1b[C",    [KEY_LEFT] = "\x1b[D",
    [KEY_DOWN] = "\x1b[B",     [KEY_UP] = "\x1b[A",
    [KEY_PAD_ENTER] = "\r",
};

/* The keypad, from KEY_PAD_SLASH on: its characters, and what the keys are without the lock. */
static const struct {
    char character;
    uint8_t unlocked; /* KEY_NONE: the character all the same */
} pad[] = {
    {'/', KEY_NONE},       {'*', KEY_NONE},    {'-', KEY_NONE},   {'+', KEY_NONE},
    {'\0', KEY_PAD_ENTER}, {'1', KEY_END},     {'2', KEY_DOWN},   {'3', KEY_PAGE_DOWN},
    {'4', KEY_LEFT},       {'5', KEY_NONE},    {'6', KEY_RIGHT},  {'7', KEY_HOME},
    {'8', KEY_UP},         {'9', KEY_PAGE_UP}, {'0', KEY_INSERT}, {'.', KEY_DELETE},
};
_Static_assert(ARRAY_SIZE(pad) == KEY_PAD_DOT - KEY_PAD_SLASH + 1, "a row for each key");

void keys_init(enum config_keyboard of_config) {
    layout = of_config;
    held = 0;
    locks = LOCK_NUM; /* as firmware leaves it */
    locks_held = 0;
}

static void keys_send(const char *text) {
    for (; *text != '\0'; text++) {
        hv_console_input((uint8_t)*text);
    }
}

/* In UTF-8; Alt puts ESC before it, Ctrl makes a control character of what has one. */
static void keys_send_character(uint16_t c) {
    bool controls = c == ' ' || (c >= '@' && c < DELETE);

    if ((held & HELD_ALT) != 0) {
        hv_console_input(ESCAPE);
    }
    if (c >= 0x800) {
        hv_console_input((uint8_t)(0xe0 | c >> 12));
        hv_console_input((uint8_t)(0x80 | (c >> 6 & 0x3f)));
        hv_console_input((uint8_t)(0x80 | (c & 0x3f)));
    } else if (c >= 0x80) {
        hv_console_input((uint8_t)(0xc0 | c >> 6));
        hv_console_input((uint8_t)(0x80 | (c & 0x3f)));
    } else if (controls && (held & HELD_CTRL) != 0) {
        hv_console_input((uint8_t)c & CONTROL);
    } else {
        hv_console_input((uint8_t)c);
    }
}

/* Caps Lock is for letters: keys that have one in both sizes. */
static bool keys_is_letter(uint8_t key) {
    uint16_t small = keymap_character(layout, key, KEYMAP_PLAIN);
    uint16_t capital = keymap_character(layout, key, KEYMAP_SHIFT);
    return small >= 'a' && capital == small - 0x20;
}

/* A key with a character on it. Without one on its third level, AltGr counts for nothing. */
static uint16_t keys_character(uint8_t key) {
    bool shift = (held & HELD_SHIFT) != 0;
    uint16_t c = 0;

    if ((held & HELD_ALTGR) != 0) {
        c = keymap_character(layout, key, KEYMAP_ALTGR);
    }
    if ((locks & LOCK_CAPS) != 0 && keys_is_letter(key)) {
        shift = !shift;
    }
    if (c == 0) {
        c = keymap_character(layout, key, shift ? KEYMAP_SHIFT : KEYMAP_PLAIN);
    }
    return c;
}

/* What a key of the keypad stands for: a character in *c, or else another key. */
static uint8_t keys_unlock(uint8_t key, uint16_t *c) {
    if (key < KEY_PAD_SLASH || key > KEY_PAD_DOT) {
        return key;
    }
    unsigned i = key - KEY_PAD_SLASH;
    bool locked = (locks & LOCK_NUM) != 0 && (held & HELD_SHIFT) == 0;
    if (pad[i].character != '\0' && (locked || pad[i].unlocked == KEY_NONE)) {
        *c = (uint8_t)pad[i].character;
    }
    return pad[i].unlocked;
}

static void keys_press(uint8_t pressed) {
    uint16_t c = 0;
    uint8_t key = keys_unlock(pressed, &c);

    c = c != 0 ? c : keys_character(key);
    if (c != 0) {
        keys_send_character(c);
    } else if (key == KEY_TAB && (held & HELD_SHIFT) != 0) {
        keys_send("\x1b[Z");
    } else if (key < ARRAY_SIZE(sequences) && sequences[key] != NULL) {
        keys_send(sequences[key]);
    }
}

static void keys_lock(uint32_t lock, bool pressed) {
    if (pressed && (locks_held & lock) == 0) {
        locks ^= lock;
    }
    locks_held = pressed ? locks_held | lock : locks_held & ~lock;
}

void hv_console_key(uint8_t key, bool pressed) {
    if (key >= KEY_LEFT_CTRL && key <= KEY_RIGHT_GUI) {
        held = pressed ? held | HELD(key) : held & ~HELD(key);
    } else if (key == KEY_CAPS_LOCK) {
        keys_lock(LOCK_CAPS, pressed);
    } else if (key == KEY_NUM_LOCK) {
        keys_lock(LOCK_NUM, pressed);
    } else if (pressed) {
        keys_press(key);
    }
}
