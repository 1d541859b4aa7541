/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys of a keyboard become what a terminal would send, by layout, modifiers and locks.
 */
#include "hv/monitor/keymap.h"
#include "hv/monitor/keys.h"
#include "hv/vm/plat.h"
#include "test.h"

static char sent[64];
static size_t sent_count;

void hv_console_input(uint8_t byte) {
    ASSERT(sent_count < sizeof(sent) - 1);
    sent[sent_count++] = (char)byte;
    sent[sent_count] = '\0';
}

static void start(enum config_keyboard layout) {
    sent_count = 0;
    sent[0] = '\0';
    keys_init(layout);
}

static void tap(uint8_t key) {
    hv_console_key(key, true);
    hv_console_key(key, false);
}

/* What this key sends, with one or two others held. */
static const char *with(uint8_t first, uint8_t second, uint8_t key) {
    sent_count = 0;
    sent[0] = '\0';
    hv_console_key(first, true);
    hv_console_key(second, true);
    tap(key);
    hv_console_key(second, false);
    hv_console_key(first, false);
    return sent;
}

static const char *plain(uint8_t key) {
    return with(KEY_NONE, KEY_NONE, key);
}

static const char *shifted(uint8_t key) {
    return with(KEY_LEFT_SHIFT, KEY_NONE, key);
}

TEST(us) {
    start(KEYBOARD_US);
    CHECK_STR(plain(KEY_A), "a");
    CHECK_STR(shifted(KEY_A), "A");
    CHECK_STR(with(KEY_RIGHT_SHIFT, KEY_NONE, KEY_Z), "Z");
    CHECK_STR(plain(KEY_0), "0");
    CHECK_STR(shifted(KEY_1 + 1), "@");
    CHECK_STR(plain(KEY_BACKSLASH), "\\");
    CHECK_STR(shifted(KEY_GRAVE), "~");
    CHECK_STR(plain(KEY_SPACE), " ");
    CHECK_STR(with(KEY_RIGHT_ALT, KEY_NONE, KEY_A), "a"); /* nothing on its third level */
}

TEST(de) {
    start(KEYBOARD_DE);
    CHECK_STR(plain(KEY_Z), "y");
    CHECK_STR(shifted(KEY_Z - 1), "Z");
    CHECK_STR(plain(KEY_SEMICOLON), "\xc3\xb6");
    CHECK_STR(shifted(KEY_QUOTE), "\xc3\x84");
    CHECK_STR(shifted(KEY_1 + 2), "\xc2\xa7");
    CHECK_STR(with(KEY_RIGHT_ALT, KEY_NONE, 0x14), "@");
    CHECK_STR(with(KEY_RIGHT_ALT, KEY_NONE, 0x08), "\xe2\x82\xac");
    CHECK_STR(with(KEY_RIGHT_ALT, KEY_NONE, KEY_ANGLE), "|"); /* as in the US table */
    CHECK_STR(plain(KEY_SLASH), "-");
    CHECK_STR(with(KEY_LEFT_CTRL, KEY_RIGHT_ALT, 0x26), "\x1d"); /* Ctrl-] */
}

TEST(uk) {
    start(KEYBOARD_UK);
    CHECK_STR(shifted(KEY_1 + 2), "\xc2\xa3");
    CHECK_STR(plain(KEY_HASH), "#");
    CHECK_STR(plain(KEY_ANGLE), "\\");
    CHECK_STR(plain(KEY_A), "a");
}

/* All keys of the main block in order, with those two held. */
static const char *rows(uint8_t first, uint8_t second) {
    static char all[256];
    all[0] = '\0';
    for (uint8_t key = KEY_A; key <= KEY_ANGLE; key++) {
        bool types = key <= KEY_0 || (key >= KEY_MINUS && key <= KEY_SLASH) || key == KEY_ANGLE;
        strcat(all, types ? with(first, second, key) : "");
    }
    return all;
}

TEST(whole_layouts) {
    start(KEYBOARD_US);
    CHECK_STR(rows(KEY_NONE, KEY_NONE), "abcdefghijklmnopqrstuvwxyz1234567890-=[]\\\\;'`,./<");
    CHECK_STR(rows(KEY_LEFT_SHIFT, KEY_NONE), "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()_+{}||:\"~<>?>");
    CHECK_STR(rows(KEY_RIGHT_ALT, KEY_NONE), "abcdefghijklmnopqrstuvwxyz1234567890-=[]\\\\;'`,./|");
    start(KEYBOARD_DE);
    CHECK_STR(
        rows(KEY_NONE, KEY_NONE),
        "abcdefghijklmnopqrstuvwxzy1234567890\xc3\x9f\xc2\xb4\xc3\xbc+##\xc3\xb6\xc3\xa4^,.-<");
    CHECK_STR(
        rows(KEY_LEFT_SHIFT, KEY_NONE),
        "ABCDEFGHIJKLMNOPQRSTUVWXZY!\"\xc2\xa7$%&/()=?`\xc3\x9c*''\xc3\x96\xc3\x84\xc2\xb0;:_>");
    CHECK_STR(rows(KEY_RIGHT_ALT, KEY_NONE), "abcd\xe2\x82\xac"
                                             "fghijkl\xc2\xb5nop@rstuvwxzy1\xc2\xb2\xc2\xb3"
                                             "456{[]}\\\xc2\xb4\xc3\xbc~##\xc3\xb6\xc3\xa4^,.-|");
    start(KEYBOARD_UK);
    CHECK_STR(rows(KEY_NONE, KEY_NONE), "abcdefghijklmnopqrstuvwxyz1234567890-=[]##;'`,./\\");
    CHECK_STR(rows(KEY_LEFT_SHIFT, KEY_NONE),
              "ABCDEFGHIJKLMNOPQRSTUVWXYZ!\"\xc2\xa3$%^&*()_+{}~~:@\xc2\xac<>?|");
    CHECK_STR(rows(KEY_RIGHT_ALT, KEY_NONE), "abcdefghijklmnopqrstuvwxyz123\xe2\x82\xac"
                                             "567890-=[]##;'\xc2\xa6,./\\");
}

TEST(control_and_alt) {
    start(KEYBOARD_US);
    CHECK_STR(with(KEY_LEFT_CTRL, KEY_NONE, 0x06), "\x03");
    CHECK_STR(with(KEY_RIGHT_CTRL, KEY_NONE, KEY_BRACKET_END), "\x1d");
    CHECK_STR(with(KEY_LEFT_CTRL, KEY_LEFT_SHIFT, KEY_MINUS), "\x1f");
    CHECK_STR(with(KEY_LEFT_CTRL, KEY_NONE, KEY_1), "1"); /* has none */
    (void)with(KEY_LEFT_CTRL, KEY_NONE, KEY_SPACE);
    CHECK_U64(sent_count, 1);
    CHECK_U64(sent[0], 0);
    CHECK_STR(with(KEY_LEFT_ALT, KEY_NONE, KEY_A), "\x1b"
                                                   "a");
    CHECK_STR(with(KEY_LEFT_GUI, KEY_RIGHT_GUI, KEY_A), "a");
}

TEST(caps_lock_is_for_letters) {
    start(KEYBOARD_DE);
    hv_console_key(KEY_CAPS_LOCK, true);
    hv_console_key(KEY_CAPS_LOCK, true); /* it repeats */
    hv_console_key(KEY_CAPS_LOCK, false);
    CHECK_STR(plain(KEY_A), "A");
    CHECK_STR(shifted(KEY_A), "a");
    CHECK_STR(plain(KEY_QUOTE), "\xc3\x84");
    CHECK_STR(plain(KEY_1), "1");
    CHECK_STR(plain(KEY_MINUS), "\xc3\x9f"); /* sharp s has no capital on its key */
    tap(KEY_CAPS_LOCK);
    CHECK_STR(plain(KEY_A), "a");
}

TEST(keypad) {
    start(KEYBOARD_US);
    CHECK_STR(plain(KEY_PAD_1), "1");
    CHECK_STR(plain(KEY_PAD_0), "0");
    CHECK_STR(plain(KEY_PAD_DOT), ".");
    CHECK_STR(plain(KEY_PAD_ENTER), "\r");
    CHECK_STR(shifted(KEY_PAD_1 + 7), "\x1b[A");
    tap(KEY_NUM_LOCK);
    CHECK_STR(plain(KEY_PAD_1), "\x1b[F");
    CHECK_STR(plain(KEY_PAD_1 + 4), "5");
    CHECK_STR(plain(KEY_PAD_PLUS), "+");
    CHECK_STR(plain(KEY_PAD_SLASH), "/");
    CHECK_STR(plain(KEY_PAD_DOT), "\x1b[3~");
}

TEST(others) {
    static const struct {
        uint8_t key;
        const char *text;
    } rows[] = {
        {KEY_ENTER, "\r"},        {KEY_ESCAPE, "\x1b"},       {KEY_BACKSPACE, "\x7f"},
        {KEY_TAB, "\t"},          {KEY_UP, "\x1b[A"},         {KEY_DOWN, "\x1b[B"},
        {KEY_RIGHT, "\x1b[C"},    {KEY_LEFT, "\x1b[D"},       {KEY_HOME, "\x1b[H"},
        {KEY_END, "\x1b[F"},      {KEY_INSERT, "\x1b[2~"},    {KEY_DELETE, "\x1b[3~"},
        {KEY_PAGE_UP, "\x1b[5~"}, {KEY_PAGE_DOWN, "\x1b[6~"}, {KEY_F1, "\x1bOP"},
        {KEY_F1 + 1, "\x1bOQ"},   {KEY_F1 + 2, "\x1bOR"},     {KEY_F1 + 3, "\x1bOS"},
        {KEY_F1 + 4, "\x1b[15~"}, {KEY_F1 + 5, "\x1b[17~"},   {KEY_F1 + 6, "\x1b[18~"},
        {KEY_F1 + 7, "\x1b[19~"}, {KEY_F1 + 8, "\x1b[20~"},   {KEY_F10, "\x1b[21~"},
        {KEY_F11, "\x1b[23~"},    {KEY_F12, "\x1b[24~"},      {KEY_PAD_ENTER, "\r"},
    };
    start(KEYBOARD_US);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_STR(plain(rows[i].key), rows[i].text);
    }
    CHECK_STR(shifted(KEY_TAB), "\x1b[Z");
}

/* A key sends when it goes down, each time if it repeats, and nothing when it comes up. */
TEST(down_and_up) {
    start(KEYBOARD_US);
    hv_console_key(KEY_A, true);
    CHECK_STR(sent, "a");
    hv_console_key(KEY_A, true);
    CHECK_STR(sent, "aa");
    hv_console_key(KEY_A, false);
    CHECK_STR(sent, "aa");
}

/* Any number may come from a device. */
TEST(no_key_sends_more_than_a_sequence) {
    static const uint8_t holds[] = {KEY_NONE, KEY_LEFT_SHIFT, KEY_RIGHT_ALT, KEY_LEFT_CTRL,
                                    KEY_LEFT_ALT};
    for (unsigned layout = KEYBOARD_US; layout <= KEYBOARD_UK; layout++) {
        start((enum config_keyboard)layout);
        for (unsigned i = 0; i < ARRAY_SIZE(holds) * 256; i++) {
            uint8_t key = (uint8_t)i;
            bool silent = key <= KEY_ERROR_LAST || key > KEY_ANGLE;
            (void)with(holds[i / 256], KEY_NONE, key);
            CHECK(sent_count <= 6 && (!silent || sent_count == 0));
        }
    }
}

/* Keys that were down, and locks that were on. */
TEST(a_start_forgets_what_is_held) {
    start(KEYBOARD_US);
    hv_console_key(KEY_LEFT_CTRL, true);
    hv_console_key(KEY_CAPS_LOCK, true);
    hv_console_key(KEY_NUM_LOCK, true);
    start(KEYBOARD_US);
    CHECK_STR(plain(KEY_A), "a");
    CHECK_STR(plain(KEY_PAD_1), "1");
    hv_console_key(KEY_CAPS_LOCK, true); /* it is pressed, and does not repeat */
    CHECK_STR(plain(KEY_A), "A");
}

TEST_MAIN(T(a_start_forgets_what_is_held), T(us), T(de), T(uk), T(whole_layouts),
          T(control_and_alt), T(caps_lock_is_for_letters), T(keypad), T(others),
          T(no_key_sends_more_than_a_sequence), T(down_and_up))
