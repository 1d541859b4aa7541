/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns gcc's counters into .gcda files and these into lines of text: "<<gcda PATH", base64,
 * ">>gcda", at last ">>coverage". Needs no memory and no firmware. The registers of the vector
 * units may be lost: whoever calls it runs no guest afterwards. Source: gcc manual, "Profiling and
 * Test Coverage in Freestanding Environments".
 */
#include "tests/coverage/dump.h"

#include <gcov.h>

#define COM1       0x3f8
#define COM1_LSR   (COM1 + 5)
#define LSR_THRE   0x20
#define LINE_BYTES 54 /* 72 characters in base64 */

extern const struct gcov_info *const gcov_info_start[], *const gcov_info_end[];

static unsigned char line[LINE_BYTES];
static unsigned line_length;

static void put(char c) {
    unsigned char status;
    do {
        __asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((unsigned short)COM1_LSR));
    } while ((status & LSR_THRE) == 0);
    __asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((unsigned short)COM1));
}

static void put_text(const char *text) {
    while (*text != '\0') {
        put(*text++);
    }
}

static void put_base64(const unsigned char bytes[3], unsigned count) {
    static const char digits[65] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned word = 0;
    for (unsigned i = 0; i < 3; i++) {
        word = word << 8 | (i < count ? bytes[i] : 0u);
    }
    for (unsigned i = 0; i < 4; i++) {
        put(i <= count ? digits[word >> (18 - 6 * i) & 63] : '=');
    }
}

static void flush_line(void) {
    for (unsigned at = 0; at < line_length; at += 3) {
        put_base64(line + at, line_length - at < 3 ? line_length - at : 3);
    }
    put_text("\r\n");
    line_length = 0;
}

static void on_name(const char *name, void *unused) {
    (void)unused;
    put_text("\r\n<<gcda ");
    put_text(name);
    put_text("\r\n");
}

static void on_bytes(const void *data, unsigned length, void *unused) {
    const unsigned char *bytes = data;
    (void)unused;
    for (unsigned i = 0; i < length; i++) {
        line[line_length++] = bytes[i];
        if (line_length == LINE_BYTES) {
            flush_line();
        }
    }
}

/* Only for kinds of counters that this build has not. */
static void *on_allocate(unsigned length, void *unused) {
    (void)length;
    (void)unused;
    return (void *)0;
}

void coverage_dump(void) {
    for (const struct gcov_info *const *info = gcov_info_start; info < gcov_info_end; info++) {
        line_length = 0;
        __gcov_info_to_gcda(*info, on_name, on_bytes, on_allocate, (void *)0);
        flush_line();
        put_text(">>gcda\r\n");
    }
    put_text(">>coverage\r\n");
}

/* What libgcov names and never reaches here. */
void abort(void);
void *mmap(void);
void __gcov_merge_add(void);

void abort(void) {
    for (;;) {
        __asm__ volatile("hlt");
    }
}

void *mmap(void) {
    return (void *)-1;
}

void __gcov_merge_add(void) {
}
