/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See boot_info.h. */
#include "hv/plan/boot_info.h"

#include "hv/lib/range.h"

bool boot_is_memory(const struct boot_info *info, uint64_t base, uint64_t size) {
    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        if (r->kind != MEM_RESERVED && range_overlaps(r->base.v, r->size, base, size)) {
            return true;
        }
    }
    return false;
}
