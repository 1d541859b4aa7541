/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text on the firmware's console: formatted, coloured, a page at a time if asked. The firmware
 * shows it on the screen and, where it has one, on its serial console. Called by all of boot/
 * while boot services are alive, never after.
 */
#include "boot/boot.h"
#include "config/utf8.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

#define KEY_TICKS 50u /* so many times a second the keyboard is looked at */

bool console_paged;

static UINTN rows = 25, columns = 80;

static char kept[CONSOLE_KEPT];
static size_t kept_length;

/* What does not fit is left out whole, and so is the progress that a file's reading makes. */
static void keep(const char *text) {
    size_t length = strlen(text);
    if (text[0] != '\r' && length <= sizeof(kept) - kept_length) {
        memcpy(kept + kept_length, text, length);
        kept_length += length;
    }
}

const char *console_kept(size_t *length) {
    *length = kept_length;
    return kept;
}

void console_note(const char *format, ...) {
    char text[512];
    FMT_ARGUMENTS(text, format);
    keep(text);
}

void console_init(void) {
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = ST->ConOut;
    out->QueryMode(out, (UINTN)out->Mode->Mode, &columns, &rows);
    out->SetAttribute(out, EFI_TEXT_ATTR(EFI_LIGHTGRAY, EFI_BLACK));
    out->ClearScreen(out);
}

/* One character, after a pause if it begins the last row: the next one would scroll. */
static void put(CHAR16 c) {
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = ST->ConOut;
    if (console_paged && out->Mode->CursorColumn == 0 && out->Mode->CursorRow == (INT32)rows - 1) {
        out->OutputString(out, L"-- more: press a key --");
        console_wait_key();
        out->ClearScreen(out);
    }
    CHAR16 text[] = {c, c == '\n' ? '\r' : 0, 0};
    if (c > '~' && out->TestString(out, text) != EFI_SUCCESS) { /* a letter that it cannot draw */
        text[0] = '?';
    }
    out->OutputString(out, text);
}

/* Whether the word behind a blank, or the first of a text, is one that the rest of the row has no
 * room for, but the next row has; padding counts as a word without letters. The last column stays
 * free: behind it some firmware begins the next row by itself. */
static bool is_cut_off(const char *word, const char *end, UINTN column) {
    UINTN length = 0;

    if (column == 0 || word == end || *word == '\n') {
        return false;
    }
    while (word + length < end && word[length] != ' ' && word[length] != '\n') {
        length++; /* bytes: of letters beyond ASCII too many, which does no harm */
    }
    return column + length >= columns && (length < columns || column >= columns);
}

void console_print(enum console_colour colour, const char *format, ...) {
    char text[512];
    FMT_ARGUMENTS(text, format);
    keep(text);
    ST->ConOut->SetAttribute(ST->ConOut, EFI_TEXT_ATTR((UINTN)colour, EFI_BLACK));
    const char *end = text + strlen(text);
    for (const char *at = text; at < end;) {
        uint32_t code = 0;
        unsigned length = utf8_decode(at, end, &code);
        bool control = code < ' ' && code != '\n' && code != '\r';
        UINTN column = (UINTN)ST->ConOut->Mode->CursorColumn;
        if (at == text && *at > ' ' && is_cut_off(at, end, column)) {
            put('\n');
        }
        bool known = length != 0 && code <= UINT16_MAX && !control && code != '\177';
        if (*at == ' ' && is_cut_off(at + 1, end, column + 1)) {
            code = '\n';
        }
        put(known ? (CHAR16)code : '?');
        at += max_u64(length, 1);
    }
}

CHAR16 console_key(void) {
    EFI_INPUT_KEY key;

    if (ST->ConIn->ReadKeyStroke(ST->ConIn, &key) != EFI_SUCCESS) {
        return 0;
    }
    return key.UnicodeChar != 0 ? key.UnicodeChar : L'?';
}

void console_forget_keys(void) {
    while (console_key() != 0) {
    }
}

CHAR16 console_wait_key_for(uint32_t seconds) {
    for (uint64_t tick = 0; tick < (uint64_t)seconds * KEY_TICKS; tick++) {
        CHAR16 key = console_key();
        if (key != 0) {
            return key;
        }
        BS->Stall(1000000 / KEY_TICKS);
    }
    return 0;
}

void console_wait_key(void) {
    console_forget_keys();
    while (console_wait_key_for(UINT32_MAX) == 0) {
    }
}

/* The end of a failed ASSERT inside the EFI application. */
NORETURN void assert_failed(const char *expression, const char *file, unsigned line) {
    console_print(CONSOLE_BAD,
                  "\nBulkhead has a bug: %s:%u: %s does not hold. Stopped." MSG(2006) "\n", file,
                  line, expression);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
