/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is printed on keyboards: keys as HID usages, and the characters on them by layout. Plain
 * data. Used by keys.c. Source: USB HID Usage Tables, "Keyboard/Keypad Page (0x07)".
 */
#pragma once

#include "hv/plan/config.h"

/* Keys by what stands on them in the US; those between are in the order of the source. */
enum key {
    KEY_NONE = 0x00, /* up to here: what a keyboard says when too many are pressed, and so on */
    KEY_ERROR_LAST = 0x03,
    KEY_A = 0x04,
    KEY_Z = 0x1d,
    KEY_1 = 0x1e,
    KEY_0 = 0x27,
    KEY_ENTER = 0x28,
    KEY_ESCAPE = 0x29,
    KEY_BACKSPACE = 0x2a,
    KEY_TAB = 0x2b,
    KEY_SPACE = 0x2c,
    KEY_MINUS = 0x2d,
    KEY_EQUALS = 0x2e,
    KEY_BRACKET = 0x2f,
    KEY_BRACKET_END = 0x30,
    KEY_BACKSLASH = 0x31,
    KEY_HASH = 0x32, /* not in the US: beside Enter */
    KEY_SEMICOLON = 0x33,
    KEY_QUOTE = 0x34,
    KEY_GRAVE = 0x35,
    KEY_COMMA = 0x36,
    KEY_DOT = 0x37,
    KEY_SLASH = 0x38,
    KEY_CAPS_LOCK = 0x39,
    KEY_F1 = 0x3a,
    KEY_F10 = 0x43,
    KEY_F11 = 0x44,
    KEY_F12 = 0x45,
    KEY_INSERT = 0x49,
    KEY_HOME = 0x4a,
    KEY_PAGE_UP = 0x4b,
    KEY_DELETE = 0x4c,
    KEY_END = 0x4d,
    KEY_PAGE_DOWN = 0x4e,
    KEY_RIGHT = 0x4f,
    KEY_LEFT = 0x50,
    KEY_DOWN = 0x51,
    KEY_UP = 0x52,
    KEY_NUM_LOCK = 0x53,
    KEY_PAD_SLASH = 0x54,
    KEY_PAD_STAR = 0x55,
    KEY_PAD_MINUS = 0x56,
    KEY_PAD_PLUS = 0x57,
    KEY_PAD_ENTER = 0x58,
    KEY_PAD_1 = 0x59,
    KEY_PAD_0 = 0x62,
    KEY_PAD_DOT = 0x63,
    KEY_ANGLE = 0x64, /* not in the US: beside the left shift */
    KEY_LEFT_CTRL = 0xe0,
    KEY_LEFT_SHIFT = 0xe1,
    KEY_LEFT_ALT = 0xe2,
    KEY_LEFT_GUI = 0xe3,
    KEY_RIGHT_CTRL = 0xe4,
    KEY_RIGHT_SHIFT = 0xe5,
    KEY_RIGHT_ALT = 0xe6,
    KEY_RIGHT_GUI = 0xe7,
};

enum keymap_level { KEYMAP_PLAIN, KEYMAP_SHIFT, KEYMAP_ALTGR, KEYMAP_LEVELS };

/* The character on a key, Unicode below 10000h; 0 if there is none, for any key. */
uint16_t keymap_character(enum config_keyboard layout, uint8_t key, enum keymap_level level);
