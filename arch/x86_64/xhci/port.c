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

static bool hub_is_up(const struct usb_device *d) {
    return d->in_use && d->ready && !d->gone && d->found.kind == USB_HUB;
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
        for (unsigned n = 0; n < d->port_count && hub_is_up(d); n++) {
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
        if (hub_is_up(&hc->devices[i])) {
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
        if (hub_is_up(d) && hc->poll_port < d->port_count) {
            hc->poll_port++;
            return &d->ports[hc->poll_port - 1];
        }
        hc->poll_device = (hc->poll_device + 1) % XHCI_MAX_DEVICES;
        hc->poll_port = 0;
    }
    return NULL;
}

/* A change that was seen is taken back before another port is looked at. */
void ports_poll_hub(struct xhci *hc) {
    if (hc->changed != NULL) {
        unsigned bit = (unsigned)__builtin_ctz(hc->changes);
        hc->changes &= hc->changes - 1;
        hc->polled = hc->changed;
        operation_control(hc, hc->polled->hub, HUB_CLEAR(HUB_CHANGES + bit, hc->polled->number));
    } else if (hc->now_us >= hc->poll_us) {
        hc->poll_us = hc->now_us + HUB_US;
        hc->polled = ports_next(hc);
        if (hc->polled != NULL) {
            operation_control(hc, hc->polled->hub, HUB_GET_STATUS(hc->polled->number));
        }
    }
}

void ports_polled(struct xhci *hc, unsigned code) {
    struct usb_port *port = hc->polled;
    bool cleared = hc->changed != NULL;

    hc->polled = NULL;
    if (hc->changes == 0) {
        hc->changed = NULL;
    }
    if (!hub_is_up(port->hub)) {
        hc->changed = NULL;
        return;
    }
    if (code != CODE_SUCCESS) {
        hc->changed = NULL;
        device_fail(hc, port->hub, "the state of its ports", code);
        return;
    }
    if (!cleared) {
        uint32_t word = hub_status(hc);
        hc->changes = HUB_CHANGES_OF(word);
        hc->changed = hc->changes != 0 ? port : NULL;
        port_seen(port, (word & HUB_CONNECTED) != 0, (word & HUB_RECONNECTED) != 0);
    }
}
