/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's RAM for the tests, where all of it is memory of the process. */
#ifndef TESTS_UNIT_GUEST_RAM_H
#define TESTS_UNIT_GUEST_RAM_H

#include <stdlib.h>
#include <sys/mman.h>

#include "hv/lib/phys.h"
#include "hv/lib/str.h"
#include "hv/mem/gmem.h"

/* Size bytes at gpa, or NULL unless they all lie in one region. */
static inline void *gmem_pointer(const struct gmem *mem, gpa_t gpa, uint64_t size) {
    hpa_t at;
    uint64_t part;
    bool found = gmem_find(mem, gpa, size, &at, &part) == STATUS_OK && part == size;
    return found ? phys_pointer(at) : NULL;
}

static inline enum status gmem_write(const struct gmem *mem, gpa_t gpa, const void *in,
                                     uint64_t size) {
    void *at = gmem_pointer(mem, gpa, size);
    if (at == NULL) {
        return STATUS_NOT_FOUND;
    }
    memcpy(at, in, size);
    return STATUS_OK;
}

/* Zeros in *at, allocated once: the kernel's, a page at a time as they are touched. */
static inline void guest_ram_fresh(void **at, size_t align, size_t size) {
    if (*at == NULL) {
        *at = aligned_alloc(align, size);
    }
    if (*at == NULL || madvise(*at, size, MADV_DONTNEED) != 0) {
        abort();
    }
}

#endif
