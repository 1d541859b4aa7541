/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop, written once and compiled into each vendor's file: run, which gives the record of
 * the exit, advance and compartment_run are functions of that file, so the compiler calls them
 * directly or folds them in. An upcall for an exit is made here and not by the exit's handler: no
 * function is in the middle of its work then, and none has registers that would have to wait on the
 * stack. Nothing is locked and nothing is allocated here.
 */
#pragma once

#include "hv/exit/exit.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/upcall_make.h"

_Static_assert((int)RECORDER_NEXT == (int)ACTION_NEXT && (int)RECORDER_DONE == (int)ACTION_DONE &&
                   (int)RECORDER_HALT == (int)ACTION_HALT &&
                   (int)RECORDER_RETRY == (int)ACTION_RETRY &&
                   (int)RECORDER_AT_WORK == (int)ACTION_UPCALL,
               "an outcome is the action");

/*
 * No guest keeps host interrupts out. Whoever goes round here either gets an instruction done, and
 * at its end the CPU looks for them, or comes by plat_take_interrupts(): a CPU may put window exits
 * and exceptions before them, and other vCPUs may send requests faster than they are served. SDM
 * "Interrupt-Window Exiting and Virtual-Interrupt Delivery".
 */
static inline __attribute__((always_inline)) void
vcpu_loop(struct vcpu *v, struct exit_record *(*run)(struct vcpu *v),
          void (*advance)(struct vcpu *v, const struct exit_record *record),
          bool (*compartment_run)(struct vcpu *v, struct vmexit *end)) {
    if (v->halted && !vcpu_halt(v)) {
        return; /* it was paused there */
    }
    for (;;) {
        while (UNLIKELY(__atomic_load_n(&v->public.requests, __ATOMIC_RELAXED) != 0)) {
            if (!vcpu_service(v)) {
                return;
            }
        }
        struct exit_record *record = run(v);
        struct vmexit *x = &record->exit;
        enum exit_kind kind = x->kind;
        v->public.exits[kind]++;
        enum action action = exit_table[kind](v, x);
        record->outcome = action;
        if (action == ACTION_UPCALL) {
            bool answered = upcall_make(v, x, compartment_run);
            action = LIKELY(answered) ? exit_answers[x->kind](v, x) : exit_upcall_failed(v, x);
            record->outcome = action;
        }
        if (LIKELY(action == ACTION_NEXT)) {
            advance(v, record);
        } else if (action == ACTION_RETRY) {
            plat_take_interrupts();
        } else if (action == ACTION_HALT) {
            advance(v, record);
            if (!vcpu_halt(v)) {
                return;
            }
        }
        if (UNLIKELY(--v->exits_left == 0) && !over_limit(v)) {
            return;
        }
    }
}
