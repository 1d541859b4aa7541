/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the buckets of a guest's limits: see limit.h. What a guest does with its own CPUs costs
 * others little, but each exit is work of the core, each byte goes through one serial line, and
 * each line of the log pushes an older one out.
 */
#include "hv/vm/limit.h"

#include "hv/vm/plat.h"

#define PERIODS 10u /* in a second: so short that nobody at a terminal sees it */
#define SHARES  8u  /* so many times in a period a vCPU takes its share of the exits */

static uint32_t limit_most(const struct vm *vm, enum config_limit which) {
    return vm->plan->config->limits[which];
}

/*
 * What a bucket holds: a second's worth, in parts of a unit, so that a period gives the limit
 * itself. With the lock held, as the next four.
 */
static int64_t limit_full(const struct vm *vm, enum config_limit which) {
    return (int64_t)limit_most(vm, which) * PERIODS;
}

static void limit_fill(struct vm *vm) {
    struct vm_limits *l = &vm->limits;
    uint64_t now = plat_tsc();
    uint64_t period = plat_tsc_hz() / PERIODS;
    uint64_t periods = now > l->begun ? (now - l->begun) / period : 0;

    if (periods == 0) {
        return;
    }
    l->begun += periods * period;
    l->noted = 0;
    for (unsigned i = 0; i < LIMIT_BUCKETS; i++) {
        int64_t full = limit_full(vm, (enum config_limit)i);
        int64_t filled = l->left[i] + (int64_t)(limit_most(vm, (enum config_limit)i) * periods);
        l->left[i] = filled < full ? filled : full;
    }
}

static bool limit_is_empty(const struct vm *vm, enum config_limit which) {
    return limit_most(vm, which) != 0 && vm->limits.left[which] < (int64_t)PERIODS;
}

/* The guest is over it: for whoever takes a share next, once in this period. */
static bool limit_note(struct vm *vm, enum config_limit which) {
    bool first = (vm->limits.noted & BIT32(which)) == 0;

    vm->limits.noted |= BIT32(which);
    vm->limits.over |= first ? BIT32(which) : 0;
    return first;
}

/* So many exits of those that are left are v's. */
static uint32_t limit_share(struct vcpu *v) {
    struct vm *vm = v->vm;
    uint32_t most = limit_most(vm, LIMIT_EXITS);
    uint64_t left = (uint64_t)vm->limits.left[LIMIT_EXITS] / PERIODS;
    uint64_t share = most / (PERIODS * SHARES * vm->vcpu_count);

    if (most == 0) {
        return UINT32_MAX;
    }
    share = min_u64(max_u64(share, 1), left);
    vm->limits.left[LIMIT_EXITS] -= (int64_t)(share * PERIODS);
    return (uint32_t)share;
}

static void limit_count(struct vm *vm, enum config_limit which) {
    __atomic_fetch_add(&vm->public->over[which], 1, __ATOMIC_RELAXED);
}

uint64_t limit_take(struct vcpu *v, uint32_t *over) {
    struct vm *vm = v->vm;
    struct vm_limits *l = &vm->limits;
    uint64_t until = 0;

    lock_acquire(&l->lock);
    limit_fill(vm);
    for (unsigned i = 0; i < LIMIT_BUCKETS; i++) {
        if (limit_is_empty(vm, (enum config_limit)i)) {
            until = l->begun + plat_tsc_hz() / PERIODS;
            if (limit_note(vm, (enum config_limit)i)) {
                limit_count(vm, (enum config_limit)i);
            }
        }
    }
    v->exits_left = until == 0 ? limit_share(v) : 1;
    *over = l->over;
    l->over = 0;
    lock_release(&l->lock);
    return until;
}

void limit_console(struct vcpu *v, uint32_t bytes) {
    struct vm_limits *l = &v->vm->limits;

    if (limit_most(v->vm, LIMIT_CONSOLE) == 0) {
        return;
    }
    lock_acquire(&l->lock);
    limit_fill(v->vm);
    l->left[LIMIT_CONSOLE] -= (int64_t)bytes * PERIODS;
    if (limit_is_empty(v->vm, LIMIT_CONSOLE)) {
        v->exits_left = 1;
    }
    lock_release(&l->lock);
}

bool limit_log_pass(struct vcpu *v, uint32_t *suppressed) {
    struct vm *vm = v->vm;

    if (log_limit_pass(&vm->log_limit, suppressed)) {
        return true;
    }
    limit_count(vm, LIMIT_LOG);
    if (limit_most(vm, LIMIT_LOG) != 0) {
        lock_acquire(&vm->limits.lock);
        limit_fill(vm);
        v->exits_left = limit_note(vm, LIMIT_LOG) ? 1 : v->exits_left;
        lock_release(&vm->limits.lock);
    }
    return false;
}

void limit_begin(struct vm *vm) {
    struct vm_limits *l = &vm->limits;

    l->begun = plat_tsc();
    l->noted = l->over = 0;
    for (unsigned i = 0; i < LIMIT_BUCKETS; i++) {
        l->left[i] = limit_full(vm, (enum config_limit)i);
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vm->vcpus[i].exits_left = 1;
    }
}
