/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a panic for whoever finds a mistake: below every other file, so that all may use it.
 * Knows no driver: panic.c, which asks the drivers, is told by fail_init().
 */
#include "arch/x86_64/arch.h"
#include "hv/lib/fmt.h"

#define TEXT_SIZE 160u

static fail_report *report;

void fail_init(fail_report *by) {
    report = by;
}

void plat_panic(const char *format, ...) {
    char text[TEXT_SIZE];
    uint64_t rsp;
    __asm__ volatile("movq %%rsp, %0" : "=r"(rsp));
    FMT_ARGUMENTS(text, format);
    if (report != NULL) {
        report(text, rsp);
    }
    for (;;) { /* before there is anything to say it on */
        __asm__ volatile("cli; hlt" : : : "memory");
    }
}

void assert_failed(const char *expression, const char *file, unsigned line) {
    plat_panic("%s:%u: assertion failed" MSG(5120) ": %s", file, line, expression);
}
