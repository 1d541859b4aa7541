/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the last exits of a guest's vCPUs, the oldest first, in words that tools/bhtrace reads.
 * Looks at a copy; of a guest that is off they are those of its last run. Called by command.c.
 */
#include "hv/monitor/trace.h"

#include "hv/monitor/ask.h"
#include "hv/monitor/console.h"

#define VCPU_LINES (1 + RECORDER_EXITS)

/* Of the vCPU whose lines are printed. */
static bool trace_known;
static struct recorder_clock trace_clock;

static enum show show_head(struct vcpu_public *v, unsigned index) {
    enum ask answer = ask_vcpu(v);

    trace_known = answer == ASK_READY;
    if (answer == ASK_WAIT) {
        return SHOW_WAIT;
    }
    trace_clock = recorder_clock();
    console_print("vcpu%u on cpu %u: %s\n", index, v->cpu,
                  trace_known ? "its last exits" : "does not answer");
    return SHOW_PRINTED;
}

enum show trace_show(struct vm_public *vm, unsigned line) {
    unsigned vcpu = line / VCPU_LINES;
    unsigned number = line % VCPU_LINES;
    char text[RECORDER_LINE];

    if (vcpu >= vm->vcpu_count) {
        return SHOW_END;
    }
    if (number == 0) {
        return show_head(vm->vcpus[vcpu], vcpu);
    }
    const struct exit_record *e = recorder_exit(&ask_snapshot()->recorder, RECORDER_EXITS - number);
    if (!trace_known || e == NULL) {
        return SHOW_EMPTY;
    }
    console_print("  exit %s\n", recorder_format(text, e, &trace_clock));
    return SHOW_PRINTED;
}
