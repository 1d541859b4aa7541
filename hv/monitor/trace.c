/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the last exits of a guest's vCPUs, the oldest first, in words that tools/bhtrace reads.
 * Looks at a copy; of a guest that is off they are those of its last run. Called by command.c.
 */
#include "hv/monitor/trace.h"

#include "hv/monitor/ask.h"
#include "hv/monitor/console.h"

/* At the vCPU whose lines are printed. */
static struct recorder_look trace_look;

static bool trace_begin(struct vcpu_public *v, unsigned index) {
    enum ask answer = ask_vcpu(v);

    trace_look = (struct recorder_look){.vcpu = index, .cpu = v->cpu, .clock = recorder_clock()};
    if (answer == ASK_READY) {
        trace_look.recorder = &ask_snapshot()->recorder;
    }
    return answer != ASK_WAIT;
}

enum show trace_show(struct vm_public *vm, unsigned line) {
    unsigned vcpu = line / RECORDER_LINES;
    unsigned number = line % RECORDER_LINES;
    char text[RECORDER_LINE + 16];

    if (vcpu >= vm->vcpu_count) {
        return SHOW_END;
    }
    if (number == 0 && !trace_begin(vm->vcpus[vcpu], vcpu)) {
        return SHOW_WAIT;
    }
    if (recorder_line(text, sizeof(text), &trace_look, number) == 0) {
        return SHOW_EMPTY;
    }
    console_print("%s", text);
    return SHOW_PRINTED;
}
