/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the list of memory ranges; see ranges.h. Must not call the firmware. */
#include "boot/ranges.h"

#include "hv/lib/range.h"

/* Puts a range at index i; the caller has made sure of the room. */
static void insert_at(struct boot_info *info, uint32_t i, struct mem_range range) {
    for (uint32_t k = info->range_count++; k > i; k--) {
        info->ranges[k] = info->ranges[k - 1];
    }
    info->ranges[i] = range;
}

static void remove_at(struct boot_info *info, uint32_t i) {
    info->range_count--;
    for (; i < info->range_count; i++) {
        info->ranges[i] = info->ranges[i + 1];
    }
}

/* Leaves a hole [base, end); returns the index at which the hole's range belongs. */
static uint32_t carve(struct boot_info *info, uint64_t base, uint64_t end) {
    uint32_t i = 0;
    while (i < info->range_count) {
        struct mem_range *r = &info->ranges[i];
        uint64_t r_end = r->base.v + r->size;
        if (r_end <= base) {
            i++;
        } else if (r->base.v >= end) {
            break;
        } else if (r->base.v < base) {
            if (r_end > end) {
                struct mem_range tail = {HPA(end), r_end - end, r->kind};
                insert_at(info, i + 1, tail);
            }
            info->ranges[i].size = base - info->ranges[i].base.v;
            i++;
        } else if (r_end > end) {
            r->base = HPA(end);
            r->size = r_end - end;
            break;
        } else {
            remove_at(info, i);
        }
    }
    return i;
}

static void merge_with_next(struct boot_info *info, uint32_t i) {
    struct mem_range *r = &info->ranges[i];
    if (i + 1 < info->range_count && r[0].kind == r[1].kind &&
        r[0].base.v + r[0].size == r[1].base.v) {
        r[0].size += r[1].size;
        remove_at(info, i + 1);
    }
}

enum status ranges_set(struct boot_info *info, uint64_t base, uint64_t size, enum mem_kind kind) {
    if (!range_valid(base, size)) {
        return STATUS_INVALID;
    }
    if (info->range_count > BOOT_MAX_RANGES - 2) { /* a split adds one, the range another */
        return STATUS_FULL;
    }
    if (size == 0) {
        return STATUS_OK;
    }
    uint32_t i = carve(info, base, base + size);
    insert_at(info, i, (struct mem_range){HPA(base), size, kind});
    merge_with_next(info, i);
    if (i > 0) {
        merge_with_next(info, i - 1);
    }
    return STATUS_OK;
}

uint64_t ranges_total(const struct boot_info *info, enum mem_kind kind) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < info->range_count; i++) {
        total += info->ranges[i].kind == kind ? info->ranges[i].size : 0;
    }
    return total;
}
