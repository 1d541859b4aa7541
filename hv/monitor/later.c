/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See later.h. */
#include "hv/monitor/later.h"

#include "hv/vm/plat.h"
#include "hv/vm/public.h"

#define COLLECT_PER_SECOND 100u   /* bytes that come together are drawn together */
#define PAUSE_PER_SECOND   20000u /* the shortest rest */

/*
 * After work of some ticks, so many times as long none, and so many times a second at most. That is
 * 2 % of a guest's CPU, or 10 % of it for what no guest can ask for, and half of a free CPU.
 */
#define REST_OF_FREE 1u

static const struct later_rest {
    uint32_t times, per_second;
} rests[LATER_KINDS] = {
    [LATER_NOTHING] = {.times = 49},
    [LATER_SOON] = {.times = 49, .per_second = PAUSE_PER_SECOND},
    [LATER_COMMAND] = {.times = 9, .per_second = PAUSE_PER_SECOND},
    [LATER_SLOWLY] = {.times = 49, .per_second = COLLECT_PER_SECOND},
};

void later_init(struct later *l) {
    *l = (struct later){.free_cpu = LATER_NOBODY, .worker = LATER_NOBODY};
}

void later_go_live(struct later *l) {
    for (unsigned cpu = 0; cpu < plat_cpu_count() && l->free_cpu == LATER_NOBODY; cpu++) {
        if (vcpu_cpu_is_free(cpu)) {
            l->free_cpu = cpu;
        }
    }
    l->live = true;
}

unsigned later_cpu(const struct later *l, const struct vm_public *vm) {
    unsigned me = plat_cpu();
    if (l->free_cpu != LATER_NOBODY) {
        return l->free_cpu;
    }
    if (vm == NULL || vm_of_cpu[me] == vm || !plat_cpu_online(vm->vcpus[0]->cpu)) {
        return me;
    }
    return vm->vcpus[0]->cpu;
}

void later_want(struct later *l, const struct vm_public *vm) {
    bool asleep = l->worker == LATER_NOBODY;
    bool right = l->free_cpu != LATER_NOBODY || vm == NULL;
    if (!asleep && (right || vm_of_cpu[l->worker] == vm)) {
        return;
    }
    if (asleep) {
        l->due_tsc = max_u64(l->due_tsc, plat_tsc() + plat_tsc_hz() / COLLECT_PER_SECOND);
    }
    l->worker = later_cpu(l, vm);
    if (l->worker == plat_cpu()) {
        plat_console_timer_set(l->due_tsc);
    } else {
        plat_console_call(l->worker);
    }
}

bool later_begin(struct later *l) {
    uint64_t now = plat_tsc();
    if (l->worker != plat_cpu()) {
        return false; /* another one has taken over since */
    }
    if (l->busy || now < l->due_tsc) {
        plat_console_timer_set(max_u64(l->due_tsc, now + plat_tsc_hz() / PAUSE_PER_SECOND));
        return false;
    }
    l->busy = true;
    return true;
}

bool later_is_due(const struct later *l) {
    return !l->busy && plat_tsc() >= l->due_tsc;
}

void later_worked(struct later *l, uint64_t spent, enum later_left left) {
    const struct later_rest *r = &rests[left];
    bool free = vm_of_cpu[plat_cpu()] == NULL;
    uint64_t rest = spent * (free ? REST_OF_FREE : r->times);
    uint64_t least = r->per_second == 0 ? 0 : plat_tsc_hz() / r->per_second;

    l->due_tsc = max_u64(l->due_tsc, plat_tsc() + max_u64(rest, least));
}

void later_end(struct later *l, uint64_t spent, enum later_left left) {
    l->busy = false;
    l->due_tsc = 0;
    later_worked(l, spent, left);
    if (l->worker != plat_cpu()) {
        return; /* it looks again when it is due */
    }
    if (left == LATER_NOTHING) {
        l->worker = LATER_NOBODY;
    } else {
        plat_console_timer_set(l->due_tsc);
    }
}
