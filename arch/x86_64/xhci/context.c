/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the controller is told of a device before a command: the input context, and the command.
 * Source: xHCI 1.2, "Device Slot Initialization", "Slot Context", "Endpoint Context".
 */
#include "arch/x86_64/xhci/internal.h"

#include "hv/lib/str.h"

#define DWORDS            8u /* of a context that are in use */
#define HIGH_INTERVAL_MAX 16u
#define FULL_INTERVAL_MIN 3u /* 1 ms, as an exponent of 125 us */
#define FULL_INTERVAL_MAX 10u
#define CONTROL_AVERAGE   8u /* bytes: what is most of them */

/* Context n of the input, which begins with one that says which are there. */
static uint32_t *context_input(struct xhci *hc, unsigned n) {
    return (uint32_t *)(void *)(hc->memory->input + n * hc->context_size);
}

static void context_begin(struct xhci *hc, uint32_t add) {
    uint32_t *control = context_input(hc, 0);
    memset(hc->memory->input, 0, sizeof(hc->memory->input));
    control[1] = add;
}

static void context_slot(struct xhci *hc, const struct usb_device *d, uint32_t last) {
    uint32_t *slot = context_input(hc, 1 + CONTEXT_SLOT);
    slot[0] = d->route | SLOT_SPEED(d->speed) | SLOT_ENTRIES(last);
    slot[1] = SLOT_ROOT_PORT(d->root);
    slot[2] = SLOT_TT(d->tt_slot, d->tt_port);
}

static void context_endpoint(struct xhci *hc, uint32_t n, const uint32_t words[DWORDS]) {
    memcpy(context_input(hc, 1 + n), words, DWORDS * sizeof(*words));
}

static void context_control(struct xhci *hc, const struct usb_device *d) {
    uint64_t ring = xhci_bus(hc, d->control.trbs) | TRB_CYCLE;
    const uint32_t words[DWORDS] = {
        [1] = ENDPOINT_ERRORS | ENDPOINT_TYPE(ENDPOINT_CONTROL_TYPE) | ENDPOINT_PACKET(d->packet),
        [2] = (uint32_t)ring,
        [3] = (uint32_t)(ring >> 32),
        [4] = CONTROL_AVERAGE,
    };
    context_endpoint(hc, CONTEXT_CONTROL, words);
}

static struct xhci_trb context_command(struct xhci *hc, const struct usb_device *d,
                                       enum xhci_trb_type type) {
    return (struct xhci_trb){xhci_bus(hc, hc->memory->input), 0,
                             TRB_TYPE(type) | TRB_SLOT(d->slot)};
}

struct xhci_trb context_slot_wanted(UNUSED struct xhci *hc, UNUSED const struct usb_device *d) {
    return (struct xhci_trb){0, 0, TRB_TYPE(TRB_ENABLE_SLOT)};
}

struct xhci_trb context_address(struct xhci *hc, const struct usb_device *d) {
    context_begin(hc, BIT32(CONTEXT_SLOT) | BIT32(CONTEXT_CONTROL));
    context_slot(hc, d, CONTEXT_CONTROL);
    context_control(hc, d);
    return context_command(hc, d, TRB_ADDRESS_DEVICE);
}

struct xhci_trb context_packet(struct xhci *hc, const struct usb_device *d) {
    context_begin(hc, BIT32(CONTEXT_CONTROL));
    context_control(hc, d);
    return context_command(hc, d, TRB_EVALUATE_CONTEXT);
}

/* Milliseconds, or an exponent already at high speed, as an exponent of 125 us: not longer. */
static uint32_t context_interval(const struct usb_device *d) {
    uint32_t interval = d->found.interval;
    uint32_t exponent = FULL_INTERVAL_MIN;

    if (d->speed == SPEED_HIGH) {
        interval = interval < 1 ? 1 : interval;
        return (interval < HIGH_INTERVAL_MAX ? interval : HIGH_INTERVAL_MAX) - 1;
    }
    while (exponent < FULL_INTERVAL_MAX && interval >> (exponent + 1 - FULL_INTERVAL_MIN) != 0) {
        exponent++;
    }
    return exponent;
}

struct xhci_trb context_keyboard(struct xhci *hc, const struct usb_device *d) {
    uint64_t ring = xhci_bus(hc, d->reports.trbs) | TRB_CYCLE;
    uint32_t n = keyboard_context(d);
    const uint32_t words[DWORDS] = {
        [0] = ENDPOINT_INTERVAL(context_interval(d)),
        [1] = ENDPOINT_ERRORS | ENDPOINT_TYPE(ENDPOINT_INTERRUPT_IN) |
              ENDPOINT_PACKET(d->found.packet),
        [2] = (uint32_t)ring,
        [3] = (uint32_t)(ring >> 32),
        [4] = d->found.packet | ENDPOINT_EACH_TIME(d->found.packet),
    };
    context_begin(hc, BIT32(CONTEXT_SLOT) | BIT32(n));
    context_slot(hc, d, n);
    context_endpoint(hc, n, words);
    return context_command(hc, d, TRB_CONFIGURE_ENDPOINT);
}

struct xhci_trb context_hub(struct xhci *hc, const struct usb_device *d) {
    context_begin(hc, BIT32(CONTEXT_SLOT));
    context_slot(hc, d, CONTEXT_CONTROL);
    uint32_t *slot = context_input(hc, 1 + CONTEXT_SLOT);
    slot[0] |= SLOT_HUB;
    slot[1] |= SLOT_PORTS(d->port_count);
    if (d->speed == SPEED_HIGH) {
        slot[2] |= SLOT_TT_THINK(d->tt_think);
    }
    return context_command(hc, d, TRB_CONFIGURE_ENDPOINT);
}
