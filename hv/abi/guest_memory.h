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
    uint32_t read_only; /* so many more follow, which nobody writes: images */
};

static inline uint8_t *guest_memory_find(const struct guest_region *regions, uint32_t count,
                                         gpa_t gpa, uint64_t size) {
    for (const struct guest_region *r = regions; r < regions + count; r++) {
        if (range_contains(r->gpa, r->size, gpa.v, size)) {
            return r->at + (gpa.v - r->gpa);
        }
    }
    return NULL;
}

/* Pointer to size bytes at gpa, or NULL unless they all lie in one region of RAM. gpa and size may
 * come from the guest. */
static inline void *guest_memory_at(const struct guest_memory *m, gpa_t gpa, uint64_t size) {
    return guest_memory_find(m->regions, m->count, gpa, size);
}

/* The same for what is only read, which may lie in an image as well. */
static inline const void *guest_memory_look(const struct guest_memory *m, gpa_t gpa,
                                            uint64_t size) {
    return guest_memory_find(m->regions, m->count + m->read_only, gpa, size);
}
