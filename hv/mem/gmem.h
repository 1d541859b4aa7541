/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's memory by guest-physical address, bounded by the plan's regions: where in the machine it
 * lies. No CPU maps it for the core but for a moment, see hv/vm/memory.h.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/plan/plan.h"

struct gmem {
    const struct plan_region *regions; /* ascending gpa */
    uint32_t region_count;
};

/*
 * Where gpa is, into *at, and how many of size bytes lie there in one piece, into *part; or
 * STATUS_NOT_FOUND: gpa is no RAM of this VM. size is not 0. gpa and size may come from the guest.
 */
MUST_USE enum status gmem_find(const struct gmem *mem, gpa_t gpa, uint64_t size, hpa_t *at,
                               uint64_t *part);
