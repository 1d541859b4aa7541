/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the physical console shows: the views, which of them has the focus, and our own words
 * between theirs. Owns the console's state, all of it under the console's lock, for views.c, pump.c
 * and console.c alone. What a view has shown may be read without it.
 */
#pragma once

#include "hv/lib/lock.h"
#include "hv/monitor/console.h"
#include "hv/monitor/later.h"
#include "hv/monitor/seq.h"
#include "hv/monitor/typed.h"

#define NOTICE_SIZE 1024u
#define PROMPT_SIZE 128u
#define OUT_SIZE    (2 * SEQ_BYTES)
#define MAX_VIEWS   (1 + CONFIG_MAX_GUESTS)

/* ECMA-48 "DC1", "DC3", as every serial terminal uses them. */
#define XON  0x11u
#define XOFF 0x13u

struct console_view {
    struct vm_public *vm; /* NULL for the log, whose keys are the operator's */
    const char *name;
    uint64_t written; /* bytes ever; byte i is at ring[i % size] */
    uint64_t cursor;  /* next byte for the physical console, while in focus */
    bool waiting;     /* the guest was told to wait; REQUEST_ROOM is owed */
    bool typing;      /* some CPU hands typed on, or does a command's work, without the lock */
    struct typed typed;
    uint8_t ring[CONSOLE_RING_SIZE];
};

extern struct console {
    struct lock lock;
    char escape_key; /* the control character that is ours */
    bool escape;     /* it was typed: the next key is a command */
    unsigned count, focus;
    unsigned focus_next; /* the view to show once the log has gone out, 0 = none */
    bool share_wanted;   /* all views then, at once: share.c */
    bool shared;         /* it has begun */
    struct console_view log, of_vms[CONFIG_MAX_GUESTS];
    struct console_view lines; /* the log without the operator's part: never shown as a view */
    struct console_view *views[MAX_VIEWS];
    /* Text of our own that goes out before the next byte of the view. */
    uint8_t notice[NOTICE_SIZE];
    uint64_t notice_at, notice_end;
    size_t line_only; /* so many bytes of it are for the serial line's terminal alone */
    /* The operator's line as it should stand below an idle log, and as it stands there. */
    char prompt[PROMPT_SIZE], shown[PROMPT_SIZE];
    size_t before_end, shown_before_end; /* the cursor, so many characters before it */
    /* What is cut into sequences: the view, and our own text, which may come in the middle of it.
     */
    struct seq seq, own;
    uint64_t answer_from; /* questions before this byte of the view are old */
    /* What the serial line gets next. */
    uint8_t out[OUT_SIZE];
    size_t out_at, out_end;
    bool pump_more;     /* stopped because it was enough for one call */
    uint64_t fed;       /* bytes ever, of views and of our own */
    bool feeder_called; /* a CPU that may carry on was told to */
    uint8_t flow;      /* XOFF or XON: the last that was said to the terminal; 0 = it may be lost */
    bool command_busy; /* a command of the operator has more to show */
    const struct console_operator *operator; /* or NULL */
    struct later later;
} console;

/* Bytes that are not on their way to the physical console. */
static inline uint64_t view_backlog(const struct console_view *v) {
    return v->written - v->cursor;
}

/* Who reads without the lock finds each byte that is counted. */
static inline void view_append(struct console_view *v, uint8_t byte) {
    __atomic_store_n(&v->ring[v->written % CONSOLE_RING_SIZE], byte, __ATOMIC_RELAXED);
    __atomic_store_n(&v->written, v->written + 1, __ATOMIC_RELEASE);
}

static inline uint8_t view_byte(const struct console_view *v, uint64_t at) {
    return __atomic_load_n(&v->ring[at % CONSOLE_RING_SIZE], __ATOMIC_RELAXED);
}

struct console_view *view_focused(void);

/* Another view is in focus: its last lines are shown, on a terminal that knows nothing of others.
 */
void view_switch_to(unsigned index);

/* Where to begin to show what it has said so far, which are so many bytes. Needs no lock. */
uint64_t view_replay_start(const struct console_view *v, uint64_t written);

/* The bottom row: whose console this is, and how each guest fares. */
void view_update_status(void);

/* Text of our own. All or nothing: half a message helps nobody, and what has weight is in the log
 * as well. */
void view_notice(const char *format, ...) PRINTF_LIKE(1, 2);

/* The line that tells which view this is, with what the keys do. */
void view_say(const char *help);
void view_say_lost(unsigned lost, const char *who, const char *why);
