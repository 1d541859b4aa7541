/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a port with something in it to a keyboard that reports, or a hub that is asked for its
 * ports: a list of steps, each an operation. What fails is tried again, later each time. Sources:
 * xHCI 1.2, "USB Device Initialization"; USB 2.0, "Bus Enumeration", "Hub Class Requests".
 */
#include "arch/x86_64/xhci/internal.h"

#include "hv/lib/bytes.h"
#include "hv/lib/fmt.h"
#include "hv/lib/log.h"
#include "hv/lib/str.h"

#define RESET_POLL_US      20000u
#define RESET_POLLS        25u
#define RECOVER_US         20000u /* 10 ms by the source, after a reset; 2 ms after an address */
#define POWER_UNIT_US      2000u
#define POWER_LEAST_US     100000u
#define RETRY_US           200000u /* twice as long each time */
#define RETRY_DOUBLED      6u
#define STABLE_US          10000000u /* who has worked for so long has not failed before */
#define DEPTH_MAX          5u
#define HEAD_SIZE          8u
#define PACKET_AT          7u
#define PACKET_SMALL       8u
#define PACKET_LARGE       64u
#define TYPE_AT            1u
#define CONFIGURATION_HEAD 9u
#define TOTAL_AT           2u
#define HUB_PORTS_AT       2u
#define HUB_TRAITS_AT      3u
#define HUB_THINK(t)       ((t) >> 5 & 3u)
#define HUB_POWER_AT       5u
#define USB_NAME_SIZE      40u

enum verdict { GO_ON, AGAIN, GO_BACK, FAIL };

/* Where it is, as "port 3.1.2". buf needs USB_NAME_SIZE bytes. */
static const char *device_name(const struct usb_device *d, char *buf) {
    size_t n = fmt_print(buf, USB_NAME_SIZE, "port %u", d->root);

    for (uint32_t route = d->route; route != 0 && n < USB_NAME_SIZE; route >>= SLOT_ROUTE_STEP) {
        n += fmt_print(buf + n, USB_NAME_SIZE - n, ".%u", route & SLOT_ROUTE_PORT);
    }
    return buf;
}

/* A loose plug, or a device that plays one, does not fill the log. */
static void device_tell(struct xhci *hc, const struct usb_device *d, const char *what,
                        unsigned code) {
    static const char *const kinds[] = {[USB_UNKNOWN] = "device",
                                        [USB_OTHER] = "device",
                                        [USB_KEYBOARD] = "keyboard",
                                        [USB_HUB] = "hub"};
    char name[USB_NAME_SIZE];
    char number[16] = "";
    uint32_t suppressed = 0;

    if (!log_enabled(LOG_INFO) || !log_limit_pass(&hc->log_limit, &suppressed)) {
        return;
    }
    if (code != 0) {
        (void)fmt_print(number, sizeof(number), " (code %u)", code);
    }
    log_info("USB: %s at controller %u, %s%s%s", kinds[d->found.kind], hc->number,
             device_name(d, name), what, number);
}

/* ---- the port ---- */

/* A request to the hub; on a port of the controller, a bit in its register. */
static void step_port(struct xhci *hc, const struct usb_port *port, uint64_t request,
                      uint32_t bits) {
    if (port->hub != NULL) {
        operation_control(hc, port->hub, request);
        return;
    }
    uint32_t offset = port_register(hc, port);
    if (bits != 0) {
        xhci_write(hc, offset, (xhci_read(hc, offset) & PORTSC_KEEP) | bits);
    }
    operation_wait(hc, 0);
}

static void step_reset(struct xhci *hc, struct usb_device *d) {
    step_port(hc, d->port, HUB_SET(HUB_PORT_RESET, d->port->number), PORTSC_RESET);
}

static void step_status(struct xhci *hc, struct usb_device *d) {
    step_port(hc, d->port, HUB_GET_STATUS(d->port->number), 0);
}

static void step_clear(struct xhci *hc, struct usb_device *d) {
    step_port(hc, d->port, HUB_CLEAR(HUB_CHANGES_RESET, d->port->number), 0);
}

uint32_t hub_status(const struct xhci *hc) {
    return bytes_u32(hc->data);
}

static uint8_t hub_speed(uint32_t status) {
    if ((status & HUB_LOW_SPEED) != 0) {
        return SPEED_LOW;
    }
    return (status & HUB_HIGH_SPEED) != 0 ? SPEED_HIGH : SPEED_FULL;
}

/* Slow ones behind a fast hub are reached through its transaction translator. */
static void device_set_speed(struct usb_device *d, uint8_t speed) {
    const struct usb_device *hub = d->port->hub;

    d->speed = speed;
    d->packet = speed == SPEED_HIGH ? PACKET_LARGE : PACKET_SMALL;
    if (hub != NULL && speed != SPEED_HIGH) {
        bool here = hub->speed == SPEED_HIGH;
        d->tt_slot = here ? hub->slot : hub->tt_slot;
        d->tt_port = here ? d->port->number : hub->tt_port;
    }
}

static enum verdict step_has_status(struct xhci *hc, struct usb_device *d) {
    bool root = d->port->hub == NULL;
    uint32_t word = root ? xhci_read(hc, port_register(hc, d->port)) : hub_status(hc);
    uint32_t busy = root ? PORTSC_RESET : HUB_RESETTING;
    uint32_t enabled = root ? PORTSC_ENABLED : HUB_ENABLED;
    uint32_t speed = root ? PORTSC_SPEED(word) : hub_speed(word);

    if ((word & busy) != 0 || (word & enabled) == 0) {
        hc->job.tries++;
        return hc->job.tries < RESET_POLLS ? GO_BACK : FAIL;
    }
    if (speed < SPEED_FULL || speed > SPEED_HIGH) {
        return FAIL;
    }
    device_set_speed(d, (uint8_t)speed);
    return GO_ON;
}

/* ---- the controller's part ---- */

static enum verdict step_has_slot(struct xhci *hc, struct usb_device *d) {
    struct xhci_device_memory *m = d->memory;
    uint8_t slot = hc->operation.slot;

    if (slot == 0 || slot > hc->slots || hc->memory->contexts[slot] != 0) {
        hc->fault = "it hands out a slot that it does not have";
        return FAIL;
    }
    d->slot = slot;
    memset(m->contexts, 0, sizeof(m->contexts));
    ring_init(&d->control, m->control, CONTROL_TRBS, xhci_bus(hc, m->control));
    ring_init(&d->reports, m->reports, REPORTS + 1, xhci_bus(hc, m->reports));
    hc->memory->contexts[slot] = xhci_bus(hc, m->contexts);
    return GO_ON;
}

/* ---- what it is ---- */

/* At low and high speed there is but one size. */
static enum verdict step_has_head(struct xhci *hc, struct usb_device *d) {
    uint8_t packet = hc->data[PACKET_AT];
    bool power_of_two = (packet & (packet - 1)) == 0;

    if (hc->data[TYPE_AT] != USB_DEVICE || packet < PACKET_SMALL || packet > PACKET_LARGE ||
        !power_of_two || (d->speed != SPEED_FULL && packet != d->packet)) {
        return FAIL;
    }
    d->packet = packet;
    return GO_ON;
}

static void step_packet(struct xhci *hc, struct usb_device *d) {
    if (d->packet == PACKET_SMALL || d->speed != SPEED_FULL) {
        operation_wait(hc, 0); /* as it was */
    } else {
        operation_command(hc, context_packet(hc, d));
    }
}

static enum verdict step_has_configuration_head(struct xhci *hc, struct usb_device *d) {
    unsigned total = bytes_u16(hc->data + TOTAL_AT);

    if (hc->data[TYPE_AT] != USB_CONFIGURATION || total < CONFIGURATION_HEAD) {
        return FAIL;
    }
    d->total = (uint16_t)min_u64(total, DATA_SIZE);
    return GO_ON;
}

static void step_configuration(struct xhci *hc, struct usb_device *d) {
    operation_control(hc, d, USB_GET_DESCRIPTOR(USB_CONFIGURATION, d->total));
}

static enum verdict step_has_configuration(struct xhci *hc, struct usb_device *d) {
    descriptor_find(hc->data, d->total, &d->found);
    if (d->found.kind == USB_HUB && d->depth == DEPTH_MAX) {
        d->found.kind = USB_OTHER;
    }
    return GO_ON;
}

/* ---- to work ---- */

static void step_configure(struct xhci *hc, struct usb_device *d) {
    operation_control(hc, d, USB_SET_CONFIGURATION(d->found.configuration));
}

static void step_protocol(struct xhci *hc, struct usb_device *d) {
    operation_control(hc, d, HID_SET_BOOT_PROTOCOL(d->found.interface));
}

static void step_idle(struct xhci *hc, struct usb_device *d) {
    operation_control(hc, d, HID_SET_IDLE(d->found.interface));
}

static enum verdict step_has_hub(struct xhci *hc, struct usb_device *d) {
    d->port_count = (uint8_t)min_u64(hc->data[HUB_PORTS_AT], USB_MAX_HUB_PORTS);
    d->tt_think = HUB_THINK(hc->data[HUB_TRAITS_AT]);
    d->power_us = hc->data[HUB_POWER_AT] * POWER_UNIT_US;
    return d->port_count != 0 ? GO_ON : FAIL;
}

static void step_power(struct xhci *hc, struct usb_device *d) {
    operation_control(hc, d, HUB_SET(HUB_PORT_POWER, hc->job.tries + 1));
}

static enum verdict step_has_power(struct xhci *hc, struct usb_device *d) {
    hc->job.tries++;
    return hc->job.tries < d->port_count ? AGAIN : GO_ON;
}

static void step_power_good(struct xhci *hc, struct usb_device *d) {
    operation_wait(hc, (uint32_t)max_u64(d->power_us, POWER_LEAST_US));
}

/* For which kinds of devices: what one is, is not known at first. */
#define FOR_KEYBOARD BIT32(USB_KEYBOARD)
#define FOR_HUB      BIT32(USB_HUB)
#define FOR_BOTH     (FOR_KEYBOARD | FOR_HUB)
#define FOR_ALL      (BIT32(USB_UNKNOWN) | FOR_BOTH)

/* What a step does, one of these: a request to the device, a command to the controller, something
 * of its own, a pause. And what its answer tells: NULL = on to the next. */
static const struct step {
    const char *what;
    uint32_t kinds;
    bool may_refuse;
    uint32_t pause_us;
    uint64_t request;
    struct xhci_trb (*command)(struct xhci *hc, const struct usb_device *d);
    void (*begin)(struct xhci *hc, struct usb_device *d);
    enum verdict (*end)(struct xhci *hc, struct usb_device *d);
} steps[] = {
    {"the reset", FOR_ALL, .begin = step_reset},
    {"the reset", FOR_ALL, .pause_us = RESET_POLL_US},
    {"the reset", FOR_ALL, .begin = step_status, .end = step_has_status},
    {"the reset", FOR_ALL, .begin = step_clear},
    {"the reset", FOR_ALL, .pause_us = RECOVER_US},
    {"a slot", FOR_ALL, .command = context_slot_wanted, .end = step_has_slot},
    {"its address", FOR_ALL, .command = context_address},
    {"its address", FOR_ALL, .pause_us = RECOVER_US},
    {"its descriptor", FOR_ALL, .request = USB_GET_DESCRIPTOR(USB_DEVICE, HEAD_SIZE),
     .end = step_has_head},
    {"its packets' size", FOR_ALL, .begin = step_packet},
    {"its configuration", FOR_ALL,
     .request = USB_GET_DESCRIPTOR(USB_CONFIGURATION, CONFIGURATION_HEAD),
     .end = step_has_configuration_head},
    {"its configuration", FOR_ALL, .begin = step_configuration, .end = step_has_configuration},
    {"its endpoint", FOR_KEYBOARD, .command = context_keyboard},
    {"being configured", FOR_BOTH, .begin = step_configure},
    {"boot protocol", FOR_KEYBOARD, .may_refuse = true, .begin = step_protocol},
    {"its idle rate", FOR_KEYBOARD, .may_refuse = true, .begin = step_idle},
    {"its descriptor", FOR_HUB, .request = HUB_GET_DESCRIPTOR, .end = step_has_hub},
    {"its context", FOR_HUB, .command = context_hub},
    {"power", FOR_HUB, .begin = step_power, .end = step_has_power},
    {"power", FOR_HUB, .begin = step_power_good},
};

static void step_begin(struct xhci *hc, struct usb_device *d) {
    const struct step *step = &steps[hc->job.step];

    if (step->request != 0) {
        operation_control(hc, d, step->request);
    } else if (step->command != NULL) {
        operation_command(hc, step->command(hc, d));
    } else if (step->begin != NULL) {
        step->begin(hc, d);
    } else {
        operation_wait(hc, step->pause_us);
    }
}

/* ---- step by step ---- */

static struct usb_device *device_take(struct xhci *hc, struct usb_port *port) {
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        struct usb_device *d = &hc->devices[i];
        if (!d->in_use) {
            memset(d, 0, sizeof(*d));
            d->in_use = true;
            d->memory = &hc->memory->devices[i];
            d->port = port;
            return d;
        }
    }
    return NULL;
}

static void port_retry(struct xhci *hc, struct usb_port *port) {
    bool worked = port->state == PORT_ATTACHED && hc->now_us - port->due_us > STABLE_US;
    unsigned failures = worked ? 0 : port->failures;

    port->failures = (uint8_t)(failures < RETRY_DOUBLED ? failures + 1 : RETRY_DOUBLED);
    port->state = PORT_RESTING;
    port->due_us = hc->now_us + ((uint64_t)RETRY_US << failures);
}

void device_fail(struct xhci *hc, struct usb_device *d, const char *what, unsigned code) {
    char text[40];
    struct usb_port *port = d->port;

    (void)fmt_print(text, sizeof(text), ", fails at %s", what);
    device_tell(hc, d, text, code);
    device_forget(hc, d);
    port_retry(hc, port);
}

static void device_init_hub(struct usb_device *hub) {
    for (uint8_t i = 0; i < USB_MAX_HUB_PORTS; i++) {
        hub->ports[i] = (struct usb_port){
            .hub = hub, .number = (uint8_t)(i + 1), .in_use = i < hub->port_count};
    }
}

/* All steps are through. */
static void device_done(struct xhci *hc, struct usb_device *d) {
    struct usb_port *port = d->port;

    if (d->found.kind == USB_OTHER) {
        port->state = PORT_IGNORED;
        device_forget(hc, d);
        return;
    }
    device_tell(hc, d, "", 0);
    d->ready = true;
    port->state = PORT_ATTACHED;
    port->due_us = hc->now_us;
    if (d->found.kind == USB_HUB) {
        device_init_hub(d);
    } else {
        keyboard_start(hc, d);
    }
}

static void device_next(struct xhci *hc, struct usb_device *d, bool forward) {
    if (forward) {
        hc->job.step++;
        hc->job.tries = 0;
    }
    while (hc->job.step < ARRAY_SIZE(steps) &&
           (steps[hc->job.step].kinds & BIT32(d->found.kind)) == 0) {
        hc->job.step++;
    }
    if (hc->job.step < ARRAY_SIZE(steps)) {
        step_begin(hc, d);
    } else {
        device_done(hc, d);
    }
}

/* The operation of its step has ended. */
static void device_went_on(struct xhci *hc, unsigned code) {
    struct usb_device *d = hc->job.device;
    const struct step *step = &steps[hc->job.step];
    bool good = code == CODE_SUCCESS || (step->may_refuse && code == CODE_STALL);
    enum verdict verdict = good ? GO_ON : FAIL;

    if (good && step->end != NULL) {
        verdict = step->end(hc, d);
    }
    if (hc->fault != NULL || d->gone) {
        return;
    }
    if (verdict == FAIL) {
        device_fail(hc, d, step->what, code);
    } else {
        hc->job.step -= verdict == GO_BACK ? 1 : 0;
        device_next(hc, d, verdict == GO_ON);
    }
}

void device_begin(struct xhci *hc, struct usb_port *port) {
    struct usb_device *d = device_take(hc, port);

    if (d == NULL) {
        port_retry(hc, port);
        return;
    }
    d->root = port->number;
    if (port->hub != NULL) {
        d->root = port->hub->root;
        d->depth = (uint8_t)(port->hub->depth + 1);
        d->route = port->hub->route | (uint32_t)port->number
                                          << (SLOT_ROUTE_STEP * port->hub->depth);
    }
    port->device = d;
    port->state = PORT_BUSY;
    hc->job.device = d;
    hc->job.step = 0;
    hc->job.tries = 0;
    hc->operation.then = device_went_on;
    step_begin(hc, d);
}

/* ---- its end ---- */

static bool device_is_below(const struct usb_device *d, const struct usb_device *hub) {
    return d->in_use && d->port->hub == hub;
}

/* Calls itself for what hangs on a hub: never deeper than hubs can be. */
void device_forget(struct xhci *hc, struct usb_device *d) {
    static const uint8_t nothing[USB_REPORT_SIZE];

    if (!d->in_use || d->gone) {
        return;
    }
    d->gone = true;
    d->port->device = NULL;
    keyboard_report(&d->keyboard, nothing, hc->now_us, hc->ops->key);
    if (d->ready) {
        device_tell(hc, d, ", is gone", 0);
    }
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        if (device_is_below(&hc->devices[i], d)) {
            device_forget(hc, &hc->devices[i]);
        }
    }
}

static bool device_has_others(const struct xhci *hc, const struct usb_device *d) {
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        if (device_is_below(&hc->devices[i], d)) {
            return true;
        }
    }
    return false;
}

static void device_freed(struct xhci *hc, UNUSED unsigned code) {
    hc->memory->contexts[hc->buried->slot] = 0;
    hc->buried->in_use = false;
}

/* Also if the port could not be switched off: its hub is going, too. */
static void device_disconnected(struct xhci *hc, UNUSED unsigned code) {
    hc->operation.then = device_freed;
    operation_command(
        hc, (struct xhci_trb){0, 0, TRB_TYPE(TRB_DISABLE_SLOT) | TRB_SLOT(hc->buried->slot)});
}

/*
 * Its port first: what has lost its slot may not go on using an address that another one gets. Then
 * the slot. In the order of the tree, for a device knows its hub's port.
 */
bool device_bury(struct xhci *hc) {
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        struct usb_device *d = &hc->devices[i];

        if (!d->in_use || !d->gone || device_has_others(hc, d)) {
            continue;
        }
        if (d->slot == 0) {
            d->in_use = false;
            continue;
        }
        hc->buried = d;
        if (d->port->hub != NULL && d->port->hub->gone) {
            device_disconnected(hc, CODE_SUCCESS);
        } else {
            hc->operation.then = device_disconnected;
            step_port(hc, d->port, HUB_CLEAR(HUB_PORT_ENABLE, d->port->number), PORTSC_ENABLED);
        }
        return true;
    }
    return false;
}
