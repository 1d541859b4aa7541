/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thing at a time: a pause, a command to the controller, a control transfer with a device. What
 * does not end has a limit. A device that refuses a request (STALL) has its endpoint mended before
 * the operation ends. Source: xHCI 1.2, "Command Interface", "Control Transfers", "Reset Endpoint".
 */
#include "arch/x86_64/xhci/internal.h"

#include "hv/lib/str.h"

#define COMMAND_US 5000000u
#define CONTROL_US 2000000u /* a device has up to 5 s by the source; no keyboard takes so long */

static void operation_begin(struct xhci *hc, enum xhci_wait wait, uint64_t us) {
    hc->operation.wait = wait;
    hc->operation.done = false;
    hc->operation.due_us = hc->now_us + us;
}

void operation_wait(struct xhci *hc, uint32_t us) {
    hc->operation.code = CODE_SUCCESS;
    operation_begin(hc, WAIT_TIME, us);
}

static void operation_send(struct xhci *hc, enum xhci_wait wait, struct xhci_trb command) {
    operation_begin(hc, wait, COMMAND_US);
    hc->operation.trb = xhci_bus(hc, ring_put(&hc->commands, command));
    xhci_ring_doorbell(hc, 0, 0);
}

void operation_command(struct xhci *hc, struct xhci_trb command) {
    operation_send(hc, WAIT_COMMAND, command);
}

void operation_control(struct xhci *hc, struct usb_device *device, uint64_t request) {
    struct xhci_memory *m = hc->memory;
    uint32_t length = USB_LENGTH_OF(request);
    bool in = (request & USB_IN) != 0 && length != 0;

    ASSERT(length <= DATA_SIZE && (in || length == 0));
    memset(m->data, 0, DATA_SIZE);
    (void)ring_put(&device->control, (struct xhci_trb){request, sizeof(request),
                                                       TRB_TYPE(TRB_SETUP) | TRB_IMMEDIATE |
                                                           (in ? TRB_SETUP_IN : 0)});
    if (in) {
        (void)ring_put(&device->control, (struct xhci_trb){xhci_bus(hc, m->data), length,
                                                           TRB_TYPE(TRB_DATA) | TRB_IN});
    }
    const struct xhci_trb *last =
        ring_put(&device->control,
                 (struct xhci_trb){0, 0, TRB_TYPE(TRB_STATUS) | TRB_EVENT | (in ? 0 : TRB_IN)});
    operation_begin(hc, WAIT_CONTROL, CONTROL_US);
    hc->operation.trb = xhci_bus(hc, last);
    hc->operation.device = device;
    xhci_ring_doorbell(hc, device->slot, CONTEXT_CONTROL);
}

static void operation_end(struct xhci *hc, unsigned code) {
    hc->operation.done = true;
    hc->operation.code = code;
}

/* Only what is waited for counts. An error may be told of any part of a transfer. */
void operation_event(struct xhci *hc, const struct xhci_trb *event) {
    struct xhci_operation *o = &hc->operation;
    unsigned code = EVENT_CODE(event->status);
    bool command = o->wait == WAIT_COMMAND || o->wait == WAIT_RESET || o->wait == WAIT_DEQUEUE;
    bool control = o->wait == WAIT_CONTROL;

    if (TRB_TYPE_OF(event->control) == TRB_COMMAND_EVENT) {
        if (command && event->parameter == o->trb) {
            o->slot = (uint8_t)TRB_SLOT_OF(event->control);
            operation_end(hc, code);
        }
    } else if (TRB_TYPE_OF(event->control) == TRB_TRANSFER_EVENT && control &&
               TRB_SLOT_OF(event->control) == o->device->slot) {
        bool good = code == CODE_SUCCESS || code == CODE_SHORT_PACKET;
        if (!good || event->parameter == o->trb) {
            operation_end(hc, good ? CODE_SUCCESS : code);
        }
    }
}

/* After a STALL the controller does nothing for this endpoint until it is told where to go on. */
static bool operation_mend(struct xhci *hc) {
    struct xhci_operation *o = &hc->operation;
    const struct usb_device *d = o->device;
    uint32_t target = TRB_ENDPOINT(CONTEXT_CONTROL);

    if (o->wait == WAIT_CONTROL && o->code == CODE_STALL) {
        target |= TRB_SLOT(d->slot);
        operation_send(hc, WAIT_RESET,
                       (struct xhci_trb){0, 0, TRB_TYPE(TRB_RESET_ENDPOINT) | target});
        return true;
    }
    if (o->wait == WAIT_RESET && o->code == CODE_SUCCESS) {
        uint64_t next = xhci_bus(hc, &d->control.trbs[d->control.at]) | d->control.cycle;
        target |= TRB_SLOT(d->slot);
        operation_send(hc, WAIT_DEQUEUE,
                       (struct xhci_trb){next, 0, TRB_TYPE(TRB_SET_DEQUEUE) | target});
        return true;
    }
    if (o->wait == WAIT_DEQUEUE && o->code == CODE_SUCCESS) {
        o->code = CODE_STALL;
    }
    return false;
}

/* Its time is up: an error, but for a pause. False: what the controller itself has to do. */
static bool operation_expire(struct xhci *hc) {
    struct xhci_operation *o = &hc->operation;

    if (o->wait == WAIT_CONTROL) {
        o->code = CODE_TIMEOUT;
    } else if (o->wait != WAIT_TIME) {
        hc->fault = "a command does not end";
        return false;
    }
    o->done = true;
    return true;
}

void operation_go_on(struct xhci *hc) {
    struct xhci_operation *o = &hc->operation;

    if (o->wait == WAIT_NOTHING) {
        return;
    }
    bool ended = o->done || (hc->now_us >= o->due_us && operation_expire(hc));
    if (!ended || operation_mend(hc)) {
        return;
    }
    for (size_t i = 0; i < DATA_SIZE && o->wait == WAIT_CONTROL; i++) {
        hc->data[i] = __atomic_load_n(&hc->memory->data[i], __ATOMIC_RELAXED);
    }
    o->wait = WAIT_NOTHING;
    o->then(hc, o->code);
}
