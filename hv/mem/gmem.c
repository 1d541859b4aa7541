/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes guest memory by guest-physical address. The only code that turns a gpa into a
 * pointer; every address and size here may come from a guest.
 */
#include "hv/mem/gmem.h"

#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"

/* Host pointer to gpa, and to how many of size bytes there in one piece; NULL if gpa is no RAM. */
static void *gmem_piece(const struct gmem *mem, gpa_t gpa, uint64_t size, uint64_t *part) {
    for (uint32_t i = 0; i < mem->region_count; i++) {
        const struct plan_region *r = &mem->regions[i];
        if (range_contains(r->gpa.v, r->size, gpa.v, 1)) {
            uint64_t offset = gpa.v - r->gpa.v;
            *part = min_u64(size, r->size - offset);
            return phys_pointer(HPA(r->hpa.v + offset));
        }
    }
    return NULL;
}

void *gmem_pointer(const struct gmem *mem, gpa_t gpa, uint64_t size) {
    uint64_t part;
    void *host = gmem_piece(mem, gpa, size, &part);
    return host != NULL && part == size ? host : NULL;
}

enum status gmem_write(const struct gmem *mem, gpa_t gpa, const void *in, uint64_t size) {
    for (uint64_t done = 0, part; done < size; done += part) {
        void *host = gmem_piece(mem, GPA(gpa.v + done), size - done, &part);
        if (host == NULL) {
            return STATUS_NOT_FOUND;
        }
        memcpy(host, (const uint8_t *)in + done, part);
    }
    return STATUS_OK;
}
