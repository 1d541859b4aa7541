/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See keymap.h. */
#include "hv/monitor/keymap.h"

struct keymap_key {
    uint8_t key;
    uint16_t on[KEYMAP_LEVELS];
};

/* The US layout; of another one, where it differs. A key that is in neither has no character. */
static const struct keymap_key us[] = {
    {0x04, {'a', 'A'}},
    {0x05, {'b', 'B'}},
    {0x06, {'c', 'C'}},
    {0x07, {'d', 'D'}},
    {0x08, {'e', 'E'}},
    {0x09, {'f', 'F'}},
    {0x0a, {'g', 'G'}},
    {0x0b, {'h', 'H'}},
    {0x0c, {'i', 'I'}},
    {0x0d, {'j', 'J'}},
    {0x0e, {'k', 'K'}},
    {0x0f, {'l', 'L'}},
    {0x10, {'m', 'M'}},
    {0x11, {'n', 'N'}},
    {0x12, {'o', 'O'}},
    {0x13, {'p', 'P'}},
    {0x14, {'q', 'Q'}},
    {0x15, {'r', 'R'}},
    {0x16, {'s', 'S'}},
    {0x17, {'t', 'T'}},
    {0x18, {'u', 'U'}},
    {0x19, {'v', 'V'}},
    {0x1a, {'w', 'W'}},
    {0x1b, {'x', 'X'}},
    {0x1c, {'y', 'Y'}},
    {0x1d, {'z', 'Z'}},
    {0x1e, {'1', '!'}},
    {0x1f, {'2', '@'}},
    {0x20, {'3', '#'}},
    {0x21, {'4', '$'}},
    {0x22, {'5', '%'}},
    {0x23, {'6', '^'}},
    {0x24, {'7', '&'}},
    {0x25, {'8', '*'}},
    {0x26, {'9', '('}},
    {0x27, {'0', ')'}},
    {KEY_SPACE, {' ', ' ', ' '}},
    {KEY_MINUS, {'-', '_'}},
    {KEY_EQUALS, {'=', '+'}},
    {KEY_BRACKET, {'[', '{'}},
    {KEY_BRACKET_END, {']', '}'}},
    {KEY_BACKSLASH, {'\\', '|'}},
    {KEY_HASH, {'\\', '|'}},
    {KEY_SEMICOLON, {';', ':'}},
    {KEY_QUOTE, {'\'', '"'}},
    {KEY_GRAVE, {'`', '~'}},
    {KEY_COMMA, {',', '<'}},
    {KEY_DOT, {'.', '>'}},
    {KEY_SLASH, {'/', '?'}},
    {KEY_ANGLE, {'<', '>', '|'}},
};

/* Accents are characters of their own: a console has no use for keys that wait for a letter. */
static const struct keymap_key de[] = {
    {0x08, {'e', 'E', 0x20ac}}, /* euro */
    {0x10, {'m', 'M', 0xb5}},   /* micro */
    {0x14, {'q', 'Q', '@'}},
    {0x1c, {'z', 'Z'}},
    {0x1d, {'y', 'Y'}},
    {0x1e, {'1', '!'}},
    {0x1f, {'2', '"', 0xb2}},  /* squared */
    {0x20, {'3', 0xa7, 0xb3}}, /* section, cubed */
    {0x21, {'4', '$'}},
    {0x22, {'5', '%'}},
    {0x23, {'6', '&'}},
    {0x24, {'7', '/', '{'}},
    {0x25, {'8', '(', '['}},
    {0x26, {'9', ')', ']'}},
    {0x27, {'0', '=', '}'}},
    {KEY_MINUS, {0xdf, '?', '\\'}}, /* sharp s */
    {KEY_EQUALS, {0xb4, '`'}},      /* acute */
    {KEY_BRACKET, {0xfc, 0xdc}},    /* u with two dots */
    {KEY_BRACKET_END, {'+', '*', '~'}},
    {KEY_BACKSLASH, {'#', '\''}},
    {KEY_HASH, {'#', '\''}},
    {KEY_SEMICOLON, {0xf6, 0xd6}}, /* o with two dots */
    {KEY_QUOTE, {0xe4, 0xc4}},     /* a with two dots */
    {KEY_GRAVE, {'^', 0xb0}},      /* degree */
    {KEY_COMMA, {',', ';'}},
    {KEY_DOT, {'.', ':'}},
    {KEY_SLASH, {'-', '_'}},
};

static const struct keymap_key uk[] = {
    {0x1f, {'2', '"'}},          {0x20, {'3', 0xa3}}, /* pound */
    {0x21, {'4', '$', 0x20ac}},                       /* euro */
    {KEY_BACKSLASH, {'#', '~'}}, {KEY_HASH, {'#', '~'}},
    {KEY_QUOTE, {'\'', '@'}},    {KEY_GRAVE, {'`', 0xac, 0xa6}}, /* not, broken bar */
    {KEY_ANGLE, {'\\', '|'}},
};

static const struct {
    const struct keymap_key *keys;
    size_t count;
} layouts[] = {
    [KEYBOARD_US] = {us, ARRAY_SIZE(us)},
    [KEYBOARD_DE] = {de, ARRAY_SIZE(de)},
    [KEYBOARD_UK] = {uk, ARRAY_SIZE(uk)},
};

static const struct keymap_key *keymap_find(enum config_keyboard layout, uint8_t key) {
    for (size_t i = 0; i < layouts[layout].count; i++) {
        if (layouts[layout].keys[i].key == key) {
            return &layouts[layout].keys[i];
        }
    }
    return NULL;
}

uint16_t keymap_character(enum config_keyboard layout, uint8_t key, enum keymap_level level) {
    const struct keymap_key *found = keymap_find(layout, key);
    if (found == NULL) {
        found = keymap_find(KEYBOARD_US, key);
    }
    return found != NULL ? found->on[level] : 0;
}
