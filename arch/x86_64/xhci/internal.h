/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room say to each other. */
#pragma once

#include "arch/x86_64/xhci/xhci.h"

/* ring.c: TRBs in memory that both sides use. */
void ring_init(struct xhci_ring *ring, struct xhci_trb *trbs, unsigned size, uint64_t bus);
/* Appends one; returns where it is. */
struct xhci_trb *ring_put(struct xhci_ring *ring, struct xhci_trb trb);
/* The next event, copied; false if there is none. */
bool ring_take_event(struct xhci *hc, struct xhci_trb *event);
/* Where the controller finds a piece of its memory. */
static inline uint64_t xhci_bus(const struct xhci *hc, const void *at) {
    return hc->bus + (uint64_t)((const uint8_t *)at - (const uint8_t *)hc->memory);
}

static inline uint32_t xhci_read(const struct xhci *hc, uint32_t offset) {
    return hc->ops->read(hc->machine, offset);
}
static inline void xhci_write(const struct xhci *hc, uint32_t offset, uint32_t value) {
    hc->ops->write(hc->machine, offset, value);
}
static inline void xhci_ring_doorbell(const struct xhci *hc, uint8_t slot, uint32_t endpoint) {
    xhci_write(hc, hc->doorbells + slot * 4u, endpoint);
}

/* operation.c: one at a time; after some polls each ends with a code, which hc->operation.then is
 * called with. */
void operation_wait(struct xhci *hc, uint32_t us);
void operation_command(struct xhci *hc, struct xhci_trb command);
void operation_control(struct xhci *hc, struct usb_device *device, uint64_t request);
void operation_event(struct xhci *hc, const struct xhci_trb *event);
/* If it has ended. What a device has sent is in hc->data by then, zeros after it. */
void operation_go_on(struct xhci *hc);

/* context.c: what the controller is told of a device, in hc->memory->input. */
struct xhci_trb context_slot_wanted(struct xhci *hc, const struct usb_device *device);
struct xhci_trb context_address(struct xhci *hc, const struct usb_device *device);
struct xhci_trb context_packet(struct xhci *hc, const struct usb_device *device);
struct xhci_trb context_keyboard(struct xhci *hc, const struct usb_device *device);
struct xhci_trb context_hub(struct xhci *hc, const struct usb_device *device);
static inline uint32_t keyboard_context(const struct usb_device *device) {
    return 2u * device->found.endpoint + 1;
}

/* port.c */
/* Looks at what changed, moves each port on. */
void ports_step(struct xhci *hc);
/* One whose device can be looked at; NULL = none. */
struct usb_port *ports_ready(struct xhci *hc);
static inline uint32_t port_register(const struct xhci *hc, const struct usb_port *port) {
    return hc->operational + OP_PORTS + (port->number - 1u) * OP_PORT_SIZE;
}
/* The look at a hub's port, an operation. */
void ports_poll_hub(struct xhci *hc);

/* device.c: what a port's device is, step by step. */
static inline bool device_works_as(const struct usb_device *d, enum usb_kind kind) {
    return d->in_use && d->ready && !d->gone && d->found.kind == kind;
}
void device_begin(struct xhci *hc, struct usb_port *port);
/* It does not work: what it is in the middle of. */
void device_fail(struct xhci *hc, struct usb_device *device, const char *what, unsigned code);
/* It, and all that hangs on it, is no more. */
void device_forget(struct xhci *hc, struct usb_device *device);
bool device_bury(struct xhci *hc); /* the next of those; false = none has a slot left */
/* What a hub has answered of a port. */
uint32_t hub_status(const struct xhci *hc);

/* descriptor.c: pure. */
void descriptor_find(const uint8_t *bytes, size_t size, struct usb_found *out);

/* keyboard.c: reports into keys. */
void keyboard_start(struct xhci *hc, struct usb_device *device);
/* False if that is no report that was asked for. */
bool keyboard_event(struct xhci *hc, struct usb_device *device, const struct xhci_trb *event);
void keyboard_report(struct usb_keyboard *k, const uint8_t *report, uint64_t now_us,
                     void (*key)(uint8_t key, bool pressed));
void keyboard_repeat(struct usb_keyboard *k, uint64_t now_us,
                     void (*key)(uint8_t key, bool pressed));
