/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's memory as the hypervisor reads and writes it: by guest-physical address, bounded by the
 * plan's regions. The guest may change what is read at any moment, so callers copy once, then
 * check, then use.
 */
#pragma once

#include "hv/plan/plan.h"

struct gmem {
    const struct plan_region *regions; /* ascending gpa */
    uint32_t region_count;
};

/* Host pointer to size bytes at gpa, or NULL unless they all lie in one region. gpa and size may
 * come from the guest. */
void *gmem_pointer(const struct gmem *mem, gpa_t gpa, uint64_t size);

/* Copies across region borders up to the first byte that is not RAM of this VM: STATUS_NOT_FOUND
 * then. */
MUST_USE enum status gmem_write(const struct gmem *mem, gpa_t gpa, const void *in, uint64_t size);
