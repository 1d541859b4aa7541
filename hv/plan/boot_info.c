// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Look-ups in what the EFI application handed over. Must not change it. Called by plan_build() and
 * the guest loader.
 */
#include "hv/plan/boot_info.h"

#include "hv/lib/str.h"

const struct boot_image *boot_info_find_image(const struct boot_info *info, const char *path) {
    for (uint32_t i = 0; path[0] != '\0' && i < info->image_count; i++) {
        if (str_equal(info->images[i].path, path)) {
            return &info->images[i];
        }
    }
    return NULL;
}
