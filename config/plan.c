// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Builds the partition: judges each guest of the config against the machine and gives it host CPUs
 * and host memory. Deterministic. hv/plan/plan_check.c checks the result. Called by boot/ and
 * tools/bhcheck.
 */
#include "config/plan.h"

#include "config/builder.h"
#include "config/identity.h"
#include "config/schema.h"
#include "config/stick.h"
#include "hv/lib/fmt.h"
#include "hv/lib/str.h"

/* Each piece that is taken leaves one extent more, and so does each end of a node's. */
#define MAX_SPARE                                                                                  \
    (BOOT_MAX_RANGES + 2 * BOOT_MAX_NODES + PLAN_MAX_CHANNELS +                                    \
     CONFIG_MAX_GUESTS * (PLAN_MAX_REGIONS + CONFIG_MAX_DISKS + 2))

/* Free memory that nobody got so far, ascending; some may be empty. */
static struct extent spare[MAX_SPARE];
static uint32_t spare_count;

const struct boot_image *boot_info_find_image(const struct boot_info *info, const char *path) {
    for (uint32_t i = 0; path[0] != '\0' && i < info->image_count; i++) {
        if (str_equal(info->images[i].path, path)) {
            return &info->images[i];
        }
    }
    return NULL;
}

/* What the plan may give away: MEM_FREE in whole pages. */
static void list_free(const struct builder *b) {
    spare_count = 0;
    for (uint32_t i = 0; i < b->info->range_count; i++) {
        const struct mem_range *r = &b->info->ranges[i];
        /* below 1 MiB are the trampoline and what firmware likes to use */
        uint64_t base = max_u64(MIB, ALIGN_UP(r->base.v, PAGE_SIZE));
        uint64_t end = ALIGN_DOWN(r->base.v + r->size, PAGE_SIZE);
        if (r->kind == MEM_FREE && base < end) {
            spare[spare_count++] = (struct extent){base, end - base, NODE_ANY};
        }
    }
}

/* An extent around that address becomes two; it may be empty on one side. */
static void cut_extent(struct extent *e, uint64_t at, uint64_t from) {
    uint64_t end = e->base + e->size;
    memmove(e + 1, e, (size_t)(spare + spare_count - e) * sizeof(*e));
    spare_count++;
    e[0].size = at - e->base;
    e[1].base = from;
    e[1].size = end - from;
}

static void cut_free(uint64_t at) {
    for (struct extent *e = spare; e < spare + spare_count; e++) {
        if (at > e->base && at - e->base < e->size) {
            cut_extent(e, at, at);
            return;
        }
    }
}

/* Which free memory is nearest to which CPUs. */
static void list_nodes(const struct builder *b) {
    for (uint32_t i = 0; i < b->info->node_count; i++) {
        const struct boot_node *n = &b->info->nodes[i];
        cut_free(n->base.v);
        cut_free(n->base.v + n->size);

        for (struct extent *e = spare; e < spare + spare_count; e++) {
            if (e->base >= n->base.v && e->base - n->base.v < n->size) {
                e->node = n->number;
            }
        }
    }
}

/* The best place there is, and the extent that it is in; NULL if there is none. */
static struct extent *find_memory(uint32_t node, uint64_t gpa, uint64_t size, uint64_t align,
                                  struct extent *best) {
    struct extent *from = NULL;

    *best = (struct extent){.size = 0};
    for (struct extent *e = spare; e < spare + spare_count; e++) {
        uint64_t skip = (gpa - e->base) & (align - 1);
        uint64_t usable = skip < e->size ? e->size - skip : 0;
        usable = usable >= size ? size : ALIGN_DOWN(usable, align);
        bool near = node == NODE_ANY || e->node == node;
        if (near && usable > best->size) {
            *best = (struct extent){.base = e->base + skip, .size = usable};
            from = e;
        }
    }
    return from;
}

struct extent take_memory(uint32_t node, uint64_t gpa, uint64_t size, uint64_t align) {
    struct extent best, *from = find_memory(node, gpa, size, align, &best);

    if (from != NULL) { /* both its ends stay, though empty */
        cut_extent(from, best.base, best.base + best.size);
    }
    return best;
}

struct extent take_whole(uint64_t gpa, uint64_t size, uint64_t align) {
    struct extent best, *from = find_memory(NODE_ANY, gpa, size, align, &best);

    if (from == NULL || best.size < size) {
        return (struct extent){.size = 0};
    }
    cut_extent(from, best.base, best.base + best.size);
    return best;
}

uint64_t count_free(void) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < spare_count; i++) {
        all += spare[i].size;
    }
    return all;
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

/* The next piece: near memory if it can be mapped by large pages, then any; of size 0 if none. */
static struct extent take_piece(uint32_t node, uint64_t gpa, uint64_t size) {
    const struct {
        uint32_t node;
        uint64_t align;
    } ways[] = {
        {node, GIB}, {node, 2 * MIB}, {NODE_ANY, GIB}, {NODE_ANY, 2 * MIB}, {NODE_ANY, PAGE_SIZE}};
    struct extent place = {.size = 0};
    for (size_t i = 0; i < ARRAY_SIZE(ways) && place.size == 0; i++) {
        if (size >= ways[i].align) {
            place = take_memory(ways[i].node, gpa, size, ways[i].align);
        }
    }
    return place;
}

/*
 * Host memory for guest memory from gpa on: that of the node of the guest's first CPU first; the
 * largest pages first, 4 KiB leftovers last.
 */
static bool place_memory(const struct builder *b, struct plan_vm *vm, uint64_t gpa, uint64_t size) {
    uint32_t node = b->info->cpu_nodes[vm->cpus[0]];
    while (size != 0) {
        struct extent place = take_piece(node, gpa, size);
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

static uint64_t budget_size(const struct builder *b, const struct plan_vm *vm) {
    return plan_budget_size(vm->config->memory, vm->cpu_count, plan_small_pages(b->info)) +
           plan_window_tables(vm) + plan_pci_tables(vm);
}

/* Hypervisor memory for the VM: the lowest gap that takes it. */
static void give_budget(const struct builder *b, struct plan_vm *vm) {
    uint64_t size = budget_size(b, vm);
    struct extent place = take_whole(0, size, PAGE_SIZE);
    vm->budget_base = HPA(place.base);
    vm->budget_size = place.size; /* give_memory() reports that there is none */
}

/* A guest that wants more than there is takes nothing, so that those after it are judged fairly. */
static void give_memory(const struct builder *b, struct plan_vm *vm) {
    uint64_t memory = vm->config->memory, low = min_u64(memory, PLAN_LOW_RAM_END);
    uint64_t left = count_free();
    char want[24], rest[24], most[24], piece[24], places[112] = "nowhere";
    size_t used = 0;
    for (uint32_t i = 0; i < spare_count; i++) {
        const struct extent *e = &spare[i];
        if (e->size >= CONFIG_MEMORY_MIN && used < sizeof(places)) {
            used += fmt_print(places + used, sizeof(places) - used, "%s%s at %#llx",
                              used != 0 ? ", " : "", show_mib(piece, e->size),
                              (unsigned long long)e->base);
        }
    }
    bool budget = vm->budget_size == budget_size(b, vm);
    if (memory != 0 && (!budget || memory > left || !place_memory(b, vm, 0, low) ||
                        !place_memory(b, vm, PLAN_HIGH_RAM, memory - low))) {
        REFUSE(b, vm->config, vm->config->memory_pos,
               "memory = \"%s\" is more than is left; free are %s (%s); write at "
               "most \"%s\"" MSG(1101),
               fmt_size(want, memory), show_mib(rest, left), places,
               fmt_size(most, ALIGN_DOWN(left, CONFIG_MEMORY_UNIT)));
    }
}

static void give_cpus(const struct builder *b, struct plan_vm *vm) {
    const struct config_guest *g = vm->config;
    char list[48];
    for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
        if (cpu_set_has(&g->cpus, cpu)) {
            vm->cpus[vm->cpu_count++] = cpu;
        }
    }
    uint32_t last = vm->cpu_count != 0 ? vm->cpus[vm->cpu_count - 1] : 0;
    if (last >= b->info->cpu_count) {
        REFUSE(b, g, g->cpus_pos, "CPU %u does not exist; this machine's last CPU is %u" MSG(1102),
               last, b->info->cpu_count - 1);
    }
    if (vm->cpu_count > PLAN_MAX_VCPUS) {
        REFUSE(b, g, g->cpus_pos,
               "cpus = \"%s\" names %u CPUs; a guest can have at most %u" MSG(1103),
               cpu_set_format(&g->cpus, list, sizeof(list)), vm->cpu_count, PLAN_MAX_VCPUS);
    }
    for (const struct plan_vm *other = b->plan->vms; other < vm; other++) {
        for (uint32_t i = 0; i < vm->cpu_count; i++) {
            if (cpu_set_has(&other->config->cpus, vm->cpus[i])) {
                REFUSE(b, g, g->cpus_pos,
                       "CPU %u was given to guest \"%s\" already, on line %u; give "
                       "each guest CPUs of its own" MSG(1104),
                       vm->cpus[i], other->config->name, other->config->cpus_pos.line);
                break;
            }
        }
    }
}

const struct boot_image *find_file(const struct builder *b, const struct config_guest *g,
                                   const char *key, const char *path, struct config_pos pos) {
    const struct boot_image *image = boot_info_find_image(b->info, path);
    const char *why = NULL;

    if (path[0] == '\0') {
        return NULL;
    }
    if (image == NULL || (image->problem != NULL && str_equal(image->problem, STICK_MISSING))) {
        why = STICK_MISSING "; copy it there, or correct the path";
    } else if (image->problem != NULL) {
        why = image->problem;
    } else if (image->size == 0) {
        why = "the file is empty; copy it again";
    }
    if (why != NULL) {
        REFUSE(b, g, pos, "%s = \"%s\": %s" MSG(1105), key, path, why);
        return NULL;
    }
    return image;
}

/* What the config does not name is made of the stick's identity and the guest's name. */
static void give_identity(const struct builder *b, struct plan_vm *vm) {
    static const uint8_t none[UUID_SIZE];
    const struct config_guest *g = vm->config;
    const struct config *config = &b->info->config;
    bool named = memcmp(config->stick_id, none, UUID_SIZE) != 0;
    memcpy(vm->uuid, g->uuid, UUID_SIZE);
    if (memcmp(g->uuid, none, UUID_SIZE) == 0) {
        identity_make_uuid(named ? config->stick_id : b->info->stick_id, g->name, vm->uuid);
    }
    memcpy(vm->serial, g->serial, CONFIG_SERIAL_SIZE);
    if (g->serial[0] == '\0') {
        identity_make_serial(vm->uuid, vm->serial);
    }
}

enum status plan_build(const struct boot_info *info, struct plan *plan, struct fault_list *faults) {
    const struct builder b = {.info = info, .plan = plan, .faults = faults};
    ASSERT(info->config.guest_count <= CONFIG_MAX_GUESTS);
    memset(plan, 0, sizeof(*plan));
    plan->vm_count = info->config.guest_count;
    list_free(&b);
    list_nodes(&b);
    /* Budgets first: they want to lie below 4 GiB, in whatever is too small for large pages. */
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        struct plan_vm *vm = &plan->vms[i];
        const struct config_guest *g = vm->config = &info->config.guests[i];
        give_cpus(&b, vm);
        vm->kernel = find_file(&b, g, "kernel", g->kernel, g->kernel_pos);
        vm->initrd = find_file(&b, g, "initrd", g->initrd, g->initrd_pos);
        give_identity(&b, vm);
    }
    give_windows(&b);
    give_pcis(&b);
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        give_budget(&b, &plan->vms[i]);
    }
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        give_memory(&b, &plan->vms[i]);
    }
    give_stores(&b);
    return faults->count == 0 ? STATUS_OK : STATUS_INVALID;
}
