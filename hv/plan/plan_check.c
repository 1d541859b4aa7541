// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks a finished plan against the machine, by brute force and with nothing of plan.c: what is
 * computed there wrongly must be seen here. A fault it reports is a bug of Bulkhead, not of the
 * admin's file. Called after every plan_build().
 */
#include "hv/lib/str.h"
#include "hv/plan/plan.h"

struct checker {
    const struct boot_info *info;
    const struct plan *plan;
    struct fault_list *faults;
};

/* One piece of host memory and who the plan says it is for. */
struct piece {
    uint64_t base, last; /* last byte: no sum can overflow in a comparison */
    const char *owner;
    const char *what;
};

#define REPORT(c, ...) fault_add((c)->faults, 0, 0, "plan check: " __VA_ARGS__)

static bool share_a_byte(const struct piece *a, uint64_t base, uint64_t last) {
    return a->base <= last && base <= a->last;
}

/* A piece from base and size; false, with a report, if it is empty, odd or wraps. */
static bool make_piece(const struct checker *c, const char *owner, const char *what, uint64_t base,
                       uint64_t size, struct piece *out) {
    uint64_t last = base + size - 1;
    if (size == 0 || last < base || base % PAGE_SIZE != 0 || size % PAGE_SIZE != 0) {
        REPORT(c, "%s of %s at 0x%llx, size 0x%llx, is empty, not in whole pages, or wraps", what,
               owner, (unsigned long long)base, (unsigned long long)size);
        return false;
    }
    *out = (struct piece){.base = base, .last = last, .owner = owner, .what = what};
    return true;
}

/* Piece number n of the VM: 0 is the budget, the regions follow; false behind the last. */
static bool piece_number(const struct plan_vm *vm, uint32_t n, struct piece *out) {
    if (n > vm->region_count) {
        return false;
    }
    uint64_t base = n == 0 ? vm->budget_base.v : vm->regions[n - 1].hpa.v;
    uint64_t size = n == 0 ? vm->budget_size : vm->regions[n - 1].size;
    *out = (struct piece){.base = base,
                          .last = base + size - 1,
                          .owner = vm->config->name,
                          .what = n == 0 ? "budget" : "memory"};
    return true;
}

static void check_apart(const struct checker *c, const struct piece *p, const char *what,
                        uint64_t base, uint64_t size) {
    if (size != 0 && share_a_byte(p, base, base + size - 1)) {
        REPORT(c, "%s of %s at 0x%llx-0x%llx overlaps %s at 0x%llx", p->what, p->owner,
               (unsigned long long)p->base, (unsigned long long)p->last, what,
               (unsigned long long)base);
    }
}

/* The piece lies in one free range, above 1 MiB, and apart from all that is somebody else's. */
static void check_place(const struct checker *c, const struct piece *p) {
    const struct boot_info *info = c->info;
    bool inside = false;
    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        uint64_t last = r->base.v + r->size - 1;
        if (r->kind == MEM_FREE) {
            inside = inside || (r->size != 0 && p->base >= r->base.v && p->last <= last);
        } else {
            check_apart(c, p, "memory that is not free", r->base.v, r->size);
        }
    }
    if (!inside) {
        REPORT(c, "%s of %s at 0x%llx-0x%llx is not in free memory", p->what, p->owner,
               (unsigned long long)p->base, (unsigned long long)p->last);
    }
    check_apart(c, p, "the first MiB", 0, 0x100000);
    check_apart(c, p, "the hypervisor", info->image_base.v, info->image_size);
    check_apart(c, p, "the hypervisor's heap", info->heap_base.v, info->heap_size);
    check_apart(c, p, "the framebuffer", info->framebuffer.base.v, info->framebuffer.size);
    for (uint32_t i = 0; i < info->image_count; i++) {
        check_apart(c, p, info->images[i].path, info->images[i].base.v, info->images[i].size);
    }
}

/* No byte of p belongs to a piece that comes after piece number n of VM v. */
static void check_unique(const struct checker *c, uint32_t v, uint32_t n, const struct piece *p) {
    for (uint32_t w = v; w < c->plan->vm_count; w++) {
        struct piece other;
        for (uint32_t m = w == v ? n + 1 : 0; piece_number(&c->plan->vms[w], m, &other); m++) {
            if (share_a_byte(p, other.base, other.last)) {
                REPORT(c, "%s of %s at 0x%llx-0x%llx overlaps %s of %s at 0x%llx-0x%llx", p->what,
                       p->owner, (unsigned long long)p->base, (unsigned long long)p->last,
                       other.what, other.owner, (unsigned long long)other.base,
                       (unsigned long long)other.last);
            }
        }
    }
}

/* Walks the guest-physical layout as the header states it, byte position by byte position. */
static void check_layout(const struct checker *c, const struct plan_vm *vm) {
    uint64_t at = 0, sum = 0;
    for (uint32_t i = 0; i < vm->region_count; i++) {
        const struct plan_region *r = &vm->regions[i];
        if (at == PLAN_LOW_RAM_END) {
            at = PLAN_HIGH_RAM;
        }
        if (r->gpa.v != at) {
            REPORT(c, "memory of %s at guest address 0x%llx should be at 0x%llx", vm->config->name,
                   (unsigned long long)r->gpa.v, (unsigned long long)at);
            return;
        }
        if (at < PLAN_LOW_RAM_END && r->size > PLAN_LOW_RAM_END - at) {
            REPORT(c, "memory of %s at guest address 0x%llx runs into the gap below 4 GiB",
                   vm->config->name, (unsigned long long)r->gpa.v);
            return;
        }
        at += r->size;
        sum += r->size;
    }
    if (sum != vm->config->memory) {
        REPORT(c, "%s has 0x%llx bytes of memory, its config says 0x%llx", vm->config->name,
               (unsigned long long)sum, (unsigned long long)vm->config->memory);
    }
}

static void check_cpus(const struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v];
    const char *name = vm->config->name;
    uint32_t configured = 0;
    for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
        configured += ((vm->config->cpus.bits[cpu / 64] >> cpu % 64) & 1) != 0;
    }
    if (vm->cpu_count != configured || configured == 0) {
        REPORT(c, "%s has %u CPUs, its config says %u", name, vm->cpu_count, configured);
    }
    for (uint32_t i = 0; i < vm->cpu_count && i < CONFIG_MAX_CPUS; i++) {
        uint32_t cpu = vm->cpus[i];
        if (cpu >= c->info->cpu_count || cpu >= CONFIG_MAX_CPUS) {
            REPORT(c, "CPU %u of %s does not exist", cpu, name);
        } else if (((vm->config->cpus.bits[cpu / 64] >> cpu % 64) & 1) == 0) {
            REPORT(c, "CPU %u of %s is not in its config", cpu, name);
        }
        if (i != 0 && vm->cpus[i - 1] >= cpu) {
            REPORT(c, "the CPUs of %s are not ascending", name);
        }
        for (uint32_t w = v + 1; w < c->plan->vm_count; w++) {
            const struct plan_vm *other = &c->plan->vms[w];
            for (uint32_t j = 0; j < other->cpu_count && j < CONFIG_MAX_CPUS; j++) {
                if (other->cpus[j] == cpu) {
                    REPORT(c, "CPU %u belongs to %s and to %s", cpu, name, other->config->name);
                }
            }
        }
    }
}

static void check_image(const struct checker *c, const struct plan_vm *vm,
                        const struct boot_image *image, const char *path) {
    bool listed = false;
    for (uint32_t i = 0; i < c->info->image_count; i++) {
        listed = listed || image == &c->info->images[i];
    }
    if (path[0] == '\0' ? image != NULL : !listed || !str_equal(image->path, path)) {
        REPORT(c, "%s was given another file than \"%s\"", vm->config->name, path);
    }
}

/* The counts that every later loop relies on. */
static bool check_shape(const struct checker *c) {
    const struct plan *plan = c->plan;
    if (plan->vm_count != c->info->config.guest_count || plan->vm_count > CONFIG_MAX_GUESTS ||
        plan->vm_count == 0) {
        REPORT(c, "%u VMs for %u guests", plan->vm_count, c->info->config.guest_count);
        return false;
    }
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        if (plan->vms[i].config != &c->info->config.guests[i]) {
            REPORT(c, "VM %u is not guest %u of the file", i, i);
            return false;
        }
        if (plan->vms[i].region_count == 0 || plan->vms[i].region_count > PLAN_MAX_REGIONS) {
            REPORT(c, "%s has %u pieces of memory", plan->vms[i].config->name,
                   plan->vms[i].region_count);
            return false;
        }
    }
    return true;
}

enum status plan_check(const struct boot_info *info, const struct plan *plan,
                       struct fault_list *faults) {
    const struct checker c = {.info = info, .plan = plan, .faults = faults};
    uint32_t before = faults->count + faults->dropped;
    if (!check_shape(&c)) {
        return STATUS_INVALID;
    }
    for (uint32_t v = 0; v < plan->vm_count; v++) {
        const struct plan_vm *vm = &plan->vms[v];
        check_cpus(&c, v);
        check_image(&c, vm, vm->kernel, vm->config->kernel);
        check_image(&c, vm, vm->initrd, vm->config->initrd);
        check_layout(&c, vm);
        struct piece p;
        for (uint32_t n = 0; piece_number(vm, n, &p); n++) {
            if (make_piece(&c, p.owner, p.what, p.base, p.last - p.base + 1, &p)) {
                check_place(&c, &p);
                check_unique(&c, v, n, &p);
            }
        }
        if (vm->budget_size < plan_budget_size(vm->config->memory, vm->cpu_count)) {
            REPORT(&c, "the budget of %s is too small", vm->config->name);
        }
    }
    return faults->count + faults->dropped == before ? STATUS_OK : STATUS_INVALID;
}
