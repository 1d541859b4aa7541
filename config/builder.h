/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that build a plan (plan.c, devices.c) have in common. */
#pragma once

#include "config/plan.h"

#define NODE_ANY UINT32_MAX /* of an extent: nobody's; of who takes memory: whosever it is */

struct extent {
    uint64_t base, size;
    uint32_t node;
};

struct builder {
    const struct boot_info *info;
    struct plan *plan;
    struct fault_list *faults;
};

#define REFUSE(b, guest, pos, text, ...)                                                           \
    fault_add((b)->faults, (pos).line, (pos).column, "guest \"%s\": " text, (guest)->name,         \
              __VA_ARGS__)

/*
 * Takes memory for gpa, congruent to it modulo align: from the first extent that has all size
 * bytes, else as much as the largest has, in whole aligns; of size 0 if there is none. Only from
 * the node's, or with NODE_ANY from all.
 */
struct extent take_memory(uint32_t node, uint64_t gpa, uint64_t size, uint64_t align);

/* The same from any node, but all of it or nothing: of size 0 then. */
struct extent take_whole(uint64_t gpa, uint64_t size, uint64_t align);

/* Bytes of free memory that nobody has taken. */
uint64_t count_free(void);

/* The image a path names; NULL without a path, and with a report if there is nothing in it. */
const struct boot_image *find_file(const struct builder *b, const struct config_guest *g,
                                   const char *key, const char *path, struct config_pos pos);

/* Which windows each VM has and where; its disks and network adapters. */
void give_windows(const struct builder *b);
/* Memory for those windows that need some: once all guests have theirs. */
void give_stores(const struct builder *b);
