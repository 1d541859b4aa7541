/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose each piece of a machine's memory is by a plan. */
#pragma once

#include "hv/plan/plan.h"

enum segment_use { SEGMENT_FREE, SEGMENT_BULKHEAD, SEGMENT_RESERVED, SEGMENT_RAM, SEGMENT_BUDGET };

struct segment {
    uint64_t base, size; /* bytes */
    enum segment_use use;
    const struct plan_vm *vm; /* of RAM and BUDGET */
};

#define SEGMENTS_MOST (2 * BOOT_MAX_RANGES + 2 * CONFIG_MAX_GUESTS * (PLAN_MAX_REGIONS + 1))

/* In ascending order, no two that touch of the same use; returns how many. */
unsigned segments_list(const struct boot_info *info, const struct plan *plan,
                       struct segment out[SEGMENTS_MOST]);

/* "alpha", "alpha: records and compartment", "Bulkhead and the guests' files" and so on. */
const char *segment_name(const struct segment *s, char *text, size_t size);
