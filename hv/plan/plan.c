// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Builds the partition: judges each guest of the config against the machine and gives it host CPUs
 * and host memory. Deterministic; keeps nothing but the plan itself, so that free memory is always
 * "MEM_FREE less what the plan holds". plan_check.c checks the result. Called by boot/, the
 * hypervisor's start and tools/bhcheck.
 */
#include "hv/plan/plan.h"

#include "hv/lib/fmt.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"
#include "hv/plan/bzimage.h"
#include "hv/plan/layout.h"
#include "hv/plan/schema.h"

struct builder {
    const struct boot_info *info;
    plan_image_data data;
    void *ctx;
    struct plan *plan;
    struct fault_list *faults;
};

struct extent {
    uint64_t base, size;
};

#define REFUSE(b, pos, ...) fault_add((b)->faults, (pos).line, (pos).column, __VA_ARGS__)

const struct boot_image *boot_info_find_image(const struct boot_info *info, const char *path) {
    for (uint32_t i = 0; path[0] != '\0' && i < info->image_count; i++) {
        if (str_equal(info->images[i].path, path)) {
            return &info->images[i];
        }
    }
    return NULL;
}

uint64_t plan_budget_size(uint64_t memory, uint32_t cpu_count) {
    /* struct vm and scrollback; tables for 2 MiB pages (4 KiB a GiB, twice over); vCPUs. */
    uint64_t gib = memory / GIB + (memory % GIB != 0);
    return 4 * MIB + gib * 8 * KIB + cpu_count * 256 * KIB;
}

/* True if the plan has given away the frame at; *next is where that piece, or the gap, ends. */
static bool is_taken(const struct plan *plan, uint64_t at, uint64_t *next) {
    *next = UINT64_MAX;
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        for (uint32_t j = 0; j <= vm->region_count; j++) { /* the budget comes last */
            bool region = j < vm->region_count;
            uint64_t base = region ? vm->regions[j].hpa.v : vm->budget_base.v;
            uint64_t size = region ? vm->regions[j].size : vm->budget_size;
            if (range_contains(base, size, at, 1)) {
                *next = base + size;
                return true;
            }
            if (size != 0 && base > at) {
                *next = min_u64(*next, base);
            }
        }
    }
    return false;
}

/* The lowest free extent at or above from; false if there is none. */
static bool next_extent(const struct builder *b, uint64_t from, struct extent *out) {
    from = max_u64(from, MIB); /* below are the trampoline and what firmware likes to use */
    for (uint32_t i = 0; i < b->info->range_count; i++) {
        const struct mem_range *r = &b->info->ranges[i];
        if (r->kind != MEM_FREE) {
            continue;
        }
        uint64_t at = max_u64(from, ALIGN_UP(r->base.v, PAGE_SIZE));
        uint64_t end = ALIGN_DOWN(r->base.v + r->size, PAGE_SIZE), next = 0;
        while (at < end && is_taken(b->plan, at, &next)) {
            at = next;
        }
        if (at < end) {
            *out = (struct extent){.base = at, .size = min_u64(next, end) - at};
            return true;
        }
    }
    return false;
}

#define FOR_EACH_FREE(b, e) for (struct extent e = {0, 0}; next_extent((b), e.base + e.size, &e);)

/*
 * A free place for memory at gpa, congruent to it modulo align: the first that takes all size
 * bytes, else the largest, cut to whole aligns; of size 0 if there is none.
 */
static struct extent find_place(const struct builder *b, uint64_t gpa, uint64_t size,
                                uint64_t align) {
    struct extent best = {.size = 0};
    FOR_EACH_FREE(b, e) {
        uint64_t skip = (gpa - e.base) & (align - 1);
        uint64_t usable = skip < e.size ? e.size - skip : 0;
        usable = usable >= size ? size : ALIGN_DOWN(usable, align);
        if (usable > best.size) {
            best = (struct extent){.base = e.base + skip, .size = usable};
        }
    }
    return best;
}

/* Adds a piece, joined to the one before where both follow on. False if the table is full. */
static bool add_region(struct plan_vm *vm, uint64_t gpa, const struct extent *place) {
    struct plan_region *next = &vm->regions[vm->region_count];
    if (vm->region_count != 0 && next[-1].gpa.v + next[-1].size == gpa &&
        next[-1].hpa.v + next[-1].size == place->base) {
        next[-1].size += place->size;
        return true;
    }
    if (vm->region_count == PLAN_MAX_REGIONS) {
        return false;
    }
    *next = (struct plan_region){.gpa = GPA(gpa), .hpa = HPA(place->base), .size = place->size};
    vm->region_count++;
    return true;
}

/* Host memory for guest memory from gpa on: the largest pages first, 4 KiB leftovers last. */
static bool place_memory(const struct builder *b, struct plan_vm *vm, uint64_t gpa, uint64_t size) {
    static const uint64_t aligns[] = {GIB, 2 * MIB, PAGE_SIZE};
    while (size != 0) {
        struct extent place = {.size = 0};
        for (size_t i = 0; i < ARRAY_SIZE(aligns) && place.size == 0; i++) {
            if (size >= aligns[i]) {
                place = find_place(b, gpa, size, aligns[i]);
            }
        }
        if (place.size == 0 || !add_region(vm, gpa, &place)) {
            return false;
        }
        gpa += place.size;
        size -= place.size;
    }
    return true;
}

/* "512M" rounded down to whole MiB, for messages. */
static const char *show_mib(char *buf, uint64_t bytes) {
    return fmt_size(buf, ALIGN_DOWN(bytes, MIB));
}

static void refuse_memory(const struct builder *b, const struct config_guest *g) {
    char want[24], have[24], rest[24], most[24], piece[24], places[112] = "";
    uint64_t total = 0, left = 0;
    size_t used = 0;
    for (uint32_t i = 0; i < b->info->range_count; i++) {
        total += b->info->ranges[i].kind == MEM_FREE ? b->info->ranges[i].size : 0;
    }
    FOR_EACH_FREE(b, e) {
        left += e.size;
        if (e.size >= CONFIG_MEMORY_MIN && used < sizeof(places)) {
            used += fmt_print(places + used, sizeof(places) - used, "%s%s at 0x%llx",
                              used != 0 ? ", " : "", show_mib(piece, e.size),
                              (unsigned long long)e.base);
        }
    }
    REFUSE(b, g->memory_pos,
           "guest \"%s\": memory = \"%s\" is more than is left; the machine has %s free for "
           "guests, left are %s (%s); write at most \"%s\"",
           g->name, fmt_size(want, g->memory), show_mib(have, total), show_mib(rest, left), places,
           fmt_size(most, ALIGN_DOWN(left, CONFIG_MEMORY_UNIT)));
}

/* Hypervisor memory for the VM: the lowest gap that takes it. */
static void give_budget(const struct builder *b, struct plan_vm *vm) {
    uint64_t size = plan_budget_size(vm->config->memory, vm->cpu_count);
    struct extent place = find_place(b, 0, size, PAGE_SIZE);
    if (place.size == size) {
        vm->budget_base = HPA(place.base);
        vm->budget_size = size;
    } /* else give_memory() reports it */
}

static void give_memory(const struct builder *b, struct plan_vm *vm) {
    uint64_t memory = vm->config->memory;
    uint64_t low = min_u64(memory, PLAN_LOW_RAM_END);
    if (vm->budget_size == 0 || !place_memory(b, vm, 0, low) ||
        !place_memory(b, vm, PLAN_HIGH_RAM, memory - low)) {
        vm->region_count = 0;
        refuse_memory(b, vm->config);
    }
}

static void give_cpus(const struct builder *b, struct plan_vm *vm) {
    const struct config_guest *g = vm->config;
    char list[48];
    struct cpu_set absent = {{0}};
    for (unsigned cpu = cpu_set_next(&g->cpus, 0); cpu < CONFIG_MAX_CPUS;
         cpu = cpu_set_next(&g->cpus, cpu + 1)) {
        vm->cpus[vm->cpu_count++] = cpu;
        absent.bits[cpu / 64] |= cpu >= b->info->cpu_count ? BIT(cpu % 64) : 0;
    }
    if (cpu_set_next(&absent, 0) < CONFIG_MAX_CPUS) {
        REFUSE(b, g->cpus_pos, "guest \"%s\": CPU %s does not exist; this machine's last CPU is %u",
               g->name, cpu_set_format(&absent, list, sizeof(list)), b->info->cpu_count - 1);
    }
    if (vm->cpu_count > 1) {
        REFUSE(b, g->cpus_pos,
               "guest \"%s\": cpus = \"%s\" names %u CPUs, but SMP guests are not supported yet; "
               "give one CPU, such as cpus = \"%u\"",
               g->name, cpu_set_format(&g->cpus, list, sizeof(list)), vm->cpu_count, vm->cpus[0]);
    }
}

static void check_shared_cpus(const struct builder *b, uint32_t index) {
    const struct config_guest *guest = b->plan->vms[index].config;
    for (uint32_t i = 0; i < index; i++) {
        const struct config_guest *other = b->plan->vms[i].config;
        struct cpu_set both;
        char list[48];
        for (size_t k = 0; k < ARRAY_SIZE(both.bits); k++) {
            both.bits[k] = guest->cpus.bits[k] & other->cpus.bits[k];
        }
        if (cpu_set_next(&both, 0) < CONFIG_MAX_CPUS) {
            REFUSE(
                b, guest->cpus_pos,
                "CPU %s of guest \"%s\" was given to guest \"%s\" already, on line %u; give each "
                "guest CPUs of its own",
                cpu_set_format(&both, list, sizeof(list)), guest->name, other->name,
                other->cpus_pos.line);
        }
    }
}

/* The image a path names; NULL without a path, and with a report if it is missing or empty. */
static const struct boot_image *find_file(const struct builder *b, const struct config_guest *g,
                                          const char *key, const char *path,
                                          struct config_pos pos) {
    const struct boot_image *image = boot_info_find_image(b->info, path);
    if (path[0] != '\0' && (image == NULL || image->size == 0)) {
        REFUSE(b, pos, "guest \"%s\": %s = \"%s\": %s", g->name, key, path,
               image == NULL ? "no such file on the stick" : "the file is empty; copy it again");
        return NULL;
    }
    return image;
}

/* Kernel and initrd exist, the kernel can be started, and both fit into the guest's memory. */
static void give_files(const struct builder *b, struct plan_vm *vm) {
    const struct config_guest *g = vm->config;
    vm->kernel = find_file(b, g, "kernel", g->kernel, g->kernel_pos);
    vm->initrd = find_file(b, g, "initrd", g->initrd, g->initrd_pos);
    const void *bytes = vm->kernel != NULL ? b->data(b->ctx, vm->kernel) : NULL;
    if (bytes == NULL) {
        return;
    }
    struct bzimage kernel;
    struct guest_layout layout;
    const char *why = NULL;
    if (bzimage_parse(bytes, vm->kernel->size, &kernel, &why) != STATUS_OK) {
        REFUSE(b, g->kernel_pos, "guest \"%s\": kernel = \"%s\" %s", g->name, g->kernel, why);
        return;
    }
    size_t length = strlen(g->cmdline);
    if (length > kernel.cmdline_max) {
        REFUSE(b, g->table_pos,
               "guest \"%s\": the cmdline has %u bytes, but this kernel takes %u; shorten it",
               g->name, (unsigned)length, kernel.cmdline_max);
    }
    uint64_t initrd_size = vm->initrd != NULL ? vm->initrd->size : 0;
    if (g->memory == 0 ||
        guest_layout_compute(&kernel, initrd_size, min_u64(g->memory, PLAN_LOW_RAM_END), &layout) ==
            STATUS_OK) {
        return;
    }
    char have[24], need[24], own[24], from[24], initrd[24];
    if (layout.needed == 0 || layout.needed > PLAN_LOW_RAM_END) {
        REFUSE(b, g->initrd_pos.line != 0 ? g->initrd_pos : g->kernel_pos,
               "guest \"%s\": kernel (%s once running) and initrd (%s) do not fit where this "
               "kernel can reach them; take smaller ones",
               g->name, show_mib(own, kernel.init_size), show_mib(initrd, initrd_size));
        return;
    }
    REFUSE(
        b, g->memory_pos,
        "guest \"%s\": memory = \"%s\" is too little for its kernel (%s once running, from %s on) "
        "and initrd (%s); write at least \"%s\"",
        g->name, fmt_size(have, g->memory), show_mib(own, kernel.init_size + MIB - 1),
        fmt_size(from, kernel.pref_address), show_mib(initrd, initrd_size + MIB - 1),
        fmt_size(need, layout.needed));
}

enum status plan_build(const struct boot_info *info, plan_image_data data, void *ctx,
                       struct plan *plan, struct fault_list *faults) {
    const struct builder b = {
        .info = info, .data = data, .ctx = ctx, .plan = plan, .faults = faults};
    const struct config *config = &info->config;
    ASSERT(config->guest_count <= CONFIG_MAX_GUESTS);
    memset(plan, 0, sizeof(*plan));
    plan->vm_count = config->guest_count;
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        struct plan_vm *vm = &plan->vms[i];
        vm->config = &config->guests[i];
        give_cpus(&b, vm);
        check_shared_cpus(&b, i);
        give_files(&b, vm);
    }
    /* Budgets first: they want to lie below 4 GiB, in whatever is too small for large pages. */
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        give_budget(&b, &plan->vms[i]);
    }
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        if (config->guests[i].memory != 0) {
            give_memory(&b, &plan->vms[i]);
        }
    }
    return faults->count == 0 ? STATUS_OK : STATUS_INVALID;
}
