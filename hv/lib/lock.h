/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ticket spinlock. The core's are never held across a guest's or a compartment's run, and it runs
 * with interrupts off, so there is no irq-save form. Which there are, and in what order they are
 * taken: docs/architecture.md, "Locks".
 */
#pragma once

#include "hv/lib/types.h"

struct lock {
    uint32_t next;
    uint32_t owner;
};

static inline void lock_acquire(struct lock *l) {
    uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket) {
        __builtin_ia32_pause();
    }
}

/* False if somebody has it, or waits for it. */
static inline bool lock_try(struct lock *l) {
    uint32_t ticket = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n(&l->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static inline void lock_release(struct lock *l) {
    __atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}
