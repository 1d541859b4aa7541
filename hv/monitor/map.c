/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints what a VM has: its CPUs, what its nested tables and its compartment's map, the ports and
 * MSRs that its bitmaps let pass, its devices. Tables and bitmaps are read as they are now, through
 * a window, on the CPU that prints: no other VM's are mapped anywhere. The plan gives the words for
 * what is found, and is not believed: what it does not know is called that. Called by acts.c.
 */
#include "hv/monitor/map.h"

#include "hv/lib/fmt.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/lib/str.h"
#include "hv/monitor/console.h"

#define ENTRIES       512u
#define LEVELS        4u
#define ENTRY_ADDRESS BITS(12, 51)
#define ENTRY_PRESENT BIT(0)
#define MSRS_AT_ONCE  1024u
#define PORTS         0x10000u
#define PORTS_AT_ONCE 0x8000u /* a page of the bitmap */

static SEALED struct map_vm {
    hpa_t tables[2]; /* the guest's, the compartment's */
    hpa_t msrs, ports;
    hpa_t plan; /* struct plan_vm */
    hpa_t budget;
    uint64_t budget_size;
} map_vms[CONFIG_MAX_GUESTS];
static SEALED hpa_t map_channels; /* struct plan_channel */
static SEALED uint32_t map_channel_count;
static SEALED hpa_t map_functions; /* struct boot_pci */

static const char *const map_table_names[] = {"guest", "compartment"};

/* Frames that are mapped in a row. */
struct map_piece {
    uint64_t gpa, hpa, size; /* size 0 = nothing yet */
    unsigned access;         /* enum page_access */
};

static struct map_state {
    enum map_stage {
        MAP_CPUS,
        MAP_GUEST,
        MAP_COMPARTMENT,
        MAP_PORTS,
        MAP_MSR_READS,
        MAP_MSR_WRITES,
        MAP_DEVICES,
        MAP_WIRES,
        MAP_STAGES
    } stage;
    /* Of a walk: the tables on the way down, and in each the next entry. */
    unsigned level; /* LEVELS in the root; 0 = not begun, LEVELS + 1: through */
    hpa_t tables[LEVELS + 1];
    unsigned next[LEVELS + 1];
    struct map_piece piece;
    /* Of a bitmap, or a list. */
    uint32_t at;
    char text[64];
    size_t used;
    bool told; /* some of this bitmap, or of this list */
} map;

void map_add(const struct boot_info *info, unsigned number, const struct vm *vm) {
    const struct vcpu *first = &vm->vcpus[0];

    map_vms[number] = (struct map_vm){
        .tables = {phys_address(vm->npt.root), phys_address(vm->compartment.npt.root)},
        .msrs = phys_address(first->msr_map_x2apic),
        .ports = phys_address(first->port_map),
        .plan = phys_address(vm->plan),
        .budget = vm->plan->budget_base,
        .budget_size = vm->plan->budget_size,
    };
    map_channels = phys_address(info->plan->channels);
    map_channel_count = info->plan->channel_count;
    map_functions = phys_address(info->pci);
}

/* ---- words for a piece ---- */

static const char *const map_uses[] = {
    [PLAN_WIRE] = "wire", [PLAN_VSOCK] = "vsock", [PLAN_PORT] = "port"};

/* Both halves of a channel: what for, and with whom. */
static void map_name_channel(const struct vm_public *vms, unsigned n, uint64_t hpa, char *out,
                             size_t size) {
    hpa_t at = map_channels;
    uint64_t bytes = map_channel_count * sizeof(struct plan_channel);
    const struct plan_channel *c = plat_window_open(WINDOW_READ, at, bytes);

    for (uint32_t i = 0; i < map_channel_count; i++) {
        if (range_contains(c[i].base.v, 2 * CHANNEL_HALF, hpa, 1)) {
            uint32_t other = c[i].vms[0] == n ? c[i].vms[1] : c[i].vms[0];
            (void)fmt_print(out, size, "channel with %s (%s)", vms[other].name, map_uses[c[i].use]);
        }
    }
    plat_window_close(WINDOW_READ, at, bytes);
}

static const char *map_name_window(const struct plan_window *w) {
    static const char *const names[] = {
        [PLAN_IMAGE] = "image of a disk",
        [PLAN_PMEM] = "image in memory",
        [PLAN_STORE] = "pages that a disk has written",
        [PLAN_OURS] = "channel",
        [PLAN_THEIRS] = "channel",
        [PLAN_DEVICE] = "registers of a device",
    };
    return names[w->kind];
}

/* NULL = the plan does not say. */
static const char *map_name_planned(const struct map_vm *vm, const struct map_piece *p,
                                    bool *channel, bool *device) {
    const struct plan_vm *plan = plat_window_open(WINDOW_READ, vm->plan, sizeof(*plan));
    const char *name = NULL;
    uint64_t hpa = p->hpa;

    *device = range_contains(PCI_MEMORY, PCI_MEMORY_SIZE, p->gpa, 1) ||
              range_contains(plan->pci_high.v, plan->pci_high_size, p->gpa, 1);

    for (uint32_t i = 0; i < plan->region_count; i++) {
        const struct plan_region *r = &plan->regions[i];
        name = range_contains(r->hpa.v, r->size, hpa, 1) ? "RAM" : name;
    }
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const struct plan_window *w = &plan->windows[i];
        if (range_contains(w->hpa.v, w->size, hpa, 1)) {
            name = map_name_window(w);
            *channel = plan_is_channel(w->kind);
        }
    }
    plat_window_close(WINDOW_READ, vm->plan, sizeof(*plan));
    return name;
}

static void map_name_piece(const struct vm_public *vms, unsigned n, const struct map_piece *p,
                           char *out, size_t size) {
    const struct map_vm *vm = &map_vms[n];
    const struct compartment_header *program = (const void *)plat_compartment_image;
    uint64_t image = phys_address(program).v;
    bool channel = false;
    bool device = false;
    const char *name = map_name_planned(vm, p, &channel, &device);

    if (name == NULL && range_contains(vm->budget.v, vm->budget_size, p->hpa, 1)) {
        name = "its own records";
    } else if (name == NULL && range_contains(image, program->rodata_end, p->hpa, 1)) {
        name = "the compartments' program";
    } else if (name == NULL && device) {
        name = "registers of a device";
    } else if (name == NULL) {
        name = "NOT in the plan";
    }
    (void)fmt_print(out, size, "%s", name);
    if (channel) {
        map_name_channel(vms, n, p->hpa, out, size);
    }
}

static enum show map_print_piece(const struct vm_public *vms, unsigned n,
                                 const struct map_piece *p) {
    char what[80], rights[] = "r--";

    if ((p->access & PAGE_WRITE) != 0) {
        rights[1] = 'w';
    }
    if ((p->access & PAGE_EXECUTE) != 0) {
        rights[2] = 'x';
    }
    map_name_piece(vms, n, p, what, sizeof(what));
    console_print("  %-11s 0x%llx-0x%llx is 0x%llx-0x%llx %s  %s\n",
                  map_table_names[map.stage == MAP_COMPARTMENT], (ull)p->gpa,
                  (ull)(p->gpa + p->size - 1), (ull)p->hpa, (ull)(p->hpa + p->size - 1), rights,
                  what);
    return SHOW_PRINTED;
}

/* ---- nested tables ---- */

static uint64_t map_level_size(unsigned level) {
    return PAGE_SIZE << 9 * (level - 1);
}

/* Of the entry that comes next. */
static uint64_t map_gpa(void) {
    uint64_t gpa = 0;

    for (unsigned level = map.level; level <= LEVELS; level++) {
        uint64_t index = level == map.level ? map.next[level] : map.next[level] - 1;
        gpa += index * map_level_size(level);
    }
    return gpa;
}

/* Onto the piece, if it goes on there; else false. */
static bool map_join(const struct map_piece *leaf) {
    struct map_piece *p = &map.piece;
    bool joins = p->size == 0 || (p->gpa + p->size == leaf->gpa && p->hpa + p->size == leaf->hpa &&
                                  p->access == leaf->access);

    if (joins && p->size == 0) {
        *p = *leaf;
    } else if (joins) {
        p->size += leaf->size;
    }
    return joins;
}

/* Through the table where the walk is, or to where it leads down. False: a piece is finished. */
static bool map_scan(const uint64_t *table) {
    unsigned level = map.level;

    for (; map.next[level] < ENTRIES; map.next[level]++) {
        uint64_t entry = table[map.next[level]];
        uint64_t hpa = entry & ENTRY_ADDRESS;
        bool large = level < LEVELS && (entry & hvm->npt_format->large_bits) != 0;

        if ((entry & ENTRY_PRESENT) == 0) {
            continue;
        }
        if (level > 1 && !large) {
            map.next[level]++;
            map.level--;
            map.tables[map.level] = HPA(hpa);
            map.next[map.level] = 0;
            return true;
        }
        uint64_t size = map_level_size(level);
        const struct map_piece leaf = {map_gpa(), hpa & ~(size - 1), size,
                                       pagetable_access(hvm->npt_format, entry)};
        if (!map_join(&leaf)) {
            return false;
        }
    }
    map.level++;
    return true;
}

/* A table at a time, so that none of 512 entries is a long wait for the guest here. */
static enum show map_walk(const struct vm_public *vms, unsigned n, unsigned which) {
    bool whole = false;

    if (map.level == 0) {
        map.level = LEVELS;
        map.tables[LEVELS] = map_vms[n].tables[which];
        map.next[LEVELS] = 0;
    }
    if (map.level <= LEVELS) {
        hpa_t at = map.tables[map.level];
        const uint64_t *table = plat_window_open(WINDOW_READ, at, PAGE_SIZE);
        whole = !map_scan(table);
        plat_window_close(WINDOW_READ, at, PAGE_SIZE);
    }
    if (map.level <= LEVELS && !whole) {
        return SHOW_WAIT;
    }
    struct map_piece piece = map.piece;
    map.piece.size = 0;
    return piece.size != 0 ? map_print_piece(vms, n, &piece) : SHOW_END;
}

/* ---- bitmaps: a bit that is clear lets pass ---- */

/* Behind what is there; the caller prints it when it is full. */
static void map_add_range(uint32_t first, uint32_t last) {
    size_t left = sizeof(map.text) - map.used;

    map.used += first == last ? fmt_print(map.text + map.used, left, " %#x", first)
                              : fmt_print(map.text + map.used, left, " %#x-%#x", first, last);
}

static bool map_is_full(void) {
    return map.used > sizeof(map.text) - 2 * sizeof(" 0x12345678");
}

static enum show map_print_text(const char *what) {
    if (map.used == 0 && map.told) { /* the last line was just full */
        return SHOW_WAIT;
    }
    console_print("  %-11s%s\n", what, map.used != 0 ? map.text : " none");
    map.used = 0;
    map.told = true;
    return SHOW_PRINTED;
}

static bool map_bit_passes(const uint8_t *bits, int bit) {
    return bit >= 0 && (bits[bit / 8] >> bit % 8 & 1) == 0;
}

/* The map's MSRs in one row of numbers, whatever lies between. */
static uint32_t map_msr(uint32_t number) {
    static const uint32_t bases[] = {0, 0xc0000000u, 0xc0010000u};
    return bases[number / 0x2000] + number % 0x2000;
}
#define MAP_MSRS (3 * 0x2000u)

static int map_bit(uint32_t number) {
    if (map.stage == MAP_PORTS) {
        return (int)number;
    }
    return hvm->msr_bit(map_msr(number), map.stage == MAP_MSR_WRITES);
}

/* So many from map.at on, or until the line is full. */
static void map_scan_bits(const uint8_t *bits, uint32_t skipped, uint32_t end) {
    while (map.at < end && !map_is_full()) {
        uint32_t first = map.at;
        while (map.at < end && map_bit_passes(bits, map_bit(map.at) - (int)skipped)) {
            map.at++;
        }
        if (map.at != first && map.stage == MAP_PORTS) {
            map_add_range(first, map.at - 1);
        } else if (map.at != first) {
            map_add_range(map_msr(first), map_msr(map.at - 1));
        } else {
            map.at++;
        }
    }
}

/* hpa: of a bitmap of one page for so many numbers, or of two. */
static enum show map_walk_bits(const char *what, hpa_t hpa, uint32_t count, uint32_t at_once) {
    uint32_t end = ALIGN_DOWN(map.at, at_once) + at_once;
    bool ports = map.stage == MAP_PORTS;
    hpa_t at = HPA(hpa.v + (ports ? ALIGN_DOWN(map.at, at_once) / 8 : 0));
    uint64_t size = ports || hvm->audit_format == AUDIT_INTEL ? PAGE_SIZE : 2 * PAGE_SIZE;

    if (map.at >= count) {
        return SHOW_END;
    }
    const uint8_t *bits = plat_window_open(WINDOW_READ, at, size);
    map_scan_bits(bits, ports ? end - at_once : 0, end);
    plat_window_close(WINDOW_READ, at, size);
    if (map.at >= count || map_is_full()) {
        return map_print_text(what);
    }
    return SHOW_WAIT;
}

/* ---- the rest ---- */

/* vm: NULL = nobody's. */
static void map_print_cpus(const struct vm_public *vm, const char *name) {
    struct cpu_set set = {0};
    char cpus[64];

    for (unsigned cpu = 0; cpu < CONFIG_MAX_CPUS; cpu++) {
        if (vm_of_cpu[cpu] == vm && plat_cpu_online(cpu)) {
            cpu_set_add(&set, cpu);
        }
    }
    cpu_set_format(&set, cpus, sizeof(cpus));
    console_print("%s: CPUs %s\n", name, cpus[0] != '\0' ? cpus : "none");
}

static enum show map_device(const struct map_vm *vm) {
    const struct plan_vm *plan = plat_window_open(WINDOW_READ, vm->plan, sizeof(*plan));
    bool some = map.at < plan->pci_count;
    uint16_t index = some ? plan->pcis[map.at] : 0;
    char address[FMT_PCI_SIZE];
    struct boot_pci f;

    plat_window_close(WINDOW_READ, vm->plan, sizeof(*plan));
    if (!some) {
        return SHOW_END;
    }
    map.at++;
    hpa_t at = HPA(map_functions.v + index * sizeof(struct boot_pci));
    memcpy(&f, plat_window_open(WINDOW_READ, at, sizeof(f)), sizeof(f));
    plat_window_close(WINDOW_READ, at, sizeof(f));
    console_print("  %-11s %s %04x:%04x\n", "device", fmt_pci(address, f.function), f.vendor,
                  f.device);
    return SHOW_PRINTED;
}

static enum show map_wire(const struct vm_public *vm) {
    if (map.at == vm->wire_count) {
        return SHOW_END;
    }
    console_print("  %-11s %s, link %s\n", "wire", vm->wires[map.at],
                  vm_link_is_up(vm, map.at) ? "up" : "down");
    map.at++;
    return SHOW_PRINTED;
}

static enum show map_stage_show(const struct vm_public *vms, unsigned n) {
    const struct map_vm *vm = &map_vms[n];

    switch (map.stage) {
    case MAP_GUEST:
        return map_walk(vms, n, 0);
    case MAP_COMPARTMENT:
        return map_walk(vms, n, 1);
    case MAP_PORTS:
        return map_walk_bits("ports", vm->ports, PORTS, PORTS_AT_ONCE);
    case MAP_MSR_READS:
        return map_walk_bits("MSRs read", vm->msrs, MAP_MSRS, MSRS_AT_ONCE);
    case MAP_MSR_WRITES:
        return map_walk_bits("and written", vm->msrs, MAP_MSRS, MSRS_AT_ONCE);
    case MAP_DEVICES:
        return map_device(vm);
    case MAP_WIRES:
        return map_wire(&vms[n]);
    case MAP_CPUS:
        map.stage++;
        map_print_cpus(&vms[n], vms[n].name);
        return SHOW_PRINTED;
    case MAP_STAGES:
    default:
        return SHOW_END;
    }
}

enum show map_show(const struct vm_public *vms, unsigned n, unsigned line) {
    if (line == 0) {
        map = (struct map_state){.stage = MAP_CPUS};
        if (n != 0) {
            return SHOW_EMPTY;
        }
        map_print_cpus(NULL, "nobody");
        return SHOW_PRINTED;
    }
    enum show done = map.stage == MAP_STAGES ? SHOW_END : map_stage_show(vms, n);
    if (done == SHOW_END && map.stage != MAP_STAGES) {
        map.stage++;
        map.level = 0;
        map.at = 0;
        map.told = false;
        return SHOW_EMPTY;
    }
    return done;
}
