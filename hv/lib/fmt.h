/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounded formatted printing. Knows %c %s %u %x %% with flags "0", "-", "#", a width, for %s a
 * precision given as *, and the sizes l ll z. Anything else prints as it stands.
 */
#pragma once

#include <stdarg.h>

#include "hv/lib/types.h"

/*
 * Both write at most size - 1 bytes and a NUL (nothing if size is 0), and return the length the
 * whole text has, as snprintf does.
 */
size_t fmt_print(char *buf, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
size_t fmt_vprint(char *buf, size_t size, const char *format, va_list args) PRINTF_LIKE(3, 0);

/* In a function of variable arguments: those behind the parameter format, into the array text. */
#define FMT_ARGUMENTS(text, format)                                                                \
    do {                                                                                           \
        va_list args_;                                                                             \
        va_start(args_, format);                                                                   \
        (void)fmt_vprint(text, sizeof(text), format, args_);                                       \
        va_end(args_);                                                                             \
    } while (false)

/* Unix seconds as "2026-11-28 02:15:07" (UTC); buf needs FMT_DATE_SIZE bytes. Returns buf. */
#define FMT_DATE_SIZE 32
const char *fmt_date(char *buf, uint64_t seconds);

static inline const char *fmt_yes_no(bool yes) {
    return yes ? "yes" : "no";
}

/* A PCI function, bus << 8 | device << 3 | function, as "03:00.0"; buf needs FMT_PCI_SIZE bytes.
 * Returns buf. */
#define FMT_PCI_SIZE 12
const char *fmt_pci(char *buf, uint32_t function);

/* A size in bytes as an admin writes it: "512M", "1536K", "3G"; buf needs 24 bytes. Returns buf. */
const char *fmt_size(char *buf, uint64_t bytes);
