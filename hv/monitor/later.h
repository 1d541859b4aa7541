/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which CPU does the console's slow work, and when: a CPU that runs no guest if there is
 * one, else a CPU of the guest whose text it is, and that one for a small share of its time. So a
 * guest that prints without end slows down nobody but itself. Called by console.c under its lock.
 */
#pragma once

#include "hv/lib/types.h"

struct later {
    bool live;         /* guests may run: before, the console does everything at once */
    unsigned free_cpu; /* runs no guest; or LATER_NOBODY */
    unsigned worker;   /* has its timer set or was called; or LATER_NOBODY */
    bool busy;         /* some CPU works, without the lock */
    uint64_t due_tsc;  /* not before */
};
#define LATER_NOBODY UINT32_MAX

void later_init(struct later *l);

/* Guests are about to run. */
void later_go_live(struct later *l);

/* The CPU whose work this VM's text is, or for the log (NULL) the one that wrote it. */
struct vm_public;
unsigned later_cpu(const struct later *l, const struct vm_public *vm);

/* There is something to do, for this VM; NULL = for the log. */
void later_want(struct later *l, const struct vm_public *vm);

/* This CPU was called: true if it is to work now, until later_end(). */
bool later_begin(struct later *l);

/*
 * It worked for so many ticks. What is left can be done soon, is the operator's command, which may
 * take a larger share, or has to wait for a guest.
 */
enum later_left { LATER_NOTHING, LATER_SOON, LATER_COMMAND, LATER_SLOWLY, LATER_KINDS };
void later_end(struct later *l, uint64_t spent, enum later_left left);

/* For work that is done at once where there was a rest before it; it is followed by one, too. */
bool later_is_due(const struct later *l);
void later_worked(struct later *l, uint64_t spent, enum later_left left);
