/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text on the firmware's console: formatted, coloured, a page at a time if asked. The firmware
 * shows it on the screen and, where it has one, on its serial console. Called by all of boot/
 * while boot services are alive, never after.
 */
#include "boot/boot.h"
#include "hv/lib/fmt.h"

#define LINE_MAX 512

static const UINTN colours[] = {
    [CONSOLE_PLAIN] = EFI_LIGHTGRAY,
    [CONSOLE_GOOD] = EFI_LIGHTGREEN,
    [CONSOLE_WARN] = EFI_YELLOW,
    [CONSOLE_BAD] = EFI_LIGHTRED,
};

static struct {
    unsigned rows, columns;
    unsigned shown;  /* rows filled since the screen was last seen whole */
    unsigned column; /* of the cursor */
    bool paged;
} console;

void console_init(void) {
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = firmware.table->ConOut;
    UINTN columns = 0, rows = 0;
    if (out->QueryMode(out, (UINTN)out->Mode->Mode, &columns, &rows) != EFI_SUCCESS ||
        columns < 20 || rows < 5) {
        columns = 80;
        rows = 25;
    }
    console.columns = (unsigned)columns;
    console.rows = (unsigned)rows;
    out->SetAttribute(out, EFI_TEXT_ATTR(EFI_LIGHTGRAY, EFI_BLACK));
    out->ClearScreen(out);
}

static void put_ascii(const char *text) {
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = firmware.table->ConOut;
    CHAR16 wide[64];
    while (*text != '\0') {
        unsigned n = 0;
        for (; *text != '\0' && n < ARRAY_SIZE(wide) - 2; text++) {
            if (*text == '\n') {
                wide[n++] = '\r';
            }
            bool shown = (*text >= ' ' && *text <= '~') || *text == '\n' || *text == '\r';
            wide[n++] = (CHAR16)(shown ? *text : '?');
        }
        wide[n] = 0;
        out->OutputString(out, wide);
    }
}

static void row_filled(void) {
    console.column = 0;
    console.shown++;
    if (console.paged && console.shown >= console.rows - 1) {
        put_ascii("-- more: press a key --");
        console_wait_key();
        put_ascii("\r                       \r");
        console.shown = 0;
    }
}

/* Prints up to and with the next line end or screen edge; returns how much that was. */
static size_t put_row(const char *text) {
    char row[LINE_MAX];
    size_t n = 0;
    bool full = false;
    while (text[n] != '\0' && n < sizeof(row) - 1 && !full) {
        char c = text[n];
        row[n++] = c;
        console.column = c == '\r' ? 0 : console.column + 1;
        full = c == '\n' || console.column == console.columns;
    }
    row[n] = '\0';
    put_ascii(row);
    if (full) {
        row_filled();
    }
    return n;
}

void console_print(enum console_colour colour, const char *format, ...) {
    SIMPLE_TEXT_OUTPUT_INTERFACE *out = firmware.table->ConOut;
    char line[LINE_MAX];
    va_list args;
    va_start(args, format);
    fmt_vprint(line, sizeof(line), format, args);
    va_end(args);
    out->SetAttribute(out, EFI_TEXT_ATTR(colours[colour], EFI_BLACK));
    for (const char *rest = line; *rest != '\0';) {
        rest += put_row(rest);
    }
}

void console_pause_pages(void) {
    console.paged = true;
}

void console_wait_key(void) {
    SIMPLE_INPUT_INTERFACE *in = firmware.table->ConIn;
    EFI_INPUT_KEY key;
    UINTN index;
    while (in->ReadKeyStroke(in, &key) == EFI_SUCCESS) { /* forget what was typed before */
    }
    do {
        if (firmware.services->WaitForEvent(1, &in->WaitForKey, &index) != EFI_SUCCESS) {
            firmware.services->Stall(100000);
        }
    } while (in->ReadKeyStroke(in, &key) != EFI_SUCCESS);
}
