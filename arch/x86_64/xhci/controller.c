/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The controller: taken over from the firmware, stopped, reset, set up, and its events. Each wait
 * has an end. Source: xHCI 1.2, "Host Controller Initialization", "USB Legacy Support Capability".
 */
#include "arch/x86_64/xhci/internal.h"

#include "hv/lib/log.h"
#include "hv/lib/str.h"

#define HANDOFF_US     1000000u /* then it is taken by force, as the source says */
#define HALT_US        100000u  /* 16 ms by the source */
#define RESET_US       1000000u
#define RESET_QUIET_US 1000u /* Intel's do not like to be read earlier */
#define AGAIN_US       2000000u
#define STABLE_US      60000000u /* who has worked for so long has not failed before */
#define FAILURES_MAX   5u
#define EVENTS_MAX     64u /* in one go */
#define EXTENDED_MAX   64u /* a list of capabilities that has no end */
#define PORT_NUMBERS   255u

static uint32_t xhci_operational(const struct xhci *hc, uint32_t r) {
    return xhci_read(hc, hc->operational + r);
}

static void xhci_set_operational(const struct xhci *hc, uint32_t r, uint32_t value) {
    xhci_write(hc, hc->operational + r, value);
}

/* A register of 64 bits; its upper half last. */
static void xhci_write64(const struct xhci *hc, uint32_t offset, uint64_t value) {
    xhci_write(hc, offset, (uint32_t)value);
    xhci_write(hc, offset + 4, (uint32_t)(value >> 32));
}

/* ---- what it is ---- */

static bool xhci_fits(const struct xhci *hc, uint32_t offset, uint32_t length) {
    return offset <= hc->size && length <= hc->size - offset;
}

/* Keyboards are behind the ports of USB 2, whatever the controller calls the others. */
static void xhci_add_ports(struct xhci *hc, uint32_t word) {
    uint32_t first = PROTOCOL_FIRST(word);

    for (uint32_t n = first; n < first + PROTOCOL_COUNT(word); n++) {
        if (n >= 1 && n <= hc->port_count) {
            hc->ports[n - 1].in_use = true;
        }
    }
}

static void xhci_read_extended(struct xhci *hc, uint32_t at) {
    for (unsigned i = 0; i < EXTENDED_MAX && at >= CAP_END && xhci_fits(hc, at, 16); i++) {
        uint32_t word = xhci_read(hc, at);
        if (EXTENDED_ID(word) == EXTENDED_LEGACY) {
            hc->legacy = at;
        } else if (EXTENDED_ID(word) == EXTENDED_PROTOCOL &&
                   PROTOCOL_MAJOR(word) == PROTOCOL_USB2) {
            xhci_add_ports(hc, xhci_read(hc, at + PROTOCOL_PORTS));
        }
        if (EXTENDED_NEXT(word) == 0) {
            return;
        }
        at += EXTENDED_NEXT(word);
    }
}

static enum status xhci_unusable(const struct xhci *hc, const char *why) {
    log_warn("USB: controller %u cannot be used: %s" MSG(4061), hc->number, why);
    return STATUS_UNSUPPORTED;
}

static enum status xhci_read_capabilities(struct xhci *hc) {
    uint32_t length = xhci_read(hc, CAP_LENGTH);
    uint32_t structure = xhci_read(hc, CAP_HCSPARAMS1);
    uint32_t features = xhci_read(hc, CAP_HCCPARAMS1);

    if (length == STATUS_GONE || length == 0) {
        return xhci_unusable(hc, "it does not answer");
    }
    hc->operational = length & LENGTH_MASK;
    hc->doorbells = xhci_read(hc, CAP_DBOFF) & DBOFF_MASK;
    hc->runtime = xhci_read(hc, CAP_RTSOFF) & RTSOFF_MASK;
    hc->slots = HCS1_SLOTS(structure);
    hc->port_count = HCS1_PORTS(structure);
    hc->port_count = hc->port_count < XHCI_MAX_PORTS ? hc->port_count : XHCI_MAX_PORTS;
    hc->scratchpad_pages = HCS2_SCRATCHPAD(xhci_read(hc, CAP_HCSPARAMS2));
    hc->context_size = (features & HCC1_64_BYTES) != 0 ? CONTEXT_MAX : CONTEXT_MAX / 2;
    if (hc->operational % 4 != 0 ||
        !xhci_fits(hc, hc->operational, OP_PORTS + hc->port_count * OP_PORT_SIZE) ||
        !xhci_fits(hc, hc->doorbells, (hc->slots + 1) * 4) || !xhci_fits(hc, hc->runtime, RT_END)) {
        return xhci_unusable(hc, "its registers lie outside of their place");
    }
    if ((xhci_operational(hc, OP_PAGESIZE) & PAGESIZE_4K) == 0) {
        return xhci_unusable(hc, "it knows no pages of 4 KiB");
    }
    if (hc->scratchpad_pages > XHCI_MAX_SCRATCHPAD) {
        return xhci_unusable(hc, "it asks for more than a megabyte");
    }
    xhci_read_extended(hc, HCC1_EXTENDED(features));
    return STATUS_OK;
}

enum status xhci_probe(struct xhci *hc, const struct xhci_ops *ops, void *machine, unsigned number,
                       uint32_t size, uint64_t *memory) {
    memset(hc, 0, sizeof(*hc));
    hc->ops = ops;
    hc->machine = machine;
    hc->number = number;
    hc->size = size;
    if (!xhci_fits(hc, 0, CAP_END) || xhci_read_capabilities(hc) != STATUS_OK) {
        return STATUS_UNSUPPORTED;
    }
    *memory = sizeof(struct xhci_memory) + hc->scratchpad_pages * PAGE_SIZE;
    return STATUS_OK;
}

void xhci_give_memory(struct xhci *hc, void *memory, uint64_t bus) {
    hc->memory = memory;
    hc->bus = bus;
    hc->state = XHCI_FAILED; /* begins with the first poll */
}

/* ---- taking it over ---- */

static void xhci_next(struct xhci *hc, enum xhci_state state, uint32_t us) {
    hc->state = state;
    hc->due_us = hc->now_us + us;
}

static void xhci_fail(struct xhci *hc, const char *what) {
    bool last = hc->failures == FAILURES_MAX;

    log_warn("USB: controller %u: %s%s" MSG(4062), hc->number, what,
             last ? "; it is left alone" : "");
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        device_forget(hc, &hc->devices[i]);
    }
    xhci_set_operational(hc, OP_COMMAND, 0);
    hc->failures++;
    xhci_next(hc, last ? XHCI_OFF : XHCI_FAILED, AGAIN_US);
}

static void xhci_begin(struct xhci *hc) {
    if (hc->now_us < hc->due_us) {
        return;
    }
    if (hc->legacy != 0) {
        xhci_write(hc, hc->legacy, xhci_read(hc, hc->legacy) | LEGACY_OS);
    }
    xhci_next(hc, XHCI_HANDOFF, HANDOFF_US);
}

/* The firmware answers from an SMI. Without its SMIs it cannot come back. */
static void xhci_take_over(struct xhci *hc) {
    if (hc->legacy != 0) {
        uint32_t owner = xhci_read(hc, hc->legacy);
        if ((owner & LEGACY_BIOS) != 0 && hc->now_us < hc->due_us) {
            return;
        }
        if ((owner & LEGACY_BIOS) != 0) {
            log_warn("USB: controller %u: the firmware does not let go of it" MSG(4063),
                     hc->number);
            xhci_write(hc, hc->legacy, (owner | LEGACY_OS) & ~LEGACY_BIOS);
        }
        uint32_t control = xhci_read(hc, hc->legacy + LEGACY_CONTROL) & LEGACY_CONTROL_KEEP;
        xhci_write(hc, hc->legacy + LEGACY_CONTROL, control | LEGACY_CONTROL_CLEAR);
    }
    xhci_set_operational(hc, OP_COMMAND, 0);
    xhci_next(hc, XHCI_HALTING, HALT_US);
}

/* One that does not halt is reset all the same. */
static void xhci_halt(struct xhci *hc) {
    bool halted = (xhci_operational(hc, OP_STATUS) & STATUS_HALTED) != 0;

    if (halted || hc->now_us >= hc->due_us) {
        xhci_set_operational(hc, OP_COMMAND, COMMAND_RESET);
        xhci_next(hc, XHCI_RESETTING, RESET_US);
        hc->quiet_us = hc->now_us + RESET_QUIET_US;
    }
}

static void xhci_init_memory(struct xhci *hc) {
    struct xhci_memory *m = hc->memory;
    uint64_t pages = hc->bus + sizeof(*m);

    memset(m, 0, sizeof(*m));
    for (uint32_t i = 0; i < hc->scratchpad_pages; i++) {
        m->scratchpad[i] = pages + i * PAGE_SIZE;
    }
    m->contexts[0] = hc->scratchpad_pages != 0 ? xhci_bus(hc, m->scratchpad) : 0;
    m->event_table.parameter = xhci_bus(hc, m->events);
    m->event_table.status = EVENT_TRBS;
    ring_init(&hc->commands, m->commands, COMMAND_TRBS, xhci_bus(hc, m->commands));
    hc->event_at = 0;
    hc->event_cycle = TRB_CYCLE;
}

static void xhci_init_ports(struct xhci *hc) {
    for (uint32_t i = 0; i < hc->port_count; i++) {
        struct usb_port *port = &hc->ports[i];
        *port = (struct usb_port){
            .number = (uint8_t)(i + 1), .in_use = port->in_use, .look = port->in_use};
        uint32_t offset = port_register(hc, port);
        if (port->in_use) {
            xhci_write(hc, offset, (xhci_read(hc, offset) & PORTSC_KEEP) | PORTSC_POWER);
        }
    }
}

static void xhci_run(struct xhci *hc) {
    struct xhci_memory *m = hc->memory;

    xhci_init_memory(hc);
    memset(&hc->operation, 0, sizeof(hc->operation));
    memset(hc->devices, 0, sizeof(hc->devices));
    hc->fault = NULL;

    /* It knows no address yet, and reads the table of events as soon as it has that one. */
    hc->ops->allow_dma(hc->machine);
    xhci_set_operational(hc, OP_CONFIG, hc->slots);
    xhci_write64(hc, hc->operational + OP_DCBAAP, xhci_bus(hc, m->contexts));
    xhci_write64(hc, hc->operational + OP_CRCR, xhci_bus(hc, m->commands) | CRCR_CYCLE);
    xhci_write(hc, hc->runtime + RT_IMAN, 0); /* no interrupts: it is polled */
    xhci_write(hc, hc->runtime + RT_ERSTSZ, 1);
    xhci_write64(hc, hc->runtime + RT_ERDP, xhci_bus(hc, m->events));
    xhci_write64(hc, hc->runtime + RT_ERSTBA, xhci_bus(hc, &m->event_table));
    xhci_set_operational(hc, OP_COMMAND, COMMAND_RUN);
    xhci_init_ports(hc);
    xhci_next(hc, XHCI_RUNNING, STABLE_US);
}

static void xhci_reset(struct xhci *hc) {
    if (hc->now_us < hc->quiet_us) {
        return;
    }
    bool resetting = (xhci_operational(hc, OP_COMMAND) & COMMAND_RESET) != 0;
    bool ready = (xhci_operational(hc, OP_STATUS) & STATUS_NOT_READY) == 0;
    if (!resetting && ready) {
        xhci_run(hc);
    } else if (hc->now_us >= hc->due_us) {
        xhci_fail(hc, "it does not come out of its reset");
    }
}

/* ---- at work ---- */

/* From whatever slot: the device that has it, NULL = none. */
static struct usb_device *xhci_device(struct xhci *hc, uint32_t slot) {
    for (unsigned i = 0; i < XHCI_MAX_DEVICES && slot != 0; i++) {
        if (hc->devices[i].in_use && hc->devices[i].slot == slot) {
            return &hc->devices[i];
        }
    }
    return NULL;
}

static void xhci_report(struct xhci *hc, struct usb_device *device, const struct xhci_trb *event) {
    if (!keyboard_event(hc, device, event)) {
        device_fail(hc, device, "a report", EVENT_CODE(event->status));
    }
}

static void xhci_event(struct xhci *hc, const struct xhci_trb *event) {
    uint32_t type = TRB_TYPE_OF(event->control);

    if (type == TRB_PORT_EVENT) {
        uint32_t port = EVENT_PORT((uint32_t)event->parameter);
        if (port >= 1 && port <= hc->port_count) {
            hc->ports[port - 1].look = true;
        }
        return;
    }
    if (type == TRB_TRANSFER_EVENT && TRB_ENDPOINT_OF(event->control) != CONTEXT_CONTROL) {
        struct usb_device *device = xhci_device(hc, TRB_SLOT_OF(event->control));
        if (device != NULL && device_works_as(device, USB_KEYBOARD) &&
            TRB_ENDPOINT_OF(event->control) == keyboard_context(device)) {
            xhci_report(hc, device, event);
        }
        return;
    }
    operation_event(hc, event);
}

static void xhci_take_events(struct xhci *hc) {
    struct xhci_trb event;
    unsigned taken = 0;

    while (taken < EVENTS_MAX && ring_take_event(hc, &event)) {
        xhci_event(hc, &event);
        taken++;
    }
    if (taken != 0) {
        xhci_write64(hc, hc->runtime + RT_ERDP,
                     xhci_bus(hc, &hc->memory->events[hc->event_at]) | ERDP_BUSY);
    }
}

/* What is to be done next, if the controller has nothing to do. */
static void xhci_choose(struct xhci *hc) {
    struct usb_port *port;

    if (hc->operation.wait != WAIT_NOTHING || device_bury(hc)) {
        return;
    }
    port = ports_ready(hc);
    if (port != NULL) {
        device_begin(hc, port);
    } else {
        ports_poll_hub(hc);
    }
}

static void xhci_work(struct xhci *hc) {
    uint32_t status = xhci_operational(hc, OP_STATUS);

    if (status == STATUS_GONE) {
        hc->failures = FAILURES_MAX;
        xhci_fail(hc, "it was unplugged");
        return;
    }
    if ((status & (STATUS_HALTED | STATUS_HOST_ERROR | STATUS_ERROR)) != 0) {
        xhci_fail(hc, "it has stopped");
        return;
    }
    if (hc->now_us >= hc->due_us) {
        hc->failures = 0;
    }
    xhci_take_events(hc);
    ports_step(hc);
    operation_go_on(hc);
    if (hc->fault != NULL) {
        xhci_fail(hc, hc->fault);
        return;
    }
    xhci_choose(hc);
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        keyboard_repeat(&hc->devices[i].keyboard, hc->now_us, hc->ops->key);
    }
}

void xhci_poll(struct xhci *hc, uint64_t now_us) {
    static void (*const states[])(struct xhci *) = {
        [XHCI_FAILED] = xhci_begin,    [XHCI_HANDOFF] = xhci_take_over, [XHCI_HALTING] = xhci_halt,
        [XHCI_RESETTING] = xhci_reset, [XHCI_RUNNING] = xhci_work,
    };

    hc->now_us = now_us;
    if (states[hc->state] != NULL) {
        states[hc->state](hc);
    }
}

bool xhci_has_keyboard(const struct xhci *hc) {
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        if (device_works_as(&hc->devices[i], USB_KEYBOARD)) {
            return true;
        }
    }
    return false;
}
