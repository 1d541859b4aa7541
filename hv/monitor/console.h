/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One physical console (serial line and screen) shared by the log, the operator and every guest.
 * Owns the views, their scrollback, the escape key and the output pump; must not know what a VM
 * is. Its lock is the innermost: it may be taken with a VM's lock held; callbacks into a sink are
 * made without it, and only from the functions marked "no VM lock". Those marked "any" may be
 * called with or without, on any CPU.
 */
#ifndef HV_MONITOR_CONSOLE_H
#define HV_MONITOR_CONSOLE_H

#include "hv/lib/lock.h"
#include "hv/lib/log.h"
#include "hv/plan/config.h"

#define CONSOLE_RING_SIZE (64 * KIB) /* scrollback; a quarter of it is replayed on switching */
#define CONSOLE_LOG_SIZE  (64 * KIB)
#define CONSOLE_MAX_VIEWS (1 + CONFIG_MAX_GUESTS)
#define CONSOLE_TYPED_MAX 128u /* bytes typed ahead of a guest that does not read */

/* Where a view's keys go. The operator's needs input() alone. */
struct console_sink {
    bool (*input)(void *ctx, uint8_t byte); /* false = no room, see console_input_ready() */
    void (*output_room)(void *ctx);         /* after console_view_write() was false */
    const char *(*state)(void *ctx);        /* "running", ...; must take no lock */
    void *ctx;
};

/* Fields belong to console.c. */
struct console_view {
    const char *name;
    const struct console_sink *sink;
    uint8_t *ring;
    uint64_t size;                /* a power of two */
    uint64_t written;             /* bytes ever; byte i is at ring[i % size] */
    uint64_t cursor;              /* next byte for the physical console, while in focus */
    bool waiting;                 /* the guest was told to wait; output_room() is owed */
    struct lock typing;           /* held while input() is called */
    uint32_t typed_in, typed_out; /* bytes ever */
    uint8_t typed[CONSOLE_TYPED_MAX];
};

/* Once, when the serial line and the screen work; size is a power of two. The log is in focus. */
void console_init(void *log_ring, size_t size);

/* Adds a guest; size is a power of two; all must stay valid. Returns its number, from 1. Any. */
unsigned console_add_view(struct console_view *v, const char *name, void *ring, size_t size,
                          const struct console_sink *sink);

/* Puts a guest's view in focus once the log has gone out, unless a key comes first. Any. */
void console_focus_after_log(unsigned index);

/*
 * A byte from the guest's UART. False (the byte was not taken) only when the view is in focus and
 * the physical line is more than half a ring behind: output_room() follows. Any.
 */
bool console_view_write(struct console_view *v, uint8_t byte);

/* The guest read its UART: what was typed ahead may fit now. Cheap when there is nothing. No VM
 * lock. */
void console_input_ready(struct console_view *v);

/* Log hook: one line with its newline. Warnings and errors are shown in every view. Any. */
void hv_console_log(enum log_level level, const char *line, size_t n);

/* The operator's side of the log view (command.c): keys, text, and the line being edited. Any, but
 * the first once, before there are keys. */
void console_set_operator(const struct console_sink *sink);
void console_print(const char *text);
void console_set_prompt(const char *text);

#endif
