/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of the xHCI and of USB, as far as a keyboard needs them; the structures in memory.
 * Sources: eXtensible Host Controller Interface for Universal Serial Bus 1.2, "Register Interface",
 * "Data Structures"; Universal Serial Bus Specification 2.0, "USB Device Framework", "Hub
 * Specification"; Device Class Definition for HID 1.11, "Requests".
 */
#pragma once

#include "hv/lib/types.h"

/* "Host Controller Capability Registers"; from the BAR's begin. */
enum xhci_capability {
    CAP_LENGTH = 0x00, /* and version, in the upper half */
    CAP_HCSPARAMS1 = 0x04,
    CAP_HCSPARAMS2 = 0x08,
    CAP_HCCPARAMS1 = 0x10,
    CAP_DBOFF = 0x14,
    CAP_RTSOFF = 0x18,
    CAP_END = 0x20,
};
#define LENGTH_MASK        0xffu
#define HCS1_SLOTS(v)      ((v)&0xffu)
#define HCS1_PORTS(v)      ((v) >> 24)
#define HCS2_SCRATCHPAD(v) (((v) >> 21 & 0x1fu) << 5 | (v) >> 27)
#define HCC1_64_BYTES      BIT32(2) /* contexts, else 32 */
#define HCC1_EXTENDED(v)   ((v) >> 16 << 2)
#define DBOFF_MASK         ~0x3u
#define RTSOFF_MASK        ~0x1fu

/* "xHCI Extended Capabilities". */
#define EXTENDED_ID(v)       ((v)&0xffu)
#define EXTENDED_NEXT(v)     (((v) >> 8 & 0xffu) << 2)
#define EXTENDED_LEGACY      1u
#define EXTENDED_PROTOCOL    2u
#define LEGACY_BIOS          BIT32(16)
#define LEGACY_OS            BIT32(24)
#define LEGACY_CONTROL       4u          /* offset */
#define LEGACY_CONTROL_KEEP  0x000e1feeu /* what is reserved; all others are enables of SMIs ... */
#define LEGACY_CONTROL_CLEAR 0xe0000000u /* ... and events, which a 1 clears */
#define PROTOCOL_MAJOR(v)    ((v) >> 24)
#define PROTOCOL_PORTS       8u /* offset */
#define PROTOCOL_FIRST(v)    ((v)&0xffu)
#define PROTOCOL_COUNT(v)    ((v) >> 8 & 0xffu)
#define PROTOCOL_USB2        2u

/* "Host Controller Operational Registers". */
enum xhci_operational {
    OP_COMMAND = 0x00,
    OP_STATUS = 0x04,
    OP_PAGESIZE = 0x08,
    OP_CRCR = 0x18,
    OP_DCBAAP = 0x30,
    OP_CONFIG = 0x38,
    OP_PORTS = 0x400,
};
#define OP_PORT_SIZE      16u
#define COMMAND_RUN       BIT32(0)
#define COMMAND_RESET     BIT32(1)
#define STATUS_HALTED     BIT32(0)
#define STATUS_HOST_ERROR BIT32(2)
#define STATUS_NOT_READY  BIT32(11)
#define STATUS_ERROR      BIT32(12)
#define STATUS_GONE       UINT32_MAX
#define PAGESIZE_4K       BIT32(0)
#define CRCR_CYCLE        BIT(0)

/* "Port Status and Control Register". */
#define PORTSC_CONNECTED   BIT32(0)
#define PORTSC_ENABLED     BIT32(1) /* a 1 disables */
#define PORTSC_RESET       BIT32(4)
#define PORTSC_POWER       BIT32(9)
#define PORTSC_SPEED(v)    ((v) >> 10 & 0xfu)
#define PORTSC_CHANGES     ((uint32_t)BITS(17, 23)) /* a 1 clears */
#define PORTSC_RECONNECTED BIT32(17)
/* What is written back as it was read: power, indicators, wake-ups. */
#define PORTSC_KEEP        (PORTSC_POWER | (uint32_t)BITS(14, 15) | (uint32_t)BITS(25, 27))

enum usb_speed { SPEED_FULL = 1, SPEED_LOW = 2, SPEED_HIGH = 3 };

/* "Interrupter Register Set", the first; from RTSOFF. */
enum xhci_runtime {
    RT_IMAN = 0x20,
    RT_ERSTSZ = 0x28,
    RT_ERSTBA = 0x30,
    RT_ERDP = 0x38,
    RT_END = 0x40,
};
#define ERDP_BUSY BIT(3) /* a 1 clears */

/* "Transfer Request Blocks (TRB)". */
struct xhci_trb {
    uint64_t parameter;
    uint32_t status;
    uint32_t control;
};
_Static_assert(sizeof(struct xhci_trb) == 16, "TRB size");

enum xhci_trb_type {
    TRB_NORMAL = 1,
    TRB_SETUP = 2,
    TRB_DATA = 3,
    TRB_STATUS = 4,
    TRB_LINK = 6,
    TRB_ENABLE_SLOT = 9,
    TRB_DISABLE_SLOT = 10,
    TRB_ADDRESS_DEVICE = 11,
    TRB_CONFIGURE_ENDPOINT = 12,
    TRB_EVALUATE_CONTEXT = 13,
    TRB_RESET_ENDPOINT = 14,
    TRB_SET_DEQUEUE = 16,
    TRB_TRANSFER_EVENT = 32,
    TRB_COMMAND_EVENT = 33,
    TRB_PORT_EVENT = 34,
};
#define TRB_TYPE(t)        ((uint32_t)(t) << 10)
#define TRB_TYPE_OF(v)     ((v) >> 10 & 0x3fu)
#define TRB_CYCLE          BIT32(0)
#define TRB_TOGGLE         BIT32(1) /* of a link */
#define TRB_SHORT          BIT32(2) /* an event for a packet that is short */
#define TRB_EVENT          BIT32(5) /* an event once it is done */
#define TRB_IMMEDIATE      BIT32(6) /* the parameter is the data */
#define TRB_IN             BIT32(16)
#define TRB_SETUP_IN       (3u << 16) /* a setup's data comes from the device */
#define TRB_SLOT(s)        ((uint32_t)(s) << 24)
#define TRB_SLOT_OF(v)     ((v) >> 24)
#define TRB_ENDPOINT(e)    ((uint32_t)(e) << 16)
#define TRB_ENDPOINT_OF(v) ((v) >> 16 & 0x1fu)
#define EVENT_CODE(v)      ((v) >> 24)
#define EVENT_LEFT(v)      ((v)&0xffffffu) /* bytes that did not come */
#define EVENT_PORT(v)      ((v) >> 24 & 0xffu)

/* "TRB Completion Codes", and one of ours. */
enum xhci_code {
    CODE_SUCCESS = 1,
    CODE_STALL = 6,
    CODE_SHORT_PACKET = 13,
    CODE_TIMEOUT = 256,
};

/* "Device Context", "Input Context". */
#define CONTEXTS              32u
#define CONTEXT_SLOT          0u
#define CONTEXT_CONTROL       1u /* the endpoint of control transfers */
#define SLOT_ROUTE_STEP       4u /* bits for each hub on the way */
#define SLOT_ROUTE_PORT       0xfu
#define SLOT_ROUTE_MAX        15u
#define SLOT_SPEED(s)         ((uint32_t)(s) << 20)
#define SLOT_HUB              BIT32(26)
#define SLOT_ENTRIES(n)       ((uint32_t)(n) << 27)
#define SLOT_ROOT_PORT(p)     ((uint32_t)(p) << 16)
#define SLOT_PORTS(n)         ((uint32_t)(n) << 24)
#define SLOT_TT(hub, port)    ((uint32_t)(hub) | (uint32_t)(port) << 8)
#define SLOT_TT_THINK(t)      ((uint32_t)(t) << 16)
#define ENDPOINT_INTERVAL(i)  ((uint32_t)(i) << 16)
#define ENDPOINT_ERRORS       (3u << 1)
#define ENDPOINT_TYPE(t)      ((uint32_t)(t) << 3)
#define ENDPOINT_PACKET(n)    ((uint32_t)(n) << 16)
#define ENDPOINT_EACH_TIME(n) ((uint32_t)(n) << 16)
#define ENDPOINT_CONTROL_TYPE 4u
#define ENDPOINT_INTERRUPT_IN 7u

/* A control request, as its eight bytes in one word. */
#define USB_REQUEST(type, request, value, index, length)                                           \
    ((uint64_t)(type) | (uint64_t)(request) << 8 | (uint64_t)(value) << 16 |                       \
     (uint64_t)(index) << 32 | (uint64_t)(length) << 48)
#define USB_IN                           BIT(7)
#define USB_LENGTH_OF(r)                 ((uint32_t)((r) >> 48))
#define USB_GET_DESCRIPTOR(kind, length) USB_REQUEST(0x80, 6, (kind) << 8, 0, length)
#define USB_SET_CONFIGURATION(value)     USB_REQUEST(0x00, 9, value, 0, 0)
#define HID_SET_IDLE(interface)          USB_REQUEST(0x21, 10, 0, interface, 0)
#define HID_SET_BOOT_PROTOCOL(interface) USB_REQUEST(0x21, 11, 0, interface, 0)
#define HUB_GET_DESCRIPTOR               USB_REQUEST(0xa0, 6, 0x2900, 0, HUB_DESCRIPTOR_SIZE)
#define HUB_GET_STATUS(port)             USB_REQUEST(0xa3, 0, 0, port, 4)
#define HUB_CLEAR(feature, port)         USB_REQUEST(0x23, 1, feature, port, 0)
#define HUB_SET(feature, port)           USB_REQUEST(0x23, 3, feature, port, 0)

enum usb_descriptor_type {
    USB_DEVICE = 1,
    USB_CONFIGURATION = 2,
    USB_INTERFACE = 4,
    USB_ENDPOINT = 5,
};
#define HUB_DESCRIPTOR_SIZE 9u

/* "Class-specific Requests" of hubs. */
enum hub_feature {
    HUB_PORT_ENABLE = 1,
    HUB_PORT_RESET = 4,
    HUB_PORT_POWER = 8,
    HUB_CHANGES = 16, /* the first of the changes' */
    HUB_CHANGES_RESET = 20,
};
#define HUB_CONNECTED     BIT32(0)
#define HUB_ENABLED       BIT32(1)
#define HUB_RESETTING     BIT32(4)
#define HUB_LOW_SPEED     BIT32(9)
#define HUB_HIGH_SPEED    BIT32(10)
#define HUB_CHANGES_OF(v) ((v) >> 16 & 0x1fu)
#define HUB_RECONNECTED   BIT32(16)
