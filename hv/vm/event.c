/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what of a VM is kept for guests that operate it: the last events, each with its cause. Each
 * VM has a ring of its own, so that none pushes another one's out, and a reader who is late sees by
 * the numbers how many he has missed.
 */
#include "hv/lib/str.h"
#include "hv/vm/public.h"

void vm_note(struct vm_public *p, enum event_cause cause, const char *why) {
    struct vm_events *events = &p->events;

    lock_acquire(&events->lock);
    struct vm_event *e = &events->ring[events->count % ARRAY_SIZE(events->ring)];
    *e = (struct vm_event){.us = log_now_us(),
                           .unix_seconds = plat_wall_seconds(),
                           .cause = cause,
                           .state = __atomic_load_n(&p->state, __ATOMIC_RELAXED)};
    (void)str_copy_n(e->why, sizeof(e->why), why, strlen(why));
    events->count++;
    lock_release(&events->lock);
}

bool vm_event_after(struct vm_public *p, uint64_t *at, uint64_t *end, struct vm_event *out) {
    struct vm_events *events = &p->events;

    lock_acquire(&events->lock);
    uint64_t count = events->count;
    uint64_t oldest = count - min_u64(count, ARRAY_SIZE(events->ring));
    bool there = *at < count;
    *at = there ? max_u64(*at, oldest) : count;
    *end = count;
    if (there) {
        *out = events->ring[*at % ARRAY_SIZE(events->ring)];
    }
    lock_release(&events->lock);
    return there;
}
