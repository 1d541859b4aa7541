/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints a picture of all guests once a second, each over the one before. Reads counters that other
 * CPUs write: they may be a moment old. Called by command.c.
 */
#include "hv/monitor/top.h"

#include "hv/lib/clock.h"
#include "hv/lib/fmt.h"
#include "hv/monitor/console.h"
#include "hv/vm/plat.h"

#define KINDS_SHOWN 3u
#define PERCENT     100u
#define LINE_UP     "\x1b[%uA" /* so many */
#define LINE_CLEAR  "\x1b[K"

/* Counters of a guest, all its vCPUs together, and what came to them in the last second. */
struct top_guest {
    uint64_t waited, exits[EXIT_KINDS];
};
static struct top_state {
    struct top_guest before[CONFIG_MAX_GUESTS], rates[CONFIG_MAX_GUESTS];
    uint64_t taken, span; /* host TSC: when before was, and how long the rates' time */
    bool runs, again;     /* since its command; another picture stands above */
} top;

static void top_add(struct top_guest *g, const struct vcpu_public *v, uint64_t now) {
    g->waited += vcpu_waited(v, now);
    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        g->exits[k] += v->exits[k];
    }
}

static void top_take(const struct vm_public *vms, unsigned count, uint64_t now) {
    for (unsigned i = 0; i < count; i++) {
        struct top_guest g = {0};
        for (uint32_t c = 0; c < vms[i].vcpu_count; c++) {
            top_add(&g, vms[i].vcpus[c], now);
        }
        top.rates[i].waited = g.waited - top.before[i].waited;
        for (unsigned k = 0; k < EXIT_KINDS; k++) {
            top.rates[i].exits[k] = g.exits[k] - top.before[i].exits[k];
        }
        top.before[i] = g;
    }
    top.span = now - top.taken;
    top.taken = now;
}

static ull top_rate(uint64_t count) {
    return (ull)mul_div_u64(count, plat_tsc_hz(), top.span);
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

static void top_print(const struct vm_public *vm, const struct top_guest *g) {
    char kinds[96] = "", percent[8] = "-", memory[24];
    uint64_t all = 0;

    for (unsigned k = 0; k < EXIT_KINDS; k++) {
        all += g->exits[k];
    }
    if (vm->state == VM_RUNNING || vm->state == VM_STOPPING) {
        (void)fmt_print(percent, sizeof(percent), "%u", top_percent(vm, g));
    }
    top_kinds(kinds, sizeof(kinds), g);
    console_print("%-16s %-9s %5s %6s %8llu  %s" LINE_CLEAR "\n", vm->name,
                  vm_state_name(vm->state), percent, fmt_size(memory, vm->memory), top_rate(all),
                  kinds);
}

/* Line 0 waits for a picture's time, line 1 is the head, then a line for each guest. */
enum show top_show(const struct vm_public *vms, unsigned count, unsigned line) {
    unsigned number = line % (count + 2);
    uint64_t now = plat_tsc();

    if (!top.runs) {
        top_take(vms, count, now);
        top.again = false;
    }
    top.runs = !console_interrupts();
    if (!top.runs) {
        return SHOW_END;
    }
    if (number == 0) {
        if (now - top.taken < plat_tsc_hz()) {
            return SHOW_WAIT;
        }
        top_take(vms, count, now);
        return SHOW_EMPTY;
    }
    if (number == 1) {
        if (top.again) {
            console_print(LINE_UP "\r", count + 1);
        }
        top.again = true;
        console_print("%-16s %-9s %5s %6s %8s  %s" LINE_CLEAR "\n", "guest", "state", "cpu %",
                      "memory", "exits/s", "of them (any key ends)");
        return SHOW_PRINTED;
    }
    top_print(&vms[number - 2], &top.rates[number - 2]);
    return SHOW_PRINTED;
}
