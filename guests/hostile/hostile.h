/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An act of the hostile guest: a function that does something forbidden or odd and says in a few
 * words what came of it. acts.def lists them all, with what must come of each; main.c compares.
 */
#ifndef GUESTS_HOSTILE_HOSTILE_H
#define GUESTS_HOSTILE_HOSTILE_H

#include "guests/test/vcpu.h"

/* What a trap looked like, e.g. "#GP(0)" or "no trap"; trap_last in the first. */
const char *saw_trap(void);
const char *saw(bool as_expected, const char *expected);
/* "N WHAT". */
const char *saw_number(uint64_t n, const char *what);
/* With IF on for a moment: what is pending is taken. */
void let_in(void);

/* So many more times the guest reached for what is not there: see acts.def. */
void tell(uint64_t count);

bool cpu_is_amd(void);
extern unsigned vcpu_count; /* of this guest; those but the first are started by vcpu_ready() */
bool vcpu_ready(void);

/* Runs code (user_entry.S) at CPL 3; what it traps with is in trap_last, "no trap" if it came to
 * its end.
 */
const char *saw_user(const uint8_t *code);
extern const uint8_t user_hypercall_intel[], user_hypercall_amd[], user_hlt[], user_out[];
/* #DB on a stack of its own, the same for each. */
void debug_stack_use(void);
extern uint64_t debug_stack_end[];

#define ACT(group, name, what, outcome, record) const char *act_##name(void);
#include "guests/hostile/acts.def"
#undef ACT

#endif
