/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of the firmware's screens to draw on, and on which nobody can. Pure. Called by boot/ while
 * the firmware lives, and by the hypervisor's screen.c, which believes nothing.
 */
#pragma once

#include "hv/plan/boot_info.h"

/* Its size is enough for its lines, and it has addresses that the hypervisor can map. */
bool screens_usable(const struct boot_framebuffer *fb);

struct screen_found {
    struct boot_framebuffer fb; /* base 0: nothing that we could draw on */
    bool console;               /* the firmware shows its own text there */
};
/*
 * Into *info, up to BOOT_MAX_SCREENS: all on which the firmware shows its text, or else the first
 * that will do. Left out is what is too small, broken, or overlaps another (a firmware's sum of its
 * screens may be one of them); a size too small for the lines is believed not, but the lines.
 */
void screens_choose(const struct screen_found *found, unsigned count, struct boot_info *info);
