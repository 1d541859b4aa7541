/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a configuration's descriptors: is there a hub or a keyboard with boot protocol, and where.
 * All of it is the device's word: lengths, order and numbers. Pure. Sources: USB 2.0, "Standard USB
 * Descriptor Definitions"; HID 1.11, "HID Class Subclass and Protocol".
 */
#include "arch/x86_64/xhci/internal.h"

enum descriptor_field {
    ANY_LENGTH = 0,
    ANY_TYPE = 1,
    CONFIGURATION_VALUE = 5,
    INTERFACE_NUMBER = 2,
    INTERFACE_ALTERNATE = 3,
    INTERFACE_CLASS = 5,
    INTERFACE_SUBCLASS = 6,
    INTERFACE_PROTOCOL = 7,
    ENDPOINT_ADDRESS = 2,
    ENDPOINT_ATTRIBUTES = 3,
    ENDPOINT_PACKET_LOW = 4,
    ENDPOINT_PACKET_HIGH = 5,
    ENDPOINT_INTERVAL_AT = 6,
};
#define ANY_SIZE           2u
#define CONFIGURATION_SIZE 9u
#define INTERFACE_SIZE     9u
#define ENDPOINT_SIZE      7u

#define CLASS_HID            3u
#define SUBCLASS_BOOT        1u
#define PROTOCOL_KEYBOARD    1u
#define CLASS_HUB            9u
#define ADDRESS_IN           0x80u
#define ADDRESS_NUMBER       0x0fu
#define ATTRIBUTES_TYPE      0x03u
#define ATTRIBUTES_INTERRUPT 0x03u
#define PACKET_HIGH          0x07u /* above it: how many at once */

static enum usb_kind descriptor_kind(const uint8_t *d) {
    if (d[INTERFACE_ALTERNATE] != 0) {
        return USB_OTHER;
    }
    if (d[INTERFACE_CLASS] == CLASS_HUB) {
        return USB_HUB;
    }
    bool boot = d[INTERFACE_CLASS] == CLASS_HID && d[INTERFACE_SUBCLASS] == SUBCLASS_BOOT;
    return boot && d[INTERFACE_PROTOCOL] == PROTOCOL_KEYBOARD ? USB_KEYBOARD : USB_OTHER;
}

/* Of a keyboard: the endpoint that reports come from. One of another size than such have is none.
 */
static bool descriptor_endpoint(const uint8_t *d, struct usb_found *out) {
    unsigned packet = d[ENDPOINT_PACKET_LOW] | (d[ENDPOINT_PACKET_HIGH] & PACKET_HIGH) << 8;
    uint8_t number = d[ENDPOINT_ADDRESS] & ADDRESS_NUMBER;
    bool in = (d[ENDPOINT_ADDRESS] & ADDRESS_IN) != 0;
    bool interrupt = (d[ENDPOINT_ATTRIBUTES] & ATTRIBUTES_TYPE) == ATTRIBUTES_INTERRUPT;

    if (!in || !interrupt || number == 0 || packet < USB_REPORT_SIZE || packet > REPORT_MAX) {
        return false;
    }
    out->endpoint = number;
    out->packet = (uint16_t)packet;
    out->interval = d[ENDPOINT_INTERVAL_AT];
    return true;
}

void descriptor_find(const uint8_t *bytes, size_t size, struct usb_found *out) {
    enum usb_kind here = USB_OTHER; /* what the endpoints that follow belong to */

    *out = (struct usb_found){.kind = USB_OTHER};
    while (size >= ANY_SIZE && out->kind == USB_OTHER) {
        uint8_t length = bytes[ANY_LENGTH];
        uint8_t type = bytes[ANY_TYPE];
        if (length < ANY_SIZE || length > size) {
            return;
        }
        if (type == USB_CONFIGURATION && length >= CONFIGURATION_SIZE) {
            out->configuration = bytes[CONFIGURATION_VALUE];
        } else if (type == USB_INTERFACE && length >= INTERFACE_SIZE) {
            here = descriptor_kind(bytes);
            out->interface = bytes[INTERFACE_NUMBER];
            out->kind = here == USB_HUB ? USB_HUB : USB_OTHER;
        } else if (type == USB_ENDPOINT && length >= ENDPOINT_SIZE && here == USB_KEYBOARD &&
                   descriptor_endpoint(bytes, out)) {
            out->kind = USB_KEYBOARD;
        }
        bytes += length;
        size -= length;
    }
}
