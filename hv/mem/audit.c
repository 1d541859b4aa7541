/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the tables as the CPU does and holds every leaf against the plan. Must not use the mapping
 * code's idea of what it did; knows the raw entries only through the walk.
 */
#include "hv/mem/audit.h"

#include "hv/lib/log.h"

struct audit {
    const struct plan_vm *vm;
    uint64_t mapped; /* bytes of leaves seen */
    bool bad;
};

/* Every page of the leaf must lie in one region and go to that region's frame. */
static bool audit_leaf(void *ctx, const struct npt_leaf *leaf) {
    struct audit *a = ctx;
    for (uint32_t i = 0; i < a->vm->region_count; i++) {
        const struct plan_region *r = &a->vm->regions[i];
        if (leaf->address < r->gpa.v || leaf->address >= r->gpa.v + r->size) {
            continue;
        }
        if (leaf->address + leaf->size <= r->gpa.v + r->size &&
            leaf->hpa.v == r->hpa.v + (leaf->address - r->gpa.v) && leaf->type == NPT_WB) {
            a->mapped += leaf->size;
            return true;
        }
    }
    log_error("audit: %s: gpa %#llx is mapped to hpa %#llx (%#llx bytes, type %u): not in the plan",
              a->vm->config->name, (unsigned long long)leaf->address,
              (unsigned long long)leaf->hpa.v, (unsigned long long)leaf->size, leaf->type);
    a->bad = true;
    return false;
}

enum status audit_tables(const struct npt *npt, const struct plan_vm *vm) {
    struct audit a = {.vm = vm};
    npt_walk(npt, audit_leaf, &a);
    uint64_t planned = 0;
    for (uint32_t i = 0; i < vm->region_count; i++) {
        planned += vm->regions[i].size;
    }
    if (!a.bad && a.mapped != planned) {
        log_error("audit: %s: %llu KiB mapped, %llu KiB planned", vm->config->name,
                  (unsigned long long)(a.mapped / KIB), (unsigned long long)(planned / KIB));
        a.bad = true;
    }
    return a.bad ? STATUS_INVALID : STATUS_OK;
}
