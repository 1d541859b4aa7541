/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the tables as the CPU does and holds every leaf against the plan. Must not use the mapping
 * code's idea of what it did; knows the raw entries only through the walk.
 */
#include "hv/mem/audit.h"

#include "hv/lib/log.h"
#include "hv/lib/range.h"

/* Every page of the leaf must lie in one region and go to that region's frame. */
static bool audit_leaf(const struct npt_leaf *leaf, const struct plan_vm *vm, uint64_t page_gpa) {
    if (page_gpa != 0 && leaf->address == page_gpa) {
        return leaf->size == PAGE_SIZE && leaf->type == NPT_WB &&
               (leaf->access & NPT_EXECUTE) == 0 &&
               range_contains(vm->budget_base.v, vm->budget_size, leaf->hpa.v, PAGE_SIZE);
    }
    for (uint32_t i = 0; i < vm->region_count; i++) {
        const struct plan_region *r = &vm->regions[i];
        if (range_contains(r->gpa.v, r->size, leaf->address, leaf->size)) {
            return leaf->hpa.v == r->hpa.v + (leaf->address - r->gpa.v) && leaf->type == NPT_WB;
        }
    }
    return false;
}

enum status audit_tables(const struct npt *npt, const struct plan_vm *vm, uint64_t page_gpa) {
    const char *name = vm->config->name;
    struct npt_leaf leaf;
    uint64_t mapped = 0, planned = page_gpa != 0 ? PAGE_SIZE : 0;
    for (uint64_t at = 0; at < NPT_SPACE; at += leaf.size) {
        if (npt_lookup(npt, at, &leaf) != STATUS_OK) {
            continue;
        }
        mapped += leaf.size;
        if (!audit_leaf(&leaf, vm, page_gpa)) {
            log_error("audit: %s: gpa %#llx is mapped to hpa %#llx (%#llx bytes, type %u): not in "
                      "the plan",
                      name, (ull)leaf.address, (ull)leaf.hpa.v, (ull)leaf.size, leaf.type);
            return STATUS_INVALID;
        }
    }
    for (uint32_t i = 0; i < vm->region_count; i++) {
        planned += vm->regions[i].size;
    }
    if (mapped != planned) {
        log_error("audit: %s: %llu KiB mapped, %llu KiB planned", name, (ull)(mapped / KIB),
                  (ull)(planned / KIB));
    }
    return mapped == planned ? STATUS_OK : STATUS_INVALID;
}
