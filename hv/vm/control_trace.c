/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the one copy of a flight recorder that guests look at, and whose it is for the moment: see
 * control_trace.h. Nobody waits for another who looks.
 */
#include "hv/vm/control_trace.h"

#include "hv/lib/str.h"
#include "hv/vm/plat.h"
#include "hv/vm/snapshot.h"

#define WAITS_A_SECOND 10u /* so long for an answer, as at the prompt: hv/monitor/ask.c */
#define KEPTS_A_SECOND 1u  /* so long it is kept for who reads on */

static struct look {
    uint32_t busy;          /* atomic: one CPU is at it */
    const struct vm *by;    /* who looks, */
    struct vcpu_public *at; /* at whom, */
    uint64_t used;          /* host TSC: and when for the last time */
    struct recorder_look lines;
    struct vcpu_snapshot copy;
} look;

/* True once the vCPU's CPU has answered. */
static bool look_ask(struct vcpu *v, struct vcpu_public *whom) {
    uint64_t begin = plat_tsc();
    uint64_t limit = plat_tsc_hz() / WAITS_A_SECOND;

    if (whom == &v->public) {
        recorder_copy(&look.copy.recorder, &v->recorder);
        return true;
    }
    if (!vcpu_snapshot_ask(whom, &look.copy)) {
        return false;
    }
    while (!vcpu_snapshot_is_ready(&look.copy)) {
        plat_take_interrupts();
        bool late = plat_tsc() - begin > limit;
        if (late && vcpu_snapshot_withdraw(whom, &look.copy)) {
            return false;
        }
    }
    return true;
}

static void look_begin(struct vcpu *v, struct vcpu_public *whom, unsigned vcpu) {
    bool known = look_ask(v, whom);

    look.by = v->vm;
    look.at = whom;
    look.lines = (struct recorder_look){.recorder = known ? &look.copy.recorder : NULL,
                                        .vcpu = vcpu,
                                        .cpu = whom->cpu,
                                        .clock = recorder_clock()};
}

/* A vCPU's first line begins a look; another guest's must have ended, or been left. */
static bool look_is_mine(struct vcpu *v, struct vcpu_public *whom, unsigned vcpu, bool first) {
    uint64_t now = plat_tsc();
    bool left = look.by == NULL || now - look.used > plat_tsc_hz() / KEPTS_A_SECOND;
    bool mine = look.by == v->vm;

    if (first && (mine || left)) {
        look_begin(v, whom, vcpu);
        mine = true;
    }
    look.used = mine ? plat_tsc() : look.used;
    return mine && look.at == whom;
}

/* The next line of the same vCPU, or its end. */
static enum control_done look_on(struct vcpu *v, struct vm_public *p, struct exchange_control *c) {
    uint32_t vcpu = (uint32_t)(c->at / RECORDER_LINES);
    uint32_t number = (uint32_t)(c->at % RECORDER_LINES);
    struct vcpu_public *whom = p->vcpus[vcpu];

    if (!look_is_mine(v, whom, vcpu, number == 0)) {
        return CONTROL_TOO_MUCH;
    }
    for (; number < RECORDER_LINES && c->size == 0; number++) {
        c->at = (uint64_t)vcpu * RECORDER_LINES + number;
        c->size = (uint32_t)recorder_line((char *)c->bytes, sizeof(c->bytes), &look.lines, number);
    }
    return CONTROL_DONE;
}

enum control_done control_trace(struct vcpu *v, struct vm_public *p, struct exchange_control *c) {
    enum control_done done = CONTROL_DONE;

    c->size = 0;
    c->end = (uint64_t)p->vcpu_count * RECORDER_LINES;
    c->at = c->at == CONTROL_AT_FIRST ? 0 : c->at;
    if (__atomic_exchange_n(&look.busy, 1, __ATOMIC_ACQUIRE) != 0) {
        return CONTROL_TOO_MUCH;
    }
    while (done == CONTROL_DONE && c->size == 0 && c->at < c->end) {
        done = look_on(v, p, c);
        c->at += c->size == 0 && done == CONTROL_DONE ? 1 : 0;
    }
    if (c->at >= c->end && look.by == v->vm) {
        look.by = NULL;
    }
    __atomic_store_n(&look.busy, 0, __ATOMIC_RELEASE);
    return done;
}
