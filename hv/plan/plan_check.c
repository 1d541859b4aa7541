// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks a finished plan against the machine, by brute force and with nothing of plan.c: what is
 * computed there wrongly must be seen here. A fault it reports is a bug of Bulkhead, not of the
 * admin's file.
 */
#include "hv/plan/plan.h"

#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

struct checker {
    const struct boot_info *info;
    const struct plan *plan;
    plan_report *report;
    bool bad;
};

/* One piece of host memory and who the plan says it is for. */
struct piece {
    uint64_t base, size;
    const char *what, *owner;
};

static PRINTF_LIKE(2, 3) void refuse(struct checker *c, const char *format, ...) {
    char text[200];
    FMT_ARGUMENTS(text, format);
    c->bad = true;
    c->report(text);
}

/* Piece number n of the VM: its regions, and behind them its budget. */
static struct piece piece_number(const struct plan_vm *vm, uint32_t n) {
    const struct plan_region *r = &vm->regions[n];
    const char *owner = vm->config->name;
    return n < vm->region_count
               ? (struct piece){r->hpa.v, r->size, "memory of ", owner}
               : (struct piece){vm->budget_base.v, vm->budget_size, "budget of ", owner};
}

/* Last bytes are compared: no sum can overflow but that of a piece which wraps itself. */
static void check_apart(struct checker *c, const struct piece *a, const struct piece *b) {
    if (b->size != 0 && a->base <= b->base + (b->size - 1) && b->base <= a->base + (a->size - 1)) {
        refuse(c, "%s%s at 0x%llx, size 0x%llx, overlaps %s%s at 0x%llx", a->what, a->owner,
               (ull)a->base, (ull)a->size, b->what, b->owner, (ull)b->base);
    }
}

/* The piece lies in one free range, above 1 MiB, and apart from all that is somebody else's. */
static void check_place(struct checker *c, const struct piece *p) {
    const struct boot_info *info = c->info;
    const struct piece others[] = {
        {0, 0x100000, "the first MiB", ""},
        {info->image_base.v, info->image_size, "the hypervisor", ""},
        {info->heap_base.v, info->heap_size, "the hypervisor's heap", ""},
    };
    bool inside = false;
    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        if (r->kind != MEM_FREE) {
            check_apart(c, p, &(struct piece){r->base.v, r->size, "memory that is not free", ""});
        } else if (p->base >= r->base.v && p->base - r->base.v < r->size) {
            inside = p->size <= r->size - (p->base - r->base.v);
        }
    }
    if (!inside) {
        refuse(c, "%s%s at 0x%llx, size 0x%llx, is not in free memory", p->what, p->owner,
               (ull)p->base, (ull)p->size);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        check_apart(c, p, &others[i]);
    }
    for (uint32_t i = 0; i < info->screen_count; i++) {
        const struct boot_framebuffer *fb = &info->screens[i];
        check_apart(c, p, &(struct piece){fb->base.v, fb->size, "a framebuffer", ""});
    }
    for (uint32_t i = 0; i < info->image_count; i++) {
        const struct boot_image *image = &info->images[i];
        check_apart(c, p, &(struct piece){image->base.v, image->size, "", image->path});
    }
}

/* Each piece of VM v is whole, in its place, and shares nothing with any piece behind it. */
static void check_pieces(struct checker *c, uint32_t v) {
    const struct plan_vm *vms = c->plan->vms;
    for (uint32_t n = 0; n <= vms[v].region_count; n++) {
        const struct piece p = piece_number(&vms[v], n);
        if (p.size == 0 || p.base + (p.size - 1) < p.base || (p.base | p.size) % PAGE_SIZE != 0) {
            refuse(c, "%s%s at 0x%llx, size 0x%llx, is empty, not in whole pages, or wraps", p.what,
                   p.owner, (ull)p.base, (ull)p.size);
            continue;
        }
        check_place(c, &p);
        for (uint32_t w = v; w < c->plan->vm_count; w++) {
            for (uint32_t m = w == v ? n + 1 : 0; m <= vms[w].region_count; m++) {
                const struct piece other = piece_number(&vms[w], m);
                check_apart(c, &p, &other);
            }
        }
    }
}

/* Walks the guest-physical layout as the header states it, byte position by byte position. */
static void check_layout(struct checker *c, const struct plan_vm *vm) {
    const char *name = vm->config->name;
    uint64_t at = 0, sum = 0;
    for (uint32_t i = 0; i < vm->region_count; i++) {
        const struct plan_region *r = &vm->regions[i];
        at = at == PLAN_LOW_RAM_END ? PLAN_HIGH_RAM : at;
        if (r->gpa.v != at || (at < PLAN_LOW_RAM_END && r->size > PLAN_LOW_RAM_END - at)) {
            refuse(c,
                   "memory of %s at guest address 0x%llx should be at 0x%llx, and not run into "
                   "the gap below 4 GiB",
                   name, (ull)r->gpa.v, (ull)at);
            return;
        }
        at += r->size;
        sum += r->size;
    }
    if (sum != vm->config->memory) {
        refuse(c, "%s has 0x%llx bytes of memory, its config says 0x%llx", name, (ull)sum,
               (ull)vm->config->memory);
    }
}

/* The VM's CPUs are those of its config, ascending; all exist, and no VM behind it has one. */
static void check_cpus(struct checker *c, uint32_t v) {
    const struct plan_vm *vm = &c->plan->vms[v], *end = c->plan->vms + c->plan->vm_count;
    const char *name = vm->config->name;
    uint32_t n = 0;
    for (uint32_t cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
        if ((vm->config->cpus.bits[cpu / 64] >> cpu % 64 & 1) == 0) {
            continue;
        }
        if (n == vm->cpu_count || vm->cpus[n] != cpu || cpu >= c->info->cpu_count) {
            refuse(c, "CPU %u of %s does not exist, or is not number %u of its CPUs", cpu, name, n);
        }
        n++;
        for (const struct plan_vm *other = vm + 1; other < end; other++) {
            for (uint32_t i = 0; i < other->cpu_count; i++) {
                if (other->cpus[i] == cpu) {
                    refuse(c, "CPU %u belongs to %s and to %s", cpu, name, other->config->name);
                }
            }
        }
    }
    if (vm->cpu_count != n) {
        refuse(c, "%s has %u CPUs, its config says %u", name, vm->cpu_count, n);
    }
}

static void check_image(struct checker *c, const struct plan_vm *vm, const struct boot_image *image,
                        const char *path) {
    bool listed = false;
    for (uint32_t i = 0; i < c->info->image_count; i++) {
        listed = listed || image == &c->info->images[i];
    }
    if (path[0] == '\0' ? image != NULL : !listed || !str_equal(image->path, path)) {
        refuse(c, "%s was given another file than \"%s\"", vm->config->name, path);
    }
}

static bool is_count(uint32_t n, uint32_t most) {
    return n != 0 && n <= most;
}

/* The counts that every later loop relies on. */
static bool check_shape(struct checker *c) {
    const struct config *config = &c->info->config;
    uint32_t count = c->plan->vm_count;
    bool good = count == config->guest_count && is_count(count, CONFIG_MAX_GUESTS);
    if (!good) {
        refuse(c, "%u VMs for %u guests", count, config->guest_count);
    }
    for (uint32_t i = 0; good && i < count; i++) {
        const struct plan_vm *vm = &c->plan->vms[i];
        good = vm->config == &config->guests[i] && is_count(vm->region_count, PLAN_MAX_REGIONS) &&
               is_count(vm->cpu_count, PLAN_MAX_VCPUS);
        if (!good) {
            refuse(c, "VM %u is not guest %u of the file, or has %u CPUs or %u pieces of memory", i,
                   i, vm->cpu_count, vm->region_count);
        }
    }
    return good;
}

enum status plan_check(const struct boot_info *info, const struct plan *plan, plan_report *report) {
    struct checker c = {.info = info, .plan = plan, .report = report};
    if (!check_shape(&c)) {
        return STATUS_INVALID;
    }
    for (uint32_t v = 0; v < plan->vm_count; v++) {
        const struct plan_vm *vm = &plan->vms[v];
        check_cpus(&c, v);
        check_image(&c, vm, vm->kernel, vm->config->kernel);
        check_image(&c, vm, vm->initrd, vm->config->initrd);
        check_layout(&c, vm);
        check_pieces(&c, v);
        uint64_t least =
            plan_budget_size(vm->config->memory, vm->cpu_count, plan_small_pages(info));
        if (vm->budget_size < least) {
            refuse(&c, "the budget of %s is too small", vm->config->name);
        }
    }
    return c.bad ? STATUS_INVALID : STATUS_OK;
}
