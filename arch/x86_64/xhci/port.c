/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports, the controller's own and those of hubs: is something there, since when, and whose turn is
 * it. A hub is asked for one port after the other. Sources: xHCI 1.2, "Root Hub", "Port Status and
 * Control Register"; USB 2.0, "Hub Class Requests".
 */
#include "arch/x86_64/xhci/internal.h"

#define SETTLE_US 100000u /* plugs bounce */
#define HUB_US    24000u  /* from one port to the next */

/* Something came and went since the last look: what was there is gone, even if all looks as before.
 */
static void port_seen(struct usb_port *port, bool connected, bool changed) {
    bool known = port->state != PORT_EMPTY && port->state != PORT_SETTLING;
    port->connected = connected && !(changed && known);
}

static void port_look(struct xhci *hc, struct usb_port *port) {
    uint32_t offset = port_register(hc, port);
    uint32_t word = xhci_read(hc, offset);

    if ((word & PORTSC_CHANGES) != 0) {
        xhci_write(hc, offset, (word & PORTSC_KEEP) | (word & PORTSC_CHANGES));
    }
    port_seen(port, (word & PORTSC_CONNECTED) != 0, (word & PORTSC_RECONNECTED) != 0);
    port->look = !port->connected && (word & PORTSC_CONNECTED) != 0; /* the new one, next time */
}

static void port_rest(struct xhci *hc, struct usb_port *port, enum usb_port_state state,
                      uint32_t us) {
    port->state = state;
    port->due_us = hc->now_us + us;
}

static void port_step(struct xhci *hc, struct usb_port *port) {
    bool due = hc->now_us >= port->due_us;

    if (!port->connected) {
        if (port->device != NULL) {
            device_forget(hc, port->device);
        }
        port->state = PORT_EMPTY;
        port->failures = 0;
    } else if (port->state == PORT_EMPTY) {
        port_rest(hc, port, PORT_SETTLING, SETTLE_US);
    } else if (due && (port->state == PORT_SETTLING || port->state == PORT_RESTING)) {
        port->state = PORT_READY;
    }
}

/* A port of the controller is looked at when it says so, and each at times all the same. */
void ports_step(struct xhci *hc) {
    hc->look_at = hc->look_at + 1 < hc->port_count ? hc->look_at + 1 : 0;
    hc->ports[hc->look_at].look = true;

    for (unsigned i = 0; i < hc->port_count; i++) {
        struct usb_port *port = &hc->ports[i];
        if (port->in_use && port->look) {
            port_look(hc, port);
        }
        if (port->in_use) {
            port_step(hc, port);
        }
    }
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        struct usb_device *d = &hc->devices[i];
        for (unsigned n = 0; n < d->port_count && device_works_as(d, USB_HUB); n++) {
            port_step(hc, &d->ports[n]);
        }
    }
}

static struct usb_port *ports_find_ready(struct usb_port *ports, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (ports[i].in_use && ports[i].state == PORT_READY) {
            return &ports[i];
        }
    }
    return NULL;
}

struct usb_port *ports_ready(struct xhci *hc) {
    struct usb_port *port = ports_find_ready(hc->ports, hc->port_count);

    for (unsigned i = 0; i < XHCI_MAX_DEVICES && port == NULL; i++) {
        if (device_works_as(&hc->devices[i], USB_HUB)) {
            port = ports_find_ready(hc->devices[i].ports, hc->devices[i].port_count);
        }
    }
    return port;
}

/* ---- hubs are asked ---- */

/* The next port of a hub, round robin; NULL = there is no hub. */
static struct usb_port *ports_next(struct xhci *hc) {
    for (unsigned i = 0; i <= XHCI_MAX_DEVICES; i++) {
        struct usb_device *d = &hc->devices[hc->poll_device];
        if (device_works_as(d, USB_HUB) && hc->poll_port < d->port_count) {
            hc->poll_port++;
            return &d->ports[hc->poll_port - 1];
        }
        hc->poll_device = (hc->poll_device + 1) % XHCI_MAX_DEVICES;
        hc->poll_port = 0;
    }
    return NULL;
}

/* Neither answer is missed if the hub has gone meanwhile. */
static bool ports_answered(struct xhci *hc, unsigned code) {
    struct usb_device *hub = hc->polled->hub;
    bool up = device_works_as(hub, USB_HUB);

    if (up && code != CODE_SUCCESS) {
        device_fail(hc, hub, "the state of its ports", code);
    }
    return up && code == CODE_SUCCESS;
}

static void ports_cleared(struct xhci *hc, unsigned code) {
    (void)ports_answered(hc, code);
}

/* That something came or went is kept until it is taken back. No other change matters: nobody waits
 * for the hub's own word of them. */
static void ports_polled(struct xhci *hc, unsigned code) {
    struct usb_port *port = hc->polled;

    if (!ports_answered(hc, code)) {
        return;
    }
    uint32_t word = hub_status(hc);
    port_seen(port, (word & HUB_CONNECTED) != 0, (word & HUB_RECONNECTED) != 0);
    if ((word & HUB_RECONNECTED) != 0) {
        hc->operation.then = ports_cleared;
        operation_control(hc, port->hub, HUB_CLEAR(HUB_CHANGES, port->number));
    }
}

void ports_poll_hub(struct xhci *hc) {
    if (hc->now_us < hc->poll_us) {
        return;
    }
    hc->poll_us = hc->now_us + HUB_US;
    hc->polled = ports_next(hc);
    if (hc->polled != NULL) {
        hc->operation.then = ports_polled;
        operation_control(hc, hc->polled->hub, HUB_GET_STATUS(hc->polled->number));
    }
}
