/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only code that turns a gpa into an hpa; every address and size here may come from a guest.
 */
#include "hv/mem/gmem.h"

#include "hv/lib/range.h"

enum status gmem_find(const struct gmem *mem, gpa_t gpa, uint64_t size, hpa_t *at, uint64_t *part) {
    for (uint32_t i = 0; i < mem->region_count; i++) {
        const struct plan_region *r = &mem->regions[i];
        if (range_contains(r->gpa.v, r->size, gpa.v, 1)) {
            uint64_t offset = gpa.v - r->gpa.v;
            *part = min_u64(size, r->size - offset);
            *at = HPA(r->hpa.v + offset);
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}
