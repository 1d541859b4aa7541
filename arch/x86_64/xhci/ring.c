/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See internal.h. Source: xHCI 1.2, "TRB Rings". */
#include "arch/x86_64/xhci/internal.h"

#include "hv/lib/str.h"

void ring_init(struct xhci_ring *ring, struct xhci_trb *trbs, unsigned size, uint64_t bus) {
    memset(trbs, 0, size * sizeof(*trbs));
    trbs[size - 1].parameter = bus; /* the last leads back */
    *ring = (struct xhci_ring){.trbs = trbs, .size = size, .cycle = TRB_CYCLE};
}

/* The word with the cycle bit gives it away: last. */
static void ring_hand_over(struct xhci_trb *at, uint32_t control) {
    __atomic_store_n(&at->control, control, __ATOMIC_RELEASE);
}

struct xhci_trb *ring_put(struct xhci_ring *ring, struct xhci_trb trb) {
    struct xhci_trb *at = &ring->trbs[ring->at];

    at->parameter = trb.parameter;
    at->status = trb.status;
    ring_hand_over(at, trb.control | ring->cycle);
    ring->at++;
    if (ring->at == ring->size - 1) {
        ring_hand_over(&ring->trbs[ring->at], TRB_TYPE(TRB_LINK) | TRB_TOGGLE | ring->cycle);
        ring->cycle ^= TRB_CYCLE;
        ring->at = 0;
    }
    return at;
}

bool ring_take_event(struct xhci *hc, struct xhci_trb *event) {
    const struct xhci_trb *at = &hc->memory->events[hc->event_at];
    uint32_t control = __atomic_load_n(&at->control, __ATOMIC_ACQUIRE);

    if ((control & TRB_CYCLE) != hc->event_cycle) {
        return false;
    }
    event->parameter = __atomic_load_n(&at->parameter, __ATOMIC_RELAXED);
    event->status = __atomic_load_n(&at->status, __ATOMIC_RELAXED);
    event->control = control;

    hc->event_at++;
    if (hc->event_at == EVENT_TRBS) {
        hc->event_at = 0;
        hc->event_cycle ^= TRB_CYCLE;
    }
    return true;
}
