/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks for a colour in a framebuffer; see no_firmware.h. Must not call the firmware. */
#include "boot/no_firmware.h"

#define COLOUR_MASK 0xffffffu

uint32_t pixels_search(const volatile uint32_t *pixels, uint32_t from, uint32_t to,
                       uint32_t colour) {
    uint32_t at = from;
    while (at < to && (pixels[at] & COLOUR_MASK) != colour) {
        at++;
    }
    return at;
}
