/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports of a keyboard in boot protocol: eight bytes, which keys are down. Two in a row tell what
 * was pressed and released. A key that stays down repeats. Source: HID 1.11, "Keyboard: Protocol 1
 * (Keyboard)".
 */
#include "arch/x86_64/xhci/internal.h"

#include "hv/lib/str.h"

#define REPEAT_FIRST_US 400000u
#define REPEAT_NEXT_US  33000u
#define MODIFIER_FIRST  0xe0u /* key of bit 0 of the first byte */
#define MODIFIERS       8u
#define KEYS_AT         2u /* the second byte is reserved */
#define KEY_FIRST       4u /* below: none, or too many at once to tell */

static void keyboard_queue(struct xhci *hc, struct usb_device *d) {
    unsigned i = d->reports.at;
    (void)ring_put(&d->reports,
                   (struct xhci_trb){xhci_bus(hc, d->memory->report[i]), d->found.packet,
                                     TRB_TYPE(TRB_NORMAL) | TRB_EVENT | TRB_SHORT});
}

/* One stays free: the controller is past the ring's end before that is handed over again. */
void keyboard_start(struct xhci *hc, struct usb_device *d) {
    for (unsigned i = 0; i < REPORTS - 1; i++) {
        keyboard_queue(hc, d);
    }
    d->next_report = 0;
    xhci_ring_doorbell(hc, d->slot, keyboard_context(d));
}

/* Reports come in the order in which they were asked for. */
bool keyboard_event(struct xhci *hc, struct usb_device *d, const struct xhci_trb *event) {
    uint8_t report[USB_REPORT_SIZE];
    unsigned i = d->next_report;
    unsigned code = EVENT_CODE(event->status);
    uint32_t left = EVENT_LEFT(event->status);
    bool good = code == CODE_SUCCESS || code == CODE_SHORT_PACKET;

    if (!good || event->parameter != xhci_bus(hc, &d->memory->reports[i]) ||
        left > d->found.packet) {
        return false;
    }
    for (unsigned b = 0; b < USB_REPORT_SIZE; b++) {
        uint8_t byte = __atomic_load_n(&d->memory->report[i][b], __ATOMIC_RELAXED);
        report[b] = b < d->found.packet - left ? byte : 0;
    }
    d->next_report = (i + 1) % REPORTS;
    keyboard_queue(hc, d);
    xhci_ring_doorbell(hc, d->slot, keyboard_context(d));
    keyboard_report(&d->keyboard, report, hc->now_us, hc->ops->key);
    return true;
}

static bool keyboard_has(const uint8_t *report, uint8_t key) {
    for (unsigned i = KEYS_AT; i < USB_REPORT_SIZE; i++) {
        if (report[i] == key) {
            return true;
        }
    }
    return false;
}

static void keyboard_modifiers(uint8_t before, uint8_t now,
                               void (*key)(uint8_t key, bool pressed)) {
    for (unsigned i = 0; i < MODIFIERS; i++) {
        if (((before ^ now) >> i & 1) != 0) {
            key((uint8_t)(MODIFIER_FIRST + i), (now >> i & 1) != 0);
        }
    }
}

void keyboard_report(struct usb_keyboard *k, const uint8_t *report, uint64_t now_us,
                     void (*key)(uint8_t key, bool pressed)) {
    keyboard_modifiers(k->last[0], report[0], key);
    k->last[0] = report[0];
    if (report[KEYS_AT] != 0 && report[KEYS_AT] < KEY_FIRST) {
        return; /* too many are down to tell which */
    }
    for (unsigned i = KEYS_AT; i < USB_REPORT_SIZE; i++) {
        if (k->last[i] >= KEY_FIRST && !keyboard_has(report, k->last[i])) {
            key(k->last[i], false);
        }
    }
    for (unsigned i = KEYS_AT; i < USB_REPORT_SIZE; i++) {
        if (report[i] >= KEY_FIRST && !keyboard_has(k->last, report[i])) {
            key(report[i], true);
            k->repeat = report[i];
            k->repeat_us = now_us + REPEAT_FIRST_US;
        }
    }
    if (!keyboard_has(report, k->repeat)) {
        k->repeat = 0;
    }
    memcpy(k->last, report, USB_REPORT_SIZE);
}

void keyboard_repeat(struct usb_keyboard *k, uint64_t now_us,
                     void (*key)(uint8_t key, bool pressed)) {
    if (k->repeat != 0 && now_us >= k->repeat_us) {
        k->repeat_us = now_us + REPEAT_NEXT_US;
        key(k->repeat, true);
    }
}
