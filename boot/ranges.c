/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the list of memory ranges; see no_firmware.h. Must not call the firmware. */
#include "boot/no_firmware.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"

static uint64_t end_of(const struct mem_range *r) {
    return r->base.v + r->size;
}

/* Adds [base, end) behind the last range, or to it; nothing if end does not lie above base. */
static void append(struct boot_info *info, uint64_t base, uint64_t end, enum mem_kind kind) {
    struct mem_range *last = &info->ranges[info->range_count];
    if (base >= end) {
        return;
    }
    if (info->range_count > 0 && last[-1].kind == kind && end_of(&last[-1]) == base) {
        last[-1].size += end - base;
    } else {
        *last = (struct mem_range){HPA(base), end - base, kind};
        info->range_count++;
    }
}

enum status ranges_set(struct boot_info *info, uint64_t base, uint64_t size, enum mem_kind kind) {
    static struct mem_range old[BOOT_MAX_RANGES];
    uint32_t count = info->range_count;
    if (!range_valid(base, size)) {
        return STATUS_INVALID;
    }
    if (count > BOOT_MAX_RANGES - 2) { /* a split adds one, the range another */
        return STATUS_FULL;
    }
    memcpy(old, info->ranges, count * sizeof(old[0]));
    info->range_count = 0;
    for (uint32_t i = 0; i < count; i++) { /* what lies below the range */
        append(info, old[i].base.v, min_u64(end_of(&old[i]), base), old[i].kind);
    }
    append(info, base, base + size, kind);
    for (uint32_t i = 0; i < count; i++) { /* what lies above */
        append(info, max_u64(old[i].base.v, base + size), end_of(&old[i]), old[i].kind);
    }
    return STATUS_OK;
}
