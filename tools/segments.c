// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine's memory from bottom to top, cut where another owner begins. Called for the text and
 * for the picture.
 */
#include "tools/segments.h"

#include <stdio.h>

/* Ends at the first place behind at where something else begins. */
static void cut(struct segment *s, uint64_t base, uint64_t size, enum segment_use use,
                const struct plan_vm *vm) {
    if (base <= s->base && s->base - base < size) {
        s->use = use;
        s->vm = vm;
        s->size = min_u64(s->size, size - (s->base - base));
    } else if (base > s->base) {
        s->size = min_u64(s->size, base - s->base);
    }
}

/* What begins at base, in free memory that ends at end. */
static struct segment find_owner(const struct plan *plan, uint64_t base, uint64_t end) {
    struct segment s = {.base = base, .size = end - base, .use = SEGMENT_FREE};

    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        cut(&s, vm->budget_base.v, vm->budget_size, SEGMENT_BUDGET, vm);
        for (uint32_t n = 0; n < vm->region_count; n++) {
            cut(&s, vm->regions[n].hpa.v, vm->regions[n].size, SEGMENT_RAM, vm);
        }
    }
    return s;
}

static unsigned add(struct segment *out, unsigned count, struct segment s) {
    struct segment *last = count != 0 ? &out[count - 1] : NULL;

    if (last != NULL && last->use == s.use && last->vm == s.vm &&
        last->base + last->size == s.base) {
        last->size += s.size;
        return count;
    }
    if (count < SEGMENTS_MOST) {
        out[count++] = s;
    }
    return count;
}

unsigned segments_list(const struct boot_info *info, const struct plan *plan,
                       struct segment out[SEGMENTS_MOST]) {
    unsigned count = 0;

    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        uint64_t at = r->base.v, end = r->base.v + r->size;
        if (r->kind != MEM_FREE) {
            enum segment_use use = r->kind == MEM_BULKHEAD ? SEGMENT_BULKHEAD : SEGMENT_RESERVED;
            count = add(out, count, (struct segment){.base = at, .size = r->size, .use = use});
            continue;
        }
        while (at < end) {
            struct segment s = find_owner(plan, at, end);
            count = add(out, count, s);
            at += s.size;
        }
    }
    return count;
}

const char *segment_name(const struct segment *s, char *text, size_t size) {
    static const char *const names[] = {[SEGMENT_FREE] = "free",
                                        [SEGMENT_BULKHEAD] = "Bulkhead and the guests' files",
                                        [SEGMENT_RESERVED] = "firmware and devices"};

    if (s->vm == NULL) {
        return names[s->use];
    }
    (void)snprintf(text, size, "%s%s", s->vm->config->name,
                   s->use == SEGMENT_BUDGET ? ": records and compartment" : "");
    return text;
}
