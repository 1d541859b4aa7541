/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB keyboards behind an xHCI controller. Portable C that waits for nothing: xhci_poll() looks at
 * what has happened since and takes the next step. What devices say is hostile, and so is what the
 * controller writes to memory; the controller's registers are not believed either. Owns the
 * controller and its memory; called by usb.c, on one CPU.
 *
 * Only what a keyboard needs: ports and hubs of USB 2, control transfers one at a time, boot
 * protocol. Any other device is left alone, its port off.
 */
#pragma once

#include "arch/x86_64/xhci/regs.h"
#include "hv/lib/log.h"
#include "hv/lib/status.h"

#define XHCI_MAX_PORTS      64u
#define XHCI_MAX_DEVICES    16u  /* hubs and keyboards */
#define XHCI_MAX_SCRATCHPAD 256u /* pages that the controller wants for itself */
#define XHCI_SLOTS          256u
#define USB_MAX_HUB_PORTS   15u
#define USB_REPORT_SIZE     8u

struct xhci_ops {
    uint32_t (*read)(void *machine, uint32_t offset); /* of a register, in the BAR */
    void (*write)(void *machine, uint32_t offset, uint32_t value);
    void (*allow_dma)(void *machine); /* it is in its memory alone from now on */
    void (*key)(uint8_t key, bool pressed);
};

/* ---- memory that the controller reads and writes ---- */

#define CONTROL_TRBS 32u
#define REPORTS      8u
#define REPORT_MAX   64u /* bytes */
#define EVENT_TRBS   256u
#define COMMAND_TRBS 64u
#define DATA_SIZE    1024u
#define CONTEXT_MAX  64u

struct xhci_device_memory {
    ALIGNED(PAGE_SIZE) uint8_t contexts[CONTEXTS * CONTEXT_MAX];
    struct xhci_trb control[CONTROL_TRBS];
    struct xhci_trb reports[REPORTS + 1];
    ALIGNED(REPORT_MAX) uint8_t report[REPORTS][REPORT_MAX];
};
_Static_assert(sizeof(struct xhci_device_memory) == PAGE_SIZE, "no part crosses a page");

struct xhci_memory {
    ALIGNED(PAGE_SIZE) uint64_t contexts[XHCI_SLOTS]; /* where each slot's are */
    uint64_t scratchpad[XHCI_MAX_SCRATCHPAD];
    ALIGNED(PAGE_SIZE) struct xhci_trb events[EVENT_TRBS];
    ALIGNED(PAGE_SIZE) struct xhci_trb commands[COMMAND_TRBS];
    uint8_t data[DATA_SIZE];     /* of control transfers */
    struct xhci_trb event_table; /* one segment: address, size */
    ALIGNED(PAGE_SIZE) uint8_t input[(1 + CONTEXTS) * CONTEXT_MAX];
    struct xhci_device_memory devices[XHCI_MAX_DEVICES];
    /* The scratchpad's pages follow. */
};

/* ---- state, which only we write ---- */

struct xhci_ring {
    struct xhci_trb *trbs;
    unsigned size, at;
    uint32_t cycle;
};

enum usb_port_state {
    PORT_EMPTY,
    PORT_SETTLING, /* something was plugged in: until it holds */
    PORT_READY,    /* waits for its turn */
    PORT_BUSY,     /* its device is being looked at */
    PORT_ATTACHED, /* a hub or a keyboard */
    PORT_IGNORED,  /* something else */
    PORT_RESTING,  /* failed, another try later */
};

struct usb_port {
    struct usb_device *hub; /* NULL = the controller's own */
    uint8_t number;         /* from 1 */
    bool in_use, connected;
    bool look; /* at a port of the controller: something changed */
    enum usb_port_state state;
    uint8_t failures;
    uint64_t due_us; /* SETTLING, RESTING: until then; ATTACHED: since */
    struct usb_device *device;
};

enum usb_kind { USB_UNKNOWN, USB_OTHER, USB_KEYBOARD, USB_HUB };

/* What a configuration's descriptors tell. */
struct usb_found {
    enum usb_kind kind;
    uint8_t configuration, interface;
    uint8_t endpoint; /* number */
    uint8_t interval;
    uint16_t packet; /* bytes, USB_REPORT_SIZE to REPORT_MAX */
};

struct usb_keyboard {
    uint8_t last[USB_REPORT_SIZE];
    uint8_t repeat; /* key, 0 = none */
    uint64_t repeat_us;
};

struct usb_device {
    bool in_use, ready, gone;
    uint8_t slot; /* 0 = none yet */
    uint8_t speed, depth;
    uint8_t root; /* port of the controller */
    uint8_t tt_slot, tt_port;
    uint8_t port_count, tt_think; /* of a hub */
    uint32_t power_us;            /* the same: until its ports have power */
    uint16_t packet;              /* of control transfers */
    uint16_t total;               /* bytes of its configuration's descriptors */
    uint32_t route;               /* from there: ports of hubs, four bits each */
    struct usb_port *port;        /* where it is */
    struct usb_found found;
    struct xhci_device_memory *memory;
    struct xhci_ring control, reports;
    unsigned next_report;
    struct usb_keyboard keyboard;
    struct usb_port ports[USB_MAX_HUB_PORTS];
};

struct xhci;

/* The one thing that the controller or a device is busy with for us. */
enum xhci_wait { WAIT_NOTHING, WAIT_TIME, WAIT_COMMAND, WAIT_CONTROL, WAIT_RESET, WAIT_DEQUEUE };
struct xhci_operation {
    enum xhci_wait wait;
    bool done;
    uint64_t due_us;
    uint64_t trb; /* whose event ends it */
    struct usb_device *device;
    unsigned code;
    uint8_t slot;
    void (*then)(struct xhci *hc, unsigned code); /* who goes on when it has ended */
};

enum xhci_state {
    XHCI_OFF, /* not usable */
    XHCI_HANDOFF,
    XHCI_HALTING,
    XHCI_RESETTING,
    XHCI_RUNNING,
    XHCI_FAILED, /* another try later */
};

struct xhci {
    const struct xhci_ops *ops;
    void *machine;
    unsigned number; /* for the log */
    struct log_limit log_limit;
    uint32_t size;                                    /* of the BAR */
    uint32_t operational, runtime, doorbells, legacy; /* offsets; legacy 0 = none */
    uint32_t context_size, slots, port_count, scratchpad_pages;
    struct xhci_memory *memory;
    uint64_t bus; /* its address */

    enum xhci_state state;
    const char *fault; /* the controller itself does not work: it is to start anew; or NULL */
    unsigned failures;
    uint64_t now_us, due_us, quiet_us;
    struct xhci_ring commands;
    unsigned event_at;
    uint32_t event_cycle;
    struct xhci_operation operation;
    /* What that operation is for: one of these. */
    struct {
        struct usb_device *device;
        unsigned step, tries;
    } job;
    struct usb_port *polled;
    struct usb_device *buried;
    unsigned poll_device, poll_port, look_at;
    uint64_t poll_us;
    uint8_t data[DATA_SIZE]; /* what came last, copied once */
    struct usb_port ports[XHCI_MAX_PORTS];
    struct usb_device devices[XHCI_MAX_DEVICES];
};

/*
 * Looks at a controller that is not touched yet: size bytes of registers. STATUS_UNSUPPORTED if it
 * cannot be used, with a line in the log. *memory is how much it needs.
 */
MUST_USE enum status xhci_probe(struct xhci *hc, const struct xhci_ops *ops, void *machine,
                                unsigned number, uint32_t size, uint64_t *memory);

/* Gives it its memory, zeroed, which the controller finds at bus. Touches nothing yet. */
void xhci_give_memory(struct xhci *hc, void *memory, uint64_t bus);

/* Every few milliseconds; now in microseconds, from any start. Bounded work. */
void xhci_poll(struct xhci *hc, uint64_t now_us);

/* True if some key can be typed. */
bool xhci_has_keyboard(const struct xhci *hc);
