/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flight recorder: what a vCPU's last exits were, always on. It lies in the vCPU's records,
 * written by the run loop alone and kept after the run's end; others see a copy, see snapshot.h.
 */
#pragma once

#include "hv/lib/log.h"
#include "hv/vm/hvm.h"

#define RECORDER_EXITS 128u
#define RECORDER_LINES (1 + RECORDER_EXITS) /* told of a vCPU: a headline, and its exits */

/* How the guest went on: by the numbers of enum action, and what has not come so far. */
enum recorder_outcome {
    RECORDER_NEXT,    /* after the instruction */
    RECORDER_DONE,    /* where it stood: the CPU or its handler had moved it on */
    RECORDER_HALT,    /* after the instruction, once an event had come */
    RECORDER_RETRY,   /* where it stood, maybe with an exception; or not at all */
    RECORDER_AT_WORK, /* its handler reports a crash, or its compartment is asked */
    RECORDER_OUTCOMES
};

/* next: in a ring. So an exit moves on by one load, and nothing has to be copied from it. */
struct ALIGNED(64) exit_record {
    struct vmexit exit;
    uint32_t outcome;           /* enum recorder_outcome */
    uint32_t tsc_low, tsc_high; /* of the host, when it came; 0 = none yet */
    uint64_t rip;               /* the guest's, at that moment */
    struct exit_record *next;
};

struct recorder {
    struct exit_record *now; /* the newest */
    struct exit_record exits[RECORDER_EXITS];
};

void recorder_init(struct recorder *r);

/* An exit has come: it takes the oldest one's place. */
static inline struct exit_record *recorder_begin(struct recorder *r) {
    r->now = r->now->next;
    return r->now;
}

/* All of it; out's links are its own. */
void recorder_copy(struct recorder *out, const struct recorder *from);

/* The age-th before the newest; NULL if there have not been so many. */
const struct exit_record *recorder_exit(const struct recorder *r, unsigned age);

/* Two clocks at one moment: how records' times become the log's. */
struct recorder_clock {
    uint64_t tsc, us;
};
struct recorder_clock recorder_clock(void);

#define RECORDER_LINE 96

/* "    3.123456789 wrmsr rip 0x1000 0x830 next": time on the log's clock. Returns out. */
const char *recorder_format(char out[RECORDER_LINE], const struct exit_record *e,
                            const struct recorder_clock *clock);

/* A vCPU's recorder as somebody looks at it. */
struct recorder_look {
    const struct recorder *recorder; /* NULL = its CPU does not answer */
    unsigned vcpu, cpu;
    struct recorder_clock clock; /* at the look */
};

/* Line number of what "trace" tells of it, in the words that tools/bhtrace reads, the oldest exit
 * first. Returns its length, 0 if there is no such line. */
size_t recorder_line(char *out, size_t size, const struct recorder_look *look, unsigned number);
