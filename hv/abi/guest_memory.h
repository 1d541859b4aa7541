/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's RAM as the code beside it sees it: a table of regions, which bounds every access. In a
 * compartment RAM is mapped one to one and `at` is the guest-physical address itself. The guest may
 * change what is read at any moment, so callers copy once, then check, then use.
 */
#pragma once

#include "hv/lib/range.h"

struct guest_region {
    uint64_t gpa, size; /* bytes; whole pages */
    uint8_t *at;
};

struct guest_memory {
    const struct guest_region *regions; /* disjoint */
    uint32_t count;
};

/* Pointer to size bytes at gpa, or NULL unless they all lie in one region. gpa and size may come
 * from the guest. */
static inline void *guest_memory_at(const struct guest_memory *m, gpa_t gpa, uint64_t size) {
    for (uint32_t i = 0; i < m->count; i++) {
        const struct guest_region *r = &m->regions[i];
        if (range_contains(r->gpa, r->size, gpa.v, size)) {
            return r->at + (gpa.v - r->gpa);
        }
    }
    return NULL;
}
