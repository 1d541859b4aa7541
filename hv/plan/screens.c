/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the firmware's screens to draw on; see screens.h. Pure. */
#include "hv/plan/screens.h"

#define ADDRESSES_END BIT(47) /* what lies above has no address in four levels of page tables */

bool screens_usable(const struct boot_framebuffer *fb) {
    bool placed = fb->base.v != 0 && fb->base.v % sizeof(uint32_t) == 0;
    bool large = fb->width >= BOOT_SCREEN_MIN_WIDTH && fb->height >= BOOT_SCREEN_MIN_HEIGHT;
    bool mapped = fb->base.v < ADDRESSES_END && fb->size <= ADDRESSES_END - fb->base.v;
    if (!placed || !large || !mapped || fb->stride < fb->width) {
        return false;
    }
    return fb->height <= fb->size / sizeof(uint32_t) / fb->stride;
}

static bool screens_overlap(const struct boot_framebuffer *fb, const struct boot_info *info) {
    for (uint32_t i = 0; i < info->screen_count; i++) {
        const struct boot_framebuffer *other = &info->screens[i];
        if (fb->base.v < other->base.v + other->size && other->base.v < fb->base.v + fb->size) {
            return true;
        }
    }
    return false;
}

static void screens_add(struct boot_framebuffer fb, struct boot_info *info) {
    uint64_t needed = (uint64_t)fb.stride * fb.height * sizeof(uint32_t);
    fb.size = max_u64(fb.size, needed);
    bool room = info->screen_count < BOOT_MAX_SCREENS;
    if (room && screens_usable(&fb) && !screens_overlap(&fb, info)) {
        info->screens[info->screen_count] = fb;
        info->screen_count++;
    }
}

void screens_choose(const struct screen_found *found, unsigned count, struct boot_info *info) {
    info->screen_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (found[i].console) {
            screens_add(found[i].fb, info);
        }
    }
    for (unsigned i = 0; i < count && info->screen_count == 0; i++) {
        screens_add(found[i].fb, info);
    }
}
