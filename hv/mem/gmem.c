/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes guest memory by guest-physical address. The only code that turns a gpa into a
 * pointer; every address and size here may come from a guest.
 */
#include "hv/mem/gmem.h"

#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"

static const struct plan_region *gmem_region(const struct gmem *mem, gpa_t gpa) {
    for (uint32_t i = 0; i < mem->region_count; i++) {
        if (range_contains(mem->regions[i].gpa.v, mem->regions[i].size, gpa.v, 1)) {
            return &mem->regions[i];
        }
    }
    return NULL;
}

void *gmem_pointer(const struct gmem *mem, gpa_t gpa, uint64_t size) {
    const struct plan_region *r = gmem_region(mem, gpa);
    if (r == NULL || size > r->size - (gpa.v - r->gpa.v)) {
        return NULL;
    }
    return phys_pointer(HPA(r->hpa.v + (gpa.v - r->gpa.v)));
}

/* True if every byte is RAM; regions may touch each other. */
static bool gmem_all_ram(const struct gmem *mem, gpa_t gpa, uint64_t size) {
    if (!range_valid(gpa.v, size)) {
        return false;
    }
    while (size != 0) {
        const struct plan_region *r = gmem_region(mem, gpa);
        if (r == NULL) {
            return false;
        }
        uint64_t part = min_u64(size, r->size - (gpa.v - r->gpa.v));
        gpa.v += part;
        size -= part;
    }
    return true;
}

static enum status gmem_copy(const struct gmem *mem, gpa_t gpa, uint8_t *out, const uint8_t *in,
                             uint64_t size) {
    if (!gmem_all_ram(mem, gpa, size)) {
        return STATUS_NOT_FOUND;
    }
    while (size != 0) {
        const struct plan_region *r = gmem_region(mem, gpa);
        ASSERT(r != NULL);
        uint64_t part = min_u64(size, r->size - (gpa.v - r->gpa.v));
        uint8_t *host = phys_pointer(HPA(r->hpa.v + (gpa.v - r->gpa.v)));
        if (out != NULL) {
            memcpy(out, host, part);
            out += part;
        } else {
            memcpy(host, in, part);
            in += part;
        }
        gpa.v += part;
        size -= part;
    }
    return STATUS_OK;
}

enum status gmem_read(const struct gmem *mem, gpa_t gpa, void *out, uint64_t size) {
    return gmem_copy(mem, gpa, out, NULL, size);
}

enum status gmem_write(const struct gmem *mem, gpa_t gpa, const void *in, uint64_t size) {
    return gmem_copy(mem, gpa, NULL, in, size);
}
