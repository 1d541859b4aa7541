/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of host pages: hands out zeroed, page-aligned memory from one range and never takes it
 * back. The hypervisor has one, each VM has one for its
 * budget.
 */
#pragma once

#include "hv/lib/status.h"

struct pool {
    const char *name;
    hpa_t base;
    uint64_t size, used;
};

void pool_init(struct pool *pool, const char *name, hpa_t base, uint64_t size);
/* Nothing is handed out any more. */
void pool_close(struct pool *pool);
/* size is rounded up to 4 KiB. NULL when it does not fit. */
void *pool_alloc(struct pool *pool, uint64_t size);
