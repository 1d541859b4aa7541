/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the hand-out of host pages from one range. Never frees a single page: what is allocated
 * before plat_seal() stays for the life of the machine.
 */
#include "hv/mem/pool.h"

#include "hv/lib/log.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

void pool_init(struct pool *pool, const char *name, hpa_t base, uint64_t size) {
    ASSERT(base.v % PAGE_SIZE == 0 && size % PAGE_SIZE == 0);
    *pool = (struct pool){.name = name, .base = base, .size = size, .used = 0};
}

void pool_close(struct pool *pool) {
    pool->size = pool->used;
}

void *pool_alloc(struct pool *pool, uint64_t size) {
    ASSERT(size != 0);
    if (size > pool->size - pool->used) {
        log_error("%s: out of memory: %llu KiB asked, %llu of %llu KiB used" MSG(5013), pool->name,
                  (ull)(size / KIB), (ull)(pool->used / KIB), (ull)(pool->size / KIB));
        return NULL;
    }
    void *memory = phys_pointer(HPA(pool->base.v + pool->used));
    size = ALIGN_UP(size, PAGE_SIZE);
    pool->used += size;
    memset(memory, 0, size);
    return memory;
}
