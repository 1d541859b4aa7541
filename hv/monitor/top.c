/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints a picture of all guests once a second, each over the one before. Reads counters that other
 * CPUs write: they may be a moment old. Those of devices are a guest's compartment's, whose CPU is
 * asked for them; a hostile one shows what it likes as its own. Called by command.c.
 */
#include "hv/monitor/top.h"

#include "hv/lib/clock.h"
#include "hv/lib/fmt.h"
#include "hv/monitor/ask.h"
#include "hv/monitor/console.h"
#include "hv/vm/plat.h"

#define KINDS_SHOWN 3u
#define PERCENT     100u
#define BLOCK       512u       /* bytes: a disk's sector */
#define RATE_MOST   9999999u   /* that is shown */
#define LINE_UP     "\x1b[%uA" /* so many */
#define CLEAR_BELOW "\x1b[J"

/* The widths of exits a second, of interrupts, and of the two that count devices. */
#define TOP_COLUMNS(exits, interrupts, devices)                                                    \
    "%-16s %-9s %5s %6s " exits " " interrupts " " devices " " devices

/* Counters of a guest, all its vCPUs together, and what came to them in the last second. */
struct top_devices {
    uint64_t frames, blocks; /* sent and received, read and written */
};
struct top_guest {
    uint64_t waited, exits[EXIT_KINDS];
    struct top_devices devices;
};
static struct top_state {
    struct top_guest before[CONFIG_MAX_GUESTS], rates[CONFIG_MAX_GUESTS];
    struct top_devices told[CONFIG_MAX_GUESTS]; /* as their CPUs have answered last */
    unsigned asked;                             /* whose CPU is asked */
    uint64_t taken, span; /* host TSC: when before was, and how long the rates' time */
    bool runs;            /* since its command */
    unsigned lines;       /* of the picture that stands above; 0 = none does */
} top;

/* ---- devices ---- */

static bool top_has_devices(const struct vm_public *vm) {
    return vm->wire_count != 0 || vm->disk_count != 0;
}

static struct top_devices top_count(const struct vm_public *vm, const struct abi_counts *counts) {
    struct top_devices d = {0};

    for (uint32_t i = 0; i < vm->wire_count; i++) {
        d.frames += counts->nets[i].sent.frames + counts->nets[i].received.frames;
    }
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        d.blocks += (counts->disks[i].read_bytes + counts->disks[i].written_bytes) / BLOCK;
    }
    return d;
}

/* False: call again, an answer is awaited. Who does not answer has the counters of last time. */
static bool top_ask(const struct vm_public *vms, unsigned count) {
    for (; top.asked < count; top.asked++) {
        const struct vm_public *vm = &vms[top.asked];
        bool answers = vm_state_has_vcpus(vm->state) || ask_is_open();
        enum ask answer = top_has_devices(vm) && answers ? ask_vcpu(vm->vcpus[0]) : ASK_SILENT;
        if (answer == ASK_WAIT) {
            return false;
        }
        if (answer == ASK_READY) {
            top.told[top.asked] = top_count(vm, &ask_snapshot()->devices);
        }
    }
    top.asked = 0;
    return true;
}

/* A guest that has started anew counts from 0. */
static uint64_t top_gain(uint64_t now, uint64_t before) {
    return now >= before ? now - before : now;
}

/* ---- a second's counters ---- */

static void top_add(struct top_guest *g, const struct vcpu_public *v, uint64_t now) {
    g->waited += vcpu_waited(v, now);
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        g->exits[k] += v->exits[k];
    }
}

static void top_take(const struct vm_public *vms, unsigned count, uint64_t now) {
    for (unsigned i = 0; i < count; i++) {
        struct top_guest g = {.devices = top.told[i]};
        struct top_devices *gain = &top.rates[i].devices;
        for (uint32_t c = 0; c < vms[i].vcpu_count; c++) {
            top_add(&g, vms[i].vcpus[c], now);
        }
        top.rates[i].waited = g.waited - top.before[i].waited;
        for (unsigned k = 0; k < EXIT_KINDS; k++) {
            top.rates[i].exits[k] = g.exits[k] - top.before[i].exits[k];
        }
        gain->frames = top_gain(g.devices.frames, top.before[i].devices.frames);
        gain->blocks = top_gain(g.devices.blocks, top.before[i].devices.blocks);
        top.before[i] = g;
    }
    top.span = now - top.taken;
    top.taken = now;
}

static ull top_rate(uint64_t count) {
    return (ull)min_u64(mul_div_u64(count, plat_tsc_hz(), top.span), RATE_MOST);
}

/* Of all its CPUs' time, what it did not wait; one CPU alone is 100. */
static unsigned top_percent(const struct vm_public *vm, const struct top_guest *g) {
    uint64_t all = top.span * vm->vcpu_count;

    return (unsigned)mul_div_u64(all - min_u64(g->waited, all), PERCENT, top.span);
}

/* The kinds that came most, each with its rate. */
static void top_kinds(char *out, size_t size, const struct top_guest *g) {
    uint64_t left[EXIT_KINDS];
    size_t n = 0;

    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        left[k] = g->exits[k];
    }
    for (unsigned shown = 0; shown < KINDS_SHOWN; shown++) {
        unsigned most = 0;
        for (unsigned k = 1; k < EXIT_KINDS; k++) {
            most = left[k] > left[most] ? k : most;
        }
        if (left[most] == 0) {
            return;
        }
        n += fmt_print(out + n, size - n, "%s %llu  ", exit_kind_names[most], top_rate(left[most]));
        left[most] = 0;
    }
}

/* The first line has the columns of the head; the second, of a guest that runs, its exits by kind.
 * Returns how many lines that are. */
static unsigned top_print(const struct vm_public *vm, const struct top_guest *g) {
    char kinds[96] = "", percent[8] = "-", memory[24];
    uint64_t all = 0;

    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        all += g->exits[k];
    }
    if (vm->state == VM_RUNNING || vm->state == VM_STOPPING) {
        (void)fmt_print(percent, sizeof(percent), "%u", top_percent(vm, g));
    }
    console_print(TOP_COLUMNS("%8llu", "%7llu", "%8llu") "\n", vm->name, vm_state_name(vm->state),
                  percent, fmt_size(memory, vm->memory), top_rate(all),
                  top_rate(g->exits[EXIT_INTERRUPT]), top_rate(g->devices.frames),
                  top_rate(g->devices.blocks));
    if (!vm_state_has_vcpus(vm->state)) {
        return 1;
    }
    top_kinds(kinds, sizeof(kinds), g);
    console_print("%16s %s\n", "", kinds);
    return 2;
}

static void top_head(void) {
    if (top.lines != 0) {
        console_print(LINE_UP "\r" CLEAR_BELOW, top.lines);
    }
    console_print(TOP_COLUMNS("%8s", "%7s", "%8s") "\n", "guest", "state", "cpu %", "memory",
                  "exits/s", "intr/s", "frames/s", "blocks/s");
    top.lines = 1;
}

/* Line 0 waits for a picture's time, line 1 is the head, then what there is of each guest. */
enum show top_show(const struct vm_public *vms, unsigned count, unsigned line) {
    unsigned number = line % (count + 2);

    if (!top.runs) {
        if (!top_ask(vms, count)) {
            return SHOW_WAIT;
        }
        top_take(vms, count, plat_tsc());
        top.lines = 0;
    }
    if (!ask_is_open()) { /* what is asked for has to be taken */
        top.runs = !console_interrupts();
    }
    if (!top.runs) {
        top.asked = 0;
        return SHOW_END;
    }
    if (number == 0) {
        if (plat_tsc() - top.taken < plat_tsc_hz() || !top_ask(vms, count)) {
            return SHOW_WAIT;
        }
        top_take(vms, count, plat_tsc());
        return SHOW_EMPTY;
    }
    if (number == 1) {
        top_head();
    } else {
        top.lines += top_print(&vms[number - 2], &top.rates[number - 2]);
    }
    return SHOW_PRINTED;
}
